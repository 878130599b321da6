package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A product is a case of Gemm (n rows of A) or, if trans, of GemmTN (n columns
// of A). Its exact result is computed once for all tests of n rows or less.
type product struct {
	gates, units, k, n int
	trans              bool
	w                  *Panels
	use                *Panels   // w, or a view of it
	weights            []float32 // [gates*units][k]
	a                  []float32 // [n][k]
	bias               []float32 // packed
	c                  []float32 // [n][Width], what c holds before
}

func newProduct(seed uint64, gates, units, k, n int, trans bool) *product {
	r := newRand(seed)
	p := &product{gates: gates, units: units, k: k, n: n, trans: trans, w: NewPanels(gates, units, k)}
	p.weights, p.a = random(r, gates*units*k), random(r, n*k)
	p.w.Pack(p.weights)
	if p.use = p.w; seed%2 == 1 {
		p.use = p.w.Reversed()
	}
	p.bias = make([]float32, p.w.Width())
	PackBias(p.bias, random(r, gates*units), nil, gates, units)
	p.c = random(r, n*p.w.Width())
	for i := range p.c {
		p.c[i] *= p.valid(i % p.w.Width())
	}
	return p
}

// valid is 0 for columns of padding, else 1.
func (p *product) valid(col int) float32 {
	for g := range p.gates {
		u := col
		if p.gates > 1 {
			u = col/(p.gates*block)*block + col%block
		}
		if u < p.units && PackedIndex(p.gates, u, g) == col {
			return 1
		}
	}
	return 0
}

// exact returns bias + A·W, or C + A·W if add, in the documented order.
func (p *product) exact(bias []float32, add bool) []float32 {
	width := p.w.Width()
	out := make([]float32, p.n*width)
	for b := range p.n {
		for g := range p.gates {
			for u := range p.units {
				col := PackedIndex(p.gates, u, g)
				var sum float32
				if bias != nil {
					sum = bias[col]
				}
				w, a := p.weights[(g*p.units+u)*p.k:], p.a[b*p.k:]
				for k0 := 0; k0 < p.k; k0 += 256 {
					var chain float32
					if k0 == 0 {
						chain = sum
					}
					for k := k0; k < min(k0+256, p.k); k++ {
						chain = fmaRef(a[k], w[k], chain)
					}
					if k0 == 0 {
						sum = chain
					} else {
						sum += chain
					}
				}
				if add {
					sum += p.c[b*width+col]
				}
				out[b*width+col] = sum
			}
		}
	}
	return out
}

// operands places A and C for n rows.
func (p *product) operands(t testing.TB, where place, n, gap int) (a, c view) {
	width := p.w.Width()
	c = where.make(t, n, width, width+gap)
	copy(c.all, filled(len(c.all), canary))
	for b := range n {
		copy(c.row(b, width), p.c[b*width:])
	}
	if p.trans {
		a = where.make(t, p.k, n, n+gap)
		copy(a.all, filled(len(a.all), canary))
		for k := range p.k {
			for b := range n {
				*a.at(k, b) = p.a[b*p.k+k]
			}
		}
		return a, c
	}
	a = where.make(t, n, p.k, p.k+gap)
	copy(a.all, filled(len(a.all), canary))
	for b := range n {
		copy(a.row(b, p.k), p.a[b*p.k:])
	}
	return a, c
}

// check multiplies n rows at a place and compares all of C's memory with want:
// bits on SIMD paths, within the rounding errors of the sums on Generic.
func (p *product) check(t *testing.T, isa ISA, want, bias []float32, add bool, where place, n, gap int) {
	t.Helper()
	a, c := p.operands(t, where, n, gap)
	defer where.release(a)
	defer where.release(c)
	biasView := where.make(t, 1, len(bias), len(bias))
	defer where.release(biasView)
	if bias != nil {
		copy(biasView.Data, bias)
		bias = biasView.Data
	}
	wants, before := slices.Clone(c.all), slices.Clone(a.all)
	width := p.w.Width()
	for b := 0; b < n && width > 0; b++ {
		copy(wants[c.start+b*c.Stride:][:width], want[b*width:])
	}
	switch {
	case p.trans:
		GemmTN(c.Mat, a.Mat, 1, n, p.use, add)
	case add:
		GemmAdd(c.Mat, a.Mat, n, p.use)
	case n == 1:
		Gemv(c.row(0, width), a.row(0, p.k), p.use, bias)
	default:
		Gemm(c.Mat, a.Mat, n, p.use, bias)
	}
	what := fmt.Sprintf("gates=%d units=%d k=%d n=%d trans=%v add=%v bias=%v %s gap=%d", p.gates, p.units, p.k, n, p.trans, add, bias != nil, where.name, gap)
	if isa == Generic {
		for i, w := range wants {
			if tol := 1e-6 + 2e-7*float64(p.k); math.Abs(float64(c.all[i]-w)) <= tol {
				c.all[i] = w
			}
		}
	}
	requireSame(t, wants, c.all, "%s: c", what)
	requireSame(t, before, a.all, "%s: a was written", what)
	requireFPState(t, what)
}

// all checks the forms of a product: with and without bias, adding, from one row.
func (p *product) all(t *testing.T, isa ISA, where place, n, gap int) {
	t.Helper()
	if p.trans {
		p.check(t, isa, p.exact(nil, false), nil, false, where, n, gap)
		p.check(t, isa, p.exact(nil, true), nil, true, where, n, gap)
		return
	}
	p.check(t, isa, p.exact(p.bias, false), p.bias, false, where, n, gap)
	p.check(t, isa, p.exact(nil, false), nil, false, where, n, gap)
	p.check(t, isa, p.exact(nil, true), nil, true, where, n, gap)
}

func forms() (f []product) {
	for _, gates := range []int{1, 3, 4} {
		f = append(f, product{gates: gates})
	}
	return append(f, product{gates: 1, trans: true})
}

func forEachForm(t *testing.T, f func(t *testing.T, form product, isa ISA)) {
	for _, form := range forms() {
		name := fmt.Sprintf("gates=%d", form.gates)
		if form.trans {
			name = "trans"
		}
		t.Run(name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, isa ISA) { f(t, form, isa) })
		})
	}
}

