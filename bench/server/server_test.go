package main

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/layer"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// made ends a run when each goroutine has made n calls. It waits as long as that takes:
// a goroutine that starves, or a deadlock, is a test that does not end.
func made(n int) func(int, time.Duration) bool {
	return func(fewest int, _ time.Duration) bool { return fewest >= n }
}

// procs sets GOMAXPROCS for the test.
func procs(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// checked makes each call compare what a Stream gives with want, the outputs of a lone
// Stream, and begin anew after the last of them. It returns the number of differences.
func checked(c *config, lstm *layer.LSTM, x []float32, threads, calls int) (*load, *atomic.Int64) {
	alone := lstm.NewStream(1)
	want := make([][]float32, calls)
	for i := range want {
		want[i] = make([]float32, len(x))
		alone.Forward(want[i], x)
	}
	wrong := new(atomic.Int64)
	l := &load{}
	for range c.goroutines {
		s, y, i := lstm.NewStream(1), make([]float32, len(x)), 0
		s.SetThreads(threads)
		l.calls = append(l.calls, func() {
			if i == len(want) {
				s.Reset()
				i = 0
			}
			if c.steps == 1 {
				s.Step(y, x)
			} else {
				s.Forward(y, x)
			}
			if !slices.Equal(y, want[i]) {
				wrong.Add(1)
			}
			i++
		})
	}
	return l, wrong
}

// TestServer: under many goroutines with a Stream each, all make progress, with the bits
// of a lone Stream, without allocation, and without ever waiting for a lock of ours.
func TestServer(t *testing.T) {
	procs(t, 4)
	runtime.SetMutexProfileFraction(1)
	t.Cleanup(func() { runtime.SetMutexProfileFraction(0) })
	for _, v := range []struct{ hidden, steps, threads int }{
		{kerneltest.Pick(128, 64, 20), 1, 1},
		{kerneltest.Pick(64, 32, 20), 3, 1},
		{kerneltest.Pick(512, 200, 20), 1, 2}, // enough work for two
		{kerneltest.Pick(256, 96, 20), 4, 2},
	} {
		c := &config{layers: 2, goroutines: kerneltest.Pick(200, 40, 8), steps: v.steps}
		lstm, err := newLSTM(v.hidden, c.layers)
		require.NoError(t, err)
		l, wrong := checked(c, lstm, c.input(v.hidden), v.threads, 3)
		r := l.run(made(kerneltest.Pick(5, 2, 1)))
		require.Zero(t, wrong.Load(), "%v", v)
		require.Less(t, r.mallocs, uint64(r.calls), "%v", v)
		require.LessOrEqual(t, c.goroutines, r.calls)
		require.LessOrEqual(t, r.least, r.most)
		if v.threads == 1 {
			require.Zero(t, r.waits, "%v", v)
		}
	}
}

// TestLockWaits: what TestServer finds none of is found where it is.
func TestLockWaits(t *testing.T) {
	procs(t, 4)
	runtime.SetMutexProfileFraction(1)
	t.Cleanup(func() { runtime.SetMutexProfileFraction(0) })
	var lock sync.Mutex
	var n int
	l := &load{}
	for range 8 {
		l.calls = append(l.calls, func() {
			lock.Lock()
			n++
			runtime.Gosched() // others meet the lock
			lock.Unlock()
		})
	}
	const function = benchmarks + "server.TestLockWaits"
	before := contention(function, "none")
	r := l.run(made(kerneltest.Pick(1000, 200, 50)))
	require.Positive(t, contention(function, "none")-before)
	require.Zero(t, contention(function, benchmarks))
	require.Zero(t, r.waits)
}

// TestAllocations: what TestServer finds none of is counted.
func TestAllocations(t *testing.T) {
	kept := make([]*[64]byte, 2)
	l := &load{}
	for i := range kept {
		l.calls = append(l.calls, func() { kept[i] = new([64]byte) })
	}
	r := l.run(made(100))
	require.GreaterOrEqual(t, int(r.mallocs), r.calls-len(kept)) // a call of each may have begun before
}

// TestRate: calls come, with collections, whose pauses are counted.
func TestRate(t *testing.T) {
	l := spins(3, time.Microsecond)
	l.rate, l.garbage = 3000, true
	r := l.run(made(3))
	require.GreaterOrEqual(t, r.calls, 3*len(l.calls))
	for r.collections == 0 {
		r = l.run(made(20))
	}
	require.Positive(t, r.pauses.total())
	require.Positive(t, r.pauses.quantile(.5))
	require.LessOrEqual(t, r.pauses.quantile(.5), r.pauses.quantile(1))
}

func TestHistogram(t *testing.T) {
	for _, ns := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 1000, 123456789, math.MaxInt64} {
		i := index(ns)
		require.LessOrEqual(t, lowest(i), ns)
		require.Greater(t, lowest(i+1), ns)
		require.LessOrEqual(t, lowest(i+1)-lowest(i), ns/32+1)
	}
	var a, b histogram
	require.Zero(t, a.quantile(.5))
	for d := range 100 {
		a.note(time.Duration(d + 1))
		b.note(1000)
	}
	require.EqualValues(t, 100, a.most)
	require.EqualValues(t, 51, a.quantile(.5))
	require.EqualValues(t, 100, a.quantile(1))
	a.add(&b)
	require.EqualValues(t, 1000, a.quantile(.75))
	require.EqualValues(t, 1000, a.most)
}

