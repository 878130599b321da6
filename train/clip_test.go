package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// gradients returns parameters with these gradients, and one without.
func gradients(grads ...[]float32) layer.Params {
	params := layer.Params{param("frozen", []float32{1}, nil)}
	for i, g := range grads {
		params = append(params, param(fmt.Sprint("g", i), make([]float32, len(g)), slices.Clone(g)))
	}
	return params
}

func grads(params layer.Params) (all []float32) {
	for _, p := range params {
		all = append(all, p.Grad...)
	}
	return all
}

func TestClipGradNormGolden(t *testing.T) {
	g := loadOptimGolden(t)
	require.Len(t, g.Clip, 8)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, c := range g.Clip {
			p := math.Inf(1)
			if v, ok := c.NormType.(float64); ok {
				p = v
			}
			params := gradients([]float32{1, -2, .5}, []float32{3, .1})
			norm, err := ClipNorm{MaxNorm: c.MaxNorm, P: p}.Clip(params)
			require.NoError(t, err)
			require.InDelta(t, c.Total, norm, 3e-7*c.Total)
			kerneltest.RequireClose(t, slices.Concat(c.Grads...), grads(params), 0, 3e-7, fmt.Sprintf("P = %v", p))
			if p == 2 {
				params := gradients([]float32{1, -2, .5}, []float32{3, .1})
				again, err := ClipGradNorm(params, c.MaxNorm)
				require.NoError(t, err)
				require.Equal(t, norm, again)
			}
		}
	})
}

// TestClipGradNormSizes compares with float64 over tensors of real sizes, and the
// bits of the paths.
func TestClipGradNormSizes(t *testing.T) {
	make := func() layer.Params {
		r := kerneltest.NewRand(8)
		return gradients(kerneltest.Random(r, 9000, 1), nil, kerneltest.Random(r, 33, 5), kerneltest.Random(r, 4097, .1))
	}
	for _, p := range []float64{1, 2, 3.5, math.Inf(1)} {
		var want float64
		for _, v := range grads(make()) {
			if a := math.Abs(float64(v)); math.IsInf(p, 1) {
				want = max(want, a)
			} else {
				want += math.Pow(a, p)
			}
		}
		if !math.IsInf(p, 1) {
			want = math.Pow(want, 1/p)
		}
		var first []float32
		kerneltest.Each(t, func(t *testing.T, isa kernels.ISA) {
			params := make()
			norm, err := ClipNorm{MaxNorm: 1, P: p}.Clip(params)
			require.NoError(t, err)
			require.InEpsilon(t, want, norm, 1e-6)
			if first == nil && isa != kernels.Generic {
				first = grads(params)
			}
			if isa != kernels.Generic {
				require.Equal(t, first, grads(params))
			}
			scaled := kerneltest.Float64s(grads(make()))
			for i := range scaled {
				scaled[i] /= want + 1e-6
			}
			kerneltest.RequireClose(t, scaled, grads(params), 0, 1e-6, fmt.Sprint(p))
		})
	}
	kerneltest.RequireHash(t, 0xb0af857fed7ace14, func() []float32 {
		params := make()
		norm, err := ClipGradNorm(params, 1)
		require.NoError(t, err)
		return append(grads(params), float32(norm))
	})
}

// TestClipNonFinite: what PyTorch does with norms that are no numbers.
func TestClipNonFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, p := range []float64{1, 2, 3, math.Inf(1)} {
			params := gradients([]float32{1, 2}, []float32{nan, 3})
			norm, err := ClipNorm{MaxNorm: 1, P: p}.Clip(params)
			require.NoError(t, err)
			require.True(t, math.IsNaN(norm))
			for _, v := range grads(params) {
				require.True(t, v != v, "all are NaN")
			}

			params = gradients([]float32{1, -2}, []float32{3, -inf})
			norm, err = ClipNorm{MaxNorm: 1, P: p}.Clip(params)
			require.NoError(t, err)
			require.True(t, math.IsInf(norm, 1))
			require.Equal(t, []float32{0, 0}, params[1].Grad)
			require.Equal(t, float32(0), params[2].Grad[0])
			require.True(t, params[2].Grad[1] != params[2].Grad[1])

			for _, v := range []float32{nan, -inf} {
				params = gradients([]float32{1, 2}, []float32{4, v})
				_, err = ClipNorm{MaxNorm: 1, P: p, ErrorIfNonFinite: true}.Clip(params)
				norm := map[bool]string{true: "NaN", false: "+Inf"}[v != v]
				require.EqualError(t, err, fmt.Sprintf("train: ClipNorm.Clip: norm = %s: gradient 2, of g1, has %v at element 1, want finite numbers", norm, v))
				require.Equal(t, []float32{1, 2, 4}, grads(params)[:3])
				require.EqualError(t, CheckGrad(params), fmt.Sprintf("train: CheckGrad: gradient 2, of g1, has %v at element 1, want finite numbers", v))
			}
		}
		require.NoError(t, CheckGrad(gradients([]float32{math.MaxFloat32}, nil)))

		// Roots beyond float64 are a reason for an infinite norm.
		params := gradients([]float32{3, 4, 5})
		_, err := ClipNorm{MaxNorm: 5, P: .001, ErrorIfNonFinite: true}.Clip(params)
		require.EqualError(t, err, "train: ClipNorm.Clip: norm = +Inf of finite elements")
		require.Equal(t, []float32{3, 4, 5}, grads(params))
	})
}

