package layer

import (
	"fmt"

	"github.com/simdrnn/simdrnn/cell"
)

// A Nonlinearity is the activation of an RNN.
type Nonlinearity uint8

const (
	Tanh Nonlinearity = iota // tanh(x)
	ReLU                     // max(x, 0)
)

// String returns PyTorch's name: "tanh" or "relu".
func (n Nonlinearity) String() string {
	switch n {
	case Tanh:
		return "tanh"
	case ReLU:
		return "relu"
	}
	return fmt.Sprintf("Nonlinearity(%d)", uint8(n))
}

// RNNConfig are the arguments of nn.RNN; zero values are its defaults.
type RNNConfig struct {
	Input, Hidden int          // I and H, at least 1
	Layers        int          // L; 0 is 1
	Nonlinearity  Nonlinearity // Tanh or ReLU
	NoBias        bool         // no bias_ih and bias_hh
	BatchFirst    bool         // sequences are [B,T,·] instead of [T,B,·]
	Dropout       float64      // of the output of all layers but the last, in training
	Bidirectional bool         // D = 2: each layer also reads the sequence from its end

	// Beyond PyTorch; see the package documentation.
	InputDropout     float64 // variational dropout of what each layer reads, in training
	RecurrentDropout float64 // variational dropout of the h that W_hh multiplies, in training
	ZoneoutH         float64 // the probability that an element of h keeps its old value
}

func (cfg RNNConfig) config() config {
	return config{
		input: cfg.Input, hidden: cfg.Hidden, layers: cfg.Layers,
		noBias: cfg.NoBias, batchFirst: cfg.BatchFirst, bidirectional: cfg.Bidirectional, dropout: cfg.Dropout,
		inputDropout: cfg.InputDropout, recurrentDropout: cfg.RecurrentDropout, zoneoutH: cfg.ZoneoutH,
	}
}

// An RNN is the weights of PyTorch's nn.RNN. Each layer and direction is
//
//	h[t] = act(W_ih·x[t] + b_ih + W_hh·h[t-1] + b_hh)
//
// Layers and directions are joined and parameters named as those of [LSTM]. They
// have H rows. Any number of goroutines may use an RNN, but for Pack and
// LoadStateDict.
//
// Source: Elman 1990, "Finding Structure in Time".
type RNN struct{ recurrent }

// NewRNN returns an RNN with PyTorch's initialisation: all parameters, in order,
// uniform in [-1/√H, 1/√H). With a nil r they are zero, for weights that will be
// loaded. The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewRNN(cfg RNNConfig, r *Rand) (*RNN, error) {
	act, err := rnnCell("RNN", cfg.Nonlinearity)
	if err != nil {
		return nil, err
	}
	l := new(RNN)
	err = l.init(l, "RNN", act, cfg.config(), r)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// rnnCell returns the cell of New{name}.
func rnnCell(name string, n Nonlinearity) (cell.RNN, error) {
	if n > ReLU {
		return cell.RNN{}, fmt.Errorf("layer: New%s: Nonlinearity = %d, want Tanh or ReLU", name, n)
	}
	return cell.RNN{ReLU: n == ReLU}, nil
}
