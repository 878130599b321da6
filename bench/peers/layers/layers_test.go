package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/kernels"
)

func TestMain(m *testing.M) {
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// Rows have names of their own, and every group has some, also in a quick run.
func TestRows(t *testing.T) {
	names := map[string]bool{}
	inGroup, quick := map[*group]int{}, map[*group]int{}
	for _, r := range rows() {
		require.False(t, names[r.name()], "two rows %s", r.name())
		names[r.name()] = true
		inGroup[r.group]++
		if r.quick {
			quick[r.group]++
		}
		require.NotEmpty(t, r.panel, r.name())
		require.NotEmpty(t, r.label, r.name())
		require.NotNil(t, constructors[r.cell], r.name())
	}
	for _, g := range groups {
		require.Positive(t, inGroup[g], g.name)
		require.Positive(t, quick[g], g.name)
	}
	for _, name := range []string{
		"forward/LSTM/T=64/B=8/I=512/H=512",
		"cells/RNN/T=64/B=16/I=256/H=256",
		"cells/GRU/T=64/B=64/I=256/H=256",
		"deepbench/GRU/T=187/B=4/I=1536/H=1536",
		"bidirectional/LSTM/T=64/B=4/I=256/H=256/L=2/bidirectional",
		"step/LSTM/T=16/B=1/I=1/H=20",
		"block/LSTM/T=2048/B=1/I=512/H=512",
		"train/LSTM/T=64/B=64/I=512/H=512",
		"last/LSTM/T=512/B=16/I=128/H=128",
		"deepbench/LSTM/T=25/B=32/I=512/H=512",
		"deepbench/RNN/T=672/B=1/I=32/H=32",
		"go/step/LSTM/T=16/B=1/I=256/H=256",
		"go/train/LSTM/T=64/B=16/I=128/H=128",
	} {
		require.True(t, names[name], name)
	}
}

// small is a row that is quick to compute.
func small(m mode, cell string) *row {
	return &row{group: groupForward, mode: m, cell: cell, T: 5, B: 2, I: 3, H: 4, layers: 1, directions: 1, panel: "H = 4", label: "B 2", goal: goal{target: 1.5}}
}

func prepared(t *testing.T, c contender, r *row) (*task, []float32) {
	task, err := newTask(r, t.TempDir())
	require.NoError(t, err)
	results, err := c.prepare(task)
	require.NoError(t, err)
	return task, results
}

// What is assembled from other libraries computes what we do, and what is timed
// runs.
func TestAssembled(t *testing.T) {
	for name, c := range map[string]*assembled{"gonum": newGonum(), "tphakala": newTphakala()} {
		for _, m := range []mode{forward, step} {
			for _, cell := range []string{"LSTM", "RNN"} {
				r := small(m, cell)
				_, want := prepared(t, &simdrnn{threads: 1}, r)
				task, got := prepared(t, c, r)
				diff, err := task.compare(got, want)
				require.NoError(t, err)
				require.LessOrEqual(t, diff, tolerance, "%s %s %s", name, m, cell)
				d, _, err := c.run(3)
				require.NoError(t, err)
				require.Positive(t, d)
				c.release()
			}
		}
		task, err := newTask(small(train, "LSTM"), t.TempDir())
		require.NoError(t, err)
		_, err = c.prepare(task)
		require.ErrorAs(t, err, new(unsupported), name)
	}
}

// Go libraries compute what we do, what is timed runs, and allocations are counted.
func TestLibraries(t *testing.T) {
	lacks := map[string]string{ // modes and cells
		"spago": "forward GRU, step GRU, step RNN, train GRU",
		"gomlx": "forward GRU, forward RNN, step GRU, step RNN, train GRU, train LSTM, train RNN",
		"gonnx": "step GRU, step RNN, train GRU, train LSTM, train RNN",
	}
	for _, p := range peers() {
		if !p.library {
			continue
		}
		missing := map[string]bool{}
		for _, m := range []mode{forward, step, train} {
			for _, cell := range []string{"LSTM", "GRU", "RNN"} {
				for B := 1; B <= 2 && (B == 1 || m != step); B++ {
					r := small(m, cell)
					r.B = B
					name := fmt.Sprintf("%s %s", m, cell)
					task, want := prepared(t, &simdrnn{threads: 1}, r)
					c := p.in()
					got, err := c.prepare(task)
					if errors.As(err, new(unsupported)) {
						missing[name] = true
						continue
					}
					require.NoError(t, err, "%s %s", p.name, name)
					diff, err := task.compare(got, want)
					require.NoError(t, err)
					require.LessOrEqual(t, diff, tolerance, "%s %s", p.name, name)
					d, _, err := c.run(3)
					require.NoError(t, err)
					require.Positive(t, d)
					a, err := c.(*library).allocated(3)
					require.NoError(t, err)
					require.Positive(t, a.Count)
					require.Greater(t, a.Bytes, a.Count)
					c.release()
				}
			}
		}
		require.Equal(t, lacks[p.name], strings.Join(slices.Sorted(maps.Keys(missing)), ", "), p.name)
		deep := small(forward, "LSTM")
		deep.layers = 2
		task, err := newTask(deep, t.TempDir())
		require.NoError(t, err)
		_, err = p.in().prepare(task)
		require.ErrorAs(t, err, new(unsupported), p.name)
	}
}

// Of all rows Go's neural-network libraries take part in their own alone, which
// nobody else takes part in.
func TestTakes(t *testing.T) {
	for _, p := range peers() {
		for _, r := range rows() {
			if p.library != (r.group == groupGo) {
				require.False(t, p.takes(r), "%s %s", p.name, r.name())
			}
		}
		require.True(t, slices.ContainsFunc(rows(), p.takes), p.name)
	}
	p := plan{rows: rows(), again: true}
	require.Len(t, p.todo(new(report), 1), len(rows()))
	require.Len(t, p.todo(new(report), 2), len(rows())-14)
}

// A library that panics has failed, and no more.
func TestLibraryPanics(t *testing.T) {
	broken := errors.New("broken")
	c := &library{build: func(*task) ([]float32, func(), error) { panic(broken) }}
	_, err := c.prepare(nil)
	require.ErrorIs(t, err, broken)
	c = &library{build: func(*task) ([]float32, func(), error) {
		return nil, func() { panic("out of luck") }, nil
	}}
	_, err = c.prepare(nil)
	require.NoError(t, err)
	_, _, err = c.run(1)
	require.EqualError(t, err, "out of luck")
	_, err = c.allocated(1)
	require.EqualError(t, err, "out of luck")
}

// Every mode runs on simdrnn, calls give the same results again, and none
// allocates.
func TestOurs(t *testing.T) {
	for _, m := range []mode{forward, step, train, last} {
		c := &simdrnn{threads: 1}
		task, first := prepared(t, c, small(m, "LSTM"))
		want := task.outputs()
		if m.training() {
			for _, p := range task.params {
				want += len(p.Data)
			}
		}
		require.Len(t, first, want, m)
		first = slices.Clone(first)
		require.Zero(t, testing.AllocsPerRun(5, c.call), m)
		a, err := c.allocated(50)
		require.NoError(t, err)
		require.Zero(t, a.Count, m)
		_, again := prepared(t, c, small(m, "LSTM"))
		require.Equal(t, first, again, m)
	}
}

func TestCompare(t *testing.T) {
	task := &task{row: small(train, "RNN")}
	net, err := newNetwork(task.row, nil)
	require.NoError(t, err)
	task.params = net.Params()
	n := task.outputs()
	for _, p := range task.params {
		n += len(p.Data)
	}
	want := make([]float32, n)
	for i := range want {
		want[i] = 2
	}
	for name, c := range map[string]struct {
		at   int
		v    float32
		diff float64
	}{
		"same":           {0, 2, 0},
		"output":         {3, 2.5, .5},
		"gradient":       {task.outputs(), 4, 2 / math.Sqrt(4*12)}, // one of the 12 of weight_ih
		"output is NaN":  {1, float32(math.NaN()), math.Inf(1)},
		"gradient is +∞": {n - 1, float32(math.Inf(1)), math.Inf(1)},
	} {
		got := slices.Clone(want)
		got[c.at] = c.v
		diff, err := task.compare(got, want)
		require.NoError(t, err, name)
		if math.IsInf(c.diff, 1) {
			require.True(t, math.IsInf(diff, 1), name)
		} else {
			require.InDelta(t, c.diff, diff, 1e-9, name)
		}
	}
	_, err = task.compare(want[1:], want)
	require.ErrorContains(t, err, "results, want")
}

// served is a python whose other end is a function.
func served(t *testing.T, reply func(request) string) *python {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer outW.Close()
		for lines := bufio.NewScanner(inR); lines.Scan(); {
			var r request
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				return
			}
			s := reply(r)
			if s == "" {
				return
			}
			fmt.Fprintln(outW, s)
		}
	}()
	p := &python{Process: &timing.Process{In: inW, Out: bufio.NewReader(outR),
		Kill: func() { inR.Close(); outW.Close() },
		Wait: func() string { <-done; return "bye" }}}
	t.Cleanup(p.Close)
	return p
}