// TestGemmUnits tries all widths, at guard pages and with gaps.
func TestGemmUnits(t *testing.T) {
	forEachForm(t, func(t *testing.T, form product, isa ISA) {
		for units := range pick(71, 71, 36) {
			for _, n := range pick([]int{1, 2, 7}, []int{1, 7}, []int{1, 3}) {
				p := newProduct(uint64(units), form.gates, units, 1+units%9, n, form.trans)
				p.all(t, isa, beforeGuard, n, units%3)
				p.all(t, isa, at(units%17), n, 1)
				p.check(t, isa, p.exact(nil, false), nil, false, afterGuard, n, 0)
			}
		}
	})
}

// TestGemmRows tries all numbers of rows: a row's bits do not depend on it,
// since all are compared with one exact product.
func TestGemmRows(t *testing.T) {
	forEachForm(t, func(t *testing.T, form product, isa ISA) {
		for _, units := range pick([]int{5, 16, 37, 64, 70}, []int{5, 64, 70}, []int{20}) {
			p := newProduct(20, form.gates, units, 19, 33, form.trans)
			bias := p.bias
			if p.trans {
				bias = nil
			}
			set, add := p.exact(bias, false), p.exact(nil, true)
			for n := range 34 {
				p.check(t, isa, set, bias, false, beforeGuard, n, n%3)
				p.check(t, isa, add, nil, true, at(n%17), n, n%2)
			}
		}
	})
}

