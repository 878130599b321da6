package kernels

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Fuzz targets for shapes. go test runs their seeds; make fuzz looks for more.
// Every path is run, and all memory around the operands is compared.

// fuzzPlace chooses a guard page or a distance from a 64-byte boundary.
func fuzzPlace(n uint8) place {
	switch n % 8 {
	case 0, 1, 2:
		return beforeGuard
	case 3, 4:
		return afterGuard
	}
	return at(int(n/8) % 17)
}

var fuzzGates = [3]int{1, 3, 4}

// FuzzGemm compares products with the exact sums in the documented order.
func FuzzGemm(f *testing.F) {
	const trans, add, bias = 1, 2, 4
	for _, c := range []struct {
		gates           uint8
		units, k, n     uint16
		flags, gap, loc uint8
	}{
		{0, 1, 1, 1, 0, 0, 0},
		{2, 5, 7, 3, bias, 1, 3},
		{2, 16, 128, 1, bias, 0, 0},
		{2, 17, 129, 2, add, 2, 5},
		{1, 20, 257, 5, add, 0, 3},
		{0, 64, 256, 6, bias, 3, 13},
		{0, 65, 600, 7, add, 1, 0},
		{0, 70, 40, 50, 0, 0, 3},
		{0, 33, 300, 13, trans, 1, 0},
		{0, 100, 19, 49, trans | add, 2, 3},
		{0, 15, 513, 4, trans | add, 0, 85},
		{1, 0, 9, 3, bias, 1, 48},
		{2, 9, 0, 3, bias, 0, 3},
		{0, 1, 37, 45, bias, 0, 0},
		{0, 1, 258, 29, add, 0, 0},
		{0, 3, 21, 15, bias, 0, 3},
		{0, 9, 9, 0, trans, 4, 0},
	} {
		f.Add(uint64(c.k), c.gates, c.units, c.k, c.n, c.flags, c.gap, c.loc)
	}
	f.Fuzz(func(t *testing.T, seed uint64, gates uint8, units, k, n uint16, flags, gap, loc uint8) {
		form := product{gates: fuzzGates[gates%3], units: int(units % 150), k: int(k % 800), trans: flags&trans != 0}
		if form.trans {
			form.gates = 1
		}
		work := pick(1<<20, 1<<20, 1<<14) // multiply-adds in the slow exact form
		form.n = int(n) % (1 + min(100, work/(1+form.gates*form.units*form.k)))
		p := newProduct(seed, form.gates, form.units, form.k, form.n, form.trans)
		var start []float32
		if flags&bias != 0 && flags&add == 0 && !form.trans {
			start = p.bias
		}
		want := p.exact(start, flags&add != 0)
		for _, isa := range paths() {
			onISA(isa, func() {
				p.check(t, isa, want, start, flags&add != 0, fuzzPlace(loc), p.n, int(gap%40))
			})
		}
	})
}

// FuzzPointwise compares each unit with the result of one plain call, and paths
// with each other.
func FuzzPointwise(f *testing.F) {
	for i := range pointwiseKernels {
		f.Add(uint64(i), uint8(i), uint16(1+i%4), uint16(1+7*i), uint8(i%5), uint8(0), i%2 == 0)
		f.Add(uint64(i), uint8(i), uint16(3), uint16(16+i%3), uint8(0), uint8(3), i%2 == 1)
		f.Add(uint64(i), uint8(i), uint16(i), uint16(i), uint8(17), uint8(5+8*i), false)
	}
	f.Fuzz(func(t *testing.T, seed uint64, kernel uint8, n, units uint16, gap, loc uint8, aliased bool) {
		k := &pointwiseKernels[int(kernel)%len(pointwiseKernels)]
		cols := int(units % 600)
		rows := int(n) % (1 + min(60, pick(20000, 20000, 500)/(1+cols)))
		const count = 127
		in := k.random(seed, count)
		if seed%4 == 0 {
			special := k.special(seed, 0)
			for i := range in {
				for g := range in[i] {
					copy(in[i][g], special[i][g])
				}
			}
		}
		var first []float32
		for _, isa := range paths() {
			onISA(isa, func() {
				want := k.eval(in, count)
				if isa != Generic {
					if first == nil {
						first = k.results(want)
					}
					requireSame(t, first, k.results(want), "%s: %v differs from the first path", k.name, isa)
				}
				k.check(t, in, want, count, fuzzPlace(loc), rows, cols, int(gap%40), aliased && k.alias != [2]int{})
			})
		}
	})
}

// FuzzPanels compares Pack, SetRow, Resize and PackBias with the documented
// layout.
func FuzzPanels(f *testing.F) {
	for i, s := range [][4]uint16{{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 5, 7, 3}, {0, 64, 128, 128}, {0, 65, 129, 1}, {1, 17, 257, 300},
		{2, 16, 384, 200}, {0, 130, 256, 0}, {1, 40, 0, 5}, {2, 33, 511, 130}} {
		f.Add(uint64(i), uint8(s[0]), s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, seed uint64, g uint8, u, kMost, kThen uint16) {
		gates, units, most := fuzzGates[g%3], int(u%200), int(kMost%600)
		k := int(kThen) % (most + 1)
		r := newRand(seed)
		p := NewPanels(gates, units, most)
		p.Pack(random(r, gates*units*most))
		p.Resize(k)
		rows := NewPanels(gates, units, k)
		w := random(r, gates*units*k)
		p.Pack(w)
		want := make([]float32, len(p.data))
		column := make([]float32, gates*units)
		for j := range k {
			for i := range column {
				column[i] = w[i*k+j]
				want[layoutIndex(gates, units, k, i%units, i/units, j)] = column[i]
			}
			rows.SetRow(j, column)
		}
		requireSame(t, want, p.data, "Pack")
		requireSame(t, want, rows.data, "SetRow")

		b0, b1 := random(r, gates*units), random(r, gates*units)
		bias, wantBias := filled(p.Width(), canary), make([]float32, p.Width())
		for i := range b0 {
			wantBias[PackedIndex(gates, i%units, i/units)] = b0[i] + b1[i]
		}
		PackBias(bias, b0, b1, gates, units)
		requireSame(t, wantBias, bias, "PackBias")

		// A product with a row of the unit matrix reads one input's weights back.
		if k > 0 && units > 0 {
			j := r.IntN(k)
			x := make([]float32, k)
			x[j] = 1
			for _, isa := range paths() {
				onISA(isa, func() {
					y := filled(p.Width(), canary)
					Gemv(y, x, p, nil)
					for i := range column {
						at := PackedIndex(gates, i%units, i/units)
						require.Equal(t, w[i*k+j], y[at], "%v: weight of output %d, input %d", isa, i, j)
						y[at] = 0
					}
					require.False(t, slices.ContainsFunc(y, func(v float32) bool { return math.Float32bits(v) != 0 }), "%v: padding", isa)
				})
			}
		}
	})
}

// layoutIndex is where Panels keep the weight of unit u of gate g and input k.
func layoutIndex(gates, units, inputs, u, g, k int) int {
	perPanel, blockIndex := gates, u/16*gates+g
	if gates == 1 {
		perPanel, blockIndex = 4, u/16
	}
	panel, inPanel := blockIndex/perPanel, blockIndex%perPanel
	nb := min(perPanel, (units+15)/16*gates-panel*perPanel) // blocks of this panel
	k0 := k / 128 * 128
	kn := min(128, inputs-k0)
	return panel*perPanel*16*inputs + k0*nb*16 + inPanel*kn*16 + (k-k0)*16 + u%16
}
