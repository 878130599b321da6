package kernels

import "unsafe"

// Float is an element of an optimizer's tensors. float32 takes the path of
// [Active]. float64 takes the portable one on every machine: it is for checks
// and judges the float32 update, which has the same source.
type Float interface{ float32 | float64 }

// portable reports whether no assembly serves F on this path.
func portable[F Float](isa ISA) bool {
	var x F
	return isa == Generic || unsafe.Sizeof(x) != unsafe.Sizeof(float32(0))
}

// single returns x where F is float32.
func single[F Float](x *F) *float32 { return (*float32)(unsafe.Pointer(x)) }

// AdamScalars are the numbers of one step t of Adam and its relatives. They are
// rounded to float32 once, by the kernel.
type AdamScalars struct {
	OneMinusBeta1        float64
	Beta2, OneMinusBeta2 float64
	Step                 float64 // Adam: lr / (1 - beta1^t)
	GradStep             float64 // of NAdam only
	BiasCorrection2Sqrt  float64 // sqrt(1 - beta2^t); not of RAdam
	Eps                  float64
	WeightDecay          float64 // coupled: added to the gradient
	Decay                float64 // decoupled: 1 - lr*weight decay; 1 is none
	Sign                 float64 // times the gradient: 1, or -1 to maximize
}

// Adam makes one step of Adam or AdamW in parameters p with gradients g and
// moments m, v, one rounding each operation:
//
//	p = p*Decay
//	g = fma(WeightDecay, p, Sign*g)
//	m = fma(OneMinusBeta1, g-m, m)
//	v = fma(OneMinusBeta2*g, g, Beta2*v)
//	p = p - Step*(m / (sqrt(v)/BiasCorrection2Sqrt + Eps))
//
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Kingma and Ba 2014, algorithm 1; Loshchilov and Hutter 2017 for Decay.
func Adam[F Float](p, g, m, v []F, s AdamScalars) {
	checkMoments("Adam", p, g, m, v)
	isa := use()
	if portable[F](isa) {
		adamGeneric(p, g, m, v, nil, &s, plain)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		adam(isa, single(&p[i]), single(&g[i]), single(&m[i]), single(&v[i]), min(maxWork, n-i), &s)
	}
}

func checkMoments[F Float](fn string, p, g, m, v []F) {
	raceWrite(p)
	reads(fn, "g", g, len(p))
	writes(fn, "m", m, len(p))
	writes(fn, "v", v, len(p))
}

// AMSGrad is Adam whose last line takes, in place of v, the largest v of all
// steps:
//
//	vmax = max(vmax, v)
//	p    = p - Step*(m / (sqrt(vmax)/BiasCorrection2Sqrt + Eps))
//
// vmax is NaN if v is. No two slices may overlap. It panics if the lengths
// differ. Source: Reddi, Kale and Kumar 2018, as PyTorch computes it.
func AMSGrad[F Float](p, g, m, v, vmax []F, s AdamScalars) {
	const fn = "AMSGrad"
	checkMoments(fn, p, g, m, v)
	writes(fn, "vmax", vmax, len(p))
	isa := use()
	if portable[F](isa) {
		adamGeneric(p, g, m, v, vmax, &s, plain)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		amsgrad(isa, single(&p[i]), single(&g[i]), single(&m[i]), single(&v[i]), single(&vmax[i]), min(maxWork, n-i), &s)
	}
}

// NAdam is Adam with another last line:
//
//	p = p - fma(Step, m, GradStep*g) / (sqrt(v)/BiasCorrection2Sqrt + Eps)
//
// Here Step is lr*mu[t+1] / (1 - mu[1]*...*mu[t+1]) and GradStep is
// lr*(1-mu[t]) / (1 - mu[1]*...*mu[t]), of the momenta mu of all steps. No two
// slices may overlap. It panics if the lengths differ. Source: Dozat 2016, as
// PyTorch computes it.
func NAdam[F Float](p, g, m, v []F, s AdamScalars) {
	checkMoments("NAdam", p, g, m, v)
	isa := use()
	if portable[F](isa) {
		adamGeneric(p, g, m, v, nil, &s, nesterov)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		nadam(isa, single(&p[i]), single(&g[i]), single(&m[i]), single(&v[i]), min(maxWork, n-i), &s)
	}
}

