package layer

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

func newEmbedding(t testing.TB, cfg EmbeddingConfig, r *Rand) *Embedding {
	t.Helper()
	l, err := NewEmbedding(cfg, r)
	require.NoError(t, err)
	return l
}

// TestEmbeddingGolden compares the initialisation with PyTorch, bit for bit.
func TestEmbeddingGolden(t *testing.T) {
	for s, g := range loadRandGolden(t).Seeds {
		seed, err := strconv.ParseInt(s, 10, 64)
		require.NoError(t, err)
		for _, padding := range []int{1, 1 - 5} {
			l := newEmbedding(t, EmbeddingConfig{Num: 5, Dim: 4, PaddingIdx: padding}, NewRand(seed))
			requireBits(t, g.Embed, l.Params()[0].Data, "weight")
		}
		l := newEmbedding(t, DefaultEmbedding(5, 4), NewRand(seed))
		requireBits(t, normal(NewRand(seed), 20), l.Params()[0].Data, "weight without a padding row")
	}
}

func TestEmbeddingParams(t *testing.T) {
	l := newEmbedding(t, DefaultEmbedding(3, 2), nil)
	ps := l.Params()
	require.Len(t, ps, 1)
	require.Equal(t, Param{Name: "weight", Shape: []int{3, 2}, Data: make([]float32, 6), Owner: l}, ps[0])
	q := l.NewTape(1).Params()[0]
	require.Same(t, &ps[0].Data[0], &q.Data[0])
	require.Len(t, q.Grad, 6)
	ps.Pack()
}

// TestEmbedding compares output and gradients with loops.
func TestEmbedding(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, isa kernels.ISA) {
		for i, E := range []int{1, 3, 16, 33, kerneltest.Pick(300, 300, 40)} {
			for _, byFreq := range []bool{false, true} {
				const N = 7
				cfg := EmbeddingConfig{Num: N, Dim: E, PaddingIdx: []int{0, N - 1, -2, NoPadding}[i%4], ScaleGradByFreq: byFreq}
				r := NewRand(int64(i))
				l := newEmbedding(t, cfg, r)
				l.weight[0] = 0.5 // also where it is padding
				tape := l.NewTape(12)
				grad := tape.Params()[0].Grad
				r.Normal(grad, 0, 1)
				for _, ids := range [][]int{{3, 0, 3, 6, 5, 3, 0, 6, 4, 5}, {}, {2}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
					want, dwant := make([]float32, 0), slices.Clone(grad)
					dy := normal(r, len(ids)*E)
					count := map[int]int{}
					for _, id := range ids {
						want = append(want, l.weight[id*E:][:E]...)
						count[id]++
					}
					for i, id := range ids {
						if id == l.padding {
							continue
						}
						for j := range E {
							g, d := &dwant[id*E+j], dy[i*E+j]
							switch {
							case !byFreq:
								*g += d
							case isa == kernels.Generic:
								*g += float32(float32(1/float64(count[id])) * d)
							default:
								*g = fma32(float32(1/float64(count[id])), d, *g)
							}
						}
					}
					y := make([]float32, len(want))
					require.NoError(t, l.Forward(y, ids))
					requireBits(t, want, y, "y")
					mine := slices.Clone(ids)
					y, err := tape.Forward(mine)
					require.NoError(t, err)
					requireBits(t, want, y, "y of the tape")
					for i := range mine {
						mine[i] = -1 // the tape has a copy
					}
					tape.Backward(dy)
					requireBits(t, dwant, grad, fmt.Sprintf("gradient of %v", ids))
				}
			}
		}
	})
}

// TestEmbeddingRows: no other row's gradient is read or written, and the padding
// row's neither.
func TestEmbeddingRows(t *testing.T) {
	l := newEmbedding(t, EmbeddingConfig{Num: 3, Dim: 2, PaddingIdx: -1}, NewRand(1))
	tape := l.NewTape(2)
	grad := tape.Params()[0].Grad
	copy(grad, []float32{1e-40, -1e-40, 1, 1, 1e-40, 7})
	_, err := tape.Forward([]int{1, 2})
	require.NoError(t, err)
	tape.Backward([]float32{2, 3, float32(math.NaN()), 5})
	requireBits(t, []float32{1e-40, -1e-40, 3, 4, 1e-40, 7}, grad, "gradient")
}

func TestEmbeddingRenorm(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		l := newEmbedding(t, DefaultEmbedding(4, 2), nil)
		w := []float32{3, 4, 0, 0.5, -30, 40, 6, 8}
		copy(l.weight, w)
		require.NoError(t, l.Renorm([]int{0, 1, 2, 0}, 1))
		for i, want := range []float64{3. / 5, 4. / 5, 0, 0.5, -3. / 5, 4. / 5, 6, 8} {
			require.InDelta(t, want, l.weight[i], 2e-7)
		}
		// One row, once: bit for bit.
		copy(l.weight, w)
		require.NoError(t, l.Renorm([]int{2}, 1))
		require.Equal(t, []float32{3, 4, 0, 0.5}, l.weight[:4])
		s := float32(1 / (50 + 1e-7))
		require.Equal(t, []float32{s * -30, s * 40, 6, 8}, l.weight[4:])
	})
}

