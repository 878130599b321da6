package train

import (
	"math"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// RAdamConfig are the settings of RAdam. Zero means zero: start from
// DefaultRAdam.
type RAdamConfig struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decay of the moments, in [0,1)
	Eps          float64 // added to the root of the second moment
	WeightDecay  float64 // times the parameter is added to the gradient
	Decoupled    bool    // WeightDecay acts on the parameter, not on the gradient
	Maximize     bool    // takes the gradient's negative
}

// DefaultRAdam returns PyTorch's defaults: learning rate 1e-3, betas .9 and .999,
// eps 1e-8, no weight decay.
func DefaultRAdam() RAdamConfig {
	return RAdamConfig{LR: 1e-3, Beta1: .9, Beta2: .999, Eps: 1e-8}
}

// RAdam is the optimizer torch.optim.RAdam, Adam whose first steps do without the
// second moment until its variance is known. Step t sets, for each element of
// each parameter p with gradient g and moments m, v, which start at zero,
//
//	g = g + WeightDecay*p // if Decoupled: p = p - LR*WeightDecay*p
//	m = m + (1-Beta1)*(g-m)
//	v = Beta2*v + (1-Beta2)*g²
//	p = p - LR/(1-Beta1^t) * m * r*sqrt(1-Beta2^t) / (sqrt(v) + Eps) // rho > 5
//	p = p - LR/(1-Beta1^t) * m                                       // else
//
// where
//
//	last = 2/(1-Beta2) - 1
//	rho  = last - 2*t*Beta2^t/(1-Beta2^t)
//	r    = sqrt((rho-4)*(rho-2)*last / ((last-4)*(last-2)*rho))
//
// Source: Liu et al. 2019, "On the Variance of the Adaptive Learning Rate and
// Beyond", algorithm 2, with the threshold 5 and Eps as in PyTorch.
type RAdam struct {
	optimizer[RAdamConfig, *RAdamConfig]
}

// NewRAdam returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewRAdam(params layer.Params, cfg RAdamConfig) (*RAdam, error) {
	o := &RAdam{}
	if err := o.init("RAdam", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (c *RAdamConfig) moments() moments {
	return moments{&c.LR, &c.Beta1, &c.Beta2, &c.Eps, &c.WeightDecay, &c.Decoupled, &c.Maximize}
}

func (c *RAdamConfig) fields() []field { return c.moments().fields() }

func (c *RAdamConfig) check() error { return nil }

func (c *RAdamConfig) slots() []slot { return c.moments().slots() }

func (c *RAdamConfig) step(x *tensor[float32]) { radamStep(c, x) }

func radamStep[F kernels.Float](c *RAdamConfig, x *tensor[F]) {
	s, power1, power2 := c.moments().scalars(x.t, x.memo)
	s.Step = c.LR / (1 - power1)
	last := 2/(1-c.Beta2) - 1
	rho := last - 2*float64(x.t)*power2/(1-power2)
	rectified := rho > 5
	if rectified {
		s.Step *= math.Sqrt((rho-4)*(rho-2)*last/((last-4)*(last-2)*rho)) * s.BiasCorrection2Sqrt
	}
	kernels.RAdam(x.p, x.g, x.state[0], x.state[1], rectified, s)
}
