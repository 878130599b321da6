package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// normWant is what LayerNormRows and LayerNormRowsBackward document, of one row.
type normWant struct{ y, hat, dx, rstd []float32 }

func laneSum(n int, step func(lane float32, j int) float32) (s float64) {
	for p := 0; p < n; p += 4096 {
		var lane [64]float32
		for j := p; j < min(p+4096, n); j++ {
			lane[j%64] = step(lane[j%64], j)
		}
		for w := 32; w > 0; w /= 2 {
			for i := range w {
				lane[i] += lane[i+w]
			}
		}
		s += float64(lane[0])
	}
	return s
}

func newNormWant(isa ISA, x, gain, shift, dy []float32, eps float32) (w normWant) {
	n := len(x)
	mean := float32(laneSum(n, func(l float32, j int) float32 { return l + x[j] }) / float64(n))
	variance := float32(laneSum(n, func(l float32, j int) float32 { return mulAdd(isa, l, x[j]-mean, x[j]-mean) }) / float64(n))
	r := 1 / float32(math.Sqrt(float64(variance+eps)))
	for j, v := range x {
		w.hat = append(w.hat, float32((v-mean)*r))
		w.y = append(w.y, mulAdd(isa, shift[j], gain[j], w.hat[j]))
	}
	dMean := float32(laneSum(n, func(l float32, j int) float32 { return mulAdd(isa, l, dy[j], gain[j]) }) / float64(n))
	dHat := float32(laneSum(n, func(l float32, j int) float32 { return mulAdd(isa, l, float32(dy[j]*gain[j]), w.hat[j]) }) / float64(n))
	for j := range x {
		e := float32(dy[j]*gain[j]) - dMean
		w.dx = append(w.dx, float32(mulAdd(isa, e, -w.hat[j], dHat)*r))
	}
	w.rstd = []float32{r}
	return w
}

