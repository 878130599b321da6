package train

import (
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// AdagradConfig are the settings of Adagrad. Zero means zero: start from
// DefaultAdagrad.
type AdagradConfig struct {
	LR                 float64 // learning rate
	LRDecay            float64 // of the learning rate
	WeightDecay        float64 // times the parameter is added to the gradient
	InitialAccumulator float64 // what the sum starts with
	Eps                float64 // added to the root of the sum
	Maximize           bool    // takes the gradient's negative
}

// DefaultAdagrad returns PyTorch's defaults: learning rate 1e-2, eps 1e-10 and
// nothing else.
func DefaultAdagrad() AdagradConfig { return AdagradConfig{LR: 1e-2, Eps: 1e-10} }

// Adagrad is the optimizer torch.optim.Adagrad. Step t sets, for each element of
// each parameter p with gradient g and the sum of squares, which starts at
// InitialAccumulator,
//
//	g   = g + WeightDecay*p
//	sum = sum + g²
//	p   = p - LR/(1 + (t-1)*LRDecay) * g / (sqrt(sum) + Eps)
//
// Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods for Online
// Learning and Stochastic Optimization", figure 1 with diagonal matrices.
type Adagrad struct {
	optimizer[AdagradConfig, *AdagradConfig]
}

// NewAdagrad returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewAdagrad(params layer.Params, cfg AdagradConfig) (*Adagrad, error) {
	o := &Adagrad{}
	if err := o.init("Adagrad", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (c *AdagradConfig) fields() []field {
	return []field{
		{name: "LR", key: "lr", v: &c.LR, want: atLeast0},
		{name: "LRDecay", key: "lr_decay", v: &c.LRDecay, want: atLeast0},
		{name: "WeightDecay", key: "weight_decay", v: &c.WeightDecay, want: atLeast0},
		{name: "InitialAccumulator", key: "initial_accumulator_value", v: &c.InitialAccumulator, want: atLeast0},
		{name: "Eps", key: "eps", v: &c.Eps, want: atLeast0},
		{name: "Maximize", key: "maximize", flag: &c.Maximize},
	}
}

func (c *AdagradConfig) check() error { return nil }

func (c *AdagradConfig) slots() []slot {
	return []slot{{name: "sum", on: true, initial: c.InitialAccumulator}}
}

func (c *AdagradConfig) step(x *tensor[float32]) { adagradStep(c, x) }

func adagradStep[F kernels.Float](c *AdagradConfig, x *tensor[F]) {
	kernels.Adagrad(x.p, x.g, x.state[0], kernels.AdagradScalars{
		LR:  c.LR / (1 + float64(float64(x.t-1)*c.LRDecay)),
		Eps: c.Eps, WeightDecay: c.WeightDecay, Sign: sign(c.Maximize),
	})
}
