package kernels

import (
	"iter"
	"unsafe"
)

// A gemmTask tells a tile kernel where its matrices are. The kernel works on
// tiles of rows of A, one below the other, and some neighbouring blocks of
// columns of a panel, then on the same blocks of the next panels. It uses the
// task up.
//
// Strides and steps from panel to panel are bytes. Pointers stay within their
// matrices, as the garbage collector expects.
type gemmTask struct {
	w0 *float32 // the first of the blocks in the chain's first k block
	k0 int      // inputs of that k block
	//lint:ignore U1000 for assembly only
	fetch0 uintptr  // state of the kernel: what it fetches of the weights that come next
	w1     *float32 // the second k block
	k1     int
	//lint:ignore U1000 for assembly only
	fetch1 uintptr

	// The weights of both k blocks that come after the last panel. It is no error if
	// there is no memory.
	after0, after1 uintptr

	parts   int      // k blocks of the chain: 0, 1 or 2
	tiles   int      // at least 1
	shorter int      // tiles below those with one row less, see pairedRows
	groups  int      // of neighbouring blocks in a panel, one below the other's right: at least 1
	panels  int      // at least 1
	a       *float32 // first row, first input of the chain
	init    *float32 // what chains start from, for each column
	sum     *float32 // finished chains to be added, or nil
	old     int      // 1: add what c holds
	c       *float32
	ahead   int // 1: W is far, and tiles of many rows fetch what comes next

	aStride, sumStride, cStride int

	// Steps from group to group, where c and init go on by its columns, and from the
	// last group of a panel to the first of the next one.
	w0Group, w1Group, sumGroup                    int // of sum 0 if there is none
	w0Panel, w1Panel, sumPanel, initPanel, cPanel int

	reads int // 1: there is a sum, something old or a next row

	// Rows of 64 elements that are read later, a multiple of 4. Each tile may fetch
	// four of them; it is no error if there is no memory.
	next                 uintptr
	nextRows, nextStride int

	// State of the kernel.
	//lint:ignore U1000 for assembly only
	sumTile, cTile uintptr
	//lint:ignore U1000 for assembly only
	tilesLeft, groupsLeft int
}

const (
	maxRows      = 64        // of A in one call
	minInputs    = 64        // as which fewer count, of a block that C holds in part
	maxLastRows  = 12        // of such a block whose sums must be finished before they are added
	maxProducts  = 1 << 20   // multiply-adds of one call: some 50 us at 20 a ns
	maxWeights   = 512 << 10 // bytes of W in one call, for they may come from DRAM
	panelColumns = 4 * block
	pairedRows   = 5    // of tiles from which on a kernel also takes tiles with one row less
	copyPanels   = 4    // for which one copy of columns of A serves
	fewRows      = 4    // of A, whose tiles are that high on each path
	manyInputs   = 2048 // beyond which sums of several copies at once are worth their memory
)

// panelsPerCall returns how many panels one call may take, for some rows of A,
// inputs of a chain and blocks of a panel.
func panelsPerCall(rows, kn, blocks int) int {
	weights := max(1, kn*blocks*block)
	return max(1, min(maxProducts/(rows*weights), maxWeights/(4*weights)))
}

// nearWeights returns the bytes of W that the second cache keeps, or from which
// fetches take more time than they save.
func nearWeights(isa ISA) int {
	if isa == AVX512 {
		return 1536 << 10
	}
	return 256 << 10
}

// rowWeights is nearWeights for a single row: the third cache keeps fewer bytes than
// that, and gives them faster without fetches.
const rowWeights = 12 << 20

var zeroInit [panelColumns]float32

// gemm is Gemm on the path isa. If add, it adds to c what that sets.
func gemm(isa ISA, c, a Mat, n int, w *Panels, bias []float32, add bool) {
	if isa == Generic {
		gemmGeneric(c, a, n, w, bias, add)
		return
	}
	if w.narrow() {
		gemmPart(isa, c, a, n, w, 0, bias, add)
		return
	}
	if uint(n-1) < fewRows && gemmFew(isa, c, a, n, w, bias, add) {
		return
	}
	p := matmul{isa: isa, c: c, a: a, w: w, bias: bias, add: add}
	p.run(n)
}

