package vec

import (
	"github.com/simdrnn/simdrnn/asm/neon"

	"github.com/mmcloughlin/avo/operand"
)

type neonISA struct {
	neon.Asm
	g    *Gen
	fpcr GP // the caller's
	base GP // address of the constants
}

// NEON returns the instruction set of arm64.
func NEON(g *Gen) ISA { return &neonISA{Asm: neon.Asm{Context: g.Context}, g: g} }

func (*neonISA) Name() string   { return "NEON" }
func (*neonISA) Lanes() int     { return 4 }
func (*neonISA) Registers() int { return 32 }
func (*neonISA) PoolWidth() int { return 4 }
func (a *neonISA) Vec() R       { return a.XMM() }

// Begin sets flush-to-zero, and else what a thread starts with, as that of AVX does.
func (a *neonISA) Begin() {
	const initial, flush = 0, 1 << 24
	a.base = nil
	a.fpcr = a.GP64()
	r := a.GP64()
	a.Comment("Flush subnormals to zero.")
	a.MRS(a.fpcr)
	a.MOVDimm(initial|flush, r)
	a.MSR(r)
}

func (a *neonISA) End() {
	a.Comment("As it was.")
	a.MSR(a.fpcr)
	a.RET()
}

func (a *neonISA) Source(k *K) operand.Op { return a.register(k) }

func (a *neonISA) register(k *K) R {
	if k.reg != nil {
		return k.reg
	}
	d := a.XMM()
	a.LoadConst(k, d)
	return d
}

func (a *neonISA) LoadConst(k *K, d R) { a.FMOVQ(a.pool(k.mem), d) }

// UsePool loads the base of the constants, before the branches of the kernel.
func (a *neonISA) UsePool(m Mem) {
	if a.base == nil {
		a.base = a.GP64()
		a.MOVDaddr(operand.NewDataAddr(m.Symbol, 0), a.base)
	}
}

// pool returns an address in the constants relative to their base.
func (a *neonISA) pool(m Mem) Mem { return Mem{Base: a.base, Disp: m.Disp} }

func (a *neonISA) Copy(x, d R)                 { a.VMOV(x, d) }
func (a *neonISA) Load(m Mem, d R)             { a.FMOVQ(m, d) }
func (a *neonISA) Store(s R, m Mem)            { a.FMOVQstore(s, m) }
func (a *neonISA) Splat(m Mem, d R)            { a.FMOVS(m, d); a.VDUP(d, d) }
func (a *neonISA) SplatDouble(m Mem, d R)      { a.FMOVD(m, d); a.FCVTDS(d, d); a.VDUP(d, d) }
func (a *neonISA) Zero(d R)                    { a.VZERO(d) }
func (a *neonISA) Add(x R, y operand.Op, d R)  { a.FADD(y.(R), x, d) }
func (a *neonISA) Sub(x R, y operand.Op, d R)  { a.FSUB(y.(R), x, d) }
func (a *neonISA) Mul(x R, y operand.Op, d R)  { a.FMUL(y.(R), x, d) }
func (a *neonISA) Div(x R, y operand.Op, d R)  { a.FDIV(y.(R), x, d) }
func (a *neonISA) And(x R, y operand.Op, d R)  { a.VAND(y.(R), x, d) }
func (a *neonISA) Or(x, y, d R)                { a.VORR(y, x, d) }
func (a *neonISA) Sqrt(x, d R)                 { a.FSQRT(x, d) }
func (a *neonISA) Shl(x R, n uint64, d R)      { a.VSHL(n, x, d) }
func (a *neonISA) Max(x, bound, d R)           { a.FMAX(bound, x, d) }
func (a *neonISA) Min(x, bound, d R)           { a.FMIN(bound, x, d) }
func (a *neonISA) FMA(x R, y operand.Op, c R)  { a.VFMLA(y.(R), x, c) }
func (a *neonISA) FNMA(x R, y operand.Op, c R) { a.VFMLS(y.(R), x, c) }
func (a *neonISA) LoadTail(m Mem, d R)         { a.FMOVS(m, d) }
func (a *neonISA) StoreTail(s R, m Mem)        { a.FMOVSstore(s, m) }

