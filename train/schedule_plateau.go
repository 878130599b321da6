package train

import (
	"fmt"
	"math"
	"slices"
)

// PlateauConfig are the settings of ReduceLROnPlateau. Zero means zero: start from
// DefaultPlateau.
type PlateauConfig struct {
	Maximize  bool      // a larger metric is better
	Factor    float64   // times the learning rate
	Patience  int       // bad epochs that are let pass
	Threshold float64   // how much better counts
	Absolute  bool      // Threshold is a difference, not a part of the best metric
	Cooldown  int       // epochs after a reduction in which none is bad
	MinLR     []float64 // one for all groups or one for each; nil means 0
	Eps       float64   // smaller changes of a learning rate are not made
}

// DefaultPlateau returns PyTorch's defaults: factor .1, patience 10, a relative
// threshold of 1e-4, eps 1e-8.
func DefaultPlateau() PlateauConfig {
	return PlateauConfig{Factor: .1, Patience: 10, Threshold: 1e-4, Eps: 1e-8}
}

// ReduceLROnPlateau lowers the learning rates when a metric has stopped getting
// better. A metric is better if it is
//
//	below best * (1-Threshold)   // Absolute: best - Threshold
//	above best * (1+Threshold)   // Maximize; Absolute: best + Threshold
//
// An epoch whose metric is not better, NaN too, is bad, but none is bad in the
// Cooldown epochs after a reduction. After more than Patience bad epochs in a row
//
//	lr = max(lr*Factor, MinLR)
//
// Source: torch.optim.lr_scheduler.ReduceLROnPlateau.
type ReduceLROnPlateau struct {
	cfg    PlateauConfig
	groups []*Group
	min    []float64
	state  PlateauState
}

// PlateauState is what a ReduceLROnPlateau needs to go on where another one
// stopped, beside the learning rates, which are in the optimizer's state. Names
// are PyTorch's.
type PlateauState struct {
	LastEpoch       int // calls of Step
	Best            float64
	Improved        bool // Best has been set
	NumBadEpochs    int
	CooldownCounter int
}

// NewReduceLROnPlateau makes the schedule for the groups that opt has now. The
// error is about cfg.
func NewReduceLROnPlateau(opt Optimizer, cfg PlateauConfig) (*ReduceLROnPlateau, error) {
	const name = "ReduceLROnPlateau"
	if err := checkArguments(name, argument{"Factor", cfg.Factor, below1}, argument{"Patience", float64(cfg.Patience), atLeast0},
		argument{"Threshold", cfg.Threshold, atLeast0}, argument{"Cooldown", float64(cfg.Cooldown), atLeast0},
		argument{"Eps", cfg.Eps, atLeast0}); err != nil {
		return nil, err
	}
	if cfg.MinLR == nil {
		cfg.MinLR = []float64{0}
	}
	if err := checkPerGroup(name, "MinLR", opt, cfg.MinLR, atLeast0); err != nil {
		return nil, err
	}
	return &ReduceLROnPlateau{cfg: cfg, groups: slices.Clone(opt.Groups()), min: perGroup(opt, cfg.MinLR)}, nil
}

// Step takes the metric of an epoch, such as the loss on held-out data.
func (r *ReduceLROnPlateau) Step(metric float64) {
	s := &r.state
	s.LastEpoch++
	if r.better(metric) {
		s.Best, s.Improved, s.NumBadEpochs = metric, true, 0
	} else {
		s.NumBadEpochs++
	}
	if s.CooldownCounter > 0 {
		s.CooldownCounter--
		s.NumBadEpochs = 0
	}
	if s.NumBadEpochs <= r.cfg.Patience {
		return
	}
	for i, g := range r.groups {
		if lr := max(g.LR()*r.cfg.Factor, r.min[i]); g.LR()-lr > r.cfg.Eps {
			g.SetLR(lr)
		}
	}
	s.CooldownCounter, s.NumBadEpochs = r.cfg.Cooldown, 0
}

func (r *ReduceLROnPlateau) better(metric float64) bool {
	best, by := r.state.Best, r.cfg.Threshold
	if !r.state.Improved {
		best = math.Inf(1)
		if r.cfg.Maximize {
			best = math.Inf(-1)
		}
	}
	switch {
	case r.cfg.Maximize && r.cfg.Absolute:
		return metric > best+by
	case r.cfg.Maximize:
		return metric > best*(1+by)
	case r.cfg.Absolute:
		return metric < best-by
	}
	return metric < best*(1-by)
}

// State returns what LoadState needs.
func (r *ReduceLROnPlateau) State() PlateauState { return r.state }

// LoadState restores what State returned. An error changes nothing.
func (r *ReduceLROnPlateau) LoadState(s PlateauState) error {
	for _, n := range []struct {
		name string
		v    int
	}{{"LastEpoch", s.LastEpoch}, {"NumBadEpochs", s.NumBadEpochs}, {"CooldownCounter", s.CooldownCounter}} {
		if err := checkCount(n.name, n.v); err != nil {
			return fmt.Errorf("train: ReduceLROnPlateau.LoadState: %w", err)
		}
	}
	if math.IsNaN(s.Best) {
		return fmt.Errorf("train: ReduceLROnPlateau.LoadState: Best = NaN, want a number")
	}
	r.state = s
	return nil
}
