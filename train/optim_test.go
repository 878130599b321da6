package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// optimGolden holds results of PyTorch 1.13.1 and 2.15.0 in float64.
type optimGolden struct {
	P0    []float64
	Grads [][]float64
	Runs  map[string]struct {
		Cls   string
		Args  args
		After [][]float64 // parameters after each step
	}
	Clip []struct {
		NormType any     `json:"norm_type"`
		MaxNorm  float64 `json:"max_norm"`
		Total    float64
		Grads    [][]float64 // clipped
	}
	Sched       map[string][]float64
	SchedMetric []float64 `json:"sched_metric"`
}

func loadOptimGolden(t *testing.T) (g optimGolden) {
	b, err := os.ReadFile("testdata/optim.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}

// args are arguments of PyTorch's constructors.
type args map[string]any

// set writes them to the fields of a config.
func (a args) set(fields []field) error {
	put := func(key string, v any) error {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if i < 0 {
			return fmt.Errorf("no field %s", key)
		}
		if b, ok := v.(bool); ok {
			*fields[i].flag = b
			return nil
		}
		*fields[i].v = v.(float64)
		return nil
	}
	for key, v := range a {
		if betas, ok := v.([]any); ok {
			for i, b := range betas {
				if err := put(fmt.Sprint("beta", i+1), b); err != nil {
					return err
				}
			}
			continue
		}
		if err := put(key, v); err != nil {
			return err
		}
	}
	return nil
}

// An algorithm makes an optimizer, and its twin in float64.
type algorithm struct {
	open func(params layer.Params, a args) (Optimizer, error)
	twin func(a args, p, g [][]float64) (step func())
}

func algorithmOf[C any, P config[C], O Optimizer](def C, open func(layer.Params, C) (O, error), step func(P, *tensor[float64])) algorithm {
	with := func(a args) C {
		cfg := def
		if err := a.set(P(&cfg).fields()); err != nil {
			panic(err)
		}
		return cfg
	}
	return algorithm{
		func(params layer.Params, a args) (Optimizer, error) { return open(params, with(a)) },
		func(a args, p, g [][]float64) func() {
			cfg, xs, shared := with(a), make([]tensor[float64], len(p)), &memo{}
			for i := range xs {
				xs[i] = tensor[float64]{p: p[i], g: g[i], memo: shared}
				xs[i].grow(P(&cfg).slots())
			}
			return func() {
				for i := range xs {
					xs[i].t++
					step(&cfg, &xs[i])
				}
			}
		},
	}
}

// algorithms are named like PyTorch's classes.
var algorithms = map[string]algorithm{
	"SGD":      algorithmOf(DefaultSGD(), NewSGD, sgdStep[float64]),
	"RMSprop":  algorithmOf(DefaultRMSprop(), NewRMSprop, rmspropStep[float64]),
	"Adagrad":  algorithmOf(DefaultAdagrad(), NewAdagrad, adagradStep[float64]),
	"Adadelta": algorithmOf(DefaultAdadelta(), NewAdadelta, adadeltaStep[float64]),
	"Adam":     algorithmOf(DefaultAdam(), NewAdam, adamStep[float64]),
	"AdamW":    algorithmOf(DefaultAdamW(), NewAdam, adamStep[float64]),
	"NAdam":    algorithmOf(DefaultNAdam(), NewNAdam, nadamStep[float64]),
	"RAdam":    algorithmOf(DefaultRAdam(), NewRAdam, radamStep[float64]),
}

// runs are optimizers with settings: those of PyTorch's runs, and the defaults.
func runs(t *testing.T) map[string]struct {
	algorithm
	args args
} {
	all := map[string]struct {
		algorithm
		args args
	}{}
	for name, run := range loadOptimGolden(t).Runs {
		all[name] = struct {
			algorithm
			args args
		}{algorithms[run.Cls], run.Args}
	}
	for cls, a := range algorithms {
		all["default "+cls] = struct {
			algorithm
			args args
		}{a, nil}
	}
	return all
}

// packs counts the calls of Pack.
type packs struct{ n int }

func (p *packs) Pack() { p.n++ }

func param(name string, data, grad []float32) layer.Param {
	return layer.Param{Name: name, Shape: []int{len(data)}, Data: data, Grad: grad}
}

func open(t testing.TB, a algorithm, params layer.Params, with args) Optimizer {
	opt, err := a.open(params, with)
	require.NoError(t, err)
	return opt
}

// TestOptimGolden compares the update in float64 with PyTorch, and that in float32
// within its accuracy.
func TestOptimGolden(t *testing.T) {
	g := loadOptimGolden(t)
	require.Len(t, g.Runs, 24)
	for name, run := range g.Runs {
		a := algorithms[run.Cls]
		p, grad := slices.Clone(g.P0), make([]float64, len(g.P0))
		step, worst := a.twin(run.Args, [][]float64{p}, [][]float64{grad}), 0.0
		for i, want := range run.After {
			copy(grad, g.Grads[i])
			step()
			for j, w := range want {
				worst = max(worst, math.Abs(p[j]-w)/max(1, math.Abs(w)))
			}
			require.LessOrEqual(t, worst, 1e-12, "%s, step %d", name, i+1)
		}
		t.Logf("%s: largest difference %.1e", name, worst)
	}
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for name, run := range g.Runs {
			p := param("p", kerneltest.Float32s(g.P0), make([]float32, len(g.P0)))
			opt := open(t, algorithms[run.Cls], layer.Params{p}, run.Args)
			for i, grad := range g.Grads {
				copy(p.Grad, kerneltest.Float32s(grad))
				opt.Step()
				kerneltest.RequireClose(t, run.After[i], p.Data, 1e-6, 1e-6, fmt.Sprintf("%s, step %d", name, i+1))
			}
		}
	})
}

