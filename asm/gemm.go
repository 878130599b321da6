package main

import (
	"fmt"

	"github.com/simdrnn/simdrnn/asm/vec"
)

const (
	block  = 16  // columns of a block of packed weights
	kBlock = 128 // inputs of a k block of a panel
	inputs = 4   // of a product that are loaded together on NEON; see turn
)

// turn returns how many inputs of a product are worked on without a branch. On
// amd64, where a sibling thread often takes every other slot for instructions, more
// of them leave fewer instructions for the loop.
func turn(g *vec.Gen) int {
	if g.Name() == "NEON" {
		return inputs
	}
	return 2 * inputs
}

// fetchLines returns how many lines of the weights of the next blocks of columns a
// tile of some rows fetches into the second cache in each turn of its own, if the task
// says that they are not there yet. Tiles share the lines, so these come at the pace
// of all tiles: two tiles fetch all there are, one fetches half, for more at once leave
// no room for what it reads itself. Tiles of few rows have none to spare, but for single
// rows whose weights come from memory: they fetch all, in the order of addresses, which
// is faster than four streams that the processor foresees.
func fetchLines(g *vec.Gen, rows, blocks int) int {
	switch {
	case g.Name() != "NEON" && rows == 1:
		return blocks * turn(g)
	case g.Name() == "AVX2" && rows >= 4:
		return 4
	case g.Name() == "AVX512" && rows >= 4:
		return 16
	}
	return 0
}

// paired says whether a tile kernel of some rows also takes tiles with one row less,
// so that all tiles of a product use the same weights one after the other.
func paired(t target, rows int) bool {
	return rows >= 5 && t.blocks[rows] == t.blocks[rows-1]
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
	gemmNarrow(g)
	gemmNarrowRow(g)
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
	p := product{k, k.Arg("task"), blocks}
	if rows == 1 {
		p.emitRow()
	} else {
		p.emit(rows, paired)
	}
	k.End()
}

// A product emits the work of a task with some neighbouring blocks of columns:
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
type product struct {
	*vec.Func
	task   vec.GP
	blocks int
}

// field returns a field of the task.
func (k product) field(name string) vec.Mem { return k.Field(k.task, "gemmTask", name) }

// word loads a field.
func (k product) word(name string) vec.GP {
	r := k.GP64()
	k.Word(k.field(name), r)
	return r
}

// addTo adds to a field.
func (k product) addTo(name string, step vec.GP) {
	r := k.word(name)
	k.AddWord(r, step, r)
	k.StoreWord(r, k.field(name))
}

// addImm adds to a field and returns what it is then.
func (k product) addImm(name string, step int) vec.GP {
	r := k.word(name)
	k.AddImm(r, step)
	k.StoreWord(r, k.field(name))
	return r
}

func (k product) emit(rows int, paired bool) {
	panel, group := k.NewLabel("panel"), k.NewLabel("group")
	next, done := k.NewLabel("next"), k.NewLabel("done")
	k.Label(panel)
	k.StoreWord(k.word("groups"), k.field("groupsLeft"))
	k.Label(group)
	if fetchLines(k.Gen, rows, k.blocks) > 0 {
		k.Comment("The weights to fetch.")
		k.If(k.word("ahead"), k.fetchNext)
	}
	k.StoreWord(k.word("c"), k.field("cTile"))
	k.StoreWord(k.word("sum"), k.field("sumTile"))
	a := k.word("a")
	k.tiles(a, rows, "tiles")
	if paired {
		k.Comment("Shorter tiles.")
		k.If(k.word("shorter"), func() { k.tiles(a, rows-1, "shorter") })
	}

	// Pointers must never leave their matrices, for the task is Go memory.
	k.Branch(k.addImm("groupsLeft", -1), vec.EQ, 0, next)
	k.Comment("To the next blocks of columns.")
	k.addImm("c", 4*block*k.blocks)
	k.addImm("init", 4*block*k.blocks)
	k.addTo("sum", k.word("sumGroup"))
	for _, part := range []string{"0", "1"} {
		k.addTo("w"+part, k.word("w"+part+"Group"))
	}
	k.Jump(group)

	k.Label(next)
	k.Branch(k.addImm("panels", -1), vec.EQ, 0, done)
	k.Comment("To the next panel.")
	for _, name := range []string{"c", "sum", "init", "w0", "w1"} {
		k.addTo(name, k.word(name+"Panel"))
	}
	k.Jump(panel)
	k.Label(done)
}

