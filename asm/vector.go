package main

import "github.com/simdrnn/simdrnn/asm/vec"

func vectors(g *vec.Gen, t target) {
	k := g.Flat("add", "sets dst[i] = x[i] + y[i].", []string{"dst", "x", "y"}, "")
	k.Map(t.unroll, func() { k.Store("dst", 0, g.Add(k.Load("x", 0), k.Load("y", 0))) })

	k = g.Flat("mul", "sets dst[i] = x[i] * y[i].", []string{"dst", "x", "y"}, "")
	k.Map(t.unroll, func() { k.Store("dst", 0, g.Mul(k.Load("x", 0), k.Load("y", 0))) })

	k = g.Flat("scale", "sets dst[i] = alpha * x[i].", []string{"dst", "x"}, ", alpha float32")
	alpha := splat(k, k.Param("alpha"))
	k.Map(t.unroll, func() { k.Store("dst", 0, g.Mul(k.Load("x", 0), k.All(alpha))) })

	k = g.Flat("axpy", "sets dst[i] = fma(alpha, x[i], dst[i]).", []string{"dst", "x"}, ", alpha float32")
	alpha = splat(k, k.Param("alpha"))
	k.Map(t.unroll, func() { k.Store("dst", 0, g.FMA(k.Load("x", 0), k.All(alpha), k.Load("dst", 0))) })

	sumRows(g)
}

// sumRows emits
//
//	for j := range cols {
//		chain := 0
//		for b := range rows {
//			chain += a[b*stride+j]
//		}
//		sum[j] = chain // or sum[j] += chain
//	}
func sumRows(g *vec.Gen) {
	k := g.Func("sumRows", "sum, a *float32, stride, rows, cols, add int", "sets sum to the sum of the rows of a, or adds it if add is 1.")
	k.Over("cols", plain("sum"), plain("a"))
	stride, row, b := k.Arg("stride"), k.GP64(), k.GP64()
	k.ShlWord(stride, 2)
	k.Map(4, func() {
		chain := g.Zeros(k.Size())
		k.CopyWord(k.Pointer("a"), row)
		k.Word(k.Param("rows"), b)
		k.While(b, 1, func() {
			v := k.LoadAt(row)
			for i := range chain {
				g.ISA.Add(chain[i], v[i], chain[i])
			}
			k.AddWord(row, stride, row)
			k.AddImm(b, -1)
		})
		k.Word(k.Param("add"), b)
		k.If(b, func() {
			v := k.Load("sum", 0)
			for i := range chain {
				g.ISA.Add(v[i], chain[i], chain[i])
			}
		})
		k.Store("sum", 0, chain)
	})
}

// splat returns the float at m in all lanes of a register.
func splat(k *vec.Func, m vec.Mem) vec.R {
	d := k.ISA.Vec()
	k.Splat(m, d)
	k.Keep(d)
	return d
}