// gemmFew is gemm for up to fewRows rows, whose work is so little that what is done
// before a call counts. It returns false and has done nothing unless the rows are one
// tile and panels are whole, or there is one panel.
func gemmFew(isa ISA, c, a Mat, rows int, w *Panels, bias []float32, add bool) bool {
	width, full := w.Width(), w.blocksPerPanel()*block
	switch {
	case width == 0 || w.k == 0:
		return false
	case width%block > 0:
		if rows == 1 && width < panelColumns && w.k <= kChain {
			gemvPadded(isa, c, a, w, bias, add)
			return true
		}
		return false
	case width < full:
		full = width
	case width%full > 0:
		return false
	}
	tile := block * min(full/block, tileBlocks(isa)[rows])
	switch {
	case full%tile > 0:
		return false
	case !add || w.k <= kChain:
		gemmTiles(isa, c, a, rows, w, bias, add, full, tile, nil)
	case rows == 1:
		gemvAdded(isa, c, a, w, bias, full)
	default:
		return false
	}
	return true
}

// gemvPadded is gemmFew for one row and a part of a panel, of whose last block c and
// bias hold some columns.
//
//go:noinline
func gemvPadded(isa ISA, c, a Mat, w *Panels, bias []float32, add bool) {
	var sum, init [panelColumns]float32
	out := c.row(0, w.Width())
	if add {
		copy(sum[:], out)
	}
	copy(init[:], bias)
	cols := blocks(w.units) * block
	gemmTiles(isa, rowMat(sum[:]), a, 1, w, init[:], add, cols, cols, nil)
	copy(out, sum[:])
}

// gemvAdded is gemmFew for one row and several chains whose sum is added to c.
//
//go:noinline
func gemvAdded(isa ISA, c, a Mat, w *Panels, bias []float32, cols int) {
	var sums [maxWeights / 4 / kChain]float32
	gemmTiles(isa, c, a, 1, w, bias, true, cols, cols, sums[:])
}

// gemmTiles multiplies rows that are one tile by all panels, of cols columns each, a
// multiple of those of a tile. A single row whose sums of several chains must not be in c
// before they are finished has sums for that.
func gemmTiles(isa ISA, c, a Mat, rows int, w *Panels, bias []float32, add bool, cols, tile int, sums []float32) {
	panels, first, step := w.len(), 0, 1
	if w.descending {
		first, step = panels-1, -1
	}
	var task gemmTask
	task.tiles, task.groups = 1, cols/tile
	task.aStride, task.cStride = 4*a.Stride, 4*c.Stride
	task.ahead = ahead(isa, w, rows)
	back := cols - tile // from the last group of a panel to the first one
	most := panelsPerCall(rows, min(w.k, kChain), cols/block)
	for done := 0; done < panels; done += most {
		panel := first + step*done
		for k := 0; k < w.k; k += kChain {
			kn, at := min(kChain, w.k-k), (panel*w.k+k)*cols
			task.panels, task.parts = min(most, panels-done), (kn+kBlock-1)/kBlock
			task.k0, task.k1 = min(kn, kBlock), max(0, kn-kBlock)
			task.w0, task.w1 = &w.data[at], &w.data[at]
			if task.k1 > 0 {
				task.w1 = &w.data[at+kBlock*cols]
			}
			task.w0Group, task.w1Group = 4*tile*task.k0, 4*tile*task.k1
			task.w0Panel, task.w1Panel = 4*(step*cols*w.k-back*task.k0), 4*(step*cols*w.k-back*task.k1)
			task.a = &a.Data[k]
			task.c, task.cPanel = &c.Data[panel*cols], 4*(step*cols-back)
			task.init, task.initPanel = &zeroInit[0], -4*back
			task.sum, task.sumGroup, task.sumPanel = nil, 0, 0
			task.old, task.reads = 0, 0
			sum, sumPanel := task.c, task.cPanel
			if sums != nil {
				sum, sumPanel = &sums[0], 4*cols
			}
			if k > 0 {
				task.sum, task.sumPanel, task.sumStride, task.reads = sum, sumPanel, task.cStride, 1
				task.sumGroup = 4 * tile
			} else if bias != nil {
				task.init, task.initPanel = &bias[panel*cols], task.cPanel
			}
			if k+kn < w.k {
				task.c, task.cPanel = sum, sumPanel
			} else if add {
				task.old, task.reads = 1, 1
			}
			if task.ahead > 0 {
				next := at + kn*cols
				if k+kn == w.k {
					next = (panel + step*task.panels) * w.k * cols
				}
				task.after0 = uintptr(unsafe.Pointer(unsafe.SliceData(w.data))) + uintptr(4*next)
				task.after1 = task.after0 + uintptr(4*kBlock*cols)
			}
			gemmTile(isa, rows, tile/block, &task)
		}
	}
}

