package train

import (
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// AdadeltaConfig are the settings of Adadelta. Zero means zero: start from
// DefaultAdadelta.
type AdadeltaConfig struct {
	LR          float64 // learning rate
	Rho         float64 // decay of the mean squares
	Eps         float64 // added to the mean squares
	WeightDecay float64 // times the parameter is added to the gradient
	Maximize    bool    // takes the gradient's negative
}

// DefaultAdadelta returns PyTorch's defaults: learning rate 1, rho .9, eps 1e-6
// and nothing else.
func DefaultAdadelta() AdadeltaConfig { return AdadeltaConfig{LR: 1, Rho: .9, Eps: 1e-6} }

// Adadelta is the optimizer torch.optim.Adadelta. A step sets, for each element
// of each parameter p with gradient g, its mean square v and the mean square acc
// of the updates d, which start at zero,
//
//	g   = g + WeightDecay*p
//	v   = Rho*v + (1-Rho)*g²
//	d   = sqrt(acc + Eps) / sqrt(v + Eps) * g
//	acc = Rho*acc + (1-Rho)*d²
//	p   = p - LR*d
//
// Source: Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method", algorithm 1.
type Adadelta struct {
	optimizer[AdadeltaConfig, *AdadeltaConfig]
}

// NewAdadelta returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewAdadelta(params layer.Params, cfg AdadeltaConfig) (*Adadelta, error) {
	o := &Adadelta{}
	if err := o.init("Adadelta", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (c *AdadeltaConfig) fields() []field {
	return []field{
		{name: "LR", key: "lr", v: &c.LR, want: atLeast0},
		{name: "Rho", key: "rho", v: &c.Rho, want: upTo1},
		{name: "Eps", key: "eps", v: &c.Eps, want: atLeast0},
		{name: "WeightDecay", key: "weight_decay", v: &c.WeightDecay, want: atLeast0},
		{name: "Maximize", key: "maximize", flag: &c.Maximize},
	}
}

func (c *AdadeltaConfig) check() error { return nil }

func (c *AdadeltaConfig) slots() []slot {
	return []slot{{name: "square_avg", on: true}, {name: "acc_delta", on: true}}
}

func (c *AdadeltaConfig) step(x *tensor[float32]) { adadeltaStep(c, x) }

func adadeltaStep[F kernels.Float](c *AdadeltaConfig, x *tensor[F]) {
	kernels.Adadelta(x.p, x.g, x.state[0], x.state[1], kernels.AdadeltaScalars{
		LR: c.LR, Rho: c.Rho, OneMinusRho: 1 - c.Rho, Eps: c.Eps,
		WeightDecay: c.WeightDecay, Sign: sign(c.Maximize),
	})
}
