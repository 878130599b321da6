package layer

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

var splitNames = map[split]string{bySelf: "self", byRows: "rows", byDirections: "directions", byUnits: "units"}

// forceSplit makes all calls split so, if they can be.
func (t *threads) forceSplit(r *recurrent, s split) {
	t.work, t.alone = func(T, B int) float64 { return math.Inf(1) }, false
	t.split = func(p *plan, members int, train bool) split {
		switch {
		case members == 1,
			s == byDirections && !r.bidirectional,
			s == byUnits && !(p.plain() && r.hasUnits(train)):
			return bySelf
		}
		return s
	}
}

// procs sets GOMAXPROCS for the test.
func procs(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// forEachSplit runs f for all splits and some numbers of threads.
func forEachSplit(t *testing.T, f func(s split, threads int)) {
	for _, c := range []struct {
		s       split
		threads int
	}{{byRows, 3}, {byDirections, 2}, {byDirections, 3}, {byUnits, 2}} {
		if !kerneltest.Emulated() || c.s != byDirections || c.threads == 3 {
			f(c.s, c.threads)
		}
	}
}

// TestThreadsStream: a Stream gives the same bits with any number of threads.
func TestThreadsStream(t *testing.T) {
	procs(t, 4)
	forEachNthRun(t, kerneltest.Pick(3, 8, 16), func(t *testing.T, m model, p *run, _ *Rand) {
		kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
			want := *p
			want.stream(m.NewStream(p.B))
			forEachSplit(t, func(s split, threads int) {
				got := *p
				stream := m.NewStream(p.B)
				stream.SetThreads(threads)
				stream.forceSplit(stream.r, s)
				got.stream(stream)
				want.requireSame(t, &got, fmt.Sprintf("%s, threads=%d", splitNames[s], threads))
			})
		})
	})
}

// TestThreadsStep: steps that one thread makes alone follow calls that were shared.
func TestThreadsStep(t *testing.T) {
	procs(t, 3)
	const T, B = 5, 4
	for _, n := range []network{{mode: "LSTM", I: 3, H: 40, L: 2}, {mode: "GRU", I: 3, H: 40, L: 2}, {mode: "RNN_TANH", I: 3, H: 140}} {
		r := NewRand(1)
		m := n.build(t, r)
		x := make([]float32, T*B*n.I)
		r.Normal(x, 0, 1)
		out := make([]float32, T*B*n.H)
		m.NewStream(B).Forward(out, x)
		for _, s := range []split{byRows, byUnits} {
			got := make([]float32, len(out))
			stream := m.NewStream(B)
			stream.SetThreads(3)
			for t := 0; t < T; {
				steps := 2
				if t%3 == 2 {
					steps = 1
				}
				y, x := got[t*B*n.H:(t+steps)*B*n.H], x[t*B*n.I:(t+steps)*B*n.I]
				if steps == 1 {
					stream.work, stream.split = stream.r.work, stream.r.split
					stream.Step(y, x)
				} else {
					stream.forceSplit(stream.r, s)
					stream.Forward(y, x)
				}
				t += steps
			}
			require.Equal(t, out, got, "%s, %s", n, splitNames[s])
		}
	}
}

// TestThreadsNoC: a cell without c takes a CAll of no elements.
func TestThreadsNoC(t *testing.T) {
	procs(t, 2)
	n := network{mode: "GRU", I: 3, H: 40}
	m := n.build(t, NewRand(1))
	p := newRun(n, 3, 2, nil, false, NewRand(2))
	want, got, hAll := make([]float32, len(p.dy)), make([]float32, len(p.dy)), make([]float32, len(p.dy))
	m.NewStream(p.B).Forward(want, p.x)
	stream, tape := m.NewStream(p.B), m.NewTape(p.T, p.B)
	stream.SetThreads(2)
	tape.SetThreads(2)
	stream.forceSplit(stream.r, byUnits)
	tape.forceSplit(tape.r, byUnits)
	stream.ForwardSeq(got, p.x, Seq{HAll: hAll, CAll: []float32{}})
	requireBits(t, want, got, "Stream")
	requireBits(t, want, hAll, "HAll")
	requireBits(t, want, tape.ForwardSeq(p.x, Seq{CAll: []float32{}}), "Tape")
}

