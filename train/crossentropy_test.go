package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

func newCE(t testing.TB, classes int) *CrossEntropy {
	ce, err := NewCrossEntropy(CrossEntropyConfig{Classes: classes})
	require.NoError(t, err)
	return ce
}

// forward returns loss and dlogits, of which the test knows that they exist.
func forward(t testing.TB, classes int, logits []float32, targets ...int) (float32, []float32) {
	d := make([]float32, len(logits))
	loss, n, err := newCE(t, classes).Forward(d, logits, targets)
	require.NoError(t, err)
	require.Equal(t, len(targets), n)
	return loss, d
}

func TestCrossEntropyGolden(t *testing.T) {
	g := loadGolden(t).CE
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		loss, d := forward(t, g.Classes, kerneltest.Float32s(g.Logits), g.Targets...)
		kerneltest.RequireClose(t, []float64{g.Loss}, []float32{loss}, 3e-7, 3e-7, "loss")
		kerneltest.RequireClose(t, g.DLogits, d, 1e-7, 1e-7, "dlogits")
	})
}

var ceShapes = []struct{ N, C int }{
	{1, 1}, {6, 9}, {3, 2}, {5, 63}, {4, 64}, {3, 65}, {2, 200}, {3, 4095}, {3, 4096}, {2, 4097}, {3, 5000}, {1, 12345}, {300, 4},
}

// ceCase returns logits and targets of a shape.
func ceCase(N, C int, std float64) ([]float32, []int) {
	r := kerneltest.NewRand(uint64(N*100000 + C))
	targets := make([]int, N)
	for i := range targets {
		targets[i] = r.IntN(C)
	}
	return kerneltest.Random(r, N*C, std), targets
}

func TestCrossEntropy(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, s := range ceShapes {
			for _, std := range []float64{1e-3, 1, 20} {
				logits, targets := ceCase(s.N, s.C, std)
				want, dwant := reference.CrossEntropy(kerneltest.Float64s(logits), targets)
				loss, d := forward(t, s.C, logits, targets...)
				msg := fmt.Sprintf("%+v, std %g", s, std)
				kerneltest.RequireClose(t, []float64{want}, []float32{loss}, 5e-7, 5e-7, msg+": loss")
				// 1/N is subtracted at the target.
				kerneltest.RequireClose(t, dwant, d, 2e-7/float64(s.N), 1e-6, msg+": dlogits")
			}
		}
	})
}

// Without dlogits the loss has the same bits, and so has dlogits in place.
func TestCrossEntropyNilAndInPlace(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, s := range ceShapes {
			logits, targets := ceCase(s.N, s.C, 2)
			before := slices.Clone(logits)
			ce := newCE(t, s.C)
			loss, d := forward(t, s.C, logits, targets...)
			only, n, err := ce.Forward(nil, logits, targets)
			require.NoError(t, err)
			require.Equal(t, s.N, n)
			require.Equal(t, loss, only)
			require.Equal(t, before, logits)
			in, _, err := ce.Forward(logits, logits, targets)
			require.NoError(t, err)
			require.Equal(t, loss, in)
			require.Equal(t, d, logits)
		}
	})
}

// A row's gradient depends on nothing but the row and N.
func TestCrossEntropyRows(t *testing.T) {
	const N, C = 4, 70
	logits, targets := ceCase(N, C, 1)
	_, d := forward(t, C, logits, targets...)
	slices.Reverse(targets)
	for i := range N / 2 {
		for c := range C {
			a, b := i*C+c, (N-1-i)*C+c
			logits[a], logits[b] = logits[b], logits[a]
		}
	}
	_, got := forward(t, C, logits, targets...)
	for i := range N {
		require.Equal(t, d[i*C:][:C], got[(N-1-i)*C:][:C])
	}
}

func TestCrossEntropyExtremes(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		loss, d := forward(t, 1, []float32{1e4, -1e4}, 0, 0)
		require.Equal(t, float32(0), loss)
		require.Equal(t, []float32{0, 0}, d)

		for _, v := range []float32{0, 1e4, -1e4, math.MaxFloat32, -math.MaxFloat32} {
			loss, d = forward(t, 4, []float32{v, v, v, v}, 2)
			require.Equal(t, float32(math.Log(4)), loss)
			require.Equal(t, []float32{.25, .25, -.75, .25}, d)
		}

		loss, d = forward(t, 3, []float32{1e4, -1e4, 0}, 0)
		require.Equal(t, float32(0), loss)
		require.Equal(t, []float32{0, 0, 0}, d)
		loss, d = forward(t, 3, []float32{1e4, -1e4, 0}, 1)
		require.Equal(t, float32(2e4), loss)
		require.Equal(t, []float32{1, -1, 0}, d)

		loss, d = forward(t, 3, []float32{0, -inf, 0}, 0)
		require.Equal(t, float32(math.Log(2)), loss)
		require.Equal(t, []float32{-.5, 0, .5}, d)
		loss, d = forward(t, 3, []float32{0, -inf, 0}, 1)
		require.Equal(t, inf, loss)
		require.Equal(t, []float32{.5, -1, .5}, d)
	})
}

