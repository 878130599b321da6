package vec

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

type avx512 struct {
	avx
	mask reg.Register
	half bool // registers are YMM
}

// AVX512 returns the instruction set AVX-512 F, VL, BW and DQ with BMI2.
func AVX512(g *Gen) ISA {
	return &avx512{avx: avx{Context: g.Context, g: g, lanes: 16, fours: func(m Mem, d R) { g.VBROADCASTI32X4(m, d) }}}
}

func (*avx512) Name() string   { return "AVX512" }
func (*avx512) Registers() int { return 32 }
func (*avx512) PoolWidth() int { return 1 } // broadcast, so that no load splits a cache line

func (a *avx512) Vec() R {
	if a.half {
		return a.YMM()
	}
	return a.ZMM()
}

func (a *avx512) View(r R) R {
	if a.half {
		return r.AsY().(R)
	}
	return r
}

func (a *avx512) Half(body func()) {
	a.half, a.lanes = true, a.lanes/2
	body()
	a.half, a.lanes = false, 2*a.lanes
}

// Source leaves constants in memory, from where an instruction takes them broadcast: that
// costs neither an instruction nor a unit that computes.
func (a *avx512) Source(k *K) operand.Op {
	if k.reg != nil {
		return a.View(k.reg)
	}
	return k.mem
}

// with emits an instruction on y, x and d, or its form that broadcasts y.
func (a *avx512) with(whole, broadcast func(...operand.Op), y operand.Op, x, d R) {
	if _, ok := y.(Mem); ok {
		whole = broadcast
	}
	whole(y, x, d)
}

func (a *avx512) Add(x R, y operand.Op, d R)  { a.with(a.VADDPS, a.VADDPS_BCST, y, x, d) }
func (a *avx512) Sub(x R, y operand.Op, d R)  { a.with(a.VSUBPS, a.VSUBPS_BCST, y, x, d) }
func (a *avx512) Mul(x R, y operand.Op, d R)  { a.with(a.VMULPS, a.VMULPS_BCST, y, x, d) }
func (a *avx512) Div(x R, y operand.Op, d R)  { a.with(a.VDIVPS, a.VDIVPS_BCST, y, x, d) }
func (a *avx512) And(x R, y operand.Op, d R)  { a.with(a.VANDPS, a.VANDPS_BCST, y, x, d) }
func (a *avx512) FMA(x R, y operand.Op, c R)  { a.with(a.VFMADD231PS, a.VFMADD231PS_BCST, y, x, c) }
func (a *avx512) FNMA(x R, y operand.Op, c R) { a.with(a.VFNMADD231PS, a.VFNMADD231PS_BCST, y, x, c) }

func (a *avx512) FMAConst(x, y R, k *K) R {
	a.with(a.VFMADD213PS, a.VFMADD213PS_BCST, a.Source(k), y, x)
	return x
}

// LoadConst takes no VBROADCASTSS, which keeps one of the units busy that multiply on AMD's
// processors. Among those of tiles it costs nothing.
func (a *avx512) LoadConst(k *K, d R) { a.VPBROADCASTD(k.mem, d) }

func (a *avx512) Zero(d R)             { a.VPXORD(d, d, d) }
func (a *avx512) LoadTail(m Mem, d R)  { a.VMOVUPS_Z(m, a.mask, d) }
func (a *avx512) StoreTail(s R, m Mem) { a.VMOVUPS(s, a.mask, m) }

// UpdateTail avoids masked loads and stores, as that of AVX2 does.
func (a *avx512) UpdateTail(m Mem, f func(d R)) {
	whole, d := a.Vec(), a.Vec()
	a.VMOVUPS(m, whole)
	a.VMOVAPS(whole, d)
	f(d)
	a.VMOVAPS(d, a.mask, whole)
	a.VMOVUPS(whole, m)
}

func (a *avx512) Positive(x, y, d R) {
	zero, mask := a.Vec(), a.K()
	a.VPXORD(zero, zero, zero)
	const greater = 0x1e // ordered, quiet
	a.VCMPPS(operand.U8(greater), zero, x, mask)
	a.VMOVAPS_Z(y, mask, d)
}

func (a *avx512) Down(x R, k int, d R) {
	switch k {
	case 8:
		a.VSHUFF32X4(operand.U8(0b01_00_11_10), x, x, d)
	case 4:
		a.VSHUFF32X4(operand.U8(0b10_11_00_01), x, x, d)
	default:
		a.down(x, k, d)
	}
}

func (a *avx512) Transpose(r []R) {
	a.transpose4(r)
	const even, odd = 0b10_00_10_00, 0b11_01_11_01 // 128-bit lanes of two registers
	lanes := func(which uint8, x, y R) R {
		d := a.ZMM()
		a.VSHUFF32X4(operand.U8(which), y, x, d)
		return d
	}
	for j := range 4 {
		e0, o0 := lanes(even, r[j], r[4+j]), lanes(odd, r[j], r[4+j])
		e1, o1 := lanes(even, r[8+j], r[12+j]), lanes(odd, r[8+j], r[12+j])
		r[j], r[4+j], r[8+j], r[12+j] = lanes(even, e0, e1), lanes(even, o0, o1), lanes(odd, e0, e1), lanes(odd, o0, o1)
	}
}

func (a *avx512) Tail(n GP, _ []GP, body func()) {
	a.mask = a.first(n)
	body()
}

// first returns a mask of the first n lanes.
func (a *avx512) first(n GP) reg.Register {
	bits, mask := a.GP32(), a.K()
	a.MOVL(operand.I32(-1), bits)
	a.BZHIL(n.As32(), bits, bits)
	a.KMOVW(bits, mask)
	return mask
}

func (a *avx512) LoadSome(m Mem, n GP, d R)  { a.VMOVUPS_Z(m, a.first(n), d) }
func (a *avx512) StoreSome(s R, m Mem, n GP) { a.VMOVUPS(s, a.first(n), m) }

func (a *avx512) Columns(row func(i int) Mem, steps int) []R {
	if steps == 1 {
		d := a.column(row)
		for lane := 1; lane < 4; lane++ {
			more := a.column(func(i int) Mem { return row(4*lane + i) })
			a.VINSERTF32X4(operand.U8(lane), more.AsX(), d, d)
		}
		return []R{d}
	}
	r := make([]R, 4)
	for i := range r {
		r[i] = a.ZMM()
		a.VBROADCASTI32X4(row(i), r[i])
		for lane := 1; lane < 4; lane++ {
			a.VINSERTF32X4(operand.U8(lane), row(4*lane+i), r[i], r[i])
		}
	}
	a.transpose4(r)
	return r
}
