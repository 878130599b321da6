package layer

import (
	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/kernels"
)

// How a Stream and a Tape use several threads. The members of a team share a
// call, which needs no copies of weights and adds nothing up in another order: each
// computes other numbers with the operations that one thread has for them. So the
// bits do not depend on the number of members.

// A split is what the members share in the recurrence.
type split int

const (
	bySelf       split = iota // nothing: member 0 does all
	byRows                    // the rows of the batch, which do not meet
	byDirections              // the directions, which meet after each layer, and their rows
	byUnits                   // the units of each step, after which all meet
)

// Calls are split where it pays. Times are estimated from the multiplications with
// weights.
const (
	flopsPerNano = 100 // of one core, for rows in a batch; it is less for one row

	// minCall is the work in nanoseconds from which on a call is split if workers
	// are warm: to share it takes some microseconds, also of a call that finds all
	// workers at other work.
	minCall = 25e3

	// wakeCall is the work from which on it pays to wake them, which takes them
	// 0.1 ms and the caller 10 us.
	wakeCall = 150e3

	// minStep is the work of a step from which on its units are split: members
	// wait for each other 0.3 us in each, or 2 us if they must share a processor
	// with others.
	minStep = 4e3

	// minRows is the number of rows a member that are split rather than units or
	// directions: products with fewer read weights more often than they multiply.
	minRows = 4

	// largeWeights is the size in bytes of W_hh of which each member shall keep a
	// part in its own second cache, whatever the number of rows. Forward it shall do
	// so with fewRows rows a member or less from someWeights on.
	largeWeights = 5 << 18
	someWeights  = 1 << 19
	fewRows      = 4

	// leastRows is the number of rows whose work fewer take as well, in reading
	// weights.
	leastRows = 3
)

// alone is the member of a team of one.
var alone = workers.Member{Members: 1}

// threads is what a Stream and a Tape have for several threads.
type threads struct {
	n    int
	team *workers.Team // nil for one thread

	alone bool // a step of a Stream is not worth sharing

	// work and split of recurrent, if a test has not set others.
	work  func(T, B int) float64
	split func(p *plan, members int, train bool) split
}

func newThreads(r *recurrent) threads { return threads{n: 1, work: r.work, split: r.split} }

// set sets the number of threads. It returns how many a team can have.
func (t *threads) set(fn string, n int) int {
	t.n = n
	t.team, n = newTeam(fn, n)
	return n
}

// newTeam returns a team of at most n members, nil for one, and how many it can
// have.
func newTeam(fn string, n int) (*workers.Team, int) {
	if n < 1 {
		bad(fn, "n", n, "at least 1")
	}
	if n == 1 {
		return nil, 1
	}
	team := workers.NewTeam(n)
	if team.Size() == 1 {
		return nil, 1
	}
	return team, team.Size()
}

// runTeam calls job for each member of a team, of one if the work, in nanoseconds,
// is too little to be split.
func runTeam(t *workers.Team, work float64, job func(workers.Member)) {
	if t == nil || work < minCall {
		job(alone)
		return
	}
	t.Run(job, work >= wakeCall)
}

// run calls job for each member of a team, of one if the work, in nanoseconds, is
// too little to be split, or cannot be.
func (t *threads) run(work float64, p *plan, train bool, job func(workers.Member)) {
	team := t.team
	if team != nil && t.split(p, team.Size(), train) == bySelf {
		team = nil
	}
	runTeam(team, work, job)
}

// work estimates how long T steps of B rows take one thread, in nanoseconds.
func (r *recurrent) work(T, B int) float64 {
	return 2 * float64(r.weights) * float64(T) * float64(max(B, leastRows)) / flopsPerNano
}

// split says how members share a call with a plan.
func (r *recurrent) split(p *plan, members int, train bool) split {
	blocks := (r.hidden + r.partUnits() - 1) / r.partUnits()
	step := r.work(1, p.B) / float64(len(r.dirs))
	units := p.plain() && r.hasUnits(train) && blocks > 1 && step >= minStep
	weights := r.dirs[0].whh.panels.Bytes()
	switch rows := p.B / members; {
	case members == 1:
		return bySelf
	case units && (weights > largeWeights || weights > someWeights && rows <= fewRows && !train):
		return byUnits
	case rows >= minRows:
		return byRows
	case r.bidirectional:
		return byDirections
	case units:
		return byUnits
	case p.B > 1:
		return byRows
	}
	return bySelf
}

