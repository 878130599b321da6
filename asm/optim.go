package main

import "github.com/simdrnn/simdrnn/asm/vec"

func optimizers(g *vec.Gen, _ target) {
	adam(g, "adam", "makes one step of Adam.", false)
	adam(g, "amsgrad", "makes one step of Adam with the largest second moment.", true)
	sgd(g, "sgd", "makes one step of gradient descent.", false, false)
	sgd(g, "sgdMomentum", "makes one step of gradient descent with momentum.", true, false)
	sgd(g, "sgdNesterov", "makes one step of gradient descent with Nesterov's momentum.", true, true)
	rmsprop(g, "rmsprop", "makes one step of RMSprop.", false, false)
	rmsprop(g, "rmspropCentered", "makes one step of centered RMSprop.", true, false)
	rmsprop(g, "rmspropMomentum", "makes one step of RMSprop with momentum.", false, true)
	rmsprop(g, "rmspropCenteredMomentum", "makes one step of centered RMSprop with momentum.", true, true)
}

// An update is a kernel of an optimizer.
type update struct {
	*vec.Func
	typ string // of its scalars
	s   vec.GP // their address
}

func newUpdate(g *vec.Gen, name, doc, typ string, operands ...string) *update {
	k := g.Flat(name, doc, operands, ", s *"+typ)
	return &update{k, typ, k.Arg("s")}
}

// scalar returns a field in all lanes.
func (u *update) scalar(field string) vec.R { return splat(u.Func, u.Field(u.s, u.typ, field)) }

// load returns the current elements of an operand.
func (u *update) load(operand string) vec.V { return u.Func.Load(operand, 0) }

// gradient returns fma(WeightDecay, p, grad).
func (u *update) gradient(p vec.V, weightDecay vec.R) vec.V {
	return u.FMA(p, u.All(weightDecay), u.load("grad"))
}

// square returns fma(rest*d, d, decay*v), the new mean of squares.
func (u *update) square(d vec.V, rest, decay vec.R) vec.V {
	return u.FMA(u.Mul(d, u.All(rest)), d, u.Mul(u.load("v"), u.All(decay)))
}

// mean returns fma(rest, d-m, m), the new mean.
func (u *update) mean(d vec.V, rest vec.R, m vec.V) vec.V {
	return u.FMA(u.Sub(d, m), u.All(rest), m)
}

// adam emits
//
//	p = p*Decay
//	g = fma(WeightDecay, p, g)
//	m = fma(OneMinusBeta1, g-m, m)
//	v = fma(OneMinusBeta2*g, g, Beta2*v)
//	p = p - Step*(m / (sqrt(v)/BiasCorrection2Sqrt + Eps))
//
// where with top vmax = max(vmax, v) takes the place of v in the last line.
func adam(g *vec.Gen, name, doc string, top bool) {
	operands := []string{"p", "grad", "m", "v"}
	if top {
		operands = append(operands, "vmax")
	}
	k := newUpdate(g, name, doc, "AdamScalars", operands...)
	decay, weightDecay := k.scalar("Decay"), k.scalar("WeightDecay")
	rest1, beta2, rest2 := k.scalar("OneMinusBeta1"), k.scalar("Beta2"), k.scalar("OneMinusBeta2")
	step, correction, eps := k.scalar("Step"), k.scalar("BiasCorrection2Sqrt"), k.scalar("Eps")
	k.Map(1, func() {
		p := g.Mul(k.load("p"), k.All(decay))
		d := k.gradient(p, weightDecay)
		m := k.mean(d, rest1, k.load("m"))
		v := k.square(d, rest2, beta2)
		k.Store("m", 0, m)
		k.Store("v", 0, v)
		if top {
			g.GreaterTo(v, k.load("vmax"))
			k.Store("vmax", 0, v)
		}
		den := g.Add(g.Div(g.Sqrt(v), k.All(correction)), k.All(eps))
		k.Store("p", 0, g.Sub(p, g.Mul(g.Div(m, den), k.All(step))))
	})
}

// sgd emits
//
//	g   = fma(WeightDecay, p, g)
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
	lr, weightDecay := k.scalar("LR"), k.scalar("WeightDecay")
	var mu, rest, ahead vec.R
	if momentum {
		mu, rest = k.scalar("Momentum"), k.scalar("OneMinusDampening")
	}
	if nesterov {
		ahead = k.scalar("NesterovMomentum")
	}
	k.Map(1, func() {
		p := k.load("p")
		d := k.gradient(p, weightDecay)
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
//	g   = fma(WeightDecay, p, g)
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
	lr, weightDecay, alpha, rest := k.scalar("LR"), k.scalar("WeightDecay"), k.scalar("Alpha"), k.scalar("OneMinusAlpha")
	eps := k.scalar("Eps")
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
		d := k.gradient(p, weightDecay)
		v := k.square(d, rest, alpha)
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