// RAdam is Adam with another last line:
//
//	p = p - Step*(m / (sqrt(v) + Eps)) // known: the variance of v is
//	p = fma(-Step, m, p)               // else
//
// Here Step is lr / (1 - beta1^t), times the rectification and sqrt(1 - beta2^t)
// if the variance is known. No two slices may overlap. It panics if the lengths differ.
// Source: Liu et al. 2019, algorithm 2, as PyTorch computes it.
func RAdam[F Float](p, g, m, v []F, known bool, s AdamScalars) {
	checkMoments("RAdam", p, g, m, v)
	isa := use()
	if portable[F](isa) {
		last := warmup
		if known {
			last = rectified
		}
		adamGeneric(p, g, m, v, nil, &s, last)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		p, g, m, v := single(&p[i]), single(&g[i]), single(&m[i]), single(&v[i])
		if known {
			radam(isa, p, g, m, v, min(maxWork, n-i), &s)
		} else {
			radamWarmup(isa, p, g, m, v, min(maxWork, n-i), &s)
		}
	}
}

// SGDScalars are the numbers of one step of SGD. They are rounded to float32
// once, by the kernel. PyTorch's first step is buf = g: Momentum and buf 0,
// OneMinusDampening 1.
type SGDScalars struct {
	LR                float64
	Momentum          float64
	OneMinusDampening float64
	NesterovMomentum  float64 // Momentum, also in the first step; 0: no Nesterov
	WeightDecay       float64 // added to the gradient
	Sign              float64 // times the gradient: 1, or -1 to maximize
}

// SGD makes one step of gradient descent in parameters p with gradients g and
// the momentum buffer buf, one rounding each operation:
//
//	g   = fma(WeightDecay, p, Sign*g)
//	buf = fma(OneMinusDampening, g, Momentum*buf)
//	g   = buf, or with Nesterov's momentum g = fma(NesterovMomentum, buf, g)
//	p   = fma(-LR, g, p)
//
// Without buf (nil) there is no momentum: the first line and the last remain.
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Sutskever, Martens, Dahl and Hinton 2013, as PyTorch computes it.
func SGD[F Float](p, g, buf []F, s SGDScalars) {
	const fn = "SGD"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	if buf != nil {
		writes(fn, "buf", buf, len(p))
	}
	isa := use()
	if portable[F](isa) {
		sgdGeneric(p, g, buf, &s)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		p, g := single(&p[i]), single(&g[i])
		switch {
		case buf == nil:
			sgd(isa, p, g, min(maxWork, n-i), &s)
		case s.NesterovMomentum == 0:
			sgdMomentum(isa, p, g, single(&buf[i]), min(maxWork, n-i), &s)
		default:
			sgdNesterov(isa, p, g, single(&buf[i]), min(maxWork, n-i), &s)
		}
	}
}

// RMSpropScalars are the numbers of a step of RMSprop. They are rounded to
// float32 once, by the kernel.
type RMSpropScalars struct {
	LR                   float64
	Alpha, OneMinusAlpha float64
	Eps                  float64
	Momentum             float64
	WeightDecay          float64 // added to the gradient
	Sign                 float64 // times the gradient: 1, or -1 to maximize
}

