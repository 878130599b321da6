package layer

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// model is what all recurrent layers do.
type model interface {
	Packer
	Params() Params
	NewStream(batch int) *Stream
	NewTape(maxT, batch int) *Tape
}

var modes = []string{"RNN_TANH", "RNN_RELU", "LSTM", "GRU"}

func newModel(t testing.TB, mode string, I, H int, noBias bool, r *Rand) model {
	t.Helper()
	return network{mode: mode, I: I, H: H, noBias: noBias}.build(t, r)
}

// forEachMode runs f as a subtest for every kind of layer.
func forEachMode(t *testing.T, f func(t *testing.T, mode string)) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) { f(t, mode) })
	}
}

// A problem is a loss on which all gradients depend:
//
//	loss = Σ y*dy + Σ hn*dhn + Σ cn*dcn
//
// in memory as a Tape has it, with its solution.
type problem struct {
	x, h0, c0    []float32
	dy, dhn, dcn []float32
	y, hn, cn    []float32
	dx, dh0, dc0 []float32
	grads        [][]float32
}

func newProblem(mode string, I, H, T, B int, r *Rand) *problem {
	p := &problem{x: normal(r, T*B*I), dy: normal(r, T*B*H), h0: normal(r, B*H), dhn: normal(r, B*H)}
	if mode == "LSTM" {
		p.c0, p.dcn = normal(r, B*H), normal(r, B*H)
	}
	return p
}

// solve runs a tape, on top of whatever its gradients are.
func (p *problem) solve(tape *Tape) {
	copy(tape.H0(), p.h0)
	copy(tape.C0(), p.c0)
	p.y = slices.Clone(tape.Forward(p.x))
	p.hn, p.cn = slices.Clone(tape.HN()), slices.Clone(tape.CN())
	copy(tape.DHN(), p.dhn)
	copy(tape.DCN(), p.dcn)
	p.dx = make([]float32, len(p.x))
	tape.Backward(p.dx, p.dy)
	p.dh0, p.dc0 = slices.Clone(tape.DH0()), slices.Clone(tape.DC0())
	p.grads = nil
	for _, g := range tape.Params() {
		p.grads = append(p.grads, slices.Clone(g.Grad))
	}
}

// TestParams compares names, shapes and order with PyTorch, and init with the
// bounds.
func TestParams(t *testing.T) {
	lstm := newModel(t, "LSTM", 3, 4, false, NewRand(1))
	var names []string
	var shapes [][]int
	draws := NewRand(1)
	for _, p := range lstm.Params() {
		names, shapes = append(names, p.Name), append(shapes, p.Shape)
		require.Nil(t, p.Grad)
		require.Same(t, lstm, p.Owner)
		requireBits(t, uniform(draws, len(p.Data), -0.5, 0.5), p.Data, p.Name)
	}
	require.Equal(t, rnnParams, names)
	require.Equal(t, [][]int{{16, 3}, {16, 4}, {16}, {16}}, shapes)
	require.Len(t, newModel(t, "RNN_TANH", 3, 4, true, nil).Params(), 2)
	for _, p := range newModel(t, "LSTM", 3, 4, false, nil).Params() {
		require.Equal(t, make([]float32, len(p.Data)), p.Data, "nil Rand")
	}
	tape := lstm.NewTape(1, 1)
	for i, p := range tape.Params() {
		require.Same(t, &lstm.Params()[i].Data[0], &p.Data[0])
		require.Len(t, p.Grad, len(p.Data))
	}
}

// TestSameBits: a Tape, a Stream, a Stream step by step and one in pieces give
// the same bits.
func TestSameBits(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			for _, s := range []struct{ I, H, T, B int }{{3, 5, 131, 1}, {40, 33, 20, 5}, {9, 16, 5, 49}, {270, 20, 60, 2}} {
				if kerneltest.Emulated() {
					s.T = min(s.T, 3)
				}
				r := NewRand(3)
				m := newModel(t, mode, s.I, s.H, false, r)
				p := newProblem(mode, s.I, s.H, s.T, s.B, r)
				p.solve(m.NewTape(s.T+2, s.B))
				for _, piece := range []int{s.T, 1, 7, streamRows + 1} {
					stream := m.NewStream(s.B)
					copy(stream.H(), p.h0)
					copy(stream.C(), p.c0)
					y := make([]float32, len(p.y))
					for t := 0; t < s.T; t += piece {
						n := min(piece, s.T-t)
						yt, xt := y[t*s.B*s.H:][:n*s.B*s.H], p.x[t*s.B*s.I:][:n*s.B*s.I]
						if piece == 1 {
							stream.Step(yt, xt)
						} else {
							stream.Forward(yt, xt)
						}
					}
					name := fmt.Sprintf("%v in pieces of %d", s, piece)
					requireBits(t, p.y, y, name+": y")
					requireBits(t, p.hn, stream.H(), name+": h")
					requireBits(t, p.cn, stream.C(), name+": c")
				}
			}
		})
	})
}

