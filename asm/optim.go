package main

import "github.com/simdrnn/simdrnn/asm/vec"

func optimizers(g *vec.Gen, t target) {
	adam(g, "adam", "makes one step of Adam.", false)
	adam(g, "amsgrad", "makes one step of Adam with the largest second moment.", true)
	nadam(g)
	radam(g, "radam", "makes one step of RAdam.", true)
	radam(g, "radamWarmup", "makes one step of RAdam whose variance is not known yet.", false)
	sgd(g, "sgd", "makes one step of gradient descent.", false, false)
	sgd(g, "sgdMomentum", "makes one step of gradient descent with momentum.", true, false)
	sgd(g, "sgdNesterov", "makes one step of gradient descent with Nesterov's momentum.", true, true)
	rmsprop(g, "rmsprop", "makes one step of RMSprop.", false, false)
	rmsprop(g, "rmspropCentered", "makes one step of centered RMSprop.", true, false)
	rmsprop(g, "rmspropMomentum", "makes one step of RMSprop with momentum.", false, true)
	rmsprop(g, "rmspropCenteredMomentum", "makes one step of centered RMSprop with momentum.", true, true)
	adagrad(g)
	adadelta(g)
	clip(g, t)
}

// An update is a kernel of an optimizer.
type update struct {
	*vec.Func
	typ               string // of its scalars
	s                 vec.GP // their address
	weightDecay, sign vec.R
}

func newUpdate(g *vec.Gen, name, doc, typ string, operands ...string) *update {
	k := &update{Func: g.Flat(name, doc, operands, ", s *"+typ), typ: typ}
	k.s = k.Arg("s")
	k.weightDecay, k.sign = k.scalar("WeightDecay"), k.scalar("Sign")
	return k
}

// scalar returns a field, rounded, in all lanes.
func (u *update) scalar(field string) vec.R {
	d := u.Vec()
	u.SplatDouble(u.Field(u.s, u.typ, field), d)
	u.Keep(d)
	return d
}

// load returns the current elements of an operand.
func (u *update) load(operand string) vec.V { return u.Func.Load(operand, 0) }

// gradient returns fma(WeightDecay, p, Sign*grad).
func (u *update) gradient(p vec.V) vec.V {
	return u.FMA(p, u.All(u.weightDecay), u.Mul(u.load("grad"), u.All(u.sign)))
}

// square returns fma(rest*d, d, decay*v), the new mean of squares.
func (u *update) square(d vec.V, rest, decay vec.R, v vec.V) vec.V {
	return u.FMA(u.Mul(d, u.All(rest)), d, u.Mul(v, u.All(decay)))
}

// mean returns fma(rest, d-m, m), the new mean.
func (u *update) mean(d vec.V, rest vec.R, m vec.V) vec.V {
	return u.FMA(u.Sub(d, m), u.All(rest), m)
}

// moments are what the relatives of Adam begin with.
type moments struct {
	*update
	decay, rest1, beta2, rest2 vec.R
}

func newMoments(g *vec.Gen, name, doc string, more ...string) *moments {
	k := &moments{update: newUpdate(g, name, doc, "AdamScalars", append([]string{"p", "grad", "m", "v"}, more...)...)}
	k.decay, k.rest1 = k.scalar("Decay"), k.scalar("OneMinusBeta1")
	k.beta2, k.rest2 = k.scalar("Beta2"), k.scalar("OneMinusBeta2")
	return k
}

// begin emits
//
//	p = p*Decay
//	g = fma(WeightDecay, p, Sign*g)
//	m = fma(OneMinusBeta1, g-m, m)
//	v = fma(OneMinusBeta2*g, g, Beta2*v)
func (k *moments) begin() (p, d, m, v vec.V) {
	p = k.Mul(k.load("p"), k.All(k.decay))
	d = k.gradient(p)
	m = k.mean(d, k.rest1, k.load("m"))
	v = k.square(d, k.rest2, k.beta2, k.load("v"))
	k.Store("m", 0, m)
	k.Store("v", 0, v)
	return p, d, m, v
}

