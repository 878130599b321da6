package layer

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

var (
	_ encoding.BinaryAppender    = (*Stream)(nil)
	_ encoding.BinaryMarshaler   = (*Stream)(nil)
	_ encoding.BinaryUnmarshaler = (*Stream)(nil)
)

func networkOf(t *testing.T, n network, r *Rand) *recurrent {
	t.Helper()
	switch m := n.build(t, r).(type) {
	case *LSTM:
		return &m.recurrent
	case *RNN:
		return &m.recurrent
	case *GRU:
		return &m.recurrent
	}
	t.Fatal(n)
	return nil
}

// TestStreamCopies: a clone and an unmarshalled Stream go on with the bits of the
// original, and on their own.
func TestStreamCopies(t *testing.T) {
	const T, B = 5, 3
	for _, n := range networks {
		t.Run(n.String(), func(t *testing.T) {
			r := NewRand(1)
			m := n.build(t, r)
			p := newRun(n, T, B, nil, false, r)
			s := m.NewStream(B)
			copy(s.H0(), p.h0)
			copy(s.C0(), p.c0)
			y := make([]float32, T*B*p.out)
			s.Forward(y, p.x)
			data, err := s.MarshalBinary()
			require.NoError(t, err)
			clone, other := s.Clone(), m.NewStream(B)
			require.NoError(t, other.UnmarshalBinary(data))
			s.Forward(y, p.x)
			for _, c := range []*Stream{clone, other} {
				z := make([]float32, len(y))
				c.Forward(z, p.x)
				requireBits(t, y, z, "y")
				requireBits(t, s.H(), c.H(), "h")
				requireBits(t, s.C(), c.C(), "c")
			}

			for _, v := range [][]float32{s.H(), s.C(), s.H0(), s.C0()} {
				fill(v, 1)
			}
			s.ResetRow(1)
			for _, v := range [][]float32{s.H(), s.C(), s.H0(), s.C0()} {
				LD := max(n.L, 1) * p.out / n.reference().Ho()
				cols := len(v) / LD / B
				for i := range LD * B * cols {
					require.Equal(t, i/cols%B != 1, v[i] == 1)
				}
			}
		})
	}
}

// TestUnmarshalErrors: whatever is not the state of such a Stream is an error and
// changes nothing.
// TestStepLinear has the bits of a Step and of Forward of a Linear, for every network,
// some of whose steps the Linear is a part of.
func TestStepLinear(t *testing.T) {
	const T = 3
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, n := range networks {
			for _, c := range []struct{ B, outputs, threads int }{{1, 1, 1}, {1, 15, 1}, {1, 9, 2}, {1, 40, 1}, {3, 2, 1}, {3, 20, 2}} {
				what := fmt.Sprintf("%v, %+v", n, c)
				r := NewRand(3)
				m := n.build(t, r)
				p := newRun(n, T, c.B, nil, false, r)
				l, err := NewLinear(LinearConfig{Input: p.out, Output: c.outputs, NoBias: c.outputs == 9}, r)
				require.NoError(t, err)
				want, s := m.NewStream(c.B), m.NewStream(c.B)
				s.SetThreads(c.threads)
				h := make([]float32, c.B*p.out)
				wantY, y := make([]float32, c.B*c.outputs), make([]float32, c.B*c.outputs)
				step := func(t int) { s.StepLinear(y, p.x[t*c.B*n.I:][:c.B*n.I], l) }
				if n.bidirectional {
					require.PanicsWithValue(t, "layer: Stream.StepLinear: directions = 2, want 1: the reverse direction needs whole sequences",
						func() { step(0) }, what)
					continue
				}
				for k := range T {
					want.Step(h, p.x[k*c.B*n.I:][:c.B*n.I])
					l.Forward(wantY, h)
					step(k)
					requireBits(t, wantY, y, what)
					requireBits(t, want.H(), s.H(), what)
					requireBits(t, want.C(), s.C(), what)
				}
				require.Zero(t, testing.AllocsPerRun(3, func() { step(0) }), what)
			}
		}
	})
}

