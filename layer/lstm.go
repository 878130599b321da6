package layer

import (
	"fmt"

	"github.com/simdrnn/simdrnn/cell"
)

// A LayerNorm says where an LSTM normalises. The two forms are different
// functions; neither can take the other's weights.
type LayerNorm uint8

const (
	NoLayerNorm LayerNorm = iota
	LayerNormA            // W_ih·x, W_hh·h, and c inside tanh; c is carried as it is
	LayerNormB            // W_ih·x, W_hh·h, and c, which is carried normalised
)

// String returns "none", "A" or "B".
func (n LayerNorm) String() string {
	if n > LayerNormB {
		return fmt.Sprintf("LayerNorm(%d)", uint8(n))
	}
	return [...]string{"none", "A", "B"}[n]
}

// LSTMConfig are the arguments of nn.LSTM; zero values are its defaults.
type LSTMConfig struct {
	Input, Hidden int     // I and H, at least 1
	Layers        int     // L; 0 is 1
	NoBias        bool    // no bias_ih and bias_hh
	BatchFirst    bool    // sequences are [B,T,·] instead of [T,B,·]
	Dropout       float64 // of the output of all layers but the last, in training
	Bidirectional bool    // D = 2: each layer also reads the sequence from its end
	Proj          int     // P, the size of h, below H; 0 is no projection

	// Beyond PyTorch; see the package documentation.
	InputDropout     float64   // variational dropout of what each layer reads, in training
	RecurrentDropout float64   // variational dropout of the h that W_hh multiplies, in training
	ZoneoutH         float64   // the probability that an element of h keeps its old value
	ZoneoutC         float64   // and of c
	LayerNorm        LayerNorm // form B has shifts instead of biases
	Peephole         bool      // the gates i, f and o look at c
}

// lstm returns the cell of an LSTM.
func (c *config) lstm() cell.Cell {
	if c.isVariant() {
		return cell.Variant{Norm: c.norm, Peephole: c.peephole}
	}
	return cell.LSTM{}
}

func (cfg LSTMConfig) config() config {
	return config{
		input: cfg.Input, hidden: cfg.Hidden, layers: cfg.Layers, proj: cfg.Proj,
		noBias: cfg.NoBias && cfg.LayerNorm != LayerNormB, batchFirst: cfg.BatchFirst, bidirectional: cfg.Bidirectional, dropout: cfg.Dropout,
		inputDropout: cfg.InputDropout, recurrentDropout: cfg.RecurrentDropout, zoneoutH: cfg.ZoneoutH, zoneoutC: cfg.ZoneoutC,
		norm: cell.Norm(cfg.LayerNorm), peephole: cfg.Peephole,
	}
}

// An LSTM is the weights of PyTorch's nn.LSTM. Each layer and direction is
//
//	a = W_ih·x[t] + b_ih + W_hh·h[t-1] + b_hh
//	i, f, g, o = σ(a_i), σ(a_f), tanh(a_g), σ(a_o)
//	c[t] = f*c[t-1] + i*g
//	m = o*tanh(c[t])
//	h[t] = m, or with projection W_hr·m
//
// The first layer reads the input, the others the output [T,B,D*Ho] of the layer
// before, of which direction d is columns d*Ho to (d+1)*Ho; Ho is P, or H
// without projection. The reverse direction takes the steps from the last to the
// first, and its h[t] stands at step t all the same.
//
// The parameters of layer k are weight_ih_l{k} [4H,I] ([4H,D*Ho] after the first
// layer), weight_hh_l{k} [4H,Ho], bias_ih_l{k} and bias_hh_l{k} [4H], and with
// projection weight_hr_l{k} [P,H]; the reverse direction's end in _reverse. Their
// rows are those of i, f, g, o. Any number of goroutines may use an LSTM, but
// for Pack and LoadStateDict.
//
// Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers,
// Schmidhuber and Cummins 2000 for the forget gate; Sak, Senior and Beaufays 2014
// for the projection.
type LSTM struct{ recurrent }

// NewLSTM returns an LSTM with PyTorch's initialisation: all parameters, in
// order, uniform in [-1/√H, 1/√H). With a nil r they are zero, for weights that
// will be loaded. The error is about cfg or, from kernels.Active, about
// SIMDRNN_ISA.
func NewLSTM(cfg LSTMConfig, r *Rand) (*LSTM, error) {
	if cfg.LayerNorm > LayerNormB {
		return nil, fmt.Errorf("layer: NewLSTM: LayerNorm = %d, want NoLayerNorm, LayerNormA or LayerNormB", cfg.LayerNorm)
	}
	l := new(LSTM)
	c := cfg.config()
	err := l.init(l, "LSTM", c.lstm(), c, r)
	if err != nil {
		return nil, err
	}
	return l, nil
}