// TestGemmK tries all numbers of inputs around the ends of k blocks and chains.
func TestGemmK(t *testing.T) {
	ks := []int{127, 128, 129, 255, 256, 257, 258, 383, 384, 385, 511, 512, 513, 514, 515, 600}
	for k := range 21 {
		ks = append(ks, k)
	}
	forEachForm(t, func(t *testing.T, form product, isa ISA) {
		for _, k := range ks {
			for _, n := range pick([]int{1, 4, 13}, []int{1, 5}, []int{2}) {
				units := pick(37, 21, 5)
				p := newProduct(uint64(k), form.gates, units, k, n, form.trans)
				p.all(t, isa, beforeGuard, n, 0)
				p.check(t, isa, p.exact(nil, false), nil, false, afterGuard, n, 3)
			}
		}
	})
}

// TestGemmNarrow tries blocks of which C holds some columns: all numbers of these, for
// rows that fill several registers and for the last few, as vectors and with gaps.
func TestGemmNarrow(t *testing.T) {
	forEachISA(t, func(t *testing.T, isa ISA) {
		rows := pick(41, 41, 20)
		for _, units := range pick([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 40, 63, 65, 121},
			[]int{1, 2, 3, 4, 7, 8, 9, 12, 13, 15, 17, 65}, []int{1, 2, 3, 7, 13, 17}) {
			for _, k := range pick([]int{1, 3, 4, 5, 8, 15, 127, 128, 131, 256, 257, 389}, []int{1, 7, 20, 131, 257}, []int{1, 13}) {
				p := newProduct(uint64(units+k), 1, units, k, rows, false)
				set, zero, add := p.exact(p.bias, false), p.exact(nil, false), p.exact(nil, true)
				for n := range rows + 1 {
					if n > 9 && units > 1 && n%8 > 1 {
						continue
					}
					p.check(t, isa, set, p.bias, false, beforeGuard, n, 0)
					p.check(t, isa, zero, nil, false, afterGuard, n, n%2)
					p.check(t, isa, add, nil, true, at(n%17), n, 0)
				}
				p.check(t, isa, add, nil, true, beforeGuard, rows, 1)
			}
		}
		p := newProduct(61, 1, 3, 20, 9, false)
		_, c := p.operands(t, at(0), p.n, 0)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			Gemm(c.Mat, Mat{p.a, p.k}, p.n, p.w, p.bias)
			Gemv(c.row(0, 3), p.a[:p.k], p.w, p.bias)
		}))
		for _, units := range []int{1, 3, 18} { // and more rows than one call takes
			p := newProduct(2, 1, units, 3, pick(2*partRows(3)+11, partRows(3)+11, partRows(3)+3), false)
			p.all(t, isa, beforeGuard, p.n, 0)
		}
	})
}

// TestGemmNarrowSpecial: where a register holds several rows, NaN stays in its own, and
// subnormals count as zero.
func TestGemmNarrowSpecial(t *testing.T) {
	forEachISA(t, func(t *testing.T, isa ISA) {
		const k, n = 10, 39
		p := newProduct(51, 1, 1, k, n, false)
		want := p.exact(nil, false)
		for b := range n {
			for i := range k {
				old := p.a[b*k+i]
				p.a[b*k+i] = float32(math.NaN())
				wants := slices.Clone(want)
				wants[b] = float32(math.NaN())
				p.check(t, isa, wants, nil, false, at(0), n, 0)
				p.a[b*k+i] = old
			}
		}
		for i := range p.a {
			p.a[i] = 0x1p-130
		}
		for i := range p.weights {
			p.weights[i] = 1e10
		}
		p.w.Pack(p.weights)
		if isa != Generic {
			for _, n := range []int{1, 4, n} {
				p.check(t, isa, make([]float32, n), nil, false, at(0), n, 0)
			}
		}
	})
}