func TestProtocol(t *testing.T) {
	var got []request
	var data, results []float32
	answers := map[string]string{
		"hello":   `{"versions": {"x": "1.2"}}`,
		"prepare": `{}`,
		"run":     `{"seconds": 0.25, "busy": 0.5}`,
		"release": `{}`,
	}
	p := served(t, func(r request) string {
		got = append(got, r)
		if r.Task != nil {
			data, _ = readFloats(r.Task.Data)
			writeFloats(r.Task.Results, []float32{1, 2}, results)
		}
		return answers[r.Op]
	})
	results = []float32{3}
	task, y := prepared(t, p, small(last, "RNN"))
	require.Equal(t, []float32{1, 2, 3}, y)
	require.Equal(t, "RNN", got[0].Task.Cell)
	require.Equal(t, last, got[0].Task.Mode)
	require.Equal(t, []int{5, 2, 3, 4, 1, 1}, []int{got[0].Task.T, got[0].Task.B, got[0].Task.I, got[0].Task.H, got[0].Task.Layers, got[0].Task.Directions})
	require.Equal(t, param{"weight_ih_l0", []int{4, 3}}, got[0].Task.Params[0])
	want := []float32{}
	for _, p := range task.params {
		want = append(want, p.Data...)
	}
	want = append(append(want, task.x...), task.dy...)
	require.Equal(t, want, data)
	zero := task.dy[:4*2*4]
	require.Equal(t, make([]float32, len(zero)), zero, "only the last step has a gradient")

	d, busy, err := p.run(7)
	require.NoError(t, err)
	require.Equal(t, 250*time.Millisecond, d)
	require.Equal(t, 500*time.Millisecond, busy)
	require.Equal(t, request{Op: "run", N: 7}, got[1])

	answers["prepare"] = `{"unsupported": "no dreams"}`
	_, err = p.prepare(task)
	require.ErrorAs(t, err, new(unsupported))
	answers["run"] = `{"error": "out of luck"}`
	_, _, err = p.run(1)
	require.EqualError(t, err, "out of luck")
	answers["run"] = `no JSON`
	for range 2 {
		_, _, err = p.run(1)
		require.ErrorContains(t, err, "its last words: bye")
	}
}

