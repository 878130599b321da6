package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestPackTransposed compares with SetRow of one input after the other.
func TestPackTransposed(t *testing.T) {
	for _, isa := range paths() {
		onISA(isa, func() {
			for _, gates := range []int{1, 3, 4} {
				for _, units := range []int{0, 1, 15, 16, 17, 48, 63, 130} {
					for _, inputs := range []int{0, 1, 16, 37, 64, 65, 130} {
						w := random(newRand(1), gates*units*inputs)
						want := NewPanels(1, inputs, packedWidth(gates, units))
						p := NewPanels(1, inputs, packedWidth(gates, units))
						for i := range p.data {
							p.data[i] = 1 // all are set, padding too
						}
						for g := range gates {
							for u := range units {
								want.SetRow(PackedIndex(gates, u, g), w[(g*units+u)*inputs:][:inputs])
							}
						}
						before := slices.Clone(p.data)
						p.PackTransposed(w, gates, units)
						for i := range p.len() { // padding of the panels' own units is nobody's
							panel, nb := p.panel(i)
							for b := range nb {
								_, n := p.outputs(i, b)
								for k := range p.k {
									k0 := k / kBlock * kBlock
									at := (k0*nb+b*min(kBlock, p.k-k0)+k-k0)*block + n
									copy(panel[at:][:block-n], make([]float32, block-n))
								}
							}
						}
						requireSame(t, want.data, p.data, "gates=%d units=%d inputs=%d", gates, units, inputs)
						if len(p.data) > 0 {
							require.NotEqual(t, before, p.data)
						}
					}
				}
			}
		})
	}
}

// TestPanelsLayout compares with the documented layout, index by index.
func TestPanelsLayout(t *testing.T) {
	for _, gates := range []int{1, 3, 4} {
		for _, units := range []int{0, 1, 15, 16, 17, 37, 63, 64, 65, 130} {
			for _, k := range []int{0, 1, 5, 127, 128, 129, 256, 300} {
				p := NewPanels(gates, units, k)
				require.Equal(t, []int{gates, units, k}, []int{p.Gates(), p.Units(), p.K()})
				require.Equal(t, 4*len(p.data), p.Bytes())
				require.Equal(t, (units+15)/16*16*gates*k, len(p.data))
				if len(p.data) > 0 {
					require.Zero(t, uintptr(unsafe.Pointer(&p.data[0]))%64)
				}
				w := random(newRand(1), gates*units*k)
				p.Pack(w)
				rows := NewPanels(gates, units, k) // packed by SetRow
				column := make([]float32, gates*units)
				for j := range k {
					for i := range column {
						column[i] = w[i*k+j]
					}
					rows.SetRow(j, column)
				}
				requireSame(t, p.data, rows.data, "SetRow of all columns is Pack")
				stride := gates*units + k%3
				x := Mat{make([]float32, k*stride), stride}
				for j := range k {
					for i := range gates * units {
						*x.at(j, i) = w[i*k+j]
					}
				}
				rows.Pack(make([]float32, len(w)))
				rows.SetRows(x)
				requireSame(t, p.data, rows.data, "SetRows is Pack of the transposed matrix")
				want := make([]float32, len(p.data))
				perPanel := gates
				if gates == 1 {
					perPanel = 4
				}
				total := (units + 15) / 16 * gates // blocks
				for g := range gates {
					for u := range units {
						blockIndex := u / 16 // of the whole matrix
						if gates > 1 {
							blockIndex = u/16*gates + g
						}
						panel, inPanel := blockIndex/perPanel, blockIndex%perPanel
						nb := min(perPanel, total-panel*perPanel)
						for j := range k {
							j0 := j / 128 * 128
							kn := min(128, k-j0)
							at := panel*perPanel*16*k + j0*nb*16 + inPanel*kn*16 + (j-j0)*16 + u%16
							want[at] = w[(g*units+u)*k+j]
						}
					}
				}
				requireSame(t, want, p.data, "gates=%d units=%d k=%d", gates, units, k)
				if k > 0 {
					p.SetRow(k-1, nil)
					for i := range gates * units {
						w[i*k+k-1] = 0
					}
					rows.Pack(w)
					requireSame(t, rows.data, p.data, "SetRow of nil clears")
				}
			}
		}
	}
}

