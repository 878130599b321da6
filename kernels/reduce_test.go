package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reduction makes one number of x, and of y if it has two.
type reduction struct {
	name string
	two  bool
	run  func(x, y []float32) float64

	// The lanes of a piece start at start, step takes an element in, join adds
	// two lanes and total two pieces.
	start float32
	step  func(isa ISA, lane, x, y float32) float32
	join  func(a, b float32) float32
	total func(a, b float64) float64
}

func plus(a, b float32) float32     { return a + b }
func plus64(a, b float64) float64   { return a + b }
func larger(a, b float32) float32   { return max(a, b) }
func larger64(a, b float64) float64 { return max(a, b) }

const expTop = 1.5

var reductions = []reduction{
	{
		name: "Sum", run: func(x, _ []float32) float64 { return Sum(x) },
		step: func(_ ISA, lane, x, _ float32) float32 { return lane + x }, join: plus, total: plus64,
	},
	{
		name: "Dot", two: true, run: Dot,
		step: mulAdd, join: plus, total: plus64,
	},
	{
		name: "SumSquares", run: func(x, _ []float32) float64 { return SumSquares(x) },
		step: func(isa ISA, lane, x, _ float32) float32 { return mulAdd(isa, lane, x, x) }, join: plus, total: plus64,
	},
	{
		name: "MaxAbs", run: func(x, _ []float32) float64 { return float64(MaxAbs(x)) },
		step: func(_ ISA, lane, x, _ float32) float32 { return max(lane, x, -x) }, join: larger, total: larger64,
	},
	{
		name: "Max", run: func(x, _ []float32) float64 { return float64(Max(x)) }, start: float32(math.Inf(-1)),
		step: func(_ ISA, lane, x, _ float32) float32 { return max(lane, x) }, join: larger, total: larger64,
	},
	{
		name: "ExpSum", run: func(x, _ []float32) float64 { return ExpSum(nil, x, expTop) },
		step: func(_ ISA, lane, x, _ float32) float32 {
			e := [1]float32{x - expTop}
			Exp(e[:], e[:])
			return lane + e[0]
		}, join: plus, total: plus64,
	},
}

func mulAdd(isa ISA, lane, x, y float32) float32 {
	if isa == Generic {
		return float32(x*y) + lane
	}
	return fmaRef(x, y, lane)
}

// want is the documented order.
func (k *reduction) want(isa ISA, x, y []float32) float64 {
	total := float64(k.start)
	for j := 0; j < len(x); j += 4096 {
		lane := filled(64, k.start)
		for i := j; i < min(j+4096, len(x)); i++ {
			lane[i%64] = k.step(isa, lane[i%64], x[i], y[i])
		}
		for w := 32; w > 0; w /= 2 {
			for i := range w {
				lane[i] = k.join(lane[i], lane[i+w])
			}
		}
		total = k.total(total, float64(lane[0]))
	}
	return total
}

func forEachReduction(t *testing.T, f func(t *testing.T, k *reduction, isa ISA)) {
	for i := range reductions {
		k := &reductions[i]
		t.Run(k.name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, isa ISA) { f(t, k, isa) })
		})
	}
}

// TestReduceOrder compares with the documented order, for all lengths up to
// three groups of 64, around pieces, at all alignments and at guard pages.
func TestReduceOrder(t *testing.T) {
	r := newRand(20)
	forEachReduction(t, func(t *testing.T, k *reduction, isa ISA) {
		check := func(n int, p place) {
			t.Helper()
			x, y := p.make(t, 1, n, n), p.make(t, 1, n, n)
			defer p.release(x)
			defer p.release(y)
			for _, v := range []view{x, y} {
				copy(v.all, filled(len(v.all), canary))
				copy(v.Data, random(r, n))
			}
			before := slices.Clone(x.all)
			require.Equal(t, k.want(isa, x.Data, y.Data), k.run(x.Data, y.Data), "n=%d %s", n, p.name)
			requireSame(t, before, x.all, "x was written")
			requireFPState(t, k.name)
		}
		for n := range 200 {
			check(n, beforeGuard)
			check(n, afterGuard)
			check(n, at(n%17))
			if emulated && n > 70 {
				break
			}
		}
		for _, n := range pick([]int{4095, 4096, 4097, 8191, 12345, 40000}, []int{4095, 4096, 4097, 12345}, []int{4096, 4161}) {
			check(n, at(3))
		}
	})
}

