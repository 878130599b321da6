package kernels

import "math"

// The generic updates serve float32, where fma differs from the SIMD paths' in
// double roundings only, and float64. Subnormals of float32 are flushed where a
// number is read and where it is written.

// narrowed rounds a scalar to F.
func narrowed[F Float](x float64) F { return flushed(F(x)) }

// flushed is flush for float32 and does nothing to float64.
func flushed[F Float](x F) F {
	if portable[F](NEON) { // float64
		return x
	}
	return F(flush(float32(x)))
}

// fma returns x*y + z: of float32 through float64, where the product is exact.
func fma[F Float](x, y, z F) F { return F(float64(float64(x)*float64(y)) + float64(z)) }

func sqrt[F Float](x F) F { return F(math.Sqrt(float64(x))) }

// mean returns m + rest*(d-m).
func mean[F Float](d, m, rest F) F { return flushed(fma(rest, d-m, m)) }

// meanSquare returns decay*v + rest*d².
func meanSquare[F Float](d, v, rest, decay F) F { return flushed(fma(rest*d, d, F(decay*v))) }

// moments are the scalars that Adam and its relatives begin with.
type moments[F Float] struct{ decay, weightDecay, sign, rest1, beta2, rest2 F }

func newMoments[F Float](s *AdamScalars) moments[F] {
	return moments[F]{
		narrowed[F](s.Decay), narrowed[F](s.WeightDecay), narrowed[F](s.Sign),
		narrowed[F](s.OneMinusBeta1), narrowed[F](s.Beta2), narrowed[F](s.OneMinusBeta2),
	}
}

// update returns the decayed parameter p, its gradient and its new moments.
func (s *moments[F]) update(p, g, m, v F) (x, d, mean1, mean2 F) {
	x = flushed(p) * s.decay
	d = fma(s.weightDecay, x, s.sign*flushed(g))
	return x, d, mean(d, flushed(m), s.rest1), meanSquare(d, flushed(v), s.rest2, s.beta2)
}

// adamGeneric is Adam, or AMSGrad if vmax is not nil.
func adamGeneric[F Float](p, g, m, v, vmax []F, s *AdamScalars) {
	k := newMoments[F](s)
	step, correction, eps := narrowed[F](s.Step), narrowed[F](s.BiasCorrection2Sqrt), narrowed[F](s.Eps)
	for i := range p {
		x, _, mi, vi := k.update(p[i], g[i], m[i], v[i])
		m[i], v[i] = mi, vi
		if vmax != nil {
			vi = max(vi, flushed(vmax[i]))
			vmax[i] = vi
		}
		p[i] = flushed(x - F(step*(mi/(sqrt(vi)/correction+eps))))
	}
}

func nadamGeneric[F Float](p, g, m, v []F, s *AdamScalars) {
	k := newMoments[F](s)
	step, gradStep := narrowed[F](s.Step), narrowed[F](s.GradStep)
	correction, eps := narrowed[F](s.BiasCorrection2Sqrt), narrowed[F](s.Eps)
	for i := range p {
		x, d, mi, vi := k.update(p[i], g[i], m[i], v[i])
		m[i], v[i] = mi, vi
		p[i] = flushed(x - fma(step, mi, gradStep*d)/(sqrt(vi)/correction+eps))
	}
}

func radamGeneric[F Float](p, g, m, v []F, rectified bool, s *AdamScalars) {
	k := newMoments[F](s)
	step, eps := narrowed[F](s.Step), narrowed[F](s.Eps)
	for i := range p {
		x, _, mi, vi := k.update(p[i], g[i], m[i], v[i])
		m[i], v[i] = mi, vi
		if rectified {
			x -= F(step * (mi / (sqrt(vi) + eps)))
		} else {
			x = fma(-step, mi, x)
		}
		p[i] = flushed(x)
	}
}

func sgdGeneric[F Float](p, g, buf []F, s *SGDScalars) {
	lr, weightDecay, sign := narrowed[F](s.LR), narrowed[F](s.WeightDecay), narrowed[F](s.Sign)
	momentum, rest, ahead := narrowed[F](s.Momentum), narrowed[F](s.OneMinusDampening), narrowed[F](s.NesterovMomentum)
	for i := range p {
		x := flushed(p[i])
		d := fma(weightDecay, x, sign*flushed(g[i]))
		if buf != nil {
			b := flushed(fma(rest, d, momentum*flushed(buf[i])))
			buf[i] = b
			if s.NesterovMomentum == 0 {
				d = b
			} else {
				d = fma(ahead, b, d)
			}
		}
		p[i] = flushed(fma(-lr, d, x))
	}
}

func rmspropGeneric[F Float](p, g, v, m, buf []F, s *RMSpropScalars) {
	lr, weightDecay, sign := narrowed[F](s.LR), narrowed[F](s.WeightDecay), narrowed[F](s.Sign)
	alpha, rest := narrowed[F](s.Alpha), narrowed[F](s.OneMinusAlpha)
	eps, momentum := narrowed[F](s.Eps), narrowed[F](s.Momentum)
	for i := range p {
		x := flushed(p[i])
		d := fma(weightDecay, x, sign*flushed(g[i]))
		vi := meanSquare(d, flushed(v[i]), rest, alpha)
		v[i] = vi
		if m != nil {
			mi := mean(d, flushed(m[i]), rest)
			m[i] = mi
			vi = max(fma(-mi, mi, vi), 0)
		}
		d /= sqrt(vi) + eps
		if buf != nil {
			d = flushed(fma(momentum, flushed(buf[i]), d))
			buf[i] = d
		}
		p[i] = flushed(fma(-lr, d, x))
	}
}

func adagradGeneric[F Float](p, g, sum []F, s *AdagradScalars) {
	lr, weightDecay, sign, eps := narrowed[F](s.LR), narrowed[F](s.WeightDecay), narrowed[F](s.Sign), narrowed[F](s.Eps)
	for i := range p {
		x := flushed(p[i])
		d := fma(weightDecay, x, sign*flushed(g[i]))
		v := flushed(fma(d, d, flushed(sum[i])))
		sum[i] = v
		p[i] = flushed(fma(-lr, d/(sqrt(v)+eps), x))
	}
}

func adadeltaGeneric[F Float](p, g, v, acc []F, s *AdadeltaScalars) {
	lr, weightDecay, sign := narrowed[F](s.LR), narrowed[F](s.WeightDecay), narrowed[F](s.Sign)
	rho, rest, eps := narrowed[F](s.Rho), narrowed[F](s.OneMinusRho), narrowed[F](s.Eps)
	for i := range p {
		x := flushed(p[i])
		d := fma(weightDecay, x, sign*flushed(g[i]))
		vi, a := meanSquare(d, flushed(v[i]), rest, rho), flushed(acc[i])
		v[i] = vi
		d *= sqrt(a+eps) / sqrt(vi+eps)
		acc[i] = meanSquare(d, a, rest, rho)
		p[i] = flushed(fma(-lr, d, x))
	}
}

func clipGeneric(x []float32, bound float32) {
	for i, v := range x {
		x[i] = flush(min(max(v, -bound), bound))
	}
}