// TestBits compares with the recorded bits, which all paths but the portable one
// share, on every architecture.
func TestBits(t *testing.T) {
	const I, H, T, B = 20, 19, 5, 7
	want := map[string]uint64{"RNN_TANH": 0xca68be0272808bfb, "RNN_RELU": 0xea2236b313da8b80, "LSTM": 0xc2f78d4ac79cb90a, "GRU": 0x2d68610e760284f5}
	forEachMode(t, func(t *testing.T, mode string) {
		kerneltest.RequireHash(t, want[mode], func() []float32 {
			r := NewRand(14)
			m := newModel(t, mode, I, H, false, r)
			p := newProblem(mode, I, H, T, B, r)
			p.solve(m.NewTape(T, B))
			return slices.Concat(append(p.grads, p.y, p.hn, p.cn, p.dx, p.dh0, p.dc0)...)
		})
	})
}

// TestBatch: a row's bits do not depend on the rows beside it, forward and back.
func TestBatch(t *testing.T) {
	const I, H, T = 19, 21, 3
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			r := NewRand(4)
			m := newModel(t, mode, I, H, false, r)
			for B := 1; B <= kerneltest.Pick(33, 33, 9); B++ {
				p := newProblem(mode, I, H, T, B, r)
				p.solve(m.NewTape(T, B))
				row := func(s []float32, cols, b int) (r []float32) {
					for ; b*cols < len(s); b += B {
						r = append(r, s[b*cols:][:cols]...)
					}
					return r
				}
				for b := range B {
					one := &problem{x: row(p.x, I, b), h0: row(p.h0, H, b), c0: row(p.c0, H, b),
						dy: row(p.dy, H, b), dhn: row(p.dhn, H, b), dcn: row(p.dcn, H, b)}
					one.solve(m.NewTape(T, 1))
					for _, c := range []struct {
						name     string
						all, one []float32
						cols     int
					}{
						{"y", p.y, one.y, H}, {"hn", p.hn, one.hn, H}, {"cn", p.cn, one.cn, H},
						{"dx", p.dx, one.dx, I}, {"dh0", p.dh0, one.dh0, H}, {"dc0", p.dc0, one.dc0, H},
					} {
						requireBits(t, row(c.all, c.cols, b), c.one, fmt.Sprintf("%s of row %d of %d", c.name, b, B))
					}
				}
			}
		})
	})
}

// TestNoSteps: T = 0 leaves the state, and its gradient, as it is.
func TestNoSteps(t *testing.T) {
	forEachMode(t, func(t *testing.T, mode string) {
		const I, H, B = 3, 5, 2
		r := NewRand(5)
		m := newModel(t, mode, I, H, false, r)
		for _, maxT := range []int{0, 4} {
			p := newProblem(mode, I, H, 0, B, r)
			p.solve(m.NewTape(maxT, B))
			require.Empty(t, p.y)
			requireBits(t, p.h0, p.hn, "hn")
			requireBits(t, p.c0, p.cn, "cn")
			requireBits(t, p.dhn, p.dh0, "dh0")
			requireBits(t, p.dcn, p.dc0, "dc0")
			for _, g := range p.grads {
				require.Equal(t, make([]float32, len(g)), g)
			}
			s := m.NewStream(B)
			copy(s.H(), p.h0)
			s.Forward(nil, nil)
			requireBits(t, p.h0, s.H(), "h")
			s.Reset()
			require.Equal(t, make([]float32, B*H), s.H())
		}
	})
}