var runSizes = []int{1, 15, 16, 17, 0, 100, 1000}

// optimRun makes steps on parameters of several sizes and returns them. after is
// called with what the twin in float64 makes of them.
func optimRun(t *testing.T, a algorithm, with args, steps int, after func(step int, opt Optimizer, want [][]float64)) []float32 {
	r := kerneltest.NewRand(3)
	var params layer.Params
	var want, grads [][]float64
	for i, n := range runSizes {
		p := param(fmt.Sprint(i), kerneltest.Random(r, n, 1), make([]float32, n))
		params, want, grads = append(params, p), append(want, kerneltest.Float64s(p.Data)), append(grads, make([]float64, n))
	}
	opt, twin := open(t, a, params, with), a.twin(with, want, grads)
	for step := range steps {
		for i, p := range params {
			copy(p.Grad, kerneltest.Random(r, len(p.Grad), .1))
			copy(grads[i], kerneltest.Float64s(p.Grad))
		}
		opt.Step()
		if after != nil {
			twin()
			after(step, opt, want)
		}
	}
	var all []float32
	for _, p := range params {
		all = append(all, p.Data...)
	}
	return all
}

// TestOptimTwin compares with float64 at real sizes.
func TestOptimTwin(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for name, run := range runs(t) {
			optimRun(t, run.algorithm, run.args, kerneltest.Pick(50, 8, 3), func(step int, opt Optimizer, want [][]float64) {
				for i, p := range opt.Params() {
					kerneltest.RequireClose(t, want[i], p.Data, 5e-6, 5e-6, fmt.Sprintf("%s, step %d", name, step+1))
				}
			})
		}
	})
}

// ulp is the distance of float32 numbers about x.
func ulp(x float64) float64 {
	_, e := math.Frexp(max(math.Abs(x), 0x1p-126))
	return math.Ldexp(1, e-24)
}

