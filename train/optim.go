package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// An Optimizer updates parameters from their gradients: [SGD], [Adam], [RMSprop],
// [Adagrad], [Adadelta], [NAdam] or [RAdam].
//
// Its parameters stand in groups, each with settings of its own. The constructor
// makes the first group, AddGroup another one.
type Optimizer interface {
	// Step updates the parameters from their gradients and packs them, once for
	// each owner. A parameter without a gradient is never changed.
	Step()
	// ZeroGrad sets every gradient to zero.
	ZeroGrad()
	// SetThreads sets the number of threads that Step may use.
	SetThreads(n int)
	// Params returns the parameters of all groups, in order.
	Params() layer.Params
	// Groups returns the groups, in order.
	Groups() []*Group
	// LR returns the learning rate of the first group.
	LR() float64
	// SetLR sets the learning rate of all groups. It panics if lr is negative or
	// NaN.
	SetLR(lr float64)
	// State returns what LoadState needs to go on with the same bits. Its tensors
	// are views, valid until the next Step.
	State() OptimizerState
	// LoadState restores settings and tensors from a copy of what State returned.
	// An error changes nothing.
	LoadState(s OptimizerState) error
}

// A Group is the parameters of an optimizer that share its settings. Schedules
// work on groups.
type Group struct {
	params       layer.Params
	optimizer    string // its name
	lr, momentum field  // momentum.v is nil if there is none
	initialLR    float64
	scheduled    bool   // initialLR is set
	grow         func() // makes the tensors that changed settings need
}

// Params returns the parameters of the group. The slice must not be changed.
func (g *Group) Params() layer.Params { return g.params }

// LR returns the learning rate.
func (g *Group) LR() float64 { return *g.lr.v }

// SetLR sets the learning rate of the next steps. It panics if lr is negative or
// NaN.
func (g *Group) SetLR(lr float64) { g.set(g.lr, lr) }

// Momentum returns the momentum, or Beta1 of Adam and its relatives. ok reports
// whether the optimizer has such a setting.
func (g *Group) Momentum() (momentum float64, ok bool) {
	if g.momentum.v == nil {
		return 0, false
	}
	return *g.momentum.v, true
}

// SetMomentum sets the momentum, or Beta1, of the next steps. It panics if the
// optimizer has neither, or if the number is out of the setting's range. It
// allocates the buffer of a momentum that was 0.
func (g *Group) SetMomentum(momentum float64) {
	if g.momentum.v == nil {
		noMomentum(g.optimizer)
	}
	old := *g.momentum.v
	g.set(g.momentum, momentum)
	if old == 0 {
		g.grow()
	}
}

//go:noinline
func noMomentum(optimizer string) { panic(fmt.Sprintf("train: %s has no momentum", optimizer)) }

func (g *Group) set(f field, v float64) {
	if !f.want.holds(v) {
		badSetting(g.optimizer, f, v)
	}
	*f.v = v
}

//go:noinline
func badSetting(optimizer string, f field, v float64) {
	panic(fmt.Sprintf("train: %s: %s = %v, want %s", optimizer, f.name, v, f.want.text))
}

// A field is a setting of a config: a number or a flag.
type field struct {
	name string // in the config
	key  string // in PyTorch's groups; beta1 and beta2 are its betas
	v    *float64
	want limit
	flag *bool // instead of v
}

// A limit is what a number must be.
type limit struct {
	text  string
	holds func(float64) bool
}

var (
	atLeast0 = limit{"at least 0", func(v float64) bool { return v >= 0 }}
	below1   = limit{"at least 0 and below 1", func(v float64) bool { return v >= 0 && v < 1 }}
	upTo1    = limit{"at least 0 and at most 1", func(v float64) bool { return v >= 0 && v <= 1 }}
	anything = limit{"a number", func(v float64) bool { return v == v }}
)

func checkFields(fields []field) error {
	for _, f := range fields {
		if f.v != nil && !f.want.holds(*f.v) {
			return fmt.Errorf("%s = %v, want %s", f.name, *f.v, f.want.text)
		}
	}
	return nil
}

// A tensor is a parameter and what its optimizer keeps for it.
type tensor[F kernels.Float] struct {
	p, g  []F   // g is nil if it is not trained
	state [][]F // one for each slot; nil where it is not in use
	t     int   // steps made
	begun bool  // a late slot has been set
	memo  *memo // of its group
}

// A memo remembers powers, as those of all parameters of a group are the same.
type memo [4]struct{ x, y, power float64 }

// pow returns x^y, y > 0, for the use i.
func (m *memo) pow(i int, x, y float64) float64 {
	e := &m[i]
	if e.x != x || e.y != y {
		e.x, e.y, e.power = x, y, math.Pow(x, y)
	}
	return e.power
}

// A slot describes a tensor of the state.
type slot struct {
	name    string // PyTorch's
	on      bool   // these settings use it
	scalar  bool   // one number, not one for each element
	initial float64
	late    bool // it is not there before the first step that uses it
}

// grow makes the state that slots ask for and x does not have yet.
func (x *tensor[F]) grow(slots []slot) {
	if x.g == nil {
		return
	}
	if x.state == nil {
		x.state = make([][]F, len(slots))
	}
	for i, s := range slots {
		if s.on {
			x.add(i, s)
		}
	}
}