// adam emits moments.begin and
//
//	p = p - Step*(m / (sqrt(v)/BiasCorrection2Sqrt + Eps))
//
// where with top vmax = max(vmax, v) takes the place of v.
func adam(g *vec.Gen, name, doc string, top bool) {
	var more []string
	if top {
		more = append(more, "vmax")
	}
	k := newMoments(g, name, doc, more...)
	step, correction, eps := k.scalar("Step"), k.scalar("BiasCorrection2Sqrt"), k.scalar("Eps")
	k.Map(1, func() {
		p, _, m, v := k.begin()
		if top {
			g.GreaterTo(v, k.load("vmax"))
			k.Store("vmax", 0, v)
		}
		den := g.Add(g.Div(g.Sqrt(v), k.All(correction)), k.All(eps))
		k.Store("p", 0, g.Sub(p, g.Mul(g.Div(m, den), k.All(step))))
	})
}

// nadam emits moments.begin and
//
//	p = p - fma(Step, m, GradStep*g) / (sqrt(v)/BiasCorrection2Sqrt + Eps)
func nadam(g *vec.Gen) {
	k := newMoments(g, "nadam", "makes one step of NAdam.")
	step, gradStep := k.scalar("Step"), k.scalar("GradStep")
	correction, eps := k.scalar("BiasCorrection2Sqrt"), k.scalar("Eps")
	k.Map(1, func() {
		p, d, m, v := k.begin()
		num := g.FMA(m, k.All(step), g.Mul(d, k.All(gradStep)))
		den := g.Add(g.Div(g.Sqrt(v), k.All(correction)), k.All(eps))
		k.Store("p", 0, g.Sub(p, g.Div(num, den)))
	})
}

// radam emits moments.begin and
//
//	p = p - Step*(m / (sqrt(v) + Eps)), or p = fma(-Step, m, p)
//
// the latter unless it is rectified.
func radam(g *vec.Gen, name, doc string, rectified bool) {
	k := newMoments(g, name, doc)
	step := k.scalar("Step")
	var eps vec.R
	if rectified {
		eps = k.scalar("Eps")
	}
	k.Map(1, func() {
		p, _, m, v := k.begin()
		if rectified {
			p = g.Sub(p, g.Mul(g.Div(m, g.Add(g.Sqrt(v), k.All(eps))), k.All(step)))
		} else {
			p = g.FNMA(m, k.All(step), p)
		}
		k.Store("p", 0, p)
	})
}

// sgd emits
//
//	g   = fma(WeightDecay, p, Sign*g)
//	buf = fma(OneMinusDampening, g, Momentum*buf)
//	g   = buf, or with Nesterov's momentum fma(NesterovMomentum, buf, g)
//	p   = fma(-LR, g, p)
//
// without the two lines in the middle if there is no momentum.
func sgd(g *vec.Gen, name, doc string, momentum, nesterov bool) {
	operands := []string{"p", "grad"}
	if momentum {
		operands = append(operands, "buf")
	}
	k := newUpdate(g, name, doc, "SGDScalars", operands...)
	lr := k.scalar("LR")
	var mu, rest, ahead vec.R
	if momentum {
		mu, rest = k.scalar("Momentum"), k.scalar("OneMinusDampening")
	}
	if nesterov {
		ahead = k.scalar("NesterovMomentum")
	}
	k.Map(1, func() {
		p := k.load("p")
		d := k.gradient(p)
		if momentum {
			buf := g.FMA(d, k.All(rest), g.Mul(k.load("buf"), k.All(mu)))
			k.Store("buf", 0, buf)
			if nesterov {
				d = g.FMA(buf, k.All(ahead), d)
			} else {
				d = buf
			}
		}
		k.Store("p", 0, g.FNMA(d, k.All(lr), p))
	})
}

