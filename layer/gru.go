package layer

import "github.com/simdrnn/simdrnn/cell"

// GRUConfig are the arguments of nn.GRU; zero values are its defaults.
type GRUConfig struct {
	Input, Hidden int     // I and H, at least 1
	Layers        int     // L; 0 is 1
	NoBias        bool    // no bias_ih and bias_hh
	BatchFirst    bool    // sequences are [B,T,·] instead of [T,B,·]
	Dropout       float64 // of the output of all layers but the last, in training
	Bidirectional bool    // D = 2: each layer also reads the sequence from its end

	// Beyond PyTorch; see the package documentation.

	InputDropout     float64 // variational dropout of what each layer reads, in training
	RecurrentDropout float64 // variational dropout of the h that W_hh multiplies, in training
	ZoneoutH         float64 // the probability that an element of h keeps its old value
}

func (cfg GRUConfig) config() config {
	return config{
		input: cfg.Input, hidden: cfg.Hidden, layers: cfg.Layers,
		noBias: cfg.NoBias, batchFirst: cfg.BatchFirst, bidirectional: cfg.Bidirectional, dropout: cfg.Dropout,
		inputDropout: cfg.InputDropout, recurrentDropout: cfg.RecurrentDropout, zoneoutH: cfg.ZoneoutH,
	}
}

// A GRU is the weights of PyTorch's nn.GRU. Each layer and direction is
//
//	r = σ(W_ir·x[t] + b_ir + W_hr·h[t-1] + b_hr)
//	z = σ(W_iz·x[t] + b_iz + W_hz·h[t-1] + b_hz)
//	n = tanh(W_in·x[t] + b_in + r*(W_hn·h[t-1] + b_hn))
//	h[t] = n + z*(h[t-1] - n)
//
// Layers and directions are joined and parameters named as those of [LSTM]. They
// have 3H rows, those of r, z, n. Any number of goroutines may use a GRU, but for
// Pack and LoadStateDict.
//
// Source: Cho et al. 2014, "Learning Phrase Representations using RNN
// Encoder-Decoder", with the reset after the product, as PyTorch and cuDNN have
// it.
type GRU struct{ recurrent }

// NewGRU returns a GRU with PyTorch's initialisation: all parameters, in order,
// uniform in [-1/√H, 1/√H). With a nil r they are zero, for weights that will be
// loaded. The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewGRU(cfg GRUConfig, r *Rand) (*GRU, error) {
	l := new(GRU)
	err := l.init(l, "GRU", cell.GRU{}, cfg.config(), r)
	if err != nil {
		return nil, err
	}
	return l, nil
}
