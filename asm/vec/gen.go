package vec

import (
	"errors"
	"fmt"
	"go/types"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// V is a value: registers that hold consecutive vectors of float32.
type V []R

// Gen emits kernels for one instruction set.
type Gen struct {
	*build.Context
	ISA
	Funcs []*Func // what was emitted

	pkg    *types.Package // declares the types of parameters
	pool   *ir.Global     // constants
	consts map[string]Mem
	labels int
	spare  int             // registers that constants of this function may still keep
	kept   map[reg.ID]bool // registers that stay what they are
	fetch  *fetch          // what else to do in what is scheduled
	slack  int             // registers that Schedule leaves free
	err    error
}

// New returns a generator for the instruction set isa, one of [AVX2], [AVX512]
// and [NEON]. Parameters may have the types of pkg.
func New(c *build.Context, isa func(*Gen) ISA, pkg *types.Package) *Gen {
	g := &Gen{Context: c, pkg: pkg, consts: map[string]Mem{}}
	g.ISA = isa(g)
	g.pool = ir.NewStaticGlobal("constants" + g.Name())
	g.pool.Attributes = attr.RODATA | attr.NOPTR
	return g
}

// Finish adds the constants to the file, after the last kernel.
func (g *Gen) Finish() error {
	f, err := g.Result()
	if err == nil && g.pool.Size > 0 {
		f.AddSection(g.pool)
	}
	return errors.Join(err, g.err)
}

func (g *Gen) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf(format, args...)
	}
}

// NewLabel returns a label that no other one of the function equals.
func (g *Gen) NewLabel(s string) string {
	g.labels++
	return fmt.Sprintf("%s%d", s, g.labels)
}

// data returns the address of words in the constant pool.
func (g *Gen) data(words ...uint32) Mem {
	key := fmt.Sprint(words)
	m, ok := g.consts[key]
	if !ok {
		m = g.pool.Base().Offset(g.pool.Size)
		for _, w := range words {
			g.pool.Append(operand.U32(w))
		}
		g.consts[key] = m
	}
	return m
}

// Reserve says that the body of the kernel needs n registers. The first constants
// that are declared after it stay in the others, for the whole kernel.
func (g *Gen) Reserve(n int) { g.spare = g.Registers() - n }

// Const returns the constant f.
func (g *Gen) Const(f float32) *K { return g.Bits(math.Float32bits(f)) }

// Bits returns the constant with the bits b.
func (g *Gen) Bits(b uint32) *K {
	words := make([]uint32, g.PoolWidth())
	for i := range words {
		words[i] = b
	}
	k := &K{mem: g.data(words...)}
	g.UsePool(k.mem)
	if g.spare > 0 {
		g.spare--
		r := g.ISA.Vec()
		g.LoadConst(k, r)
		k.reg = r
		g.Keep(r)
	}
	return k
}

// Half runs body, whose registers are halves, and returns true, or false where registers
// have no halves.
func (g *Gen) Half(body func()) bool {
	h, ok := g.ISA.(Halver)
	if ok {
		h.Half(body)
	}
	return ok
}

func (g *Gen) view(r R) R {
	if h, ok := g.ISA.(Halver); ok {
		return h.View(r)
	}
	return r
}

// held returns a register that holds k and must not be changed.
func (g *Gen) held(k *K) R {
	if k.reg != nil {
		return g.view(k.reg)
	}
	return g.fresh(k)
}

// fresh returns a new register that holds k.
func (g *Gen) fresh(k *K) R {
	d := g.ISA.Vec()
	if k.reg != nil {
		g.ISA.Copy(g.view(k.reg), d)
	} else {
		g.LoadConst(k, d)
	}
	return d
}

// Poly is a polynomial, highest degree first.
type Poly []*K

// Poly returns the polynomial with these coefficients.
func (g *Gen) Poly(coefficients ...float32) Poly {
	var p Poly
	for _, c := range coefficients {
		p = append(p, g.Const(c))
	}
	return p
}

// New returns a value of n registers.
func (g *Gen) New(n int) V {
	v := make(V, n)
	for i := range v {
		v[i] = g.ISA.Vec()
	}
	return v
}

// each returns a new value, whose registers f sets.
func (g *Gen) each(n int, f func(i int, d R)) V {
	v := g.New(n)
	for i, d := range v {
		f(i, d)
	}
	return v
}

// Zeros returns +0.
func (g *Gen) Zeros(n int) V { return g.each(n, func(_ int, d R) { g.Zero(d) }) }

// Fill returns n registers that hold k.
func (g *Gen) Fill(k *K, n int) V {
	v := make(V, n)
	for i := range v {
		v[i] = g.fresh(k)
	}
	return v
}

// Copy returns a value that may be overwritten.
func (g *Gen) Copy(a V) V { return g.each(len(a), func(i int, d R) { g.ISA.Copy(a[i], d) }) }

