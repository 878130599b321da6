// Package workers is the pool of goroutines behind SetThreads: one for the
// process, of at most GOMAXPROCS-1 goroutines beside the callers.
//
// A [Team] belongs to one caller and has no goroutine of its own. Each call of
// Run or Each borrows from the pool what is idle, and no more than what keeps
// the goroutines inside such calls within GOMAXPROCS. It never waits for a
// worker that another caller has: it makes do with fewer, or works alone. So a
// result must not depend on the number of members.
//
// # Costs
//
// To wake a goroutine takes some 0.1 ms until it runs, and 10 us of the time of
// who wakes it; to hand work to one that polls a variable takes 0.2 us. So a
// worker polls for [keepWarm] before it parks, which is about what a wake-up
// costs, and for [keepWoken] if it was woken while a call went on without it.
// Within a call members meet at barriers, where they poll too. Whoever polls
// yields to other goroutines each microsecond, and after a while it naps, which
// yields to other processes: the member that it waits for may need the processor.
package workers

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// burst is the number of loads between two looks at the clock.
	burst = 200

	// eager is how long a wait polls between two yields: enough to leave the
	// scheduler, which locks, out of the usual wait at a barrier.
	eager = time.Microsecond

	// keepWarm is how long an idle worker polls before it parks, and keepWoken how
	// long one polls that was woken for the next call: longer than the call that
	// woke it goes on.
	keepWarm  = 50 * time.Microsecond
	keepWoken = 300 * time.Microsecond

	// patience is how long a member polls before it naps, the longer the longer
	// it has waited, from minNap to maxNap. Shares of a large step that reads its
	// weights from memory may take so different a time.
	patience       = 500 * time.Microsecond
	minNap, maxNap = 20 * time.Microsecond, 200 * time.Microsecond
)

// The states of a worker. It owns itself while it is warm, parked or waking, a
// team from reserved to done.
const (
	warm     = iota // polls for work
	parked          // waits for wake
	waking          // has been woken, does not poll yet
	reserved        // for a team that is not complete yet
	assigned        // to begin
	running
	done // until the team lets it go
)

var pool struct {
	grow    sync.Mutex
	workers atomic.Pointer[[]*worker] // replaced when it grows; nil at first

	// active is the number of goroutines inside calls, callers that work alone
	// included.
	active atomic.Int64
}

// all returns the workers of the pool.
func all() []*worker {
	if p := pool.workers.Load(); p != nil {
		return *p
	}
	return nil
}

// A worker is a goroutine of the pool.
type worker struct {
	state  atomic.Uint32
	wake   chan struct{}
	team   *Team // that it works for
	member int   // as which
	_      [128]byte
}

// hire adds a worker to the pool if it has less than limit. It returns nil if it
// has them.
func hire(limit int, state uint32) *worker {
	pool.grow.Lock()
	defer pool.grow.Unlock()
	old := all()
	if len(old) >= limit {
		return nil
	}
	w := &worker{wake: make(chan struct{}, 1)}
	w.state.Store(state)
	grown := append(old[:len(old):len(old)], w)
	pool.workers.Store(&grown)
	go w.loop()
	return w
}

// take changes the state from one in which the worker owns itself. A parked one
// is woken, if wake allows to take it.
func (w *worker) take(to uint32, wake bool) bool {
	s := w.state.Load()
	if s > waking || s != warm && !wake || !w.state.CompareAndSwap(s, to) {
		return false
	}
	if s == parked {
		w.wake <- struct{}{} // has room: a worker parks again only after it has received
	}
	return true
}

func (w *worker) loop() {
	defer func() { go w.loop() }() // a job has called Goexit
	for {
		w.rest()
		w.work()
	}
}

// rest returns when there is work.
func (w *worker) rest() {
	var b backoff
	var poll bool
	var keep time.Duration
	reset := func() { b, poll, keep = backoff{start: time.Now()}, runtime.GOMAXPROCS(0) > 1, keepWarm }
	reset()
	for {
		s := w.state.Load()
		switch {
		case s == assigned:
			if w.state.CompareAndSwap(assigned, running) {
				return
			}
		case s == waking:
			if w.state.CompareAndSwap(waking, warm) {
				keep = keepWoken
			}
		case poll && changed(&w.state, s):
			if s == done {
				reset()
			}
		case s != warm, poll && time.Since(b.start) < keep: // a team has yet to decide, or to come
			b.pause()
		case w.state.CompareAndSwap(warm, parked):
			<-w.wake
			reset()
		}
	}
}