// partUnits returns the number of units that parts of a step are multiples of.
func (r *recurrent) partUnits() int { return kernels.PartUnits(r.cell.Gates()) }

// hasUnits says whether the units of a step are independent given the state
// before it, and nothing is kept for a cell of its own.
func (r *recurrent) hasUnits(train bool) bool {
	switch r.cell.(type) {
	case cell.RNN, cell.LSTM, cell.GRU:
		return r.proj == 0 && r.zoneoutH == 0 && r.zoneoutC == 0 && !(train && r.recurrentDropout > 0)
	}
	return false
}

// A share is what one member does of the recurrence: rows lo to hi of the plan and
// units from to of the directions d0 to d1.
type share struct {
	split    split
	lo, hi   int
	d0, d1   int
	from, to int
	back     bool // of a pass back
}

// share returns the share of m in a pass forward or back.
func (r *recurrent) share(m workers.Member, s split, p *plan, back bool) share {
	w := share{split: s, hi: p.B, d1: r.directions(), to: r.hidden, back: back}
	switch s {
	case bySelf:
		if m.Index > 0 {
			w.hi = 0
		}
	case byRows:
		w.lo, w.hi = p.share(m.Index, m.Members)
	case byDirections:
		w.d0 = m.Index % 2
		w.d1 = w.d0 + 1
		w.lo, w.hi = p.share(m.Index/2, (m.Members+1-w.d0)/2)
	case byUnits:
		unit := r.partUnits()
		if back {
			unit = kernels.PartUnits(1) // of W_hh transposed
		}
		w.from, w.to = shareOf(m, r.hidden, unit)
	}
	return w
}

// shareOf returns the share of m of n things in multiples of unit.
func shareOf(m workers.Member, n, unit int) (lo, hi int) {
	lo, hi = m.Share((n + unit - 1) / unit)
	return min(lo*unit, n), min(hi*unit, n)
}

// share returns the rows of share i of n, which have about as many steps as others.
func (p *plan) share(i, n int) (lo, hi int) {
	if !p.ragged {
		return workers.Member{Index: i, Members: n}.Share(p.B)
	}
	total := 0
	for row := range p.order {
		total += p.length(row)
	}
	lo, hi = p.B, p.B
	sum := 0
	for row := range p.order {
		if lo == p.B && sum*n >= total*i {
			lo = row
		}
		if i < n-1 && sum*n >= total*(i+1) {
			return lo, row
		}
		sum += p.length(row)
	}
	return lo, hi
}

// newParts makes the panels that setUnits sets.
func (s *scan) newParts() {
	s.parts[0].SetPart(s.wih.panels, 0, 0)
	s.parts[1].SetPart(s.whh.panels, 0, 0)
	s.parts[2] = *s.parts[1].Reversed()
}

// setUnits makes the scan that of units from to, whose gates are in memory of its
// own, for a team in which m is one.
func (s *scan) setUnits(m workers.Member, from, to int) {
	st, d := &s.step, s.direction
	st.First, st.Units = from, to-from
	s.parts[0].SetPart(d.wih.panels, from, to)
	s.parts[1].SetPart(d.whh.panels, from, to)
	s.wx, st.W, s.other, s.member = &s.parts[0], &s.parts[1], &s.parts[2], m
	col := kernels.PackedIndex(st.W.Gates(), from, 0)
	part := func(bias []float32) []float32 {
		if bias == nil {
			return nil
		}
		return bias[min(col, len(bias)):][:st.W.Width()]
	}
	st.Bias, st.BiasH = part(d.bias), part(d.biasH)
}

// allUnits sets the scan to all units.
func (s *scan) allUnits() {
	st, d := &s.step, s.direction
	st.First, st.Units = 0, d.whh.panels.Units()
	s.wx, st.W, s.other, s.member = d.wih.panels, d.whh.panels, d.whh.other, alone
	st.Bias, st.BiasH = d.bias, d.biasH
}
