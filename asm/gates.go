package main

import (
	"github.com/simdrnn/simdrnn/asm/approx"
	"github.com/simdrnn/simdrnn/asm/vec"
)

// The fused gates. e(x) ~ exp(-x) comes as p·s with a polynomial p and a power
// of two s, so that 1+exp(-x) is one fused multiply-add; tanh(x) comes as 2M/K,
// so that divisions can be shared. The coefficients are in package approx.

// plain and packed are operands with a column for each unit, and for each gate
// of each unit.
func plain(name string) vec.Operand             { return vec.Operand{Name: name, Gates: 1} }
func packed(name string, gates int) vec.Operand { return vec.Operand{Name: name, Gates: gates} }

// gates holds the constants of e and T.
type gates struct {
	*vec.Gen
	log2e, ln2, least, most *vec.K // of e
	full, half              *vec.K // rounding, for exp(-x) and half of it
	end, negEnd, tiny       *vec.K // of T
	num, den                vec.Poly
}

func newGates(g *vec.Gen) *gates {
	return &gates{Gen: g,
		most: g.Const(40), least: g.Const(-40), log2e: g.Const(approx.Log2E), ln2: g.Const(approx.Ln2),
		half: g.Const(round + 126), end: g.Const(approx.TanhEnd), negEnd: g.Const(-approx.TanhEnd),
		tiny: g.Const(0x1p-100), full: g.Const(round + 127),
		num: g.Poly(approx.TanhRatio.Poly.C...),
		den: g.Poly(approx.TanhRatio.Den.C...),
	}
}

// degree5 and degree6 are exp(-r), for gates that are multiplied once and, with
// the error that the forget gate may have, many times.
func (g *gates) degree5() vec.Poly { return g.Poly(approx.ExpNeg5.Poly.C...) }
func (g *gates) degree6() vec.Poly { return g.Poly(approx.ExpNeg6.Poly.C...) }

// onePlusExp returns 1 + exp(-x), or half of it where one is 0.5 and rounding
// g.half:
//
//	y = rounding - x*log2e; n = y - rounding; s = 2^n; r = x + n*ln2
//	return fma(p(r), s, one)
func (g *gates) onePlusExp(x vec.V, p vec.Poly, rounding, one *vec.K) vec.V {
	x = g.MaxK(g.MinK(x, g.most), g.least)
	y := g.FNMAK(x, g.log2e, g.Fill(rounding, len(x)))
	n := g.SubK(y, rounding)
	s := g.Shl(y, 23)
	r := g.FMAK(n, g.ln2, x)
	return g.FMAConst(g.Eval(p, r), s, one)
}

// tanhRatio returns M and K with tanh(x) = 2M/K. N/q ~ tanh(x/2) is rational,
// and 2Nq/(N²+q²) doubles the argument. The square has 2^-100 added, because
// that of a small x would be subnormal.
func (g *gates) tanhRatio(x vec.V) (m, k vec.V) {
	x = g.MaxK(g.MinK(x, g.end), g.negEnd)
	z := g.FMA(x, x, g.Fill(g.tiny, len(x)))
	n := g.Mul(x, g.Eval(g.num, z))
	q := g.Eval(g.den, z)
	m = g.Mul(n, q)
	return m, g.FMA(n, n, g.Mul(q, q))
}

func allGates(g *vec.Gen, t target) {
	rnnForward(g, t)
	rnnBackward(g, t)
	lstmForward(g, t, "lstmForward", "sets h and c from the pre-activations i,f,g,o.", false, false)
	lstmForward(g, t, "lstmForwardTrain", "is lstmForward and leaves i,f,g,o in gates.", true, false)
	lstmForward(g, t, "lstmPeepholeForward", "is lstmForward with peepholes p.", false, true)
	lstmForward(g, t, "lstmPeepholeForwardTrain", "is lstmPeepholeForward and leaves i,f,g,o in gates.", true, true)
	lstmBackward(g, t, "lstmBackward", "sets gates and dc to the gradients of the pre-activations and of cPrev.", false)
	lstmBackward(g, t, "lstmPeepholeBackward", "is lstmBackward with peepholes p.", true)
	gruForward(g, t, "gruForward", "sets h from the pre-activations r,z,n.", false)
	gruForward(g, t, "gruForwardTrain", "is gruForward and leaves r,z,n in gx.", true)
	gruBackward(g, t)
	mulAddRows(g, t)
	lstmPeepholeSums(g)
	lstmHalves(g, t)
	gateOrder(g, t)
}