// TestOptimULP: a step on a SIMD path differs from one of the portable path from
// the same state by at most 2 ulp of the update's largest term: the old number,
// the new one or their difference.
func TestOptimULP(t *testing.T) {
	for _, isa := range kerneltest.SIMD() {
		worst := 0.0
		for name, run := range runs(t) {
			r := kerneltest.NewRand(4)
			var fast, slow layer.Params
			for i, n := range []int{kerneltest.Pick(2000, 500, 200), 37} {
				data := kerneltest.Random(r, n, []float64{1, 0}[i]) // weights, and biases of 0
				fast = append(fast, param("p", data, make([]float32, n)))
				slow = append(slow, param("p", slices.Clone(data), make([]float32, n)))
			}
			a, b := open(t, run.algorithm, fast, run.args), open(t, run.algorithm, slow, run.args)
			for step := range kerneltest.Pick(20, 6, 3) {
				for i, p := range fast {
					copy(p.Grad, kerneltest.Random(r, len(p.Grad), math.Pow(10, float64(-step%5))))
					copy(slow[i].Grad, p.Grad)
					copy(slow[i].Data, p.Data)
				}
				before := copied(a)
				require.NoError(t, b.LoadState(a.State()))
				kerneltest.On(isa, a.Step)
				kerneltest.On(kernels.Generic, b.Step)
				got, want := copied(a), copied(b)
				for k := range got {
					old := before[k]
					require.Len(t, got[k], len(want[k]))
					for j, v := range got[k] {
						var o float64
						if old != nil {
							o = float64(old[j])
						}
						x, y := float64(v), float64(want[k][j])
						d := math.Abs(x-y) / ulp(max(math.Abs(o), math.Abs(y), math.Abs(y-o)))
						if !(d <= 2) {
							t.Fatalf("%v: %s, step %d: %s[%d] = %g, want %g: %g ulp", isa, name, step+1, k, j, x, y, d)
						}
						worst = max(worst, d)
					}
				}
			}
		}
		t.Logf("%v: largest difference %.2g ulp", isa, worst)
	}
	if len(kerneltest.SIMD()) == 0 {
		t.Skip("NOT COVERED: no SIMD path under test")
	}
}

// copied returns copies of all that a step changes, by name.
func copied(opt Optimizer) map[string][]float32 {
	m := map[string][]float32{}
	for i, p := range opt.Params() {
		m[fmt.Sprint("p", i)] = slices.Clone(p.Data)
		for _, d := range opt.State().Groups[0].Params[i].Tensors {
			m[fmt.Sprint(d.Name, i)] = slices.Clone(d.Data)
		}
	}
	return m
}

// TestOptimBits: recorded bits, the same on all SIMD paths.
func TestOptimBits(t *testing.T) {
	kerneltest.RequireHash(t, 0x7d0d4c2215b12bc6, func() []float32 {
		return optimRun(t, algorithms["Adam"], args{"weight_decay": .01}, 20, nil)
	})
	kerneltest.RequireHash(t, 0x4da6dc1cf8cd8008, func() (all []float32) {
		runs := runs(t)
		for _, name := range slices.Sorted(maps.Keys(runs)) {
			all = append(all, optimRun(t, runs[name].algorithm, runs[name].args, 10, nil)...)
		}
		return all
	})
}

// TestMaximize: maximizing a gradient is minimizing its negative, bit for bit.
func TestMaximize(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for name, run := range runs(t) {
			r := kerneltest.NewRand(5)
			data := kerneltest.Random(r, 100, 1)
			min := param("p", slices.Clone(data), make([]float32, 100))
			max := param("p", slices.Clone(data), make([]float32, 100))
			up := maps.Clone(run.args)
			if up == nil {
				up = args{}
			}
			up["maximize"] = true
			down := maps.Clone(up)
			down["maximize"] = false
			a, b := open(t, run.algorithm, layer.Params{min}, down), open(t, run.algorithm, layer.Params{max}, up)
			for range 7 {
				copy(min.Grad, kerneltest.Random(r, 100, 1))
				kernels.Scale(max.Grad, -1, min.Grad)
				a.Step()
				b.Step()
			}
			require.Equal(t, copied(a), copied(b), name)
			require.NotEqual(t, data, min.Data)
		}
	})
}

func TestOptimNoGradient(t *testing.T) {
	for name, a := range algorithms {
		frozen := param("frozen", []float32{1, 2}, nil)
		p := param("p", []float32{1, 2}, []float32{1, -1})
		opt := open(t, a, layer.Params{frozen, p}, args{"weight_decay": 1.})
		opt.Step()
		require.Equal(t, []float32{1, 2}, frozen.Data, name)
		require.NotEqual(t, []float32{1, 2}, p.Data, name)
		require.Empty(t, opt.State().Groups[0].Params[0].Tensors)
		opt.ZeroGrad()
		require.Equal(t, []float32{0, 0}, p.Grad)
	}
}