// work does the share of the worker.
func (w *worker) work() {
	t, ended := w.team, false
	defer func() {
		if v := recover(); !ended {
			t.fail(v)
		}
		w.team = nil // a team that is dropped is garbage
		w.state.Store(done)
	}()
	t.job(Member{w.member, t.members, t})
	ended = true
}

// A Team is one caller and the workers that it borrows call by call. It is for
// one goroutine at a time.
type Team struct {
	job     func(Member)
	members int       // of this call
	workers []*worker // member i is workers[i], but for 0, the caller
	slots   []slot
	failed  atomic.Pointer[Panic]
	ended   time.Time // of the last call that was not to wake anyone

	// Of Each.
	pieces func(Member)
	piece  func(i int)
	n      int64
	next   atomic.Int64
}

// A slot has two cache lines for itself, as processors fetch them in pairs.
type slot struct {
	epoch atomic.Uint32 // the number of barriers that the member has reached
	_     [124]byte
}

// NewTeam returns a team of at most n members, the caller included. It starts
// the workers that the pool lacks for it. It panics if n < 1.
func NewTeam(n int) *Team {
	if n < 1 {
		panic(fmt.Sprintf("workers: NewTeam: n = %d, want at least 1", n))
	}
	procs := runtime.GOMAXPROCS(0)
	n = min(n, max(procs, runtime.NumCPU()))
	t := &Team{workers: make([]*worker, n), slots: make([]slot, n)}
	t.pieces = t.each
	for hire(min(n, procs)-1, waking) != nil {
	}
	return t
}

// Size returns the largest number of members that t can have: n, or less if that
// is more than the processors.
func (t *Team) Size() int { return len(t.slots) }

// A Member is what a goroutine is in a call of Run.
type Member struct {
	Index   int // 0 is the caller
	Members int
	team    *Team
}

// Share returns the part [from, to) of n things that is the member's own: the
// parts are in order, and as equal as possible.
func (m Member) Share(n int) (from, to int) {
	q, r := n/m.Members, n%m.Members
	from = m.Index*q + min(m.Index, r)
	to = from + q
	if m.Index < r {
		to++
	}
	return from, to
}

// Wait returns when all members have called it as often as this one: what they
// wrote before may be read after.
func (m Member) Wait() {
	if m.Members == 1 {
		return
	}
	t := m.team
	epoch := &t.slots[m.Index].epoch
	old := epoch.Load()
	epoch.Store(old + 1)
	for i := range t.slots[:m.Members] {
		if i == m.Index {
			continue
		}
		var b backoff
		for !changed(&t.slots[i].epoch, old) {
			if t.failed.Load() != nil {
				panic(errFailed)
			}
			b.pause()
		}
	}
}

// Run calls job once for each member of a team, at the same time, and returns
// when all have returned. How many they are may change from call to call. All
// must call Wait equally often. Run does not allocate, but a closure or a method
// value does: make job once.
//
// If wake is set, the team gets parked workers too, and waits for them at its
// first barrier: that pays for calls of some 0.3 ms or more. Without it the team
// gets those that are warm, and wakes the others for the next call only if this
// one follows closely on the last: a loop of short calls warms them, calls that
// are far apart leave them alone.
//
// If job panics, the other members panic at their next Wait, and then Run does:
// with what the caller panicked with, or else with a *[Panic].
func (t *Team) Run(job func(Member), wake bool) {
	t.run(job, len(t.slots), wake, false)
}

// Each calls piece(i) for each i in [0, n), each once, in any order and at the
// same time. For wake, panics and allocation see Run, but nobody waits for a
// worker that wakes too late to do a piece.
func (t *Team) Each(n int, piece func(i int), wake bool) {
	t.piece, t.n = piece, int64(n)
	t.next.Store(0)
	t.run(t.pieces, min(n, len(t.slots)), wake, true)
}