// RMSprop makes one step of RMSprop in parameters p with gradients g, their mean
// square v, their mean m and the momentum buffer buf, one rounding each
// operation:
//
//	g   = fma(WeightDecay, p, Sign*g)
//	v   = fma(OneMinusAlpha*g, g, Alpha*v)
//	m   = fma(OneMinusAlpha, g-m, m)
//	d   = g / (sqrt(max(fma(-m, m, v), 0)) + Eps)
//	buf = fma(Momentum, buf, d)
//	p   = fma(-LR, buf, p)
//
// Without m (nil) it is not centered: v stands for v - m². Without buf there is
// no momentum: d stands for buf. A variance that rounding makes negative counts
// as 0 (PyTorch computes NaN).
//
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Tieleman and Hinton 2012; Graves 2013 (centered), as PyTorch computes
// it.
func RMSprop[F Float](p, g, v, m, buf []F, s RMSpropScalars) {
	const fn = "RMSprop"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	writes(fn, "v", v, len(p))
	if m != nil {
		writes(fn, "m", m, len(p))
	}
	if buf != nil {
		writes(fn, "buf", buf, len(p))
	}
	isa := use()
	if portable[F](isa) {
		rmspropGeneric(p, g, v, m, buf, &s)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		p, g, v := single(&p[i]), single(&g[i]), single(&v[i])
		switch {
		case m == nil && buf == nil:
			rmsprop(isa, p, g, v, min(maxWork, n-i), &s)
		case buf == nil:
			rmspropCentered(isa, p, g, v, single(&m[i]), min(maxWork, n-i), &s)
		case m == nil:
			rmspropMomentum(isa, p, g, v, single(&buf[i]), min(maxWork, n-i), &s)
		default:
			rmspropCenteredMomentum(isa, p, g, v, single(&m[i]), single(&buf[i]), min(maxWork, n-i), &s)
		}
	}
}

// AdagradScalars are the numbers of one step of Adagrad. They are rounded to
// float32 once, by the kernel.
type AdagradScalars struct {
	LR          float64 // decayed
	Eps         float64
	WeightDecay float64 // added to the gradient
	Sign        float64 // times the gradient: 1, or -1 to maximize
}

// Adagrad makes one step of Adagrad in parameters p with gradients g and the sum
// of their squares, one rounding each operation:
//
//	g   = fma(WeightDecay, p, Sign*g)
//	sum = fma(g, g, sum)
//	p   = fma(-LR, g / (sqrt(sum) + Eps), p)
//
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Duchi, Hazan and Singer 2011, figure 1 with diagonal matrices.
func Adagrad[F Float](p, g, sum []F, s AdagradScalars) {
	const fn = "Adagrad"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	writes(fn, "sum", sum, len(p))
	isa := use()
	if portable[F](isa) {
		adagradGeneric(p, g, sum, &s)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		adagrad(isa, single(&p[i]), single(&g[i]), single(&sum[i]), min(maxWork, n-i), &s)
	}
}

// AdadeltaScalars are the numbers of one step of Adadelta. They are rounded to
// float32 once, by the kernel.
type AdadeltaScalars struct {
	LR               float64
	Rho, OneMinusRho float64
	Eps              float64
	WeightDecay      float64 // added to the gradient
	Sign             float64 // times the gradient: 1, or -1 to maximize
}

// Adadelta makes one step of Adadelta in parameters p with gradients g, the mean
// square v of these and the mean square acc of the updates, one rounding each
// operation:
//
//	g   = fma(WeightDecay, p, Sign*g)
//	v   = fma(OneMinusRho*g, g, Rho*v)
//	d   = sqrt(acc + Eps) / sqrt(v + Eps) * g
//	acc = fma(OneMinusRho*d, d, Rho*acc)
//	p   = fma(-LR, d, p)
//
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Zeiler 2012, algorithm 1.
func Adadelta[F Float](p, g, v, acc []F, s AdadeltaScalars) {
	const fn = "Adadelta"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	writes(fn, "v", v, len(p))
	writes(fn, "acc", acc, len(p))
	isa := use()
	if portable[F](isa) {
		adadeltaGeneric(p, g, v, acc, &s)
		return
	}
	n := len(p)
	for i := 0; i < n; i += maxWork {
		adadelta(isa, single(&p[i]), single(&g[i]), single(&v[i]), single(&acc[i]), min(maxWork, n-i), &s)
	}
}

// Clip sets x[i] = min(max(x[i], -bound), bound), where bound is at least 0.
// NaN stays NaN.
func Clip(x []float32, bound float32) {
	raceWrite(x)
	isa := use()
	if isa == Generic {
		clipGeneric(x, bound)
		return
	}
	n := len(x)
	for i := 0; i < n; i += maxWork {
		clip(isa, &x[i], min(maxWork, n-i), -bound, bound)
	}
}