func rnnForward(g *vec.Gen, t target) {
	k := g.Rows("rnnTanhForward", "sets h = tanh(gates).", plain("h"), plain("gates"))
	g.Reserve(5 * t.gateUnroll)
	act := rnnTanh(g)
	k.Map(t.gateUnroll, func() { k.Store("h", 0, act(k.Load("gates", 0))) })

	k = g.Rows("rnnReLUForward", "sets h = max(gates, 0).", plain("h"), plain("gates"))
	act = rnnReLU(g)
	k.Map(t.gateUnroll, func() { k.Store("h", 0, act(k.Load("gates", 0))) })
}

func rnnTanh(g *vec.Gen) func(vec.V) vec.V {
	c := newGates(g)
	return func(x vec.V) vec.V {
		m, d := c.tanhRatio(x)
		return g.Div(g.Add(m, m), d)
	}
}

// rnnReLU adds +0, which makes +0 of -0 and of subnormals.
func rnnReLU(g *vec.Gen) func(vec.V) vec.V {
	zero := g.Const(0)
	return func(x vec.V) vec.V { return g.AddK(g.MaxK(x, zero), zero) }
}

func rnnBackward(g *vec.Gen, t target) {
	k := g.Rows("rnnTanhBackward", "sets dGates = dh*(1-h²).", plain("dGates"), plain("dh"), plain("h"))
	one := g.Const(1)
	k.Map(t.gateUnroll, func() {
		h := k.Load("h", 0)
		k.Store("dGates", 0, g.Mul(k.Load("dh", 0), g.FNMA(h, h, g.Fill(one, len(h)))))
	})

	// Multiplying by 1 flushes subnormals.
	k = g.Rows("rnnReLUBackward", "sets dGates = dh where h > 0, else 0.", plain("dGates"), plain("dh"), plain("h"))
	one = g.Const(1)
	k.Map(t.gateUnroll, func() {
		k.Store("dGates", 0, g.Positive(k.Load("h", 0), g.MulK(k.Load("dh", 0), one)))
	})
}

// lstmForward emits
//
//	I = (1+e(i))/2;  F = 1+e(f);  O = (1+e(o))/2
//	M, K = T(g);     R = 1/(I*K); c = fma(1/F, cPrev, M*R)
//	M, K = T(c);     h = M/(O*K)
//
// and in training i = K/2*R, f = 1/F, g = 2M*I*R, o = 0.5/O of the first M, K.
// Peepholes p add to the pre-activations before that:
//
//	i = fma(pi, cPrev, i);  f = fma(pf, cPrev, f);  o = fma(po, c, o)
func lstmForward(g *vec.Gen, t target, name, doc string, train, peephole bool) {
	k := g.Rows(name, doc, lstmOperands(peephole)...)
	lstmGates(k, t, train, peephole, k.Stages)
}

// walk is what takes the stages of a body through all units, as vec.Func.Stages does.
type walk = func(unroll int, stages ...vec.Stage)

func lstmOperands(peephole bool) []vec.Operand {
	o := []vec.Operand{plain("h"), plain("c"), packed("gates", 4), plain("cPrev")}
	if peephole {
		o = append(o, packed("p", 3)) // i,f,o
	}
	return o
}

func lstmGates(k *vec.Func, t target, train, peephole bool, walk walk) {
	l := newLSTM(k, t, train, peephole)
	p6 := l.e.degree6()
	exponentials := func([]vec.V) []vec.V { return l.exponentials(p6) }
	cell := func(v []vec.V) []vec.V {
		c := l.cell(v)
		if peephole {
			return []vec.V{c}
		}
		return []vec.V{c, l.output(nil)}
	}
	hidden := func(v []vec.V) []vec.V {
		k.Comment("h of the units before.")
		c := v[0]
		var o vec.V
		if peephole {
			o = l.output(c)
		} else {
			o = v[1]
		}
		k.Store("h", 0, l.hidden(c, o))
		return nil
	}
	walk(t.gateUnroll, atMost(t.gateStages, exponentials, cell, hidden)...)
}

// atMost joins the first stages so that there are at most n.
func atMost(n int, stages ...vec.Stage) []vec.Stage {
	for len(stages) > n {
		a, b := stages[0], stages[1]
		stages = append([]vec.Stage{func(v []vec.V) []vec.V { return b(a(v)) }}, stages[2:]...)
	}
	return stages
}

// lstm holds what the gates of an LSTM share.
type lstm struct {
	*vec.Func
	e               *gates
	one, half       *vec.K
	p5              vec.Poly
	train, peephole bool
}

func newLSTM(k *vec.Func, t target, train, peephole bool) *lstm {
	k.Reserve(t.gateRegisters)
	l := &lstm{Func: k, e: newGates(k.Gen), train: train, peephole: peephole}
	l.one, l.half = k.Const(1), k.Const(0.5)
	l.p5 = l.e.degree5()
	return l
}

