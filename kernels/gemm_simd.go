package kernels

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
	w1 *float32 // the second k block
	k1 int

	parts         int      // k blocks of the chain: 0, 1 or 2
	tiles, panels int      // at least 1
	a             *float32 // first row, first input of the chain
	init          *float32 // what chains start from, for each column
	sum           *float32 // finished chains to be added, or nil
	old           int      // 1: add what c holds
	c             *float32

	aStride, sumStride, cStride         int
	wPanel, initPanel, sumPanel, cPanel int

	// State of the kernel.
	//lint:ignore U1000 for assembly only
	sumTile, cTile uintptr
	//lint:ignore U1000 for assembly only
	tilesLeft int
}

const (
	maxRows      = 48        // of A in one call, so that C's part of a panel stays in L1
	maxLastRows  = 12        // and in one of a block that C holds in part
	blockRows    = block     // of Aᵀ that are worked on at once: a cache line
	minCopied    = 64        // inputs from which on it pays to copy them
	maxCopied    = 1024      // inputs that are copied once for all panels
	maxProducts  = 1 << 20   // multiply-adds of one call: some 50 us at 20 a ns
	maxWeights   = 512 << 10 // bytes of W in one call, for they may come from DRAM
	panelColumns = 4 * block
)

// panelsPerCall returns how many panels one call may take, for some rows of A,
// inputs of a chain and blocks of a panel.
func panelsPerCall(rows, kn, blocks int) int {
	weights := max(1, kn*blocks*block)
	return max(1, min(maxProducts/(rows*weights), maxWeights/(4*weights)))
}

var zeroInit [panelColumns]float32

// gemm is Gemm, or GemmAdd if add, on the path isa.
func gemm(isa ISA, c, a Mat, n int, w *Panels, bias []float32, add bool) {
	if isa == Generic {
		gemmGeneric(c, a, n, w, bias, add)
		return
	}
	p := matmul{isa: isa, c: c, a: a, w: w, bias: bias, add: add}
	p.run(n)
}

// gemmTN is GemmTN on the path isa.
func gemmTN(isa ISA, c, a Mat, gates, units int, b *Panels, add bool) {
	if isa == Generic {
		gemmTNGeneric(c, a, gates, units, b, add)
		return
	}
	p := matmul{isa: isa, c: c, a: a, w: b, add: add, trans: true}
	if b.k < minCopied {
		p.runTN(gates, units)
	} else {
		runCopied(p, gates, units)
	}
}

// A matmul is C = bias + A·W, C += A·W, or the same with Aᵀ if trans.
type matmul struct {
	isa        ISA
	c, a       Mat
	w          *Panels
	bias       []float32
	add, trans bool
	copied     []float32 // columns of A [maxCopied][blockRows]: all inputs, or those of a chain; or nil
}

// A region is a part of C: rows, and columns by the panels and blocks of W that
// they come from. If there are several panels, they are whole. A last block of
// columns that C holds in part goes through scratch memory, as do sums of several
// chains that must be finished before they are added to C.
type region struct {
	row, rows     int
	from          int // the first row of A, or column if trans
	panel, panels int
	block, blocks int
}

// col returns the first column of C.
func (p *matmul) col(r region) int { return (r.panel*p.w.blocksPerPanel() + r.block) * block }

// runCopied is runTN with A copied: the inputs of a column of A are a
// stride apart, which may be a multiple of the distance at which cache lines
// displace each other.
//
//go:noinline
func runCopied(p matmul, gates, units int) {
	var copied [maxCopied * blockRows]float32
	p.copied = copied[:]
	p.runTN(gates, units)
}

// copyInputs copies kn inputs of columns of A.
func (p *matmul) copyInputs(k, kn, from, rows int) {
	for i := range kn {
		src := p.a.Data[(k+i)*p.a.Stride+from:]
		dst := (*[blockRows]float32)(p.copied[i*blockRows:])
		if rows == blockRows {
			*dst = *(*[blockRows]float32)(src)
		} else {
			copy(dst[:rows], src)
		}
	}
}

// run works on blocks of rows, in each on all panels.
func (p *matmul) run(n int) {
	for row := 0; row < n; row += maxRows {
		p.panels(region{row: row, from: row, rows: min(maxRows, n-row)})
	}
}

// runTN works on blocks of A's columns, in each on all panels: the inputs of a
// block, a stride apart, are fetched once. The rows of C are in PyTorch's order.
func (p *matmul) runTN(gates, units int) {
	for u := 0; u < units; u += blockRows {
		for g := range gates {
			r := region{row: g*units + u, from: PackedIndex(gates, u, g), rows: min(blockRows, units-u)}
			if p.copied != nil && p.w.k <= maxCopied {
				p.copyInputs(0, p.w.k, r.from, r.rows)
			}
			p.panels(r)
		}
	}
}

