package train

import (
	"fmt"
	"math"
	"slices"
)

// perGroup returns a setting of each group: values has one for all or one for
// each.
func perGroup(opt Optimizer, values []float64) []float64 {
	if n := len(opt.Groups()); len(values) == 1 {
		return slices.Repeat(values, n)
	}
	return slices.Clone(values)
}

// checkPerGroup checks a setting that is given once or for each group.
func checkPerGroup(name, arg string, opt Optimizer, values []float64, want limit) error {
	if n := len(opt.Groups()); len(values) != 1 && len(values) != n {
		return fmt.Errorf("train: New%s: %s has %d numbers, want 1 or %d", name, arg, len(values), n)
	}
	for i, v := range values {
		if !want.holds(v) {
			return fmt.Errorf("train: New%s: %s[%d] = %v, want %s", name, arg, i, v, want.text)
		}
	}
	return nil
}

// checkMomentum checks that all groups have a momentum in whose range v is.
func checkMomentum(name string, opt Optimizer, values ...argument) error {
	for i, g := range opt.Groups() {
		if g.momentum.v == nil {
			return fmt.Errorf("train: New%s: group %d of %s has no momentum to cycle, want CycleMomentum false", name, i, g.optimizer)
		}
		for j := range values {
			values[j].want = g.momentum.want
		}
	}
	return checkArguments(name, values...)
}

// CyclicMode says how the cycles of [NewCyclicLR] change.
type CyclicMode int

const (
	Triangular  CyclicMode = iota // all cycles are the same
	Triangular2                   // each has half the height of the one before
	ExpRange                      // the height is multiplied with Gamma at every step
)

// CyclicLRConfig are the settings of CyclicLR. Zero means zero: start from
// DefaultCyclicLR. Slices have one number for all groups or one for each.
type CyclicLRConfig struct {
	BaseLR, MaxLR             []float64
	StepSizeUp, StepSizeDown  int // steps from BaseLR to MaxLR and back; StepSizeDown 0 means StepSizeUp
	Mode                      CyclicMode
	Gamma                     float64 // of ExpRange
	CycleMomentum             bool    // moves the momentum, or Beta1, the other way
	BaseMomentum, MaxMomentum float64
}

// DefaultCyclicLR returns PyTorch's defaults: 2000 steps up and as many down,
// Triangular, Gamma 1, momentum between .8 and .9. It leaves BaseLR and MaxLR to
// the caller.
func DefaultCyclicLR() CyclicLRConfig {
	return CyclicLRConfig{StepSizeUp: 2000, Gamma: 1, CycleMomentum: true, BaseMomentum: .8, MaxMomentum: .9}
}

// NewCyclicLR moves the learning rate between BaseLR and MaxLR. With up and down
// for the sizes of steps, cycle c = 1 + floor(t/(up+down)) and
//
//	x  = t/(up+down) - (c-1)
//	h  = x*(up+down)/up, or (1-x)*(up+down)/down after the top
//	h  = h, h/2^(c-1) or h*Gamma^t // by Mode
//	lr = BaseLR + (MaxLR-BaseLR)*h
//
// and the momentum is MaxMomentum - (MaxMomentum-BaseMomentum)*h. Source: Smith
// 2017, "Cyclical Learning Rates for Training Neural Networks".
func NewCyclicLR(opt Optimizer, cfg CyclicLRConfig) (*Schedule, error) {
	const name = "CyclicLR"
	up, down := float64(cfg.StepSizeUp), float64(cfg.StepSizeDown)
	if down == 0 {
		down = up
	}
	if err := checkArguments(name, argument{"StepSizeUp", up, atLeast1}, argument{"StepSizeDown", down, atLeast1},
		argument{"Gamma", cfg.Gamma, upTo1}); err != nil {
		return nil, err
	}
	if cfg.Mode < Triangular || cfg.Mode > ExpRange {
		return nil, fmt.Errorf("train: New%s: Mode = %d, want Triangular, Triangular2 or ExpRange", name, cfg.Mode)
	}
	if err := checkPerGroup(name, "BaseLR", opt, cfg.BaseLR, atLeast0); err != nil {
		return nil, err
	}
	if err := checkPerGroup(name, "MaxLR", opt, cfg.MaxLR, atLeast0); err != nil {
		return nil, err
	}
	if cfg.CycleMomentum {
		if err := checkMomentum(name, opt, argument{name: "BaseMomentum", v: cfg.BaseMomentum}, argument{name: "MaxMomentum", v: cfg.MaxMomentum}); err != nil {
			return nil, err
		}
	}
	total := up + down
	height := func(t int) float64 {
		cycle := math.Floor(1 + float64(t)/total)
		x := 1 + float64(t)/total - cycle
		h := x / (up / total)
		if x > up/total {
			h = (x - 1) / (up/total - 1)
		}
		switch cfg.Mode {
		case Triangular2:
			h /= math.Pow(2, cycle-1)
		case ExpRange:
			h *= math.Pow(cfg.Gamma, float64(t))
		}
		return h
	}
	low, high := perGroup(opt, cfg.BaseLR), perGroup(opt, cfg.MaxLR)
	r := rule{lr: func(t, group int, _, _ float64) float64 {
		return low[group] + float64((high[group]-low[group])*height(t))
	}}
	if cfg.CycleMomentum {
		r.momentum = func(t, _ int) (float64, bool) {
			return cfg.MaxMomentum - float64((cfg.MaxMomentum-cfg.BaseMomentum)*height(t)), true
		}
	}
	return newSchedule(name, opt, r, low, true)
}