// input returns the pre-activation of a gate, which looks at c through peephole p.
func (l *lstm) input(gate, p int, c vec.V) vec.V {
	x := l.Load("gates", gate)
	if l.peephole {
		x = l.FMA(l.Load("p", p), c, x)
	}
	return x
}

// exponentials returns what cell takes: I·K, M and F, in training also I and K. p6 is
// degree6.
func (l *lstm) exponentials(p6 vec.Poly) []vec.V {
	l.Comment("Input, cell and forget gates.")
	var cPrev vec.V
	if l.peephole {
		cPrev = l.Load("cPrev", 0)
	}
	i := l.e.onePlusExp(l.input(0, 0, cPrev), l.p5, l.e.half, l.half)
	m, d := l.e.tanhRatio(l.Load("gates", 2))
	f := l.e.onePlusExp(l.input(1, 1, cPrev), p6, l.e.full, l.one)
	v := []vec.V{l.Mul(i, d), m, f}
	if l.train {
		v = append(v, i, d)
	}
	return v
}

// cell computes c.
func (l *lstm) cell(v []vec.V) vec.V {
	l.Comment("c.")
	m := v[1]
	r := l.DivK(l.one, v[0])
	if l.train {
		i, d := v[3], v[4]
		l.Store("gates", 0, l.Mul(l.MulK(d, l.half), r))
		l.Store("gates", 2, l.Mul(l.Mul(l.Add(m, m), i), r))
	}
	f := l.DivK(l.one, v[2])
	c := l.FMA(f, l.Load("cPrev", 0), l.Mul(m, r))
	l.Store("c", 0, c)
	if l.train {
		l.Store("gates", 1, f)
	}
	return c
}

// output returns O.
func (l *lstm) output(c vec.V) vec.V {
	l.Comment("Output gate.")
	o := l.e.onePlusExp(l.input(3, 2, c), l.p5, l.e.half, l.half)
	if l.train {
		l.Store("gates", 3, l.DivK(l.half, o))
	}
	return o
}

// hidden returns tanh(c)/(2*O).
func (l *lstm) hidden(c, o vec.V) vec.V {
	m, d := l.e.tanhRatio(c)
	return l.Div(m, l.Mul(o, d))
}

// lstmHalves emits the training forms of lstmPeepholeForward and
// lstmPeepholeBackward in two halves, between which c may change.
func lstmHalves(g *vec.Gen, t target) {
	gates, p := packed("gates", 4), packed("p", 3)
	k := g.Rows("lstmCellForward", "sets c from the pre-activations i,f,g and leaves these gates in gates.",
		plain("c"), gates, plain("cPrev"), p)
	l := newLSTM(k, t, true, true)
	p6 := l.e.degree6()
	k.Stages(t.gateUnroll, func([]vec.V) []vec.V { return l.exponentials(p6) },
		func(v []vec.V) []vec.V { l.cell(v); return nil })

	k = g.Rows("lstmOutputForward", "sets h from cNorm and the pre-activation o, which looks at c, and leaves o in gates.",
		plain("h"), gates, plain("cNorm"), plain("c"), p)
	l = newLSTM(k, t, true, true)
	k.Map(t.gateUnroll, func() {
		o := l.output(k.Load("c", 0))
		k.Store("h", 0, l.hidden(k.Load("cNorm", 0), o))
	})

	k = g.Rows("lstmOutputBackward", "sets dcNorm, adds to dc what comes through the output gate, and leaves its gradient in gates.",
		gates, plain("dcNorm"), plain("dc"), plain("dh"), plain("h"), p)
	one := g.Const(1)
	k.Map(t.backUnroll, func() {
		dh := k.Load("dh", 0)
		u, do := lstmOutputBack(k, one, dh)
		k.Store("dcNorm", 0, g.Mul(dh, u))
		k.Store("dc", 0, g.FMA(k.Load("p", 2), do, k.Load("dc", 0)))
	})

	k = g.Rows("lstmCellBackward", "sets the gates i,f,g and dc to the gradients of the pre-activations and of cPrev.",
		gates, plain("dc"), plain("cPrev"), p)
	one = g.Const(1)
	k.Map(t.backUnroll, func() { lstmCellBack(k, one, k.Load("dc", 0), true) })
}

