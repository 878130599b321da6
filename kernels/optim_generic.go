package kernels

import "math"

func adamGeneric(p, g, m, v []float32, s *AdamScalars) {
	for i := range p {
		x := flush(p[i]) * s.Decay
		d := float32(s.WeightDecay*x) + flush(g[i])
		mi := flush(m[i])
		mi = flush(float32(s.OneMinusBeta1*(d-mi)) + mi)
		vi := flush(float32(float32(s.OneMinusBeta2*d)*d) + float32(s.Beta2*flush(v[i])))
		root := float32(math.Sqrt(float64(vi)))
		p[i] = flush(x - float32(s.Step*(mi/(root/s.BiasCorrection2Sqrt+s.Eps))))
		m[i], v[i] = mi, vi
	}
}
