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

// A relative of Adam names its last line.
type relative int

const (
	plain relative = iota // Adam and AMSGrad
	nesterov
	rectified
	warmup
)

// adamGeneric is Adam or a relative; with vmax, AMSGrad. Helpers with a name cost
// half the speed here, as they are too long to be inlined.
func adamGeneric[F Float](p, g, m, v, vmax []F, s *AdamScalars, last relative) {
	decay, weightDecay, sign := narrowed[F](s.Decay), narrowed[F](s.WeightDecay), narrowed[F](s.Sign)
	rest1, beta2, rest2 := narrowed[F](s.OneMinusBeta1), narrowed[F](s.Beta2), narrowed[F](s.OneMinusBeta2)
	step, gradStep := narrowed[F](s.Step), narrowed[F](s.GradStep)
	correction, eps := narrowed[F](s.BiasCorrection2Sqrt), narrowed[F](s.Eps)
	for i := range p {
		x, mi, vi := flushed(p[i])*decay, flushed(m[i]), flushed(v[i])
		d := fma(weightDecay, x, sign*flushed(g[i]))
		mi = flushed(fma(rest1, d-mi, mi))
		vi = flushed(fma(rest2*d, d, beta2*vi))
		m[i], v[i] = mi, vi
		if vmax != nil {
			vi = max(vi, flushed(vmax[i]))
			vmax[i] = vi
		}
		switch last {
		case plain:
			x -= F(step * (mi / (sqrt(vi)/correction + eps)))
		case nesterov:
			x -= fma(step, mi, gradStep*d) / (sqrt(vi)/correction + eps)
		case rectified:
			x -= F(step * (mi / (sqrt(vi) + eps)))
		case warmup:
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
		vi := flushed(fma(rest*d, d, alpha*flushed(v[i])))
		v[i] = vi
		if m != nil {
			mi := flushed(m[i])
			mi = flushed(fma(rest, d-mi, mi))
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
		vi, a := flushed(fma(rest*d, d, rho*flushed(v[i]))), flushed(acc[i])
		v[i] = vi
		d *= sqrt(a+eps) / sqrt(vi+eps)
		acc[i] = flushed(fma(rest*d, d, rho*a))
		p[i] = flushed(fma(-lr, d, x))
	}
}

func clipGeneric(x []float32, bound float32) {
	for i, v := range x {
		x[i] = flush(min(max(v, -bound), bound))
	}
}
