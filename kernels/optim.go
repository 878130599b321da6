package kernels

// AdamScalars are the numbers of one step t of Adam, computed in float64 and
// rounded once.
type AdamScalars struct {
	Beta1, OneMinusBeta1 float32
	Beta2, OneMinusBeta2 float32
	Step                 float32 // lr / (1 - beta1^t)
	BiasCorrection2Sqrt  float32 // sqrt(1 - beta2^t)
	Eps                  float32
	WeightDecay          float32 // coupled: added to the gradient
	Decay                float32 // decoupled: 1 - lr*weight decay; 1 is none
}

// Adam makes one step of Adam or AdamW in parameters p with gradients g and
// moments m, v, one rounding each operation:
//
//	p = p*Decay
//	g = fma(WeightDecay, p, g)
//	m = fma(OneMinusBeta1, g-m, m)
//	v = fma(OneMinusBeta2*g, g, Beta2*v)
//	p = p - Step*(m / (sqrt(v)/BiasCorrection2Sqrt + Eps))
//
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Kingma and Ba 2014, algorithm 1; Loshchilov and Hutter 2017 for Decay.
func Adam(p, g, m, v []float32, s AdamScalars) {
	const fn = "Adam"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	writes(fn, "m", m, len(p))
	writes(fn, "v", v, len(p))
	isa := use()
	if isa == Generic {
		adamGeneric(p, g, m, v, &s)
		return
	}
	for t := range tiles(1, len(p)) {
		adam(isa, &p[t.col], &g[t.col], &m[t.col], &v[t.col], t.cols, &s)
	}
}
