package main

import (
	"fmt"

	"github.com/simdrnn/simdrnn/asm/vec"
)

const (
	block  = 16  // columns of a block of packed weights
	kBlock = 128 // inputs of a k block of a panel
	inputs = 4   // of a product that are worked on without a branch
)

// fetchLines returns how many lines of the weights of the next blocks of columns a
// tile of some rows fetches into the second cache for so many inputs of its own,
// always or if the task asks for it. Tiles share the lines, so these come at the pace
// of all tiles: two tiles fetch all there are, one fetches half, for more at once leave
// no room for what it reads itself. Tiles of few rows have none to spare. To AVX-512,
// with fewer loads for as much work, fetches are a burden unless weights come from afar.
func fetchLines(g *vec.Gen, rows int) (always, onDemand int) {
	switch {
	case g.Name() == "AVX2" && rows >= 4:
		return 2, 0
	case g.Name() == "AVX512" && rows >= 4:
		return 0, 8
	}
	return 0, 0
}

// paired says whether a tile kernel of some rows also takes tiles with one row less,
// so that all tiles of a product use the same weights one after the other.
func paired(t target, rows int) bool {
	return rows >= 5 && t.blocks[rows] == t.blocks[rows-1]
}

// fetchNext sets where the weights are that the tiles of a group fetch: those of the
// next group, panel or task.
func fetchNext(k *vec.Func, field func(string) vec.Mem, blocks int) {
	load := func(name string) vec.GP {
		r := k.GP64()
		k.Word(field(name), r)
		return r
	}
	inPanel, last, done := k.NewLabel("inPanel"), k.NewLabel("last"), k.NewLabel("done")
	left := load("groupsLeft")
	k.Branch(left, vec.GE, 2, inPanel)
	panels := load("panels")
	k.Branch(panels, vec.LT, 2, last)
	for _, part := range []string{"0", "1"} {
		r := load("w" + part)
		k.AddWord(r, load("w"+part+"Panel"), r)
		k.StoreWord(r, field("fetch"+part))
	}
	k.Jump(done)
	k.Label(last)
	for _, part := range []string{"0", "1"} {
		k.StoreWord(load("after"+part), field("fetch"+part))
	}
	k.Jump(done)
	k.Label(inPanel)
	for _, part := range []string{"0", "1"} {
		r, step := load("w"+part), load("k"+part)
		k.ShlWord(step, 6)
		for range blocks {
			k.AddWord(r, step, r)
		}
		k.StoreWord(r, field("fetch"+part))
	}
	k.Label(done)
}

// gemms emits what packs, and a tile kernel for each number of rows up to the largest, and for
// each number of blocks of 16 columns that fit into the registers then.
func gemms(g *vec.Gen, t target) {
	copyBlocks(g)
	transpose(g)
	for rows := 1; rows < len(t.blocks); rows++ {
		for blocks := range t.blocks[rows] {
			gemm(g, rows, blocks+1, paired(t, rows))
		}
	}
}

// copyBlocks emits
//
//	dst[b*dstStep+16*i+j] = src[i*srcStride+16*b+j]
//
// for blocks b of 16 columns j, four at a time.
func copyBlocks(g *vec.Gen) {
	k := g.Func("copyBlocks", "dst, src *float32, dstStep, srcStride, rows, blocks int",
		"copies blocks of 16 columns of some rows. Steps are bytes from block to block, strides from row to row.")
	left := k.Arg("blocks")
	for _, n := range []int{4, 1} {
		k.While(left, n, func() {
			src, dst, rows := k.Arg("src"), k.Arg("dst"), k.Arg("rows")
			stride, step := k.Arg("srcStride"), k.Arg("dstStep")
			to := []vec.GP{dst}
			for range n - 1 {
				p := k.GP64()
				k.AddWord(to[len(to)-1], step, p)
				to = append(to, p)
			}
			later := k.GP64() // the source some rows ahead: no processor foresees wide strides
			k.CopyWord(stride, later)
			k.ShlWord(later, 3)
			k.AddWord(later, src, later)
			k.While(rows, 1, func() {
				if f, ok := g.ISA.(vec.Prefetcher); ok {
					for b := range n {
						f.Prefetch(vec.Mem{Base: later, Disp: 4 * block * b})
					}
					k.AddWord(later, stride, later)
				}
				for b, p := range to {
					for j := 0; j < block; j += g.Lanes() {
						r := g.ISA.Vec()
						g.ISA.Load(vec.Mem{Base: src, Disp: 4 * (block*b + j)}, r)
						g.ISA.Store(r, vec.Mem{Base: p, Disp: 4 * j})
					}
					k.AddImm(p, 4*block)
				}
				k.AddWord(src, stride, src)
				k.AddImm(rows, -1)
			})
			k.Word(k.Param("src"), src)
			k.AddImm(src, 4*block*n)
			k.StoreWord(src, k.Param("src"))
			k.Word(k.Param("dst"), dst)
			for range n {
				k.AddWord(dst, step, dst)
			}
			k.StoreWord(dst, k.Param("dst"))
			k.AddImm(left, -n)
		})
	}
	k.End()
}