// fixed is a contender with given results and times.
type fixed struct {
	results []float32
	err     error
	time    time.Duration
	times   int // it runs; then it fails
	called  []int
}

func (f *fixed) prepare(*task) ([]float32, error) { return f.results, f.err }
func (f *fixed) release()                         {}
func (f *fixed) run(n int) (d, busy time.Duration, err error) {
	if f.times--; f.times < 0 {
		return 0, 0, errors.New("gone")
	}
	f.called = append(f.called, n)
	d = f.time * time.Duration(n)
	return d, 2 * d, nil
}

func TestMeasure(t *testing.T) {
	r := small(forward, "LSTM")
	r.against = "slow"
	y := make([]float32, r.outputs())
	off := slices.Clone(y)
	off[5] = 2e-5
	p := plan{rounds: 8, sample: time.Millisecond, dir: t.TempDir(), log: io.Discard}
	far, longer := &fixed{results: y, time: 700, times: 1e6}, &fixed{results: y, time: 2e6, times: 1e6}
	m, err := p.row(r, []*competitor{
		{contender: &fixed{results: y, time: 100, times: 1e6}, name: ours},
		{contender: &fixed{results: y, time: 400, times: 1e6}, name: "slow"},
		{contender: &fixed{results: y, time: 150, times: 1e6}, name: "fast"},
		{contender: far, name: "far"},
		{contender: longer, name: "longer"},
		{contender: &fixed{results: off, time: 10, times: 1e6}, name: "wrong"},
		{contender: &fixed{results: y, time: 160, times: 5}, name: "dies"},
		{contender: &fixed{err: unsupported("no LSTM"), time: 10}, name: "lacks"},
		{contender: &fixed{err: errors.New("broken")}, name: "broken"},
		{contender: nil, name: "absent", why: errors.New("not found")},
		{contender: &fixed{results: y, time: 10, times: 1e6}, name: "trains", takes: func(r *row) bool { return r.mode == train }},
	}, 1)
	require.NoError(t, err)
	require.Equal(t, "fast", m.Best)
	require.InDelta(t, 1.5, m.Ratio, 1e-9)
	require.InDelta(t, 4, m.ratio(r.against), 1e-9)
	require.Len(t, m.of(ours).samples, 8)
	require.Equal(t, 10000, m.of(ours).Calls)
	require.InDelta(t, 2, m.of(ours).Busy, 1e-9)
	require.False(t, m.few(m.of("slow")))
	require.True(t, m.few(m.of("far")))
	require.Equal(t, []int{1, 286, 286, 286, 286}, far.called)
	require.Equal(t, []int{1, 1, 1, 1}, longer.called, "a long call needs no second guess, and no more in a sample")
	require.InDelta(t, 2e6, m.of("longer").Median, 0)
	require.Contains(t, m.of("wrong").Absent, "differ by 2e-05")
	require.Equal(t, "gone", m.of("dies").Absent)
	require.Equal(t, "broken", m.of("broken").Absent)
	require.Equal(t, "not found", m.of("absent").Absent)
	require.Nil(t, m.of("lacks"))
	require.Nil(t, m.of("trains"))
	m, err = p.row(r, []*competitor{
		{contender: &fixed{results: y, time: 100, times: 1e6}, name: ours},
		{contender: &fixed{results: y, time: 150, times: 1e6}, name: alone},
		{contender: &fixed{results: y, time: 160, times: 1e6}, name: "fast"},
	}, 2)
	require.NoError(t, err)
	require.Equal(t, "fast", m.Best)
	require.InDelta(t, 1.5, m.speedup(), 1e-9)
	if runtime.GOOS == "linux" {
		require.Positive(t, m.Free)
	}
	off[5] = 1e-30
	_, err = p.row(r, []*competitor{
		{contender: &fixed{results: y, time: 100, times: 1e6}, name: ours},
		{contender: &fixed{results: off, time: 150, times: 1e6}, name: alone},
	}, 2)
	require.ErrorContains(t, err, "results of one thread and of 2 differ")
	_, err = p.row(r, []*competitor{{contender: &fixed{results: y, time: 100, times: 3}, name: ours}}, 1)
	require.Error(t, err, "there is nothing to compare with")
}

func TestDuration(t *testing.T) {
	for ns, want := range map[float64]string{.5: "0.50 ns", 42: "42.0 ns", 999: "999 ns", 1234: "1.23 µs", 99960: "100 µs", 12.3e6: "12.3 ms", 2.5e9: "2.50 s"} {
		require.Equal(t, want, duration(ns))
	}
	for bytes, want := range map[float64]string{0: "0 B", 999: "999 B", 1234: "1.23 kB", 71e6: "71.0 MB", 2.2e9: "2.20 GB"} {
		require.Equal(t, want, size(bytes))
	}
}