// A narrowTask tells the kernel of a block of which C holds only some columns where
// everything is. The kernel uses it up. Strides are bytes.
type narrowTask struct {
	w     *float32 // the block in the chain's first k block
	k     int      // inputs of the chain
	skip  int      // bytes between the block in a k block and in the next one
	a     *float32 // first row, first input of the chain
	init  *float32 // what chains start from, for each column
	add   int      // 1: add what C holds
	c     *float32 // first row, first column of the block
	units int      // columns
	rows  int

	aStride, cStride int

	// State of the kernel.
	//lint:ignore U1000 for assembly only
	aRow, cRow uintptr
}

// narrow says whether w is a part of a block, and its inputs one chain.
func (w *Panels) narrow() bool {
	return w.gates == 1 && uint(w.units-1) < block-1 && uint(w.k-1) < kChain
}

// partRows returns how many rows one call may take of the columns of a part of a block,
// for the inputs of a chain.
func partRows(kn int) int { return maxProducts / block / max(kn, minInputs) }

// gemmPart computes, for the chain of inputs from k on and any number of rows, the
// columns of the last block, of which C holds only some. The first chain starts from the
// bias, if there is one.
func gemmPart(isa ISA, c, a Mat, n int, w *Panels, k int, bias []float32, add bool) {
	kn := min(kChain, w.k-k)
	col := w.units / block * block
	var task narrowTask // set field by field, for a copy waits for what was just stored
	task.k, task.units = kn, w.units-col
	task.aStride, task.cStride = 4*a.Stride, 4*c.Stride
	if add {
		task.add = 1
	}
	if task.init = &zeroInit[0]; k == 0 && bias != nil {
		task.init = &bias[col]
	}
	if kn > 0 {
		// Our block is the last of nb in the last panel.
		last, nb, k0 := w.units/panelColumns, w.units%panelColumns/block+1, min(kBlock, kn)
		task.w = &w.data[block*(4*last*w.k+nb*k+(nb-1)*k0)]
		task.skip = 4 * block * (nb - 1) * (kn - k0)
	}
	most := partRows(kn)
	for row := 0; row < n; row += most {
		task.rows, task.c = min(most, n-row), c.at(row, col)
		if kn > 0 {
			task.a = a.at(row, k)
		}
		gemmNarrow(isa, &task)
	}
}

// gemmTN is GemmTN for units lo to hi on the path isa.
func gemmTN(isa ISA, c, a Mat, gates, units, lo, hi int, b *Panels, add bool) {
	if isa == Generic {
		gemmTNGeneric(c, a, gates, units, lo, hi, b, add)
		return
	}
	p := matmul{isa: isa, c: c, a: a, w: b, add: add, trans: true}
	switch {
	case b.k <= block:
		p.tiny(gates, units, lo, hi)
	case b.k <= kBlock/2:
		p.small(gates, units, lo, hi)
	case b.k <= kChain:
		p.oneChain(gates, units, lo, hi)
	case b.k > manyInputs:
		p.manyChains(gates, units, lo, hi)
	default:
		p.someChains(gates, units, lo, hi)
	}
}

// A matmul is C = bias + A·W, C += A·W, or the same with Aᵀ if trans.
type matmul struct {
	isa        ISA
	c, a       Mat
	w          *Panels
	bias       []float32
	add, trans bool
	copied     Mat // if trans: columns of A as rows

	// If trans, where in A the next copy is from, and how many rows of it are still
	// to be fetched.
	nextRow, nextCol, nextRows int
}

