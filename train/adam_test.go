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
	"github.com/simdrnn/simdrnn/layer"
)

// packs counts the calls of Pack.
type packs struct{ n int }

func (p *packs) Pack() { p.n++ }

func param(name string, data, grad []float32) layer.Param {
	return layer.Param{Name: name, Shape: []int{len(data)}, Data: data, Grad: grad}
}

func newTestAdam(t testing.TB, params layer.Params, cfg AdamConfig) *Adam {
	opt, err := NewAdam(params, cfg)
	require.NoError(t, err)
	return opt
}

func TestAdamGolden(t *testing.T) {
	g := loadGolden(t).Adam
	require.NotEmpty(t, g.Runs)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for name, run := range g.Runs {
			p := param("p", kerneltest.Float32s(g.P0), make([]float32, len(g.P0)))
			cfg := DefaultAdam()
			cfg.LR, cfg.WeightDecay = run.Args.LR, run.Args.WeightDecay
			opt := newTestAdam(t, layer.Params{p}, cfg)
			for i, grad := range g.Grads {
				copy(p.Grad, kerneltest.Float32s(grad))
				opt.Step()
				kerneltest.RequireClose(t, run.Params[i], p.Data, 3e-7, 3e-7, fmt.Sprintf("%s, step %d", name, i+1))
			}
		}
	})
}

// adamRun makes steps on parameters of several sizes and returns them. want is
// what the reference makes of them.
func adamRun(t *testing.T, cfg AdamConfig, steps int, check func(step int, p layer.Params, want [][]float64)) []float32 {
	r := kerneltest.NewRand(3)
	var params layer.Params
	var want, grads [][]float64
	for i, n := range []int{1, 15, 16, 17, 0, 100, 1000} {
		p := param(fmt.Sprint(i), kerneltest.Random(r, n, 1), make([]float32, n))
		params, want, grads = append(params, p), append(want, kerneltest.Float64s(p.Data)), append(grads, nil)
	}
	opt := newTestAdam(t, params, cfg)
	ref := reference.Adam{LR: cfg.LR, Beta1: cfg.Beta1, Beta2: cfg.Beta2, Eps: cfg.Eps}
	for step := range steps {
		for i, p := range params {
			copy(p.Grad, kerneltest.Random(r, len(p.Grad), .1))
			grads[i] = kerneltest.Float64s(p.Grad)
			for j, v := range want[i] {
				grads[i][j] += cfg.WeightDecay * v
			}
		}
		opt.Step()
		ref.Step(want, grads)
		check(step, params, want)
	}
	var all []float32
	for _, p := range params {
		all = append(all, p.Data...)
	}
	return all
}

func TestAdam(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, cfg := range []AdamConfig{
			DefaultAdam(),
			{LR: 1e-2, Beta1: .9, Beta2: .999, Eps: 1e-8, WeightDecay: .1},
			{LR: 1e-2, Beta1: 0, Beta2: 0, Eps: 1e-3},
			{LR: 0, Beta1: .5, Beta2: .5, Eps: 1e-8},
		} {
			adamRun(t, cfg, 50, func(step int, params layer.Params, want [][]float64) {
				for i, p := range params {
					kerneltest.RequireClose(t, want[i], p.Data, 2e-6, 2e-6, fmt.Sprintf("%+v, step %d", cfg, step+1))
				}
			})
		}
	})
}

func TestAdamBits(t *testing.T) {
	cfg := DefaultAdam()
	cfg.WeightDecay = .01
	kerneltest.RequireHash(t, 0x7d0d4c2215b12bc6, func() []float32 {
		return adamRun(t, cfg, 20, func(int, layer.Params, [][]float64) {})
	})
}

func TestAdamNoGradient(t *testing.T) {
	frozen := param("frozen", []float32{1, 2}, nil)
	p := param("p", []float32{1, 2}, []float32{1, -1})
	cfg := DefaultAdam()
	cfg.WeightDecay = 1
	opt := newTestAdam(t, layer.Params{frozen, p}, cfg)
	opt.Step()
	require.Equal(t, []float32{1, 2}, frozen.Data)
	require.NotEqual(t, []float32{1, 2}, p.Data)
}

