package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/simdrnn/simdrnn/kernels"
)

const (
	leastRounds = 7
	tolerance   = 1e-5 // of results; whoever is further off computes something else
	maxCalls    = 1 << 20
)

// A plan is how to measure.
type plan struct {
	rows    []*row
	peers   []peer
	threads []int // 1, all CPUs, or both
	rounds  int
	sample  time.Duration // the least time of a sample that holds more than one call
	log     io.Writer     // of progress
	dir     string        // for files
}

// competitor is a contender of one run, ours the first.
type competitor struct {
	contender
	name  string
	modes []mode
	why   error // it is absent
}

// measure measures all rows, first on one thread. What it has is in the report
// also if ctx ends it early.
func (p *plan) measure(ctx context.Context, e *environment) (*report, error) {
	isa, err := kernels.Active()
	if err != nil {
		return nil, err
	}
	r := &report{
		Date: time.Now().UTC().Format(time.DateOnly), Host: thisHost(), Path: isa.String(),
		Rounds: p.rounds, SampleMS: float64(p.sample.Microseconds()) / 1000,
		Versions: map[string]string{}, Absent: map[string]string{}, LoadBefore: load(),
	}
	for _, threads := range p.threads {
		if ctx.Err() != nil {
			break
		}
		if err := p.withThreads(ctx, e, r, threads); err != nil {
			return nil, err
		}
	}
	r.LoadAfter = load()
	return r, nil
}

func (p *plan) withThreads(ctx context.Context, e *environment, r *report, threads int) error {
	cpu := -1
	if threads == 1 {
		cpu = lastCPU()
	}
	if err := pin(cpu); err != nil {
		return err
	}
	defer pin(-1)
	if threads == 1 {
		runtime.GOMAXPROCS(1)
	}
	all := []*competitor{{contender: &simdrnn{threads: threads}, name: ours}}
	for _, peer := range p.peers {
		fmt.Fprintf(p.log, "starting %s, %d thread(s)\n", peer.name, threads)
		c, versions, err := peer.start(e, settings{Threads: threads, CPU: cpu})
		if err != nil {
			fmt.Fprintf(p.log, "%s is absent: %v\n", peer.name, err)
			r.Absent[peer.name] = err.Error()
		}
		for k, v := range versions {
			r.Versions[k] = v
		}
		if python, ok := c.(*python); ok {
			defer python.close()
		}
		all = append(all, &competitor{c, peer.name, peer.modes, err})
	}
	for i, row := range p.rows {
		if ctx.Err() != nil {
			break
		}
		m, err := p.row(row, all, threads)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name(), err)
		}
		r.Rows = append(r.Rows, m)
		fmt.Fprintf(p.log, "%d/%d %s, %d thread(s): %s\n", i+1, len(p.rows), row.name(), threads, m.line())
	}
	return nil
}

// row measures a row: all that can, round by round in turn.
func (p *plan) row(row *row, all []*competitor, threads int) (*measured, error) {
	dir, err := os.MkdirTemp(p.dir, "row")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t, err := newTask(row, dir)
	if err != nil {
		return nil, err
	}
	m := &measured{row: row, Name: row.name(), Threads: threads, Target: row.targetFor(threads), Load: load()}
	var want []float32
	var racing []*competitor
	for i, c := range all {
		res := &result{Name: c.name}
		switch {
		case len(c.modes) > 0 && !slices.Contains(c.modes, row.mode):
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
				if err == nil && !(res.Difference <= tolerance) {
					err = fmt.Errorf("wrong: its results differ by %.2g", res.Difference)
				}
			case err == nil:
				want = slices.Clone(got)
			}
			if err == nil {
				res.Calls, err = p.calls(c)
			}
			if err != nil && i == 0 {
				return nil, err
			}
			if err != nil {
				res.Absent = err.Error()
				break
			}
			racing = append(racing, c)
			defer c.release()
		}
		m.Results = append(m.Results, res)
	}
	if s, ok := all[0].contender.(*simdrnn); ok {
		m.OurThreads = s.used
	}
	for round := range p.rounds {
		for i := range racing {
			c := racing[(i+round)%len(racing)]
			res := m.of(c.name)
			if res.Absent != "" {
				continue // it failed in a round before
			}
			if threads > 1 {
				time.Sleep(5 * time.Millisecond) // the workers of the one before stop to spin
			}
			d, err := c.run(res.Calls)
			if err != nil && c.name == ours {
				return nil, err
			}
			if err != nil {
				res.Absent, res.Samples = err.Error(), nil
				continue
			}
			res.Samples = append(res.Samples, float64(d.Nanoseconds())/float64(res.Calls))
		}
	}
	m.conclude()
	return m, nil
}

// calls returns how many calls a sample takes.
func (p *plan) calls(c contender) (n int, err error) {
	n = 1
	for range 2 { // the first is a guess, if a call is short
		d, err := c.run(n)
		if err != nil {
			return 0, err
		}
		n = min(maxCalls, max(1, int(math.Ceil(float64(n)*float64(p.sample)/float64(max(d, 1))))))
	}
	return n, nil
}