// lstmBackward emits
//
//	u = o - (h/o)*h;  t = fma(dh, u, dc);  di = t*i*g*(1-i);  df = t*f*cPrev*(1-f)
//	dg = t*i*(1-g²);  do = dh*h*(1-o);     dc = t*f
//
// where h/o is tanh(c). With peepholes p, t = fma(do, po, t) follows the first t,
// and dc = fma(df, pf, fma(di, pi, t*f)).
func lstmBackward(g *vec.Gen, t target, name, doc string, peephole bool) {
	operands := []vec.Operand{packed("gates", 4), plain("dc"), plain("dh"), plain("h"), plain("c"), plain("cPrev")}
	if peephole {
		operands = append(operands, packed("p", 3))
	}
	k := g.Rows(name, doc, operands...)
	one := g.Const(1)
	k.Map(t.backUnroll, func() {
		dh := k.Load("dh", 0)
		u, do := lstmOutputBack(k, one, dh)
		dc := g.FMA(dh, u, k.Load("dc", 0))
		if peephole {
			dc = g.FMA(k.Load("p", 2), do, dc)
		}
		lstmCellBack(k, one, dc, peephole)
	})
}

// lstmOutputBack returns u and do.
func lstmOutputBack(k *vec.Func, one *vec.K, dh vec.V) (u, do vec.V) {
	o, h := k.Load("gates", 3), k.Load("h", 0)
	do = k.Mul(k.Mul(dh, h), k.RSubK(one, o))
	k.Store("gates", 3, do)
	return k.FNMA(k.Div(h, o), h, o), do
}

// lstmCellBack takes t.
func lstmCellBack(k *vec.Func, one *vec.K, dc vec.V, peephole bool) {
	k.Comment("Input and cell gates.")
	i, c := k.Load("gates", 0), k.Load("gates", 2)
	t := k.Mul(dc, i)
	di := k.Mul(k.Mul(t, c), k.RSubK(one, i))
	k.Store("gates", 0, di)
	k.Store("gates", 2, k.Mul(t, k.FNMA(c, c, k.Fill(one, len(c)))))
	k.Comment("Forget gate.")
	f := k.Load("gates", 1)
	dcPrev := k.Mul(dc, f)
	df := k.Mul(k.Mul(dcPrev, k.Load("cPrev", 0)), k.RSubK(one, f))
	k.Store("gates", 1, df)
	if peephole {
		dcPrev = k.FMA(k.Load("p", 1), df, k.FMA(k.Load("p", 0), di, dcPrev))
	}
	k.Store("dc", 0, dcPrev)
}

// lstmPeepholeSums emits
//
//	for b := range rows {
//		chain = fma(i, cPrev, chain) of di and pi, and of df and pf
//		chain = fma(o, c, chain) of do and po
//	}
//	sum = chain // or sum += chain
func lstmPeepholeSums(g *vec.Gen) {
	k := g.Func("lstmPeepholeSums", "sum, gates, c, cPrev *float32, gatesStride, cStride, cPrevStride, rows, units, add int",
		"sets sum to the sums over rows of di*cPrev, df*cPrev and do*c, or adds them if add is 1.")
	k.Over("units", packed("sum", 3), packed("gates", 4), plain("c"), plain("cPrev"))
	k.Map(1, func() {
		chains := [3]vec.V{g.Zeros(1), g.Zeros(1), g.Zeros(1)}
		gates, c, cPrev, b, step := k.GP64(), k.GP64(), k.GP64(), k.GP64(), k.GP64()
		k.CopyWord(k.Pointer("gates"), gates)
		k.CopyWord(k.Pointer("c"), c)
		k.CopyWord(k.Pointer("cPrev"), cPrev)
		k.Word(k.Param("rows"), b)
		k.While(b, 1, func() {
			for i, gate := range []int{0, 1, 3} {
				state := cPrev
				if gate == 3 {
					state = c
				}
				g.FMA(k.LoadFrom(gates, gate), k.LoadFrom(state, 0), chains[i])
			}
			for _, s := range []struct {
				name string
				p    vec.GP
			}{{"gates", gates}, {"c", c}, {"cPrev", cPrev}} {
				k.Word(k.Param(s.name+"Stride"), step)
				k.ShlWord(step, 2)
				k.AddWord(s.p, step, s.p)
			}
			k.AddImm(b, -1)
		})
		k.Word(k.Param("add"), b)
		k.If(b, func() {
			for i, chain := range chains {
				g.AddTo(chain, k.Load("sum", i))
			}
		})
		for i, chain := range chains {
			k.Store("sum", i, chain)
		}
	})
}