// A region is a part of C: rows, and columns by the panels and blocks of W that
// they come from. If there are several panels, they are whole. A last block of
// columns that C holds in part goes through scratch memory, as do sums of several
// chains that must be finished before they are added to C.
type region struct {
	row, rows     int
	from          int // the first row of the copy of A's columns, if trans
	panel, panels int
	block, blocks int
	descending    bool // from the last panel to the first
}

// col returns the first column of C.
func (p *matmul) col(r region) int { return (r.panel*p.w.blocksPerPanel() + r.block) * block }

// run works on blocks of rows, in each on all panels, back and forth: weights
// that do not fit in a cache are still there in part.
func (p *matmul) run(n int) {
	r := region{panels: p.w.len(), descending: p.w.descending}
	if p.oneCall(n) { // of which small networks make many
		r.rows, r.blocks = n, min(p.w.blocksPerPanel(), p.w.Width()/block)
		p.chain(r, 0, p.w.k, p.c, p.c, p.init(r), p.add)
		return
	}
	for ; r.row < n && r.panels > 0; r.row += r.rows {
		parts := (n - r.row + maxRows - 1) / maxRows
		r.rows = (n - r.row + parts - 1) / parts
		p.panels(r)
		r.descending = !r.descending
	}
}

// Products with Aᵀ copy some of A's columns to rows: there their inputs are a
// stride apart, which may be a multiple of the distance at which cache lines
// displace each other. The memory for that is on the stack, no more than it takes.

const copyStride = kChain + block // no power of two

//go:noinline
func (p matmul) tiny(gates, units, lo, hi int) {
	var copied [4 * block * 2 * block]float32
	var sums [4 * block * block]float32
	p.copied = Mat{copied[:], 2 * block}
	p.runTN(gates, units, lo, hi, Mat{sums[:], block})
}

//go:noinline
func (p matmul) small(gates, units, lo, hi int) {
	var copied [4 * block * (kBlock/2 + block)]float32
	var sums [4 * block * block]float32
	p.copied = Mat{copied[:], kBlock/2 + block}
	p.runTN(gates, units, lo, hi, Mat{sums[:], block})
}

//go:noinline
func (p matmul) oneChain(gates, units, lo, hi int) {
	var copied [4 * block * copyStride]float32
	var sums [4 * block * block]float32
	p.copied = Mat{copied[:], copyStride}
	p.runTN(gates, units, lo, hi, Mat{sums[:], block})
}

//go:noinline
func (p matmul) someChains(gates, units, lo, hi int) {
	var copied [4 * block * copyStride]float32
	var sums [4 * block * copyPanels * panelColumns]float32
	p.copied = Mat{copied[:], copyStride}
	p.runTN(gates, units, lo, hi, p.sumsOfPanels(sums[:]))
}

//go:noinline
func (p matmul) manyChains(gates, units, lo, hi int) {
	var copied [4 * block * copyStride]float32
	var sums [2 * 4 * block * copyPanels * panelColumns]float32 // 128 KiB, the most that the compiler leaves on the stack
	p.copied = Mat{copied[:], copyStride}
	p.runTN(gates, units, lo, hi, p.sumsOfPanels(sums[:]))
}

// sumsOfPanels returns a matrix that is as wide as the panels that a copy serves.
func (p *matmul) sumsOfPanels(sums []float32) Mat {
	return Mat{sums, min(copyPanels, p.w.len()) * panelColumns}
}

// oneCall says whether one call of assembly takes a product with n rows: with at
// most one chain of inputs, and columns that are whole panels or whole blocks of
// one panel.
func (p *matmul) oneCall(n int) bool {
	width, k := p.w.Width(), p.w.k
	columns := p.w.blocksPerPanel() * block
	return n > 0 && n <= maxRows && width > 0 && k <= kChain && (width%columns == 0 || width < columns && width%block == 0) &&
		width*k <= maxProducts/n && 4*width*k <= maxWeights
}