// rmsprop emits
//
//	g   = fma(WeightDecay, p, Sign*g)
//	v   = fma(OneMinusAlpha*g, g, Alpha*v)
//	m   = fma(OneMinusAlpha, g-m, m)
//	d   = g / (sqrt(max(fma(-m, m, v), 0)) + Eps)
//	buf = fma(Momentum, buf, d)
//	p   = fma(-LR, buf, p)
//
// without m unless it is centered, and with d for buf without momentum.
func rmsprop(g *vec.Gen, name, doc string, centered, momentum bool) {
	operands := []string{"p", "grad", "v"}
	if centered {
		operands = append(operands, "m")
	}
	if momentum {
		operands = append(operands, "buf")
	}
	k := newUpdate(g, name, doc, "RMSpropScalars", operands...)
	lr, alpha, rest, eps := k.scalar("LR"), k.scalar("Alpha"), k.scalar("OneMinusAlpha"), k.scalar("Eps")
	var mu vec.R
	if momentum {
		mu = k.scalar("Momentum")
	}
	var zero *vec.K
	if centered {
		zero = g.Const(0)
	}
	k.Map(1, func() {
		p := k.load("p")
		d := k.gradient(p)
		v := k.square(d, rest, alpha, k.load("v"))
		k.Store("v", 0, v)
		if centered {
			m := k.mean(d, rest, k.load("m"))
			k.Store("m", 0, m)
			v = g.MaxK(g.FNMA(m, m, v), zero)
		}
		d = g.Div(d, g.Add(g.Sqrt(v), k.All(eps)))
		if momentum {
			d = g.FMA(k.load("buf"), k.All(mu), d)
			k.Store("buf", 0, d)
		}
		k.Store("p", 0, g.FNMA(d, k.All(lr), p))
	})
}

// adagrad emits
//
//	g   = fma(WeightDecay, p, Sign*g)
//	sum = fma(g, g, sum)
//	p   = fma(-LR, g / (sqrt(sum) + Eps), p)
func adagrad(g *vec.Gen) {
	k := newUpdate(g, "adagrad", "makes one step of Adagrad.", "AdagradScalars", "p", "grad", "sum")
	lr, eps := k.scalar("LR"), k.scalar("Eps")
	k.Map(1, func() {
		p := k.load("p")
		d := k.gradient(p)
		sum := g.FMA(d, d, k.load("sum"))
		k.Store("sum", 0, sum)
		d = g.Div(d, g.Add(g.Sqrt(sum), k.All(eps)))
		k.Store("p", 0, g.FNMA(d, k.All(lr), p))
	})
}

// adadelta emits
//
//	g   = fma(WeightDecay, p, Sign*g)
//	v   = fma(OneMinusRho*g, g, Rho*v)
//	d   = sqrt(acc + Eps) / sqrt(v + Eps) * g
//	acc = fma(OneMinusRho*d, d, Rho*acc)
//	p   = fma(-LR, d, p)
func adadelta(g *vec.Gen) {
	k := newUpdate(g, "adadelta", "makes one step of Adadelta.", "AdadeltaScalars", "p", "grad", "v", "acc")
	lr, rho, rest, eps := k.scalar("LR"), k.scalar("Rho"), k.scalar("OneMinusRho"), k.scalar("Eps")
	k.Map(1, func() {
		p := k.load("p")
		d := k.gradient(p)
		v := k.square(d, rest, rho, k.load("v"))
		k.Store("v", 0, v)
		acc := k.load("acc")
		root := g.Div(g.Sqrt(g.Add(acc, k.All(eps))), g.Sqrt(g.Add(v, k.All(eps))))
		d = g.Mul(root, d)
		k.Store("acc", 0, k.square(d, rest, rho, acc))
		k.Store("p", 0, g.FNMA(d, k.All(lr), p))
	})
}

// clip emits x = min(max(x, lo), hi). The product with 1 flushes x, which the
// others do not on every machine.
func clip(g *vec.Gen, t target) {
	k := g.Flat("clip", "limits x to lo ... hi.", []string{"x"}, ", lo, hi float32")
	lo, hi, one := splat(k, k.Param("lo")), splat(k, k.Param("hi")), g.Const(1)
	k.Map(t.unroll, func() {
		k.Store("x", 0, g.Within(g.MulK(k.Load("x", 0), one), k.All(lo), k.All(hi)))
	})
}
