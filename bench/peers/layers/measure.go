package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/simdrnn/simdrnn/bench/limits"
	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/kernels"
)

const (
	leastRounds = 7
	tolerance   = 1e-5 // of results; whoever is further off computes something else
	maxCalls    = 1 << 20

	// A peer that takes farBehind times as long as the fastest one decides nothing:
	// it runs in farRounds rounds only, with samples of a fifth.
	farBehind = 4
	farRounds = 3
)

// A plan is how to measure.
type plan struct {
	rows    []*row
	peers   []peer
	threads []int // 1, all CPUs, or both
	rounds  int
	sample  time.Duration // the least time of a sample that holds more than one call
	quick   bool
	again   bool      // also rows that the report has
	log     io.Writer // of progress
	dir     string    // for files
	save    func(*report) error
}

// competitor is a contender of one run, ours the first.
type competitor struct {
	contender
	name  string
	takes func(*row) bool // nil is all
	why   error           // it is absent
}

// run runs other libraries for Go in a goroutine of their own: those that theirs wait for
// cannot have the thread that ours may be locked to.
func (c *competitor) run(n int) (d, busy time.Duration, err error) {
	switch c.contender.(type) {
	case *simdrnn, *python:
		return c.contender.run(n)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d, busy, err = c.contender.run(n)
	}()
	<-done
	return d, busy, err
}

// todo returns the rows that are to be measured on so many threads.
func (p *plan) todo(r *report, threads int) []*row {
	return slices.DeleteFunc(slices.Clone(p.rows), func(row *row) bool {
		return threads > 1 && row.group.library || !p.again && r.find(row.name(), threads) != nil
	})
}

// measure measures rows, first on one thread, into r, which is new or what an
// earlier run has saved. It saves r after each row. ctx may end it early.
func (p *plan) measure(ctx context.Context, e *environment, r *report) error {
	isa, err := kernels.Active()
	if err != nil {
		return err
	}
	about := about{
		Host: thisHost(), Path: isa.String(), Forced: isa == kernels.AVX2 && slices.Contains(kernels.Available(), kernels.AVX512),
		Rounds: p.rounds, SampleMS: float64(p.sample.Microseconds()) / 1000, Quick: p.quick,
	}
	if len(r.Rows) == 0 {
		r.about, r.Versions, r.Absent, r.Runs = about, map[string]string{}, map[string]string{}, nil
	} else if r.about != about {
		return fmt.Errorf("the saved results are of %+v; this is %+v", r.about, about)
	}
	r.Runs = append(r.Runs, &run{Start: now(), LoadBefore: timing.LoadAverage()})
	var watch progress
	for _, threads := range p.threads {
		for _, row := range p.todo(r, threads) {
			watch.rows++
			watch.left += p.estimate(row)
		}
	}
	fmt.Fprintf(p.log, "%d rows to measure, about %v\n", watch.rows, watch.eta())
	for _, threads := range p.threads {
		if rows := p.todo(r, threads); ctx.Err() == nil && len(rows) > 0 {
			if err := p.withThreads(ctx, e, r, rows, threads, &watch); err != nil {
				return err
			}
		}
	}
	return nil
}

// estimate guesses how long a row takes.
func (p *plan) estimate(row *row) time.Duration {
	const (
		overhead = 2 * time.Second // making networks, compiling
		perNano  = 20              // operations of a peer on one thread
	)
	call, n := time.Duration(row.flops()/perNano), 5 // libraries
	if row.mode.training() {
		call, n = call*2/3, 2
	} else if weights := row.flops() / float64(row.B*row.T) * 2; weights > 32<<20 {
		call = max(call, time.Duration(weights*float64(row.T)/10)) // bytes from memory
	}
	return overhead + time.Duration(n*(p.rounds+2))*max(p.sample, call)
}

// progress tells how far a run is.
type progress struct {
	rows, done    int
	left, counted time.Duration // estimates
	spent         time.Duration
}

func (w *progress) eta() time.Duration {
	left := float64(w.left)
	if w.counted > 0 {
		left *= float64(w.spent) / float64(w.counted)
	}
	return time.Duration(left).Round(time.Second)
}