// TestReduceBits compares the SIMD paths bit by bit, with wild inputs too.
func TestReduceBits(t *testing.T) {
	special := (&pointwise{operands: []operand{{"x", "x", ""}, {"y", "x", ""}}, inf: true}).special(21, 0)
	for i := range reductions {
		k := &reductions[i]
		t.Run(k.name, func(t *testing.T) {
			var first []float32
			for _, isa := range simd() {
				onISA(isa, func() {
					r := newRand(22)
					var got []float32
					for _, n := range []int{1, 9, 64, 100, 1000, 4096, 5000} {
						got = append(got, float32(k.run(random(r, n), random(r, n))))
					}
					for j := range special[0][0] {
						x, y := special[0][0][j:], special[1][0][j:]
						got = append(got, float32(k.run(x[:1], y[:1])), float32(k.run(x[:min(len(x), 3)], y[:min(len(x), 3)])))
					}
					if first == nil {
						first = got
					}
					requireSame(t, first, got, "%v and %v differ", simd()[0], isa)
					requireHash(t, k.name, isa, got)
				})
			}
		})
	}
	skipWithoutSIMD(t)
}

// TestReduceSpecial: a NaN at any place is not lost, infinities win, subnormal
// numbers are zero, and a zero result is +0.
func TestReduceSpecial(t *testing.T) {
	const n = 150
	inf := float32(math.Inf(1))
	forEachReduction(t, func(t *testing.T, k *reduction, isa ISA) {
		run := func(x []float32) float64 { return k.run(x, filled(len(x), 1)) }
		for at := range n {
			for _, nan := range []float32{float32(math.NaN()), canary, -canary, math.Float32frombits(0x7f800001), math.Float32frombits(0xff800001)} {
				x := filled(n, 0.5)
				x[at] = nan
				require.True(t, math.IsNaN(run(x)), "NaN %#x at %d is lost", math.Float32bits(nan), at)
				x[(at+64)%n], x[(at+1)%n] = inf, inf
				require.True(t, math.IsNaN(run(x)), "NaN %#x at %d is lost to Inf", math.Float32bits(nan), at)
			}
			x := filled(n, 0.5)
			x[at] = inf
			require.Equal(t, math.Inf(1), run(x))
		}
		empty := map[string]float64{"Max": math.Inf(-1)}[k.name]
		require.Equal(t, empty, run(nil))
		one := map[string]float64{"ExpSum": run(filled(1, 0))}[k.name]
		negZero := float32(math.Copysign(0, -1))
		for _, x := range [][]float32{{0x1.8p-130}, {-0x1.8p-130}, {negZero}, {0, negZero}, {negZero, 0}, {0x1p-149, negZero}} {
			got := run(x)
			if len(x) > 1 && k.name == "ExpSum" {
				got /= 2
			}
			require.Equal(t, one, got, "%g", x)
			require.False(t, math.Signbit(got), "%g: -0", x)
		}
	})
}

func TestReduceAllocs(t *testing.T) {
	forEachReduction(t, func(t *testing.T, k *reduction, isa ISA) {
		x := make([]float32, 5000)
		require.Zero(t, testing.AllocsPerRun(10, func() { k.run(x, x) }))
	})
}

// TestExpSum: dst is Exp of the difference, and the sum is Sum(dst).
func TestExpSum(t *testing.T) {
	r := newRand(23)
	forEachISA(t, func(t *testing.T, _ ISA) {
		check := func(n int, p place, aliased bool) {
			t.Helper()
			dst, src := p.make(t, 1, n, n), p.make(t, 1, n, n)
			defer p.release(dst)
			defer p.release(src)
			copy(dst.all, filled(len(dst.all), canary))
			copy(src.all, filled(len(src.all), canary))
			for i := range src.Data {
				src.Data[i] = uniform(r, -20, 3)
			}
			if aliased {
				src = dst
				for i := range src.Data {
					src.Data[i] = uniform(r, -20, 3)
				}
			}
			e := make([]float32, n)
			for i, v := range src.Data {
				e[i] = v - 3
			}
			Exp(e, e)
			want := slices.Clone(dst.all)
			copy(want[dst.start:], e)
			only := ExpSum(nil, src.Data, 3)
			require.Equal(t, Sum(e), ExpSum(dst.Data, src.Data, 3), "n=%d", n)
			require.Equal(t, Sum(e), only, "n=%d without dst", n)
			requireSame(t, want, dst.all, "n=%d %s", n, p.name)
			requireFPState(t, "ExpSum")
		}
		for n := range 140 {
			check(n, beforeGuard, false)
			check(n, afterGuard, true)
			check(n, at(n%17), false)
			if emulated && n > 70 {
				break
			}
		}
		check(pick(9000, 9000, 4161), at(1), true)
		x := make([]float32, 5000)
		require.Zero(t, testing.AllocsPerRun(10, func() { ExpSum(x, x, 0) }))
	})
}