// A goal is reached or not.
func TestJudge(t *testing.T) {
	r := *small(forward, "LSTM")
	m := func(threads int, our, one, best float64) *measured {
		m := &measured{row: &r, Threads: threads, Peak: r.flops() / 1e-6, Results: []*result{
			{Name: ours, samples: []float64{our}}, {Name: "torch", samples: []float64{best}}, {Name: "jax", samples: []float64{2 * best}}}}
		if threads > 1 {
			m.Results = append(m.Results, &result{Name: alone, samples: []float64{one}})
		}
		m.conclude()
		return m
	}
	paused := func(ns float64) *measured {
		m := m(1, 1000, 0, 2000)
		m.Paused = ns
		return m
	}
	allocating := func(n float64) *measured {
		m := m(1, 1000, 0, 2000)
		m.of(ours).Allocated = &allocations{Count: n}
		return m
	}
	for _, c := range []struct {
		m    *measured
		g    goal
		want verdict
	}{
		{m(1, 1000, 0, 1500), goal{target: 1.5}, met},
		{m(1, 1000, 0, 1490), goal{target: 1.5}, short},
		{m(1, 1000, 0, 990), goal{target: .9}, below},
		{m(1, 2000, 0, 2100), goal{target: 1.5, share: .5}, met},
		{m(1, 2001, 0, 2100), goal{target: 1.5, share: .5}, short},
		{m(1, 1000, 0, 2990), goal{target: 1, limit: 1000}, met},
		{m(1, 1000, 0, 2990), goal{target: 1, limit: 999}, short},
		{m(1, 1000, 0, 1500), goal{target: 3, against: "jax"}, met},
		{m(1, 1000, 0, 999), goal{target: 1.5, against: "jax"}, below},
		{paused(1300), goal{target: 1, limit: 1000, paused: 1.3}, met},
		{paused(1301), goal{target: 1, limit: 1000, paused: 1.3}, short},
		{paused(1300), goal{target: 1, limit: 999, paused: 1.3}, short},
		{allocating(0), goal{target: 2}, met},
		{allocating(1), goal{target: 2}, short},
		{m(2, 1000, 1800, 1001), goal{target: 3, speedup: 1.8}, met},
		{m(2, 1000, 1799, 1001), goal{target: 3, speedup: 1.8}, short},
		{m(2, 1000, 1900, 999), goal{speedup: 1.8}, below},
	} {
		require.Equal(t, c.want, c.m.judge(c.g), "%+v", c)
	}
	r.goal = goal{speedup: 1.8}
	require.InDelta(t, 1.8, new(report).goal(m(2, 1000, 1, 1)).speedup, 0)
	require.InDelta(t, noSlower, new(report).goal(m(4, 1000, 1, 1)).speedup, 0)
	lonely := m(1, 1000, 0, 1)
	lonely.Results = lonely.Results[:1]
	lonely.Ratio = 0
	require.Empty(t, lonely.judge(goal{target: 1}))
}

// Goals of some rows, as they were set.
func TestGoals(t *testing.T) {
	want := map[string]goal{
		"forward/LSTM/T=64/B=2/I=256/H=256":                         {target: 1.7, speedup: .95},
		"forward/LSTM/T=64/B=1/I=512/H=512":                         {target: 1.4, speedup: 2.5},
		"forward/LSTM/T=64/B=64/I=512/H=512":                        {target: 1.12, share: .78, speedup: 1.8},
		"cells/GRU/T=64/B=16/I=256/H=256":                           {target: 1.2, speedup: 1.8},
		"bidirectional/LSTM/T=64/B=1/I=256/H=256/L=2/bidirectional": {target: 1.3, speedup: .95},
		"step/LSTM/T=16/B=1/I=1/H=64":                               {target: 1, speedup: .95},
		"step/LSTM/T=16/B=1/I=64/H=64":                              {target: 1, limit: 1000, paused: 1.3, speedup: .95},
		"block/LSTM/T=2048/B=1/I=1/H=64":                            {target: 1, limit: 428, speedup: .95},
		"block/LSTM/T=2048/B=1/I=64/H=64":                           {target: 1, limit: 720, speedup: .95},
		"train/LSTM/T=64/B=16/I=64/H=64":                            {target: 1.3, speedup: .95},
		"train/RNN/T=64/B=64/I=256/H=256":                           {target: 1.15, speedup: 1.8},
		"last/LSTM/T=256/B=16/I=128/H=128":                          {target: 10, against: "torch", speedup: .95},
		"deepbench/LSTM/T=25/B=16/I=512/H=512":                      {target: 1, speedup: 1.8},
		"go/train/LSTM/T=64/B=1/I=256/H=256":                        {target: 8, speedup: .95},
	}
	for _, r := range rows() {
		if g, ok := want[r.name()]; ok {
			require.Equal(t, g, r.goal, r.name())
			delete(want, r.name())
		}
		require.GreaterOrEqual(t, r.target, 1.)
		require.Positive(t, r.speedup)
		f := r.goal.forced(r.B)
		require.Equal(t, goal{target: map[bool]float64{true: 1.15, false: 1}[r.B <= 16], speedup: r.speedup}, f)
	}
	require.Empty(t, want)
}

