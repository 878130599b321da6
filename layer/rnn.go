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
	Nonlinearity  Nonlinearity // Tanh or ReLU
	NoBias        bool
}

// An RNN is the weights of PyTorch's nn.RNN:
//
//	h[t] = act(W_ih·x[t] + b_ih + W_hh·h[t-1] + b_hh)
//	y[t] = h[t]
//
// Its parameters are weight_ih_l0 [H,I], weight_hh_l0 [H,H], bias_ih_l0 [H] and
// bias_hh_l0 [H]. Any number of goroutines may use it, but for Pack.
type RNN struct{ recurrent }

// NewRNN returns an RNN with PyTorch's initialisation: all parameters, in order,
// uniform in [-1/√H, 1/√H). With a nil r they are zero, for weights that will be
// loaded. The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewRNN(cfg RNNConfig, r *Rand) (*RNN, error) {
	if cfg.Nonlinearity > ReLU {
		return nil, fmt.Errorf("layer: NewRNN: Nonlinearity = %d, want Tanh or ReLU", cfg.Nonlinearity)
	}
	l := new(RNN)
	if err := l.init(l, "RNN", cell.RNN{ReLU: cfg.Nonlinearity == ReLU}, cfg.Input, cfg.Hidden, cfg.NoBias, r); err != nil {
		return nil, err
	}
	return l, nil
}