func TestUnmarshalErrors(t *testing.T) {
	r := NewRand(2)
	n := network{mode: "LSTM", I: 2, H: 3, L: 2}
	m := n.build(t, r)
	s := m.NewStream(2)
	s.Step(make([]float32, 6), normal(r, 4))
	good, err := s.MarshalBinary()
	require.NoError(t, err)
	more, err := s.AppendBinary([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, append([]byte("x"), good...), more)

	blob := func(n network, batch int) []byte {
		b, err := n.build(t, nil).NewStream(batch).MarshalBinary()
		require.NoError(t, err)
		return b
	}
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	for want, data := range map[string][]byte{
		"not the state of a Stream": []byte("something else"),
		"version = 0, want 1":       flip(8),
		"gates = 1, want 4":         blob(network{mode: "RNN_TANH", I: 2, H: 3, L: 2}, 2),
		"layers = 1, want 2":        blob(network{mode: "LSTM", I: 2, H: 3}, 2),
		"directions = 2, want 1":    blob(network{mode: "LSTM", I: 2, H: 3, L: 2, bidirectional: true}, 2),
		"batch = 3, want 2":         blob(n, 3),
		"units of h = 2, want 3":    blob(network{mode: "LSTM", I: 2, H: 3, L: 2, P: 2}, 2),
		"checksum":                  flip(len(good) - 9),
		"bytes, want":               good[:len(good)-1],
		"37 bytes, want":            good[:37],
		"20 bytes, want":            good[:20],
	} {
		other := m.NewStream(2)
		fill(other.H(), 7)
		require.ErrorContains(t, other.UnmarshalBinary(data), want)
		require.Equal(t, slices.Repeat([]float32{7}, 12), other.H())
	}
	require.Error(t, s.UnmarshalBinary(nil))
	require.Error(t, s.UnmarshalBinary(append(bytes.Clone(good), 0)))
	require.NoError(t, s.UnmarshalBinary(good))
}

func FuzzUnmarshalStream(f *testing.F) {
	m, err := NewLSTM(LSTMConfig{Input: 1, Hidden: 2}, nil)
	require.NoError(f, err)
	good, _ := m.NewStream(1).MarshalBinary()
	f.Add(good)
	f.Add(good[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		s := m.NewStream(1)
		if s.UnmarshalBinary(data) == nil {
			again, _ := s.MarshalBinary()
			require.Equal(t, data, again)
		}
	})
}

// TestGroup: sequences that come and go, and pause, have the bits that each has
// alone.
func TestGroup(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, n := range networks {
			if n.bidirectional {
				require.PanicsWithValue(t, "layer: "+networkOf(t, n, nil).name+".NewGroup: directions = 2, want 1: the reverse direction needs whole sequences",
					func() { networkOf(t, n, nil).NewGroup(1) })
				continue
			}
			r := NewRand(3)
			m := networkOf(t, n, r)
			O := m.output()
			g := m.NewGroup(4)
			require.Equal(t, 4, g.Cap())
			alone := map[int]*Stream{} // by row
			for range kerneltest.Pick(60, 60, 10) {
				switch k := int(r.Float64() * 3); {
				case k == 0 && g.Len() < g.Cap():
					s := m.NewStream(1)
					copy(s.H(), normal(r, len(s.H())))
					copy(s.C(), normal(r, len(s.C())))
					row, ok := g.Join(s)
					require.True(t, ok)
					require.NotContains(t, alone, row)
					alone[row] = s.Clone()
				case k == 1:
					for row, want := range alone {
						s := m.NewStream(1)
						g.Leave(row, s)
						requireBits(t, want.H(), s.H(), "h that leaves")
						requireBits(t, want.C(), s.C(), "c that leaves")
						delete(alone, row)
						break
					}
				}
				require.Equal(t, len(alone), g.Len())
				want := map[int][]float32{}
				for row, s := range alone {
					want[row] = make([]float32, O)
					if r.Float64() < .7 {
						x := normal(r, n.I)
						s.Step(want[row], x)
						copy(g.X(row), x)
					}
				}
				g.Step()
				for row := range alone {
					requireBits(t, want[row], g.Y(row), "y")
				}
			}
			for g.Len() < g.Cap() {
				row, _ := g.Join(nil)
				copy(g.X(row), normal(r, n.I))
			}
			_, ok := g.Join(nil)
			require.False(t, ok)
			require.Zero(t, testing.AllocsPerRun(5, func() {
				g.X(0)
				g.Step()
				g.Leave(1, nil)
				g.Join(nil)
			}))
			g.Leave(2, nil)
			require.Panics(t, func() { g.X(2) })
			require.Panics(t, func() { g.Y(4) })
			require.Panics(t, func() { g.Leave(2, nil) })
			require.Panics(t, func() { g.Join(m.NewStream(2)) })
			require.Panics(t, func() { g.Join(networkOf(t, n, nil).NewStream(1)) })
			require.PanicsWithValue(t, "layer: "+m.name+".NewGroup: capacity = 0, want at least 1", func() { m.NewGroup(0) })
			require.PanicsWithValue(t, fmt.Sprintf("layer: %s.NewGroup: capacity = %d, want a size that fits in memory", m.name, math.MaxInt),
				func() { m.NewGroup(math.MaxInt) })
		}
	})
}