// TestGroups: each group has its own settings, and owners pack once a step.
func TestGroups(t *testing.T) {
	var one, two packs
	r := kerneltest.NewRand(6)
	random := func(name string, owner *packs) layer.Param {
		p := param(name, kerneltest.Random(r, 20, 1), kerneltest.Random(r, 20, 1))
		p.Owner = owner
		return p
	}
	weights := layer.Params{random("a.weight", &one), random("b.weight", &two)}
	biases := layer.Params{random("a.bias", &one), random("b.bias", &two)}
	var apart layer.Params
	for _, p := range slices.Concat(weights, biases) {
		apart = append(apart, param(p.Name, slices.Clone(p.Data), p.Grad))
	}
	decay, plain := DefaultAdamW(), DefaultAdam()
	plain.LR = .1
	opt, err := NewAdam(weights, decay)
	require.NoError(t, err)
	opt.Step()
	require.NoError(t, opt.AddGroup(biases, plain))
	w, err := NewAdam(apart[:2], decay)
	require.NoError(t, err)
	b, err := NewAdam(apart[2:], plain)
	require.NoError(t, err)
	w.Step()
	for range 3 {
		opt.Step()
		w.Step()
		b.Step()
	}
	for i, p := range opt.Params() {
		require.Equal(t, apart[i].Data, p.Data, p.Name)
	}
	require.Equal(t, []int{4, 4}, []int{one.n, two.n})
	require.Len(t, opt.Groups(), 2)
	require.Equal(t, biases, opt.Groups()[1].Params())
	require.Equal(t, plain, opt.Config(1))

	opt.Groups()[1].SetLR(.5)
	require.Equal(t, []float64{1e-3, .5}, []float64{opt.Config(0).LR, opt.Config(1).LR})
	opt.SetLR(.25)
	require.Equal(t, .25, opt.LR())
	require.Equal(t, .25, opt.Groups()[1].LR())
	m, ok := opt.Groups()[0].Momentum()
	require.True(t, ok)
	require.Equal(t, .9, m)
	opt.Groups()[0].SetMomentum(.5)
	require.Equal(t, .5, opt.Config(0).Beta1)
	for message, f := range map[string]func(){
		"train: Adam: LR = -1, want at least 0":               func() { opt.SetLR(-1) },
		"train: Adam: LR = NaN, want at least 0":              func() { opt.SetLR(math.NaN()) },
		"train: Adam: Beta1 = 1, want at least 0 and below 1": func() { opt.Groups()[0].SetMomentum(1) },
		"train: Adagrad has no momentum":                      func() { open(t, algorithms["Adagrad"], apart[:1], nil).Groups()[0].SetMomentum(1) },
		"train: SGD: Momentum = NaN, want at least 0":         func() { open(t, algorithms["SGD"], apart[:1], nil).Groups()[0].SetMomentum(math.NaN()) },
	} {
		require.PanicsWithValue(t, message, f)
	}
	require.Equal(t, .25, opt.LR())

	require.EqualError(t, opt.AddGroup(biases[:1], plain), "train: Adam.AddGroup: a.bias is given twice, want each parameter once")
	plain.Eps = -1
	require.EqualError(t, opt.AddGroup(layer.Params{random("c", &one)}, plain), "train: Adam.AddGroup: Eps = -1, want at least 0")
	require.Len(t, opt.Groups(), 2)
	require.Len(t, opt.Params(), 4)
}