// example is a report with all that a report can have.
func example() *report {
	res := func(name string, ns float64) *result {
		return &result{Name: name, Rounds: 7, Calls: 3, samples: []float64{ns, ns, ns}, busy: 4.5}
	}
	r := &report{
		about: about{Host: host{CPU: "A & B <CPU>", CPUs: 2, OS: "linux/amd64", Go: "go1.26"}, Path: "avx2", Rounds: 7, SampleMS: 5, Quick: true},
		Runs: []*run{{Start: "2026-01-02T10:00:00Z", LoadBefore: "0.1 0.2 0.3", LoadAfter: "0.4 0.5 0.6", Rows: 10},
			{Start: "2026-01-03T10:00:00Z"}},
		Versions: map[string]string{"torch": "2.15.0", "gonum": "v0.17.0"}, Absent: map[string]string{"jax": "no such wheel"},
	}
	for _, threads := range []int{1, 2} {
		for _, row := range rows() {
			if !row.quick || row.group != groupForward && row.group != groupLast && row.group != groupBlock && row.group != groupStep && (row.group != groupGo || threads > 1) {
				continue
			}
			m := &measured{row: row, Name: row.name(), Threads: threads, Load: "2.5 1.0 0.5", Results: []*result{
				res(ours, 2048e3), res("gonum", 9e8), res("torch", 3072e3), {Name: "jax", Absent: "no such wheel"}}}
			m.Results[1].Rounds = farRounds
			if threads == 2 {
				m.Results = append(m.Results, res(alone, 4096e3))
				m.Free = 1.5 + float64(row.B)/32
			} else if row.hasPause() {
				m.Paused = 2560e3
			} else if row.hasShare() {
				m.Peak = 100e9
			}
			if row.group == groupLast {
				m.Results = append(m.Results[:1:1], res("torch, flushing", 1e6), res("torch", 20480e3+1))
			}
			if row.group == groupGo {
				m.Results = append(m.Results[:1:1], res("spago", 20e6), res("gonnx", 40e6), &result{Name: "gomlx", Absent: "broken"})
				m.of(ours).Allocated, m.of("spago").Allocated = &allocations{}, &allocations{Count: 5675, Bytes: 123456}
			}
			if row.H == 256 {
				m.Results[2] = &result{Name: "torch", Absent: "wrong: its results differ by 1"}
			}
			m.conclude()
			r.Rows = append(r.Rows, m)
		}
	}
	return r
}

func TestTables(t *testing.T) {
	var w strings.Builder
	r := example()
	r.oneThread(&w, "charts")
	fmt.Fprintln(&w)
	r.moreThreads(&w, "charts")
	for _, want := range []string{
		"2026-01-02 to 2026-01-03, A & B <CPU>, 2 CPUs, linux/amd64; simdrnn on avx2, go1.26, gonum v0.17.0, torch 2.15.0. A quick run",
		": 0.1 0.2 0.3 before and 0.4 0.5 0.6 after 10 rows; of 1 minute at the start of a row, the row's own share included: from 2.5 to 2.5, median 2.5.",
		"- jax: no such wheel",
		"| LSTM, forward, one thread | 6 | 6 | 0 | 0 |\n",
		"| All | 15 | 11 | 3 | 1 |\n",
		"| Target | simdrnn after a pause | to none | Target |  |\n",
		"| a call a step, I = H, H 128 | **2.05 ms** | 3.07 ms | absent | 900 ms* | 1.50 | ≤ 3.66 µs | 2.56 ms | 1.25 | ≤ 1.30 | short |\n",
		"| a call a step, I = 1, H 16 | **2.05 ms** | 3.07 ms | absent | 900 ms* | 1.50 | 1.00 | 2.56 ms | 1.25 |  | met |\n",
		"| LSTM, forward, one thread | 6 | 439.45 | 439.45 | 439.45 | 6 |\n",
		"| Neural-network libraries in Go, one thread | 2 | 9.77 | 9.77 | 9.77 | 2 |\n",
		"| LSTM step, H = 128, B 1 | **2.05 ms** | 20.0 ms | absent | 40.0 ms | 9.77 | 8.00 | met |\n",
		"| Allocations of a call, and their bytes | simdrnn | spago | gomlx | gonnx |\n| --- | ---: | ---: | ---: | ---: |\n",
		"| LSTM forward, H = 128, B 1 | 0, 0 B | 5675, 123 kB | – | – |\n",
		"- gomlx, go/step/LSTM/T=16/B=1/I=128/H=128: broken\n",
		"### LSTM, forward, one thread\n",
		"### LSTM, forward, 2 threads\n\nT = 64, I = H, from a zero state.\n",
		"![Forward, all on several threads](charts/threads.svg)",
		"| simdrnn | torch | jax | gonum | Ratio | Target | Of the peak | Target |  |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
		"| LSTM, H = 64, B 1 | **2.05 ms** | 3.07 ms | absent | 900 ms* | 1.50 | 1.35 |  |  | met |\n",
		"| LSTM, H = 64, B 16 | **2.05 ms** | 3.07 ms | absent | 900 ms* | 1.50 | 1.30 | 33 % | 72 % | met |\n",
		"| LSTM, H = 256, B 1 | **2.05 ms** | absent | absent | 900 ms* | 439.50 | 1.40 |  |  | met |\n",
		"- torch, forward/LSTM/T=64/B=1/I=256/H=256: wrong: its results differ by 1\n",
		"| one call, I = 1, H 16 | **1.00 µs** | 1.50 µs | absent | 439 µs* | 1.50 | ≤ 51.0 ns | short |\n",
		"| simdrnn | torch | torch, flushing | Ratio | To torch | Target |  |\n",
		"| last step, H = 128, T 256 | 2.05 ms | 20.5 ms | **1.00 ms** | 0.49 | 10.00 | 10.00 | below 1 |\n",
		"goroutines that spin got 1.53 to 2.00 of the 2 CPUs, median 1.53;",
		"medians of rows: simdrnn 1.50; simdrnn, one thread 1.50; torch 1.50;",
		"| simdrnn | simdrnn, one thread | torch | jax | gonum | CPUs busy in simdrnn | Speed-up | Target | Ratio |  |\n",
		"| LSTM, H = 64, B 1 | **2.05 ms** | 4.10 ms | 3.07 ms | absent | 900 ms* | 1.50 | 2.00 | 0.95 | 1.50 | met |\n",
	} {
		if strings.Contains(want, "\n") || strings.HasPrefix(want, "|") {
			require.Contains(t, w.String(), want)
		} else {
			require.Contains(t, strings.ReplaceAll(w.String(), "\n", " "), want) // of a paragraph
		}
	}
	require.NotContains(t, w.String(), "- jax, ")
	w.WriteString("\n\n")
	r.short(&w, "charts")
	require.Contains(t, w.String(), "| One thread, T = 64 and I = H unless said | simdrnn | torch | jax | Ratio |\n")
	require.Contains(t, w.String(), "| Forward: LSTM, H = 64, B 1 | **2.05 ms** | 3.07 ms | absent | 1.50 |\n")
	for table := range strings.SplitSeq(w.String(), "\n\n") {
		if strings.HasPrefix(table, "|") {
			lines := strings.Split(strings.TrimSpace(table), "\n")
			for _, l := range lines {
				require.Equal(t, strings.Count(lines[0], "|"), strings.Count(l, "|"), l)
			}
		}
	}

	r.Forced = true
	w.Reset()
	r.oneThread(&w, ".")
	require.Contains(t, strings.ReplaceAll(w.String(), "\n", " "), "simdrnn on avx2, to which all are held, ")
	require.Contains(t, w.String(), "### LSTM, forward, avx2, one thread\n")
	require.Contains(t, w.String(), "| 1.50 | 1.15 | 33 % |  | met |\n")
}

