package train

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/layer"
)

// optimizerOf returns SGD with momentum, one group for each learning rate.
func optimizerOf(t testing.TB, lrs ...float64) *SGD {
	var opt *SGD
	for i, lr := range lrs {
		cfg := SGDConfig{LR: lr, Momentum: .9}
		ps := layer.Params{param(fmt.Sprint(i), []float32{1}, []float32{1})}
		if i > 0 {
			require.NoError(t, opt.AddGroup(ps, cfg))
			continue
		}
		var err error
		opt, err = NewSGD(ps, cfg)
		require.NoError(t, err)
	}
	return opt
}

// A made schedule, or why it could not be.
type made struct {
	*Schedule
	error
}

func make1(s *Schedule, err error) made { return made{s, err} }

func cyclic(opt Optimizer, base, max float64, up int, change func(*CyclicLRConfig)) made {
	cfg := DefaultCyclicLR()
	cfg.BaseLR, cfg.MaxLR, cfg.StepSizeUp = []float64{base}, []float64{max}, up
	if change != nil {
		change(&cfg)
	}
	return make1(NewCyclicLR(opt, cfg))
}

func oneCycle(opt Optimizer, max float64, total int, change func(*OneCycleLRConfig)) made {
	cfg := DefaultOneCycleLR()
	cfg.MaxLR, cfg.TotalSteps = []float64{max}, total
	if change != nil {
		change(&cfg)
	}
	return make1(NewOneCycleLR(opt, cfg))
}

// schedules are those of the golden file, at base .1.
var schedules = map[string]func(opt Optimizer) made{
	"StepLR(7,.5)":                  func(opt Optimizer) made { return make1(NewStepLR(opt, 7, .5)) },
	"MultiStepLR([3,8,8],.1)":       func(opt Optimizer) made { return make1(NewMultiStepLR(opt, []int{8, 3, 8}, .1)) },
	"ExponentialLR(.9)":             func(opt Optimizer) made { return make1(NewExponentialLR(opt, .9)) },
	"CosineAnnealingLR(10,.01)":     func(opt Optimizer) made { return make1(NewCosineAnnealingLR(opt, 10, .01)) },
	"LinearLR()":                    func(opt Optimizer) made { return make1(NewLinearLR(opt, 1./3, 1, 5)) },
	"ConstantLR()":                  func(opt Optimizer) made { return make1(NewConstantLR(opt, 1./3, 5)) },
	"PolynomialLR(10,2)":            func(opt Optimizer) made { return make1(NewPolynomialLR(opt, 10, 2)) },
	"CosineWarmRestarts(5,2,.001)":  func(opt Optimizer) made { return make1(NewCosineAnnealingWarmRestarts(opt, 5, 2, .001)) },
	"CyclicLR(.01,.1,4)":            func(opt Optimizer) made { return cyclic(opt, .01, .1, 4, nil) },
	"OneCycleLR(.5,total=31)":       func(opt Optimizer) made { return oneCycle(opt, .5, 31, nil) },
	"OneCycleLR(.5,total_steps=30)": func(opt Optimizer) made { return oneCycle(opt, .5, 30, nil) },
}

func TestScheduleGolden(t *testing.T) {
	g := loadOptimGolden(t)
	for name, want := range g.Sched {
		opt := optimizerOf(t, .1)
		switch name {
		case "OneCycleLR momentum":
			for _, s := range []made{oneCycle(opt, .5, 30, nil)} {
				require.NoError(t, s.error)
				for i, w := range want {
					m, _ := opt.Groups()[0].Momentum()
					require.InDelta(t, w, m, 1e-12, "%s, step %d", name, i)
					s.Step()
				}
			}
		case "ReduceLROnPlateau(patience=2,cooldown=1,factor=.5)":
			cfg := DefaultPlateau()
			cfg.Patience, cfg.Cooldown, cfg.Factor = 2, 1, .5
			s, err := NewReduceLROnPlateau(opt, cfg)
			require.NoError(t, err)
			for i, w := range want {
				require.InDelta(t, w, opt.LR(), 1e-12, "%s, step %d", name, i)
				if i < len(g.SchedMetric) {
					s.Step(g.SchedMetric[i])
				}
			}
		default:
			s := schedules[name](opt)
			require.NoError(t, s.error, name)
			for i, w := range want {
				require.Equal(t, i, s.T())
				require.InDelta(t, w, opt.LR(), 1e-12, "%s, step %d", name, i)
				s.Step()
			}
		}
	}
	require.Len(t, g.Sched, len(schedules)+2)
}

