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
	g := loadLossGolden(t).CE
	logits, probs := kerneltest.Float32s(g.Logits), kerneltest.Float32s(g.Probs)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, c := range g.Cases {
			name := fmt.Sprintf("%s e=%g weighted=%v %s", c.Reduction, c.Smoothing, c.Weighted, c.Target)
			cfg := CrossEntropyConfig{Classes: 4, LabelSmoothing: c.Smoothing}
			cfg.Reduction = reductions[slices.IndexFunc(reductions, func(r Reduction) bool { return r.String() == c.Reduction })]
			if c.Weighted {
				cfg.Weight = kerneltest.Float32s(g.Weight)
			}
			ce, d := must(NewCrossEntropy(cfg)), fill(len(logits), nan)
			losses := fill(len(g.Targets), nan)
			var loss float32
			var n, rows int
			var err error
			if c.Target == "prob" {
				rows = 5
				loss, n, err = ce.ForwardProbs(d, logits, probs, Seq{Losses: losses})
			} else {
				rows = 4
				loss, n, err = ce.ForwardSeq(d, logits, g.Targets, Seq{Losses: losses})
			}
			require.NoError(t, err)
			require.Equal(t, rows, n, name)
			if cfg.Reduction == None {
				kerneltest.RequireClose(t, c.Loss, losses, 5e-7, 3e-7, name+": losses")
			} else {
				kerneltest.RequireClose(t, c.Loss, []float32{loss}, 3e-7, 3e-7, name+": loss")
			}
			kerneltest.RequireClose(t, c.DLogits, d, 3e-7, 1e-7, name+": dlogits")
		}
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

// Rows that are left out, all rows left out, and weights of 0.
func TestCrossEntropyIgnored(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, r := range reductions {
			ce := must(NewCrossEntropy(CrossEntropyConfig{Classes: 2, IgnoreIndex: []int{1, 9, -3}, Reduction: r, LabelSmoothing: .1}))
			d, losses := fill(6, 7), fill(3, 7)
			loss, n, err := ce.ForwardSeq(d, []float32{nan, nan, inf, inf, nan, 0}, []int{9, 1, -3}, Seq{Losses: losses})
			require.NoError(t, err)
			require.Zero(t, n)
			require.Zero(t, loss)
			require.Equal(t, fill(6, 0), d)
			require.Equal(t, fill(3, 0), losses)

			ce = must(NewCrossEntropy(CrossEntropyConfig{Classes: 2, Weight: []float32{0, 1}, Reduction: r}))
			d = fill(4, 7)
			loss, n, err = ce.Forward(d, []float32{-inf, 2, 1, 2}, []int{0, 0})
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Zero(t, loss)
			require.Equal(t, []float32{0, 0, 0, 0}, d)

			// Smoothing has the weights of the other classes.
			ce = must(NewCrossEntropy(CrossEntropyConfig{Classes: 2, Weight: []float32{0, 1}, LabelSmoothing: .5, Reduction: r}))
			loss, _, err = ce.Forward(d, []float32{0, 0, 0, 0}, []int{0, 0})
			require.NoError(t, err)
			if r == Mean {
				require.Zero(t, loss)
				require.Equal(t, []float32{0, 0, 0, 0}, d)
			} else {
				require.InDelta(t, math.Ln2/2, loss, 1e-7)
				require.Equal(t, []float32{.125, -.125, .125, -.125}, d)
			}

			// A class of weight 0 may be masked by -Inf in spite of smoothing.
			ce = must(NewCrossEntropy(CrossEntropyConfig{Classes: 3, Weight: []float32{0, 1, 1}, LabelSmoothing: .1, Reduction: r}))
			d = fill(3, 7)
			loss, _, err = ce.Forward(d, []float32{-inf, 1, 1}, []int{1})
			require.NoError(t, err)
			require.InDelta(t, math.Ln2*(.9+.2/3), loss, 2e-7)
			require.Zero(t, d[0])
			loss, _, err = ce.ForwardProbs(d, []float32{-inf, 1, 1}, []float32{.5, .25, .25}, Seq{})
			require.NoError(t, err)
			require.InDelta(t, math.Ln2*(.45+.2/3), loss, 2e-7)
			require.Zero(t, d[0])
		}
		// Smoothing of -Inf.
		ce := must(NewCrossEntropy(CrossEntropyConfig{Classes: 2, LabelSmoothing: .1}))
		loss, _, err := ce.Forward(nil, []float32{-inf, 1}, []int{1})
		require.NoError(t, err)
		require.Equal(t, inf, loss)
	})
}

func TestCrossEntropyErrors(t *testing.T) {
	ce := newCE(t, 3)
	logits, d, losses := make([]float32, 6), []float32{1, 2, 3, 4, 5, 6}, []float32{1, 2}
	for _, y := range []int{-99, -1, 3, math.MaxInt, math.MinInt} {
		_, _, err := ce.ForwardSeq(d, logits, []int{-100, y}, Seq{Losses: losses})
		require.EqualError(t, err, fmt.Sprintf("train: CrossEntropy.ForwardSeq: targets[1] = %d, want 0 to 2", y))
	}
	nll := must(NewNLL(NLLConfig{Classes: 3, IgnoreIndex: []int{0}}))
	_, _, err := nll.Forward(d, logits, []int{0, -100})
	require.EqualError(t, err, "train: NLL.Forward: targets[1] = -100, want 0 to 2")
	ce0 := must(NewCrossEntropy(CrossEntropyConfig{Classes: 3, IgnoreIndex: []int{-1, 0}}))
	_, _, err = ce0.ForwardProbs(d, logits, logits, Seq{})
	require.EqualError(t, err, "train: CrossEntropy.ForwardProbs: IgnoreIndex has 0, want no class with probabilities")
	require.PanicsWithValue(t, "train: CrossEntropy.Forward: len(logits) = 6, want N*C = 3",
		func() { ce.Forward(d, logits, []int{0}) })
	require.PanicsWithValue(t, "train: CrossEntropy.Forward: len(logits) = 5, want N*C = 3",
		func() { ce.Forward(d, logits[:5], []int{0}) })
	require.PanicsWithValue(t, "train: CrossEntropy.Forward: len(dlogits) = 5, want N*C = 6",
		func() { ce.Forward(d[:5], logits, []int{0, 0}) })
	require.Equal(t, []float32{1, 2, 3, 4, 5, 6}, d, "written before an error")
	require.Equal(t, []float32{1, 2}, losses, "written before an error")
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