// Charts are well-formed XML without numbers that are none, and nothing lies
// outside.
func TestChart(t *testing.T) {
	r := example()
	for _, f := range figures {
		rows := f.rows(r)
		require.NotEmpty(t, rows, f.file)
		var w strings.Builder
		require.NoError(t, f.chart(&w, r))
		require.NotContains(t, w.String(), "NaN")
		require.NotContains(t, w.String(), "Inf")
		require.NotContains(t, w.String(), "%!")
		bars, arrows := 0, 0
		d := xml.NewDecoder(strings.NewReader(w.String()))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			switch e.Name.Local {
			case "rect":
				bars++
				for _, a := range e.Attr {
					require.False(t, strings.HasPrefix(a.Value, "-"), "%s %s=%s", f.file, a.Name.Local, a.Value)
				}
			case "path":
				arrows++
			}
		}
		want, wantArrows := 1, 0 // background
		drawn := func(name string) bool { return name != ours && !(f.several && inGo(name)) }
		for _, name := range libraries(rows) {
			if drawn(name) {
				want++ // legend
			}
		}
		for _, m := range rows {
			for _, res := range m.Results {
				if res.Absent == "" && drawn(res.Name) {
					want++
					require.NotEmpty(t, colours[res.Name])
					if m.ratio(res.Name) > highest {
						wantArrows++
					}
				}
			}
		}
		require.Equal(t, want, bars, f.file)
		require.Equal(t, wantArrows, arrows, f.file)
	}
	require.Equal(t, []string{"one two", "three", "extraordinary", "x"}, wrap("one two three extraordinary x", 8))
	s := scale{.5, 8}
	require.InDelta(t, panelTop+panelHeight, s.y(.5), 1e-9)
	require.InDelta(t, panelTop, s.y(8), 1e-9)
	require.InDelta(t, panelTop+.75*panelHeight, s.y(1), 1e-9)
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	results := filepath.Join(dir, "new")
	r := example()
	require.NoError(t, r.save(results))
	back, err := load(results)
	require.NoError(t, err)
	require.Equal(t, "forward/LSTM/T=64/B=1/I=64/H=64", back.Rows[0].Name)
	require.InDelta(t, 1.5, back.Rows[0].Ratio, 1e-9)

	// Tables are those of the saved results, in pages or not.
	var text, again strings.Builder
	require.NoError(t, r.write(results, "", &text))
	require.NoError(t, back.write(results, "", &again))
	require.Equal(t, text.String(), again.String())
	page := func(name, s string) { require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(s), 0o666)) }
	block := func(name, s string) string {
		return fmt.Sprintf("<!-- make bench-report: %s -->\n%s<!-- end of %[1]s -->", name, s)
	}
	page("PERFORMANCE.md", "A\n"+block("threads", "stale")+"\nB\n"+block("layers", "")+"\nC\n")
	page("README.md", block("short", "stale"))
	for range 2 {
		require.NoError(t, back.write(results, dir, nil))
		for _, name := range []string{"PERFORMANCE.md", "README.md"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.NotContains(t, string(text), "stale")
			for _, link := range strings.Split(string(text), "](")[1:] {
				link, _, _ = strings.Cut(link, ")")
				require.FileExists(t, filepath.Join(dir, link))
			}
			if name == "PERFORMANCE.md" {
				require.Regexp(t, "(?s)^A\n<!-- .*2 threads.*\nB\n<!-- .*one thread.*\nC\n$", string(text))
			}
		}
	}
	page("README.md", "no block")
	require.ErrorContains(t, back.write(results, dir, nil), `no block between "<!-- make bench-report: short -->" and "<!-- end of short -->"`)
	require.ErrorContains(t, new(report).write(results, "", nil), "no row")

	for bad, want := range map[string]string{"": "unexpected end", `{"rows": [{"name": "x"}]}`: `row "x"`,
		`{"rows": [{"name": "forward/LSTM/T=64/B=1/I=64/H=64"}]}`: "no result of simdrnn"} {
		require.NoError(t, os.WriteFile(filepath.Join(results, resultsFile), []byte(bad), 0o666))
		_, err = load(results)
		require.ErrorContains(t, err, want)
	}
	_, err = load(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// Rows stand in the order of the tables, each once.
func TestPut(t *testing.T) {
	r, all := new(report), rows()
	for _, i := range []int{5, 2, 9, 2} {
		for _, threads := range []int{2, 1} {
			r.put(&measured{row: all[i], Name: all[i].name(), Threads: threads})
		}
	}
	var got []string
	for _, m := range r.Rows {
		got = append(got, fmt.Sprint(m.Threads, m.Name))
	}
	require.Equal(t, []string{"1" + all[2].name(), "1" + all[5].name(), "1" + all[9].name(), "2" + all[2].name(), "2" + all[5].name(), "2" + all[9].name()}, got)
	require.NotNil(t, r.find(all[9].name(), 2))
	require.Nil(t, r.find(all[8].name(), 2))
}

func TestConfigure(t *testing.T) {
	configure := func(peers, pattern, threads string, rounds int, quick bool) (plan, error) {
		p := plan{rounds: rounds}
		err := p.configure(peers, pattern, threads, quick)
		return p, err
	}
	p, err := configure("torch,openvino", "^forward/.*/B=1/", "both", 7, false)
	require.NoError(t, err)
	require.Len(t, p.rows, 4)
	var names []string
	for _, peer := range p.peers {
		names = append(names, peer.name)
	}
	require.Equal(t, []string{"torch", "torch, flushing", "openvino", "gonum", "tphakala/simd", "spago", "gomlx", "gonnx", "gorgonia"}, names)
	require.Equal(t, 1, p.threads[0])
	p, err = configure("", "", "one", 9, true)
	require.NoError(t, err)
	require.Len(t, p.peers, 6)
	require.Less(t, len(p.rows), 40)
	for _, c := range []struct {
		peers, pattern, threads string
		rounds                  int
		want                    string
	}{
		{"tensorflow", "", "both", 7, `peer "tensorflow", want some of torch,onnxruntime,openvino,jax`},
		{"", "(", "both", 7, "missing closing"},
		{"", "none", "both", 7, "no row"},
		{"", "", "many", 7, "want one, all or both"},
		{"", "", "both", 6, "6 rounds, want at least 7"},
	} {
		_, err := configure(c.peers, c.pattern, c.threads, c.rounds, false)
		require.ErrorContains(t, err, c.want)
	}
}

// AVX2 is forced only on a machine that has more.
func TestHeld(t *testing.T) {
	wide := []kernels.ISA{kernels.Generic, kernels.AVX2, kernels.AVX512}
	for _, p := range peers() {
		for _, c := range []struct {
			active    kernels.ISA
			available []kernels.ISA
		}{{kernels.AVX512, wide}, {kernels.AVX2, wide[:2]}, {kernels.Generic, wide}} {
			env, err := p.held(c.active, c.available)
			require.NoError(t, err)
			require.Empty(t, env)
		}
		env, err := p.held(kernels.AVX2, wide)
		require.Equal(t, p.avx2 == "", err != nil, p.name)
		require.Equal(t, p.avx2, strings.Join(env, " "))
	}
}

// A peer that cannot be installed is absent, and it is tried once.
func TestInstall(t *testing.T) {
	t.Setenv("PYTHON", filepath.Join(t.TempDir(), "no-python"))
	e := &environment{dir: filepath.Join(t.TempDir(), "venv"), failed: map[string]error{}}
	for _, p := range peers() {
		if p.in == nil {
			_, err := e.install(&p)
			require.ErrorContains(t, err, "no-python")
		}
	}
	require.Len(t, e.failed, 4)
	p := peers()[0]
	e = &environment{dir: t.TempDir(), failed: map[string]error{}}
	require.NoError(t, os.WriteFile(e.stamp(), []byte(strings.Join(p.requires, " ")+"\n"), 0o666))
	interpreter, err := e.install(&p)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(e.dir, "bin", "python"), interpreter)
}