// TestLayerNormRows compares with the documented formulas, for all lengths up to
// some registers and around pieces, with strides, in place, at all alignments and
// at guard pages, with one shift for all rows and one for each.
func TestLayerNormRows(t *testing.T) {
	const eps = 1e-5
	r := newRand(30)
	forEachISA(t, func(t *testing.T, isa ISA) {
		check := func(n, cols, gap int, p place, aliased bool) {
			t.Helper()
			rows := func(n, cols, gap int) view {
				v := p.make(t, n, cols, cols+gap)
				copy(v.all, filled(len(v.all), canary))
				for b := range n {
					copy(v.row(b, cols), random(r, cols))
				}
				return v
			}
			x, y, hat, dy, dx := rows(n, cols, gap), rows(n, cols, gap), rows(n, cols, gap), rows(n, cols, gap), rows(n, cols, gap)
			gain, shift, rstd := rows(1, cols, 0), rows(n, cols, gap), rows(n, 1, gap)
			views := []view{x, y, hat, dy, dx, gain, shift, rstd}
			for _, v := range views {
				defer p.release(v)
			}
			shared := cols%2 == 0
			if shared && n > 0 {
				shift.Mat = Mat{shift.Data[:cols], 0}
			}
			var before [8][]float32
			for i, v := range views {
				before[i] = slices.Clone(v.all)
			}
			put := func(i, b int, row []float32) {
				copy(before[i][views[i].start+b*views[i].Stride:], row)
			}
			for b := 0; b < n && cols > 0; b++ {
				w := newNormWant(isa, x.row(b, cols), gain.Data, shift.row(b, cols), dy.row(b, cols), eps)
				put(1, b, w.y)
				put(2, b, w.hat)
				put(4, b, w.dx)
				put(7, b, w.rstd)
			}
			if cols == 0 {
				for b := range n {
					put(7, b, []float32{rstdOfNothing})
				}
			}
			LayerNormRows(y.Mat, hat.Mat, rstd.Mat, x.Mat, gain.Data, shift.Mat, eps, n, cols)
			LayerNormRowsBackward(dx.Mat, dy.Mat, hat.Mat, rstd.Mat, gain.Data, n, cols)
			for i, v := range views {
				requireSame(t, before[i], v.all, "n=%d cols=%d gap=%d %s: %s", n, cols, gap, p.name,
					[]string{"x", "y", "hat", "dy", "dx", "gain", "shift", "rstd"}[i])
			}
			requireFPState(t, "LayerNormRows")
			if !aliased {
				return
			}
			wantDX := slices.Clone(dx.all)
			dx1 := Mat{slices.Clone(dy.Data), dy.Stride}
			LayerNormRowsBackward(dx1, dx1, hat.Mat, rstd.Mat, gain.Data, n, cols)
			hat1 := Mat{slices.Clone(hat.Data), hat.Stride}
			LayerNormRowsBackward(hat1, dy.Mat, hat1, rstd.Mat, gain.Data, n, cols)
			for b := range n {
				requireSame(t, dx.row(b, cols), dx1.row(b, cols), "dx is dy")
				requireSame(t, dx.row(b, cols), hat1.row(b, cols), "dx is hat")
			}
			requireSame(t, wantDX, dx.all, "dx")
			x1 := Mat{slices.Clone(x.Data), x.Stride}
			LayerNormRows(y.Mat, x1, rstd.Mat, x1, gain.Data, shift.Mat, eps, n, cols) // hat is x
			for b := range n {
				requireSame(t, hat.row(b, cols), x1.row(b, cols), "hat is x")
			}
			if !shared {
				y1 := Mat{slices.Clone(shift.Data), shift.Stride}
				LayerNormRows(y1, hat.Mat, rstd.Mat, x.Mat, gain.Data, y1, eps, n, cols)
				for b := range n {
					requireSame(t, y.row(b, cols), y1.row(b, cols), "y is shift")
				}
			}
			LayerNormRows(x.Mat, hat.Mat, rstd.Mat, x.Mat, gain.Data, shift.Mat, eps, n, cols)
			for b := range n {
				requireSame(t, y.row(b, cols), x.row(b, cols), "y is x")
			}
		}
		for cols := 0; cols < 140; cols++ {
			check(1+cols%3, cols, cols%4, beforeGuard, false)
			check(2, cols, 0, afterGuard, false)
			check(1+cols%2, cols, 3, at(cols%17), true)
			if emulated && cols > 20 {
				cols += 10
			}
		}
		check(0, 20, 0, at(0), false)
		for _, cols := range pick([]int{4095, 4096, 4097, 9001}, []int{4096, 4161}, []int{4161}) {
			check(2, cols, 1, at(1), true)
		}
		x, s := Mat{make([]float32, 10000), 5000}, make([]float32, 5000)
		require.Zero(t, testing.AllocsPerRun(5, func() {
			LayerNormRows(x, x, Mat{s, 1}, x, s, rowMat(s), eps, 1, 5000)
			LayerNormRowsBackward(x, x, x, Mat{s, 1}, s, 2, 5000)
		}))
	})
}

