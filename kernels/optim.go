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
		adamGeneric(p, g, m, v, nil, &s)
		return
	}
	for t := tiles(1, len(p)); t.rows > 0; t = t.next(1, len(p)) {
		adam(isa, &p[t.col], &g[t.col], &m[t.col], &v[t.col], t.cols, &s)
	}
}

// AMSGrad is Adam whose last line takes, in place of v, the largest v of all
// steps:
//
//	vmax = max(vmax, v)
//	p    = p - Step*(m / (sqrt(vmax)/BiasCorrection2Sqrt + Eps))
//
// vmax is NaN if v is. No two slices may overlap. It panics if the lengths
// differ. Source: Reddi, Kale and Kumar 2018, as PyTorch computes it.
func AMSGrad(p, g, m, v, vmax []float32, s AdamScalars) {
	const fn = "AMSGrad"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	writes(fn, "m", m, len(p))
	writes(fn, "v", v, len(p))
	writes(fn, "vmax", vmax, len(p))
	isa := use()
	if isa == Generic {
		adamGeneric(p, g, m, v, vmax, &s)
		return
	}
	for t := tiles(1, len(p)); t.rows > 0; t = t.next(1, len(p)) {
		amsgrad(isa, &p[t.col], &g[t.col], &m[t.col], &v[t.col], &vmax[t.col], t.cols, &s)
	}
}

// SGDScalars are the numbers of one step of SGD, computed in float64 and rounded
// once. PyTorch's first step is buf = g: Momentum and buf 0, OneMinusDampening 1.
type SGDScalars struct {
	LR                float32
	Momentum          float32
	OneMinusDampening float32
	NesterovMomentum  float32 // Momentum, also in the first step; 0: no Nesterov
	WeightDecay       float32 // added to the gradient
}

// SGD makes one step of gradient descent in parameters p with gradients g and
// the momentum buffer buf, one rounding each operation:
//
//	g   = fma(WeightDecay, p, g)
//	buf = fma(OneMinusDampening, g, Momentum*buf)
//	g   = buf, or with Nesterov's momentum g = fma(NesterovMomentum, buf, g)
//	p   = fma(-LR, g, p)
//
// Without buf (nil) there is no momentum: the first line and the last remain.
// g is not written. No two slices may overlap. It panics if the lengths differ.
// Source: Sutskever, Martens, Dahl and Hinton 2013, as PyTorch computes it.
func SGD(p, g, buf []float32, s SGDScalars) {
	const fn = "SGD"
	raceWrite(p)
	reads(fn, "g", g, len(p))
	if buf != nil {
		writes(fn, "buf", buf, len(p))
	}
	isa := use()
	if isa == Generic {
		sgdGeneric(p, g, buf, &s)
		return
	}
	for t := tiles(1, len(p)); t.rows > 0; t = t.next(1, len(p)) {
		switch {
		case buf == nil:
			sgd(isa, &p[t.col], &g[t.col], t.cols, &s)
		case s.NesterovMomentum == 0:
			sgdMomentum(isa, &p[t.col], &g[t.col], &buf[t.col], t.cols, &s)
		default:
			sgdNesterov(isa, &p[t.col], &g[t.col], &buf[t.col], t.cols, &s)
		}
	}
}

// RMSpropScalars are the numbers of a step of RMSprop, computed in float64 and
// rounded once.
type RMSpropScalars struct {
	LR                   float32
	Alpha, OneMinusAlpha float32
	Eps                  float32
	Momentum             float32
	WeightDecay          float32 // added to the gradient
}

// RMSprop makes one step of RMSprop in parameters p with gradients g, their mean
// square v, their mean m and the momentum buffer buf, one rounding each
// operation:
//
//	g   = fma(WeightDecay, p, g)
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
func RMSprop(p, g, v, m, buf []float32, s RMSpropScalars) {
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
	if isa == Generic {
		rmspropGeneric(p, g, v, m, buf, &s)
		return
	}
	for t := tiles(1, len(p)); t.rows > 0; t = t.next(1, len(p)) {
		p, g, v := &p[t.col], &g[t.col], &v[t.col]
		switch {
		case m == nil && buf == nil:
			rmsprop(isa, p, g, v, t.cols, &s)
		case buf == nil:
			rmspropCentered(isa, p, g, v, &m[t.col], t.cols, &s)
		case m == nil:
			rmspropMomentum(isa, p, g, v, &buf[t.col], t.cols, &s)
		default:
			rmspropCenteredMomentum(isa, p, g, v, &m[t.col], &buf[t.col], t.cols, &s)
		}
	}
}
