package train

import (
	"math"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// AdamConfig are the settings of Adam. Zero means zero: start from DefaultAdam or
// DefaultAdamW.
type AdamConfig struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decay of the moments, in [0,1)
	Eps          float64 // added to the root of the second moment
	WeightDecay  float64 // times the parameter is added to the gradient
	AMSGrad      bool    // takes the largest second moment of all steps
	Decoupled    bool    // WeightDecay acts on the parameter, not on the gradient
	Maximize     bool    // takes the gradient's negative
}

// DefaultAdam returns PyTorch's defaults: learning rate 1e-3, betas .9 and .999,
// eps 1e-8, no weight decay.
func DefaultAdam() AdamConfig {
	return AdamConfig{LR: 1e-3, Beta1: .9, Beta2: .999, Eps: 1e-8}
}

// DefaultAdamW returns PyTorch's defaults of AdamW: those of Adam with a
// decoupled weight decay of 1e-2.
//
// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization",
// algorithm 2.
func DefaultAdamW() AdamConfig {
	c := DefaultAdam()
	c.WeightDecay, c.Decoupled = 1e-2, true
	return c
}

// Adam is the optimizer torch.optim.Adam, and torch.optim.AdamW with
// [DefaultAdamW]. Step t sets, for each element of each parameter p with gradient
// g and moments m, v, which start at zero,
//
//	g    = g + WeightDecay*p       // if Decoupled: p = p - LR*WeightDecay*p
//	m    = m + (1-Beta1)*(g-m)
//	v    = Beta2*v + (1-Beta2)*g²
//	vmax = max(vmax, v)            // with AMSGrad vmax takes the place of v below
//	p    = p - LR/(1-Beta1^t) * m / (sqrt(v)/sqrt(1-Beta2^t) + Eps)
//
// Source: Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization",
// algorithm 1; AMSGrad: Reddi, Kale and Kumar 2018, "On the Convergence of Adam
// and Beyond", with bias correction as in PyTorch.
type Adam struct {
	optimizer[AdamConfig, *AdamConfig]
}

// NewAdam returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewAdam(params layer.Params, cfg AdamConfig) (*Adam, error) {
	o := &Adam{}
	if err := o.init("Adam", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

// moments are the settings that Adam and its relatives share.
type moments struct {
	lr, beta1, beta2, eps, weightDecay *float64
	decoupled, maximize                *bool
}

func (m moments) fields() []field {
	return []field{
		{name: "LR", key: "lr", v: m.lr, want: atLeast0},
		{name: "Beta1", key: "beta1", v: m.beta1, want: below1},
		{name: "Beta2", key: "beta2", v: m.beta2, want: below1},
		{name: "Eps", key: "eps", v: m.eps, want: atLeast0},
		{name: "WeightDecay", key: "weight_decay", v: m.weightDecay, want: atLeast0},
		{name: "Decoupled", key: "decoupled_weight_decay", flag: m.decoupled},
		{name: "Maximize", key: "maximize", flag: m.maximize},
	}
}

func (m moments) slots() []slot {
	return []slot{{name: "exp_avg", on: true}, {name: "exp_avg_sq", on: true}}
}

// scalars returns the numbers of step t, and the powers beta^t. Step and GradStep
// are not set.
func (m moments) scalars(t int, memo *memo) (s kernels.AdamScalars, power1, power2 float64) {
	power1, power2 = memo.pow(0, *m.beta1, float64(t)), memo.pow(1, *m.beta2, float64(t))
	s = kernels.AdamScalars{
		OneMinusBeta1: 1 - *m.beta1, Beta2: *m.beta2, OneMinusBeta2: 1 - *m.beta2,
		BiasCorrection2Sqrt: math.Sqrt(1 - power2), Eps: *m.eps,
		WeightDecay: *m.weightDecay, Decay: 1, Sign: sign(*m.maximize),
	}
	if *m.decoupled {
		s.WeightDecay, s.Decay = 0, 1-float64(*m.lr**m.weightDecay)
	}
	return s, power1, power2
}

func (c *AdamConfig) moments() moments {
	return moments{&c.LR, &c.Beta1, &c.Beta2, &c.Eps, &c.WeightDecay, &c.Decoupled, &c.Maximize}
}

func (c *AdamConfig) fields() []field {
	return append(c.moments().fields(), field{name: "AMSGrad", key: "amsgrad", flag: &c.AMSGrad})
}

func (c *AdamConfig) check() error { return nil }

func (c *AdamConfig) slots() []slot {
	return append(c.moments().slots(), slot{name: "max_exp_avg_sq", on: c.AMSGrad})
}

func (c *AdamConfig) step(x *tensor[float32]) { adamStep(c, x) }

func adamStep[F kernels.Float](c *AdamConfig, x *tensor[F]) {
	s, power1, _ := c.moments().scalars(x.t, x.memo)
	s.Step = c.LR / (1 - power1)
	if c.AMSGrad {
		kernels.AMSGrad(x.p, x.g, x.state[0], x.state[1], x.state[2], s)
	} else {
		kernels.Adam(x.p, x.g, x.state[0], x.state[1], s)
	}
}