func TestCrossEntropyNaN(t *testing.T) {
	const C = 70
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, bad := range []float32{nan, inf} {
			for _, at := range []int{0, 5, 64, C - 1} {
				logits, targets := ceCase(3, C, 1)
				_, want := forward(t, C, logits, targets...)
				logits[C+at] = bad
				loss, d := forward(t, C, logits, targets...)
				require.True(t, loss != loss)
				for i, v := range d {
					if i/C == 1 {
						require.True(t, v != v, "%g at %d: element %d is %g", bad, at, i-C, v)
					} else {
						require.Equal(t, want[i], v)
					}
				}
			}
		}
		for _, v := range []float32{nan, -inf, inf} {
			loss, d := forward(t, 3, []float32{v, v, v}, 1)
			require.True(t, loss != loss && d[0] != d[0] && d[1] != d[1] && d[2] != d[2], "%g", v)
		}
	})
}

func TestCrossEntropyBits(t *testing.T) {
	kerneltest.RequireHash(t, 0x1899a8ed318d763e, func() (bits []float32) {
		for _, s := range ceShapes {
			logits, targets := ceCase(s.N, s.C, 4)
			loss, d := forward(t, s.C, logits, targets...)
			bits = append(append(bits, loss), d...)
		}
		return bits
	})
}

func TestCrossEntropyEmpty(t *testing.T) {
	loss, n, err := newCE(t, 3).Forward([]float32{}, nil, nil)
	require.NoError(t, err)
	require.Zero(t, loss)
	require.Zero(t, n)
}

func TestCrossEntropyErrors(t *testing.T) {
	for _, c := range []int{0, -1} {
		_, err := NewCrossEntropy(CrossEntropyConfig{Classes: c})
		require.EqualError(t, err, fmt.Sprintf("train: NewCrossEntropy: Classes = %d, want at least 1", c))
	}
	ce := newCE(t, 3)
	logits, d := make([]float32, 6), []float32{1, 2, 3, 4, 5, 6}
	for _, y := range []int{-100, -1, 3, math.MaxInt} {
		_, _, err := ce.Forward(d, logits, []int{0, y})
		require.EqualError(t, err, fmt.Sprintf("train: CrossEntropy.Forward: targets[1] = %d, want 0 to 2", y))
	}
	require.PanicsWithValue(t, "train: CrossEntropy.Forward: len(logits) = 6, want N*C = 3",
		func() { ce.Forward(d, logits, []int{0}) })
	require.PanicsWithValue(t, "train: CrossEntropy.Forward: len(logits) = 5, want N*C = 3",
		func() { ce.Forward(d, logits[:5], []int{0}) })
	require.PanicsWithValue(t, "train: CrossEntropy.Forward: len(dlogits) = 5, want N*C = 6",
		func() { ce.Forward(d[:5], logits, []int{0, 0}) })
	require.Equal(t, []float32{1, 2, 3, 4, 5, 6}, d, "written before an error")
}

func TestCrossEntropyAllocs(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, C := range []int{9, 5000} {
			logits, targets := ceCase(2, C, 1)
			d := make([]float32, len(logits))
			ce := newCE(t, C)
			require.Zero(t, testing.AllocsPerRun(10, func() {
				ce.Forward(d, logits, targets)
				ce.Forward(nil, logits, targets)
			}))
		}
	})
}

func BenchmarkCrossEntropy(b *testing.B) {
	for _, s := range []struct{ N, C int }{{6, 9}, {16, 64}, {16, 5000}} {
		b.Run(fmt.Sprintf("N=%d/C=%d", s.N, s.C), func(b *testing.B) {
			kerneltest.Each(b, func(b *testing.B, _ kernels.ISA) {
				logits, targets := ceCase(s.N, s.C, 1)
				d := make([]float32, len(logits))
				ce := newCE(b, s.C)
				for b.Loop() {
					ce.Forward(d, logits, targets)
				}
			})
		})
	}
}
