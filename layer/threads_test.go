package layer

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

var splitNames = map[split]string{bySelf: "self", byRows: "rows", byDirections: "directions", byUnits: "units"}

// forceSplit makes all calls split so, if they can be.
func (t *threads) forceSplit(r *recurrent, s split) {
	t.work = func(T, B int) float64 { return math.Inf(1) }
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
	for _, s := range []split{byRows, byDirections, byUnits} {
		for _, n := range []int{2, 3, 4} {
			if !kerneltest.Emulated() || n == 3 {
				f(s, n)
			}
		}
	}
}

// TestThreadsStream: a Stream gives the same bits with any number of threads.
func TestThreadsStream(t *testing.T) {
	procs(t, 4)
	forEachRun(t, func(t *testing.T, m model, p *run, _ *Rand) {
		kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
			want := *p
			want.stream(m.NewStream(p.B))
			forEachSplit(t, func(s split, threads int) {
				got := *p
				stream := m.NewStream(p.B)
				stream.SetThreads(threads)
				stream.forceSplit(stream.r, s)
				for range 2 {
					got.stream(stream)
					want.requireSame(t, &got, fmt.Sprintf("%s, threads=%d", splitNames[s], threads))
				}
			})
		})
	})
}

// TestThreadsTape: a Tape gives the same bits with any number of threads.
func TestThreadsTape(t *testing.T) {
	procs(t, 4)
	forEachRun(t, func(t *testing.T, m model, p *run, _ *Rand) {
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
				tape.Params().ZeroGrad()
				got.tape(tape)
				want.requireSame(t, &got, fmt.Sprintf("%s, threads=%d, again", splitNames[s], threads))
			})
		})
	})
}

// requireSame checks that another run gave the same bits, as far as it went.
func (p *run) requireSame(t *testing.T, q *run, name string) {
	t.Helper()
	for i, c := range append([][2][]float32{{p.y, q.y}, {p.hn, q.hn}, {p.cn, q.cn}, {p.hAll, q.hAll}, {p.cAll, q.cAll}, {p.last, q.last},
		{p.dx, q.dx}, {p.dh0, q.dh0}, {p.dc0, q.dc0}, {p.dResetH, q.dResetH}, {p.dResetC, q.dResetC}}, pairs(p.grads, q.grads)...) {
		requireBits(t, c[0], c[1], fmt.Sprintf("%s: %d", name, i))
	}
}
