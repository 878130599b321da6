package main

import (
	"github.com/simdrnn/simdrnn/asm/approx"
	"github.com/simdrnn/simdrnn/asm/vec"
)

// unary emits dst[i] = f(src[i]). newF declares the constants of f.
func unary(g *vec.Gen, unroll int, name, doc string, newF func(*vec.Gen) func(vec.V) vec.V) {
	k := g.Flat(name, doc, []string{"dst", "src"}, "")
	g.Reserve(min(7*unroll, g.Registers()-3))
	f := newF(g)
	k.Halves()
	k.Map(unroll, func() { k.Store("dst", 0, f(k.Load("src", 0))) })
}

func activations(g *vec.Gen, t target) {
	unary(g, t.chains, "tanh", "sets dst[i] = tanh(src[i]).", tanh)
	unary(g, t.chains, "sigmoid", "sets dst[i] = 1/(1+exp(-src[i])).", sigmoid)
	unary(g, t.chains, "exp", "sets dst[i] = exp(src[i]).", exp)
}

// round is 1.5·2²³: added to a float below 2²², it leaves the nearest whole
// number in the low bits.
const round = 0x1.8p23

// tanh is (1-u)/(1+u) with u = exp(-2|x|) = s(1-2t), s a power of two 2^n and t
// small: (1-s+2st)/(1+s-2st). For small x, s is 1, and t relatively accurate.
func tanh(g *vec.Gen) func(vec.V) vec.V {
	end, one := g.Const(approx.TanhEnd), g.Const(1)
	magnitude, sign := g.Bits(1<<31-1), g.Bits(1<<31)
	twiceLog2E, bias, halfLn2 := g.Const(2*approx.Log2E), g.Const(round+127), g.Const(approx.Ln2/2)
	poly := g.Poly(approx.Tanh.Poly.C...)
	return func(x vec.V) vec.V {
		a := g.MinK(g.AndK(x, magnitude), end)
		y := g.FNMAK(a, twiceLog2E, g.Fill(bias, len(a)))
		s := g.Shl(y, 23)
		r := g.FMAK(g.SubK(y, bias), halfLn2, a) // |r| <= ln(2)/4
		t := g.FMA(g.Eval(poly, r), g.Mul(r, r), r)
		twice := g.Add(s, s)
		num := g.FMA(twice, t, g.RSubK(one, s))
		den := g.FNMA(twice, t, g.AddK(s, one))
		return g.Or(g.Div(num, den), g.AndK(x, sign))
	}
}

// expParts returns q and s with exp(x) = s + s·q, s a power of two 2^n and
// |ln(1+q)| <= ln(2)/2, for x that was clamped: n+127 is the exponent of s. ln 2
// comes in two parts, the first short enough that n times it is exact.
type expParts struct {
	g                         *vec.Gen
	log2e, bias, ln2Hi, ln2Lo *vec.K
	poly                      vec.Poly
}

func newExpParts(g *vec.Gen) *expParts {
	return &expParts{g, g.Const(approx.Log2E), g.Const(round + 127), g.Const(approx.Ln2Hi), g.Const(approx.Ln2Lo),
		g.Poly(approx.Exp.Poly.C...)}
}

// reduce returns y = x/ln(2) rounded to a whole number n, as round+127+n.
func (e *expParts) reduce(x vec.V) (y vec.V) {
	return e.g.FMAK(x, e.log2e, e.g.Fill(e.bias, len(x)))
}

// rest returns q for the x and y of reduce; x is lost.
func (e *expParts) rest(x, y vec.V) (q vec.V) {
	g := e.g
	n := g.SubK(y, e.bias)
	r := g.FNMAK(n, e.ln2Lo, g.FNMAK(n, e.ln2Hi, x))
	return g.FMA(g.Eval(e.poly, r), g.Mul(r, r), r)
}

// sigmoid is 1/(1+exp(-x)) = 1/(1+s+sq). It holds -s and -q, which come of x as s
// and q come of -x: bit 8 of the integer in y becomes the sign of s.
func sigmoid(g *vec.Gen) func(vec.V) vec.V {
	least, most, one := g.Const(-88), g.Const(87), g.Const(1)
	log2E, bias, ln2Hi, ln2Lo := g.Const(approx.Log2E), g.Const(round+256+127), g.Const(approx.Ln2Hi), g.Const(approx.Ln2Lo)
	var c []float32 // of -q as a polynomial of -r
	for i, f := range approx.Exp.Poly.C {
		c = append(c, f*float32(2*(i&1)-1))
	}
	poly := g.Poly(c...)
	return func(x vec.V) vec.V {
		x = g.MinK(g.MaxK(x, least), most)
		y := g.FNMAK(x, log2E, g.Fill(bias, len(x)))
		s := g.Shl(y, 23)
		n := g.SubK(y, bias)
		r := g.FMAK(n, ln2Lo, g.FMAK(n, ln2Hi, x))
		q := g.FMA(g.Eval(poly, r), g.Mul(r, r), r)
		return g.DivK(one, g.Sub(g.FMAConst(q, s, one), s)) // in this order 2 ulp, in others more
	}
}

// exp clamps n to 127, the largest exponent of a float32, and multiplies by the
// missing power of two at the end.
func exp(g *vec.Gen) func(vec.V) vec.V {
	least, most := g.Const(-88), g.Const(89)
	top, one := g.Const(round+2*127), g.Const(1)
	e := newExpParts(g)
	return func(x vec.V) vec.V {
		x = g.MaxK(g.MinK(x, most), least)
		y := e.reduce(x)
		clamped := g.MinK(y, top)
		rest := g.AddK(g.Sub(y, clamped), one)
		s := g.Shl(clamped, 23)
		q := e.rest(x, y)
		return g.Mul(g.FMA(q, s, g.Copy(s)), rest)
	}
}
