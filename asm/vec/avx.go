package vec

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// avx holds what AVX2 and AVX-512 share: avo's instructions take YMM and ZMM
// alike.
type avx struct {
	*build.Context
	g     *Gen
	lanes int
	mxcsr Mem              // the caller's
	fours func(m Mem, d R) // sets all fours of lanes to the four at m
}

const line = 64 // bytes of the cache's lines

// restore labels where the caller's floating-point mode is loaded again, and the return.
const restore = "restore"

// Begin sets flush-to-zero and denormals-are-zero, and else what a thread starts with:
// rounding to nearest, no traps. To change what the caller has instead would wait for
// it to be stored, which is after all operations before.
//
// A function ends where it begins. A processor of AMD's foresees the mode that a VLDMXCSR
// loads, by a few bits of the instruction's address. If those of the one that sets the mode
// and of the one that restores it are the same, as one pair in 32 had by chance, each call
// takes 40 ns more. In the first 32 bytes of a function, which the linker aligns so, they
// are never.
func (a *avx) Begin() {
	const initial, flush, start = 0x1f80, 1<<15 | 1<<6, "start"
	a.Comment("Flush subnormals to zero.")
	ours := a.AllocLocal(8)
	a.mxcsr = ours.Offset(4)
	a.VSTMXCSR(a.mxcsr)
	a.MOVL(operand.U32(initial|flush), ours)
	a.VLDMXCSR(ours)
	a.JMP(operand.LabelRef(start))
	a.Label(restore)
	a.Comment("As it was.")
	a.VLDMXCSR(a.mxcsr)
	a.RET()
	a.Label(start)
}

func (a *avx) End() {
	a.VZEROUPPER()
	a.JMP(operand.LabelRef(restore))
}

func (a *avx) UsePool(Mem) {}

func (a *avx) Lanes() int { return a.lanes }

func (a *avx) Copy(x, d R)                 { a.VMOVAPS(x, d) }
func (a *avx) Load(m Mem, d R)             { a.VMOVUPS(m, d) }
func (a *avx) Store(s R, m Mem)            { a.VMOVUPS(s, m) }
func (a *avx) Prefetch(m Mem)              { a.PREFETCHT0(m) }
func (a *avx) PrefetchSecond(m Mem)        { a.PREFETCHT1(m) }
func (a *avx) Splat(m Mem, d R)            { a.VBROADCASTSS(m, d) }
func (a *avx) Add(x R, y operand.Op, d R)  { a.VADDPS(y, x, d) }
func (a *avx) AddFrom(m Mem, d R)          { a.VADDPS(m, d, d) }
func (a *avx) Sub(x R, y operand.Op, d R)  { a.VSUBPS(y, x, d) }
func (a *avx) Mul(x R, y operand.Op, d R)  { a.VMULPS(y, x, d) }
func (a *avx) Div(x R, y operand.Op, d R)  { a.VDIVPS(y, x, d) }
func (a *avx) And(x R, y operand.Op, d R)  { a.VANDPS(y, x, d) }
func (a *avx) Or(x, y, d R)                { a.VORPS(y, x, d) }
func (a *avx) Sqrt(x, d R)                 { a.VSQRTPS(x, d) }
func (a *avx) Shl(x R, n uint64, d R)      { a.VPSLLD(operand.Imm(n), x, d) }
func (a *avx) FMA(x R, y operand.Op, c R)  { a.VFMADD231PS(y, x, c) }
func (a *avx) FMAFrom(x R, m Mem, c R)     { a.VFMADD231PS(m, like(c, x), c) }
func (a *avx) FNMA(x R, y operand.Op, c R) { a.VFNMADD231PS(y, x, c) }

// SplatDouble clears d first, as the conversion keeps the rest of a register.
func (a *avx) SplatDouble(m Mem, d R) {
	a.g.ISA.Zero(d)
	a.VCVTSD2SS(m, d.AsX(), d.AsX())
	a.VBROADCASTSS(d.AsX(), d)
}

// Max and Min put x last in Intel's order: MAXPS and MINPS return that operand
// where either is NaN.
func (a *avx) Max(x, bound, d R) { a.VMAXPS(x, bound, d) }
func (a *avx) Min(x, bound, d R) { a.VMINPS(x, bound, d) }

// Greater takes the maximum in both orders: one of them keeps a NaN.
func (a *avx) Greater(x, y, d R) {
	t := a.g.ISA.Vec()
	a.VMAXPS(x, y, t)
	a.VMAXPS(y, x, d)
	a.VORPS(t, d, d)
}

func (a *avx) MaxBits(x, y, d R)     { a.VPMAXUD(y, x, d) }
func (a *avx) StoreFirst(s R, m Mem) { a.VMOVSS(s.AsX(), m) }

// Local aligns what it returns to 64 bytes: a load takes its value from a store of a whole
// register only if that is in one line of the cache.
func (a *avx) Local(bytes int, d GP) {
	a.LEAQ(a.AllocLocal(bytes+line).Offset(line-1), d)
	a.ANDQ(operand.I8(-line), d)
}

// down exchanges the halves of each 2k lanes, k = 1 or 2.
func (a *avx) down(x R, k int, d R) {
	a.VPERMILPS(operand.U8([]uint8{1: 0b10_11_00_01, 2: 0b01_00_11_10}[k]), x, d)
}

// fmaConst overwrites x, so that k may be an address.
func (a *avx) fmaConst(x, y R, k operand.Op) R {
	a.VFMADD213PS(k, y, x)
	return x
}