// TestLateMomentum: a momentum that comes later begins with the gradient, as
// PyTorch's does.
func TestLateMomentum(t *testing.T) {
	p := param("p", []float32{0}, []float32{1})
	opt := open(t, algorithms["SGD"], layer.Params{p}, args{"lr": 1., "dampening": .5})
	opt.Step()
	require.Equal(t, []float32{-1}, p.Data)
	require.Empty(t, opt.State().Groups[0].Params[0].Tensors)
	g := opt.Groups()[0]
	g.SetMomentum(.5)
	opt.Step() // buf = 1
	require.Equal(t, []float32{-2}, p.Data)
	p.Grad[0] = 4
	opt.Step() // buf = .5 + .5*4
	require.Equal(t, []float32{-4.5}, p.Data)
	g.SetMomentum(0)
	opt.Step()
	require.Equal(t, []float32{-8.5}, p.Data)
	require.Equal(t, []StateTensor{{"momentum_buffer", []float32{2.5}}}, opt.State().Groups[0].Params[0].Tensors)
}

// TestOptimState: a state that went through JSON goes on with the same bits.
func TestOptimState(t *testing.T) {
	for name, run := range runs(t) {
		for _, steps := range []int{0, 1, 7} {
			r := kerneltest.NewRand(7)
			grads := kerneltest.Random(r, 15*50, 1)
			data := kerneltest.Random(r, 50, 1)
			frozen := param("frozen", []float32{1}, nil)
			p := param("p", data, make([]float32, 50))
			opt := open(t, run.algorithm, layer.Params{frozen, p}, run.args)
			step := func(i int, opt Optimizer, p layer.Param) {
				copy(p.Grad, grads[50*i:])
				opt.Step()
			}
			for i := range steps {
				step(i, opt, p)
			}
			opt.SetLR(.02)
			text, err := json.Marshal(opt.State())
			require.NoError(t, err)
			var s OptimizerState
			require.NoError(t, json.Unmarshal(text, &s))
			q := param("p", slices.Clone(p.Data), make([]float32, 50))
			again := open(t, run.algorithm, layer.Params{frozen, q}, run.args)
			step(14, again, q) // to be forgotten
			copy(q.Data, p.Data)
			require.NoError(t, again.LoadState(s))
			require.Equal(t, opt.State(), again.State(), name)
			for i := range 7 {
				step(steps+i, opt, p)
				step(steps+i, again, q)
			}
			require.Equal(t, opt.State(), again.State(), name)
			require.Equal(t, p.Data, q.Data, name)
			require.Equal(t, .02, again.LR())
		}
	}
}

// TestLoadStateSettings: settings that a state does not have stay as they are,
// and its tensors that they have no use for are not used.
func TestLoadStateSettings(t *testing.T) {
	for cls, change := range map[string]args{
		"SGD":     {"momentum": .9},
		"RMSprop": {"centered": true, "momentum": .5},
		"Adam":    {"amsgrad": true},
	} {
		var want []float32
		for _, more := range []args{nil, change} {
			p := param("p", []float32{1, -2}, []float32{3, 4})
			opt := open(t, algorithms[cls], layer.Params{p}, more)
			opt.Step()
			s := opt.State()
			s.Groups[0].Settings = nil
			q := param("p", []float32{1, -2}, []float32{5, 6})
			plain := open(t, algorithms[cls], layer.Params{q}, nil)
			require.NoError(t, plain.LoadState(s))
			plain.Step()
			if more == nil {
				want = q.Data
			}
			require.Equal(t, want, q.Data, cls)
		}
	}

	// A cycle may come to a momentum of 0.
	nesterov := args{"momentum": .9, "nesterov": true}
	p, q := param("p", []float32{1, -2}, []float32{3, 4}), param("p", []float32{1, -2}, []float32{3, 4})
	a, b := open(t, algorithms["SGD"], layer.Params{p}, nesterov), open(t, algorithms["SGD"], layer.Params{q}, nesterov)
	a.Step()
	a.Groups()[0].SetMomentum(0)
	copy(q.Data, p.Data)
	require.NoError(t, b.LoadState(a.State()))
	for _, momentum := range []float64{0, .5} {
		for _, o := range []Optimizer{a, b} {
			o.Groups()[0].SetMomentum(momentum)
			o.Step()
		}
		require.Equal(t, p.Data, q.Data)
	}

	opt := optimizerOf(t, .1)
	s := opt.State()
	_, err := NewExponentialLR(opt, .5)
	require.NoError(t, err)
	opt.SetLR(.01)
	require.NoError(t, opt.LoadState(s))
	require.Contains(t, opt.State().Groups[0].Settings, Setting{initialLR, .1})
}