// gateOrder emits copies between packed order and PyTorch's.
func gateOrder(g *vec.Gen, t target) {
	gates := []string{"xi", "xf", "xg", "xo"}
	var apart []vec.Operand
	for _, name := range gates {
		apart = append(apart, plain(name))
	}
	k := g.Rows("unpackGates", "copies the gates of an LSTM from packed order to xi, xf, xg, xo.", append(apart, packed("gates", 4))...)
	k.Map(t.gateUnroll, func() {
		for i, name := range gates {
			k.Store(name, 0, k.Load("gates", i))
		}
	})
	k = g.Rows("packGates", "copies the gates of an LSTM from xi, xf, xg, xo to packed order.", append([]vec.Operand{packed("gates", 4)}, apart...)...)
	k.Map(t.gateUnroll, func() {
		for i, name := range gates {
			k.Store("gates", i, k.Load(name, 0))
		}
	})
}

// gruForward emits
//
//	r = 1/(1+e(xr+hr));  z = 1/(1+e(xz+hz))
//	M, K = T(fma(r, hn, xn));  n = (M+M)/K;  h = fma(z, hPrev-n, n)
func gruForward(g *vec.Gen, t target, name, doc string, train bool) {
	k := g.Rows(name, doc, gruOperands()...)
	gruGates(k, t, train, k.Stages)
}

func gruOperands() []vec.Operand {
	return []vec.Operand{plain("h"), packed("gx", 3), packed("gh", 3), plain("hPrev")}
}

func gruGates(k *vec.Func, t target, train bool, walk walk) {
	g := k.Gen
	g.Reserve(t.gateRegisters)
	e := newGates(g)
	one := g.Const(1)
	p5 := e.degree5()
	onePlusExp := func(gate int) vec.V {
		return e.onePlusExp(g.Add(k.Load("gx", gate), k.Load("gh", gate)), p5, e.full, one)
	}
	exponentials := func([]vec.V) []vec.V {
		k.Comment("Reset gate and update gate.")
		return []vec.V{onePlusExp(0), onePlusExp(1)}
	}
	candidate := func(v []vec.V) []vec.V {
		k.Comment("New gate.")
		r, z := g.DivK(one, v[0]), g.DivK(one, v[1])
		a := g.FMA(r, k.Load("gh", 2), k.Load("gx", 2))
		if train {
			k.Store("gx", 0, r)
			k.Store("gx", 1, z)
		}
		return []vec.V{a, z}
	}
	hidden := func(v []vec.V) []vec.V {
		k.Comment("h of the units before.")
		m, d := e.tanhRatio(v[0])
		n := g.Div(g.Add(m, m), d)
		if train {
			k.Store("gx", 2, n)
		}
		k.Store("h", 0, g.FMA(v[1], g.Sub(k.Load("hPrev", 0), n), n))
		return nil
	}
	walk(t.gateUnroll, atMost(t.gateStages, exponentials, candidate, hidden)...)
}

// gruBackward emits
//
//	dn = dh*(1-z)*(1-n²);  dz = dh*(hPrev-n)*z*(1-z);  dr = dn*hn*r*(1-r)
//	gx = dr, dz, dn;  gh = dr, dz, dn*r
func gruBackward(g *vec.Gen, t target) {
	k := g.Rows("gruBackward", "sets gx and gh to the gradients of the pre-activations, and z.",
		packed("gx", 3), packed("gh", 3), plain("z"), plain("dh"), plain("hPrev"))
	one := g.Const(1)
	k.Map(t.backUnroll, func() {
		dh, z, n := k.Load("dh", 0), k.Load("gx", 1), k.Load("gx", 2)
		rest := g.RSubK(one, z)
		dn := g.Mul(g.Mul(dh, rest), g.FNMA(n, n, g.Fill(one, len(n))))
		dz := g.Mul(g.Mul(g.Mul(dh, g.Sub(k.Load("hPrev", 0), n)), z), rest)
		k.Store("z", 0, g.MulK(z, one)) // flushes subnormals
		k.Store("gx", 1, dz)
		k.Store("gh", 1, dz)
		k.Store("gx", 2, dn)
		r := k.Load("gx", 0)
		dr := g.Mul(g.Mul(g.Mul(dn, k.Load("gh", 2)), r), g.RSubK(one, r))
		k.Store("gh", 2, g.Mul(dn, r))
		k.Store("gx", 0, dr)
		k.Store("gh", 0, dr)
	})
}

// mulAddRows emits c = fma(a, b, c) on matrices.
func mulAddRows(g *vec.Gen, t target) {
	k := g.Rows("mulAddRows", "sets c = fma(a, b, c).", plain("c"), plain("a"), plain("b"))
	k.Map(t.unroll, func() { k.Store("c", 0, g.FMA(k.Load("a", 0), k.Load("b", 0), k.Load("c", 0))) })
}