// TestLayerNormAccuracy compares with float64, far from zero too.
func TestLayerNormAccuracy(t *testing.T) {
	r := newRand(31)
	forEachISA(t, func(t *testing.T, _ ISA) {
		for _, cols := range []int{1, 2, 7, 64, 500, pick(10000, 5000, 600)} {
			for _, offset := range []float32{0, 3} {
				x, gain, shift, dy := random(r, cols), random(r, cols), random(r, cols), random(r, cols)
				for i := range x {
					x[i] += offset
				}
				y, hat, rstd, dx := make([]float32, cols), make([]float32, cols), make([]float32, 1), make([]float32, cols)
				LayerNormRows(rowMat(y), rowMat(hat), rowMat(rstd), rowMat(x), gain, rowMat(shift), 1e-5, 1, cols)
				LayerNormRowsBackward(rowMat(dx), rowMat(dy), rowMat(hat), rowMat(rstd), gain, 1, cols)

				n, mean, variance := float64(cols), 0., 0.
				for _, v := range x {
					mean += float64(v) / n
				}
				for _, v := range x {
					variance += (float64(v) - mean) * (float64(v) - mean) / n
				}
				std := math.Sqrt(variance + 1e-5)
				me, meHat := 0., 0.
				hats := make([]float64, cols)
				for j, v := range x {
					hats[j] = (float64(v) - mean) / std
					e := float64(dy[j]) * float64(gain[j])
					me += e / n
					meHat += e * hats[j] / n
				}
				for j, h := range hats {
					tol := 2e-6 * (1 + float64(offset)/std)
					require.InDelta(t, h, hat[j], tol, "cols=%d", cols)
					require.InDelta(t, h*float64(gain[j])+float64(shift[j]), y[j], tol, "cols=%d", cols)
					want := (float64(dy[j])*float64(gain[j]) - me - h*meHat) / std
					require.InDelta(t, want, dx[j], 2e-6*(1+float64(offset))/std*max(1, math.Abs(h)/std), "cols=%d", cols)
				}
			}
		}
	})
}

// TestLayerNormBits compares the SIMD paths with the recorded hashes.
func TestLayerNormBits(t *testing.T) {
	for _, isa := range simd() {
		onISA(isa, func() {
			r := newRand(32)
			var bits []float32
			for _, cols := range []int{1, 9, 64, 70, 1000, 4100} {
				m := func() Mat { return Mat{random(r, 2*cols), cols} }
				x, y, dy, hat, dx, rstd := m(), m(), m(), m(), m(), Mat{random(r, 2), 1}
				gain := random(r, cols)
				LayerNormRows(y, hat, rstd, x, gain, m(), 1e-5, 2, cols)
				LayerNormRowsBackward(dx, dy, hat, rstd, gain, 2, cols)
				AddRowProducts(gain, dy, hat, 2)
				bits = slices.Concat(bits, y.Data, hat.Data, rstd.Data, dx.Data, gain)
			}
			requireHash(t, "LayerNormRows", isa, bits)
		})
	}
	skipWithoutSIMD(t)
}

// rstdOfNothing is that of a row without elements: 0/0.
var rstdOfNothing = float32(math.NaN())

// TestLayerNormSpecial: NaN and infinities make NaN of their row alone; a constant
// row becomes the shift; subnormal numbers are zero.
func TestLayerNormSpecial(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		const cols = 70
		gain, shift := filled(cols, 2), random(newRand(33), cols)
		norm := func(x Mat) (y, hat Mat) {
			y, hat = Mat{make([]float32, 2*cols), cols}, Mat{make([]float32, 2*cols), cols}
			LayerNormRows(y, hat, Mat{make([]float32, 2), 1}, x, gain, Mat{shift, 0}, 1e-5, 2, cols)
			return y, hat
		}
		for at := range cols {
			for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), canary} {
				x := Mat{filled(2*cols, 0.5), cols}
				*x.at(0, at) = v
				y, hat := norm(x)
				requireSame(t, filled(cols, float32(math.NaN())), y.row(0, cols), "%g at %d", v, at)
				requireSame(t, filled(cols, float32(math.NaN())), hat.row(0, cols), "%g at %d", v, at)
				requireSame(t, shift, y.row(1, cols), "the other row")
			}
		}
		y, hat := norm(Mat{filled(2*cols, 0x1p-130), cols})
		requireSame(t, shift, y.row(0, cols), "subnormal")
		requireSame(t, make([]float32, cols), hat.row(0, cols), "subnormal")
	})
}

