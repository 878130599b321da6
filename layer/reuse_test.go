package layer

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

// TestReuse: one Stream and one Tape serve calls of any lengths and numbers of
// threads in turn, on any path, with the bits of new ones, whatever earlier calls
// have left in them: NaN in all memory of a call, or a panic.
func TestReuse(t *testing.T) {
	procs(t, 3)
	maxT := kerneltest.Pick(14, 14, 6)
	for i, n := range networks {
		if i%kerneltest.Pick(1, 2, 6) > 0 {
			continue
		}
		t.Run(n.String(), func(t *testing.T) {
			r := NewRand(int64(i))
			upTo := func(n int) int { return int(r.Float64() * float64(n+1)) }
			m, B := n.build(t, r), 1+i%5
			stream, tape := m.NewStream(B), m.NewTape(maxT, B)
			old, err := kernels.Active()
			require.NoError(t, err)
			defer kernels.Use(old)
			for round := range kerneltest.Pick(12, 12, 4) {
				if paths := kerneltest.SIMD(); len(paths) > 0 {
					require.NoError(t, kernels.Use(paths[upTo(len(paths)-1)]))
				}
				T := upTo(maxT)
				var lengths []int
				if upTo(1) == 1 {
					for range B {
						lengths = append(lengths, upTo(T))
					}
				}
				p := newRun(n, T, B, lengths, round%3 == 2, r)
				p.toInitial = round%6 == 2
				threads, split := 1+upTo(2), []split{byRows, byDirections, byUnits}[upTo(2)]
				stream.SetThreads(threads)
				stream.forceSplit(stream.r, split)
				tape.SetThreads(threads)
				tape.forceSplit(tape.r, split)
				switch round % 4 {
				case 0:
					tape.Params().ZeroGrad() // else gradients are added to those before
				case 2:
					fillWithNaN(stream, tape, n, T, B)
				case 3:
					require.Panics(t, func() { stream.Forward(make([]float32, 1), make([]float32, B*n.I)) })
					require.Panics(t, func() { tape.Forward(make([]float32, (maxT+1)*B*n.I)) })
				}
				what := fmt.Sprintf("round %d, T=%d lengths=%v %s, threads=%d", round, T, lengths, splitNames[split], threads)
				want, got := *p, *p
				want.stream(m.NewStream(B))
				got.stream(stream)
				want.requireSame(t, &got, "Stream, "+what)
				fresh := m.NewTape(maxT, B)
				for j, q := range tape.Params() {
					copy(fresh.Params()[j].Grad, q.Grad)
				}
				want.tape(fresh)
				got.tape(tape)
				want.requireSame(t, &got, "Tape, "+what)
			}
		})
	}
}

// fillWithNaN leaves NaN in the memory of both for T steps, and gradients of zero.
func fillWithNaN(s *Stream, tape *Tape, n network, T, B int) {
	nan := func(n int) []float32 {
		x := make([]float32, n)
		fill(x, float32(math.NaN()))
		return x
	}
	x := nan(T * B * n.I)
	for _, v := range [][]float32{s.H0(), s.C0(), tape.H0(), tape.C0()} {
		copy(v, nan(len(v)))
	}
	s.Forward(make([]float32, T*B*s.r.output()), x)
	tape.SetRand(NewRand(1))
	tape.Forward(x)
	tape.Backward(nil, nan(T*B*s.r.output()))
	tape.Params().ZeroGrad()
}
