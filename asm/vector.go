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
//			chain += a[b*aStride+j]
//		}
//		sum[j] = chain // or sum[j] += chain
//	}
//
// and sumRowProducts with chain = fma(a[b*aStride+j], b[b*bStride+j], chain).
func sumRows(g *vec.Gen) {
	emit := func(k *vec.Func, operands ...string) {
		all := []vec.Operand{plain("sum")}
		var stride, row []vec.GP
		for _, o := range operands {
			all = append(all, plain(o))
			s := k.Arg(o + "Stride")
			k.ShlWord(s, 2)
			stride, row = append(stride, s), append(row, k.GP64())
		}
		k.Over("cols", all...)
		left := k.GP64()
		k.Map(4, func() {
			chain := g.Zeros(k.Size())
			for i, o := range operands {
				k.CopyWord(k.Pointer(o), row[i])
			}
			k.Word(k.Param("rows"), left)
			k.While(left, 1, func() {
				v := k.LoadAt(row[0])
				if len(row) == 1 {
					g.AddTo(chain, v)
				} else {
					g.FMA(v, k.LoadAt(row[1]), chain)
				}
				for i := range row {
					k.AddWord(row[i], stride[i], row[i])
				}
				k.AddImm(left, -1)
			})
			k.Word(k.Param("add"), left)
			k.If(left, func() { g.AddTo(chain, k.Load("sum", 0)) })
			k.Store("sum", 0, chain)
		})
	}
	emit(g.Func("sumRows", "sum, a *float32, aStride, rows, cols, add int",
		"sets sum to the sum of the rows of a, or adds it if add is 1."), "a")
	emit(g.Func("sumRowProducts", "sum, a, b *float32, aStride, bStride, rows, cols, add int",
		"sets sum to the sum of the rows of a*b, or adds it if add is 1."), "a", "b")
}

// splat returns the float at m in all lanes of a register.
func splat(k *vec.Func, m vec.Mem) vec.R {
	d := k.ISA.Vec()
	k.Splat(m, d)
	k.Keep(d)
	return d
}