func TestEmbeddingErrors(t *testing.T) {
	const huge = math.MaxInt
	construct := func(cfg EmbeddingConfig) error { _, err := NewEmbedding(cfg, nil); return err }
	l := newEmbedding(t, DefaultEmbedding(3, 2), NewRand(1))
	tape := l.NewTape(2)
	y, err := tape.Forward([]int{0, 1})
	require.NoError(t, err)
	weight, before, out := slices.Clone(l.weight), slices.Clone(y), []float32{1, 2, 3, 4}
	forward := func(ids ...int) error {
		got, err := tape.Forward(ids)
		require.Nil(t, got)
		return err
	}
	for want, err := range map[string]error{
		"NewEmbedding: Num = 0, want at least 1":                                     construct(DefaultEmbedding(0, 1)),
		"NewEmbedding: Dim = -1, want at least 1":                                    construct(DefaultEmbedding(1, -1)),
		"NewEmbedding: PaddingIdx = 3, want -3 to 2 or NoPadding":                    construct(EmbeddingConfig{Num: 3, Dim: 1, PaddingIdx: 3}),
		"NewEmbedding: PaddingIdx = -4, want -3 to 2 or NoPadding":                   construct(EmbeddingConfig{Num: 3, Dim: 1, PaddingIdx: -4}),
		fmt.Sprintf("NewEmbedding: Dim = %d, want a size that fits in memory", huge): construct(DefaultEmbedding(1, huge)),
		fmt.Sprintf("NewEmbedding: Num = %d, want a size that fits in memory", huge): construct(DefaultEmbedding(huge, 1)),
		"Embedding.Forward: ids[1] = 3, want 0 to 2":                                 l.Forward(out, []int{0, 3}),
		"Embedding.Forward: ids[0] = -1, want 0 to 2":                                l.Forward(out, []int{-1, 3}),
		"EmbeddingTape.Forward: ids[1] = 4, want 0 to 2":                             forward(2, 4),
		"Embedding.Renorm: ids[1] = 5, want 0 to 2":                                  l.Renorm([]int{0, 5}, 1e-3),
		"Embedding.Renorm: maxNorm = 0, want above 0":                                l.Renorm([]int{0}, 0),
		"Embedding.Renorm: maxNorm = NaN, want above 0":                              l.Renorm([]int{0}, math.NaN()),
	} {
		require.EqualError(t, err, "layer: "+want)
	}
	idle := l.NewTape(0)
	for want, f := range map[string]func(){
		"Embedding.Forward: len(y) = 3, want len(ids)*E = 4":                                        func() { _ = l.Forward(out[:3], []int{0, 1}) },
		"Embedding.Forward: len(y) = 4, want len(ids)*E = 2":                                        func() { _ = l.Forward(out, []int{0}) },
		"EmbeddingTape.Forward: len(ids) = 3, want at most maxIDs = 2":                              func() { _, _ = tape.Forward([]int{0, 1, 2}) },
		"EmbeddingTape.Backward: len(dy) = 2, want len(ids)*E = 4":                                  func() { tape.Backward(out[:2]) },
		"EmbeddingTape.Backward: calls of Forward since the last Backward = 0, want 1":              func() { idle.Backward(nil) },
		"Embedding.NewTape: maxIDs = -1, want at least 0":                                           func() { l.NewTape(-1) },
		fmt.Sprintf("Embedding.NewTape: maxIDs = %d, want a size that fits in memory", math.MaxInt): func() { l.NewTape(math.MaxInt) },
	} {
		require.PanicsWithValue(t, "layer: "+want, f)
	}
	require.Equal(t, []float32{1, 2, 3, 4}, out)
	requireBits(t, weight, l.weight, "weight")
	requireBits(t, before, y, "y of the tape")
	require.Equal(t, make([]float32, 6), tape.Params()[0].Grad)
	tape.Backward(out) // that of the last Forward without an error, once
	require.Equal(t, []float32{1, 2, 3, 4, 0, 0}, tape.Params()[0].Grad)
	require.Panics(t, func() { tape.Backward(out) })
}

func TestEmbeddingAllocs(t *testing.T) {
	for _, byFreq := range []bool{false, true} {
		l := newEmbedding(t, EmbeddingConfig{Num: 9, Dim: 20, ScaleGradByFreq: byFreq}, NewRand(1))
		tape, ids := l.NewTape(5), []int{8, 0, 3, 3, 1}
		y := make([]float32, 5*20)
		require.Zero(t, testing.AllocsPerRun(5, func() {
			err := l.Forward(y, ids)
			if err == nil {
				_, err = tape.Forward(ids)
			}
			if err == nil {
				err = l.Renorm(ids, 1)
			}
			if err != nil {
				panic(err)
			}
			tape.Backward(y)
			l.Pack()
		}))
	}
}

func BenchmarkEmbedding(b *testing.B) {
	const N, E, n = 10000, 128, 1024
	l := newEmbedding(b, DefaultEmbedding(N, E), NewRand(0))
	rnd := kerneltest.NewRand(1)
	ids := make([]int, n)
	for i := range ids {
		ids[i] = rnd.IntN(N)
	}
	kerneltest.Each(b, func(b *testing.B, _ kernels.ISA) {
		tape, dy := l.NewTape(n), make([]float32, n*E)
		b.SetBytes(4 * n * E)
		for b.Loop() {
			if _, err := tape.Forward(ids); err != nil {
				b.Fatal(err)
			}
			tape.Backward(dy)
		}
	})
}
