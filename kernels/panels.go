package kernels

import (
	"fmt"
	"math"
	"math/bits"
)

const (
	block  = 16  // units of a block: one AVX-512 register, two of AVX2, four of NEON
	kBlock = 128 // inputs of a k block
	kChain = 256 // inputs of a chain of fused multiply-adds
)

// Panels is a matrix of gates*units outputs and k inputs, packed for Gemm. Every
// path reads the same layout.
//
// A panel is the blocks of outputs that a kernel works on together: for 3 or 4
// gates the r|z|n or i|f|g|o of 16 units, for 1 gate four blocks of 16 units,
// in the last panel only as many as there are. Its inputs are cut in k blocks
// of 128, the last of K mod 128; in a k block each block of outputs is a
// contiguous matrix of its inputs:
//
//	[panel][k block][block][k in k block][16]
//
// Units that pad the last block have zero weights. Any number of goroutines may
// read Panels; Pack, SetRow and Resize need exclusive access.
type Panels struct {
	*panelData
	descending bool
}

// panelData is what a Panels shares with its views.
type panelData struct {
	data            []float32
	gates, units, k int
	part            bool // of other panels
}

// NewPanels returns panels of zeros, aligned to 64 bytes. It panics unless gates
// is 1, 3 or 4, units and k are not negative, and the size fits in an int.
func NewPanels(gates, units, k int) *Panels {
	const fn = "NewPanels"
	checkGates(fn, gates)
	checkUnits(fn, units)
	size(fn, "k", k)
	hi, n := bits.Mul(uint(blocks(units)*gates*block), uint(k))
	if hi != 0 || n > math.MaxInt/8 {
		bad(fn, "k", k, inMemory)
	}
	return &Panels{panelData: &panelData{data: alignedSlice(int(n)), gates: gates, units: units, k: k}}
}

// Reversed returns a view of the same weights that products go through from the
// last panel to the first, with the same bits. If weights do not fit in a cache,
// and one product uses p and the next one the view, it finds there what the one
// before has read last: a recurrent network alternates between the two from step
// to step. What is written through one of them is seen through the other.
func (p *Panels) Reversed() *Panels { return &Panels{p.panelData, !p.descending} }

func checkGates(fn string, gates int) {
	if gates != 1 && gates != 3 && gates != 4 {
		bad(fn, "gates", gates, "1, 3 or 4")
	}
}

// blocks returns the number of blocks that hold n units.
func blocks(n int) int { return (n + block - 1) / block }

// Gates returns the number of gates: 1, 3 or 4.
func (p *Panels) Gates() int { return p.gates }

// Units returns the number of units of a gate.
func (p *Panels) Units() int { return p.units }

// K returns the number of inputs.
func (p *Panels) K() int { return p.k }

// Width returns the number of columns of a product, of which PackedIndex tells
// the order: for 1 gate the units, else the gates of all blocks of 16 units,
// padding included.
func (p *Panels) Width() int { return packedWidth(p.gates, p.units) }

// Bytes returns the size of the packed weights.
func (p *Panels) Bytes() int { return 4 * len(p.data) }

func packedWidth(gates, units int) int {
	if gates == 1 {
		return units
	}
	return blocks(units) * gates * block
}

// PackedIndex returns the column of unit u of gate g in packed order:
//
//	1 gate:  u
//	else:    (u/16)*gates*16 + g*16 + u%16
func PackedIndex(gates, u, g int) int {
	if gates == 1 {
		return u
	}
	return (u/block*gates+g)*block + u%block
}

// blocksPerPanel is the number of blocks of all panels but the last.
func (p *Panels) blocksPerPanel() int {
	if p.gates == 1 {
		return 4
	}
	return p.gates
}

// len returns the number of panels.
func (p *Panels) len() int {
	n := p.blocksPerPanel()
	return (blocks(p.units)*p.gates + n - 1) / n
}

// panel returns the weights of panel i and its number of blocks.
func (p *Panels) panel(i int) (w []float32, nb int) {
	full := p.blocksPerPanel()
	nb = min(full, blocks(p.units)*p.gates-i*full)
	return p.data[i*full*block*p.k:][:nb*block*p.k], nb
}

// PartUnits returns the number of units that parts of panels of so many gates are
// multiples of, see SetPart: 64 for 1 gate, else 16.
func PartUnits(gates int) int {
	if gates == 1 {
		return 4 * block
	}
	return block
}

