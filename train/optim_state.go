package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// OptimizerState is all that an optimizer needs to go on where another one
// stopped, as torch.optim.Optimizer.state_dict has it.
type OptimizerState struct {
	Optimizer string // its type, for example "Adam"; may be empty for LoadState
	Groups    []GroupState
}

// GroupState is the part of a group.
type GroupState struct {
	// Settings are named as in PyTorch's param_groups, but for beta1 and beta2,
	// which are the two betas. A flag is 0 or 1. initial_lr is there if a
	// schedule works on the group. LoadState leaves settings that are missing as
	// they are.
	Settings []Setting
	Params   []ParamState // in order
}

// A Setting is a named number.
type Setting struct {
	Name  string
	Value float64
}

// ParamState is the part of a parameter. LoadState takes one without tensors for
// that of a parameter that has not been updated yet.
type ParamState struct {
	Name    string // that of the parameter; may be empty for LoadState
	Step    int    // steps made
	Tensors []StateTensor
}

// A StateTensor is a tensor that an optimizer keeps for a parameter, under
// PyTorch's name: exp_avg, exp_avg_sq, max_exp_avg_sq, mu_product,
// momentum_buffer, square_avg, grad_avg, sum or acc_delta. It has the shape of
// the parameter; mu_product is a single number.
type StateTensor struct {
	Name string
	Data []float32
}

const initialLR = "initial_lr"

// State returns what LoadState needs to go on with the same bits. Its tensors are
// views, valid until the next Step.
func (o *optimizer[C, P]) State() OptimizerState {
	s := OptimizerState{Optimizer: o.name}
	for _, g := range o.groups {
		c := P(&g.cfg)
		var gs GroupState
		for _, f := range c.fields() {
			gs.Settings = append(gs.Settings, Setting{f.key, f.value()})
		}
		if g.scheduled {
			gs.Settings = append(gs.Settings, Setting{initialLR, g.initialLR})
		}
		slots := c.slots()
		for i, p := range g.params {
			x := &g.tensors[i]
			ps := ParamState{Name: p.Name, Step: x.t}
			for k, d := range x.state {
				if d != nil && (!slots[k].late || x.begun) {
					ps.Tensors = append(ps.Tensors, StateTensor{slots[k].name, d})
				}
			}
			gs.Params = append(gs.Params, ps)
		}
		s.Groups = append(s.Groups, gs)
	}
	return s
}

func (f field) value() float64 {
	switch {
	case f.v != nil:
		return *f.v
	case *f.flag:
		return 1
	}
	return 0
}

func (f field) load(v float64) error {
	if f.v != nil {
		*f.v = v
		return nil
	}
	if v != 0 && v != 1 {
		return fmt.Errorf("%s = %v, want 0 or 1", f.key, v)
	}
	*f.flag = v == 1
	return nil
}

// LoadState restores settings and tensors from a copy of s. The groups and their
// parameters must be those of the optimizer that s comes from. An error changes
// nothing.
func (o *optimizer[C, P]) LoadState(s OptimizerState) error {
	fail := func(err error) error { return fmt.Errorf("train: %s.LoadState: %w", o.name, err) }
	if s.Optimizer != "" && s.Optimizer != o.name {
		return fail(fmt.Errorf("state is of %s, want %s", s.Optimizer, o.name))
	}
	if len(s.Groups) != len(o.groups) {
		return fail(fmt.Errorf("state has %d groups, want %d", len(s.Groups), len(o.groups)))
	}
	loaded := make([]*group[C], len(o.groups))
	for i, g := range o.groups {
		var err error
		if loaded[i], err = loadGroup[C, P](g, s.Groups[i]); err != nil {
			return fail(fmt.Errorf("group %d: %w", i, err))
		}
	}
	for i, g := range o.groups {
		l := loaded[i]
		g.cfg, g.tensors, g.initialLR, g.scheduled = l.cfg, l.tensors, l.initialLR, l.scheduled
	}
	return nil
}

// loadGroup returns a group with the settings and tensors of s and the parameters
// of g. Its fields lr, momentum and grow are not set.
func loadGroup[C any, P config[C]](g *group[C], s GroupState) (*group[C], error) {
	l := &group[C]{cfg: g.cfg}
	l.initialLR, l.scheduled = g.initialLR, g.scheduled
	c := P(&l.cfg)
	fields := c.fields()
	for _, v := range s.Settings {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == v.Name })
		switch {
		case i >= 0:
			if err := fields[i].load(v.Value); err != nil {
				return nil, err
			}
		case v.Name == initialLR && atLeast0.holds(v.Value):
			l.initialLR, l.scheduled = v.Value, true
		case v.Name == initialLR:
			return nil, fmt.Errorf("%s = %v, want %s", v.Name, v.Value, atLeast0.text)
		default:
			return nil, fmt.Errorf("%s is no setting of %s", v.Name, g.optimizer)
		}
	}
	err := checkFields(fields)
	if !slices.ContainsFunc(fields, func(f field) bool { return f.key == "momentum" && *f.v == 0 }) { // as SetMomentum allows
		err = errors.Join(err, c.check())
	}
	if err != nil {
		return nil, err
	}
	if len(s.Params) != len(g.params) {
		return nil, fmt.Errorf("state has %d parameters, want %d", len(s.Params), len(g.params))
	}
	slots := c.slots()
	for i, ps := range s.Params {
		name := g.params[i].Name
		if ps.Name != "" && ps.Name != name {
			return nil, fmt.Errorf("parameter %d is %s, want %s", i, ps.Name, name)
		}
		x := tensor[float32]{p: g.tensors[i].p, g: g.tensors[i].g, memo: g.tensors[i].memo}
		x.grow(slots)
		if err := x.load(slots, ps); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		l.tensors = append(l.tensors, x)
	}
	return l, nil
}

// maxCount bounds a counter that is loaded: there is room for as many steps again.
const maxCount = math.MaxInt / 2

func checkCount(name string, n int) error {
	switch {
	case n < 0:
		return fmt.Errorf("%s = %d, want at least 0", name, n)
	case n > maxCount:
		return fmt.Errorf("%s = %d, want at most %d", name, n, maxCount)
	}
	return nil
}

// load copies the state of a parameter that is trained.
func (x *tensor[F]) load(slots []slot, s ParamState) error {
	if err := checkCount("step", s.Step); err != nil {
		return err
	}
	if x.g == nil {
		return nil
	}
	x.t = s.Step
	found := make([]bool, len(slots))
	for _, d := range s.Tensors {
		i := slices.IndexFunc(slots, func(s slot) bool { return s.name == d.Name })
		if i < 0 {
			return fmt.Errorf("unknown tensor %s", d.Name)
		}
		x.add(i, slots[i]) // also one that the settings do not use now
		if len(d.Data) != len(x.state[i]) {
			return fmt.Errorf("%s has %d elements, want %d", d.Name, len(d.Data), len(x.state[i]))
		}
		for j, v := range d.Data {
			x.state[i][j] = F(v)
		}
		found[i], x.begun = true, x.begun || slots[i].late
	}
	for i, slot := range slots {
		if slot.on && !slot.late && !found[i] && len(s.Tensors) > 0 {
			return fmt.Errorf("%s is missing", slot.name)
		}
	}
	return nil
}