func (g *Gen) Add(a, b V) V { return g.each(len(a), func(i int, d R) { g.ISA.Add(a[i], b[i], d) }) }
func (g *Gen) Sub(a, b V) V { return g.each(len(a), func(i int, d R) { g.ISA.Sub(a[i], b[i], d) }) }
func (g *Gen) Mul(a, b V) V { return g.each(len(a), func(i int, d R) { g.ISA.Mul(a[i], b[i], d) }) }
func (g *Gen) Div(a, b V) V { return g.each(len(a), func(i int, d R) { g.ISA.Div(a[i], b[i], d) }) }
func (g *Gen) Or(a, b V) V  { return g.each(len(a), func(i int, d R) { g.ISA.Or(a[i], b[i], d) }) }
func (g *Gen) Sqrt(a V) V   { return g.each(len(a), func(i int, d R) { g.ISA.Sqrt(a[i], d) }) }

// Shl shifts the bits of each lane to the left.
func (g *Gen) Shl(a V, n uint64) V {
	return g.each(len(a), func(i int, d R) { g.ISA.Shl(a[i], n, d) })
}

// Positive returns b where a > 0, else +0.
func (g *Gen) Positive(a, b V) V {
	return g.each(len(a), func(i int, d R) { g.ISA.Positive(a[i], b[i], d) })
}

// In-place operations on c.

func (g *Gen) AddTo(c, a V) {
	for i := range c {
		g.ISA.Add(c[i], a[i], c[i])
	}
}

// GreaterTo sets c to the larger of c and a, and to NaN if one is NaN.
func (g *Gen) GreaterTo(c, a V) {
	for i := range c {
		g.ISA.Greater(c[i], a[i], c[i])
	}
}

// MaxBitsTo sets c to the larger of c and a as unsigned numbers.
func (g *Gen) MaxBitsTo(c, a V) {
	for i := range c {
		g.ISA.MaxBits(c[i], a[i], c[i])
	}
}

// Operations with a constant.

func (g *Gen) AddK(a V, k *K) V {
	return g.each(len(a), func(i int, d R) { g.ISA.Add(a[i], g.Source(k), d) })
}

func (g *Gen) SubK(a V, k *K) V {
	return g.each(len(a), func(i int, d R) { g.ISA.Sub(a[i], g.Source(k), d) })
}

func (g *Gen) MulK(a V, k *K) V {
	return g.each(len(a), func(i int, d R) { g.ISA.Mul(a[i], g.Source(k), d) })
}

func (g *Gen) AndK(a V, k *K) V {
	return g.each(len(a), func(i int, d R) { g.ISA.And(a[i], g.Source(k), d) })
}

// DivK returns k / a.
func (g *Gen) DivK(k *K, a V) V {
	n := g.held(k)
	return g.each(len(a), func(i int, d R) { g.ISA.Div(n, a[i], d) })
}

// RSubK returns k - a.
func (g *Gen) RSubK(k *K, a V) V {
	n := g.held(k)
	return g.each(len(a), func(i int, d R) { g.ISA.Sub(n, a[i], d) })
}

// MinK returns the smaller of x and k, and NaN for NaN.
func (g *Gen) MinK(x V, k *K) V {
	b := g.held(k)
	return g.each(len(x), func(i int, d R) { g.ISA.Min(x[i], b, d) })
}

// MaxK returns the larger of x and k, and NaN for NaN.
func (g *Gen) MaxK(x V, k *K) V {
	b := g.held(k)
	return g.each(len(x), func(i int, d R) { g.ISA.Max(x[i], b, d) })
}

// Within returns x limited to lo and hi, and NaN for NaN.
func (g *Gen) Within(x, lo, hi V) V {
	return g.each(len(x), func(i int, d R) {
		g.ISA.Max(x[i], lo[i], d)
		g.ISA.Min(d, hi[i], d)
	})
}

// FMA returns a·b + c, in the registers of c.
func (g *Gen) FMA(a, b, c V) V {
	for i := range c {
		g.ISA.FMA(a[i], b[i], c[i])
	}
	return c
}

// FNMA returns c - a·b, in the registers of c.
func (g *Gen) FNMA(a, b, c V) V {
	for i := range c {
		g.ISA.FNMA(a[i], b[i], c[i])
	}
	return c
}

// FMAK returns a·k + c, in the registers of c.
func (g *Gen) FMAK(a V, k *K, c V) V {
	for i := range c {
		g.ISA.FMA(a[i], g.Source(k), c[i])
	}
	return c
}

// FNMAK returns c - a·k, in the registers of c.
func (g *Gen) FNMAK(a V, k *K, c V) V {
	for i := range c {
		g.ISA.FNMA(a[i], g.Source(k), c[i])
	}
	return c
}

// FMAConst returns a·b + k; a is lost.
func (g *Gen) FMAConst(a, b V, k *K) V {
	v := make(V, len(a))
	for i := range v {
		v[i] = g.ISA.FMAConst(a[i], b[i], k)
	}
	return v
}

// Eval evaluates p at x by Horner's rule, with one fused multiply-add a step.
func (g *Gen) Eval(p Poly, x V) V {
	y := g.FMAK(x, p[0], g.Fill(p[1], len(x)))
	for _, c := range p[2:] {
		y = g.FMAConst(y, x, c)
	}
	return y
}