func TestLoadStateErrors(t *testing.T) {
	p := param("weight", []float32{1, 2}, []float32{1, 2})
	opt := open(t, algorithms["Adam"], layer.Params{p}, args{"amsgrad": true})
	opt.Step()
	for want, change := range map[string]func(s *OptimizerState, g *GroupState, p *ParamState){
		"state is of SGD, want Adam":                func(s *OptimizerState, _ *GroupState, _ *ParamState) { s.Optimizer = "SGD" },
		"state has 0 groups, want 1":                func(s *OptimizerState, _ *GroupState, _ *ParamState) { s.Groups = nil },
		"group 0: state has 0 parameters, want 1":   func(_ *OptimizerState, g *GroupState, _ *ParamState) { g.Params = nil },
		"group 0: parameter 0 is bias, want weight": func(_ *OptimizerState, _ *GroupState, p *ParamState) { p.Name = "bias" },
		"group 0: weight: step = -1, want at least 0": func(_ *OptimizerState, _ *GroupState, p *ParamState) {
			p.Step = -1
		},
		fmt.Sprintf("group 0: weight: step = %d, want at most %d", math.MaxInt, math.MaxInt/2): func(_ *OptimizerState, _ *GroupState, p *ParamState) {
			p.Step = math.MaxInt
		},
		"group 0: weight: unknown tensor sum":             func(_ *OptimizerState, _ *GroupState, p *ParamState) { p.Tensors[0].Name = "sum" },
		"group 0: weight: exp_avg has 1 elements, want 2": func(_ *OptimizerState, _ *GroupState, p *ParamState) { p.Tensors[0].Data = []float32{1} },
		"group 0: weight: max_exp_avg_sq is missing":      func(_ *OptimizerState, _ *GroupState, p *ParamState) { p.Tensors = p.Tensors[:2] },
		"group 0: momentum is no setting of Adam":         func(_ *OptimizerState, g *GroupState, _ *ParamState) { g.Settings[0].Name = "momentum" },
		"group 0: LR = -1, want at least 0":               func(_ *OptimizerState, g *GroupState, _ *ParamState) { g.Settings[0].Value = -1 },
		"group 0: maximize = 2, want 0 or 1":              func(_ *OptimizerState, g *GroupState, _ *ParamState) { g.Settings[6].Value = 2 },
		"group 0: initial_lr = NaN, want at least 0": func(_ *OptimizerState, g *GroupState, _ *ParamState) {
			g.Settings[0] = Setting{"initial_lr", math.NaN()}
		},
		"group 0: Beta1 = 1, want at least 0 and below 1": func(_ *OptimizerState, g *GroupState, _ *ParamState) { g.Settings[1].Value = 1 },
	} {
		before := copied(opt)
		s := opt.State()
		s.Groups[0].Params[0].Tensors = slices.Clone(s.Groups[0].Params[0].Tensors)
		change(&s, &s.Groups[0], &s.Groups[0].Params[0])
		require.EqualError(t, opt.LoadState(s), "train: Adam.LoadState: "+want)
		require.Equal(t, before, copied(opt))
		require.Equal(t, 1e-3, opt.LR())
	}
	s := opt.State()
	s.Optimizer, s.Groups[0].Params[0] = "", ParamState{} // not updated yet
	require.NoError(t, opt.LoadState(s))
	require.Equal(t, []float32{0, 0}, opt.State().Groups[0].Params[0].Tensors[0].Data)
}

// TestMaxCount: every optimizer goes on from the largest counter that it loads.
func TestMaxCount(t *testing.T) {
	for name, algorithm := range algorithms {
		p := param("weight", []float32{1, 2}, []float32{1, 2})
		opt := open(t, algorithm, layer.Params{p}, nil)
		opt.Step()
		s := opt.State()
		s.Groups[0].Params[0].Step = maxCount
		require.NoError(t, opt.LoadState(s), name)
		opt.Step()
		require.Equal(t, maxCount+1, opt.State().Groups[0].Params[0].Step, name)
		for _, v := range p.Data {
			require.False(t, math.IsNaN(float64(v)), name)
		}
	}
}

