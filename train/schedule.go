package train

import (
	"fmt"
	"math"
	"slices"
)

// A Schedule changes the learning rates of an optimizer's groups, as the classes
// of torch.optim.lr_scheduler do. Each has a constructor, which sets the rates of
// step 0; Step goes on to the next ones. The order is PyTorch's:
//
//	opt.Step()
//	schedule.Step()
//
// Below, t is the number of calls of Step and base is a group's learning rate
// before the first schedule was made for it, or the first rate of CyclicLR if that
// was the first schedule, or of the last OneCycleLR. Equations give the rate at t. Like
// PyTorch's, most schedules compute it from the rate at t-1, so that several of
// them multiply their effects, and what SetLR sets remains.
//
// A group that joins the optimizer later is not scheduled. Constructors return an
// error, and change nothing, if an argument is out of its range or if the first rates
// would be negative or NaN.
type Schedule struct {
	name   string
	rule   rule
	groups []*Group
	base   []float64
	next   []float64   // rates that are about to be set
	parts  []*Schedule // of a schedule of several
	t      int
}

// A rule is what a schedule does.
type rule struct {
	// lr returns the learning rate of a group at t from its base and its present
	// rate, that of t-1, or base if t is 0.
	lr func(t, group int, base, lr float64) float64
	// momentum returns the momentum at t, and false if it stays as it is; nil
	// means that for all t.
	momentum func(t, group int) (float64, bool)
	last     int  // the last t, or 0 for no end
	keeps    bool // in a sequence it begins with the rate that is, not with base
	rebases  bool // its base becomes that of the groups
}

// newSchedule makes a schedule and sets the rates of step 0. A schedule that has
// rates of its own passes the base of each group. It begins with the base, if
// fresh, or with the rate that is.
func newSchedule(name string, opt Optimizer, r rule, base []float64, fresh bool) (*Schedule, error) {
	s := &Schedule{name: name, rule: r, groups: slices.Clone(opt.Groups()), base: base}
	for _, g := range s.groups {
		now := g.LR()
		if base == nil {
			if !g.scheduled {
				s.base = append(s.base, now)
			} else {
				s.base = append(s.base, g.initialLR)
			}
		}
		s.next = append(s.next, now)
	}
	if fresh {
		copy(s.next, s.base)
	}
	if i := s.rates(0); i >= 0 {
		return nil, fmt.Errorf("train: New%s: learning rate of group %d = %v, want %s", name, i, s.next[i], atLeast0.text)
	}
	for i, g := range s.groups {
		if !g.scheduled || r.rebases {
			g.initialLR, g.scheduled = s.base[i], true
		}
	}
	s.set()
	return s, nil
}

// Step sets the learning rates of the next step. It panics if the schedule is at
// its end, which only [NewOneCycleLR] has, or if a function of the caller makes a
// rate negative or NaN; nothing is changed then.
func (s *Schedule) Step() {
	if s.rule.last > 0 && s.t >= s.rule.last {
		scheduleEnded(s.name, s.rule.last)
	}
	for i, g := range s.groups {
		s.next[i] = g.LR()
	}
	if i := s.rates(s.t + 1); i >= 0 {
		badRate(s.name, s.t+1, i, s.next[i])
	}
	s.t++
	s.set()
}

//go:noinline
func scheduleEnded(name string, last int) {
	panic(fmt.Sprintf("train: %s: step %d, want at most %d", name, last+1, last))
}

//go:noinline
func badRate(name string, t, group int, lr float64) {
	panic(fmt.Sprintf("train: %s: learning rate of group %d at step %d = %v, want %s", name, group, t, lr, atLeast0.text))
}

// rates changes next from the learning rates before t to those at t. It returns
// the first group whose rate is out of range, or -1.
func (s *Schedule) rates(t int) (bad int) {
	bad = -1
	for i := range s.next {
		s.next[i] = s.rule.lr(t, i, s.base[i], s.next[i])
		if bad < 0 && !atLeast0.holds(s.next[i]) {
			bad = i
		}
	}
	return bad
}