// runTN computes units lo to hi of a product with Aᵀ. A copy of four blocks of A's
// columns, the inputs of a chain, serves some panels. If there are several chains,
// sums has room for those of all panels and of one or more copies: these are made
// one after the other, so that rows of A are in use together, and weights of a
// chain serve them all. Else it has room for those of a block of columns.
func (p *matmul) runTN(gates, units, lo, hi int, sums Mat) {
	step, copies := block, 1
	if gates == 1 {
		step = 4 * block
	}
	if p.w.k > kChain {
		copies = len(sums.Data) / (4 * block * sums.Stride)
	}
	for ; lo < hi; lo += copies * step {
		for panel := 0; panel < p.w.len(); panel += copyPanels {
			r := region{panel: panel, panels: min(copyPanels, p.w.len()-panel)}
			for k := 0; k == 0 || k < p.w.k; k += kChain {
				kn := min(kChain, p.w.k-k)
				for i, u := 0, lo; i < copies && u < hi; i, u = i+1, u+step {
					cols := packedWidth(gates, min(step, hi-u))
					if kn > 0 {
						transposed(p.isa, p.copied, p.a.from(k, PackedIndex(gates, u, 0)), kn, cols)
					}
					p.nextRows = 0
					nextK, nextU := k, u+step
					if i+1 == copies || nextU >= hi {
						nextK, nextU = k+kn, lo
					}
					if nextK < p.w.k {
						p.nextRow, p.nextCol = nextK, PackedIndex(gates, nextU, 0)
						p.nextRows = min(kChain, p.w.k-nextK)
					}
					sums := sums.from(4*block*i, 0)
					if gates == 1 || k+kn < p.w.k {
						r.row, r.rows, r.from = u, cols, 0
						p.chainTN(r, k, kn, sums)
						continue
					}
					for g := range gates { // their rows of C lie apart
						r.row, r.rows, r.from = g*units+u, min(block, hi-u), g*block
						p.chainTN(r, k, kn, sums)
					}
				}
			}
		}
	}
}

// chainTN computes one chain of copied columns of A with some panels. The last
// chain leaves the sums in C.
func (p *matmul) chainTN(r region, k, kn int, sums Mat) {
	last := k+kn == p.w.k
	first := p.col(r)
	whole, rest, part := p.split(r)
	for _, r := range [2]region{whole, rest} {
		if r.panels*r.blocks == 0 {
			continue
		}
		for r := range r.calls(panelsPerCall(r.rows, kn, r.blocks)) {
			in := sums
			if p.w.k > kChain {
				in = sums.from(r.from, p.col(r)-first)
			}
			out := in
			if last {
				out = p.c.from(r.row, p.col(r))
			}
			p.chain(r, k, kn, in, out, zeroInit[:], p.add && last)
		}
	}
	if part.blocks > 0 {
		in := sums
		if p.w.k > kChain {
			in = sums.from(part.from, p.col(part)-first)
		}
		p.chain(part, k, kn, in, in, zeroInit[:], false)
		if last {
			p.merge(part, in)
		}
	}
}

// split returns, of all blocks of some panels, whole panels, the other blocks
// that are whole in C, and the one that C holds in part. Any may be empty.
func (p *matmul) split(r region) (whole, rest, part region) {
	full, inC := p.w.blocksPerPanel(), p.w.Width()/block
	whole = r
	whole.panels, whole.blocks = min(r.panels, inC/full-r.panel), full
	if whole.panels < r.panels {
		rest = r
		rest.panel, rest.panels, rest.blocks = inC/full, 1, inC%full
		part = rest
		part.block, part.blocks = rest.blocks, min(1, p.w.Width()%block)
	}
	return whole, rest, part
}

// panels computes all columns of some rows.
func (p *matmul) panels(r region) {
	whole, rest, part := p.split(r)
	if !r.descending {
		p.whole(whole)
	}
	p.whole(rest)
	if part.blocks > 0 {
		p.part(part)
	}
	if r.descending {
		p.whole(whole)
	}
}

// whole computes whole blocks of columns.
func (p *matmul) whole(r region) {
	switch {
	case r.panels*r.blocks == 0:
	case p.add && p.w.k > kChain:
		p.finishFirst(r)
	default:
		for r := range r.calls(panelsPerCall(r.rows, min(p.w.k, kChain), r.blocks)) {
			c := p.c.from(r.row, p.col(r))
			p.chains(r, c, c, p.init(r), p.add)
		}
	}
}