func TestNewOptimizerErrors(t *testing.T) {
	params := layer.Params{param("p", []float32{1}, []float32{1})}
	nan := math.NaN()
	for _, c := range []struct {
		cls  string
		args args
		want string
	}{
		{"Adam", args{"lr": -1.}, "LR = -1, want at least 0"},
		{"Adam", args{"lr": nan}, "LR = NaN, want at least 0"},
		{"Adam", args{"beta1": 1.}, "Beta1 = 1, want at least 0 and below 1"},
		{"Adam", args{"beta1": -.1}, "Beta1 = -0.1, want at least 0 and below 1"},
		{"Adam", args{"beta2": nan}, "Beta2 = NaN, want at least 0 and below 1"},
		{"Adam", args{"eps": -1e-8}, "Eps = -1e-08, want at least 0"},
		{"Adam", args{"weight_decay": nan}, "WeightDecay = NaN, want at least 0"},
		{"NAdam", args{"momentum_decay": -1.}, "MomentumDecay = -1, want at least 0"},
		{"RAdam", args{"beta2": 1.}, "Beta2 = 1, want at least 0 and below 1"},
		{"SGD", args{"momentum": -1.}, "Momentum = -1, want at least 0"},
		{"SGD", args{"dampening": nan}, "Dampening = NaN, want a number"},
		{"SGD", args{"nesterov": true}, "with Nesterov Momentum = 0 and Dampening = 0, want Momentum above 0 and Dampening 0"},
		{"SGD", args{"nesterov": true, "momentum": .9, "dampening": .1}, "with Nesterov Momentum = 0.9 and Dampening = 0.1, want Momentum above 0 and Dampening 0"},
		{"RMSprop", args{"alpha": 1.5}, "Alpha = 1.5, want at least 0 and at most 1"},
		{"Adagrad", args{"lr_decay": -1.}, "LRDecay = -1, want at least 0"},
		{"Adagrad", args{"initial_accumulator_value": nan}, "InitialAccumulator = NaN, want at least 0"},
		{"Adadelta", args{"rho": -.5}, "Rho = -0.5, want at least 0 and at most 1"},
	} {
		_, err := algorithms[c.cls].open(params, c.args)
		require.EqualError(t, err, "train: New"+c.cls+": "+c.want)
	}
	for want, ps := range map[string]layer.Params{
		"no parameters": nil,
		"no parameter has a gradient, want the parameters of a tape": {param("p", []float32{1}, nil)},
		"weight_ih_l0 has 1 gradients, want 2":                       append(slices.Clone(params), param("weight_ih_l0", []float32{1, 2}, []float32{1})),
		"p is given twice, want each parameter once":                 slices.Concat(params, params),
	} {
		for cls, a := range algorithms {
			if cls != "AdamW" {
				_, err := a.open(ps, nil)
				require.EqualError(t, err, "train: New"+cls+": "+want)
			}
		}
	}
}

func TestOptimAllocs(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for name, run := range runs(t) {
			var owner packs
			p := param("p", make([]float32, 100), make([]float32, 100))
			p.Owner = &owner
			opt := open(t, run.algorithm, layer.Params{p}, run.args)
			require.Zero(t, testing.AllocsPerRun(10, func() {
				opt.ZeroGrad()
				opt.Step()
				opt.SetLR(opt.LR())
			}), name)
		}
	})
}

func BenchmarkOptim(b *testing.B) {
	for _, cls := range slices.Sorted(maps.Keys(algorithms)) {
		for _, n := range []int{100, 100000} {
			b.Run(fmt.Sprintf("%s/n=%d", cls, n), func(b *testing.B) {
				kerneltest.Each(b, func(b *testing.B, _ kernels.ISA) {
					r := kerneltest.NewRand(1)
					opt := open(b, algorithms[cls], layer.Params{param("p", kerneltest.Random(r, n, 1), kerneltest.Random(r, n, 1))}, nil)
					for b.Loop() {
						opt.Step()
					}
				})
			})
		}
	}
}