// emitRow is emit for a single row: one tile, and one group of blocks in each panel. What
// the first loads of a panel depend on stays in registers: the weights of the panel before
// have taken the task's place in the first cache.
func (k product) emitRow() {
	t := tile{k, make([][]vec.R, 1)}
	w, kn, c, init, panels := k.word("w0"), k.word("k0"), k.word("c"), k.word("init"), k.word("panels")
	k.Comment("From the end of a k block to the next one, if it has more blocks than ours.")
	skip, end := k.word("w1"), k.GP64()
	k.CopyWord(kn, end)
	k.ShlWord(end, 6)
	k.SubWord(skip, w, skip)
	for range k.blocks {
		k.SubWord(skip, end, skip)
	}
	k.AddWord(kn, k.word("k1"), kn)
	k.While(panels, 1, func() {
		at, left, a := k.GP64(), k.GP64(), k.word("a")
		k.CopyWord(w, at)
		k.AddWord(w, k.word("w0Panel"), w)
		if fetchLines(k.Gen, 1, k.blocks) > 0 {
			k.If(k.word("ahead"), func() {
				next := k.GP64()
				k.CopyWord(w, next)
				k.IfEqual(panels, 1, func() { k.Word(k.field("after0"), next) })
				k.StoreWord(next, k.field("fetch0"))
			})
		}
		k.Comment("The chains start.")
		t.acc[0] = k.New(k.blocks * (block / k.Lanes()))
		for j, r := range t.acc[0] {
			k.ISA.Load(t.vector(vec.Mem{Base: init}, j), r)
		}
		k.AddWord(init, k.word("initPanel"), init)
		k.CopyWord(kn, left)
		kBlocks(k.Func, left, at, k.blocks, func(n vec.GP, weights *vec.Strided) {
			t.turns(n, weights, k.Strided(a, n, 1), k.field("fetch0"))
		}, func() { k.AddWord(at, skip, at) })
		k.If(k.word("reads"), func() {
			add := func(p vec.GP) {
				for j, r := range t.acc[0] {
					k.AddFrom(t.vector(vec.Mem{Base: p}, j), r)
				}
			}
			k.Comment("Add finished chains.")
			sum := k.word("sum")
			k.If(sum, func() {
				add(sum)
				k.addTo("sum", k.word("sumPanel"))
			})
			k.Comment("Add what C holds.")
			k.If(k.word("old"), func() { add(c) })
		})
		k.Comment("Store.")
		for j, r := range t.acc[0] {
			k.ISA.Store(r, t.vector(vec.Mem{Base: c}, j))
		}
		k.AddWord(c, k.word("cPanel"), c)
		k.AddImm(panels, -1)
	})
}

// kBlocks runs body for each k block of the inputs that are left, n in it, and then next.
// weights are the rows of its blocks of columns, the first of which at points to; body
// moves them past it.
func kBlocks(k *vec.Func, left, at vec.GP, blocks int, body func(n vec.GP, weights *vec.Strided), next func()) {
	k.While(left, 1, func() {
		k.Comment("A k block.")
		n, stride := k.GP64(), k.GP64()
		k.CopyWord(left, n)
		k.AddImm(left, -kBlock)
		k.IfAtLeast(left, 1, func() { k.SetWord(kBlock, n) })
		k.CopyWord(n, stride)
		k.ShlWord(stride, 6)
		weights := k.Strided(at, stride, blocks)
		body(n, weights)
		weights.Copy(blocks-1, at)
		next()
	})
}

