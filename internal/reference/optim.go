package reference

import "math"

// Adam is torch.optim.Adam without weight decay:
//
//	m += (1-b1) (g-m)
//	v = b2 v + (1-b2) g^2
//	p -= lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)
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
	c1, c2 := 1-math.Pow(a.Beta1, a.t), 1-math.Pow(a.Beta2, a.t)
	for i, p := range params {
		m, v := a.m[i], a.v[i]
		for j, g := range grads[i] {
			m[j] += (1 - a.Beta1) * (g - m[j])
			v[j] = a.Beta2*v[j] + (1-a.Beta2)*g*g
			p[j] -= a.LR / c1 * m[j] / (math.Sqrt(v[j])/math.Sqrt(c2) + a.Eps)
		}
	}
}