// panels computes all columns of some rows.
func (p *matmul) panels(r region) {
	full := p.w.blocksPerPanel()
	inC := p.w.Width() / block // whole blocks
	r.panels, r.blocks = inC/full, full
	p.whole(r)
	r.panel, r.panels, r.blocks = r.panels, 1, inC%full
	p.whole(r)
	if cols := p.w.Width() % block; cols > 0 {
		r.block, r.blocks = r.blocks, 1
		p.part(r, cols)
	}
}

// whole computes whole blocks of columns.
func (p *matmul) whole(r region) {
	if r.panels*r.blocks == 0 {
		return
	}
	if p.add && p.w.k > kChain {
		p.finishFirst(r)
		return
	}
	most := panelsPerCall(r.rows, min(p.w.k, kChain), r.blocks)
	for end := r.panel + r.panels; r.panel < end; r.panel += most {
		r.panels = min(most, end-r.panel)
		c := p.c.from(r.row, p.col(r))
		p.chains(r, c, c, p.init(r), p.add)
	}
}

// finishFirst computes sums of several chains and adds them to C.
//
//go:noinline
func (p *matmul) finishFirst(r region) {
	var scratch [maxRows * panelColumns]float32
	for end := r.panel + r.panels; r.panel < end; r.panel++ {
		r.panels = 1
		p.chains(r, Mat{scratch[:], panelColumns}, p.c.from(r.row, p.col(r)), zeroInit[:], true)
	}
}

// part computes one block of columns of which C holds only cols.
//
//go:noinline
func (p *matmul) part(r region, cols int) {
	var scratch [maxLastRows * block]float32
	sum := Mat{scratch[:], block}
	var init [block]float32
	if p.bias != nil {
		copy(init[:], p.bias[p.col(r):])
	}
	for rest := r.rows; rest > 0; rest -= r.rows {
		r.rows = min(maxLastRows, rest)
		p.chains(r, sum, sum, init[:], false)
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
		r.row += r.rows
		r.from += r.rows
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
	full := p.w.blocksPerPanel()
	_, nb := p.w.panel(r.panel)
	tileBlocks := tileBlocks(p.isa)
	tallest := len(tileBlocks) - 1
	tiles := (r.rows + tallest - 1) / tallest
	rows, larger := r.rows/tiles, r.rows%tiles
	for k := 0; k == 0 || k < p.w.k; k += kChain {
		kn := min(kChain, p.w.k-k)
		copied := p.copied // the inputs of this chain and its rows
		switch {
		case copied == nil:
		case p.w.k <= maxCopied:
			copied = copied[k*blockRows+r.from%blockRows:]
		default:
			p.copyInputs(k, kn, r.from, r.rows)
		}
		out := sum
		if k+kn == p.w.k {
			out = c
		}
		row := 0
		for _, t := range [2]struct{ rows, tiles int }{{rows + 1, larger}, {rows, tiles - larger}} {
			if t.tiles == 0 {
				continue
			}
			for b := r.block; b < r.block+r.blocks; b += tileBlocks[t.rows] {
				col := (b - r.block) * block
				task := gemmTask{
					k0: min(kn, kBlock), k1: max(0, kn-kBlock), parts: (kn + kBlock - 1) / kBlock,
					tiles: t.tiles, panels: r.panels,
					init: &zeroInit[0], c: out.at(row, col),
					aStride: 4 * p.a.Stride, cStride: 4 * out.Stride,
					wPanel: 4 * full * block * p.w.k, cPanel: 4 * full * block,
				}
				if k == 0 {
					task.init = &init[col]
					if p.bias != nil {
						task.initPanel = task.cPanel
					}
				} else {
					task.sum, task.sumStride = sum.at(row, col), 4*sum.Stride
					task.sumPanel = task.cPanel
				}
				if old && k+kn == p.w.k {
					task.old = 1
				}
				if kn > 0 {
					panel := p.w.data[r.panel*full*block*p.w.k+k*nb*block:]
					task.w0 = &panel[b*task.k0*block]
					task.w1 = task.w0
					if task.k1 > 0 {
						task.w1 = &panel[(kBlock*nb+b*task.k1)*block]
					}
					switch {
					case copied != nil:
						task.a, task.aStride = &copied[row], 4*blockRows
					case p.trans:
						task.a = p.a.at(k, r.from+row)
					default:
						task.a = p.a.at(r.from+row, k)
					}
				}
				blocks := min(tileBlocks[t.rows], r.block+r.blocks-b)
				if p.trans {
					gemmTNTile(p.isa, t.rows, blocks, &task)
				} else {
					gemmTile(p.isa, t.rows, blocks, &task)
				}
			}
			row += t.rows * t.tiles
		}
	}
}
