package main

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A load is goroutines of which each makes the same call again and again.
type load struct {
	calls []func() // one a goroutine

	// rate is the number of calls a second of all goroutines together. They come at
	// random, independent of each other and of how long the ones before take
	// (Poisson); the time of a call counts from when it was due. With rate 0 each
	// follows on the one before, after a yield, as a server yields that waits for
	// the next request, and its time counts from its start.
	rate float64

	// garbage has a goroutine make garbage and collect it, over and over.
	garbage bool
}

// A result is what a load did between two moments.
type result struct {
	elapsed     time.Duration
	calls       int
	least, most int // calls of a goroutine
	times       histogram
	mallocs     uint64
	collections uint64
	pauses      pauses // of all goroutines, by the collector
	waits       int64  // for locks, under functions of simdrnn
}

func (r *result) perSecond() float64 { return float64(r.calls) / r.elapsed.Seconds() }

// The phases of a run.
const (
	warming = iota
	measuring
	ended
)

// caller is what a goroutine of a load knows.
type caller struct {
	calls atomic.Int64 // all of the run
	first int64        // calls when measuring began
	times histogram    // while measuring
}

// run measures until done returns true, which it asks now and then. done is told how
// many calls the goroutine with the fewest has made since measuring began, and the
// time since.
func (l *load) run(done func(fewest int, since time.Duration) bool) *result {
	runtime.GC() // of what was before
	var phase atomic.Int32
	var all sync.WaitGroup
	callers := make([]caller, len(l.calls))
	for i, call := range l.calls {
		c := &callers[i]
		all.Go(func() { l.loop(c, call, &phase, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	if l.garbage {
		all.Go(func() { collect(&phase) })
	}
	fewest := func() int {
		n := int64(math.MaxInt64)
		for i := range callers {
			n = min(n, callers[i].calls.Load()-callers[i].first)
		}
		return int(n)
	}
	for fewest() < 1 {
		time.Sleep(time.Millisecond)
	}

	r := &result{}
	var before, after runtime.MemStats
	waits, pauses := lockWaits(), readPauses()
	runtime.ReadMemStats(&before) // before the calls are counted: what they allocate is seen, all of it
	for i := range callers {
		callers[i].first = callers[i].calls.Load()
	}
	start := time.Now()
	phase.Store(measuring)
	for !done(fewest(), time.Since(start)) {
		time.Sleep(time.Millisecond)
	}
	phase.Store(ended)
	r.elapsed = time.Since(start)
	r.least = math.MaxInt
	for i := range callers {
		n := int(callers[i].calls.Load() - callers[i].first)
		r.calls += n
		r.least, r.most = min(r.least, n), max(r.most, n)
	}
	runtime.ReadMemStats(&after)
	all.Wait()
	for i := range callers {
		r.times.add(&callers[i].times)
	}
	r.mallocs = after.Mallocs - before.Mallocs
	r.collections = uint64(after.NumGC - before.NumGC)
	r.pauses = readPauses().since(pauses)
	r.waits = lockWaits() - waits
	return r
}

// runFor measures for a time.
func (l *load) runFor(d time.Duration) *result {
	return l.run(func(_ int, since time.Duration) bool { return since >= d })
}

func (l *load) loop(c *caller, call func(), phase *atomic.Int32, random *rand.Rand) {
	var gap float64 // mean time between two calls of one goroutine, in nanoseconds
	due := time.Now()
	if l.rate > 0 {
		gap = 1e9 * float64(len(l.calls)) / l.rate
		due = due.Add(time.Duration(gap * random.Float64()))
	}
	for phase.Load() != ended {
		if l.rate > 0 {
			time.Sleep(time.Until(due))
		} else {
			runtime.Gosched()
			due = time.Now()
		}
		call()
		if phase.Load() == measuring {
			c.times.note(time.Since(due))
		}
		c.calls.Add(1)
		due = due.Add(time.Duration(gap * random.ExpFloat64()))
	}
}

// collect makes garbage, keeps some for a while, as a server keeps sessions, and
// collects it, some hundred times a second.
func collect(phase *atomic.Int32) {
	type session struct {
		name *string
		data []byte
	}
	kept := make([]*session, 1<<12)
	for i := 0; phase.Load() != ended; {
		for range 1 << 10 {
			kept[i%len(kept)] = &session{new(string), make([]byte, 256)}
			i++
		}
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
	}
}

// spin is a loop of Go alone that takes one or two nanoseconds a turn, which the
// runtime can interrupt anywhere.
//
//go:noinline
func spin(turns int) (s float32) {
	for range turns {
		s = float32(s*.999) + .5
	}
	return s
}

// spins is a load beside which others are judged: goroutines in loops of Go that take d
// each.
func spins(goroutines int, d time.Duration) *load {
	const turns = 1 << 16
	best := time.Hour
	for range 20 {
		start := time.Now()
		runtime.KeepAlive(spin(turns))
		best = min(best, time.Since(start))
	}
	n := int(float64(turns) * float64(d) / float64(best))
	return &load{calls: slices.Repeat([]func(){func() { runtime.KeepAlive(spin(n)) }}, goroutines)}
}

// A histogram counts durations, by ranges of 1/32 of their lower end.
type histogram struct {
	counts [60 << sub]uint32
	most   time.Duration
}

const sub = 5

func (h *histogram) note(d time.Duration) {
	h.most = max(h.most, d)
	h.counts[index(uint64(max(d, 0)))]++
}

// index returns the number of the range that ns is in, lowest its lower end.
func index(ns uint64) int {
	if ns < 1<<sub {
		return int(ns)
	}
	e := bits.Len64(ns) - sub - 1
	return e<<sub + int(ns>>e)
}

func lowest(i int) uint64 {
	e := max(0, i>>sub-1)
	return uint64(i-e<<sub) << e
}

func (h *histogram) add(g *histogram) {
	for i, n := range g.counts {
		h.counts[i] += n
	}
	h.most = max(h.most, g.most)
}

// quantile returns a time that the part q of the durations does not exceed, by more
// than 1/32.
func (h *histogram) quantile(q float64) time.Duration {
	var total, sum uint64
	for _, n := range h.counts {
		total += uint64(n)
	}
	for i, n := range h.counts {
		if sum += uint64(n); sum > 0 && float64(sum) >= q*float64(total) {
			return min(h.most, time.Duration(lowest(i+1)))
		}
	}
	return 0
}

// pauses are how long the world stood still, as package runtime/metrics counts it.
type pauses struct {
	counts []uint64
	ends   []float64 // counts[i] is of ends[i] to ends[i+1] seconds
}

func readPauses() pauses {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	return pauses{slices.Clone(h.Counts), h.Buckets}
}

func (p pauses) since(old pauses) pauses {
	for i, n := range old.counts {
		p.counts[i] -= n
	}
	return p
}

// with returns the pauses of p and q.
func (p pauses) with(q pauses) pauses {
	if p.counts == nil {
		return q
	}
	counts := slices.Clone(p.counts)
	for i, n := range q.counts {
		counts[i] += n
	}
	return pauses{counts, p.ends}
}

func (p pauses) total() (n uint64) {
	for _, c := range p.counts {
		n += c
	}
	return n
}

// quantile returns the upper end of the range that the quantile is in; that of 1 is of
// the longest pause.
func (p pauses) quantile(q float64) time.Duration {
	sum, total := uint64(0), p.total()
	for i, n := range p.counts {
		if sum += n; sum > 0 && float64(sum) >= q*float64(total) {
			end := p.ends[i+1]
			if math.IsInf(end, 1) {
				end = p.ends[i]
			}
			return time.Duration(1e9 * end)
		}
	}
	return 0
}

// library is the beginning of the names of functions of simdrnn, benchmarks that of
// those which are none of the library.
const library, benchmarks = "github.com/simdrnn/simdrnn/", library + "bench/"

// lockWaits returns how often a goroutine has waited for a lock that was let go by
// simdrnn or what it calls, as far as runtime's profile of mutexes knows.
func lockWaits() (n int64) { return contention(library, benchmarks) }

// contention returns the number of waits with a function on the stack whose name begins
// with prefix, but not with except. Locks inside the runtime do not count: it has one
// for memory, to grow a stack for example.
func contention(prefix, except string) (n int64) {
	var records []runtime.BlockProfileRecord
	for ok := false; !ok; {
		var n int
		records = make([]runtime.BlockProfileRecord, len(records)+64)
		if n, ok = runtime.MutexProfile(records); ok {
			records = records[:n]
		}
	}
	for _, r := range records {
		frames := runtime.CallersFrames(r.Stack())
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "runtime.") {
			continue
		}
		for ; more; f, more = frames.Next() {
			if strings.HasPrefix(f.Function, prefix) && !strings.HasPrefix(f.Function, except) {
				n += r.Count
				break
			}
		}
	}
	return n
}
