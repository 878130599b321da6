package train

import (
	"fmt"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// SGDConfig are the settings of SGD. Zero means zero: start from DefaultSGD.
type SGDConfig struct {
	LR          float64 // learning rate
	Momentum    float64 // share of the last steps
	Dampening   float64 // the share of the gradient that is left out of the momentum
	WeightDecay float64 // times the parameter is added to the gradient
	Nesterov    bool    // takes the gradient a step ahead
	Maximize    bool    // takes the gradient's negative
}

// DefaultSGD returns PyTorch's defaults: learning rate 1e-3 and nothing else.
func DefaultSGD() SGDConfig { return SGDConfig{LR: 1e-3} }

// SGD is the optimizer torch.optim.SGD, gradient descent. A step sets, for each
// element of each parameter p with gradient g,
//
//	g   = g + WeightDecay*p
//	buf = Momentum*buf + (1-Dampening)*g // the first step: buf = g
//	g   = buf                            // Nesterov: g + Momentum*buf
//	p   = p - LR*g
//
// Without Momentum the two lines in the middle are left out.
//
// Source: Sutskever, Martens, Dahl and Hinton 2013, "On the importance of
// initialization and momentum in deep learning", with the learning rate outside
// the buffer as in PyTorch.
type SGD struct {
	optimizer[SGDConfig, *SGDConfig]
}

// NewSGD returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewSGD(params layer.Params, cfg SGDConfig) (*SGD, error) {
	o := &SGD{}
	if err := o.init("SGD", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (c *SGDConfig) fields() []field {
	return []field{
		{name: "LR", key: "lr", v: &c.LR, want: atLeast0},
		{name: "Momentum", key: "momentum", v: &c.Momentum, want: atLeast0},
		{name: "Dampening", key: "dampening", v: &c.Dampening, want: anything},
		{name: "WeightDecay", key: "weight_decay", v: &c.WeightDecay, want: atLeast0},
		{name: "Nesterov", key: "nesterov", flag: &c.Nesterov},
		{name: "Maximize", key: "maximize", flag: &c.Maximize},
	}
}

func (c *SGDConfig) check() error {
	if c.Nesterov && !(c.Momentum > 0 && c.Dampening == 0) {
		return fmt.Errorf("with Nesterov Momentum = %v and Dampening = %v, want Momentum above 0 and Dampening 0", c.Momentum, c.Dampening)
	}
	return nil
}

func (c *SGDConfig) slots() []slot {
	return []slot{{name: "momentum_buffer", on: c.Momentum > 0, late: true}}
}

func (c *SGDConfig) step(x *tensor[float32]) { sgdStep(c, x) }

func sgdStep[F kernels.Float](c *SGDConfig, x *tensor[F]) {
	s := kernels.SGDScalars{LR: c.LR, WeightDecay: c.WeightDecay, Sign: sign(c.Maximize)}
	if c.Momentum == 0 {
		kernels.SGD(x.p, x.g, nil, s)
		return
	}
	s.Momentum, s.OneMinusDampening = c.Momentum, 1-c.Dampening
	if !x.begun {
		s.Momentum, s.OneMinusDampening = 0, 1
		x.begun = true
	}
	if c.Nesterov {
		s.NesterovMomentum = c.Momentum
	}
	kernels.SGD(x.p, x.g, x.state[0], s)
}