// softmax64 returns the softmax and the log of the sum of exponentials.
func softmax64(x []float32) (p []float64, lse float64) {
	top, sum := float64(slices.Max(x)), 0.
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	for _, v := range x {
		p = append(p, math.Exp(float64(v)-top)/sum)
	}
	return p, top + math.Log(sum)
}

// TestSoftmaxRows compares with float64, with strides, in place and at guards.
func TestSoftmaxRows(t *testing.T) {
	r := newRand(24)
	forEachISA(t, func(t *testing.T, _ ISA) {
		check := func(n, cols, gap int, p place, aliased bool) {
			t.Helper()
			src, dst := p.make(t, n, cols, cols+gap), p.make(t, n, cols, cols+gap)
			lse := p.make(t, 1, n, n)
			for _, v := range []view{src, dst, lse} {
				defer p.release(v)
				copy(v.all, filled(len(v.all), canary))
			}
			for b := range n {
				for j := range src.row(b, cols) {
					*src.at(b, j) = uniform(r, -10, 10)
				}
			}
			before := slices.Clone(src.all)
			LogSumExpRows(lse.Data, src.Mat, n, cols)
			SoftmaxRows(dst.Mat, src.Mat, n, cols)
			requireSame(t, before, src.all, "src was written")
			for b := range n {
				want, wantLSE := softmax64(src.row(b, cols))
				require.InDelta(t, wantLSE, lse.Data[b], 1e-6*max(1, math.Abs(wantLSE)), "n=%d cols=%d", n, cols)
				for j, v := range dst.row(b, cols) {
					require.InDelta(t, want[j], v, min(3e-7, 1.5e-6*want[j]), "n=%d cols=%d", n, cols)
				}
			}
			for _, v := range []view{dst, lse} {
				for j, x := range v.all {
					row, col := (j-v.start)/v.Stride, (j-v.start)%v.Stride
					inside := j >= v.start && j < v.start+len(v.Data) && row < n && col < cols
					if !inside && v.Stride == cols+gap && gap > 0 {
						require.Equal(t, math.Float32bits(canary), math.Float32bits(x), "n=%d cols=%d: %d was written", n, cols, j)
					}
				}
			}
			want := slices.Clone(dst.Data)
			SoftmaxRows(src.Mat, src.Mat, n, cols)
			for b := range n {
				requireSame(t, want[b*dst.Stride:][:cols], src.row(b, cols), "in place")
			}
			requireFPState(t, "SoftmaxRows")
		}
		for cols := 1; cols < 80; cols++ {
			check(1+cols%3, cols, 1+cols%4, beforeGuard, false)
			if emulated && cols > 20 {
				cols += 10
			}
		}
		check(2, 200, 3, afterGuard, false)
		check(1, pick(10000, 10000, 4161), 1, at(1), false)
		x, lse := Mat{make([]float32, 10000), 5000}, make([]float32, 2)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			LogSumExpRows(lse, x, 2, 5000)
			SoftmaxRows(x, x, 2, 5000)
		}))
	})
}

// TestSoftmaxBits compares the SIMD paths with the recorded hash.
func TestSoftmaxBits(t *testing.T) {
	for _, isa := range simd() {
		onISA(isa, func() {
			r := newRand(25)
			var bits []float32
			for _, cols := range []int{1, 9, 64, 70, 1000, 4100} {
				p, lse := Mat{make([]float32, 2*cols), cols}, make([]float32, 2)
				for i := range p.Data {
					p.Data[i] = uniform(r, -10, 10)
				}
				LogSumExpRows(lse, p, 2, cols)
				SoftmaxRows(p, p, 2, cols)
				bits = append(append(bits, p.Data...), lse...)
			}
			requireHash(t, "SoftmaxRows", isa, bits)
		})
	}
	skipWithoutSIMD(t)
}

