// Package reference computes recurrent networks, their gradients, a loss and
// an optimizer in float64, one row and one step at a time. It is the judge of
// the fast code and is written to be read; its own judges are PyTorch's results
// in testdata and numeric differences.
//
// Tensors are row-major slices. Dimensions: T steps, B rows of a batch, I
// inputs, H hidden units, P projected units, Ho = P or else H, L layers, D
// directions.
//
// # Beyond PyTorch
//
// A [Config] may add layer norm and peepholes to LSTM: they are part of its
// step and have parameters. A [Batch] may add resets, variational dropout and
// zoneout to any cell. They are drawn by the caller, the scan applies them, and
// all of them compose. One step of one row is then, * by element,
//
//	h, c   = initial state, where the row is reset before this step
//	h', c' = step(x * input mask, h, c), where W_hh is multiplied by h * recurrent mask
//	h'     = zh*h + (1-zh)*h'
//	c'     = zc*c + (1-zc)*c'
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

// A LayerNorm says where an LSTM normalises. The two forms are different
// functions; neither can take the other's weights.
type LayerNorm int

const (
	LayerNormNone LayerNorm = iota
	LayerNormA              // c is carried as it is (Ba, Kiros and Hinton)
	LayerNormB              // c is carried normalised (the LSTM of PyTorch's fastrnns benchmark)
)

// String returns "none", "A" or "B".
func (n LayerNorm) String() string { return [...]string{"none", "A", "B"}[n] }

// A Config describes a network. Layers 0 means 1; Proj 0 means none. Proj,
// LayerNorm and Peephole are of LSTM only.
type Config struct {
	Kind          Kind
	Input         int
	Hidden        int
	Layers        int
	NoBias        bool
	Bidirectional bool
	Proj          int
	LayerNorm     LayerNorm
	Peephole      bool
}

// check panics if the cell does not have what the options ask for.
func (c Config) check() {
	if c.Kind != LSTM && (c.Proj > 0 || c.LayerNorm != LayerNormNone || c.Peephole) {
		panic(fmt.Sprintf("reference: %s has no projection, layer norm or peepholes", c.Kind))
	}
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

// in returns the number of inputs of layer k.
func (c Config) in(k int) int {
	if k == 0 {
		return c.Input
	}
	return c.D() * c.Ho()
}

// A Tensor is a named parameter or its gradient.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float64
}

// Params are tensors with PyTorch's names in PyTorch's order.
type Params []Tensor

// NewParams returns the network's parameters, all zero. For each layer and
// direction they are, with a suffix like _l0 or _l1_reverse,
//
//	weight_ih [G*H,in]   in = I, above layer 0 D*Ho
//	weight_hh [G*H,Ho]
//	bias_ih [G*H], bias_hh [G*H]            unless NoBias or LayerNormB
//	weight_hr [P,H]                         with projection
//	weight_ln_ih [4H], weight_ln_hh [4H], weight_ln_c [H]   with layer norm: the gains
//	bias_ln_ih [4H], bias_ln_hh [4H]        LayerNormB: the shifts
//	bias_ln_c [H]                           with layer norm: the shift
//	weight_peephole [3H]                    with peepholes: i, f, o
//
// The gates' blocks of H rows are i, f, g, o (r, z, n of GRU).
func (c Config) NewParams() Params {
	c.check()
	var ps Params
	add := func(name string, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		ps = append(ps, Tensor{name, shape, make([]float64, n)})
	}
	GH := c.Kind.Gates() * c.Hidden
	for k := range c.L() {
		for d := range c.D() {
			sfx := suffix(k, d)
			add("weight_ih"+sfx, GH, c.in(k))
			add("weight_hh"+sfx, GH, c.Ho())
			if !c.NoBias && c.LayerNorm != LayerNormB {
				add("bias_ih"+sfx, GH)
				add("bias_hh"+sfx, GH)
			}
			if c.Proj > 0 {
				add("weight_hr"+sfx, c.Proj, c.Hidden)
			}
			if c.LayerNorm != LayerNormNone {
				add("weight_ln_ih"+sfx, GH)
				add("weight_ln_hh"+sfx, GH)
				add("weight_ln_c"+sfx, c.Hidden)
				if c.LayerNorm == LayerNormB {
					add("bias_ln_ih"+sfx, GH)
					add("bias_ln_hh"+sfx, GH)
				}
				add("bias_ln_c"+sfx, c.Hidden)
			}
			if c.Peephole {
				add("weight_peephole"+sfx, 3*c.Hidden)
			}
		}
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

// weights are the parameters of one layer and direction, or their gradients.
type weights struct {
	ih, hh affine
	hr     affine // W is nil without projection

	lnIH, lnHH, lnC norm      // of W_ih x, W_hh h and c, zero without layer norm
	carryLN         bool      // c is carried normalised
	peephole        []float64 // [3H], zeros without
}

func (c Config) weights(ps Params, k, d int) weights {
	get := func(name string) []float64 { return ps.Get(name + suffix(k, d)) }
	w := weights{
		ih:       affine{W: get("weight_ih"), b: get("bias_ih")},
		hh:       affine{W: get("weight_hh"), b: get("bias_hh")},
		hr:       affine{W: get("weight_hr")},
		carryLN:  c.LayerNorm == LayerNormB,
		peephole: get("weight_peephole"),
	}
	if !c.Peephole {
		w.peephole = make([]float64, 3*c.Hidden)
	}
	if c.LayerNorm != LayerNormNone {
		w.lnC = norm{get("weight_ln_c"), get("bias_ln_c")}
		w.lnIH = norm{get("weight_ln_ih"), get("bias_ln_ih")}
		w.lnHH = norm{get("weight_ln_hh"), get("bias_ln_hh")}
	}
	if c.LayerNorm == LayerNormA { // b_ih and b_hh stand where form B has shifts
		w.lnIH.shift, w.ih.b = w.ih.b, nil
		w.lnHH.shift, w.hh.b = w.hh.b, nil
	}
	return w
}

// checkLen panics unless a slice has the wanted length.
func checkLen(name string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("reference: len(%s) = %d, want %d", name, got, want))
	}
}
