package vec

import "github.com/mmcloughlin/avo/operand"

type avx2 struct {
	avx
	mask  R
	count GP // of the last elements
}

// AVX2 returns the instruction set AVX2 with FMA.
func AVX2(g *Gen) ISA {
	return &avx2{avx: avx{Context: g.Context, g: g, lanes: 8, fours: func(m Mem, d R) { g.VBROADCASTI128(m, d) }}}
}

func (*avx2) Name() string   { return "AVX2" }
func (*avx2) Registers() int { return 16 }
func (*avx2) PoolWidth() int { return 8 }
func (a *avx2) Vec() R       { return a.YMM() }

// Source leaves constants in memory: registers are few, load ports are idle.
func (a *avx2) Source(k *K) operand.Op {
	if k.reg != nil {
		return k.reg
	}
	return k.mem
}

func (a *avx2) LoadConst(k *K, d R)     { a.VMOVUPS(k.mem, d) }
func (a *avx2) FMAConst(x, y R, k *K) R { return a.fmaConst(x, y, a.Source(k)) }
func (a *avx2) Zero(d R)                { a.VXORPS(d, d, d) }
func (a *avx2) LoadTail(m Mem, d R)     { a.VMASKMOVPS(m, a.mask, d) }

func (a *avx2) StoreTail(s R, m Mem) { a.storeBits(s, m, a.count) }

// storeBits stores n < 8 elements as 4, 2 and 1: AMD's processors take some 20 cycles
// for a masked store.
func (a *avx2) storeBits(s R, m Mem, n GP) {
	d, p := a.YMM(), a.GP64()
	a.VMOVAPS(s, d)
	a.LEAQ(m, p)
	for _, bit := range []int{4, 2, 1} {
		done := a.g.NewLabel("stored")
		a.TESTQ(operand.I32(bit), n)
		a.JEQ(operand.LabelRef(done))
		switch bit {
		case 4:
			a.VMOVUPS(d.AsX(), Mem{Base: p})
			a.ADDQ(operand.I32(16), p)
			a.VEXTRACTF128(operand.U8(1), d, d.AsX())
		case 2:
			a.VMOVLPS(d.AsX(), Mem{Base: p})
			a.ADDQ(operand.I32(8), p)
			a.VMOVHLPS(d.AsX(), d.AsX(), d.AsX())
		case 1:
			a.VMOVSS(d.AsX(), Mem{Base: p})
		}
		a.Label(done)
	}
}

// UpdateTail avoids the masked store, from which a load cannot take its value, and the
// masked load, which cannot take it from a store.
func (a *avx2) UpdateTail(m Mem, f func(d R)) {
	whole, d := a.YMM(), a.YMM()
	a.VMOVUPS(m, whole)
	a.VMOVAPS(whole, d)
	f(d)
	a.VBLENDVPS(a.mask, d, whole, whole)
	a.VMOVUPS(whole, m)
}

func (a *avx2) Positive(x, y, d R) {
	zero, mask := a.YMM(), a.YMM()
	a.VXORPS(zero, zero, zero)
	const greater = 0x1e // ordered, quiet
	a.VCMPPS(operand.U8(greater), zero, x, mask)
	a.VANDPS(mask, y, d)
}

func (a *avx2) Down(x R, k int, d R) {
	if k == 4 {
		a.VPERM2F128(operand.U8(1), x, x, d)
	} else {
		a.down(x, k, d)
	}
}

func (a *avx2) Transpose(r []R) {
	a.transpose4(r)
	for j := range 4 {
		lo, hi := a.YMM(), a.YMM()
		a.VPERM2F128(operand.U8(0x20), r[4+j], r[j], lo)
		a.VPERM2F128(operand.U8(0x31), r[4+j], r[j], hi)
		r[j], r[4+j] = lo, hi
	}
}

func (a *avx2) Tail(n GP, _ []GP, body func()) {
	a.mask = a.YMM()
	a.count = a.GP64()
	a.MOVQ(n, a.count)
	a.NEGQ(n)
	a.loadMask(n, a.mask)
	a.g.Keep(a.mask)
	body()
	delete(a.g.kept, a.mask.ID())
}

// loadMask sets the first lanes, as many as minus says below zero, from a window that
// slides over 8 ones and 8 zeros.
func (a *avx2) loadMask(minus GP, mask R) {
	ones := [16]uint32{}
	for i := range 8 {
		ones[i] = ^uint32(0)
	}
	p := a.GP64()
	a.LEAQ(a.g.data(ones[:]...).Offset(32), p)
	a.VMOVUPS(Mem{Base: p, Index: minus, Scale: 4}, mask)
}

func (a *avx2) LoadSome(m Mem, n GP, d R) {
	part, done := a.g.NewLabel("part"), a.g.NewLabel("loaded")
	a.Branch(n, LT, 8, part)
	a.VMOVUPS(m, d)
	a.g.ISA.Jump(done)
	a.Label(part)
	minus, mask := a.GP64(), a.YMM()
	a.XORL(minus.As32(), minus.As32())
	a.SUBQ(n, minus)
	a.loadMask(minus, mask)
	a.VMASKMOVPS(m, mask, d)
	a.Label(done)
}

func (a *avx2) StoreSome(s R, m Mem, n GP) {
	part, done := a.g.NewLabel("part"), a.g.NewLabel("stored")
	a.Branch(n, LT, 8, part)
	a.VMOVUPS(s, m)
	a.g.ISA.Jump(done)
	a.Label(part)
	a.storeBits(s, m, n)
	a.Label(done)
}

func (a *avx2) Columns(row func(i int) Mem, steps int) []R {
	high := func(i int) Mem { return row(4 + i) }
	if steps == 1 {
		d := a.column(row)
		a.VINSERTF128(operand.U8(1), a.column(high).AsX(), d, d)
		return []R{d}
	}
	r := make([]R, 4)
	for i := range r {
		r[i] = a.YMM()
		a.VBROADCASTI128(row(i), r[i])
		a.VINSERTF128(operand.U8(1), high(i), r[i], r[i])
	}
	a.transpose4(r)
	return r
}
