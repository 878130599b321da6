package main

import (
	"math"
	"strings"

	"github.com/simdrnn/simdrnn/asm/vec"
)

// reductions emits kernels that make one number of up to 4096 elements, see
// [vec.Func.Reduce] for their order.
func reductions(g *vec.Gen, _ target) {
	k := reduction(g, "sum", "sets *out to the sum of x[i].", "", "x")
	k.Reduce(0, "out", nil, func(lane vec.V) { g.AddTo(lane, k.Load("x", 0)) }, g.AddTo)

	k = reduction(g, "dot", "sets *out to the sum of x[i]*y[i].", "", "x", "y")
	k.Reduce(0, "out", nil, func(lane vec.V) { g.FMA(k.Load("x", 0), k.Load("y", 0), lane) }, g.AddTo)

	k = reduction(g, "sumSquares", "sets *out to the sum of x[i]*x[i].", "", "x")
	k.Reduce(0, "out", nil, func(lane vec.V) {
		x := k.Load("x", 0)
		g.FMA(x, x, lane)
	}, g.AddTo)

	// Without their sign, floats are in the order of their bits, and NaN is above all.
	k = reduction(g, "maxAbs", "sets *out to the largest |x[i]|, or NaN.", "", "x")
	magnitude := g.Bits(1<<31 - 1)
	k.Reduce(0, "out", nil, func(lane vec.V) { g.MaxBitsTo(lane, g.AndK(k.Load("x", 0), magnitude)) }, g.MaxBitsTo)

	k = reduction(g, "greatest", "sets *out to the largest x[i], or NaN.", "", "x")
	k.Reduce(0, "out", g.Const(float32(math.Inf(-1))), func(lane vec.V) { g.GreaterTo(lane, k.Load("x", 0)) }, g.GreaterTo)

	expSum(reduction(g, "expSum", "sets dst[i] = exp(src[i]-top), and *out to their sum.", ", top float32", "dst", "src"), true)
	expSum(reduction(g, "onlyExpSum", "sets *out to the sum of exp(src[i]-top).", ", top float32", "src"), false)
}

// reduction starts a kernel that makes one number of n elements of its operands.
func reduction(g *vec.Gen, name, doc, more string, operands ...string) *vec.Func {
	k := g.Func(name, "out, "+strings.Join(operands, ", ")+" *float32, n int"+more, doc)
	var all []vec.Operand
	for _, o := range operands {
		all = append(all, plain(o))
	}
	k.Over("n", all...)
	return k
}

// expSum keeps lanes in memory: exp needs the registers.
func expSum(k *vec.Func, store bool) {
	top, f := splat(k, k.Param("top")), exp(k.Gen)
	k.Reduce(2, "out", nil, func(lane vec.V) {
		e := f(k.Sub(k.Load("src", 0), k.All(top)))
		if store {
			k.Store("dst", 0, e)
		}
		k.AddTo(lane, e)
	}, k.AddTo)
}