// TestScheduleEquations compares with the equations of the docs, in two groups.
func TestScheduleEquations(t *testing.T) {
	triangle := func(t, up, down float64) float64 {
		x := math.Mod(t, up+down)
		if x <= up {
			return x / up
		}
		return (up + down - x) / down
	}
	bases := []float64{.1, .02}
	for name, c := range map[string]struct {
		make func(opt Optimizer) made
		lr   func(t, base float64) float64
	}{
		"Lambda": {
			func(opt Optimizer) made {
				return make1(NewLambdaLR(opt, func(t int) float64 { return 1 / float64(t+1) }, func(t int) float64 { return 1 / float64(t+1) }))
			},
			func(t, base float64) float64 { return base / (t + 1) },
		},
		"Multiplicative": {
			func(opt Optimizer) made {
				return make1(NewMultiplicativeLR(opt, func(t int) float64 { return 1 / float64(t) }))
			},
			func(t, base float64) float64 { return base / math.Gamma(t+1) },
		},
		"Linear up": {
			func(opt Optimizer) made { return make1(NewLinearLR(opt, .25, 1, 7)) },
			func(t, base float64) float64 { return base * (.25 + .75*min(t, 7)/7) },
		},
		"Linear down": {
			func(opt Optimizer) made { return make1(NewLinearLR(opt, 1, 0, 7)) },
			func(t, base float64) float64 { return base * (1 - min(t, 7)/7) },
		},
		"Polynomial": {
			func(opt Optimizer) made { return make1(NewPolynomialLR(opt, 4, 1)) },
			func(t, base float64) float64 { return base * (1 - min(t, 4)/4) },
		},
		"Cosine": {
			func(opt Optimizer) made { return make1(NewCosineAnnealingLR(opt, 3, 0)) },
			func(t, base float64) float64 { return base * (1 + math.Cos(math.Pi*t/3)) / 2 },
		},
		"Warm restarts": {
			func(opt Optimizer) made { return make1(NewCosineAnnealingWarmRestarts(opt, 3, 1, .01)) },
			func(t, base float64) float64 { return .01 + (base-.01)*(1+math.Cos(math.Pi*math.Mod(t, 3)/3))/2 },
		},
		"Triangular2": {
			func(opt Optimizer) made {
				return cyclic(opt, .1, .5, 3, func(c *CyclicLRConfig) { c.Mode, c.StepSizeDown = Triangular2, 2 })
			},
			func(t, _ float64) float64 { return .1 + .4*triangle(t, 3, 2)/math.Pow(2, math.Floor(t/5)) },
		},
		"ExpRange": {
			func(opt Optimizer) made {
				return cyclic(opt, .1, .5, 2, func(c *CyclicLRConfig) { c.Mode, c.Gamma = ExpRange, .9 })
			},
			func(t, _ float64) float64 { return .1 + .4*triangle(t, 2, 2)*math.Pow(.9, t) },
		},
		"OneCycle linear": {
			func(opt Optimizer) made {
				return oneCycle(opt, 1, 40, func(c *OneCycleLRConfig) { c.Linear, c.PctStart, c.FinalDivFactor = true, .275, 2 })
			},
			func(t, _ float64) float64 {
				if t <= 10 {
					return .04 + .96*t/10
				}
				return 1 - .98*(t-10)/29
			},
		},
		"OneCycle three phases": {
			func(opt Optimizer) made {
				return oneCycle(opt, 1, 40, func(c *OneCycleLRConfig) { c.Linear, c.ThreePhase, c.PctStart, c.FinalDivFactor = true, true, .275, 2 })
			},
			func(t, _ float64) float64 {
				switch {
				case t <= 10:
					return .04 + .96*t/10
				case t <= 20:
					return 1 - .96*(t-10)/10
				}
				return .04 - .02*(t-20)/19
			},
		},
		"Chained": {
			func(opt Optimizer) made {
				a, b := make1(NewConstantLR(opt, .5, 4)), make1(NewExponentialLR(opt, .9))
				return make1(NewChainedScheduler(opt, a.Schedule, b.Schedule))
			},
			func(t, base float64) float64 {
				if t < 4 {
					base *= .5
				}
				return base * math.Pow(.9, t)
			},
		},
		"Sequential": {
			func(opt Optimizer) made {
				a, b, c := make1(NewLinearLR(opt, .1, 1, 5)), make1(NewCosineAnnealingLR(opt, 10, 0)), make1(NewConstantLR(opt, .25, 99))
				return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule, c.Schedule}, []int{5, 15}))
			},
			func(t, base float64) float64 {
				switch {
				case t < 5:
					return base * (.1 + .9*t/5)
				case t < 15:
					return base * (1 + math.Cos(math.Pi*(t-5)/10)) / 2
				}
				return base * .25
			},
		},
		"Sequential cyclic": {
			func(opt Optimizer) made {
				a, b := make1(NewLinearLR(opt, .1, 1, 5)), cyclic(opt, .01, .5, 3, nil)
				return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{5}))
			},
			func(t, base float64) float64 {
				if t < 5 {
					return base * (.1 + .9*t/5)
				}
				return .01 + .49*triangle(t-5, 3, 3)
			},
		},
		"Sequential one cycle": {
			func(opt Optimizer) made {
				a, b := make1(NewLinearLR(opt, .1, 1, 5)), oneCycle(opt, .5, 30, func(c *OneCycleLRConfig) { c.Linear, c.PctStart = true, .7 })
				return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{5}))
			},
			func(t, _ float64) float64 {
				const first = .5 / 25
				switch {
				case t < 5:
					return first * (.1 + .9*t/5)
				case t <= 25:
					return first + (.5-first)*(t-5)/20
				}
				return .5 + (first/1e4-.5)*(t-25)/9
			},
		},
		"Sequential with a base of its own": {
			func(opt Optimizer) made {
				b := make1(NewCosineAnnealingLR(opt, 10, 0))
				a := oneCycle(opt, .5, 30, func(c *OneCycleLRConfig) { c.Linear, c.PctStart = true, .7 })
				return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{5}))
			},
			func(t, base float64) float64 {
				if t < 5 {
					return .02 + .48*t/20
				}
				return base * (1 + math.Cos(math.Pi*(t-5)/10)) / 2
			},
		},
		"Sequential that begins with the base of the groups": {
			func(opt Optimizer) made {
				a, c := make1(NewExponentialLR(opt, .9)), make1(NewLambdaLR(opt, func(t int) float64 { return 1 / float64(t+1) }))
				oneCycle(opt, .5, 30, nil)
				b := make1(NewConstantLR(opt, .25, 99))
				return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule, c.Schedule}, []int{5, 10}))
			},
			func(t, base float64) float64 {
				switch {
				case t < 5:
					return .02 * math.Pow(.9, t)
				case t < 10:
					return .02 * .25
				}
				return base / (t - 9)
			},
		},
		"Chained with a base of its own": {
			func(opt Optimizer) made {
				a := make1(NewLambdaLR(opt, func(t int) float64 { return 1 / float64(t+1) }))
				oneCycle(opt, .5, 30, nil)
				opt.SetLR(0)
				return make1(NewChainedScheduler(opt, a.Schedule))
			},
			func(t, base float64) float64 {
				if t == 0 {
					return 0
				}
				return base / (t + 1)
			},
		},
		"Chained cyclic": {
			func(opt Optimizer) made {
				b := make1(NewLambdaLR(opt, func(t int) float64 { return 1 / float64(t+1) }))
				a := cyclic(opt, .01, .5, 3, nil)
				opt.SetLR(0)
				return make1(NewChainedScheduler(opt, a.Schedule, b.Schedule))
			},
			func(t, base float64) float64 {
				if t == 0 {
					return 0
				}
				return base / (t + 1)
			},
		},
		"Sequential multiplicative": {
			func(opt Optimizer) made {
				a, b := make1(NewConstantLR(opt, .5, 99)), make1(NewMultiplicativeLR(opt, func(int) float64 { return .9 }))
				return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{3}))
			},
			func(t, base float64) float64 { return base * .5 * math.Pow(.9, max(t-3, 0)) },
		},
	} {
		opt := optimizerOf(t, bases...)
		s := c.make(opt)
		require.NoError(t, s.error, name)
		for i := range 30 {
			for j, base := range bases {
				require.InDelta(t, c.lr(float64(i), base), opt.Groups()[j].LR(), 1e-12, "%s, group %d, step %d", name, j, i)
			}
			s.Step()
		}
	}
}

