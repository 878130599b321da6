package train

import (
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// NAdamConfig are the settings of NAdam. Zero means zero: start from
// DefaultNAdam.
type NAdamConfig struct {
	LR            float64 // learning rate
	Beta1, Beta2  float64 // decay of the moments, in [0,1)
	Eps           float64 // added to the root of the second moment
	WeightDecay   float64 // times the parameter is added to the gradient
	MomentumDecay float64 // how fast the momentum grows to Beta1
	Decoupled     bool    // WeightDecay acts on the parameter, not on the gradient
	Maximize      bool    // takes the gradient's negative
}

// DefaultNAdam returns PyTorch's defaults: learning rate 2e-3, betas .9 and .999,
// eps 1e-8, momentum decay 4e-3, no weight decay.
func DefaultNAdam() NAdamConfig {
	return NAdamConfig{LR: 2e-3, Beta1: .9, Beta2: .999, Eps: 1e-8, MomentumDecay: 4e-3}
}

// NAdam is the optimizer torch.optim.NAdam, Adam with Nesterov's momentum. Step t
// sets, for each element of each parameter p with gradient g and moments m, v,
// which start at zero,
//
//	g = g + WeightDecay*p // if Decoupled: p = p - LR*WeightDecay*p
//	m = m + (1-Beta1)*(g-m)
//	v = Beta2*v + (1-Beta2)*g²
//	d = sqrt(v)/sqrt(1-Beta2^t) + Eps
//	p = p - LR*(1-mu[t])/(1-P[t]) * g/d - LR*mu[t+1]/(1-P[t]*mu[t+1]) * m/d
//
// where mu[t] = Beta1*(1 - 0.96^(t*MomentumDecay)/2), and P[t] = mu[1]*...*mu[t]
// is kept in float32.
//
// Source: Dozat 2016, "Incorporating Nesterov Momentum into Adam".
type NAdam struct {
	optimizer[NAdamConfig, *NAdamConfig]
}

// NewNAdam returns an optimizer of params, which keeps a copy of the list. The error is
// about cfg, about params, each of which must stand there once and one at least have
// a gradient, or, from kernels.Active, about SIMDRNN_ISA.
func NewNAdam(params layer.Params, cfg NAdamConfig) (*NAdam, error) {
	o := &NAdam{}
	if err := o.init("NAdam", params, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (c *NAdamConfig) moments() moments {
	return moments{&c.LR, &c.Beta1, &c.Beta2, &c.Eps, &c.WeightDecay, &c.Decoupled, &c.Maximize}
}

func (c *NAdamConfig) fields() []field {
	return append(c.moments().fields(), field{name: "MomentumDecay", key: "momentum_decay", v: &c.MomentumDecay, want: atLeast0})
}

func (c *NAdamConfig) check() error { return nil }

func (c *NAdamConfig) slots() []slot {
	return append(c.moments().slots(), slot{name: "mu_product", on: true, scalar: true, initial: 1})
}

// mu returns the momentum of a step t, whose power of .96 is remembered for the
// use i.
func (c *NAdamConfig) mu(t int, memo *memo, i int) float64 {
	return c.Beta1 * (1 - float64(.5*memo.pow(i, .96, float64(t)*c.MomentumDecay)))
}

func (c *NAdamConfig) step(x *tensor[float32]) { nadamStep(c, x) }

func nadamStep[F kernels.Float](c *NAdamConfig, x *tensor[F]) {
	s, _, _ := c.moments().scalars(x.t, x.memo)
	mu, next := c.mu(x.t, x.memo, 2), c.mu(x.t+1, x.memo, 3)
	product := float32(x.state[2][0]) * float32(mu)
	x.state[2][0] = F(product)
	s.GradStep = c.LR * (1 - mu) / (1 - float64(product))
	s.Step = c.LR * next / (1 - float64(float64(product)*next))
	kernels.NAdam(x.p, x.g, x.state[0], x.state[1], s)
}