// TestGemmLarge passes more work than one call of assembly takes. The rows are
// products of one row by themselves; a few are compared with the exact result.
func TestGemmLarge(t *testing.T) {
	if emulated {
		t.Skip("emulated: too large")
	}
	n, units, k := pick(600, 150, 0), pick(300, 140, 0), 700
	forEachForm(t, func(t *testing.T, form product, isa ISA) {
		p := newProduct(30, form.gates, units, k, n, form.trans)
		a, c := p.operands(t, at(0), n, 1)
		if p.trans {
			GemmTN(c.Mat, a.Mat, 1, n, p.w, false)
		} else {
			Gemm(c.Mat, a.Mat, n, p.w, nil)
		}
		for _, b := range []int{0, 1, 64, n - 1} {
			one := newProduct(30, form.gates, 0, k, 1, false)
			one.units, one.w, one.use, one.weights, one.a = units, p.w, p.use, p.weights, p.a[b*k:][:k]
			one.c = make([]float32, p.w.Width())
			one.check(t, isa, one.exact(nil, false), nil, false, at(0), 1, 0)
			y := make([]float32, p.w.Width())
			Gemv(y, one.a, p.w, nil)
			requireSame(t, y, c.row(b, len(y)), "row %d of %d", b, n)
		}
		for b := range n {
			y := make([]float32, p.w.Width())
			if b%pick(1, 7, 1) == 0 {
				Gemv(y, p.a[b*k:][:k], p.w, nil)
				requireSame(t, y, c.row(b, len(y)), "row %d of %d", b, n)
			}
		}
	})
}

// TestGemmBits compares with recorded hashes, so that machines agree too.
func TestGemmBits(t *testing.T) {
	for _, form := range forms() {
		p := newProduct(40, form.gates, 70, 300, 9, form.trans)
		for _, isa := range simd() {
			onISA(isa, func() {
				a, c := p.operands(t, at(0), p.n, 0)
				if p.trans {
					GemmTN(c.Mat, a.Mat, 1, p.n, p.w, true)
				} else {
					Gemm(c.Mat, a.Mat, p.n, p.w, p.bias)
				}
				requireHash(t, fmt.Sprintf("Gemm/gates=%d/trans=%v", p.gates, p.trans), isa, c.Data)
			})
		}
	}
	skipWithoutSIMD(t)
}

// TestGemmSpecial: NaN and infinities stay in their row or column, padding
// stays zero, subnormals count as zero on SIMD paths.
func TestGemmSpecial(t *testing.T) {
	forEachForm(t, func(t *testing.T, form product, isa ISA) {
		const units, k, n = 21, 40, 7
		run := func(p *product) []float32 {
			a, c := p.operands(t, at(0), n, 0)
			if p.trans {
				GemmTN(c.Mat, a.Mat, 1, n, p.w, false)
			} else {
				Gemm(c.Mat, a.Mat, n, p.w, nil)
			}
			return c.row(0, n*p.w.Width())
		}
		p := newProduct(50, form.gates, units, k, n, form.trans)
		width := p.w.Width()
		clean := run(p)
		p.a[3*k+5] = float32(math.NaN())
		for i, v := range run(p) {
			switch {
			case i/width != 3:
				require.True(t, same(v, clean[i]), "NaN in row 3 changes row %d", i/width)
			case p.valid(i%width) == 1:
				require.True(t, isNaN(v), "NaN is lost in column %d", i%width)
			}
		}
		p.a[3*k+5] = 0.5
		col := PackedIndex(form.gates, 17, 0)
		p.weights[17*k+5] = float32(math.NaN())
		p.w.Pack(p.weights)
		for i, v := range run(p) {
			require.Equal(t, i%width == col, isNaN(v), "NaN in the weight of column %d, column %d", col, i%width)
			if p.valid(i%width) == 0 {
				require.Equal(t, uint32(0), math.Float32bits(v), "padding")
			}
		}
		for i := range p.a {
			p.a[i] = 0x1p-130
		}
		p.weights[17*k+5] = 1e10
		p.w.Pack(p.weights)
		for _, v := range run(p) {
			if isa != Generic {
				require.Zero(t, v, "subnormal inputs")
			}
			require.Equal(t, flush(v), v, "subnormal result")
		}
		requireFPState(t, "Gemm")
	})
}