// TestScheduleMomentum: cycles move the momentum, or Adam's Beta1, against the
// learning rate.
func TestScheduleMomentum(t *testing.T) {
	for _, cls := range []string{"SGD", "RMSprop", "Adam", "NAdam", "RAdam"} {
		opt := open(t, algorithms[cls], gradients([]float32{1}), nil)
		g := opt.Groups()[0]
		s := cyclic(opt, .1, .2, 2, nil)
		require.NoError(t, s.error)
		for i, want := range []float64{.9, .85, .8, .85, .9, .85} {
			m, ok := g.Momentum()
			require.True(t, ok)
			require.InDelta(t, want, m, 1e-12, "%s, step %d", cls, i)
			opt.Step()
			s.Step()
		}
	}
	opt := open(t, algorithms["Adam"], gradients([]float32{1}), nil)
	s := oneCycle(opt, .1, 5, func(c *OneCycleLRConfig) { c.CycleMomentum = false })
	require.NoError(t, s.error)
	s.Step()
	m, _ := opt.Groups()[0].Momentum()
	require.Equal(t, .9, m)
}

func TestOneCycleEnd(t *testing.T) {
	opt := optimizerOf(t, .1)
	s := oneCycle(opt, .5, 3, nil)
	require.NoError(t, s.error)
	for range 3 {
		s.Step()
	}
	lr := opt.LR()
	require.PanicsWithValue(t, "train: OneCycleLR: step 4, want at most 3", s.Step)
	require.Equal(t, lr, opt.LR())
	require.Equal(t, 3, s.T())

	for _, total := range []int{1, 2, 10} {
		for _, pct := range []float64{0, .1, .5, 1} {
			for _, linear := range []bool{false, true} {
				s := oneCycle(opt, .5, total, func(c *OneCycleLRConfig) { c.PctStart, c.Linear, c.ThreePhase = pct, linear, pct < .5 })
				require.NoError(t, s.error)
				for range total {
					s.Step()
					require.True(t, opt.LR() >= 0 && opt.LR() <= .5, "total %d, pct %v: %v", total, pct, opt.LR())
				}
			}
		}
	}

	// A sequence ends with its last part.
	a := make1(NewConstantLR(opt, .5, 9))
	b := oneCycle(opt, .5, 3, nil)
	seq, err := NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{2})
	require.NoError(t, err)
	for range 5 {
		seq.Step()
	}
	require.PanicsWithValue(t, "train: SequentialLR: step 6, want at most 5", seq.Step)
}