// transpose emits
//
//	dst[j*dstStride+i] = src[i*srcStride+j]
//
// for rows i and columns j, both multiples of the lanes of a register.
func transpose(g *vec.Gen) {
	k := g.Func("transpose", "dst, src *float32, dstStride, srcStride, rows, cols int",
		"copies rows and columns, multiples of 16, to columns and rows. Strides are bytes.")
	left, srcStride, dstStride := k.Arg("rows"), k.Arg("srcStride"), k.Arg("dstStride")
	n := g.Lanes()
	k.While(left, n, func() {
		from, to, cols := k.Arg("src"), k.Arg("dst"), k.Arg("cols")
		k.While(cols, n, func() {
			p := k.GP64()
			k.CopyWord(from, p)
			r := make([]vec.R, n)
			for i := range r {
				r[i] = g.ISA.Vec()
				g.ISA.Load(vec.Mem{Base: p}, r[i])
				if f, ok := g.ISA.(vec.Prefetcher); ok { // no processor foresees wide strides
					f.Prefetch(vec.Mem{Base: p, Index: srcStride, Scale: 8})
				}
				k.AddWord(p, srcStride, p)
			}
			g.ISA.Transpose(r)
			for _, r := range r {
				g.ISA.Store(r, vec.Mem{Base: to})
				k.AddWord(to, dstStride, to)
			}
			k.AddImm(from, 4*n)
			k.AddImm(cols, -n)
		})
		p := k.Arg("src")
		for range n {
			k.AddWord(p, srcStride, p)
		}
		k.StoreWord(p, k.Param("src"))
		k.Word(k.Param("dst"), p)
		k.AddImm(p, 4*n)
		k.StoreWord(p, k.Param("dst"))
		k.AddImm(left, -n)
	})
	k.End()
}

// gemm emits a tile kernel, which multiplies tiles of rows of A by some blocks of a
// panel of W, and goes on to the next blocks and panels.
func gemm(g *vec.Gen, rows, blocks int, paired bool) {
	k := g.Func(fmt.Sprintf("gemm%dx%d", rows, block*blocks), "task *gemmTask",
		fmt.Sprintf("multiplies tiles of %d rows of A by %d columns of panels.", rows, block*blocks))
	product(k, k.Arg("task"), rows, blocks, paired)
	k.End()
}

// product emits the work of a task:
//
//	for range panels {
//		for range groups { // of blocks of columns
//			for range tiles { // and then shorter, if paired
//				acc := init
//				for part := range parts { // k blocks of the chain
//					for range part.k {
//						acc[i][j] = fma(a[i], w[j], acc[i][j])
//					}
//				}
//				if sum != nil {
//					acc += sum
//				}
//				if old {
//					acc += c
//				}
//				c = acc
//			}
//		}
//	}
//
// gemmTask, which is used up, says where everything is.
func product(k *vec.Func, task vec.GP, rows, blocks int, paired bool) {
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
	addImm := func(name string, step int) vec.GP {
		r := word(name)
		k.AddImm(r, step)
		k.StoreWord(r, field(name))
		return r
	}
	panel, group := k.NewLabel("panel"), k.NewLabel("group")
	next, done := k.NewLabel("next"), k.NewLabel("done")
	k.Label(panel)
	k.StoreWord(word("groups"), field("groupsLeft"))
	k.Label(group)
	if always, onDemand := fetchLines(g, rows); always+onDemand > 0 {
		k.Comment("The weights to fetch.")
		fetchNext(k, field, blocks)
	}
	k.StoreWord(word("c"), field("cTile"))
	k.StoreWord(word("sum"), field("sumTile"))
	a := word("a")
	tiles(k, task, a, rows, blocks, "tiles")
	if paired {
		k.Comment("Shorter tiles.")
		k.If(word("shorter"), func() { tiles(k, task, a, rows-1, blocks, "shorter") })
	}

	// Pointers must never leave their matrices, for the task is Go memory.
	k.Branch(addImm("groupsLeft", -1), vec.EQ, 0, next)
	k.Comment("To the next blocks of columns.")
	addImm("c", 4*block*blocks)
	addImm("init", 4*block*blocks)
	addTo("sum", word("sumGroup"))
	for _, part := range []string{"0", "1"} {
		step := word("k" + part)
		k.ShlWord(step, 6)
		for range blocks {
			addTo("w"+part, step)
		}
	}
	k.Jump(group)

	k.Label(next)
	k.Branch(addImm("panels", -1), vec.EQ, 0, done)
	k.Comment("To the next panel.")
	for _, name := range []string{"c", "sum", "init", "w0", "w1"} {
		addTo(name, word(name+"Panel"))
	}
	k.Jump(panel)
	k.Label(done)
}