// set writes what rates has computed, and the momenta.
func (s *Schedule) set() {
	for i, g := range s.groups {
		g.SetLR(s.next[i])
		if s.rule.momentum == nil {
			continue
		}
		if m, ok := s.rule.momentum(s.t, i); ok {
			g.SetMomentum(m)
		}
	}
}

// T returns the number of calls of Step.
func (s *Schedule) T() int { return s.t }

// ScheduleState is what a schedule needs to go on where another one stopped,
// beside the learning rates, which are in the optimizer's state.
type ScheduleState struct {
	Schedule  string // its name, for example "StepLR"; may be empty for LoadState
	LastEpoch int    // PyTorch's name for the number of calls of Step

	// BaseLRs are the base of each group, and for a schedule of several those of its
	// parts, in order. Without these LoadState gives the parts the first.
	BaseLRs []float64
}

// State returns what LoadState needs.
func (s *Schedule) State() ScheduleState {
	return ScheduleState{s.name, s.t, slices.Concat(s.bases()...)}
}

// bases returns the base of the schedule, and those of its parts.
func (s *Schedule) bases() [][]float64 {
	all := [][]float64{s.base}
	for _, p := range s.parts {
		all = append(all, p.bases()...)
	}
	return all
}

// LoadState restores what State returned. Load the optimizer's state after its
// schedules are made: constructors set learning rates. An error changes nothing.
func (s *Schedule) LoadState(state ScheduleState) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("train: %s.LoadState: "+format, append([]any{s.name}, args...)...)
	}
	all, n := s.bases(), len(s.base)
	switch {
	case state.Schedule != "" && state.Schedule != s.name:
		return fail("state is of %s, want %s", state.Schedule, s.name)
	case s.rule.last > 0 && state.LastEpoch > s.rule.last:
		return fail("LastEpoch = %d, want at most %d", state.LastEpoch, s.rule.last)
	case len(state.BaseLRs) != n && len(state.BaseLRs) != n*len(all):
		return fail("state has %d groups, want %d", len(state.BaseLRs), n)
	}
	if err := checkCount("LastEpoch", state.LastEpoch); err != nil {
		return fail("%w", err)
	}
	for i, b := range state.BaseLRs {
		if !atLeast0.holds(b) {
			return fail("BaseLRs[%d] = %v, want %s", i, b, atLeast0.text)
		}
	}
	s.t = state.LastEpoch
	for i, base := range all {
		copy(base, state.BaseLRs[i*n%len(state.BaseLRs):])
	}
	return nil
}

// An argument of a constructor and what it must be.
type argument struct {
	name string
	v    float64
	want limit
}

var (
	atLeast1  = limit{"at least 1", func(v float64) bool { return v >= 1 }}
	above0    = limit{"above 0", func(v float64) bool { return v > 0 }}
	above0To1 = limit{"above 0 and at most 1", func(v float64) bool { return v > 0 && v <= 1 }}
)

// checkArguments checks the arguments of the constructor New<name>.
func checkArguments(name string, args ...argument) error {
	for _, a := range args {
		if !a.want.holds(a.v) {
			return fmt.Errorf("train: New%s: %s = %v, want %s", name, a.name, a.v, a.want.text)
		}
	}
	return nil
}

// simple makes a schedule of a rule that is a function of t, base and lr.
func simple(name string, opt Optimizer, lr func(t int, base, lr float64) float64, args ...argument) (*Schedule, error) {
	if err := checkArguments(name, args...); err != nil {
		return nil, err
	}
	return newSchedule(name, opt, rule{lr: func(t, _ int, base, now float64) float64 { return lr(t, base, now) }}, nil, false)
}

