package kernels

import "math"

// adamGeneric is Adam, or AMSGrad if vmax is not nil.
func adamGeneric(p, g, m, v, vmax []float32, s *AdamScalars) {
	for i := range p {
		x := flush(p[i]) * s.Decay
		d := float32(s.WeightDecay*x) + flush(g[i])
		mi := mean(d, flush(m[i]), s.OneMinusBeta1)
		vi := meanSquare(d, v[i], s.OneMinusBeta2, s.Beta2)
		m[i], v[i] = mi, vi
		if vmax != nil {
			vi = max(vi, flush(vmax[i]))
			vmax[i] = vi
		}
		p[i] = flush(x - float32(s.Step*(mi/(sqrt(vi)/s.BiasCorrection2Sqrt+s.Eps))))
	}
}

func sgdGeneric(p, g, buf []float32, s *SGDScalars) {
	for i := range p {
		x := flush(p[i])
		d := float32(s.WeightDecay*x) + flush(g[i])
		if buf != nil {
			b := flush(float32(s.OneMinusDampening*d) + float32(s.Momentum*flush(buf[i])))
			buf[i] = b
			if s.NesterovMomentum == 0 {
				d = b
			} else {
				d += float32(s.NesterovMomentum * b)
			}
		}
		p[i] = flush(x - float32(s.LR*d))
	}
}

func rmspropGeneric(p, g, v, m, buf []float32, s *RMSpropScalars) {
	for i := range p {
		x := flush(p[i])
		d := float32(s.WeightDecay*x) + flush(g[i])
		vi := meanSquare(d, v[i], s.OneMinusAlpha, s.Alpha)
		v[i] = vi
		if m != nil {
			mi := mean(d, flush(m[i]), s.OneMinusAlpha)
			m[i] = mi
			vi = max(vi-float32(mi*mi), 0)
		}
		d /= sqrt(vi) + s.Eps
		if buf != nil {
			d = flush(float32(s.Momentum*flush(buf[i])) + d)
			buf[i] = d
		}
		p[i] = flush(x - float32(s.LR*d))
	}
}

func mean(d, m, rest float32) float32 { return flush(float32(rest*(d-m)) + m) }

func meanSquare(d, v, rest, decay float32) float32 {
	return flush(float32(float32(rest*d)*d) + float32(decay*flush(v)))
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