// add counts a row that was expected to take estimated and took d.
func (w *progress) add(estimated, d time.Duration) {
	w.done++
	w.left -= estimated
	w.counted += estimated
	w.spent += d
}

func (p *plan) withThreads(ctx context.Context, e *environment, r *report, rows []*row, threads int, watch *progress) error {
	cpu := -1
	if threads == 1 {
		cpu = timing.LastCPU()
	}
	all := []*competitor{{contender: &simdrnn{threads: threads}, name: ours}}
	if threads > 1 {
		all = append(all, &competitor{contender: &simdrnn{threads: 1}, name: alone})
	}
	for _, peer := range p.peers {
		if !slices.ContainsFunc(rows, peer.takes) {
			continue
		}
		fmt.Fprintf(p.log, "starting %s, %d thread(s)\n", peer.name, threads)
		c, versions, err := peer.start(e, settings{Threads: threads, CPU: cpu})
		if python, ok := c.(*python); ok {
			defer python.Close()
		}
		delete(r.Absent, peer.name)
		if err != nil {
			fmt.Fprintf(p.log, "%s is absent: %v\n", peer.name, err)
			r.Absent[peer.name] = err.Error()
		}
		for k, v := range versions {
			if old := r.Versions[k]; old != "" && old != v {
				return fmt.Errorf("the saved results are of %s %s, not %s", k, old, v)
			}
			r.Versions[k] = v
		}
		all = append(all, &competitor{c, peer.name, peer.takes, err})
	}
	for _, row := range rows {
		if ctx.Err() != nil {
			break
		}
		start := time.Now()
		m, err := p.row(row, all, threads)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name(), err)
		}
		watch.add(p.estimate(row), time.Since(start))
		r.put(m)
		current := r.Runs[len(r.Runs)-1]
		current.End, current.LoadAfter, current.Rows = now(), timing.LoadAverage(), watch.done
		if err := p.save(r); err != nil {
			return err
		}
		fmt.Fprintf(p.log, "%d/%d, ETA %v: %s, %d thread(s): %s\n", watch.done, watch.rows, watch.eta(), row.name(), threads, m.line())
	}
	return nil
}

// row measures a row: all that can, round by round in turn.
func (p *plan) row(row *row, all []*competitor, threads int) (*measured, error) {
	if threads == 1 {
		undo, err := timing.PinThread(timing.LastCPU())
		if err != nil {
			return nil, err
		}
		defer undo()
	}
	dir, err := os.MkdirTemp(p.dir, "row")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t, err := newTask(row, dir)
	if err != nil {
		return nil, err
	}
	r := &race{
		plan: p, row: row, threads: threads, all: all, pilots: map[string]time.Duration{},
		m: &measured{row: row, Name: row.name(), Threads: threads, Time: now(), Load: timing.LoadAverage()},
	}
	defer r.release()
	if err := r.enter(t); err != nil {
		return nil, err
	}
	r.handicap()
	if m := r.m; threads > 1 {
		if m.Free = digits(freeCPUs(threads)); m.Free > 0 && m.Free < .9*float64(threads) {
			fmt.Fprintf(p.log, "other programs are busy: only %.2f of %d CPUs are free\n", m.Free, threads)
		}
	}
	for round := range p.rounds {
		if err := r.round(round); err != nil {
			return nil, err
		}
	}
	if err := r.allocations(); err != nil {
		return nil, err
	}
	if len(r.paused) > 0 {
		r.m.Paused = timing.Median(r.paused)
	}
	if len(r.peaks) > 0 {
		r.m.Peak = slices.Max(r.peaks) // what disturbs it shall not flatter us
	}
	r.m.conclude()
	return r.m, nil
}

// A race is the measurement of a row.
type race struct {
	*plan
	row     *row
	threads int
	all     []*competitor
	racing  []*competitor            // those that are prepared
	pilots  map[string]time.Duration // of a call, by name
	m       *measured

	peaks, paused []float64 // of rounds
}