// fetchNext sets where the weights are that the tiles of a group fetch: those of the
// next group, panel or task.
func (k product) fetchNext() {
	inPanel, last, done := k.NewLabel("inPanel"), k.NewLabel("last"), k.NewLabel("done")
	left := k.word("groupsLeft")
	k.Branch(left, vec.GE, 2, inPanel)
	panels := k.word("panels")
	k.Branch(panels, vec.LT, 2, last)
	for _, part := range []string{"0", "1"} {
		r := k.word("w" + part)
		k.AddWord(r, k.word("w"+part+"Panel"), r)
		k.StoreWord(r, k.field("fetch"+part))
	}
	k.Jump(done)
	k.Label(last)
	for _, part := range []string{"0", "1"} {
		k.StoreWord(k.word("after"+part), k.field("fetch"+part))
	}
	k.Jump(done)
	k.Label(inPanel)
	for _, part := range []string{"0", "1"} {
		r := k.word("w" + part)
		k.AddWord(r, k.word("w"+part+"Group"), r)
		k.StoreWord(r, k.field("fetch"+part))
	}
	k.Label(done)
}

// tiles emits the work of a task's tiles of some rows, of which a field holds the
// number, on one group of blocks of columns. a is the first row; the next ones
// follow.
func (k product) tiles(a vec.GP, rows int, count string) {
	t := tile{k, make([][]vec.R, rows)}
	next := k.NewLabel("tile")
	k.StoreWord(k.word(count), k.field("tilesLeft"))
	k.Label(next)
	t.fetch()
	t.start()
	aStride := t.multiply(a)
	t.finish()
	k.Comment("To the next tile.")
	k.AddTimes(a, aStride, rows)
	k.Branch(k.addImm("tilesLeft", -1), vec.NE, 0, next)
}

// A tile emits the work of a product on some rows of A.
type tile struct {
	product
	acc [][]vec.R // for each row the sums of all columns
}

// vector returns where register j of a row of sums that starts at m is.
func (t tile) vector(m vec.Mem, j int) vec.Mem { return m.Offset(4 * t.Lanes() * j) }

// fetch asks for what the tile or a later one reads in memory apart from weights.
func (t tile) fetch() {
	f, ok := t.ISA.(vec.Prefetcher)
	if !ok {
		return
	}
	t.If(t.word("reads"), func() {
		if t.ISA.Name() == "AVX2" && len(t.acc) >= 4 { // as products that copy use
			t.Comment("Fetch four rows for later.")
			t.If(t.word("nextRows"), func() {
				next, stride := t.word("next"), t.word("nextStride")
				for range 4 {
					for b := range 4 {
						f.Prefetch(vec.Mem{Base: next, Disp: 4 * block * b})
					}
					t.AddWord(next, stride, next)
				}
				t.StoreWord(next, t.field("next"))
				t.addImm("nextRows", -4)
			})
		}
		t.Comment("Fetch what will be added.")
		fetch := func(name, stride string) {
			rows := t.Strided(t.word(name), t.word(stride), len(t.acc))
			for i := range t.acc {
				for b := range t.blocks {
					f.Prefetch(rows.At(i).Offset(4 * block * b))
				}
			}
		}
		t.If(t.word("sum"), func() { fetch("sumTile", "sumStride") })
		t.If(t.word("old"), func() { fetch("cTile", "cStride") })
	})
}

// start sets the sums to what the chains start from.
func (t tile) start() {
	t.Comment("The chains start.")
	init := t.word("init")
	for i := range t.acc {
		t.acc[i] = t.New(t.blocks * (block / t.Lanes()))
		for j, r := range t.acc[i] {
			if i == 0 {
				t.ISA.Load(t.vector(vec.Mem{Base: init}, j), r)
			} else {
				t.ISA.Copy(t.acc[0][j], r)
			}
		}
	}
}

