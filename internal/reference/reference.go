// Package reference computes recurrent networks, their gradients, a loss and
// an optimizer in float64, one row and one step at a time. It is the judge of
// the fast code and is written to be read; its own judges are PyTorch's results
// in testdata and numeric differences.
//
// Tensors are row-major slices. Dimensions: T steps, B rows of a batch, I
// inputs, H hidden units, P projected units, Ho = P or else H, L layers, D
// directions.
package reference

import "fmt"

// A Kind names a cell.
type Kind int

const (
	RNNTanh Kind = iota
	RNNReLU
	LSTM
	GRU
)

var kinds = [...]struct {
	name  string
	gates int
	step  stepFunc
}{
	RNNTanh: {"RNN tanh", 1, rnnStep(tanh)},
	RNNReLU: {"RNN relu", 1, rnnStep(relu)},
	LSTM:    {"LSTM", 4, lstmStep},
	GRU:     {"GRU", 3, gruStep},
}

func (k Kind) String() string { return kinds[k].name }

// Gates returns G, the number of blocks of H rows in the weights.
func (k Kind) Gates() int { return kinds[k].gates }

// A Config describes a network. Layers 0 means 1; Proj, of LSTM only, 0 means
// none.
type Config struct {
	Kind          Kind
	Input         int
	Hidden        int
	Layers        int
	NoBias        bool
	Bidirectional bool
	Proj          int
}

// L returns the number of layers.
func (c Config) L() int { return max(c.Layers, 1) }

// D returns the number of directions.
func (c Config) D() int {
	if c.Bidirectional {
		return 2
	}
	return 1
}

// Ho returns the length of h.
func (c Config) Ho() int {
	if c.Proj > 0 {
		return c.Proj
	}
	return c.Hidden
}

// A Tensor is a named parameter or its gradient.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float64
}

// Params are tensors with PyTorch's names in PyTorch's order.
type Params []Tensor

// NewParams returns the network's parameters, all zero.
func (c Config) NewParams() Params {
	var ps Params
	add := func(name string, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		ps = append(ps, Tensor{name, shape, make([]float64, n)})
	}
	GH := c.Kind.Gates() * c.Hidden
	in := c.Input
	for k := range c.L() {
		for d := range c.D() {
			sfx := suffix(k, d)
			add("weight_ih"+sfx, GH, in)
			add("weight_hh"+sfx, GH, c.Ho())
			if !c.NoBias {
				add("bias_ih"+sfx, GH)
				add("bias_hh"+sfx, GH)
			}
			if c.Proj > 0 {
				add("weight_hr"+sfx, c.Proj, c.Hidden)
			}
		}
		in = c.D() * c.Ho()
	}
	return ps
}

// Get returns the data of the named tensor, nil if there is none.
func (ps Params) Get(name string) []float64 {
	for _, p := range ps {
		if p.Name == name {
			return p.Data
		}
	}
	return nil
}

// suffix returns the end of the names in layer k and direction d.
func suffix(k, d int) string {
	return fmt.Sprintf("_l%d", k) + [2]string{"", "_reverse"}[d]
}

// weights are the affine maps of one layer and direction.
type weights struct {
	ih, hh affine
	hr     affine // W is nil without projection
}

func (c Config) weights(ps Params, k, d int) weights {
	sfx := suffix(k, d)
	return weights{
		ih: affine{ps.Get("weight_ih" + sfx), ps.Get("bias_ih" + sfx)},
		hh: affine{ps.Get("weight_hh" + sfx), ps.Get("bias_hh" + sfx)},
		hr: affine{W: ps.Get("weight_hr" + sfx)},
	}
}

// checkLen panics unless a slice has the wanted length.
func checkLen(name string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("reference: len(%s) = %d, want %d", name, got, want))
	}
}