// TestInitialState: a learned state is that of all rows, its gradient their sum.
func TestInitialState(t *testing.T) {
	const T, B = 3, 4
	for _, n := range networks {
		if n.random() {
			continue
		}
		r := NewRand(4)
		m := networkOf(t, n, r)
		init := m.NewInitialState()
		for _, q := range init.Params() {
			copy(q.Data, normal(r, len(q.Data)))
		}
		p := newRun(n, T, B, nil, false, r)
		init.Fill(p.h0, p.c0)
		for i, q := range init.Params() {
			x, cols := [][]float32{p.h0, p.c0}[i], q.Shape[1]
			for k := range len(x) / cols {
				requireBits(t, q.Data[k/B*cols:][:cols], x[k*cols:][:cols], q.Name)
			}
		}
		tape := m.NewTape(T, B)
		p.tape(tape)
		for range 2 {
			init.AddGrad(tape.DH0(), tape.DC0())
		}
		for i, q := range init.Params() {
			x, cols := [][]float32{p.dh0, p.dc0}[i], q.Shape[1]
			want := make([]float32, len(q.Grad))
			for k := range 2 * len(x) / cols {
				k %= len(x) / cols
				kernels.Add(want[k/B*cols:][:cols], want[k/B*cols:][:cols], x[k*cols:][:cols])
			}
			kerneltest.RequireClose(t, kerneltest.Float64s(want), q.Grad, 1e-5, 1e-5, q.Name)
		}
		require.Panics(t, func() { init.Fill(p.h0[1:], p.c0) })
		require.Panics(t, func() { init.Fill(p.h0, append(slices.Clone(p.c0), 0)) })
		require.Panics(t, func() { init.AddGrad(p.h0, p.c0[:len(p.c0)/2+1]) })
	}
}

// TestAddLast: the gradient of Last is that of the outputs it was taken from.
func TestAddLast(t *testing.T) {
	const T, B = 4, 3
	for _, n := range networks {
		r := NewRand(5)
		m := n.build(t, r)
		p := newRun(n, T, B, []int{2, 0, 4}, false, r)
		tape := m.NewTape(T, B)
		p.tape(tape)
		require.Panics(t, func() { tape.AddLast(p.dy, p.last) })
		tape.ForwardSeq(swap(n, p.x, T, B, p.in), p.seq())
		dy := make([]float32, len(p.dy))
		d := normal(r, B*p.out)
		tape.AddLast(dy, d)
		tape.AddLast(dy, d)
		want := make([]float32, len(dy))
		for i := range 2 * p.out {
			b, s := i/p.out*2, []int{1, 0, 3}[i/p.out*2] // rows 0 and 2
			j := b*p.out + i%p.out
			want[s*B*p.out+j] = d[j] + d[j]
		}
		requireBits(t, want, n.back(dy, T, B, p.out), "dy")
		require.Panics(t, func() { tape.AddLast(dy[1:], d) })
		require.Panics(t, func() { tape.AddLast(dy, d[1:]) })
	}
}

// TestSeqPanics: a Seq that does not fit panics with the name of the field.
func TestSeqPanics(t *testing.T) {
	const T, B = 3, 2
	n := network{mode: "LSTM", I: 2, H: 3, bidirectional: true}
	m := networkOf(t, n, nil)
	s, tape := m.NewStream(B), m.NewTape(T, B)
	x, y, one := make([]float32, T*B*2), make([]float32, T*B*6), make([]float32, 1)
	for want, q := range map[string]Seq{
		"len(Lengths) = 1, want B = 2":        {Lengths: []int{1}},
		"Lengths[1] = 4, want 0 to T = 3":     {Lengths: []int{3, 4}},
		"Lengths[0] = -1, want 0 to T = 3":    {Lengths: []int{-1, 0}},
		"len(Reset) = 1, want T*B = 6":        {Reset: []bool{true}},
		"len(ResetH) = 1, want L*D*B*Ho = 12": {ResetH: one},
		"len(ResetC) = 1, want L*D*B*H = 12":  {ResetC: one},
		"len(HAll) = 1, want L*D*T*B*Ho = 36": {HAll: one},
		"len(CAll) = 1, want L*D*T*B*H = 36":  {CAll: one},
		"len(Last) = 1, want B*D*Ho = 12":     {Last: one},
	} {
		require.PanicsWithValue(t, "layer: Stream.ForwardSeq: "+want, func() { s.ForwardSeq(y, x, q) })
		require.PanicsWithValue(t, "layer: Tape.ForwardSeq: "+want, func() { tape.ForwardSeq(x, q) })
	}
	require.PanicsWithValue(t, "layer: Tape.ForwardSeq: len(DResetH) = 1, want L*D*B*Ho = 12", func() { tape.ForwardSeq(x, Seq{DResetH: one}) })
	require.PanicsWithValue(t, "layer: Stream.Step: directions = 2, want 1: the reverse direction needs whole sequences", func() { s.Step(y[:12], x[:4]) })
	require.PanicsWithValue(t, "layer: Stream.ResetRow: b = 2, want 0 <= b < B = 2", func() { s.ResetRow(2) })
	require.PanicsWithValue(t, "layer: Stream.Grow: T = -1, want at least 0", func() { s.Grow(-1) })
	require.PanicsWithValue(t, fmt.Sprintf("layer: Stream.Grow: T = %d, want a size that fits in memory", math.MaxInt), func() { s.Grow(math.MaxInt) })

	dropping := network{mode: "RNN_TANH", I: 2, H: 3, L: 2, dropout: .1}.build(t, nil).NewTape(T, B)
	require.PanicsWithValue(t, "layer: Tape.Forward: calls of SetRand = 0, want 1: there is dropout or zoneout", func() { dropping.Forward(x) })
}