// TestThreadsTape: a Tape gives the same bits with any number of threads.
func TestThreadsTape(t *testing.T) {
	procs(t, 4)
	forEachNthRun(t, kerneltest.Pick(3, 8, 16), func(t *testing.T, m model, p *run, _ *Rand) {
		kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
			want := *p
			want.tape(m.NewTape(p.T+1, p.B))
			forEachSplit(t, func(s split, threads int) {
				got := *p
				tape := m.NewTape(p.T+1, p.B)
				tape.SetThreads(threads)
				tape.forceSplit(tape.r, s)
				got.tape(tape)
				want.requireSame(t, &got, fmt.Sprintf("%s, threads=%d", splitNames[s], threads))
				if threads > 2 {
					return
				}
				tape.Params().ZeroGrad()
				got.tape(tape)
				want.requireSame(t, &got, fmt.Sprintf("%s, threads=%d, again", splitNames[s], threads))
			})
		})
	})
}

// TestThreadsLinear: a LinearTape gives the same bits with any number of threads,
// whether they share rows or outputs.
func TestThreadsLinear(t *testing.T) {
	procs(t, 4)
	for _, c := range []struct {
		I, O, N int
		noBias  bool
	}{
		{I: 130, O: 70, N: 13}, // rows; fewer blocks of outputs than members
		{I: 200, O: 300, N: 5}, // outputs
		{I: 3, O: 1, N: 2, noBias: true},
		{I: 520, O: 650, N: 9, noBias: true}, // outputs, as the weight is large
	} {
		if kerneltest.Emulated() && c.I > 500 {
			continue
		}
		t.Run(fmt.Sprintf("I=%d O=%d N=%d", c.I, c.O, c.N), func(t *testing.T) {
			r := NewRand(3)
			l, err := NewLinear(LinearConfig{Input: c.I, Output: c.O, NoBias: c.noBias}, r)
			require.NoError(t, err)
			x, dy := normal(r, c.N*c.I), normal(r, c.N*c.O)
			kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
				var want [][]float32
				for _, threads := range []int{1, 2, 3, 4} {
					tape := l.NewTape(c.N)
					tape.SetThreads(threads)
					tape.work = func(int) float64 { return math.Inf(1) }
					dx := make([]float32, len(x))
					for range 2 { // the second time gradients are added
						tape.Forward(x)
						tape.Backward(dx, dy)
					}
					got := [][]float32{tape.y, dx}
					for _, p := range tape.Params() {
						got = append(got, p.Grad)
					}
					if threads == 1 {
						want = got
					}
					for i := range got {
						requireBits(t, want[i], got[i], fmt.Sprintf("threads=%d: %d", threads, i))
					}
				}
			})
		})
	}
}

// TestThreadsAllocs: no call allocates. testing.AllocsPerRun would set GOMAXPROCS
// to 1.
func TestThreadsAllocs(t *testing.T) {
	const T, B = 2, 4
	calls := kerneltest.Pick(1000, 200, 20)
	procs(t, 3)
	for _, n := range []network{{mode: "LSTM", I: 3, H: 17, L: 2, bidirectional: true}, {mode: "GRU", I: 3, H: 20}} {
		r := NewRand(1)
		m := n.build(t, r)
		p := newRun(n, T, B, nil, false, r)
		linear, err := NewLinear(LinearConfig{Input: p.out, Output: 5}, r)
		require.NoError(t, err)
		dlogits := normal(r, T*B*5)
		forEachSplit(t, func(s split, threads int) {
			if s == byDirections && threads == 2 {
				return
			}
			stream, tape := m.NewStream(B), m.NewTape(T, B)
			stream.Grow(T)
			stream.SetThreads(threads)
			stream.forceSplit(stream.r, s)
			tape.SetThreads(threads)
			tape.forceSplit(tape.r, s)
			head := linear.NewTape(T * B)
			head.SetThreads(threads)
			head.work = func(int) float64 { return math.Inf(1) }
			y, dx := make([]float32, T*B*p.out), make([]float32, T*B*p.in)
			q := p.seq()
			call := func() {
				stream.ForwardSeq(y, p.x, q)
				head.Forward(tape.ForwardSeq(p.x, q))
				head.Backward(y, dlogits)
				tape.Backward(dx, p.dy)
			}
			call()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range calls {
				call()
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.Mallocs-before.Mallocs, uint64(calls), "%s, threads=%d", splitNames[s], threads)
		})
	}
}