// TestPanelsResize: resized panels are those of NewPanels with that k, padding
// included.
func TestPanelsResize(t *testing.T) {
	for _, gates := range []int{1, 3, 4} {
		for _, units := range []int{0, 1, 17, 64, 70} {
			r := newRand(3)
			p := NewPanels(gates, units, 300)
			for _, k := range []int{300, 5, 0, 129, 129, 300} {
				before := p.K()
				p.Resize(k)
				require.Equal(t, k, p.K())
				want := NewPanels(gates, units, k)
				require.Equal(t, want.Bytes(), p.Bytes())
				if k != before {
					requireSame(t, want.data, p.data, "zero after Resize")
				}
				w := random(r, gates*units*k)
				p.Pack(w)
				want.Pack(w)
				requireSame(t, want.data, p.data, "gates=%d units=%d k=%d", gates, units, k)
				data := p.data
				p.Resize(k)
				requireSame(t, want.data, data, "Resize to K keeps the weights")
			}
			require.Zero(t, testing.AllocsPerRun(5, func() { p.Resize(7); p.Resize(300) }))
		}
	}
}

// TestPanelsPart: products with parts are the columns of one with all, and parts
// share the weights.
func TestPanelsPart(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		for _, gates := range []int{1, 3, 4} {
			const units, k, n = 150, 70, 3
			unit := PartUnits(gates)
			r := newRand(5)
			w, part := NewPanels(gates, units, k), new(Panels)
			w.Pack(random(r, gates*units*k))
			a := Mat{random(r, n*k), k}
			want := Mat{make([]float32, n*w.Width()), w.Width()}
			got := Mat{make([]float32, n*w.Width()), w.Width()}
			bias := random(r, w.Width())
			Gemm(want, a, n, w, bias)
			for lo := 0; lo < units; lo += 2 * unit {
				hi := min(units, lo+2*unit)
				part.SetPart(w, lo, hi)
				col := PackedIndex(gates, lo, 0)
				Gemm(got.from(0, col), a, n, part, bias[col:][:part.Width()])
			}
			requireSame(t, want.Data, got.Data, "gates=%d", gates)

			part.SetPart(w, unit, units)
			require.Equal(t, []int{gates, units - unit, k}, []int{part.Gates(), part.Units(), part.K()})
			part.SetRow(2, nil)
			row := make([]float32, k)
			row[2] = 1
			Gemv(want.row(0, w.Width()), row, w, nil)
			for u := range units {
				require.Equal(t, u >= unit, want.Data[PackedIndex(gates, u, gates-1)] == 0, "unit %d", u)
			}
			part.Resize(k)
			part.SetPart(w, units, units)
			require.Zero(t, part.Width())
			for _, f := range []func(){
				func() { part.Resize(k - 1) },
				func() { part.SetPart(w, -unit, unit) },
				func() { part.SetPart(w, 1, unit) },
				func() { part.SetPart(w, 0, unit+1) },
				func() { part.SetPart(w, 0, units+unit) },
				func() { part.SetPart(w, 2*unit, unit) },
			} {
				require.Panics(t, f)
			}
			require.Zero(t, testing.AllocsPerRun(5, func() { part.SetPart(w, 0, unit) }))
		}
	})
}

func TestPackedIndex(t *testing.T) {
	require.Equal(t, 37, PackedIndex(1, 37, 0))
	require.Equal(t, 2*64+3*16+5, PackedIndex(4, 37, 3))
	require.Equal(t, 2*48+1*16+5, PackedIndex(3, 37, 1))
	for _, gates := range []int{1, 3, 4} {
		for units := range 70 {
			seen := map[int]bool{}
			width := NewPanels(gates, units, 0).Width()
			for u := range units {
				for g := range gates {
					i := PackedIndex(gates, u, g)
					require.False(t, seen[i])
					require.Less(t, i, width)
					seen[i] = true
				}
			}
		}
	}
}

