package main

import "github.com/simdrnn/simdrnn/asm/vec"

// norms emits layer norm: sums over a row, and what is done to its elements with
// them.
func norms(g *vec.Gen, t target) {
	k := reduction(g, "squaresAround", "sets *out to the sum of (x[i]-mean)².", ", mean float32", "x")
	mean := splat(k, k.Param("mean"))
	k.Reduce(0, "out", nil, func(lane vec.V) {
		d := g.Sub(k.Load("x", 0), k.All(mean))
		g.FMA(d, d, lane)
	}, g.AddTo)

	k = reduction(g, "dot3", "sets *out to the sum of x[i]*y[i]*z[i].", "", "x", "y", "z")
	k.Reduce(0, "out", nil, func(lane vec.V) {
		g.FMA(g.Mul(k.Load("x", 0), k.Load("y", 0)), k.Load("z", 0), lane)
	}, g.AddTo)

	k = g.Flat("layerNorm", "sets hat[i] = (x[i]-mean)*rstd and y[i] = fma(gain[i], hat[i], shift[i]).",
		[]string{"y", "hat", "x", "gain", "shift"}, ", mean, rstd float32")
	mean, rstd := splat(k, k.Param("mean")), splat(k, k.Param("rstd"))
	k.Map(t.unroll, func() {
		hat := g.Mul(g.Sub(k.Load("x", 0), k.All(mean)), k.All(rstd))
		y := g.FMA(k.Load("gain", 0), hat, k.Load("shift", 0))
		k.Store("hat", 0, hat)
		k.Store("y", 0, y)
	})

	k = g.Flat("layerNormBackward", "sets dx[i] = (dy[i]*gain[i] - mean - hat[i]*meanHat) * rstd.",
		[]string{"dx", "dy", "hat", "gain"}, ", mean, meanHat, rstd float32")
	mean, meanHat := splat(k, k.Param("mean")), splat(k, k.Param("meanHat"))
	rstd = splat(k, k.Param("rstd"))
	k.Map(t.unroll, func() {
		d := g.Sub(g.Mul(k.Load("dy", 0), k.Load("gain", 0)), k.All(mean))
		k.Store("dx", 0, g.Mul(g.FNMA(k.Load("hat", 0), k.All(meanHat), d), k.All(rstd)))
	})
}
