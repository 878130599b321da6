package layer

import "github.com/simdrnn/simdrnn/cell"

// LSTMConfig are the arguments of nn.LSTM; zero values are its defaults.
type LSTMConfig struct {
	Input, Hidden int // I and H, at least 1
	NoBias        bool
}

// An LSTM is the weights of PyTorch's nn.LSTM:
//
//	a = W_ih·x[t] + b_ih + W_hh·h[t-1] + b_hh
//	i, f, g, o = σ(a_i), σ(a_f), tanh(a_g), σ(a_o)
//	c[t] = f*c[t-1] + i*g
//	h[t] = o*tanh(c[t])
//	y[t] = h[t]
//
// Its parameters are weight_ih_l0 [4H,I], weight_hh_l0 [4H,H], bias_ih_l0 [4H]
// and bias_hh_l0 [4H]; the rows are those of i, f, g, o. Any number of
// goroutines may use it, but for Pack.
type LSTM struct{ recurrent }

// NewLSTM returns an LSTM with PyTorch's initialisation: all parameters, in
// order, uniform in [-1/√H, 1/√H). With a nil r they are zero, for weights that
// will be loaded. The error is about cfg or, from kernels.Active, about
// SIMDRNN_ISA.
func NewLSTM(cfg LSTMConfig, r *Rand) (*LSTM, error) {
	l := new(LSTM)
	if err := l.init(l, "LSTM", cell.LSTM{}, cfg.Input, cfg.Hidden, cfg.NoBias, r); err != nil {
		return nil, err
	}
	return l, nil
}