// NewStepLR multiplies the learning rate with gamma every size steps:
//
//	lr = base * gamma^floor(t/size)
//
// PyTorch's gamma is .1 by default.
func NewStepLR(opt Optimizer, size int, gamma float64) (*Schedule, error) {
	return simple("StepLR", opt, func(t int, _, lr float64) float64 {
		if t == 0 || t%size != 0 {
			return lr
		}
		return lr * gamma
	}, argument{"size", float64(size), atLeast1}, argument{"gamma", gamma, atLeast0})
}

// NewMultiStepLR multiplies the learning rate with gamma at each of milestones,
// in any order; one that comes twice counts twice:
//
//	lr = base * gamma^(number of milestones <= t)
//
// PyTorch's gamma is .1 by default.
func NewMultiStepLR(opt Optimizer, milestones []int, gamma float64) (*Schedule, error) {
	args := []argument{{"gamma", gamma, atLeast0}}
	for i, m := range milestones {
		args = append(args, argument{fmt.Sprintf("milestones[%d]", i), float64(m), atLeast0})
	}
	milestones = slices.Clone(milestones)
	return simple("MultiStepLR", opt, func(t int, _, lr float64) float64 {
		n := 0
		for _, m := range milestones {
			if m == t {
				n++
			}
		}
		if n == 0 {
			return lr
		}
		return lr * math.Pow(gamma, float64(n))
	}, args...)
}

// NewExponentialLR multiplies the learning rate with gamma at every step:
//
//	lr = base * gamma^t
func NewExponentialLR(opt Optimizer, gamma float64) (*Schedule, error) {
	return simple("ExponentialLR", opt, func(t int, _, lr float64) float64 {
		if t == 0 {
			return lr
		}
		return lr * gamma
	}, argument{"gamma", gamma, atLeast0})
}

// NewConstantLR lowers the learning rate for the first steps:
//
//	lr = base * factor // t < total
//	lr = base          // else
//
// PyTorch's factor is 1/3 and its total 5 by default.
func NewConstantLR(opt Optimizer, factor float64, total int) (*Schedule, error) {
	return simple("ConstantLR", opt, func(t int, _, lr float64) float64 {
		switch t {
		case 0:
			return lr * factor
		case total:
			return lr * (1 / factor)
		}
		return lr
	}, argument{"factor", factor, above0To1}, argument{"total", float64(total), atLeast1})
}

// NewLinearLR changes the learning rate linearly, and then leaves it:
//
//	lr = base * (start + (end-start)*min(t, total)/total)
//
// PyTorch's start is 1/3, its end 1 and its total 5 by default.
func NewLinearLR(opt Optimizer, start, end float64, total int) (*Schedule, error) {
	return simple("LinearLR", opt, func(t int, _, lr float64) float64 {
		switch {
		case t == 0:
			return lr * start
		case t > total:
			return lr
		}
		return lr * (1 + (end-start)/(float64(float64(total)*start)+float64(float64(t-1)*(end-start))))
	}, argument{"start", start, above0To1}, argument{"end", end, upTo1}, argument{"total", float64(total), atLeast1})
}

// NewPolynomialLR lowers the learning rate to 0:
//
//	lr = base * (1 - min(t, total)/total)^power
//
// PyTorch's total is 5 and its power 1 by default.
func NewPolynomialLR(opt Optimizer, total int, power float64) (*Schedule, error) {
	return simple("PolynomialLR", opt, func(t int, _, lr float64) float64 {
		if t == 0 || t > total {
			return lr
		}
		n := float64(total)
		return lr * math.Pow((1-float64(t)/n)/(1-float64(t-1)/n), power)
	}, argument{"total", float64(total), atLeast1}, argument{"power", power, atLeast0})
}