// TestReversed: a view has the weights of its panels, and products with it have
// the same bits, also beyond one call of assembly and after Resize.
func TestReversed(t *testing.T) {
	forEachForm(t, func(t *testing.T, form product, isa ISA) {
		units := pick(150, 150, 70)
		for _, n := range pick([]int{1, 2, 7, maxRows + 1, 3*maxRows + 2}, []int{1, maxRows + 3}, []int{2}) {
			for _, k := range []int{20, 300} {
				p := newProduct(70, form.gates, units, k, n, form.trans)
				reversed := p.w.Reversed()
				for range 2 {
					a, want := p.operands(t, at(0), n, 0)
					_, got := p.operands(t, at(0), n, 0)
					multiply := func(c view, w *Panels) {
						if p.trans {
							GemmTN(c.Mat, a.Mat, 1, n, w, true)
							return
						}
						Gemm(c.Mat, a.Mat, n, w, p.bias)
						GemmAdd(c.Mat, a.Mat, n, w)
					}
					multiply(want, p.w)
					multiply(got, reversed)
					requireSame(t, want.all, got.all, "gates=%d n=%d k=%d", p.gates, n, p.k)
					p.k = k / 2
					reversed.Resize(p.k)
					require.Equal(t, p.k, p.w.K())
					p.weights, p.a = random(newRand(71), p.gates*units*p.k), p.a[:n*p.k]
					p.w.Pack(p.weights)
				}
				require.Equal(t, p.w, reversed.Reversed())
			}
		}
	})
}

// TestGemmTNGates: each gate's rows of C are those of a product of that gate alone.
func TestGemmTNGates(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		for _, gates := range []int{3, 4} {
			for _, units := range pick([]int{0, 1, 15, 16, 17, 40, 64, 70}, []int{0, 1, 16, 37}, []int{1, 17}) {
				for _, k := range []int{0, 3, 63, 64, 300, 1030, manyInputs + 60} {
					r := newRand(uint64(units + k))
					cols := 37
					if k > manyInputs {
						if units < pick(70, 37, 37) {
							continue
						}
						cols = 200
					}
					b := NewPanels(1, cols, k)
					b.Pack(random(r, cols*k))
					width := packedWidth(gates, units)
					a := Mat{random(r, k*width), width}
					got := Mat{random(r, gates*units*cols), cols}
					want := slices.Clone(got.Data)
					for g := range gates {
						one := make([]float32, units*k)
						for u := range units {
							for i := range k {
								one[u*k+i] = *a.at(i, PackedIndex(gates, u, g))
							}
						}
						GemmAdd(Mat{want[g*units*cols:], cols}, Mat{one, k}, units, b)
					}
					old := slices.Clone(got.Data)
					GemmTN(got, a, gates, units, b, true)
					requireSame(t, want, got.Data, "gates=%d units=%d k=%d", gates, units, k)
					copy(got.Data, old)
					for lo := 0; lo < units; lo += 32 {
						GemmTNPart(got, a, gates, units, lo, min(lo+32, units), b, true)
					}
					requireSame(t, want, got.Data, "parts, gates=%d units=%d k=%d", gates, units, k)
				}
			}
		}
	})
}

