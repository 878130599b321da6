package main

import (
	"fmt"
	"slices"

	"github.com/simdrnn/simdrnn/asm/vec"
)

const (
	block  = 16  // columns of a block of packed weights
	kBlock = 128 // inputs of a k block of a panel
	inputs = 4   // of a product that are worked on without a branch
)

// gemms emits a tile kernel for each number of rows up to the largest, and for
// each number of blocks of 16 columns that fit into the registers then.
func gemms(g *vec.Gen, t target) {
	for rows := 1; rows < len(t.blocks); rows++ {
		for blocks := range t.blocks[rows] {
			gemm(g, rows, blocks+1, false)
			gemm(g, rows, blocks+1, true)
		}
	}
}

// gemm emits a tile kernel, which multiplies tiles of rows of A (columns of A if
// trans) by some blocks of a panel of W, and goes on to the next panels.
func gemm(g *vec.Gen, rows, blocks int, trans bool) {
	name, doc := "gemm", "rows"
	if trans {
		name, doc = "gemmTN", "columns"
	}
	k := g.Func(fmt.Sprintf("%s%dx%d", name, rows, block*blocks), "task *gemmTask",
		fmt.Sprintf("multiplies tiles of %d %s of A by %d columns of panels.", rows, doc, block*blocks))
	product(k, k.Arg("task"), rows, blocks, trans)
	k.End()
}

// product emits the work of a task:
//
//	for range panels {
//		for range tiles {
//			acc := init
//			for part := range parts { // k blocks of the chain
//				for range part.k {
//					acc[i][j] = fma(a[i], w[j], acc[i][j])
//				}
//			}
//			if sum != nil {
//				acc += sum
//			}
//			if old {
//				acc += c
//			}
//			c = acc
//		}
//	}
//
// gemmTask, which is used up, says where everything is.
func product(k *vec.Func, task vec.GP, rows, blocks int, trans bool) {
	g := k.Gen
	field := func(name string) vec.Mem { return k.Field(task, "gemmTask", name) }
	word := func(name string) vec.GP {
		r := k.GP64()
		k.Word(field(name), r)
		return r
	}
	addTo := func(name string, step vec.GP) {
		r := word(name)
		k.AddWord(r, step, r)
		k.StoreWord(r, field(name))
	}
	perBlock := block / g.Lanes()
	acc := make([][]vec.R, rows)
	row := func(p vec.GP, f func(m vec.Mem, j int)) {
		for j := range blocks * perBlock {
			f(vec.Mem{Base: p, Disp: 4 * g.Lanes() * j}, j)
		}
	}

	panel, tile, done := k.NewLabel("panel"), k.NewLabel("tile"), k.NewLabel("done")
	k.Label(panel)
	k.StoreWord(word("c"), field("cTile"))
	k.StoreWord(word("sum"), field("sumTile"))
	k.StoreWord(word("tiles"), field("tilesLeft"))
	a := word("a")

	k.Label(tile)
	k.Comment("The chains start.")
	init := word("init")
	for i := range acc {
		acc[i] = g.New(blocks * perBlock)
		row(init, func(m vec.Mem, j int) {
			if i == 0 {
				g.ISA.Load(m, acc[0][j])
			} else {
				g.ISA.Copy(acc[0][j], acc[i][j])
			}
		})
	}
	aStride, parts, part := word("aStride"), word("parts"), k.GP64()
	at := k.GP64()
	k.CopyWord(a, at)
	k.CopyWord(task, part)
	k.While(parts, 1, func() {
		k.Comment("A k block.")
		w, n, wStride := k.GP64(), k.GP64(), k.GP64()
		k.Word(k.Field(part, "gemmTask", "w0"), w)
		k.Word(k.Field(part, "gemmTask", "k0"), n)
		k.CopyWord(n, wStride)
		k.ShlWord(wStride, 6)
		weights := k.Strided(w, wStride, blocks)
		var wm []vec.Mem
		for b := range blocks {
			wm = append(wm, weights.At(b))
		}
		steps := inputs
		var left *vec.Left
		var advance func(n int)
		if trans {
			steps = min(steps, g.Reach())
			s := k.Strided(at, aStride, 1)
			left = &vec.Left{At: func(row, k int) vec.Mem { return g.Indexed(at, aStride, k).Offset(4 * row) }}
			advance = s.AdvanceStrides
		} else {
			s := k.Strided(at, aStride, rows)
			left = &vec.Left{At: func(row, k int) vec.Mem { return s.At(row).Offset(4 * k) }, AlongK: true}
			advance = func(n int) { s.Advance(4 * n) }
		}
		for _, steps := range slices.Compact([]int{steps, 1}) {
			k.While(n, steps, func() {
				g.Outer(acc, left, wm, steps)
				advance(steps)
				weights.Advance(4 * block * steps)
				k.AddImm(n, -steps)
			})
		}
		k.AddImm(part, 16) // to w1, k1
		k.AddImm(parts, -1)
	})

	stride := word("cStride")
	rowsOf := func(name, strideName string, f func(m vec.Mem, i, j int)) vec.GP {
		p := word(name)
		if strideName != "cStride" {
			k.Word(field(strideName), stride)
		}
		for i := range acc {
			row(p, func(m vec.Mem, j int) { f(m, i, j) })
			k.AddWord(p, stride, p)
		}
		return p
	}
	addMem := func(m vec.Mem, i, j int) {
		d := g.ISA.Vec()
		g.ISA.Load(m, d)
		g.ISA.Add(d, acc[i][j], acc[i][j])
	}
	k.Comment("Add finished chains.")
	k.If(word("sum"), func() {
		k.StoreWord(rowsOf("sumTile", "sumStride", addMem), field("sumTile"))
		k.Word(field("cStride"), stride)
	})
	k.Comment("Add what C holds.")
	k.If(word("old"), func() { rowsOf("cTile", "cStride", addMem) })
	k.Comment("Store.")
	k.StoreWord(rowsOf("cTile", "cStride", func(m vec.Mem, i, j int) { g.ISA.Store(acc[i][j], m) }), field("cTile"))

	k.Comment("To the next tile.")
	if trans {
		k.AddImm(a, 4*rows)
	} else {
		for range rows {
			k.AddWord(a, aStride, a)
		}
	}
	left := word("tilesLeft")
	k.AddImm(left, -1)
	k.StoreWord(left, field("tilesLeft"))
	k.Branch(left, vec.NE, 0, tile)

	// Pointers must never leave their matrices, for the task is Go memory.
	left = word("panels")
	k.AddImm(left, -1)
	k.StoreWord(left, field("panels"))
	k.Branch(left, vec.EQ, 0, done)
	k.Comment("To the next panel.")
	addTo("c", word("cPanel"))
	addTo("sum", word("sumPanel"))
	addTo("init", word("initPanel"))
	wPanel := word("wPanel")
	addTo("w0", wPanel)
	addTo("w1", wPanel)
	k.Jump(panel)
	k.Label(done)
}
