package main

import (
	"math"
	"slices"
	"testing"

	"github.com/simdrnn/simdrnn/asm/approx"
	"github.com/stretchr/testify/require"
)

// TestFits compares the coefficients in use with the best ones.
func TestFits(t *testing.T) {
	results, err := solveAll()
	require.NoError(t, err)
	require.Len(t, results, len(approx.Fits))

	for i, r := range results {
		f := approx.Fits[i]
		name := f.Poly.Name
		require.Equal(t, name, r.fit.Poly.Name)
		t.Logf("%-8s real %.4g, float32 %.4g, in use %.4g", name, r.real, r.fit.Error, r.inUse)
		require.LessOrEqual(t, r.real, r.fit.Error, name)
		require.LessOrEqual(t, r.fit.Error, 1.1*r.real, "%s: rounding costs too much", name)
		require.LessOrEqual(t, r.real, r.inUse, "%s: better than the best", name)
		require.LessOrEqual(t, r.inUse, 1.1*r.fit.Error, name)
		require.LessOrEqual(t, r.inUse, f.Error, "%s: the stated error", name)
		require.InEpsilon(t, r.inUse, f.Error, 0.01, "%s: the stated error", name)
		if slices.Contains([]*approx.Fit{&approx.Tanh, &approx.Exp, &approx.ExpNeg5}, f) {
			require.Equal(t, f.Poly, r.fit.Poly, "these come out the same")
		}
	}
}

// TestErrors measures the errors in use once more, at dense samples and without
// any search for extrema.
func TestErrors(t *testing.T) {
	for _, k := range tasks() {
		p := k.problem(k.Hi)
		c := k.inUse()
		most := 0.0
		for _, e := range p.errors(p.samples(2001), c) {
			most = max(most, math.Abs(float64Of(e)))
		}
		require.LessOrEqual(t, most, k.Error, k.Poly.Name)
		require.InEpsilon(t, k.Error, most, 0.01, k.Poly.Name)
	}
}

func TestLogarithms(t *testing.T) {
	log2E, ln, hi, lo := logarithms()
	require.Equal(t, []float32{log2E, ln, hi, lo}, []float32{approx.Log2E, approx.Ln2, approx.Ln2Hi, approx.Ln2Lo})
	for n := range 256 {
		require.Equal(t, float64(n)*float64(hi), float64(float32(n)*hi), "%d*Ln2Hi is exact", n)
	}

	// What is left for the polynomial after x*Log2E was rounded to n.
	slack := 89 * math.Abs(float64(log2E)-1/math.Ln2) * math.Ln2
	require.Less(t, math.Ln2/2+slack+1e-6, approx.Exp.Hi)
	require.Less(t, math.Ln2/2+slack+1e-6, approx.ExpNeg5.Hi)
}

// TestChebyshev: no polynomial with x^n and lower powers stays below 2^(1-n) in
// ±1, and Chebyshev's reaches that.
func TestChebyshev(t *testing.T) {
	for n := 2; n <= 7; n++ {
		p := &problem{number(-1), number(1), func(x num) (f, w num) { return zero, one }, polynomial(1)}
		c := make([]num, n+1)
		var free []int
		for k := range c {
			c[k] = zero
			free = append(free, k)
		}
		c[n] = one
		at, err := p.minimax(c, free[:n])
		require.NoError(t, err)
		require.InEpsilon(t, math.Ldexp(1, 1-n), p.largest(at, c), 1e-6)
	}
}

// TestFixed: with odd coefficients fixed, signs do not alternate in 0. The best
// a*x+b*x² for x³ in ±1 is 3/4*x, as if there were no x².
func TestFixed(t *testing.T) {
	cube := func(x num) (f, w num) { return mul(x, mul(x, x)), one }
	p := &problem{number(-1), number(1), cube, polynomial(1)}
	c := numbers(0, 0, 0)
	at, err := p.minimax(c, []int{1, 2})
	require.NoError(t, err)
	require.InEpsilon(t, 0.25, p.largest(at, c), 1e-9)
	require.InDelta(t, 0.75, float64Of(c[1]), 1e-9)
	require.InDelta(t, 0, float64Of(c[2]), 1e-9)
}

func TestBig(t *testing.T) {
	require.Less(t, float64Of(abs(sub(exp(ln2()), number(2)))), 0x1p-180)
	require.Less(t, float64Of(abs(sub(mul(exp(number(9.02)), exp(number(-9.02))), one))), 0x1p-165)
	// tanh(2x) = 2tanh(x)/(1+tanh(x)²)
	x := tanh(number(0.3))
	require.Less(t, float64Of(abs(sub(tanh(number(0.6)), quo(scale(x, 1), add(one, mul(x, x)))))), 0x1p-170)
	require.Equal(t, math.Ln2, float64Of(ln2()))
}

// TestReferences: the ulp tests of package kernels rely on package math within
// 2^-50, with 1/(1+exp(-x)) for sigmoid.
func TestReferences(t *testing.T) {
	for i := -1000; i <= 1000; i++ {
		x := float64(i) * 0.0887
		n := number(x)
		check := func(name string, want num, got float64) {
			require.Less(t, math.Abs(float64Of(quo(sub(number(got), want), want))), 0x1p-50, "%s(%g)", name, x)
		}
		check("exp", exp(n), math.Exp(x))
		check("sigmoid", quo(one, add(one, exp(neg(n)))), 1/(1+math.Exp(-x)))
		if x = float64(i) * 0.00987; x != 0 {
			check("tanh", tanh(number(x)), math.Tanh(x))
		}
	}
}