func (a *neonISA) AddFrom(m Mem, d R) {
	v := a.XMM()
	a.FMOVQ(m, v)
	a.FADD(v, d, d)
}

func (a *neonISA) FMAFrom(x R, m Mem, c R) {
	v := a.XMM()
	a.FMOVQ(m, v)
	a.VFMLA(v, x, c)
}

func (a *neonISA) UpdateTail(m Mem, f func(d R)) {
	d := a.Vec()
	a.LoadTail(m, d)
	f(d)
	a.FMOVSstore(d, m)
}

func (a *neonISA) StoreFirst(s R, m Mem) { a.FMOVSstore(s, m) }
func (a *neonISA) Greater(x, y, d R)     { a.FMAX(y, x, d) }
func (a *neonISA) MaxBits(x, y, d R)     { a.VUMAX(y, x, d) }
func (a *neonISA) Down(x R, k int, d R)  { a.VEXT(uint64(4*k), x, x, d) }
func (a *neonISA) Local(bytes int, d GP) { a.MOVDaddr(a.AllocLocal(bytes), d) }

// FMAConst loads a copy of k, which FMLA overwrites: the load ports are idle, and
// a move from a register would take a slot of the vector units.
func (a *neonISA) FMAConst(x, y R, k *K) R {
	d := a.XMM()
	a.LoadConst(k, d)
	a.VFMLA(y, x, d)
	return d
}

func (a *neonISA) Positive(x, y, d R) {
	zero, mask := a.XMM(), a.XMM()
	a.VZERO(zero)
	a.FCMGT(zero, x, mask)
	a.VAND(mask, y, d)
}

func (a *neonISA) Transpose(r []R) {
	var t [4]R
	for i := range t {
		t[i] = a.XMM()
	}
	a.VTRN1(r[1], r[0], t[0])
	a.VTRN2(r[1], r[0], t[1])
	a.VTRN1(r[3], r[2], t[2])
	a.VTRN2(r[3], r[2], t[3])
	for i := range r {
		r[i] = a.XMM()
	}
	a.VZIP1(t[2], t[0], r[0])
	a.VZIP1(t[3], t[1], r[1])
	a.VZIP2(t[2], t[0], r[2])
	a.VZIP2(t[3], t[1], r[3])
}

// Tail takes one element at a time: at most three.
func (a *neonISA) Tail(n GP, p []GP, body func()) {
	loop := a.g.NewLabel("loop")
	a.Label(loop)
	body()
	for _, r := range p {
		a.AddImm(r, 4)
	}
	a.AddImm(n, -1)
	a.Branch(n, NE, 0, loop)
}

// Outer holds the scalars of A in registers and multiplies by element.
func (a *neonISA) Outer(acc [][]R, left func(row int) Mem, w []Mem, steps int) {
	var s [][]scalar // [row][k]
	for i := range acc {
		s = append(s, a.scalars(left(i), steps))
	}
	for k := range steps {
		for b, m := range w {
			perBlock := len(acc[0]) / len(w)
			for j := 0; j < perBlock; j += 2 {
				v0, v1 := a.XMM(), a.XMM()
				a.FLDPQ(m.Offset(4*(block*k+4*j)), v0, v1)
				for i, row := range acc {
					c := row[b*perBlock+j:]
					a.FMLA(s[i][k].reg, s[i][k].lane, v0, c[0])
					a.FMLA(s[i][k].reg, s[i][k].lane, v1, c[1])
				}
			}
		}
	}
}

// scalar is one lane of a register.
type scalar struct {
	reg  R
	lane int
}