// TestNilGradients: a nil dy is zeros, a nil dx changes nothing else.
func TestNilGradients(t *testing.T) {
	forEachMode(t, func(t *testing.T, mode string) {
		const I, H, T, B = 3, 5, 4, 2
		r := NewRand(6)
		m := newModel(t, mode, I, H, false, r)
		tape := m.NewTape(T, B)
		p := newProblem(mode, I, H, T, B, r)
		clear(p.dy)
		p.solve(tape)

		tape.Params().ZeroGrad()
		tape.Forward(p.x)
		copy(tape.DHN(), p.dhn)
		copy(tape.DCN(), p.dcn)
		tape.Backward(nil, nil)
		requireBits(t, p.dh0, tape.DH0(), "dh0")
		requireBits(t, p.dc0, tape.DC0(), "dc0")
		for i, q := range tape.Params() {
			requireBits(t, p.grads[i], q.Grad, q.Name)
		}
	})
}

// TestAccumulate: Backward adds a finished sum to what the gradient was, in a
// tape whose T varies.
func TestAccumulate(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			const I, H, B = 7, 20, 3
			r := NewRand(7)
			m := newModel(t, mode, I, H, false, r)
			tape := m.NewTape(100, B)
			sum := tape.Params()
			want := make([][]float32, len(sum))
			for i := range want {
				want[i] = make([]float32, len(sum[i].Data))
			}
			for _, T := range kerneltest.Pick([]int{4, 100, 1, 1, 90}, []int{4, 100, 1, 1, 90}, []int{2, 1, 3}) {
				p := newProblem(mode, I, H, T, B, r)
				p.solve(m.NewTape(T, B))
				for i, g := range p.grads {
					kernels.Add(want[i], want[i], g)
				}
				p.solve(tape)
			}
			for i, q := range sum {
				requireBits(t, want[i], q.Grad, q.Name)
			}
			sum.ZeroGrad()
			require.Zero(t, sum[0].Grad[0])
		})
	})
}

// TestCarry: a sequence in two halves has the state of the whole, also if Carry
// comes before Backward, which must not notice.
func TestCarry(t *testing.T) {
	forEachMode(t, func(t *testing.T, mode string) {
		const I, H, T, B = 3, 5, 6, 2
		r := NewRand(8)
		m := newModel(t, mode, I, H, false, r)
		p := newProblem(mode, I, H, T, B, r)
		y := slices.Clone(m.NewTape(T, B).Forward(p.x))
		half := T / 2 * B
		for _, before := range []bool{false, true} {
			tape := m.NewTape(T, B)
			requireBits(t, y[:half*H], tape.Forward(p.x[:half*I]), "first half")
			if before {
				tape.Carry()
				tape.Backward(nil, p.dy[:half*H])
			} else {
				tape.Backward(nil, p.dy[:half*H])
				tape.Carry()
			}
			got := m.NewTape(T, B)
			got.Forward(p.x[:half*I])
			got.Backward(nil, p.dy[:half*H])
			for i, q := range got.Params() {
				requireBits(t, q.Grad, tape.Params()[i].Grad, q.Name)
			}
			requireBits(t, y[half*H:], tape.Forward(p.x[half*I:]), "second half")
		}
	})
}

// TestPack: written weights count after Pack, transposed panels included, whether
// these were in use before or not.
func TestPack(t *testing.T) {
	forEachMode(t, func(t *testing.T, mode string) {
		const I, H, T, B = 3, 20, 4, 2
		r := NewRand(9)
		m := newModel(t, mode, I, H, false, r)
		p := newProblem(mode, I, H, T, B, r)
		start := *p
		p.solve(m.NewTape(T, B))
		for _, inUse := range []bool{false, true} {
			other := newModel(t, mode, I, H, false, r)
			q, tape := start, other.NewTape(T, B)
			if inUse {
				q.solve(tape)
				require.NotEqual(t, p.dx, q.dx)
				tape.Params().ZeroGrad()
				q = start
			}
			for i, w := range m.Params() {
				copy(other.Params()[i].Data, w.Data)
			}
			other.Params().Pack()
			q.solve(tape)
			requireBits(t, p.y, q.y, fmt.Sprintf("y, in use: %v", inUse))
			requireBits(t, p.dx, q.dx, fmt.Sprintf("dx, in use: %v", inUse))
			requireBits(t, p.dh0, q.dh0, fmt.Sprintf("dh0, in use: %v", inUse))
			for i, g := range p.grads {
				requireBits(t, g, q.grads[i], fmt.Sprintf("%s, in use: %v", m.Params()[i].Name, inUse))
			}
		}
	})
}

