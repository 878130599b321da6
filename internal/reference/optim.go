package reference

import (
	"math"

	"github.com/simdrnn/simdrnn/kernels"
)

// Adam is torch.optim.Adam without weight decay. The update itself is
// [kernels.Adam] on float64, whose judges are PyTorch's results.
type Adam struct {
	LR, Beta1, Beta2, Eps float64

	t    float64
	m, v [][]float64
}

// DefaultAdam returns PyTorch's defaults.
func DefaultAdam() *Adam {
	return &Adam{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
}

// Step updates params, the same ones at every call.
func (a *Adam) Step(params, grads [][]float64) {
	if a.t == 0 {
		for _, p := range params {
			a.m = append(a.m, make([]float64, len(p)))
			a.v = append(a.v, make([]float64, len(p)))
		}
	}
	a.t++
	for i, p := range params {
		kernels.Adam(p, grads[i], a.m[i], a.v[i], kernels.AdamScalars{
			OneMinusBeta1: 1 - a.Beta1, Beta2: a.Beta2, OneMinusBeta2: 1 - a.Beta2,
			Step:                a.LR / (1 - math.Pow(a.Beta1, a.t)),
			BiasCorrection2Sqrt: math.Sqrt(1 - math.Pow(a.Beta2, a.t)),
			Eps:                 a.Eps, Decay: 1, Sign: 1,
		})
	}
}
