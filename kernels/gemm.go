package kernels

import (
	"fmt"
	"unsafe"
)

// Gemm sets C = bias + A·W for A [n][K], C [n][Width], bias of Width elements
// or nil for zeros:
//
//	sum := bias[j]
//	for k0 := 0; k0 < K; k0 += 256 {
//		chain := 0                   // the first one: sum
//		for k := k0; k < min(k0+256, K); k++ {
//			chain = fma(a[b][k], w[k][j], chain)
//		}
//		sum += chain                 // the first one: sum = chain
//	}
//	c[b][j] = sum
//
// so that a row's bits do not depend on n. Columns are in packed order (see
// PackedIndex); padding comes out as zero if its bias is zero. c must not
// overlap a or bias. It panics if c, a or bias has the wrong size.
func Gemm(c, a Mat, n int, w *Panels, bias []float32) { now().Gemm(c, a, n, w, bias) }

// Gemm is the function Gemm on the path on.
func (on Path) Gemm(c, a Mat, n int, w *Panels, bias []float32) {
	const fn = "Gemm"
	size(fn, "n", n)
	c.writes(fn, "c", n, w.Width())
	a.reads(fn, "a", n, w.k)
	if bias != nil {
		reads(fn, "bias", bias, w.Width())
	}
	raceRead(w.data)
	gemm(on.use(), c, a, n, w, bias, false)
}

// GemmAdd sets C = C + A·W: it adds to c the sums that Gemm sets without a bias.
// Shapes and panics are those of Gemm.
func GemmAdd(c, a Mat, n int, w *Panels) {
	const fn = "GemmAdd"
	size(fn, "n", n)
	c.writes(fn, "c", n, w.Width())
	a.reads(fn, "a", n, w.k)
	raceRead(w.data)
	gemm(use(), c, a, n, w, nil, true)
}

// Gemv sets y = bias + x·W, the product of Gemm for one row: x has K elements,
// y and bias have Width, and bias may be nil. y must not overlap x or bias.
// It panics if a length is wrong.
func Gemv(y, x []float32, w *Panels, bias []float32) { now().Gemv(y, x, w, bias) }

// Gemv is the function Gemv on the path on.
func (on Path) Gemv(y, x []float32, w *Panels, bias []float32) {
	if !on.assembly() || !w.narrow() || len(y) != w.units || len(x) != w.k || bias != nil && len(bias) != w.units || raceEnabled {
		on.gemv(y, x, w, bias)
		return
	}
	init := unsafe.SliceData(bias)
	if init == nil {
		init = &zeroInit[0]
	}
	gemmNarrowRow(on.isa, unsafe.SliceData(y), unsafe.SliceData(x), unsafe.SliceData(w.data), init, len(x), len(y))
}

//go:noinline
func (on Path) gemv(y, x []float32, w *Panels, bias []float32) {
	const fn = "Gemv"
	writes(fn, "y", y, w.Width())
	reads(fn, "x", x, w.k)
	if bias != nil {
		reads(fn, "bias", bias, w.Width())
	}
	raceRead(w.data)
	gemm(on.use(), rowMat(y), rowMat(x), 1, w, bias, false)
}

// GemmTN sets C = Aᵀ·B, or C = C + Aᵀ·B if add, for the panels B of one gate with
// K inputs. A [K][Width] has the columns of gates*units outputs in packed order,
// and C [gates*units][Units] its rows in PyTorch's. The sums are those of Gemm,
// with a[k][i] for a[i][k]. It computes the gradient of a weight from all steps at
// once. With one gate it is the plain product, of units rows. c must not overlap
// a. It panics if c or a is too small, if gates is not 1, 3 or 4, or if b has more
// than one gate.
func GemmTN(c, a Mat, gates, units int, b *Panels, add bool) {
	gemmTNUnits("GemmTN", c, a, gates, units, 0, units, b, add)
}

// GemmTNPart is GemmTN for units lo to hi of each gate: it neither reads nor writes
// the columns of A and the rows of C for the others, so several goroutines may
// share a product. It panics as GemmTN does, or unless 0 <= lo <= hi <= units and
// lo is a multiple of 16 or units.
func GemmTNPart(c, a Mat, gates, units, lo, hi int, b *Panels, add bool) {
	const fn = "GemmTNPart"
	if hi < 0 || hi > units {
		bad(fn, "hi", hi, fmt.Sprintf("0 to units = %d", units))
	}
	if lo < 0 || lo > hi || lo%block != 0 && lo != units {
		bad(fn, "lo", lo, fmt.Sprintf("a multiple of 16 from 0 to hi = %d", hi))
	}
	gemmTNUnits(fn, c, a, gates, units, lo, hi, b, add)
}

func gemmTNUnits(fn string, c, a Mat, gates, units, lo, hi int, b *Panels, add bool) {
	checkGates(fn, gates)
	checkUnits(fn, units)
	if b.gates != 1 {
		bad(fn, "b.Gates()", b.gates, "1")
	}
	if !c.holds(gates*units, b.units) {
		badMat(fn, "c", c, gates*units, b.units)
	}
	if width := packedWidth(gates, units); !a.holds(b.k, width) {
		badMat(fn, "a", a, b.k, width)
	}
	if lo == hi || b.units == 0 {
		return
	}
	for g := range gates {
		raceWriteMat(c.from(g*units+lo, 0), hi-lo, b.units)
	}
	if from := PackedIndex(gates, lo, 0); b.k > 0 {
		raceReadMat(a.from(0, from), b.k, packedWidth(gates, hi)-from)
	}
	raceRead(b.data)
	gemmTN(use(), c, a, gates, units, lo, hi, b, add)
}