func TestReduceLROnPlateau(t *testing.T) {
	run := func(change func(*PlateauConfig), metrics ...float64) (lrs []float64) {
		opt := optimizerOf(t, 1)
		cfg := DefaultPlateau()
		cfg.Patience, cfg.Factor = 0, .5
		change(&cfg)
		s, err := NewReduceLROnPlateau(opt, cfg)
		require.NoError(t, err)
		for _, m := range metrics {
			s.Step(m)
			lrs = append(lrs, opt.LR())
		}
		return lrs
	}
	nan := math.NaN()
	require.Equal(t, []float64{1, .5, .25, .25}, run(func(*PlateauConfig) {}, 1, 1, .99999, .9))
	require.Equal(t, []float64{.5, .5, .25}, run(func(*PlateauConfig) {}, nan, 1, nan))
	require.Equal(t, []float64{1, 1, .5}, run(func(c *PlateauConfig) { c.Absolute, c.Threshold = true, .1 }, 1, .8, .75))
	require.Equal(t, []float64{1, 1, .5}, run(func(c *PlateauConfig) { c.Maximize, c.Threshold = true, .1 }, 1, 1.2, 1.3))
	require.Equal(t, []float64{1, 1, .5}, run(func(c *PlateauConfig) { c.Maximize, c.Absolute, c.Threshold = true, true, .1 }, 1, 1.2, 1.25))
	require.Equal(t, []float64{1, .5, .4, .4}, run(func(c *PlateauConfig) { c.MinLR = []float64{.4} }, 1, 1, 1, 1))
	require.Equal(t, []float64{1, 1, 1}, run(func(c *PlateauConfig) { c.Eps = .6 }, 1, 1, 1))
	require.Equal(t, []float64{1, .5, .5, .5, .25}, run(func(c *PlateauConfig) { c.Cooldown = 2 }, 1, 1, 1, 1, 1))
	require.Equal(t, []float64{1, 1, .5}, run(func(c *PlateauConfig) { c.Patience = 1 }, 1, 1, 1))
}