// TestThreadsCallers: many goroutines with Streams and Tapes of several threads
// all come to the same results, whoever gets the workers.
func TestThreadsCallers(t *testing.T) {
	const T, B = 20, 8
	procs(t, 3)
	n := network{mode: "LSTM", I: 20, H: kerneltest.Pick(80, 80, 40), L: 2}
	r := NewRand(1)
	m := n.build(t, r)
	p := newRun(n, T, B, nil, false, r)
	want := *p
	want.tape(m.NewTape(T, B))
	var wg sync.WaitGroup
	for i := range kerneltest.Pick(8, 8, 3) {
		wg.Go(func() {
			stream, tape := m.NewStream(B), m.NewTape(T, B)
			stream.SetThreads(2 + i%2)
			tape.SetThreads(2 + i%2)
			if i%3 > 0 {
				stream.forceSplit(stream.r, split(i%3))
				tape.forceSplit(tape.r, split(i%3))
			}
			for range kerneltest.Pick(10, 3, 1) {
				got := *p
				got.tape(tape)
				got.stream(stream)
				for _, c := range [][2][]float32{{want.y, got.y}, {want.dx, got.dx}, {want.grads[0], got.grads[0]}} {
					if !slices.Equal(c[0], c[1]) {
						t.Errorf("goroutine %d: other bits", i)
						return
					}
				}
				tape.Params().ZeroGrad()
			}
		})
	}
	wg.Wait()
}

// TestThreadsSizes: networks and batches that are split by the estimate of work,
// and those that have more than one panel for a member.
func TestThreadsSizes(t *testing.T) {
	procs(t, 4)
	for _, c := range []struct {
		n    network
		T, B int
		want map[int]split // by members
	}{
		{network{mode: "LSTM", I: 40, H: 96}, 20, 16, map[int]split{2: byRows, 4: byRows}},
		{network{mode: "LSTM", I: 30, H: 256}, 12, 1, map[int]split{2: byUnits, 4: byUnits}},
		{network{mode: "GRU", I: 70, H: 256, L: 2}, 3, 4, map[int]split{2: byUnits}},
		{network{mode: "RNN_TANH", I: 30, H: 400, L: 2, noBias: true}, 5, 3, map[int]split{2: byUnits, 3: byUnits}},
		{network{mode: "LSTM", I: 30, H: 60, bidirectional: true, L: 2}, 8, 2, map[int]split{2: byDirections, 4: byDirections}},
		{network{mode: "LSTM", I: 30, H: 32}, 8, 3, map[int]split{2: byRows}},
		{network{mode: "LSTM", I: 30, H: 32}, 8, 1, map[int]split{2: bySelf}},
		{network{mode: "LSTM", I: 40, H: 128}, 4, 1, map[int]split{2: byUnits}},
		{network{mode: "LSTM", I: 10, H: 256}, 3, 8, map[int]split{2: byUnits}},
		{network{mode: "LSTM", I: 16, H: 576}, 2, 16, map[int]split{2: byUnits, 4: byUnits}},
	} {
		if kerneltest.Emulated() && c.n.H > 100 {
			continue
		}
		t.Run(c.n.String(), func(t *testing.T) {
			r := NewRand(1)
			m := c.n.build(t, r)
			p := newRun(c.n, c.T, c.B, nil, false, r)
			want := *p
			want.tape(m.NewTape(p.T, p.B))
			for n, s := range c.want {
				stream, tape := m.NewStream(p.B), m.NewTape(p.T, p.B)
				stream.SetThreads(n)
				tape.SetThreads(n)
				stream.plan.set(&Seq{}, p.T)
				require.Equal(t, splitNames[s], splitNames[stream.split(&stream.plan, n, false)], "members=%d", n)
				work := func(T, B int) float64 { return wakeCall }
				stream.threads.work, tape.threads.work, stream.alone = work, work, false
				got := *p
				got.tape(tape)
				want.requireSame(t, &got, fmt.Sprintf("Tape, threads=%d", n))
				got.stream(stream)
				want.requireSame(t, &got, fmt.Sprintf("Stream, threads=%d", n))
			}
		})
	}
}

