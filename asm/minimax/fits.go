package main

import (
	"fmt"
	"slices"

	"github.com/simdrnn/simdrnn/asm/approx"
)

// A task says how a fit of package approx came about. Coefficients stand here in
// the order of powers, those of a denominator last.
type task struct {
	*approx.Fit
	target func(x num) (f, w num)
	family func(x num, c []num) (y num, dy []num)
	lead   []num // coefficients in front of the fit's own, which are 1
	start  []num // where Newton's steps begin; the values of those that are not free
	free   []int // the others, in the order in which they are rounded
}

func tasks() []task {
	return []task{
		{Fit: &approx.Tanh, target: expm1Over, family: polynomial(1), lead: numbers(1), start: numbers(1, 0, 0, 0, 0, 0), free: []int{1, 2, 3, 4, 5}},
		{Fit: &approx.Exp, target: relative(exp), family: polynomial(1), lead: numbers(1, 1), start: numbers(1, 1, 0, 0, 0, 0, 0), free: []int{2, 3, 4, 5, 6}},
		{Fit: &approx.ExpNeg5, target: relative(expNeg), family: polynomial(1), start: numbers(1, 0, 0, 0, 0, 0), free: []int{1, 2, 3, 4, 5}},
		{Fit: &approx.ExpNeg6, target: relative(expNeg), family: polynomial(1), start: numbers(1, -1, 0, 0, 0, 0, 0), free: []int{2, 3, 4, 5, 6}},
		{Fit: &approx.TanhRatio, target: tanhOver, family: doubled, start: continuedFraction(), free: []int{4, 5, 6, 1, 2}},
	}
}

// A result is what came of a task.
type result struct {
	real  float64    // the least error with real coefficients
	inUse float64    // the error of the coefficients in package approx
	fit   approx.Fit // with float32 coefficients
}

// solve finds the real coefficients and rounds them to float32 one after the
// other. The rest is fitted again each time.
func (t *task) solve() (r result, err error) {
	p := t.problem(t.Hi)
	c, err := t.begin()
	if err != nil {
		return r, err
	}
	at, err := p.minimax(c, t.free)
	if err != nil {
		return r, err
	}
	r.real = p.largest(at, c)
	r.inUse = p.largest(at, t.inUse())
	r.fit = *t.Fit
	for i, k := range t.free {
		c[k] = rounded(c[k])
		if rest := t.free[i+1:]; len(rest) > 0 {
			if err := p.newton(at, c, rest); err != nil {
				return r, err
			}
		}
	}
	r.fit.Error = p.largest(at, c)
	c = c[len(t.lead):]
	r.fit.Poly.C = descending(c[:len(t.Poly.C)])
	r.fit.Den.C = descending(c[len(t.Poly.C):])
	return r, nil
}

// problem returns the search on the interval up to hi.
func (t *task) problem(hi float64) *problem {
	return &problem{number(t.Lo), number(hi), t.target, t.family}
}

// begin returns coefficients to begin with. Newton's steps find those of the
// rational function from the nearest ones of a smaller interval.
func (t *task) begin() ([]num, error) {
	c := slices.Clone(t.start)
	if t.Den.C == nil {
		return c, nil
	}
	for hi := 2.0; hi < t.Hi; hi *= 1.2 {
		p := t.problem(hi)
		if err := p.newton(p.samples(points), c, t.free); err != nil {
			return nil, fmt.Errorf("up to %g: %w", hi, err)
		}
	}
	return c, nil
}

// inUse returns the coefficients of package approx.
func (t *task) inUse() []num {
	c := slices.Clone(t.lead)
	for _, p := range []approx.Poly{t.Poly, t.Den} {
		for _, f := range slices.Backward(p.C) {
			c = append(c, number(float64(f)))
		}
	}
	return c
}

func descending(c []num) (f []float32) {
	for _, v := range slices.Backward(c) {
		f = append(f, float32Of(v))
	}
	return f
}

func numbers(f ...float64) (n []num) {
	for _, v := range f {
		n = append(n, number(v))
	}
	return n
}

// relative weighs the error of f relative to f.
func relative(f func(x num) num) func(x num) (y, w num) {
	return func(x num) (num, num) {
		y := f(x)
		return y, quo(one, y)
	}
}

func expNeg(x num) num { return exp(neg(x)) }

// tanhOver is tanh(x)/x, whose relative error is that of tanh and exists at 0.
func tanhOver(x num) (f, w num) {
	if x.Sign() == 0 {
		return one, one
	}
	f = quo(tanh(x), x)
	return f, quo(one, f)
}

// expm1Over is (1-exp(-2x))/(2x), relative as tanhOver is.
func expm1Over(x num) (f, w num) {
	if x.Sign() == 0 {
		return one, one
	}
	f = quo(sub(one, exp(scale(neg(x), 1))), scale(x, 1))
	return f, quo(one, f)
}

// powers returns the powers of x from 0 on.
func powers(x num, n int) []num {
	p := []num{one}
	for i := 1; i < n; i++ {
		p = append(p, mul(p[i-1], x))
	}
	return p
}

func dot(x, y []num) num {
	sum := zero
	for i := range x {
		sum = add(sum, mul(x[i], y[i]))
	}
	return sum
}

// polynomial is Σ c[k]*x^(step*k).
func polynomial(step int) func(x num, c []num) (y num, dy []num) {
	return func(x num, c []num) (num, []num) {
		p := powers(powers(x, step+1)[step], len(c))
		return dot(c, p), p
	}
}

// doubled is tanh(x)/x where v = x*n/q stands for tanh(x/2):
//
//	y = 2u/(1+x²u²), u = n/q, n = Σ c[k]*x^2k for k < 3, q = Σ c[3+k]*x^2k
func doubled(x num, c []num) (y num, dy []num) {
	z := mul(x, x)
	p := powers(z, 4)
	q := dot(c[3:], p)
	u := quo(dot(c[:3], p[:3]), q)
	v2 := mul(z, mul(u, u))
	den := add(one, v2)
	slope := quo(scale(sub(one, v2), 1), mul(den, den)) // dy/du
	for _, power := range p[:3] {
		dy = append(dy, quo(mul(slope, power), q))
	}
	for _, power := range p {
		dy = append(dy, neg(quo(mul(slope, mul(u, power)), q)))
	}
	return quo(scale(u, 1), den), dy
}

// continuedFraction returns the coefficients of Lambert's continued fraction for
// tanh(x/2), with y = x/2:
//
//	y/(1+y²/(3+y²/(5+...+y²/11))) = y(10395+1260y²+21y⁴)/(10395+4725y²+210y⁴+y⁶)
func continuedFraction() []num {
	c := numbers(10395./2, 1260./8, 21./32, 10395, 4725./4, 210./16, 1./64)
	for i := range c {
		c[i] = quo(c[i], number(10395))
	}
	return c
}