// TestScheduleState: schedules of a new process go on from a state.
func TestScheduleState(t *testing.T) {
	names := []string{"Sequential", "Chained", "Sequential with bases of their own"}
	all := map[string]func(opt Optimizer) made{
		"Sequential": func(opt Optimizer) made {
			a, b := make1(NewLinearLR(opt, .1, 1, 5)), make1(NewCosineAnnealingLR(opt, 10, 0))
			return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{5}))
		},
		"Chained": func(opt Optimizer) made {
			a, b := make1(NewConstantLR(opt, .5, 4)), make1(NewExponentialLR(opt, .9))
			return make1(NewChainedScheduler(opt, a.Schedule, b.Schedule))
		},
	}
	all["Sequential with bases of their own"] = func(opt Optimizer) made {
		b := make1(NewLambdaLR(opt, func(t int) float64 { return 1 / float64(t+1) }))
		a := oneCycle(opt, .5, 30, nil)
		chain := make1(NewChainedScheduler(opt, b.Schedule))
		return make1(NewSequentialLR(opt, []*Schedule{a.Schedule, chain.Schedule}, []int{9}))
	}
	for name, s := range schedules {
		names, all[name] = append(names, name), s
	}
	for _, name := range names {
		opt := optimizerOf(t, .1, .3)
		s := all[name](opt)
		for range 6 {
			opt.Step()
			s.Step()
		}
		text, err := json.Marshal(struct {
			O OptimizerState
			S ScheduleState
		}{opt.State(), s.State()})
		require.NoError(t, err)
		var state struct {
			O OptimizerState
			S ScheduleState
		}
		require.NoError(t, json.Unmarshal(text, &state))
		again := optimizerOf(t, .5, .7)
		s2 := all[name](again)
		require.NoError(t, again.LoadState(state.O))
		require.NoError(t, s2.LoadState(state.S))
		for range 12 {
			require.Equal(t, opt.State().Groups[1].Settings, again.State().Groups[1].Settings, name)
			s.Step()
			s2.Step()
		}
	}

	opt := optimizerOf(t, .1)
	seq := all["Sequential with bases of their own"](opt)
	require.Equal(t, ScheduleState{"SequentialLR", 0, []float64{.02, .02, .02, .1}}, seq.State()) // with those of the chain and its part
	require.NoError(t, seq.LoadState(ScheduleState{"SequentialLR", 8, []float64{3}}))
	seq.Step()
	require.Equal(t, 3., opt.LR())

	s := oneCycle(opt, .5, 9, nil)
	for want, change := range map[string]func(*ScheduleState){
		"state is of StepLR, want OneCycleLR": func(s *ScheduleState) { s.Schedule = "StepLR" },
		"LastEpoch = -1, want at least 0":     func(s *ScheduleState) { s.LastEpoch = -1 },
		"LastEpoch = 10, want at most 9":      func(s *ScheduleState) { s.LastEpoch = 10 },
		"state has 0 groups, want 1":          func(s *ScheduleState) { s.BaseLRs = nil },
		"BaseLRs[0] = -1, want at least 0":    func(s *ScheduleState) { s.BaseLRs[0] = -1 },
	} {
		state := s.State()
		change(&state)
		require.EqualError(t, s.LoadState(state), "train: OneCycleLR.LoadState: "+want)
	}

	open := make1(NewStepLR(opt, 1, 1)).Schedule
	tooMany := fmt.Sprintf("%d, want at most %d", maxCount+1, maxCount)
	require.EqualError(t, open.LoadState(ScheduleState{LastEpoch: maxCount + 1, BaseLRs: []float64{1}}), "train: StepLR.LoadState: LastEpoch = "+tooMany)
	require.NoError(t, open.LoadState(ScheduleState{LastEpoch: maxCount, BaseLRs: []float64{1}}))
	open.Step()
	require.Equal(t, maxCount+1, open.T())

	cfg := DefaultPlateau()
	a, err := NewReduceLROnPlateau(opt, cfg)
	require.NoError(t, err)
	for range 8 {
		a.Step(1)
	}
	b, err := NewReduceLROnPlateau(opt, cfg)
	require.NoError(t, err)
	require.NoError(t, b.LoadState(a.State()))
	require.Equal(t, PlateauState{LastEpoch: 8, Best: 1, Improved: true, NumBadEpochs: 7}, b.State())
	require.EqualError(t, b.LoadState(PlateauState{NumBadEpochs: -1}), "train: ReduceLROnPlateau.LoadState: NumBadEpochs = -1, want at least 0")
	require.EqualError(t, b.LoadState(PlateauState{LastEpoch: maxCount + 1}), "train: ReduceLROnPlateau.LoadState: LastEpoch = "+tooMany)
	require.EqualError(t, b.LoadState(PlateauState{Best: math.NaN()}), "train: ReduceLROnPlateau.LoadState: Best = NaN, want a number")
}

