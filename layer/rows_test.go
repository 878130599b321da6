package layer

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

// TestRowByRow: a batch whose rows go one after the other has the bits of one whose
// rows go together, as they do where a step might be a reset.
func TestRowByRow(t *testing.T) {
	const I, T = 2, 21
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			for i, n := range []network{
				{mode: mode, I: I, H: 5},
				{mode: mode, I: I, H: 24, L: 2},
				{mode: mode, I: I, H: 17, L: 2, bidirectional: true},
				{mode: mode, I: 30, H: 20, batchFirst: true},
				{mode: "LSTM", I: I, H: 20, P: 7, L: 2},
			} {
				for _, B := range []int{1, 2, 5} {
					what := fmt.Sprintf("%+v, B = %d", n, B)
					r := NewRand(int64(i))
					m := networkOf(t, n, r)
					out := B * m.output()
					together := Seq{Reset: make([]bool, T*B)}
					x := normal(r, T*B*n.I)
					s := m.NewStream(B)
					require.True(t, s.scans[0].rowByRow(B, 0, rowSteps), what)
					want := make([]float32, T*out)
					s.ForwardSeq(want, x, together)
					hn, cn := slices.Clone(s.H()), slices.Clone(s.C())
					got := make([]float32, len(want))
					for _, threads := range []int{1, 2} {
						s := m.NewStream(B)
						s.SetThreads(threads)
						s.Forward(got, x)
						requireBits(t, want, got, what)
						requireBits(t, hn, s.H(), what+": h")
						requireBits(t, cn, s.C(), what+": c")
					}
					if !n.bidirectional && !n.batchFirst {
						s := m.NewStream(B)
						for step := range T {
							s.Step(got[step*out:][:out], x[step*B*n.I:][:B*n.I])
						}
						requireBits(t, want, got, what+": steps")
						requireBits(t, cn, s.C(), what+": c after steps")
					}
					a, b := m.NewTape(T, B), m.NewTape(T, B)
					dy, dxa, dxb := normal(r, len(want)), make([]float32, len(x)), make([]float32, len(x))
					requireBits(t, want, a.Forward(x), what+": tape")
					requireBits(t, want, b.ForwardSeq(x, together), what+": tape, together")
					a.Backward(dxa, dy)
					b.Backward(dxb, dy)
					requireBits(t, dxb, dxa, what+": dx")
					for k, p := range a.Params() {
						requireBits(t, b.Params()[k].Grad, p.Grad, what+": "+p.Name)
					}
				}
			}
		})
	})
}

// TestOneStep: a call of one step has the same bits with a plan and without, of
// networks whose rows go one after the other and of others, also if rows rest.
func TestOneStep(t *testing.T) {
	const I = 3
	nan := float32(math.NaN())
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			for i, n := range []network{
				{mode: mode, I: I, H: 5},
				{mode: mode, I: I, H: 24, L: 2, batchFirst: true},
				{mode: mode, I: I, H: 70, L: 2},
				{mode: mode, I: 200, H: 9, L: 2}, // the second layer alone goes row by row
				{mode: "LSTM", I: I, H: 20, P: 7, L: 2},
				{mode: "LSTM", I: I, H: 9, peephole: true},
				{mode: "LSTM", I: I, H: 9, zoneoutH: .1},
			} {
				for _, B := range []int{1, 2, 4} {
					r := NewRand(int64(i))
					m := networkOf(t, n, r)
					a, b := m.NewStream(B), m.NewStream(B)
					b.planned = true
					copy(a.H(), normal(r, len(a.H())))
					copy(a.C(), normal(r, len(a.C())))
					copy(b.H(), a.H())
					copy(b.C(), a.C())
					x, lengths := make([]float32, B*n.I), make([]int, B)
					ya, yb := make([]float32, B*m.output()), make([]float32, B*m.output())
					for k, q := range []Seq{{}, {Lengths: lengths}, {}, {Lengths: lengths}, {Lengths: lengths}, {Lengths: lengths}, {}} {
						what := fmt.Sprintf("%+v, B = %d, call %d", n, B, k)
						copy(x, normal(r, len(x)))
						for row := range lengths {
							lengths[row] = min(1, (row+1)*k%3)
							if q.Lengths != nil && lengths[row] == 0 {
								x[row*n.I] = nan
							}
						}
						a.ForwardSeq(ya, x, q)
						b.ForwardSeq(yb, x, q)
						requireBits(t, yb, ya, what)
						requireBits(t, b.H(), a.H(), what+": h")
						requireBits(t, b.C(), a.C(), what+": c")
					}
					require.Zero(t, testing.AllocsPerRun(5, func() {
						a.Forward(ya, x)
						a.ForwardSeq(ya, x, Seq{Lengths: lengths})
					}))
				}
			}
		})
	})
}