// TestTransposedOnDemand: the first layer's W_ih is not packed for a gradient that
// nobody asks for, and several tapes may be the first to ask.
func TestTransposedOnDemand(t *testing.T) {
	const I, H, T, B = 3, 20, 4, 2
	l, err := NewLSTM(LSTMConfig{Input: I, Hidden: H}, NewRand(1))
	require.NoError(t, err)
	x, dy := normal(NewRand(2), T*B*I), normal(NewRand(3), T*B*H)
	wih := l.dirs[0].wih
	first := l.NewTape(T, B)
	first.Forward(x)
	first.Backward(nil, dy)
	l.Params().Pack()
	require.False(t, wih.inUse)
	dx := make([][]float32, 4)
	var wg sync.WaitGroup
	for i := range dx {
		dx[i] = make([]float32, T*B*I)
		tape := l.NewTape(T, B)
		wg.Go(func() {
			tape.Forward(x)
			tape.Backward(dx[i], dy)
		})
	}
	wg.Wait()
	require.True(t, wih.inUse)
	require.NotZero(t, kernels.MaxAbs(dx[0]))
	for _, d := range dx[1:] {
		requireBits(t, dx[0], d, "dx")
	}
}

// TestAllocs: nothing allocates after construction.
func TestAllocs(t *testing.T) {
	const I, H, T, B = 5, 20, 60, 2
	runs := kerneltest.Pick(5, 5, 3)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			r := NewRand(10)
			m := newModel(t, mode, I, H, false, r)
			linear, err := NewLinear(LinearConfig{Input: H, Output: 3}, r)
			require.NoError(t, err)
			stream, tape, head := m.NewStream(B), m.NewTape(T, B), linear.NewTape(T*B)
			params := slices.Concat(tape.Params(), head.Params())
			p := newProblem(mode, I, H, T, B, r)
			y, dlogits, dx := make([]float32, T*B*H), normal(r, T*B*3), make([]float32, T*B*I)
			n := T
			for name, f := range map[string]func(){
				"Step":    func() { stream.Step(y[:B*H], p.x[:B*I]) },
				"Forward": func() { stream.Forward(y, p.x) },
				"Linear":  func() { linear.Forward(dlogits[:B*3], y[:B*H]) },
				"Pack":    params.Pack,
				"Tape": func() {
					n = T + 1 - n // T and 1 in turn
					params.ZeroGrad()
					head.Forward(tape.Forward(p.x[:n*B*I]))
					head.Backward(y[:n*B*H], dlogits[:n*B*3])
					tape.Backward(dx[:n*B*I], y[:n*B*H])
					tape.Carry()
				},
			} {
				require.Zero(t, testing.AllocsPerRun(runs, f), name)
			}
		})
	})
}

// TestConcurrent: one model serves many goroutines, the first tape among them.
func TestConcurrent(t *testing.T) {
	const I, H, T, B = 7, 20, 9, 2
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			r := NewRand(11)
			m := newModel(t, mode, I, H, false, r)
			p := newProblem(mode, I, H, T, B, r)
			results := make([]problem, 8)
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() {
					q := *p
					if i%2 == 0 {
						q.solve(m.NewTape(T, B))
					} else {
						s := m.NewStream(B)
						copy(s.H(), p.h0)
						copy(s.C(), p.c0)
						q.y = make([]float32, T*B*H)
						s.Forward(q.y, q.x)
					}
					results[i] = q
				})
			}
			wg.Wait()
			for i, q := range results {
				requireBits(t, results[0].y, q.y, "y")
				if i%2 == 0 {
					requireBits(t, results[0].dx, q.dx, "dx")
				}
			}
		})
	})
}