func TestPauses(t *testing.T) {
	p := pauses{[]uint64{5, 9, 1, 1}, []float64{0, 1e-6, 2e-6, 3e-6, math.Inf(1)}}
	p = p.since(pauses{counts: []uint64{5, 1, 0, 0}})
	require.EqualValues(t, 10, p.total())
	require.EqualValues(t, 2000, p.quantile(.5))
	require.EqualValues(t, 3000, p.quantile(.9))
	require.EqualValues(t, 3000, p.quantile(1))
	require.Zero(t, pauses{}.quantile(.5))
	require.EqualValues(t, 20, pauses{}.with(p).with(p).total())
	require.EqualValues(t, 10, p.total())
}

func TestParse(t *testing.T) {
	good := config{layers: 1, goroutines: 1, steps: 1, threads: 1, rounds: 1, share: .5, sample: 1}
	c := good
	require.NoError(t, c.parse("8, 16"))
	require.Equal(t, []int{8, 16}, c.hidden)
	for want, f := range map[string]func(c *config) string{
		`-hidden "x", want numbers of at least 1, separated by commas`: func(c *config) string { return "x" },
		`-hidden "0", want numbers of at least 1, separated by commas`: func(c *config) string { return "0" },
		"-goroutines 0, want at least 1":                               func(c *config) string { c.goroutines = 0; return "8" },
		"-load 1, want more than 0 and less than 1":                    func(c *config) string { c.share = 1; return "8" },
		"-sample 0s, want more than 0":                                 func(c *config) string { c.sample = 0; return "8" },
	} {
		c := good
		require.EqualError(t, c.parse(f(&c)), want)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 999: "999ns", 1234: "1.23µs", 123456: "123µs", 12345678: "12.3ms", 2345678901: "2.35s"} {
		require.Equal(t, want, short(d))
	}
	require.Equal(t, "1 layer", plural(1, "layer"))
	require.Equal(t, "2 layers", plural(2, "layer"))
	require.Equal(t, "1.5 KiB", bytes(1536))
	require.Equal(t, "1.50 MiB", bytes(1.5*(1<<20)))
}

// TestReport: all tables, whose rows have as many cells as their heads, and memory that
// is what the formula says.
func TestReport(t *testing.T) {
	if kerneltest.Emulated() {
		t.Skip("timed loads")
	}
	c := config{layers: 2, goroutines: 5, steps: 2, threads: 2, rounds: 2, share: .5, sample: time.Millisecond}
	require.NoError(t, c.parse("8,16"))
	var w strings.Builder
	require.NoError(t, c.report(&w))
	tables := strings.Split(strings.TrimSpace(w.String()), "\n\n")
	require.Len(t, tables, 4)
	for i, rows := range []int{2 * 3, 2 * 4, 5} {
		lines := strings.Split(tables[i+1], "\n")
		require.Len(t, lines, 2+rows)
		for _, l := range lines {
			require.Equal(t, strings.Count(lines[0], "|"), strings.Count(l, "|"), l)
		}
	}
	lstm, err := newLSTM(128, 2)
	require.NoError(t, err)
	require.InEpsilon(t, streamBytes(128, 2), heap(20, func() any { return lstm.NewStream(1) }), .15)
}
