package main

import "github.com/simdrnn/simdrnn/asm/vec"

// A narrow emits the product of rows with a block of which C holds only some columns:
//
//	for range rows {
//		acc := init
//		for range k {
//			acc[j] = fma(a[i], w[j], acc[j])
//		}
//		if add {
//			acc += c
//		}
//		c = acc
//	}
//
// narrowTask, which is used up, says where everything is.
type narrow struct {
	*vec.Func
	task vec.GP
}

// gemmNarrow emits a kernel that takes a single column with a row in each lane, if C
// holds it as a vector. Otherwise, and for the last rows, lanes are columns.
func gemmNarrow(g *vec.Gen) {
	k := g.Func("gemmNarrow", "task *narrowTask", "multiplies rows of A by some columns of a block.")
	n := narrow{k, k.Arg("task")}
	n.StoreWord(n.word("a"), n.field("aRow"))
	n.StoreWord(n.word("c"), n.field("cRow"))
	k.IfEqual(n.word("units"), 1, func() {
		k.IfEqual(n.word("cStride"), 4, func() {
			if g.Lanes() < block {
				n.column(2)
			}
			n.column(1)
		})
	})
	if g.Lanes() == block {
		n.columns(1, 1)
		k.End()
		return
	}
	half, done := k.NewLabel("half"), k.NewLabel("done")
	k.Branch(n.word("units"), vec.LT, block/2+1, half)
	n.columns(block/g.Lanes(), block/2+1)
	k.Jump(done)
	k.Label(half)
	n.columns(block/g.Lanes()/2, 1)
	k.Label(done)
	k.End()
}

func (n narrow) field(name string) vec.Mem { return n.Field(n.task, "narrowTask", name) }

// word loads a field.
func (n narrow) word(name string) vec.GP {
	r := n.GP64()
	n.Word(n.field(name), r)
	return r
}

// column works on some registers of rows at a time.
func (n narrow) column(registers int) {
	rows := n.Lanes() * registers
	n.whileRows(rows, func() {
		acc := n.New(registers)
		init := n.word("init")
		for _, r := range acc {
			n.Splat(vec.Mem{Base: init}, r)
		}
		n.multiply(rows, inputs, func(at *vec.Strided, w vec.GP, steps int) {
			var x [][]vec.R
			for g := range acc {
				x = append(x, n.Columns(func(i int) vec.Mem { return at.At(n.Lanes()*g + i) }, steps))
			}
			for i := range steps {
				s := n.ISA.Vec()
				n.Splat(vec.Mem{Base: w, Disp: 4 * block * i}, s)
				for g, r := range acc {
					n.ISA.FMA(x[g][i], s, r)
				}
			}
		})
		c := n.word("cRow")
		each := func(f func(r vec.R, m vec.Mem)) {
			for g, r := range acc {
				f(r, vec.Mem{Base: c, Disp: 4 * n.Lanes() * g})
			}
		}
		n.If(n.word("add"), func() { each(func(r vec.R, m vec.Mem) { n.AddFrom(m, r) }) })
		each(n.ISA.Store)
	})
}

// columns works on all columns of some rows at a time. They fill some registers, the
// last of them in part; at least are as many as least.
func (n narrow) columns(registers, least int) {
	// some gives f the part of a row of C in each register.
	some := func(row vec.Mem, f func(j int, m vec.Mem, n vec.GP)) {
		for j := range registers {
			m, skip := row.Offset(4*n.Lanes()*j), n.Lanes()*j
			if least >= skip+n.Lanes() {
				f(j, m, nil)
				continue
			}
			left := n.word("units")
			if skip > 0 {
				n.AddImm(left, -skip)
			}
			if least > skip {
				f(j, m, left)
			} else {
				n.IfAtLeast(left, 1, func() { f(j, m, left) })
			}
		}
	}
	load := func(m vec.Mem, left vec.GP, d vec.R) {
		if left == nil {
			n.ISA.Load(m, d)
		} else {
			n.LoadSome(m, left, d)
		}
	}
	init := n.Zeros(registers)
	some(vec.Mem{Base: n.word("init")}, func(j int, m vec.Mem, left vec.GP) { load(m, left, init[j]) })

	most := 8 / registers
	if n.ISA.Name() == "NEON" {
		most *= 2
	}
	for _, rows := range []int{most, most / 2, 1} {
		n.whileRows(rows, func() {
			acc := make([][]vec.R, rows)
			for i := range acc {
				acc[i] = n.Copy(init)
			}
			n.multiply(rows, turn(n.Gen), func(at *vec.Strided, w vec.GP, steps int) {
				n.Outer(acc, at.At, []vec.Mem{{Base: w}}, steps)
			})
			c := n.Strided(n.word("cRow"), n.word("cStride"), rows)
			n.If(n.word("add"), func() {
				for i, r := range acc {
					some(c.At(i), func(j int, m vec.Mem, left vec.GP) {
						d := n.ISA.Vec()
						load(m, left, d)
						n.ISA.Add(r[j], d, r[j])
					})
				}
			})
			for i, r := range acc {
				some(c.At(i), func(j int, m vec.Mem, left vec.GP) {
					if left == nil {
						n.ISA.Store(r[j], m)
					} else {
						n.StoreSome(r[j], m, left)
					}
				})
			}
		})
	}
}

// whileRows runs body while there are so many rows, and then goes on to the next ones.
func (n narrow) whileRows(rows int, body func()) {
	next, done := n.NewLabel("rows"), n.NewLabel("done")
	n.Label(next)
	n.Branch(n.word("rows"), vec.LT, rows, done)
	body()
	n.Comment("To the next rows.")
	for _, m := range []string{"a", "c"} {
		p := n.word(m + "Row")
		n.AddTimes(p, n.word(m+"Stride"), rows)
		n.StoreWord(p, n.field(m+"Row"))
	}
	left := n.word("rows")
	n.AddImm(left, -rows)
	n.StoreWord(left, n.field("rows"))
	n.Jump(next)
	n.Label(done)
}

// multiply runs body for all inputs of some rows, at many at a time while there are so
// many, else at one.
func (n narrow) multiply(rows, many int, body func(at *vec.Strided, w vec.GP, steps int)) {
	a, w, left := n.word("aRow"), n.word("w"), n.word("k")
	at := n.Strided(a, n.word("aStride"), rows)
	n.While(left, 1, func() {
		n.Comment("A k block.")
		some := n.GP64()
		n.CopyWord(left, some)
		n.AddImm(left, -kBlock)
		n.IfAtLeast(left, 1, func() { n.SetWord(kBlock, some) })
		for _, steps := range []int{many, 1} {
			n.Turns(some, steps, func() {
				body(at, w, steps)
				at.Advance(4 * steps)
				n.AddImm(w, 4*block*steps)
			})
		}
		n.AddWord(w, n.word("skip"), w)
	})
}