// SetPart makes p a view of units lo to hi of w: what is written through one of
// them is seen through the other. A product with p has the columns that these
// units have in one with w, so several goroutines may share a product. p is valid
// until w is resized, and cannot be resized itself. Products go through it in the
// direction of w. The first SetPart of p allocates. It panics unless 0 <= lo <=
// hi <= Units of w and both are multiples of PartUnits or that Units.
func (p *Panels) SetPart(w *Panels, lo, hi int) {
	const fn = "Panels.SetPart"
	unit := PartUnits(w.gates)
	if hi < 0 || hi > w.units || hi%unit != 0 && hi != w.units {
		bad(fn, "hi", hi, fmt.Sprintf("Units = %d or a multiple of %d below", w.units, unit))
	}
	if lo < 0 || lo > hi || lo%unit != 0 && lo != w.units {
		bad(fn, "lo", lo, fmt.Sprintf("a multiple of %d from 0 to hi = %d", unit, hi))
	}
	step := w.gates * block * w.k
	from, to := blocks(lo)*step, blocks(hi)*step
	if p.panelData == nil || !p.part {
		p.panelData = new(panelData)
	}
	*p.panelData = panelData{w.data[from:to:to], w.gates, hi - lo, w.k, true}
	p.descending = w.descending
}

// Pack sets all weights from w [gates*units][k], row-major, the form of a
// PyTorch weight. It panics if len(w) is not gates*units*k.
func (p *Panels) Pack(w []float32) {
	if len(w) != p.gates*p.units*p.k {
		badLen("Panels.Pack", "w", len(w), p.gates*p.units*p.k)
	}
	raceRead(w)
	raceWrite(p.data)
	isa := use()
	for i := range p.len() {
		panel, nb := p.panel(i)
		for k0 := 0; k0 < p.k; k0 += kBlock {
			kn := min(kBlock, p.k-k0)
			for b := range nb {
				dst := panel[(k0*nb+b*kn)*block:][:kn*block]
				row, n := p.outputs(i, b)
				if n > 0 {
					transposed(isa, Mat{dst, block}, Mat{w[row*p.k+k0:], p.k}, n, kn)
				}
			}
		}
	}
}

// outputs returns the first row, in PyTorch's order, and the number of the
// outputs of block b of panel i that are no padding.
func (p *Panels) outputs(i, b int) (row, n int) {
	if p.gates == 1 {
		u := (i*4 + b) * block
		return u, min(block, p.units-u)
	}
	return b*p.units + i*block, min(block, p.units-i*block)
}

// SetRows sets all weights from a matrix that is stored with its inputs as rows:
// those of input k from row k of x [K][gates*units]. It panics if x is too small.
func (p *Panels) SetRows(x Mat) {
	x.reads("Panels.SetRows", "x", p.k, p.gates*p.units)
	raceWrite(p.data)
	p.setInputs(use(), 0, x, p.k)
}

// PackTransposed sets all weights from w [gates*units][Units], row-major, the form
// of a PyTorch weight, for the product with its transpose: those of input
// PackedIndex(gates, u, g) are w[g*units+u], and those of inputs between, the
// padding of units, are zeros. Gradients in packed order times these panels are
// those of what the weight has multiplied. It panics unless p has one gate, gates
// is 1, 3 or 4, K is the Width of Panels of so many gates and units, and len(w) is
// gates*units*Units.
func (p *Panels) PackTransposed(w []float32, gates, units int) {
	const fn = "Panels.PackTransposed"
	checkGates(fn, gates)
	checkUnits(fn, units)
	if p.gates != 1 {
		bad(fn, "Gates()", p.gates, "1")
	}
	if n := packedWidth(gates, units); p.k != n {
		bad(fn, "K()", p.k, fmt.Sprintf("%d, the inputs of %d gates of %d units", n, gates, units))
	}
	if n := gates * units * p.units; len(w) != n {
		badLen(fn, "w", len(w), n)
	}
	raceRead(w)
	raceWrite(p.data)
	isa, step := use(), units
	if gates > 1 {
		step = block
	}
	for u := 0; u < rowsOf(units, p.units); u += step {
		n := min(step, units-u)
		for g := range gates {
			k := PackedIndex(gates, u, g)
			p.setInputs(isa, k, Mat{w[(g*units+u)*p.units:], p.units}, n)
			for i := n; i < step; i++ {
				p.setInput(k+i, nil)
			}
		}
	}
}

// setInputs sets the weights of n inputs from input k on from rows of x.
func (p *Panels) setInputs(isa ISA, k int, x Mat, n int) {
	for from, end := k, k+rowsOf(n, p.units); k < end; {
		k0 := k / kBlock * kBlock
		kn := min(kBlock, p.k-k0)
		rows := min(k0+kn, end) - k
		for i := range p.len() {
			panel, nb := p.panel(i)
			dst := panel[(k0*nb+k-k0)*block:]
			if row, _ := p.outputs(i, 0); p.gates == 1 {
				copyRows(isa, dst, kn*block, x.from(k-from, row), rows, min(nb*block, p.units-row))
				continue
			}
			for b := range nb {
				row, cols := p.outputs(i, b)
				copyRows(isa, dst[b*kn*block:], 0, x.from(k-from, row), rows, cols)
			}
		}
		k += rows
	}
}