// multiply continues the chains by all their k blocks. It returns the stride of A.
func (t tile) multiply(a vec.GP) (aStride vec.GP) {
	aStride, parts, part := t.word("aStride"), t.word("parts"), t.GP64()
	at := t.GP64()
	t.CopyWord(a, at)
	t.CopyWord(t.task, part)
	t.While(parts, 1, func() {
		t.Comment("A k block.")
		t.inputs(part, at, aStride)
		t.AddImm(part, 24) // to w1, k1, fetch1
		t.AddImm(parts, -1)
	})
	return aStride
}

// inputs continues the chains by the k block of which part is the task's first field,
// and moves at, which points to the first row of A, past it.
func (t tile) inputs(part, at, aStride vec.GP) {
	w, n, wStride := t.GP64(), t.GP64(), t.GP64()
	t.Word(t.Field(part, "gemmTask", "w0"), w)
	t.Word(t.Field(part, "gemmTask", "k0"), n)
	t.CopyWord(n, wStride)
	t.ShlWord(wStride, 6)
	t.turns(n, t.Strided(w, wStride, t.blocks), t.Strided(at, aStride, len(t.acc)), t.Field(part, "gemmTask", "fetch0"))
}

// turns works on n inputs of a k block from the first ones on. fetch is where the pointer
// is to what it fetches.
func (t tile) turns(n vec.GP, weights, rows *vec.Strided, fetch vec.Mem) {
	var wm []vec.Mem
	for b := range t.blocks {
		wm = append(wm, weights.At(b))
	}
	// outer works on some of the inputs at at and w, from the first one on.
	outer := func(first, inputs int) {
		var from []vec.Mem
		for _, m := range wm {
			from = append(from, m.Offset(4*block*first))
		}
		t.Outer(t.acc, func(row int) vec.Mem { return rows.At(row).Offset(4 * first) }, from, inputs)
	}
	loop := func(steps int, body func()) {
		t.Turns(n, steps, func() {
			body()
			rows.Advance(4 * steps)
			weights.Advance(4 * block * steps)
		})
	}
	turn := turn(t.Gen)
	if lines := fetchLines(t.Gen, len(t.acc), t.blocks); lines > 0 {
		t.If(t.word("ahead"), func() {
			later := t.GP64()
			t.Word(fetch, later)
			loop(turn, func() {
				const few = 2 // inputs between fetches, which are lost if they come all at once
				for first := 0; first < turn; first += few {
					for i := first * lines / turn; i < (first+few)*lines/turn; i++ {
						t.ISA.(vec.Prefetcher).PrefetchSecond(vec.Mem{Base: later, Disp: 4 * block * i})
					}
					outer(first, few)
				}
				t.AddImm(later, 4*block*lines)
			})
			t.StoreWord(later, fetch)
		})
	}
	loop(turn, func() { outer(0, turn) })
	t.If(n, func() {
		if turn > inputs {
			loop(inputs, func() { outer(0, inputs) })
		}
		loop(1, func() { outer(0, 1) })
	})
}

// finish adds what is to be added, and stores the sums.
func (t tile) finish() {
	add := func(name, stride string) {
		p, step := t.word(name), t.word(stride)
		rows := t.Strided(p, step, len(t.acc))
		for i, acc := range t.acc {
			for j, r := range acc {
				t.AddFrom(t.vector(rows.At(i), j), r)
			}
		}
		if name == "sumTile" {
			t.AddTimes(p, step, len(t.acc))
			t.StoreWord(p, t.field(name))
		}
	}
	t.If(t.word("reads"), func() {
		t.Comment("Add finished chains.")
		t.If(t.word("sum"), func() { add("sumTile", "sumStride") })
		t.Comment("Add what C holds.")
		t.If(t.word("old"), func() { add("cTile", "cStride") })
	})
	t.Comment("Store.")
	c, step := t.word("cTile"), t.word("cStride")
	rows := t.Strided(c, step, len(t.acc))
	for i, acc := range t.acc {
		for j, r := range acc {
			t.ISA.Store(r, t.vector(rows.At(i), j))
		}
	}
	t.AddTimes(c, step, len(t.acc))
	t.StoreWord(c, t.field("cTile"))
}