// Outer broadcasts scalars of A, and keeps them or the vectors of W in
// registers, whichever are fewer. Those of a single row stay in memory.
func (a *avx) Outer(acc [][]R, left func(row int) Mem, w []Mem, steps int) {
	if len(acc) == 1 && steps%4 == 0 {
		a.outerRow(acc[0], left(0), w, steps)
		return
	}
	perBlock := len(acc[0]) / len(w)
	for k := range steps {
		vector := func(j int) Mem { return w[j/perBlock].Offset(4 * (block*k + a.lanes*(j%perBlock))) }
		load := func(j int) operand.Op {
			if len(acc) == 1 {
				return vector(j)
			}
			r := a.g.ISA.Vec()
			a.VMOVUPS(vector(j), r)
			return r
		}
		splat := func(i int) R {
			s := a.g.ISA.Vec()
			a.VBROADCASTSS(left(i).Offset(4*k), s)
			return s
		}
		if len(acc) <= len(acc[0]) {
			var s []R
			for i := range acc {
				s = append(s, splat(i))
			}
			for j := range acc[0] {
				v := load(j)
				for i, row := range acc {
					a.VFMADD231PS(v, like(row[j], s[i]), row[j])
				}
			}
			continue
		}
		var v []operand.Op
		for j := range acc[0] {
			v = append(v, load(j))
		}
		for i, row := range acc {
			s := splat(i)
			for j, c := range row {
				a.VFMADD231PS(v[j], s, c)
			}
		}
	}
}

// like returns x, or its half if r is one.
func like(r, x R) R {
	if r.Size() == 32 {
		return x.AsY().(R)
	}
	return x
}

// outerRow loads four scalars at once: weights come from memory, where fewer loads are
// more speed, and scalars that were just stored come sooner.
func (a *avx) outerRow(acc []R, left Mem, w []Mem, steps int) {
	perBlock := len(acc) / len(w)
	var four R
	for k := range steps {
		if k%4 == 0 {
			four = a.g.ISA.Vec()
			a.fours(left.Offset(4*k), four)
		}
		s := a.g.ISA.Vec()
		a.VPERMILPS(operand.U8(0b01_01_01_01*(k%4)), four, s)
		for j, c := range acc {
			a.FMAFrom(s, w[j/perBlock].Offset(4*(block*k+a.lanes*(j%perBlock))), c)
		}
	}
}

// transpose4 transposes the 4x4 matrices in the 128-bit lanes of each four rows.
func (a *avx) transpose4(r []R) {
	for ; len(r) > 0; r = r[4:] {
		t := [4]R{}
		for i := range t {
			t[i] = a.g.ISA.Vec()
		}
		a.VUNPCKLPS(r[1], r[0], t[0])
		a.VUNPCKHPS(r[1], r[0], t[1])
		a.VUNPCKLPS(r[3], r[2], t[2])
		a.VUNPCKHPS(r[3], r[2], t[3])
		for i := range t {
			r[i] = a.g.ISA.Vec()
		}
		a.VUNPCKLPD(t[2], t[0], r[0])
		a.VUNPCKHPD(t[2], t[0], r[1])
		a.VUNPCKLPD(t[3], t[1], r[2])
		a.VUNPCKHPD(t[3], t[1], r[3])
	}
}

// column loads a float at each of four addresses.
func (a *avx) column(row func(i int) Mem) R {
	d := a.g.ISA.Vec()
	a.VBROADCASTSS(row(0), d)
	for i := 1; i < 4; i++ {
		a.VINSERTPS(operand.U8(i<<4), row(i), d.AsX(), d.AsX())
	}
	return d
}

func (a *avx) Reach() int { return 3 }

func (a *avx) Indexed(base, stride GP, i int) Mem {
	if i == 0 {
		return Mem{Base: base}
	}
	return Mem{Base: base, Index: stride, Scale: uint8(i)}
}

func (a *avx) Word(m Mem, d GP)       { a.MOVQ(m, d) }
func (a *avx) StoreWord(s GP, m Mem)  { a.MOVQ(s, m) }
func (a *avx) CopyWord(x, d GP)       { a.MOVQ(x, d) }
func (a *avx) AddImm(r GP, k int)     { a.ADDQ(operand.I32(k), r) }
func (a *avx) ShlWord(r GP, n uint64) { a.SHLQ(operand.Imm(n), r) }
func (a *avx) SetWord(k int, d GP)    { a.MOVQ(operand.I32(k), d) }
func (a *avx) Jump(label string)      { a.JMP(operand.LabelRef(label)) }

func (a *avx) AddWord(x, y, d GP) {
	if x == d {
		a.ADDQ(y, d)
	} else {
		a.LEAQ(Mem{Base: x, Index: y, Scale: 1}, d)
	}
}

func (a *avx) AddTwice(r, x GP) { a.LEAQ(Mem{Base: r, Index: x, Scale: 2}, r) }

func (a *avx) SubWord(x, y, d GP) {
	if x != d {
		a.MOVQ(x, d)
	}
	a.SUBQ(y, d)
}

func (a *avx) Branch(r GP, c Cond, k int, label string) {
	if k == 0 {
		a.TESTQ(r, r)
	} else {
		a.CMPQ(r, operand.I32(k))
	}
	a.jump(c, label)
}

func (a *avx) SubBranch(r GP, k int, c Cond, label string) {
	a.SUBQ(operand.I32(k), r) // which the processor joins with the jump
	a.jump(c, label)
}

func (a *avx) jump(c Cond, label string) {
	to := operand.LabelRef(label)
	switch c {
	case LT:
		a.JLT(to)
	case GE:
		a.JGE(to)
	case EQ:
		a.JEQ(to)
	case NE:
		a.JNE(to)
	default:
		panic(fmt.Sprint("condition ", c))
	}
}