// TestGrow: a bidirectional Stream allocates when its sequence grows, and not
// after Grow.
func TestGrow(t *testing.T) {
	const T, B = 9, 2
	n := network{mode: "LSTM", I: 2, H: 3, L: 2, bidirectional: true}
	s := n.build(t, nil).NewStream(B)
	x, y := make([]float32, T*B*2), make([]float32, T*B*6)
	s.Grow(T)
	size := len(s.mid)
	s.Forward(y, x)
	s.Grow(1)
	require.Len(t, s.mid, size)
}

func TestWarningsAndString(t *testing.T) {
	for _, c := range []struct {
		n          network
		text, warn string
	}{
		{network{mode: "LSTM", I: 3, H: 4}, "LSTM(3, 4)", ""},
		{network{mode: "LSTM", I: 3, H: 4, L: 2, P: 2, noBias: true, batchFirst: true, dropout: .5, bidirectional: true},
			"LSTM(3, 4, proj_size=2, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)", ""},
		{network{mode: "RNN_TANH", I: 3, H: 4, dropout: .3}, "RNN(3, 4, dropout=0.3)",
			"layer: NewRNN: Dropout = 0.3 has no effect with Layers = 1: it stands between layers"},
	} {
		m := networkOf(t, c.n, nil)
		require.Equal(t, c.text, m.String())
		if c.warn == "" {
			require.Empty(t, m.Warnings())
		} else {
			require.Equal(t, []string{c.warn}, m.Warnings())
		}
	}
}

// spy is a cell that remembers whether steps forward were isolated.
type spy struct {
	cell.Cell
	isolated *[]bool
}

func (s spy) Forward(st *cell.Step) {
	*s.isolated = append(*s.isolated, st.Isolated)
	s.Cell.Forward(st)
}

// TestIsolated: steps are isolated in calls of one step, and only there.
func TestIsolated(t *testing.T) {
	const B, I, H = 2, 3, 70 // so many that rows go together
	lstm, err := NewLSTM(LSTMConfig{Input: I, Hidden: H, Layers: 2}, NewRand(0))
	require.NoError(t, err)
	var got []bool
	watch := func(s *Stream) *Stream {
		for i := range s.scans {
			s.scans[i].cell = spy{s.scans[i].cell, &got}
		}
		return s
	}
	expect := func(isolated bool, n int) {
		t.Helper()
		require.Equal(t, slices.Repeat([]bool{isolated}, n), got)
		got = nil
	}
	s, x, y := watch(lstm.NewStream(B)), make([]float32, 4*B*I), make([]float32, 4*B*H)
	s.Step(y[:B*H], x[:B*I])
	expect(true, 2)
	s.Forward(y, x)
	expect(false, 8)
	s.ForwardSeq(y, x, Seq{Lengths: []int{1, 4}})
	expect(false, 8)
	s.Forward(y[:B*H], x[:B*I])
	expect(true, 2)
	s.Step(y[:B*H], x[:B*I])
	expect(true, 2)

	wide := watch(lstm.NewStream(streamRows)) // which takes its steps one by one
	wide.Forward(make([]float32, 2*streamRows*H), make([]float32, 2*streamRows*I))
	expect(false, 4)

	g := lstm.NewGroup(B)
	watch(g.s)
	row, _ := g.Join(nil)
	g.X(row)[0] = 1
	g.Step()
	expect(true, 2)

	c, err := NewLSTMCell(CellConfig{Input: I, Hidden: H}, NewRand(0))
	require.NoError(t, err)
	c.weights.cell = spy{c.weights.cell, &got}
	h := make([]float32, B*H)
	c.NewStream(B).Step(h, slices.Clone(h), x[:B*I], slices.Clone(h), slices.Clone(h))
	expect(true, 1)
}