func python3(t *testing.T) string {
	name, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	return name
}

func TestScriptsCompile(t *testing.T) {
	files, err := filepath.Glob("../python/*.py")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	const compile = "import sys\nfor f in sys.argv[1:]: compile(open(f).read(), f, 'exec')"
	out, err := exec.Command(python3(t), append([]string{"-c", compile}, files...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	for _, p := range peers() {
		if p.in == nil {
			require.FileExists(t, filepath.Join("../python", p.script))
		}
	}
}

// The protocol from end to end, with a peer in plain Python.
func TestPython(t *testing.T) {
	interpreter := python3(t)
	start := func(options ...string) *python {
		p, err := startPython(interpreter, "../python/peer_plain.py", settings{Threads: 1, CPU: timing.LastCPU(), Options: options}, nil)
		require.NoError(t, err)
		t.Cleanup(p.Close)
		require.Equal(t, map[string]string{"plain": "1"}, p.version)
		return p
	}
	right, wrong, crash := start([]string{}...), start("wrong"), start("crash")
	for _, m := range []mode{forward, step} {
		r := small(m, "RNN")
		_, want := prepared(t, &simdrnn{threads: 1}, r)
		task, got := prepared(t, right, r)
		diff, err := task.compare(got, want)
		require.NoError(t, err)
		require.LessOrEqual(t, diff, tolerance)
		d, _, err := right.run(10)
		require.NoError(t, err)
		require.Positive(t, d)
		_, got = prepared(t, wrong, r)
		diff, err = task.compare(got, want)
		require.NoError(t, err)
		require.Greater(t, diff, tolerance)
	}
	task, err := newTask(small(train, "RNN"), t.TempDir())
	require.NoError(t, err)
	_, err = right.prepare(task)
	require.ErrorAs(t, err, new(unsupported))
	right.release()
	_, _, err = right.run(1)
	require.ErrorContains(t, err, "AttributeError")

	prepared(t, crash, small(forward, "RNN"))
	_, _, err = crash.run(1)
	require.ErrorContains(t, err, "about to crash")
	_, err = startPython(interpreter, "../python/no_such.py", settings{Options: []string{}}, nil)
	require.ErrorContains(t, err, "No such file")
}

// A whole run, which leaves the process as it was, is interrupted, and goes on.
func TestRun(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	all := rows()
	pick := func(name string) *row {
		return all[slices.IndexFunc(all, func(r *row) bool { return r.name() == name })]
	}
	saves := 0
	p := plan{
		rows: []*row{pick("step/LSTM/T=16/B=1/I=1/H=8"), pick("forward/LSTM/T=64/B=1/I=64/H=64"), pick("go/step/LSTM/T=16/B=1/I=128/H=128")}, threads: []int{1, 2}, rounds: leastRounds,
		sample: time.Microsecond, log: io.Discard, dir: t.TempDir(),
		peers: slices.DeleteFunc(peers(), func(p peer) bool { return p.name == "torch" || p.name == "jax" }),
		save:  func(*report) error { saves++; return nil },
	}
	t.Setenv("PYTHON", "no-python")
	e := &environment{dir: filepath.Join(t.TempDir(), "venv"), failed: map[string]error{}}
	ctx, cancel := context.WithCancel(context.Background())
	r := new(report)
	p.save = func(*report) error {
		if saves++; saves == 1 {
			cancel()
		}
		return nil
	}
	require.NoError(t, p.measure(ctx, e, r))
	require.Len(t, r.Rows, 1)
	first := r.Rows[0]
	require.NoError(t, p.measure(context.Background(), e, r))
	require.Len(t, r.Rows, 5)
	require.Same(t, first, r.find(first.Name, 1))
	require.Equal(t, 5, saves)
	require.Len(t, r.Runs, 2)
	require.Equal(t, 4, r.Runs[1].Rows)
	require.Contains(t, r.Absent, "openvino")
	for _, m := range r.Rows {
		require.Len(t, m.of(ours).samples, leastRounds)
		for _, peer := range p.peers {
			if peer.in != nil && peer.takes(m.row) {
				require.Positive(t, m.of(peer.name).Median)
				require.Equal(t, m.row.group == groupGo, m.of(peer.name).Allocated != nil)
				require.Equal(t, m.Threads == 1 && m.row.group == groupStep, m.Paused > 0)
			} else if !peer.takes(m.row) {
				require.Nil(t, m.of(peer.name))
			}
		}
		require.Equal(t, m.Threads > 1, m.of(alone) != nil)
	}
	require.Equal(t, before, runtime.GOMAXPROCS(0))

	p.again, p.threads = true, []int{1}
	require.NoError(t, p.measure(context.Background(), e, r))
	require.Len(t, r.Rows, 5)
	require.NotSame(t, first, r.find(first.Name, 1))

	p.rounds++
	require.ErrorContains(t, p.measure(context.Background(), e, r), "the saved results are of")
	p.rounds--
	r.Versions["gonum"] = "v0.1"
	require.ErrorContains(t, p.measure(context.Background(), e, r), "the saved results are of gonum v0.1, not v0.17.0")
}

func TestProgress(t *testing.T) {
	w := progress{rows: 3, left: 60 * time.Second}
	require.Equal(t, time.Minute, w.eta())
	w.add(20*time.Second, 30*time.Second)
	require.Equal(t, time.Minute, w.eta(), "rows take half as long again as expected")
	require.Equal(t, 1, w.done)
}