// calls cuts r in regions of at most some panels.
func (r region) calls(most int) iter.Seq[region] {
	return func(yield func(region) bool) {
		for done := 0; done < r.panels; done += most {
			part := r
			part.panels = min(most, r.panels-done)
			if part.panel += done; r.descending {
				part.panel = r.panel + r.panels - done - part.panels
			}
			if !yield(part) {
				return
			}
		}
	}
}

// finishFirst computes sums of several chains and adds them to C.
//
//go:noinline
func (p *matmul) finishFirst(r region) {
	var scratch [maxRows * panelColumns]float32
	most := min(panelsPerCall(r.rows, kChain, r.blocks), maxRows/r.rows)
	for r := range r.calls(most) {
		p.chains(r, Mat{scratch[:], most * panelColumns}, p.c.from(r.row, p.col(r)), p.init(r), true)
	}
}

// part computes one block of columns of which C holds only some.
func (p *matmul) part(r region) {
	if p.add && p.w.k > kChain {
		p.finishPart(r)
		return
	}
	a := p.a
	if p.w.k > 0 {
		a = a.from(r.row, 0)
	}
	for k := 0; k == 0 || k < p.w.k; k += kChain {
		gemmPart(p.isa, p.c.from(r.row, 0), a, r.rows, p.w, k, p.bias, p.add || k > 0)
	}
}

// finishPart is part for sums of several chains that are added to C.
//
//go:noinline
func (p *matmul) finishPart(r region) {
	var scratch [maxLastRows * block]float32
	sum := Mat{scratch[:], block}
	for rest := r.rows; rest > 0; rest -= r.rows {
		r.rows = min(maxLastRows, rest)
		p.chains(r, sum, sum, p.init(r), false)
		p.merge(r, sum)
		r.row += r.rows
	}
}

// merge sets, or adds to, the columns of a block that C holds.
func (p *matmul) merge(r region, sum Mat) {
	cols := p.w.Width() % block
	c := p.c.from(r.row, p.col(r))
	for b := range r.rows {
		out := c.row(b, cols)
		for j, v := range sum.row(b, cols) {
			if p.add {
				v = flush(flush(out[j]) + v)
			}
			out[j] = v
		}
	}
}

// init returns what the first chain starts from.
func (p *matmul) init(r region) []float32 {
	if p.bias == nil {
		return zeroInit[:]
	}
	return p.bias[p.col(r):]
}

// chains computes a region chain by chain. Sums are gathered in sum, which may
// be c, and the last chain leaves them in c, added to what c holds if old.
func (p *matmul) chains(r region, sum, c Mat, init []float32, old bool) {
	for k := 0; k == 0 || k < p.w.k; k += kChain {
		kn := min(kChain, p.w.k-k)
		if k+kn < p.w.k {
			p.chain(r, k, kn, sum, sum, init, false)
		} else {
			p.chain(r, k, kn, sum, c, init, old)
		}
	}
}