// TestSoftmaxSpecial: rows with NaN and infinities, and rows of nothing.
func TestSoftmaxSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	forEachISA(t, func(t *testing.T, _ ISA) {
		for _, c := range []struct {
			row, softmax []float32
			lse          float32
		}{
			{[]float32{5}, []float32{1}, 5},
			{[]float32{-inf, 0, 0}, []float32{0, 0.5, 0.5}, float32(math.Ln2)},
			{[]float32{0, 0, 0, 0}, []float32{0.25, 0.25, 0.25, 0.25}, float32(math.Log(4))},
			{[]float32{math.MaxFloat32, -math.MaxFloat32}, []float32{1, 0}, math.MaxFloat32},
			{[]float32{0x1p-149, -0x1p-149}, []float32{0.5, 0.5}, float32(math.Ln2)},
			{[]float32{-inf, -inf}, []float32{nan, nan}, -inf},
			{[]float32{inf, 0, -inf}, []float32{nan, nan, nan}, inf},
			{[]float32{inf, inf}, []float32{nan, nan}, inf},
			{[]float32{inf, nan}, []float32{nan, nan}, nan},
			{[]float32{0, nan, 1}, []float32{nan, nan, nan}, nan},
			{[]float32{}, []float32{}, -inf},
		} {
			n := len(c.row)
			m := Mat{slices.Concat(c.row, []float32{1}), n + 1}
			got, lse := Mat{make([]float32, n), n}, make([]float32, 1)
			SoftmaxRows(got, m, 1, n)
			LogSumExpRows(lse, m, 1, n)
			requireSame(t, c.softmax, got.Data, "softmax of %g", c.row)
			requireSame(t, []float32{c.lse}, lse, "log of the sum of exp of %g", c.row)
		}
	})
}

func TestSoftmaxPanics(t *testing.T) {
	m, short := Mat{make([]float32, 30), 10}, Mat{make([]float32, 29), 10}
	for message, f := range map[string]func(){
		"kernels: SoftmaxRows: len(dst.Data) = 29, want 3 rows of 10 columns at stride 10":   func() { SoftmaxRows(short, m, 3, 10) },
		"kernels: SoftmaxRows: len(src.Data) = 29, want 3 rows of 10 columns at stride 10":   func() { SoftmaxRows(m, short, 3, 10) },
		"kernels: SoftmaxRows: n = -1, want at least 0":                                      func() { SoftmaxRows(m, m, -1, 10) },
		"kernels: SoftmaxRows: cols = -1, want at least 0":                                   func() { SoftmaxRows(m, m, 3, -1) },
		"kernels: LogSumExpRows: len(dst) = 2, want 3":                                       func() { LogSumExpRows(make([]float32, 2), m, 3, 10) },
		"kernels: LogSumExpRows: len(src.Data) = 29, want 3 rows of 10 columns at stride 10": func() { LogSumExpRows(make([]float32, 3), short, 3, 10) },
		"kernels: LogSumExpRows: n = -1, want at least 0":                                    func() { LogSumExpRows(nil, m, -1, 10) },
		"kernels: LogSumExpRows: cols = -1, want at least 0":                                 func() { LogSumExpRows(nil, m, 0, -1) },
	} {
		require.PanicsWithValue(t, message, f)
		require.Equal(t, make([]float32, 30), m.Data)
	}
}

func BenchmarkReduce(b *testing.B) {
	for i := range reductions {
		k := &reductions[i]
		for _, n := range []int{9, 64, 250, 4096} {
			for _, isa := range Available() {
				b.Run(fmt.Sprintf("kernel=%s/n=%d/isa=%v", k.name, n, isa), func(b *testing.B) {
					x, y := alignedSlice(n), alignedSlice(n)
					onISA(isa, func() {
						for b.Loop() {
							k.run(x, y)
						}
					})
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
				})
			}
		}
	}
}

func BenchmarkSoftmaxRows(b *testing.B) {
	const n = 16
	for _, cols := range []int{9, 64, 1000} {
		for _, isa := range Available() {
			b.Run(fmt.Sprintf("n=%d/cols=%d/isa=%v", n, cols, isa), func(b *testing.B) {
				x := Mat{alignedSlice(n * cols), cols}
				onISA(isa, func() {
					for b.Loop() {
						SoftmaxRows(x, x, n, cols)
					}
				})
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n/float64(cols), "ns/element")
			})
		}
	}
}
