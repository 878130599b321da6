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
	widths(k, n.word("units"), n.columns)
	k.End()
}

// gemmNarrowRow emits gemmNarrow for one row and a single block, with nothing that only
// others need.
func gemmNarrowRow(g *vec.Gen) {
	k := g.Func("gemmNarrowRow", "c, a, w, init *float32, k, units int", "multiplies a row of A by some columns of a block.")
	someOutputs(k, k.Arg("units"), k.Arg)
	k.End()
}

// someOutputs emits c = init + a·w for some columns of the block w. word returns a, w,
// c, init and k, the number of inputs, each in a register that is used up.
func someOutputs(k *vec.Func, columns vec.GP, word func(name string) vec.GP) {
	one, done := k.NewLabel("one"), k.NewLabel("done")
	multiply := func(acc []vec.R) { chain(k, acc, word("a"), word("w"), word("k")) }
	k.Branch(columns, vec.LT, 2, one)
	widths(k, columns, func(registers, least int) {
		s := some{k, columns, registers, least}
		acc := s.load(vec.Mem{Base: word("init")})
		multiply(acc)
		s.store(acc, vec.Mem{Base: word("c")})
	})
	k.Jump(done)
	k.Label(one)
	acc := k.New(max(1, block/2/k.Lanes()))
	for _, r := range acc {
		k.Splat(vec.Mem{Base: word("init")}, r)
	}
	multiply(acc)
	k.ISA.StoreFirst(acc[0], vec.Mem{Base: word("c")})
	k.Label(done)
}

// chain adds the product of so many elements of a with a block w to acc, and uses the
// three up.
func chain(k *vec.Func, acc []vec.R, a, w, n vec.GP) {
	for _, steps := range []int{turn(k.Gen), 1} {
		k.Turns(n, steps, func() {
			k.Outer([][]vec.R{acc}, func(int) vec.Mem { return vec.Mem{Base: a} }, []vec.Mem{{Base: w}}, steps)
			k.AddImm(a, 4*steps)
			k.AddImm(w, 4*block*steps)
		})
	}
}

// widths emits body for half a block and for more columns, or once if a register holds
// a block: they fill some registers, the last of them in part, and are at least as many
// as least.
func widths(k *vec.Func, units vec.GP, body func(registers, least int)) {
	registers := block / k.Lanes()
	if registers == 1 {
		body(1, 1)
		return
	}
	half, done := k.NewLabel("half"), k.NewLabel("done")
	k.Branch(units, vec.LT, block/2+1, half)
	body(registers, block/2+1)
	k.Jump(done)
	k.Label(half)
	body(registers/2, 1)
	k.Label(done)
}

// A some is as many elements as units says, in some registers. They are at least as many
// as least.
type some struct {
	*vec.Func
	units            vec.GP
	registers, least int
}

// each gives f the memory for each register of a row, and how many elements of it there
// are, or nil for all. It calls maybe before those of which there may be none.
func (s some) each(row vec.Mem, maybe func(j int), f func(j int, m vec.Mem, n vec.GP)) {
	for j := range s.registers {
		m, skip := row.Offset(4*s.Lanes()*j), s.Lanes()*j
		if s.least >= skip+s.Lanes() {
			f(j, m, nil)
			continue
		}
		left := s.units
		if skip > 0 {
			left = s.GP64()
			s.CopyWord(s.units, left)
			s.AddImm(left, -skip)
		}
		if s.least > skip {
			f(j, m, left)
		} else {
			maybe(j)
			s.IfAtLeast(left, 1, func() { f(j, m, left) })
		}
	}
}

// load returns a row, and zeros in the lanes that it does not fill.
func (s some) load(row vec.Mem) vec.V {
	v := s.New(s.registers)
	zero := func(j int) { s.ISA.Zero(v[j]) }
	s.each(row, zero, func(j int, m vec.Mem, n vec.GP) {
		if n == nil {
			s.ISA.Load(m, v[j])
		} else {
			s.LoadSome(m, n, v[j])
		}
	})
	return v
}

func (s some) store(v vec.V, row vec.Mem) {
	s.each(row, func(int) {}, func(j int, m vec.Mem, n vec.GP) {
		if n == nil {
			s.ISA.Store(v[j], m)
		} else {
			s.StoreSome(v[j], m, n)
		}
	})
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

// columns works on all columns of some rows at a time.
func (n narrow) columns(registers, least int) {
	c := some{n.Func, n.word("units"), registers, least}
	init := c.load(vec.Mem{Base: n.word("init")})
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
			row := n.Strided(n.word("cRow"), n.word("cStride"), rows)
			n.If(n.word("add"), func() {
				for i, r := range acc {
					n.AddTo(r, c.load(row.At(i)))
				}
			})
			for i, r := range acc {
				c.store(r, row.At(i))
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