// chain computes the chain of a region's kn inputs from k on, adds it to sum
// unless it is the first one, and to what out holds if old, and leaves it in out.
func (p *matmul) chain(r region, k, kn int, sum, out Mat, init []float32, old bool) {
	full := p.w.blocksPerPanel()
	_, nb := p.w.panel(r.panel)
	tileBlocks := tileBlocks(p.isa)
	sizes := [2]height{{rows: r.rows, tiles: 1}}
	if r.rows >= len(tileBlocks) {
		sizes = heights(r.rows, tileBlocks)
	}
	// From panel to panel, and where the first one is.
	weights, cols, panel, first := 4*full*block*p.w.k, 4*full*block, r.panel, 0
	if r.descending {
		panel, first = r.panel+r.panels-1, (r.panels-1)*full*block
		weights, cols = -weights, -cols
	}
	after := p.after(r, panel, k+kn, nb)
	row := 0
	for _, t := range sizes {
		if t.tiles == 0 {
			continue
		}
		for b := r.block; b < r.block+r.blocks; {
			left := r.block + r.blocks - b
			n := min(left, tileBlocks[t.rows])
			groups := left / n
			col := (b - r.block) * block
			task := gemmTask{
				k0: min(kn, kBlock), k1: max(0, kn-kBlock), parts: (kn + kBlock - 1) / kBlock,
				tiles: t.tiles, shorter: t.shorter, groups: groups, panels: r.panels,
				c:       out.at(row, first+col),
				init:    &zeroInit[0],
				aStride: 4 * p.a.Stride, cStride: 4 * out.Stride,
				ahead: ahead(p.isa, p.w, t.rows),
			}
			// From a panel's last group to the next panel.
			back := (groups - 1) * n
			task.cPanel = cols - 4*block*back
			task.initPanel = -4 * block * back
			task.w0Group, task.w1Group = 4*block*n*task.k0, 4*block*n*task.k1
			task.w0Panel = weights - 4*block*back*task.k0
			task.w1Panel = weights - 4*block*back*task.k1
			if k == 0 {
				if p.bias != nil && r.panels > 1 {
					task.init, task.initPanel = &init[first+col], task.cPanel
				} else {
					task.init = &init[col]
				}
			} else {
				task.sum, task.sumStride = sum.at(row, first+col), 4*sum.Stride
				task.sumGroup, task.sumPanel = 4*block*n, task.cPanel
				task.reads = 1
			}
			if old {
				task.old, task.reads = 1, 1
			}
			if kn > 0 {
				w := p.w.data[panel*full*block*p.w.k+k*nb*block:]
				task.w0 = &w[b*task.k0*block]
				task.w1 = task.w0
				if task.k1 > 0 {
					task.w1 = &w[(kBlock*nb+b*task.k1)*block]
				}
				task.after0 = after
				task.after1 = after + uintptr(4*kBlock*nb*block)
				if p.trans {
					task.a, task.aStride = p.copied.at(r.from+row, 0), 4*p.copied.Stride
				} else {
					task.a = p.a.at(r.row+row, k)
				}
			}
			if p.nextRows >= 4 {
				p.fetchRows(&task, (t.tiles+t.shorter)*groups*r.panels)
			}
			gemmTile(p.isa, t.rows, n, &task)
			b += groups * n
		}
		row += t.rows * t.tiles
	}
}

// ahead is 1 if tiles of some rows fetch weights that come later.
func ahead(isa ISA, w *Panels, rows int) int {
	near := nearWeights(isa)
	if rows == 1 {
		near = rowWeights
	}
	if w.Bytes() > near {
		return 1
	}
	return 0
}

// fetchRows lets so many tiles fetch rows of A that are copied next, at least 4.
//
//go:noinline
func (p *matmul) fetchRows(task *gemmTask, tiles int) {
	rows := min(tiles*4, p.nextRows/4*4)
	task.next = uintptr(unsafe.Pointer(p.a.at(p.nextRow, p.nextCol)))
	task.nextRows, task.nextStride, task.reads = rows, 4*p.a.Stride, 1
	p.nextRow += rows
	p.nextRows -= rows
}

// A height is a number of tiles of some rows, one below the other, and of tiles with
// one row less below those.
type height struct{ rows, tiles, shorter int }

// heights splits rows in tiles for which a path has kernels, as evenly as may be: of
// one height or two.
func heights(rows int, tileBlocks []int) [2]height {
	tallest := len(tileBlocks) - 1
	tiles := (rows + tallest - 1) / tallest
	least, larger := rows/tiles, rows%tiles
	h := [2]height{{rows: least + 1, tiles: larger}, {rows: least, tiles: tiles - larger}}
	if larger > 0 && least+1 >= pairedRows && tileBlocks[least+1] == tileBlocks[least] {
		h[0].shorter, h[1].tiles = h[1].tiles, 0
	}
	return h
}

// after returns where the weights are that come after those of a region up to input k,
// for panels of nb blocks of which panel is the first: those of its next chain, or of
// the next region.
func (p *matmul) after(r region, panel, k, nb int) uintptr {
	if k >= p.w.k {
		panel, k = r.panel+r.panels, 0
		if r.descending {
			panel = r.panel - 1
		}
	}
	return uintptr(unsafe.Pointer(unsafe.SliceData(p.w.data))) + uintptr(4*block*(panel*p.w.blocksPerPanel()*p.w.k+k*nb))
}