// tiles emits the work of a task's tiles of some rows, of which a field holds the
// number, on one group of blocks of columns. a is the first row; the next ones
// follow.
func tiles(k *vec.Func, task, a vec.GP, rows, blocks int, count string) {
	g := k.Gen
	field := func(name string) vec.Mem { return k.Field(task, "gemmTask", name) }
	word := func(name string) vec.GP {
		r := k.GP64()
		k.Word(field(name), r)
		return r
	}
	addImm := func(name string, step int) vec.GP {
		r := word(name)
		k.AddImm(r, step)
		k.StoreWord(r, field(name))
		return r
	}
	perBlock := block / g.Lanes()
	acc := make([][]vec.R, rows)
	row := func(p vec.GP, f func(m vec.Mem, j int)) {
		for j := range blocks * perBlock {
			f(vec.Mem{Base: p, Disp: 4 * g.Lanes() * j}, j)
		}
	}

	always, onDemand := fetchLines(g, rows)
	tile := k.NewLabel("tile")
	k.StoreWord(word(count), field("tilesLeft"))
	k.Label(tile)
	if always > 0 { // as products that copy use
		k.Comment("Fetch four rows for later.")
		k.If(word("nextRows"), func() {
			next, stride := word("next"), word("nextStride")
			for range 4 {
				for b := range 4 {
					g.ISA.(vec.Prefetcher).Prefetch(vec.Mem{Base: next, Disp: 4 * block * b})
				}
				k.AddWord(next, stride, next)
			}
			k.StoreWord(next, field("next"))
			addImm("nextRows", -4)
		})
	}
	if f, ok := g.ISA.(vec.Prefetcher); ok {
		k.Comment("Fetch what will be added.")
		fetch := func(name, stride string) {
			p := word(name)
			step := word(stride)
			for range rows {
				for b := range blocks {
					f.Prefetch(vec.Mem{Base: p, Disp: 4 * block * b})
				}
				k.AddWord(p, step, p)
			}
		}
		k.If(word("sum"), func() { fetch("sumTile", "sumStride") })
		k.If(word("old"), func() { fetch("cTile", "cStride") })
	}
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
		rowsOfA := k.Strided(at, aStride, rows)
		later := k.GP64()
		if always+onDemand > 0 {
			k.Word(k.Field(part, "gemmTask", "fetch0"), later)
		}
		loop := func(steps, lines int) {
			k.While(n, steps, func() {
				for i := range lines {
					g.ISA.(vec.Prefetcher).PrefetchSecond(vec.Mem{Base: later, Disp: 4 * block * i})
				}
				if lines > 0 {
					k.AddImm(later, 4*block*lines)
				}
				g.Outer(acc, rowsOfA.At, wm, steps)
				rowsOfA.Advance(4 * steps)
				weights.Advance(4 * block * steps)
				k.AddImm(n, -steps)
			})
		}
		if onDemand > 0 {
			k.If(word("ahead"), func() { loop(inputs, onDemand) })
		}
		loop(inputs, always)
		loop(1, 0)
		if always+onDemand > 0 {
			k.StoreWord(later, k.Field(part, "gemmTask", "fetch0"))
		}
		k.AddImm(part, 24) // to w1, k1, fetch1
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
	for range rows {
		k.AddWord(a, aStride, a)
	}
	k.Branch(addImm("tilesLeft", -1), vec.NE, 0, tile)
}