// TestThreadsSkip: steps that no gradient reaches are skipped by all members alike.
func TestThreadsSkip(t *testing.T) {
	const T, B = 15, 6
	procs(t, 3)
	for _, n := range []network{
		{mode: "LSTM", I: 20, H: 130},
		{mode: "GRU", I: 20, H: 70, L: 2},
		{mode: "RNN_TANH", I: 20, H: 200, bidirectional: true},
	} {
		if kerneltest.Emulated() {
			n.H /= 2
		}
		r := NewRand(7)
		m := n.build(t, r)
		p := newRun(n, T, B, nil, false, r)
		clear(p.dhn)
		clear(p.dcn)
		clear(p.dy[3*B*p.out:])
		clear(p.dy[:B*p.out/2]) // some rows have nothing for a while
		want := *p
		want.tape(m.NewTape(T, B))
		forEachSplit(t, func(s split, threads int) {
			tape := m.NewTape(T, B)
			tape.SetThreads(threads)
			tape.forceSplit(tape.r, s)
			got := *p
			got.tape(tape)
			want.requireSame(t, &got, fmt.Sprintf("%s, threads=%d", splitNames[s], threads))
			tape.Forward(p.x)
			dx := normal(r, len(p.x))
			tape.Backward(dx, nil)
			require.Equal(t, make([]float32, len(dx)), dx)
		})
	}
}

// TestAddGrads: gradients are added in order, and refused if they are others.
func TestAddGrads(t *testing.T) {
	n := network{mode: "LSTM", I: 2, H: 3}
	m := n.build(t, nil)
	var ps []Params
	for i := range 3 {
		ps = append(ps, m.NewTape(1, 1).Params())
		for _, q := range ps[i] {
			fill(q.Grad, []float32{1 << 24, 1, 1}[i]) // 2^24+1 rounds to 2^24
		}
	}
	AddGrads(ps[0], ps[1:]...)
	require.Equal(t, float32(1<<24), ps[0][0].Grad[0])
	AddGrads(ps[1], ps[2], ps[0])
	require.Equal(t, float32(1<<24+2), ps[1][3].Grad[11])
	AddGrads(m.Params(), ps...) // no gradients
	require.Zero(t, testing.AllocsPerRun(5, func() { AddGrads(ps[0], ps[1]) }))
	require.PanicsWithValue(t, "layer: AddGrads: len(srcs[1]) = 3, want len(dst) = 4", func() { AddGrads(ps[0], ps[1], ps[2][1:]) })
	require.PanicsWithValue(t, "layer: AddGrads: len(srcs[0][0].Grad) = 0, want that of weight_ih_l0 = 24", func() { AddGrads(ps[0], m.Params()) })
}

// TestSetThreads: it may be called between any two calls, and refuses nonsense.
func TestSetThreads(t *testing.T) {
	const T, B = 6, 9
	procs(t, 3)
	n := network{mode: "LSTM", I: 5, H: 40, L: 2}
	r := NewRand(1)
	m := n.build(t, r)
	p := newRun(n, T, B, nil, false, r)
	want := *p
	want.tape(m.NewTape(T, B))
	stream, tape := m.NewStream(B), m.NewTape(T, B)
	for _, threads := range []int{3, 1, 2, 1000, 1} {
		stream.SetThreads(threads)
		tape.SetThreads(threads)
		stream.forceSplit(stream.r, byUnits)
		tape.forceSplit(tape.r, byUnits)
		got := *p
		got.tape(tape)
		want.requireSame(t, &got, "Tape")
		tape.Params().ZeroGrad()
		clone := stream.Clone()
		require.Equal(t, threads, clone.n)
		for _, s := range []*Stream{stream, clone} {
			got.stream(s)
			want.requireSame(t, &got, "Stream")
		}
		stream.Step(got.y[:B*p.out], p.x[:B*p.in]) // whole again
	}
	require.PanicsWithValue(t, "layer: Stream.SetThreads: n = 0, want at least 1", func() { stream.SetThreads(0) })
	require.PanicsWithValue(t, "layer: Tape.SetThreads: n = -1, want at least 1", func() { tape.SetThreads(-1) })
}

// requireSame checks that another run gave the same bits, as far as it went.
func (p *run) requireSame(t *testing.T, q *run, name string) {
	t.Helper()
	for i, c := range append([][2][]float32{{p.y, q.y}, {p.hn, q.hn}, {p.cn, q.cn}, {p.hAll, q.hAll}, {p.cAll, q.cAll}, {p.last, q.last},
		{p.dx, q.dx}, {p.dh0, q.dh0}, {p.dc0, q.dc0}, {p.dResetH, q.dResetH}, {p.dResetC, q.dResetC}}, pairs(p.grads, q.grads)...) {
		requireBits(t, c[0], c[1], fmt.Sprintf("%s: %d", name, i))
	}
}