// NewCosineAnnealingLR moves the learning rate to min in tMax steps, back in as
// many, and so on:
//
//	lr = min + (base-min) * (1 + cos(pi*t/tMax))/2
//
// PyTorch's min (eta_min) is 0 by default. Source: Loshchilov and Hutter 2017,
// "SGDR: Stochastic Gradient Descent with Warm Restarts", without restarts.
func NewCosineAnnealingLR(opt Optimizer, tMax int, min float64) (*Schedule, error) {
	cos := func(t int) float64 { return math.Cos(math.Pi * float64(t) / float64(tMax)) }
	return simple("CosineAnnealingLR", opt, func(t int, base, lr float64) float64 {
		switch {
		case t == 0:
			return lr
		case t > tMax && (t-1-tMax)%(2*tMax) == 0: // the last step met min, and nothing can be divided by
			return lr + float64((base-min)*(1-cos(1))/2)
		}
		return float64((1+cos(t))/(1+cos(t-1))*(lr-min)) + min
	}, argument{"tMax", float64(tMax), atLeast1}, argument{"min", min, atLeast0})
}

// NewCosineAnnealingWarmRestarts moves the learning rate to min again and again.
// The first period has t0 steps, each other one mult times those of the one
// before. At step u of a period of n steps
//
//	lr = min + (base-min) * (1 + cos(pi*u/n))/2
//
// PyTorch's mult is 1 and its min (eta_min) 0 by default. Source: Loshchilov and
// Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".
func NewCosineAnnealingWarmRestarts(opt Optimizer, t0, mult int, min float64) (*Schedule, error) {
	return simple("CosineAnnealingWarmRestarts", opt, func(t int, base, _ float64) float64 {
		u, n := t, t0
		if mult == 1 {
			u %= n
		}
		for u >= n {
			u -= n
			if n > math.MaxInt/mult {
				n = math.MaxInt // no t is as large
			} else {
				n *= mult
			}
		}
		return min + float64((base-min)*(1+math.Cos(math.Pi*float64(u)/float64(n)))/2)
	}, argument{"t0", float64(t0), atLeast1}, argument{"mult", float64(mult), atLeast1}, argument{"min", min, atLeast0})
}

// NewLambdaLR computes the learning rate as the caller wants it, with one function
// for all groups or one for each:
//
//	lr = base * f(t)
func NewLambdaLR(opt Optimizer, f ...func(t int) float64) (*Schedule, error) {
	return lambda("LambdaLR", opt, f, rule{lr: func(t, group int, base, _ float64) float64 { return base * f[group%len(f)](t) }})
}

// NewMultiplicativeLR multiplies the learning rate with what the caller's function
// returns, one for all groups or one for each:
//
//	lr = base * f(1)*f(2)*...*f(t)
//
// In [NewSequentialLR] it begins with the learning rate that is.
func NewMultiplicativeLR(opt Optimizer, f ...func(t int) float64) (*Schedule, error) {
	return lambda("MultiplicativeLR", opt, f, rule{keeps: true, lr: func(t, group int, _, lr float64) float64 {
		if t == 0 {
			return lr
		}
		return lr * f[group%len(f)](t)
	}})
}

func lambda(name string, opt Optimizer, f []func(int) float64, r rule) (*Schedule, error) {
	if n := len(opt.Groups()); len(f) != 1 && len(f) != n {
		return nil, fmt.Errorf("train: New%s: %d functions, want 1 or %d", name, len(f), n)
	}
	if i := slices.IndexFunc(f, func(f func(int) float64) bool { return f == nil }); i >= 0 {
		return nil, fmt.Errorf("train: New%s: function %d is nil", name, i)
	}
	return newSchedule(name, opt, r, nil, false)
}