// TestClipRange: elements whose powers leave the range of their type have a norm as
// others have, and are clipped.
func TestClipRange(t *testing.T) {
	r := kerneltest.NewRand(9)
	ordinary := kerneltest.Random(r, 5000, 1)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, p := range []float64{.5, 1, 2, 3, 20, math.Inf(1)} {
			for _, scale := range []float64{0x1p-124, 1e-30, 1e-25, 1e-20, 1.05e-19, 1e-18, 1e-16, 1e15, 1e20, 1e37} {
				var first, second []float32
				for i, v := range ordinary {
					if v = float32(float64(v) * scale); i < 77 {
						second = append(second, v)
					} else {
						first = append(first, v)
					}
				}
				what := fmt.Sprintf("P = %v, scale = %v", p, scale)
				params := gradients(first, second)
				var sum float64
				for _, v := range grads(params) {
					if a := math.Abs(float64(v)) / scale; math.IsInf(p, 1) {
						sum = max(sum, a)
					} else {
						sum += math.Pow(a, p)
					}
				}
				want := sum * scale
				if !math.IsInf(p, 1) {
					want = math.Pow(sum, 1/p) * scale
				}
				limit := want / 1e6 // so little that 1e-6 is much beside it
				norm, err := ClipNorm{MaxNorm: limit, P: p, ErrorIfNonFinite: true}.Clip(params)
				require.NoError(t, err)
				require.InEpsilon(t, want, norm, 1e-6, what)
				factor := min(1, limit/(want+1e-6))
				clipped := kerneltest.Float64s(slices.Concat(first, second))
				for i := range clipped {
					clipped[i] *= factor
				}
				kerneltest.RequireClose(t, clipped, grads(params), 0x1p-126, 1e-6, what)
			}
		}

		// Squares that would be lost one by one count beside one that is not.
		few := slices.Repeat([]float32{1e-19}, 64)
		few[7] = 1.2e-19
		norm, err := ClipGradNorm(gradients(few, nil), 1)
		require.NoError(t, err)
		require.InEpsilon(t, math.Sqrt(63+1.44)*1e-19, norm, 1e-6)

		norm, err = ClipGradNorm(gradients(make([]float32, 100), make([]float32, 3)), 1)
		require.NoError(t, err)
		require.Zero(t, norm)
	})
}

func TestClipArguments(t *testing.T) {
	nan := math.NaN()
	for want, f := range map[string]func(layer.Params) error{
		"ClipGradNorm: MaxNorm = -1, want at least 0":      func(ps layer.Params) error { _, err := ClipGradNorm(ps, -1); return err },
		"ClipGradNorm: MaxNorm = NaN, want at least 0":     func(ps layer.Params) error { _, err := ClipGradNorm(ps, nan); return err },
		"ClipNorm.Clip: P = -2, want above 0, or 0 for 2":  func(ps layer.Params) error { _, err := ClipNorm{MaxNorm: 1, P: -2}.Clip(ps); return err },
		"ClipNorm.Clip: P = NaN, want above 0, or 0 for 2": func(ps layer.Params) error { _, err := ClipNorm{MaxNorm: 1, P: nan}.Clip(ps); return err },
		"ClipGradValue: limit = -1, want at least 0":       func(ps layer.Params) error { return ClipGradValue(ps, -1) },
		"ClipGradValue: limit = NaN, want at least 0":      func(ps layer.Params) error { return ClipGradValue(ps, nan) },
	} {
		params := gradients([]float32{3, 4})
		require.EqualError(t, f(params), "train: "+want)
		require.Equal(t, []float32{3, 4}, grads(params))
	}
	params := gradients([]float32{3, 4})
	norm, err := ClipGradNorm(params, math.Inf(1))
	require.NoError(t, err)
	require.Equal(t, 5., norm)
	require.Equal(t, []float32{3, 4}, grads(params))
	norm, err = ClipGradNorm(params, 0)
	require.NoError(t, err)
	require.Equal(t, 5., norm)
	require.Equal(t, []float32{0, 0}, grads(params))
	norm, err = ClipGradNorm(nil, 1)
	require.NoError(t, err)
	require.Zero(t, norm)
}

func TestClipGradValue(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		inf := float32(math.Inf(1))
		params := gradients([]float32{1, -2, 2.5, -inf}, []float32{inf, 0})
		require.NoError(t, ClipGradValue(params, 2))
		require.Equal(t, []float32{1, -2, 2, -2, 2, 0}, grads(params))
		params[1].Grad[1] = float32(math.NaN())
		require.NoError(t, ClipGradValue(params, .5))
		require.True(t, params[1].Grad[1] != params[1].Grad[1])
		require.Equal(t, []float32{.5, .5, -.5, .5, 0}, slices.Delete(grads(params), 1, 2))
	})
}

func TestClipAllocs(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		params := gradients(make([]float32, 100), make([]float32, 10))
		require.Zero(t, testing.AllocsPerRun(10, func() {
			ClipGradNorm(params, 1)
			ClipNorm{MaxNorm: 1, P: 3, ErrorIfNonFinite: true}.Clip(params)
			ClipGradValue(params, 1)
			CheckGrad(params)
		}))
	})
}