// OneCycleLRConfig are the settings of OneCycleLR. Zero means zero: start from
// DefaultOneCycleLR.
type OneCycleLRConfig struct {
	MaxLR                     []float64 // one for all groups or one for each
	TotalSteps                int
	PctStart                  float64 // the part of the steps that rises
	Linear                    bool    // straight lines, not cosines
	ThreePhase                bool    // falls to the first rate, and then to the last one
	CycleMomentum             bool    // moves the momentum, or Beta1, the other way
	BaseMomentum, MaxMomentum float64
	DivFactor                 float64 // the first rate is MaxLR/DivFactor
	FinalDivFactor            float64 // the last rate is the first one/FinalDivFactor
}

// DefaultOneCycleLR returns PyTorch's defaults: .3 of the steps rise, by cosines,
// momentum between .85 and .95, DivFactor 25 and FinalDivFactor 1e4. It leaves
// MaxLR and TotalSteps to the caller.
func DefaultOneCycleLR() OneCycleLRConfig {
	return OneCycleLRConfig{
		PctStart: .3, CycleMomentum: true, BaseMomentum: .85, MaxMomentum: .95,
		DivFactor: 25, FinalDivFactor: 1e4,
	}
}

// A phase of OneCycleLR moves numbers from one end to the other until its last
// step.
type phase struct {
	end      float64
	lr       [2]func(peak float64) float64
	momentum [2]float64
}

// NewOneCycleLR raises the learning rate from MaxLR/DivFactor to MaxLR, at step
// PctStart*TotalSteps - 1, and lowers it to MaxLR/DivFactor/FinalDivFactor, at
// step TotalSteps - 1. At a part u of the way from a to b
//
//	lr = b + (a-b)/2 * (1 + cos(pi*u)), or a + (b-a)*u if Linear
//
// and the momentum moves from MaxMomentum to BaseMomentum and back. With
// ThreePhase the fall to the first rate is as long as the rise, and the rest
// falls to the last rate. As in PyTorch step TotalSteps is accepted, and a later
// one panics. Source: Smith and Topin 2017, "Super-Convergence: Very Fast Training
// of Neural Networks Using Large Learning Rates".
func NewOneCycleLR(opt Optimizer, cfg OneCycleLRConfig) (*Schedule, error) {
	const name = "OneCycleLR"
	if err := checkArguments(name, argument{"TotalSteps", float64(cfg.TotalSteps), atLeast1}, argument{"PctStart", cfg.PctStart, upTo1},
		argument{"DivFactor", cfg.DivFactor, above0}, argument{"FinalDivFactor", cfg.FinalDivFactor, above0}); err != nil {
		return nil, err
	}
	if err := checkPerGroup(name, "MaxLR", opt, cfg.MaxLR, atLeast0); err != nil {
		return nil, err
	}
	if cfg.CycleMomentum {
		if err := checkMomentum(name, opt, argument{name: "BaseMomentum", v: cfg.BaseMomentum}, argument{name: "MaxMomentum", v: cfg.MaxMomentum}); err != nil {
			return nil, err
		}
	}
	first := func(peak float64) float64 { return peak / cfg.DivFactor }
	top := func(peak float64) float64 { return peak }
	final := func(peak float64) float64 { return peak / cfg.DivFactor / cfg.FinalDivFactor }
	type ends = [2]func(float64) float64
	low, high, total := cfg.BaseMomentum, cfg.MaxMomentum, float64(cfg.TotalSteps)
	rise := float64(cfg.PctStart * total)
	phases := []phase{{rise - 1, ends{first, top}, [2]float64{high, low}}}
	if cfg.ThreePhase {
		phases = append(phases, phase{2*rise - 2, ends{top, first}, [2]float64{low, high}},
			phase{total - 1, ends{first, final}, [2]float64{high, high}})
	} else {
		phases = append(phases, phase{total - 1, ends{top, final}, [2]float64{low, high}})
	}
	// at returns the phase of step t and the part of it that has passed.
	at := func(t int) (*phase, float64) {
		i, start := 0, 0.0
		for i < len(phases)-1 && float64(t) > phases[i].end {
			start = phases[i].end
			i++
		}
		p := &phases[i]
		if p.end == start {
			return p, 1
		}
		return p, (float64(t) - start) / (p.end - start)
	}
	between := func(a, b, u float64) float64 {
		if cfg.Linear {
			return float64((b-a)*max(0, min(u, 1))) + a // PyTorch's line goes on below the last rate
		}
		return b + float64((a-b)/2*(math.Cos(math.Pi*u)+1))
	}
	peaks := perGroup(opt, cfg.MaxLR)
	r := rule{last: cfg.TotalSteps, rebases: true, lr: func(t, group int, _, _ float64) float64 {
		p, u := at(t)
		return between(p.lr[0](peaks[group]), p.lr[1](peaks[group]), u)
	}}
	if cfg.CycleMomentum {
		r.momentum = func(t, _ int) (float64, bool) {
			p, u := at(t)
			return between(p.momentum[0], p.momentum[1], u), true
		}
	}
	base := make([]float64, len(peaks))
	for i, peak := range peaks {
		base[i] = first(peak)
	}
	return newSchedule(name, opt, r, base, true)
}