// TestPanics: wrong arguments panic with their names, and nothing is written.
func TestPanics(t *testing.T) {
	const I, H, T, B = 5, 3, 4, 2
	forEachMode(t, func(t *testing.T, mode string) {
		r := NewRand(12)
		m := newModel(t, mode, I, H, false, r)
		name, _, _ := strings.Cut(mode, "_")
		s, tape, idle := m.NewStream(B), m.NewTape(T, B), m.NewTape(T, B)
		linear, err := NewLinear(LinearConfig{Input: H, Output: 4}, nil)
		require.NoError(t, err)
		wrong, err := NewLinear(LinearConfig{Input: H - 1, Output: 4}, nil)
		require.NoError(t, err)
		p := newProblem(mode, I, H, T+1, B, r)
		out := normal(r, (T+1)*B*max(I, H))
		tape.Forward(p.x[:2*B*I])
		memory := [][]float32{s.H(), s.C(), tape.HN(), tape.CN(), tape.DH0(), tape.DC0(), tape.layers[0].h.data, tape.layers[0].dirs[0].c.data,
			tape.layers[0].dirs[0].gates.data, out}
		for _, q := range append(tape.Params(), idle.Params()...) {
			memory = append(memory, q.Grad)
		}
		var before [][]float32
		for _, x := range memory {
			before = append(before, slices.Clone(x))
		}
		for want, f := range map[string]func(){
			"Stream.Step: len(x) = 9, want B*I = 10":                                                    func() { s.Step(out[:6], p.x[:9]) },
			"Stream.Step: len(y) = 7, want B*Ho = 6":                                                    func() { s.Step(out[:7], p.x[:10]) },
			"Stream.StepLinear: len(x) = 9, want B*I = 10":                                              func() { s.StepLinear(out[:8], p.x[:9], linear) },
			"Stream.StepLinear: len(y) = 6, want B*O = 8":                                               func() { s.StepLinear(out[:6], p.x[:10], linear) },
			"Stream.StepLinear: l.Input = 2, want Ho = 3":                                               func() { s.StepLinear(out[:8], p.x[:10], wrong) },
			"Stream.StepLinear: y and x overlap, want memory of their own":                              func() { s.StepLinear(out[:8], out[7:17], linear) },
			"Stream.Forward: len(x) = 11, want a multiple of B*I = 10":                                  func() { s.Forward(out[:6], p.x[:11]) },
			"Stream.Forward: len(y) = 6, want T*B*D*Ho = 12":                                            func() { s.Forward(out[:6], p.x[:20]) },
			"Tape.Forward: len(x) = 11, want a multiple of B*I = 10":                                    func() { tape.Forward(p.x[:11]) },
			"Tape.Forward: T = 5, want at most maxT = 4":                                                func() { tape.Forward(p.x) },
			"Tape.Backward: len(dx) = 0, want T*B*I = 20":                                               func() { tape.Backward(out[:0], p.dy[:12]) },
			"Tape.Backward: len(dy) = 11, want T*B*D*Ho = 12":                                           func() { tape.Backward(out[:20], p.dy[:11]) },
			"Tape.Backward: calls of Forward since the last Backward = 0, want 1":                       func() { idle.Backward(nil, nil) },
			"Stream.Step: y and x overlap, want memory of their own":                                    func() { s.Step(out[:6], out[5:15]) },
			"Stream.Forward: y and x overlap, want memory of their own":                                 func() { s.Forward(out[19:31], out[:20]) },
			"Stream.ForwardSeq: y and x overlap, want memory of their own":                              func() { s.ForwardSeq(out[:12], out[:20], Seq{}) },
			"Tape.Forward: x and the tape's y overlap, want memory of their own":                        func() { tape.Forward(tape.Forward(p.x[:20])[:10]) },
			"Tape.Backward: dx and dy overlap, want memory of their own":                                func() { tape.Backward(out[:20], out[8:20]) },
			"Tape.Backward: dx and x overlap, want memory of their own":                                 func() { tape.Backward(p.x[:20], p.dy[:12]) },
			name + ".NewStream: batch = 0, want at least 1":                                             func() { m.NewStream(0) },
			name + ".NewTape: batch = -1, want at least 1":                                              func() { m.NewTape(1, -1) },
			name + ".NewTape: maxT = -1, want at least 0":                                               func() { m.NewTape(-1, 1) },
			fmt.Sprintf("%s.NewStream: batch = %d, want a size that fits in memory", name, math.MaxInt): func() { m.NewStream(math.MaxInt) },
			fmt.Sprintf("%s.NewTape: batch = %d, want a size that fits in memory", name, math.MaxInt):   func() { m.NewTape(1, math.MaxInt) },
			fmt.Sprintf("%s.NewTape: maxT = %d, want a size that fits in memory", name, math.MaxInt):    func() { m.NewTape(math.MaxInt, 1) },
		} {
			require.PanicsWithValue(t, "layer: "+want, f)
		}
		for i, x := range memory {
			requireBits(t, before[i], x, "memory after panics")
		}
		tape.Backward(nil, nil) // still legal, once
		require.Panics(t, func() { tape.Backward(nil, nil) })
	})
}