// enter prepares all that take the row and compute what it asks for.
func (r *race) enter(t *task) error {
	var want []float32
	for i, c := range r.all {
		res := &result{Name: c.name, Rounds: r.rounds}
		switch {
		case c.takes != nil && !c.takes(r.row):
			continue
		case c.why != nil:
			res.Absent = c.why.Error()
		default:
			got, err := c.prepare(t)
			var lacks unsupported
			switch {
			case errors.As(err, &lacks):
				continue
			case err == nil && i > 0:
				res.Difference, err = t.compare(got, want)
				if err == nil && c.name == alone && res.Difference != 0 {
					return fmt.Errorf("results of one thread and of %d differ by %g", r.threads, res.Difference)
				}
				if err == nil && !(res.Difference <= tolerance) {
					err = fmt.Errorf("wrong: its results differ by %.2g", res.Difference)
				}
			case err == nil:
				want = slices.Clone(got)
			}
			if err == nil {
				r.pilots[c.name], err = r.pilot(c)
			}
			if err != nil && i == 0 {
				return err
			}
			if err != nil {
				res.Absent = err.Error()
				break
			}
			res.Calls = callsIn(r.sample, r.pilots[c.name])
			r.racing = append(r.racing, c)
		}
		r.m.Results = append(r.m.Results, res)
	}
	return nil
}

func (r *race) release() {
	for _, c := range r.racing {
		c.release()
	}
}

// handicap lets peers that are far behind the fastest one run less.
func (r *race) handicap() {
	fastest := time.Duration(math.MaxInt64)
	var peers []*competitor
	for _, c := range r.racing {
		if c.name != ours && c.name != alone {
			peers = append(peers, c)
			fastest = min(fastest, r.pilots[c.name])
		}
	}
	for _, c := range peers {
		if d := r.pilots[c.name]; d/farBehind > fastest {
			res := r.m.of(c.name)
			res.Rounds, res.Calls = farRounds, callsIn(r.sample/5, d)
		}
	}
}

// round takes a sample of each.
func (r *race) round(round int) error {
	for i := range r.racing {
		c := r.racing[(i+round)%len(r.racing)]
		res := r.m.of(c.name)
		if res.Absent != "" || round >= res.Rounds {
			continue // it failed in a round before, or has had its rounds
		}
		if r.threads > 1 {
			time.Sleep(restTime)
		}
		d, busy, err := c.run(res.Calls)
		if err != nil && c.name == ours {
			return err
		}
		if err != nil {
			res.Absent, res.samples, res.busy = err.Error(), nil, 0
			continue
		}
		res.samples = append(res.samples, float64(d.Nanoseconds())/float64(res.Calls))
		res.busy += float64(busy) / float64(d)
	}
	if s, ok := r.all[0].contender.(*simdrnn); ok && r.threads == 1 && r.row.hasPause() {
		r.paused = append(r.paused, float64(s.paused(max(1, int(r.sample/5/pause)))))
	}
	if r.threads == 1 && r.row.hasShare() {
		if isa, err := kernels.Active(); err == nil {
			r.peaks = append(r.peaks, limits.FMAPeak(isa))
		}
	}
	return nil
}

// allocations asks libraries in Go what their calls allocate.
func (r *race) allocations() (err error) {
	if !r.row.group.library {
		return nil
	}
	for _, c := range r.racing {
		res := r.m.of(c.name)
		if c, ok := c.contender.(interface {
			allocated(n int) (*allocations, error)
		}); ok && res.Absent == "" {
			if res.Allocated, err = c.allocated(res.Calls); err != nil {
				return err
			}
		}
	}
	return nil
}

// restTime is between two samples on several threads: workers of the peers spin
// for some milliseconds after a call.
const restTime = 10 * time.Millisecond

// pilot returns how long a call takes, by a short measurement.
func (p *plan) pilot(c contender) (call time.Duration, err error) {
	n := 1
	for {
		d, _, err := c.run(n)
		if err != nil {
			return 0, err
		}
		if call = max(1, d/time.Duration(n)); n > 1 || d >= p.sample {
			return call, nil
		}
		n = max(2, callsIn(p.sample/5, call))
	}
}

// callsIn returns how many calls take a time.
func callsIn(sample, call time.Duration) int {
	return min(maxCalls, max(1, int(math.Ceil(float64(sample)/float64(call)))))
}