// NewChainedScheduler makes one schedule of several, whose effects are multiplied:
// a Step takes that of each, in order. They must have been made for opt, and must
// not be used themselves any more.
func NewChainedScheduler(opt Optimizer, schedules ...*Schedule) (*Schedule, error) {
	const name = "ChainedScheduler"
	if err := checkParts(name, opt, schedules); err != nil {
		return nil, err
	}
	parts := slices.Clone(schedules)
	r := rule{
		lr: func(t, group int, _, lr float64) float64 {
			for _, p := range parts {
				lr = p.rule.lr(p.t+t, group, p.base[group], lr)
			}
			return lr
		},
		momentum: func(t, group int) (m float64, ok bool) {
			for _, p := range parts {
				if p.rule.momentum != nil {
					if v, set := p.rule.momentum(p.t+t, group); set {
						m, ok = v, true
					}
				}
			}
			return m, ok
		},
	}
	for _, p := range parts {
		if p.rule.last > 0 {
			r.end(p.rule.last - p.t)
		}
	}
	s := &Schedule{name: name, rule: r, parts: parts, groups: parts[0].groups, next: make([]float64, len(parts[0].groups))}
	for _, g := range s.groups {
		s.base = append(s.base, g.initialLR)
	}
	return s, nil
}

// end lowers the last step.
func (r *rule) end(last int) {
	if r.last == 0 || last < r.last {
		r.last = last
	}
}

// NewSequentialLR makes one schedule of several that follow one another: the
// first until t = milestones[0], the second, from its own t = 0 on, until t =
// milestones[1], and so on. The first begins with the base of the groups, each
// later one with the base that it was made with. The schedules must have been made
// for opt, and must not be used themselves any more; the learning rates go back to
// step 0 of the first.
//
// A warm-up and what follows it:
//
//	warmup, err := train.NewLinearLR(opt, .1, 1, 10)
//	decay, err := train.NewCosineAnnealingLR(opt, 90, 0)
//	schedule, err := train.NewSequentialLR(opt, []*train.Schedule{warmup, decay}, []int{10})
func NewSequentialLR(opt Optimizer, schedules []*Schedule, milestones []int) (*Schedule, error) {
	const name = "SequentialLR"
	if err := checkParts(name, opt, schedules); err != nil {
		return nil, err
	}
	if len(milestones) != len(schedules)-1 {
		return nil, fmt.Errorf("train: New%s: %d milestones, want %d for %d schedules", name, len(milestones), len(schedules)-1, len(schedules))
	}
	for i, m := range milestones {
		if least := 1 + slices.Max(append([]int{0}, milestones[:i]...)); m < least {
			return nil, fmt.Errorf("train: New%s: milestones[%d] = %d, want at least %d", name, i, m, least)
		}
	}
	parts, starts := slices.Clone(schedules), append([]int{0}, milestones...)
	// at returns the part of t and its own t.
	at := func(t int) (*Schedule, int) {
		i := len(parts) - 1
		for starts[i] > t {
			i--
		}
		return parts[i], t - starts[i]
	}
	r := rule{
		lr: func(t, group int, base, lr float64) float64 {
			part, u := at(t)
			switch {
			case t == 0:
				lr = base
			case u == 0 && !part.rule.keeps:
				lr = part.base[group]
			}
			return part.rule.lr(u, group, part.base[group], lr)
		},
		momentum: func(t, group int) (float64, bool) {
			part, u := at(t)
			if part.rule.momentum == nil {
				return 0, false
			}
			return part.rule.momentum(u, group)
		},
	}
	for i, p := range parts {
		if end := starts[i] + p.rule.last; p.rule.last > 0 && (i == len(parts)-1 || end < starts[i+1]-1) {
			r.end(end)
		}
	}
	s, err := newSchedule(name, opt, r, nil, true)
	if err != nil {
		return nil, err
	}
	s.parts = parts
	return s, nil
}

// checkParts checks the schedules that a schedule is made of.
func checkParts(name string, opt Optimizer, parts []*Schedule) error {
	if len(parts) == 0 {
		return fmt.Errorf("train: New%s: no schedules", name)
	}
	for i, p := range parts {
		if p == nil || !slices.Equal(p.groups, opt.Groups()) {
			return fmt.Errorf("train: New%s: schedule %d is not one of the optimizer's", name, i)
		}
	}
	return nil
}
