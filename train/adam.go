package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// AdamConfig are the settings of Adam. Zero means zero: start from DefaultAdam.
type AdamConfig struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decay of the moments, in [0,1)
	Eps          float64 // added to the root of the second moment
	WeightDecay  float64 // times the parameter is added to the gradient
}

// DefaultAdam returns PyTorch's defaults: learning rate 1e-3, betas .9 and .999,
// eps 1e-8, no weight decay.
func DefaultAdam() AdamConfig {
	return AdamConfig{LR: 1e-3, Beta1: .9, Beta2: .999, Eps: 1e-8}
}

func (cfg AdamConfig) check() error {
	for _, f := range []struct {
		name string
		v    float64
		beta bool
	}{
		{"LR", cfg.LR, false},
		{"Beta1", cfg.Beta1, true},
		{"Beta2", cfg.Beta2, true},
		{"Eps", cfg.Eps, false},
		{"WeightDecay", cfg.WeightDecay, false},
	} {
		switch {
		case f.beta && !(f.v >= 0 && f.v < 1):
			return fmt.Errorf("%s = %v, want at least 0 and below 1", f.name, f.v)
		case !(f.v >= 0):
			return fmt.Errorf("%s = %v, want at least 0", f.name, f.v)
		}
	}
	return nil
}

// Adam is the optimizer torch.optim.Adam. Step t sets, for each element of each
// parameter p with gradient g and moments m, v, which start at zero,
//
//	g = g + WeightDecay*p
//	m = Beta1*m + (1-Beta1)*g
//	v = Beta2*v + (1-Beta2)*g²
//	p = p - LR/(1-Beta1^t) * m / (sqrt(v)/sqrt(1-Beta2^t) + Eps)
//
// Source: Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization",
// algorithm 1.
type Adam struct {
	cfg    AdamConfig
	params layer.Params // those with a gradient
	m, v   [][]float32  // of each parameter
	t      int          // steps made
}

// NewAdam returns an optimizer of params, which keeps a copy of the list. A
// parameter without a gradient is never changed.
func NewAdam(params layer.Params, cfg AdamConfig) (*Adam, error) {
	a, err := newAdam(params, cfg)
	if err != nil {
		return nil, fmt.Errorf("train: NewAdam: %w", err)
	}
	return a, nil
}

func newAdam(params layer.Params, cfg AdamConfig) (*Adam, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if _, err := kernels.Active(); err != nil {
		return nil, err
	}
	if len(params) == 0 {
		return nil, errors.New("no parameters")
	}
	a := &Adam{cfg: cfg}
	n := 0
	for _, p := range params {
		if p.Grad == nil {
			continue
		}
		if len(p.Grad) != len(p.Data) {
			return nil, fmt.Errorf("%s has %d gradients, want %d", p.Name, len(p.Grad), len(p.Data))
		}
		a.params = append(a.params, p)
		n += len(p.Data)
	}
	if len(a.params) == 0 {
		return nil, errors.New("no parameter has a gradient, want the parameters of a tape")
	}
	m, v := make([]float32, n), make([]float32, n)
	for _, p := range a.params {
		k := len(p.Data)
		a.m, m = append(a.m, m[:k:k]), m[k:]
		a.v, v = append(a.v, v[:k:k]), v[k:]
	}
	return a, nil
}

// Step updates the parameters from their gradients and packs them.
func (a *Adam) Step() {
	a.t++
	c, t := a.cfg, float64(a.t)
	s := kernels.AdamScalars{
		Beta1:               float32(c.Beta1),
		OneMinusBeta1:       float32(1 - c.Beta1),
		Beta2:               float32(c.Beta2),
		OneMinusBeta2:       float32(1 - c.Beta2),
		Step:                float32(c.LR / (1 - math.Pow(c.Beta1, t))),
		BiasCorrection2Sqrt: float32(math.Sqrt(1 - math.Pow(c.Beta2, t))),
		Eps:                 float32(c.Eps),
		WeightDecay:         float32(c.WeightDecay),
		Decay:               1,
	}
	for i, p := range a.params {
		kernels.Adam(p.Data, p.Grad, a.m[i], a.v[i], s)
	}
	a.params.Pack()
}

// LR returns the learning rate.
func (a *Adam) LR() float64 { return a.cfg.LR }

// SetLR sets the learning rate of the next steps. It panics if lr is negative or
// NaN.
func (a *Adam) SetLR(lr float64) {
	if !(lr >= 0) {
		panic(fmt.Sprintf("train: Adam.SetLR: LR = %v, want at least 0", lr))
	}
	a.cfg.LR = lr
}