func TestLayerNormPanics(t *testing.T) {
	m, short, g := Mat{make([]float32, 30), 10}, Mat{make([]float32, 29), 10}, make([]float32, 10)
	one := Mat{make([]float32, 3), 1}
	forward := func(y, hat, rstd, x Mat, gain []float32, shift Mat, n, cols int) func() {
		return func() { LayerNormRows(y, hat, rstd, x, gain, shift, 1, n, cols) }
	}
	back := func(dx, dy, hat, rstd Mat, gain []float32, n, cols int) func() {
		return func() { LayerNormRowsBackward(dx, dy, hat, rstd, gain, n, cols) }
	}
	const rows, want = "= 29, want 3 rows of 10 columns at stride 10", "kernels: LayerNormRows: "
	for message, f := range map[string]func(){
		want + "len(y.Data) " + rows:                                               forward(short, m, one, m, g, m, 3, 10),
		want + "len(hat.Data) " + rows:                                             forward(m, short, one, m, g, m, 3, 10),
		want + "len(x.Data) " + rows:                                               forward(m, m, one, short, g, m, 3, 10),
		want + "len(shift.Data) " + rows:                                           forward(m, m, one, m, g, short, 3, 10),
		want + "len(rstd.Data) = 2, want 3 rows of 1 columns at stride 1":          forward(m, m, Mat{one.Data[:2], 1}, m, g, m, 3, 10),
		want + "len(gain) = 9, want 10":                                            forward(m, m, one, m, g[:9], m, 3, 10),
		want + "shift.Stride = 9, want at least 10 columns":                        forward(m, m, one, m, g, Mat{g[:9], 0}, 3, 10),
		want + "n = -1, want at least 0":                                           forward(m, m, one, m, g, m, -1, 10),
		want + "cols = -1, want at least 0":                                        forward(m, m, one, m, g, m, 3, -1),
		"kernels: LayerNormRowsBackward: len(dx.Data) " + rows:                     back(short, m, m, one, g, 3, 10),
		"kernels: LayerNormRowsBackward: len(dy.Data) " + rows:                     back(m, short, m, one, g, 3, 10),
		"kernels: LayerNormRowsBackward: len(hat.Data) " + rows:                    back(m, m, short, one, g, 3, 10),
		"kernels: LayerNormRowsBackward: len(gain) = 9, want 10":                   back(m, m, m, one, g[:9], 3, 10),
		"kernels: LayerNormRowsBackward: n = -1, want at least 0":                  back(m, m, m, one, g, -1, 10),
		"kernels: LayerNormRowsBackward: cols = -1, want at least 0":               back(m, m, m, one, g, 3, -1),
		"kernels: LayerNormRowsBackward: rstd.Stride = 0, want at least 1 columns": back(m, m, m, Mat{one.Data, 0}, g, 3, 10),
	} {
		require.PanicsWithValue(t, message, f)
		require.Equal(t, make([]float32, 30), m.Data)
		require.Equal(t, make([]float32, 3), one.Data)
	}
}

func BenchmarkLayerNormRows(b *testing.B) {
	const n = 16
	for _, cols := range []int{16, 128, 512, 2048} {
		onPaths(b, fmt.Sprintf("n=%d/cols=%d", n, cols), func(b *testing.B, _ ISA) {
			m := func() Mat { return Mat{alignedSlice(n * cols), cols} }
			x, y, hat, rstd, gain := m(), m(), m(), Mat{make([]float32, n), 1}, alignedSlice(cols)
			for b.Loop() {
				LayerNormRows(y, hat, rstd, x, gain, Mat{gain, 0}, 1e-5, n, cols)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n/float64(cols), "ns/element")
		})
	}
}

func BenchmarkLayerNormRowsBackward(b *testing.B) {
	const n = 16
	for _, cols := range []int{16, 128, 512, 2048} {
		onPaths(b, fmt.Sprintf("n=%d/cols=%d", n, cols), func(b *testing.B, _ ISA) {
			m := func() Mat { return Mat{alignedSlice(n * cols), cols} }
			dx, dy, hat, rstd, gain := m(), m(), m(), Mat{make([]float32, n), 1}, alignedSlice(cols)
			for b.Loop() {
				LayerNormRowsBackward(dx, dy, hat, rstd, gain, n, cols)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n/float64(cols), "ns/element")
		})
	}
}