// A second period longer than an int counts does not end.
func TestWarmRestartsOverflow(t *testing.T) {
	for _, mult := range []int{math.MaxInt, math.MaxInt/2 + 1} {
		for _, t0 := range []int{2, 3} {
			opt := optimizerOf(t, .1)
			m := make1(NewCosineAnnealingWarmRestarts(opt, t0, mult, 0))
			require.NoError(t, m.error)
			for range 4 * t0 {
				m.Step()
			}
			require.Equal(t, .1, opt.LR())
		}
	}
}

func TestNewScheduleErrors(t *testing.T) {
	nan := math.NaN()
	opt := optimizerOf(t, .1, .2)
	other := make1(NewExponentialLR(optimizerOf(t, .1), .9)).Schedule
	own := make1(NewExponentialLR(opt, .9)).Schedule
	id := func(int) float64 { return 1 }
	adagrad := open(t, algorithms["Adagrad"], gradients([]float32{1}), nil)
	adam := open(t, algorithms["Adam"], gradients([]float32{1}), nil)
	plateau := func(change func(*PlateauConfig)) made {
		cfg := DefaultPlateau()
		change(&cfg)
		_, err := NewReduceLROnPlateau(opt, cfg)
		return made{nil, err}
	}
	before := opt.LR()
	for want, m := range map[string]made{
		"StepLR: size = 0, want at least 1":                                                 make1(NewStepLR(opt, 0, .1)),
		"StepLR: gamma = -1, want at least 0":                                               make1(NewStepLR(opt, 1, -1)),
		"MultiStepLR: milestones[1] = -3, want at least 0":                                  make1(NewMultiStepLR(opt, []int{1, -3}, .1)),
		"ExponentialLR: gamma = NaN, want at least 0":                                       make1(NewExponentialLR(opt, nan)),
		"ConstantLR: factor = 0, want above 0 and at most 1":                                make1(NewConstantLR(opt, 0, 5)),
		"ConstantLR: total = 0, want at least 1":                                            make1(NewConstantLR(opt, .5, 0)),
		"LinearLR: start = 0, want above 0 and at most 1":                                   make1(NewLinearLR(opt, 0, 1, 5)),
		"LinearLR: end = 2, want at least 0 and at most 1":                                  make1(NewLinearLR(opt, 1, 2, 5)),
		"PolynomialLR: total = 0, want at least 1":                                          make1(NewPolynomialLR(opt, 0, 1)),
		"CosineAnnealingLR: tMax = 0, want at least 1":                                      make1(NewCosineAnnealingLR(opt, 0, 0)),
		"CosineAnnealingWarmRestarts: mult = 0, want at least 1":                            make1(NewCosineAnnealingWarmRestarts(opt, 1, 0, 0)),
		"CosineAnnealingWarmRestarts: min = NaN, want at least 0":                           make1(NewCosineAnnealingWarmRestarts(opt, 1, 1, nan)),
		"LambdaLR: 0 functions, want 1 or 2":                                                make1(NewLambdaLR(opt)),
		"MultiplicativeLR: function 1 is nil":                                               make1(NewMultiplicativeLR(opt, id, nil)),
		"CyclicLR: StepSizeUp = 0, want at least 1":                                         cyclic(opt, .1, 1, 0, nil),
		"CyclicLR: Gamma = 2, want at least 0 and at most 1":                                cyclic(opt, .1, 1, 1, func(c *CyclicLRConfig) { c.Gamma = 2 }),
		"CyclicLR: BaseLR[0] = -1, want at least 0":                                         cyclic(opt, -1, 1, 1, nil),
		"CyclicLR: MaxLR has 3 numbers, want 1 or 2":                                        cyclic(opt, 1, 1, 1, func(c *CyclicLRConfig) { c.MaxLR = make([]float64, 3) }),
		"CyclicLR: Mode = 7, want Triangular, Triangular2 or ExpRange":                      cyclic(opt, 1, 1, 1, func(c *CyclicLRConfig) { c.Mode = 7 }),
		"CyclicLR: MaxMomentum = 1, want at least 0 and below 1":                            cyclic(adam, 1, 1, 1, func(c *CyclicLRConfig) { c.MaxMomentum = 1 }),
		"OneCycleLR: TotalSteps = 0, want at least 1":                                       oneCycle(opt, 1, 0, nil),
		"OneCycleLR: PctStart = 1.5, want at least 0 and at most 1":                         oneCycle(opt, 1, 9, func(c *OneCycleLRConfig) { c.PctStart = 1.5 }),
		"OneCycleLR: DivFactor = 0, want above 0":                                           oneCycle(opt, 1, 9, func(c *OneCycleLRConfig) { c.DivFactor = 0 }),
		"OneCycleLR: MaxLR[0] = NaN, want at least 0":                                       oneCycle(opt, nan, 9, nil),
		"OneCycleLR: group 0 of Adagrad has no momentum to cycle, want CycleMomentum false": oneCycle(adagrad, 1, 9, nil),
		"ReduceLROnPlateau: Factor = 1, want at least 0 and below 1":                        plateau(func(c *PlateauConfig) { c.Factor = 1 }),
		"ReduceLROnPlateau: Patience = -1, want at least 0":                                 plateau(func(c *PlateauConfig) { c.Patience = -1 }),
		"ReduceLROnPlateau: MinLR has 3 numbers, want 1 or 2":                               plateau(func(c *PlateauConfig) { c.MinLR = make([]float64, 3) }),
		"ChainedScheduler: no schedules":                                                    make1(NewChainedScheduler(opt)),
		"ChainedScheduler: schedule 1 is not one of the optimizer's":                        make1(NewChainedScheduler(opt, own, other)),
		"SequentialLR: schedule 0 is not one of the optimizer's":                            make1(NewSequentialLR(opt, []*Schedule{nil}, nil)),
		"SequentialLR: 0 milestones, want 1 for 2 schedules":                                make1(NewSequentialLR(opt, []*Schedule{own, own}, nil)),
		"SequentialLR: milestones[1] = 3, want at least 4":                                  make1(NewSequentialLR(opt, []*Schedule{own, own, own}, []int{3, 3})),
	} {
		require.EqualError(t, m.error, "train: New"+want)
		require.Nil(t, m.Schedule)
	}
	require.Equal(t, before, opt.LR())

	fresh := optimizerOf(t, .1, .2)
	late := func(t int) float64 { return float64(1 - t) }
	_, err := NewLambdaLR(fresh, id, func(int) float64 { return nan })
	require.EqualError(t, err, "train: NewLambdaLR: learning rate of group 1 = NaN, want at least 0")
	require.Equal(t, optimizerOf(t, .1, .2).State(), fresh.State())
	s := make1(NewLambdaLR(fresh, id, late))
	require.NoError(t, s.error)
	s.Step()
	require.PanicsWithValue(t, "train: LambdaLR: learning rate of group 1 at step 2 = -0.2, want at least 0", s.Step)
	require.Equal(t, 1, s.T())
	require.Equal(t, .1, fresh.LR())
}

func TestScheduleAllocs(t *testing.T) {
	for name, s := range schedules {
		opt := optimizerOf(t, .1, .2)
		m := s(opt)
		require.Zero(t, testing.AllocsPerRun(10, m.Step), name)
	}
	opt := optimizerOf(t, .1, .2)
	a, b := make1(NewLinearLR(opt, .1, 1, 5)), cyclic(opt, .1, .2, 3, nil)
	chain := make1(NewChainedScheduler(opt, a.Schedule, b.Schedule))
	require.Zero(t, testing.AllocsPerRun(10, chain.Step))
	seq := make1(NewSequentialLR(opt, []*Schedule{a.Schedule, b.Schedule}, []int{3}))
	require.Zero(t, testing.AllocsPerRun(10, seq.Step))
	p, err := NewReduceLROnPlateau(opt, DefaultPlateau())
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(10, func() { p.Step(1) }))
}