// add makes a slot's part of the state, unless it is there.
func (x *tensor[F]) add(i int, s slot) {
	if x.state[i] != nil {
		return
	}
	n := len(x.p)
	if s.scalar {
		n = 1
	}
	x.state[i] = make([]F, n)
	for j := range x.state[i] {
		x.state[i][j] = F(s.initial)
	}
}

// A config holds the settings of an optimizer and knows its update.
type config[C any] interface {
	*C
	fields() []field         // the learning rate first
	check() error            // of fields that depend on each other
	slots() []slot           // the same number for all settings
	step(x *tensor[float32]) // makes step x.t
}

// optimizer is what all optimizers are.
type optimizer[C any, P config[C]] struct {
	name   string
	groups []*group[C]
	list   []*Group
	params layer.Params
	owners layer.Params // a parameter of each owner

	threads optimThreads
	shares  []share[C]
}

type group[C any] struct {
	Group
	cfg     C
	tensors []tensor[float32] // as Group.params
}

// init makes the first group.
func (o *optimizer[C, P]) init(name string, params layer.Params, cfg C) error {
	o.name = name
	_, err := kernels.Active()
	if err == nil {
		err = o.add(params, cfg)
	}
	if err != nil {
		return fmt.Errorf("train: New%s: %w", name, err)
	}
	return nil
}

// AddGroup adds parameters with settings of their own. Each parameter may stand
// in one group only.
func (o *optimizer[C, P]) AddGroup(params layer.Params, cfg C) error {
	if err := o.add(params, cfg); err != nil {
		return fmt.Errorf("train: %s.AddGroup: %w", o.name, err)
	}
	return nil
}

func (o *optimizer[C, P]) add(params layer.Params, cfg C) error {
	g := &group[C]{cfg: cfg}
	c := P(&g.cfg)
	fields := c.fields()
	if err := errors.Join(checkFields(fields), c.check()); err != nil {
		return err
	}
	if err := o.checkParams(params); err != nil {
		return err
	}
	g.Group = Group{params: slices.Clone(params), optimizer: o.name, lr: fields[0]}
	for _, f := range fields {
		if f.key == "momentum" || f.key == "beta1" {
			g.momentum = f
		}
	}
	shared := &memo{}
	for _, p := range params {
		g.tensors = append(g.tensors, tensor[float32]{p: p.Data, g: p.Grad, memo: shared})
		sameOwner := func(q layer.Param) bool { return q.Owner == p.Owner }
		if p.Grad != nil && !slices.ContainsFunc(o.owners, sameOwner) {
			o.owners = append(o.owners, p)
		}
	}
	g.grow = func() {
		slots := P(&g.cfg).slots()
		for i := range g.tensors {
			g.tensors[i].grow(slots)
		}
	}
	g.grow()
	o.groups, o.list = append(o.groups, g), append(o.list, &g.Group)
	o.cut()
	o.params = append(o.params, params...)
	return nil
}

func (o *optimizer[C, P]) checkParams(params layer.Params) error {
	if len(params) == 0 {
		return errors.New("no parameters")
	}
	seen := map[*float32]bool{}
	for _, p := range o.params {
		if len(p.Data) > 0 {
			seen[&p.Data[0]] = true
		}
	}
	trained := false
	for _, p := range params {
		trained = trained || p.Grad != nil
		if p.Grad != nil && len(p.Grad) != len(p.Data) {
			return fmt.Errorf("%s has %d gradients, want %d", p.Name, len(p.Grad), len(p.Data))
		}
		if len(p.Data) > 0 {
			if seen[&p.Data[0]] {
				return fmt.Errorf("%s is given twice, want each parameter once", p.Name)
			}
			seen[&p.Data[0]] = true
		}
	}
	if !trained {
		return errors.New("no parameter has a gradient, want the parameters of a tape")
	}
	return nil
}

// Step updates the parameters from their gradients and packs them, once for each
// owner.
func (o *optimizer[C, P]) Step() {
	if o.threads.team != nil {
		o.stepThreads()
		return
	}
	for _, g := range o.groups {
		c := P(&g.cfg)
		for i := range g.tensors {
			if x := &g.tensors[i]; x.g != nil {
				x.t++
				c.step(x)
			}
		}
	}
	o.owners.Pack()
}

// ZeroGrad sets every gradient to zero.
func (o *optimizer[C, P]) ZeroGrad() { o.params.ZeroGrad() }

// Params returns the parameters of all groups, in order. The slice must not be
// changed.
func (o *optimizer[C, P]) Params() layer.Params { return o.params }

// Groups returns the groups, in order. The slice must not be changed.
func (o *optimizer[C, P]) Groups() []*Group { return o.list }

// Config returns the settings of a group as they are now.
func (o *optimizer[C, P]) Config(group int) C { return o.groups[group].cfg }

// LR returns the learning rate of the first group.
func (o *optimizer[C, P]) LR() float64 { return o.list[0].LR() }

// SetLR sets the learning rate of all groups. It panics if lr is negative or NaN.
func (o *optimizer[C, P]) SetLR(lr float64) {
	for _, g := range o.list {
		g.SetLR(lr)
	}
}

// sign is what the gradient is multiplied with.
func sign(maximize bool) float64 {
	if maximize {
		return -1
	}
	return 1
}