// scalars loads n <= 4 floats.
func (a *neonISA) scalars(m Mem, n int) (s []scalar) {
	for n > 0 {
		d, w := a.XMM(), 1
		switch {
		case n >= 4:
			a.FMOVQ(m, d)
			w = 4
		case n >= 2:
			a.FMOVD(m, d)
			w = 2
		default:
			a.FMOVS(m, d)
		}
		for l := range w {
			s = append(s, scalar{d, l})
		}
		n, m = n-w, m.Offset(4*w)
	}
	return s
}

func (a *neonISA) Reach() int { return 1 }

func (a *neonISA) Indexed(base, _ GP, _ int) Mem { return Mem{Base: base} }

func (a *neonISA) Word(m Mem, d GP)       { a.MOVD(m, d) }
func (a *neonISA) StoreWord(s GP, m Mem)  { a.MOVDstore(s, m) }
func (a *neonISA) CopyWord(x, d GP)       { a.MOVDreg(x, d) }
func (a *neonISA) AddWord(x, y, d GP)     { a.ADD(y, x, d) }
func (a *neonISA) AddTwice(r, x GP)       { a.ADD(x, r, r); a.ADD(x, r, r) }
func (a *neonISA) SubWord(x, y, d GP)     { a.SUB(y, x, d) }
func (a *neonISA) AddImm(r GP, k int)     { a.ADDimm(k, r, r) }
func (a *neonISA) ShlWord(r GP, n uint64) { a.LSL(n, r, r) }
func (a *neonISA) SetWord(k int, d GP)    { a.MOVDimm(uint64(k), d) }
func (a *neonISA) Jump(label string)      { a.JMP(label) }

func (a *neonISA) Branch(r GP, c Cond, k int, label string) {
	a.CMP(k, r)
	a.jump(c, label)
}

func (a *neonISA) SubBranch(r GP, k int, c Cond, label string) {
	a.SUBS(k, r, r)
	a.jump(c, label)
}

func (a *neonISA) jump(c Cond, label string) {
	a.Asm.Branch([]string{LT: "LT", GE: "GE", EQ: "EQ", NE: "NE"}[c], label)
}

func (a *neonISA) LoadSome(m Mem, n GP, d R) {
	one, two, done := a.g.NewLabel("one"), a.g.NewLabel("two"), a.g.NewLabel("loaded")
	a.Branch(n, LT, 2, one)
	a.Branch(n, LT, 4, two)
	a.FMOVQ(m, d)
	a.Jump(done)
	a.Label(one)
	a.FMOVS(m, d)
	a.Jump(done)
	a.Label(two)
	a.FMOVD(m, d)
	a.Branch(n, LT, 3, done)
	third := a.XMM()
	a.FMOVS(m.Offset(8), third)
	a.VZIP1(third, d, d)
	a.Label(done)
}

func (a *neonISA) StoreSome(s R, m Mem, n GP) {
	one, two, done := a.g.NewLabel("one"), a.g.NewLabel("two"), a.g.NewLabel("stored")
	a.Branch(n, LT, 2, one)
	a.Branch(n, LT, 4, two)
	a.FMOVQstore(s, m)
	a.Jump(done)
	a.Label(one)
	a.FMOVSstore(s, m)
	a.Jump(done)
	a.Label(two)
	a.FMOVDstore(s, m)
	a.Branch(n, LT, 3, done)
	third := a.XMM()
	a.VEXT(8, s, s, third)
	a.FMOVSstore(third, m.Offset(8))
	a.Label(done)
}

func (a *neonISA) Columns(row func(i int) Mem, steps int) []R {
	r := make([]R, 4)
	for i := range r {
		r[i] = a.XMM()
		if steps == 1 {
			a.FMOVS(row(i), r[i])
		} else {
			a.FMOVQ(row(i), r[i])
		}
	}
	if steps == 1 {
		a.VTRN1(r[1], r[0], r[0])
		a.VTRN1(r[3], r[2], r[2])
		a.VZIP1(r[2], r[0], r[0])
		return r[:1]
	}
	a.Transpose(r)
	return r
}