// copyRows copies at most kChain rows of at most 64 columns of x to blocks of 16
// columns [rows][16], the first of each step elements from the next.
func copyRows(isa ISA, dst []float32, step int, x Mat, rows, cols int) {
	whole := cols / block
	switch {
	case whole == 0:
	case isa == Generic:
		for i := range rows {
			for b := range whole {
				copy(dst[b*step+i*block:][:block], x.Data[i*x.Stride+b*block:])
			}
		}
	default:
		copyBlocks(isa, &dst[0], &x.Data[0], 4*step, 4*x.Stride, rows, whole)
	}
	if n := cols % block; n > 0 {
		for i := range rows {
			copy(dst[whole*step+i*block:][:n], x.Data[i*x.Stride+whole*block:])
		}
	}
}

// transposed copies some rows and columns of x to the columns and rows of dst: at
// most kChain rows and 64 columns, or 16 rows and kBlock columns.
func transposed(isa ISA, dst, x Mat, rows, cols int) {
	r, c := rows/block*block, cols/block*block
	if isa == Generic {
		r, c = 0, 0
	}
	if r > 0 && c > 0 {
		transpose(isa, &dst.Data[0], &x.Data[0], 4*dst.Stride, 4*x.Stride, r, c)
	}
	for i := range rows {
		first := 0
		if i < r {
			first = c
		}
		for j, v := range x.row(i, cols)[first:] {
			dst.Data[(first+j)*dst.Stride+i] = v
		}
	}
}

// Resize sets the number of inputs to k, at most that of NewPanels, in the same
// memory. All weights become zero, unless K is k already. So panels of a
// sequence serve shorter ones. It panics if there is no room, or if p is a part
// of others and K is not k.
func (p *Panels) Resize(k int) {
	if p.part && k != p.k {
		bad("Panels.Resize", "k", k, fmt.Sprintf("the K = %d of panels that are a part of others", p.k))
	}
	n := blocks(p.units) * p.gates * block
	if k < 0 || n > 0 && k > cap(p.data)/n {
		bad("Panels.Resize", "k", k, "at least 0 and at most that of NewPanels")
	}
	if k != p.k {
		p.data, p.k = p.data[:n*k], k
		clear(p.data)
	}
}

// SetRow sets the weights of input k for all outputs: w[g*units+u], or zeros if
// w is nil. It packs a matrix that is stored with its inputs as rows. It panics
// unless 0 <= k < K and len(w) is gates*units.
func (p *Panels) SetRow(k int, w []float32) {
	if k < 0 || k >= p.k {
		bad("Panels.SetRow", "k", k, fmt.Sprintf("0 <= k < %d", p.k))
	}
	if w != nil && len(w) != p.gates*p.units {
		badLen("Panels.SetRow", "w", len(w), p.gates*p.units)
	}
	p.setInput(k, w)
}

// setInput sets the weights of input k, zeros if w is nil.
func (p *Panels) setInput(k int, w []float32) {
	k0 := k / kBlock * kBlock
	kn := min(kBlock, p.k-k0)
	for i := range p.len() {
		panel, nb := p.panel(i)
		for b := range nb {
			row, n := p.outputs(i, b)
			dst := panel[(k0*nb+b*kn+k-k0)*block:][:n]
			if w == nil {
				clear(dst)
			} else {
				copy(dst, w[row:])
			}
		}
	}
}

// PackBias sets dst[PackedIndex(gates, u, g)] = b0[g*units+u] + b1[g*units+u],
// and padding to zero. Either of b0 and b1 may be nil, which stands for zeros.
// It panics unless gates is 1, 3 or 4, b0 and b1 have gates*units elements, and
// dst has the Width of such Panels.
func PackBias(dst, b0, b1 []float32, gates, units int) {
	const fn = "PackBias"
	checkGates(fn, gates)
	checkUnits(fn, units)
	if n := packedWidth(gates, units); len(dst) != n {
		badLen(fn, "dst", len(dst), n)
	}
	if n := gates * units; b0 != nil && len(b0) != n {
		badLen(fn, "b0", len(b0), n)
	} else if b1 != nil && len(b1) != n {
		badLen(fn, "b1", len(b1), n)
	}
	clear(dst)
	for g := range gates {
		for u := range units {
			d := &dst[PackedIndex(gates, u, g)]
			if b0 != nil {
				*d = b0[g*units+u]
			}
			if b1 != nil {
				*d += b1[g*units+u]
			}
		}
	}
}
