package train

import (
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// RMSpropConfig are the settings of RMSprop. Zero means zero: start from
// DefaultRMSprop.
type RMSpropConfig struct {
	LR          float64 // learning rate
	Alpha       float64 // decay of the means
	Eps         float64 // added to the root of the mean square
	WeightDecay float64 // times the parameter is added to the gradient
	Momentum    float64 // share of the last steps
	Centered    bool    // the variance takes the place of the mean square
	Maximize    bool    // takes the gradient's negative
}

// DefaultRMSprop returns PyTorch's defaults: learning rate 1e-2, alpha .99, eps
// 1e-8 and nothing else.
func DefaultRMSprop() RMSpropConfig { return RMSpropConfig{LR: 1e-2, Alpha: .99, Eps: 1e-8} }

// RMSprop is the optimizer torch.optim.RMSprop. A step sets, for each element of
// each parameter p with gradient g, its mean square v, mean m and momentum buf,
// which start at zero,
//
//	g   = g + WeightDecay*p
//	v   = Alpha*v + (1-Alpha)*g²
//	m   = m + (1-Alpha)*(g-m)           // if Centered
//	d   = sqrt(v) + Eps                 // if Centered: sqrt(v - m²) + Eps
//	buf = Momentum*buf + g/d
//	p   = p - LR*buf
//
// A variance that rounding makes negative counts as 0; PyTorch computes NaN.
//
// Source: Tieleman and Hinton 2012, "Lecture 6.5 - RMSProp"; Centered: Graves
// 2013, "Generating Sequences With Recurrent Neural Networks", but for Eps, which
// stands outside the root as in PyTorch.
type RMSprop struct {
	optimizer[RMSpropConfig, *RMSpropConfig]
}

// NewRMSprop returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewRMSprop(params layer.Params, cfg RMSpropConfig) (*RMSprop, error) {
	o := &RMSprop{}
	if err := o.init("RMSprop", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (c *RMSpropConfig) fields() []field {
	return []field{
		{name: "LR", key: "lr", v: &c.LR, want: atLeast0},
		{name: "Alpha", key: "alpha", v: &c.Alpha, want: upTo1},
		{name: "Eps", key: "eps", v: &c.Eps, want: atLeast0},
		{name: "WeightDecay", key: "weight_decay", v: &c.WeightDecay, want: atLeast0},
		{name: "Momentum", key: "momentum", v: &c.Momentum, want: atLeast0},
		{name: "Centered", key: "centered", flag: &c.Centered},
		{name: "Maximize", key: "maximize", flag: &c.Maximize},
	}
}

func (c *RMSpropConfig) check() error { return nil }

func (c *RMSpropConfig) slots() []slot {
	return []slot{
		{name: "square_avg", on: true},
		{name: "grad_avg", on: c.Centered},
		{name: "momentum_buffer", on: c.Momentum > 0},
	}
}

func (c *RMSpropConfig) step(x *tensor[float32]) { rmspropStep(c, x) }

func rmspropStep[F kernels.Float](c *RMSpropConfig, x *tensor[F]) {
	m, buf := x.state[1], x.state[2]
	if !c.Centered {
		m = nil // it may be there from before
	}
	if c.Momentum == 0 {
		buf = nil // so may this
	}
	kernels.RMSprop(x.p, x.g, x.state[0], m, buf, kernels.RMSpropScalars{
		LR: c.LR, Alpha: c.Alpha, OneMinusAlpha: 1 - c.Alpha, Eps: c.Eps,
		Momentum: c.Momentum, WeightDecay: c.WeightDecay, Sign: sign(c.Maximize),
	})
}