func (t *Team) each(Member) {
	for n := t.n; t.failed.Load() == nil; {
		i := t.next.Add(1) - 1
		if i >= n {
			return
		}
		t.piece(int(i))
	}
}

// run is Run for a team of at most limit. If late is set, members that have not
// begun when the caller ends need not begin.
func (t *Team) run(job func(Member), limit int, wake, late bool) {
	t.members = 1
	if limit <= 1 {
		job(Member{0, 1, t})
		return
	}
	t.job = job
	t.enlist(limit, wake)
	ended := false
	defer func() {
		v := recover()
		if !ended {
			t.fail(v)
		}
		t.dismiss(late)
		if !wake {
			t.ended = time.Now()
		}
		if p := t.failed.Swap(nil); p != nil {
			switch {
			case ended || v == errFailed:
				panic(p)
			case v != nil: // not so after Goexit
				panic(v)
			}
		}
	}()
	job(Member{0, t.members, t})
	ended = true
}

// enlist sets members and has them begin.
func (t *Team) enlist(limit int, wake bool) {
	var spare int // processors
	procs := runtime.GOMAXPROCS(0)
	for {
		active := pool.active.Load()
		spare = max(0, min(limit, procs-int(active))-1)
		if pool.active.CompareAndSwap(active, active+1+int64(spare)) {
			break
		}
	}
	want := 1 + spare
	for _, w := range all() {
		if t.members == want {
			break
		}
		if w.take(reserved, wake) {
			t.add(w)
		}
	}
	switch {
	case t.members == want:
	case wake:
		for t.members < want {
			w := hire(procs-1, reserved)
			if w == nil {
				break
			}
			t.add(w)
		}
	case time.Since(t.ended) < keepWarm:
		missing := want - t.members
		for _, w := range all() {
			if missing > 0 && w.state.Load() == parked && w.take(waking, true) {
				missing--
			}
		}
	}
	pool.active.Add(int64(t.members - want))
	for i := range t.slots[:t.members] {
		t.slots[i].epoch.Store(0)
	}
	for i, w := range t.workers[1:t.members] {
		w.team, w.member = t, i+1
		w.state.Store(assigned)
	}
}

func (t *Team) add(w *worker) {
	t.workers[t.members] = w
	t.members++
}

// dismiss waits until the members have ended, and lets them go.
func (t *Team) dismiss(late bool) {
	for i, w := range t.workers[1:t.members] {
		t.workers[i+1] = nil
		if (late || t.failed.Load() != nil) && w.state.CompareAndSwap(assigned, waking) {
			continue
		}
		var b backoff
		for s := w.state.Load(); s != done; s = w.state.Load() {
			if !changed(&w.state, s) {
				b.pause()
			}
		}
		w.state.Store(warm)
	}
	pool.active.Add(-int64(t.members))
}

// errFailed is what a member panics with if another one has failed.
var errFailed = errors.New("workers: another member has failed")

// A Panic is what a worker panicked with.
type Panic struct {
	Value any // nil if it called runtime.Goexit
	Stack []byte
}

func (p *Panic) Error() string {
	return fmt.Sprintf("%v\n\nin a worker:\n%s", p.Value, p.Stack)
}

// Unwrap returns Value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// fail notes that a member has not returned from its job, but panicked with v.
//
//go:noinline
func (t *Team) fail(v any) {
	if v != errFailed {
		t.failed.CompareAndSwap(nil, &Panic{v, debug.Stack()})
	}
}

// changed polls w for a value that is not old.
func changed(w *atomic.Uint32, old uint32) bool {
	for range burst {
		if w.Load() != old {
			return true
		}
	}
	return false
}

// A backoff paces one wait.
type backoff struct {
	start   time.Time // of the wait
	yielded time.Time // last, or start
}

// pause is called between bursts. It yields to other goroutines, and after
// patience to other processes.
func (b *backoff) pause() {
	now := time.Now()
	if b.start.IsZero() {
		b.start, b.yielded = now, now
	}
	switch waited := now.Sub(b.start); {
	case waited > patience:
		time.Sleep(min(max(waited/8, minNap), maxNap))
	case now.Sub(b.yielded) > eager:
		runtime.Gosched()
		b.yielded = now
	}
}