func TestLinearPanics(t *testing.T) {
	l, err := NewLinear(LinearConfig{Input: 5, Output: 3}, NewRand(0))
	require.NoError(t, err)
	tape, idle := l.NewTape(4), l.NewTape(4)
	x, out := make([]float32, 25), make([]float32, 25)
	tape.Forward(x[:10])
	for want, f := range map[string]func(){
		"Linear.Forward: len(x) = 4, want a multiple of I = 5":                                 func() { l.Forward(out[:3], x[:4]) },
		"Linear.Forward: len(y) = 4, want N*O = 3":                                             func() { l.Forward(out[:4], x[:5]) },
		"LinearTape.Forward: len(x) = 6, want a multiple of I = 5":                             func() { tape.Forward(x[:6]) },
		"LinearTape.Forward: N = 5, want at most maxN = 4":                                     func() { tape.Forward(x) },
		"LinearTape.Backward: len(dx) = 9, want N*I = 10":                                      func() { tape.Backward(out[:9], x[:6]) },
		"LinearTape.Backward: len(dy) = 7, want N*O = 6":                                       func() { tape.Backward(out[:10], x[:7]) },
		"Linear.Forward: y and x overlap, want memory of their own":                            func() { l.Forward(out[4:7], out[:5]) },
		"LinearTape.Forward: x and the tape's y overlap, want memory of their own":             func() { tape.Forward(tape.Forward(x[:10])[:5]) },
		"LinearTape.Backward: dx and dy overlap, want memory of their own":                     func() { tape.Backward(out[:10], out[9:15]) },
		"LinearTape.Backward: dx and x overlap, want memory of their own":                      func() { tape.Backward(x[5:15], out[:6]) },
		"LinearTape.Backward: calls of Forward since the last Backward = 0, want 1":            func() { idle.Backward(nil, nil) },
		"Linear.NewTape: maxN = -1, want at least 0":                                           func() { l.NewTape(-1) },
		fmt.Sprintf("Linear.NewTape: maxN = %d, want a size that fits in memory", math.MaxInt): func() { l.NewTape(math.MaxInt) },
	} {
		require.PanicsWithValue(t, "layer: "+want, f)
	}
	require.Equal(t, make([]float32, 25), out)
}