// TestGemmPanics: a wrong size panics, names the argument and writes nothing.
func TestGemmPanics(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		const n, units, k = 3, 5, 7
		w4, w1 := NewPanels(4, units, k), NewPanels(1, units, k)
		width := w4.Width()
		c, a := Mat{filled(n*width, 0.25), width}, Mat{filled(n*k, 0.5), k}
		cut := func(m Mat) Mat { return Mat{m.Data[:len(m.Data)-1], m.Stride} }
		narrow := func(m Mat) Mat { return Mat{m.Data, m.Stride - 1} }
		c1, a1 := Mat{filled(n*units, 0.25), units}, Mat{filled(k*n, 0.5), n}
		for message, f := range map[string]func(){
			"Gemm: len(c.Data) = 191, want 3 rows of 64 columns at stride 64":    func() { Gemm(cut(c), a, n, w4, nil) },
			"Gemm: len(a.Data) = 20, want 3 rows of 7 columns at stride 7":       func() { Gemm(c, cut(a), n, w4, nil) },
			"Gemm: c.Stride = 63, want at least 64 columns":                      func() { Gemm(narrow(c), a, n, w4, nil) },
			"Gemm: a.Stride = 6, want at least 7 columns":                        func() { Gemm(c, narrow(a), n, w4, nil) },
			"Gemm: n = -1, want at least 0":                                      func() { Gemm(c, a, -1, w4, nil) },
			"Gemm: len(bias) = 63, want 64":                                      func() { Gemm(c, a, n, w4, make([]float32, 63)) },
			"GemmAdd: len(c.Data) = 191, want 3 rows of 64 columns at stride 64": func() { GemmAdd(cut(c), a, n, w4) },
			"GemmAdd: len(a.Data) = 20, want 3 rows of 7 columns at stride 7":    func() { GemmAdd(c, cut(a), n, w4) },
			"GemmAdd: n = -1, want at least 0":                                   func() { GemmAdd(c, a, -1, w4) },
			"Gemv: len(y) = 63, want 64":                                         func() { Gemv(c.Data[:63], a.Data[:k], w4, nil) },
			"Gemv: len(x) = 8, want 7":                                           func() { Gemv(c.Data[:64], a.Data[:k+1], w4, nil) },
			"Gemv: len(bias) = 65, want 64":                                      func() { Gemv(c.Data[:64], a.Data[:k], w4, make([]float32, 65)) },
			"GemmTN: len(c.Data) = 14, want 3 rows of 5 columns at stride 5":     func() { GemmTN(cut(c1), a1, 1, n, w1, false) },
			"GemmTN: len(a.Data) = 20, want 7 rows of 3 columns at stride 3":     func() { GemmTN(c1, cut(a1), 1, n, w1, false) },
			"GemmTN: gates = 2, want 1, 3 or 4":                                  func() { GemmTN(c1, a1, 2, n, w1, true) },
			"GemmTN: units = -1, want at least 0":                                func() { GemmTN(c1, a1, 1, -1, w1, true) },
			"GemmTN: b.Gates() = 4, want 1":                                      func() { GemmTN(c, a1, 1, n, w4, false) },
			"GemmTNPart: hi = 4, want 0 to units = 3":                            func() { GemmTNPart(c1, a1, 1, n, 0, 4, w1, false) },
			"GemmTNPart: lo = 2, want a multiple of 16 from 0 to hi = 3":         func() { GemmTNPart(c1, a1, 1, n, 2, 3, w1, false) },

			fmt.Sprintf("GemmTN: units = %d, want a size that fits in memory", huge): func() { GemmTN(Mat{}, Mat{}, 4, huge, w1, true) },
		} {
			require.PanicsWithValue(t, "kernels: "+message, f)
		}
		requireSame(t, filled(n*width, 0.25), c.Data, "c was written")
		requireSame(t, filled(n*units, 0.25), c1.Data, "c was written")
		huge := Mat{c.Data, math.MaxInt}
		require.Panics(t, func() { Gemm(huge, a, n, w4, nil) }, "the size overflows")
	})
}

func TestGemmAllocs(t *testing.T) {
	for _, inputs := range []int{block, kBlock / 2, kChain, manyInputs, manyInputs + 1} { // one of each memory for copies
		forEachForm(t, func(t *testing.T, form product, _ ISA) {
			p := newProduct(60, form.gates, 37, inputs, 9, form.trans)
			a, c := p.operands(t, at(0), p.n, 0)
			require.Zero(t, testing.AllocsPerRun(10, func() {
				if p.trans {
					GemmTN(c.Mat, a.Mat, 1, p.n, p.w, true)
					return
				}
				Gemm(c.Mat, a.Mat, p.n, p.w, p.bias)
				GemmAdd(c.Mat, a.Mat, p.n, p.w)
				Gemv(c.row(0, p.w.Width()), a.row(0, p.k), p.w, p.bias)
				p.w.Pack(p.weights)
				p.w.SetRow(1, nil)
			}), inputs)
		})
	}
}