func TestPackBias(t *testing.T) {
	for _, gates := range []int{1, 3, 4} {
		for units := range 40 {
			r := newRand(2)
			b0, b1 := random(r, gates*units), random(r, gates*units)
			width := packedWidth(gates, units)
			for _, c := range [][2][]float32{{b0, b1}, {b0, nil}, {nil, b1}, {nil, nil}} {
				dst, want := filled(width, 7), make([]float32, width)
				for g := range gates {
					for u := range units {
						for _, b := range c {
							if b != nil {
								want[PackedIndex(gates, u, g)] += b[g*units+u]
							}
						}
					}
				}
				PackBias(dst, c[0], c[1], gates, units)
				requireSame(t, want, dst, "gates=%d units=%d", gates, units)
			}
		}
	}
}

func TestPanelsPanics(t *testing.T) {
	p, plain := NewPanels(4, 5, 7), NewPanels(1, 5, 7)
	dst := filled(64, 7)
	for message, f := range map[string]func(){
		"NewPanels: gates = 2, want 1, 3 or 4":                                             func() { NewPanels(2, 5, 7) },
		"NewPanels: units = -1, want at least 0":                                           func() { NewPanels(1, -1, 7) },
		"NewPanels: k = -1, want at least 0":                                               func() { NewPanels(1, 5, -1) },
		"Panels.Pack: len(w) = 139, want 140":                                              func() { p.Pack(make([]float32, 139)) },
		"Panels.SetRow: k = 7, want 0 <= k < 7":                                            func() { p.SetRow(7, nil) },
		"Panels.SetRow: k = -1, want 0 <= k < 7":                                           func() { p.SetRow(-1, nil) },
		"Panels.SetRows: len(x.Data) = 139, want 7 rows of 20 columns at stride 20":        func() { p.SetRows(Mat{make([]float32, 139), 20}) },
		"Panels.PackTransposed: gates = 2, want 1, 3 or 4":                                 func() { p.PackTransposed(nil, 2, 5) },
		"Panels.PackTransposed: units = -1, want at least 0":                               func() { p.PackTransposed(nil, 1, -1) },
		"Panels.PackTransposed: Gates() = 4, want 1":                                       func() { p.PackTransposed(nil, 1, 7) },
		"Panels.PackTransposed: K() = 7, want 64, the inputs of 4 gates of 5 units":        func() { plain.PackTransposed(nil, 4, 5) },
		"Panels.PackTransposed: len(w) = 34, want 35":                                      func() { plain.PackTransposed(make([]float32, 34), 1, 7) },
		"Panels.SetRow: len(w) = 19, want 20":                                              func() { p.SetRow(0, make([]float32, 19)) },
		"Panels.Resize: k = 8, want at least 0 and at most that of NewPanels":              func() { p.Resize(8) },
		"Panels.Resize: k = -1, want at least 0 and at most that of NewPanels":             func() { p.Resize(-1) },
		"PackBias: gates = 0, want 1, 3 or 4":                                              func() { PackBias(dst, nil, nil, 0, 5) },
		"PackBias: units = -1, want at least 0":                                            func() { PackBias(dst, nil, nil, 4, -1) },
		fmt.Sprintf("PackBias: units = %d, want a size that fits in memory", huge):         func() { PackBias(nil, nil, nil, 4, huge) },
		"PackBias: len(dst) = 64, want 128":                                                func() { PackBias(dst, nil, nil, 4, 17) },
		"PackBias: len(b0) = 19, want 20":                                                  func() { PackBias(dst, make([]float32, 19), nil, 4, 5) },
		"PackBias: len(b1) = 21, want 20":                                                  func() { PackBias(dst, nil, make([]float32, 21), 4, 5) },
		fmt.Sprintf("NewPanels: units = %d, want a size that fits in memory", math.MaxInt): func() { NewPanels(4, math.MaxInt, 1) },
		fmt.Sprintf("NewPanels: k = %d, want a size that fits in memory", math.MaxInt):     func() { NewPanels(4, 16, math.MaxInt) },
	} {
		require.PanicsWithValue(t, "kernels: "+message, f)
	}
	requireSame(t, filled(64, 7), dst, "dst was written")
	requireSame(t, make([]float32, len(p.data)), p.data, "p was written")
	requireSame(t, make([]float32, len(plain.data)), plain.data, "plain was written")
}