func TestAdamPacks(t *testing.T) {
	var a, b packs
	p := layer.Params{param("p", []float32{1}, []float32{1}), param("q", []float32{1}, []float32{1}), param("r", []float32{1}, []float32{1})}
	p[0].Owner, p[1].Owner, p[2].Owner = &a, &a, &b
	opt := newTestAdam(t, p, DefaultAdam())
	opt.Step()
	opt.Step()
	require.Equal(t, 2, a.n)
	require.Equal(t, 2, b.n)
}

func TestAdamLR(t *testing.T) {
	p := param("p", []float32{1}, []float32{1})
	opt := newTestAdam(t, layer.Params{p}, DefaultAdam())
	require.Equal(t, 1e-3, opt.LR())
	opt.Step() // the first step is LR in size
	require.InDelta(t, 1-1e-3, p.Data[0], 1e-7)
	opt.SetLR(0)
	before := p.Data[0]
	opt.Step()
	require.Equal(t, before, p.Data[0])
	for _, lr := range []float64{-1, math.NaN()} {
		require.PanicsWithValue(t, fmt.Sprintf("train: Adam.SetLR: LR = %v, want at least 0", lr), func() { opt.SetLR(lr) })
	}
	require.Zero(t, opt.LR())
}

func TestNewAdamErrors(t *testing.T) {
	params := layer.Params{param("p", []float32{1}, []float32{1})}
	for _, c := range []struct {
		set  func(*AdamConfig)
		want string
	}{
		{func(c *AdamConfig) { c.LR = -1 }, "LR = -1, want at least 0"},
		{func(c *AdamConfig) { c.LR = math.NaN() }, "LR = NaN, want at least 0"},
		{func(c *AdamConfig) { c.Beta1 = 1 }, "Beta1 = 1, want at least 0 and below 1"},
		{func(c *AdamConfig) { c.Beta1 = -.1 }, "Beta1 = -0.1, want at least 0 and below 1"},
		{func(c *AdamConfig) { c.Beta2 = math.NaN() }, "Beta2 = NaN, want at least 0 and below 1"},
		{func(c *AdamConfig) { c.Beta2 = 1.5 }, "Beta2 = 1.5, want at least 0 and below 1"},
		{func(c *AdamConfig) { c.Eps = -1e-8 }, "Eps = -1e-08, want at least 0"},
		{func(c *AdamConfig) { c.Eps = math.NaN() }, "Eps = NaN, want at least 0"},
		{func(c *AdamConfig) { c.WeightDecay = -1 }, "WeightDecay = -1, want at least 0"},
		{func(c *AdamConfig) { c.WeightDecay = math.NaN() }, "WeightDecay = NaN, want at least 0"},
	} {
		cfg := DefaultAdam()
		c.set(&cfg)
		_, err := NewAdam(params, cfg)
		require.EqualError(t, err, "train: NewAdam: "+c.want)
	}
	_, err := NewAdam(nil, DefaultAdam())
	require.EqualError(t, err, "train: NewAdam: no parameters")
	_, err = NewAdam(layer.Params{param("p", []float32{1}, nil)}, DefaultAdam())
	require.EqualError(t, err, "train: NewAdam: no parameter has a gradient, want the parameters of a tape")
	_, err = NewAdam(append(slices.Clone(params), param("weight_ih_l0", []float32{1, 2}, []float32{1})), DefaultAdam())
	require.EqualError(t, err, "train: NewAdam: weight_ih_l0 has 1 gradients, want 2")
}

func TestAdamAllocs(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		var owner packs
		p := param("p", make([]float32, 100), make([]float32, 100))
		p.Owner = &owner
		opt := newTestAdam(t, layer.Params{p, p}, DefaultAdam())
		require.Zero(t, testing.AllocsPerRun(10, opt.Step))
	})
}

func BenchmarkAdam(b *testing.B) {
	for _, n := range []int{100, 100000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			kerneltest.Each(b, func(b *testing.B, _ kernels.ISA) {
				r := kerneltest.NewRand(1)
				opt := newTestAdam(b, layer.Params{param("p", kerneltest.Random(r, n, 1), kerneltest.Random(r, n, 1))}, DefaultAdam())
				for b.Loop() {
					opt.Step()
				}
			})
		})
	}
}
