package workers

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
)

// The machine may be busy with other things, so each benchmark reports low
// percentiles of many calls beside the mean of all.

// percentiles times b.N calls of op, each after a call of before.
func percentiles(b *testing.B, before, op func()) {
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("needs two processors")
	}
	times := make([]time.Duration, b.N)
	for i := range times {
		before()
		start := time.Now()
		op()
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	for _, p := range []struct {
		unit string
		rank int
	}{{"p1-ns", 1}, {"p10-ns", 10}, {"p50-ns", 50}, {"p90-ns", 90}} {
		b.ReportMetric(float64(times[len(times)*p.rank/100]), p.unit)
	}
}

// spin is work that takes d.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

func nothing() {}

// BenchmarkWait is one barrier of two members that do nothing else: the best of
// runs of 1000.
func BenchmarkWait(b *testing.B) {
	t := NewTeam(2)
	const phases = 1000
	alone := 0
	job := func(m Member) {
		if m.Members == 1 {
			alone++
		}
		for range phases {
			m.Wait()
		}
	}
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		t.Run(job, true)
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best)/phases, "best-ns/barrier")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/phases/float64(b.N), "ns/barrier")
	b.ReportMetric(float64(alone), "alone")
}

// BenchmarkRun is a call with a job that does nothing.
func BenchmarkRun(b *testing.B) {
	t := NewTeam(2)
	job := func(Member) {}
	piece := func(int) {}
	run := func() { t.Run(job, true) }
	b.Run("one", func(b *testing.B) {
		one := NewTeam(1)
		percentiles(b, nothing, func() { one.Run(job, true) })
	})
	b.Run("warm", func(b *testing.B) { percentiles(b, nothing, run) })
	b.Run("warm after 20us", func(b *testing.B) { percentiles(b, func() { spin(20 * time.Microsecond) }, run) })
	park := func() {
		for all()[0].state.Load() != parked {
			time.Sleep(100 * time.Microsecond)
		}
		spin(100 * time.Microsecond)
	}
	b.Run("parked", func(b *testing.B) { percentiles(b, park, run) })
	b.Run("parked, unwoken", func(b *testing.B) { percentiles(b, park, func() { t.Run(job, false) }) })
	b.Run("parked, each", func(b *testing.B) { percentiles(b, park, func() { t.Each(2, piece, true) }) })
	b.Run("busy", func(b *testing.B) {
		pool.active.Add(int64(runtime.GOMAXPROCS(0)))
		defer pool.active.Add(-int64(runtime.GOMAXPROCS(0)))
		percentiles(b, nothing, run)
	})
	b.Run("each", func(b *testing.B) { percentiles(b, nothing, func() { t.Each(2, piece, true) }) })
}

// compute is n multiply-adds, each of which waits for the one before: about two
// nanoseconds each.
//
//go:noinline
func compute(n int) (s float32) {
	for range n {
		s = float32(s*.999) + .5
	}
	return s
}

// BenchmarkPhases is a call of 1000 phases that take one member 20 us, as the
// time steps of a recurrence.
func BenchmarkPhases(b *testing.B) {
	const phases, work = 1000, 10000
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := NewTeam(n)
			var sink float32
			job := func(m Member) {
				from, to := m.Share(work)
				var sum float32
				for range phases {
					sum += compute(to - from)
					m.Wait()
				}
				if m.Index == 0 {
					sink = sum
				}
			}
			percentiles(b, nothing, func() { t.Run(job, true) })
			_ = sink
		})
	}
}