func TestErrors(t *testing.T) {
	of := func(cfg LSTMConfig) error { _, err := NewLSTM(cfg, nil); return err }
	lstm := func(I, H int) error { _, err := NewLSTM(LSTMConfig{Input: I, Hidden: H}, nil); return err }
	rnn := func(I, H int, n Nonlinearity) error {
		_, err := NewRNN(RNNConfig{Input: I, Hidden: H, Nonlinearity: n}, nil)
		return err
	}
	linear := func(I, O int) error { _, err := NewLinear(LinearConfig{Input: I, Output: O}, nil); return err }
	const huge = math.MaxInt
	for want, err := range map[string]error{
		"NewLSTM: Input = 0, want at least 1":                                        lstm(0, 1),
		"NewLSTM: Hidden = 0, want at least 1":                                       lstm(1, 0),
		"NewRNN: Hidden = -1, want at least 1":                                       rnn(1, -1, Tanh),
		"NewRNN: Nonlinearity = 2, want Tanh or ReLU":                                rnn(1, 1, 2),
		"NewLinear: Input = 0, want at least 1":                                      linear(0, 1),
		"NewLinear: Output = 0, want at least 1":                                     linear(1, 0),
		fmt.Sprintf("NewLSTM: Input = %d, want a size that fits in memory", huge):    lstm(huge, 1),
		fmt.Sprintf("NewLSTM: Hidden = %d, want a size that fits in memory", huge):   lstm(1, huge),
		fmt.Sprintf("NewLSTM: Hidden = %d, want a size that fits in memory", 1<<30):  lstm(1, 1<<30),
		fmt.Sprintf("NewLinear: Input = %d, want a size that fits in memory", huge):  linear(huge, 1),
		fmt.Sprintf("NewLinear: Output = %d, want a size that fits in memory", huge): linear(1, huge),
		"NewLSTM: Layers = -1, want at least 1, or 0 for 1":                          of(LSTMConfig{Input: 1, Hidden: 1, Layers: -1}),
		"NewLSTM: Proj = -1, want at least 1, or 0 for none":                         of(LSTMConfig{Input: 1, Hidden: 1, Proj: -1}),
		"NewLSTM: Proj = 3, want less than Hidden = 3":                               of(LSTMConfig{Input: 1, Hidden: 3, Proj: 3}),
		"NewLSTM: Dropout = 1.5, want 0 to 1":                                        of(LSTMConfig{Input: 1, Hidden: 1, Dropout: 1.5}),
		"NewLSTM: Dropout = NaN, want 0 to 1":                                        of(LSTMConfig{Input: 1, Hidden: 1, Dropout: math.NaN()}),
		"NewLSTM: InputDropout = -1, want 0 to 1":                                    of(LSTMConfig{Input: 1, Hidden: 1, InputDropout: -1}),
		"NewLSTM: RecurrentDropout = 2, want 0 to 1":                                 of(LSTMConfig{Input: 1, Hidden: 1, RecurrentDropout: 2}),
		"NewLSTM: ZoneoutH = 2, want 0 to 1":                                         of(LSTMConfig{Input: 1, Hidden: 1, ZoneoutH: 2}),
		"NewLSTM: ZoneoutC = 2, want 0 to 1":                                         of(LSTMConfig{Input: 1, Hidden: 1, ZoneoutC: 2}),
		"NewLSTM: LayerNorm = 3, want NoLayerNorm, LayerNormA or LayerNormB":         of(LSTMConfig{Input: 1, Hidden: 1, LayerNorm: 3}),
		fmt.Sprintf("NewLSTM: Layers = %d, want a size that fits in memory", huge):   of(LSTMConfig{Input: 1, Hidden: 1, Layers: huge}),
	} {
		require.EqualError(t, err, "layer: "+want)
	}
	require.Equal(t, "none A B LayerNorm(3)", fmt.Sprint(NoLayerNorm, LayerNormA, LayerNormB, LayerNorm(3)))
	require.Equal(t, "tanh relu Nonlinearity(2)", fmt.Sprint(Tanh, ReLU, Nonlinearity(2)))
}

// TestLinear: a LinearTape gives the bits of Linear, which do not depend on the
// rows beside a row, and adds finished sums to its gradients.
func TestLinear(t *testing.T) {
	const I, O, N = 33, 17, 7
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		r := NewRand(13)
		l, err := NewLinear(LinearConfig{Input: I, Output: O}, r)
		require.NoError(t, err)
		x, dy := normal(r, N*I), normal(r, N*O)
		y, row := make([]float32, N*O), make([]float32, O)
		l.Forward(y, x)
		tape := l.NewTape(N + 1)
		requireBits(t, y, tape.Forward(x), "y of tape")
		for n := range N {
			l.Forward(row, x[n*I:][:I])
			requireBits(t, y[n*O:][:O], row, "y of a row")
		}

		tape.Backward(make([]float32, N*I), dy)
		var want [][]float32
		for _, p := range tape.Params() {
			want = append(want, slices.Clone(p.Grad))
		}
		tape.Forward(x)
		tape.Backward(nil, dy)
		for i, p := range tape.Params() {
			kernels.Add(want[i], want[i], want[i])
			requireBits(t, want[i], p.Grad, "twice "+p.Name)
		}
		require.Empty(t, tape.Forward(nil))
		tape.Backward(nil, nil)
		for i, p := range tape.Params() {
			requireBits(t, want[i], p.Grad, "no rows: "+p.Name)
		}
	})
}
