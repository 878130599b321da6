package layer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

// A cellModel is what all cells do.
type cellModel interface {
	Packer
	Params() Params
	NewStream(batch int) *CellStream
	NewTape(maxT, batch int) *CellTape
	String() string
}

func newCell(t testing.TB, mode string, I, H int, noBias bool, r *Rand) cellModel {
	t.Helper()
	var c cellModel
	var err error
	switch mode {
	case "RNN_TANH":
		c, err = NewRNNCell(RNNCellConfig{Input: I, Hidden: H, NoBias: noBias}, r)
	case "RNN_RELU":
		c, err = NewRNNCell(RNNCellConfig{Input: I, Hidden: H, NoBias: noBias, Nonlinearity: ReLU}, r)
	case "LSTM":
		c, err = NewLSTMCell(CellConfig{I, H, noBias}, r)
	case "GRU":
		c, err = NewGRUCell(CellConfig{I, H, noBias}, r)
	}
	require.NoError(t, err)
	return c
}

// TestCells: a loop over a cell has the bits of the layer, forward and back, and
// the same weights under PyTorch's names.
func TestCells(t *testing.T) {
	const I, H, T, B = 5, 19, 6, 3
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			for _, noBias := range []bool{false, true} {
				layer, c := newModel(t, mode, I, H, noBias, NewRand(5)), newCell(t, mode, I, H, noBias, NewRand(5))
				require.Len(t, c.Params(), len(layer.Params()))
				for i, q := range c.Params() {
					require.Equal(t, layer.Params()[i].Name, q.Name+"_l0")
					requireBits(t, layer.Params()[i].Data, q.Data, q.Name)
				}
				p := newProblem(mode, I, H, T, B, NewRand(6))
				p.solve(layer.NewTape(T, B))

				stream, tape := c.NewStream(B), c.NewTape(T, B)
				for range 2 { // a tape serves again
					tape.Params().ZeroGrad()
					h, cc := slices.Clone(p.h0), slices.Clone(p.c0)
					th, tc := slices.Clone(p.h0), slices.Clone(p.c0)
					for s := range T {
						x := p.x[s*B*I:][:B*I]
						stream.Step(h, cc, x, h, cc)
						tape.Forward(th, tc, x, th, tc)
						requireBits(t, p.y[s*B*H:][:B*H], h, "h")
						requireBits(t, h, th, "h of the tape")
						requireBits(t, cc, tc, "c of the tape")
					}
					requireBits(t, p.cn, cc, "c")

					dh, dhPrev, dc := make([]float32, B*H), make([]float32, B*H), slices.Clone(p.dcn)
					kernels.Add(dh, p.dhn, p.dy[(T-1)*B*H:])
					dx := make([]float32, T*B*I)
					for s := T - 1; s >= 0; s-- {
						clear(dhPrev)
						if s > 0 {
							copy(dhPrev, p.dy[(s-1)*B*H:])
						}
						tape.Backward(dx[s*B*I:][:B*I], dhPrev, dc, dh, dc)
						dh, dhPrev = dhPrev, dh
					}
					requireBits(t, p.dx, dx, "dx")
					requireBits(t, p.dh0, dh, "dh0")
					requireBits(t, p.dc0, dc, "dc0")
					for i, q := range tape.Params() {
						requireBits(t, p.grads[i], q.Grad, q.Name)
					}
				}
				x := p.x[:B*I]
				require.Zero(t, testing.AllocsPerRun(5, func() {
					h, cc := p.hn, p.cn
					stream.Step(h, cc, x, h, cc)
					tape.Forward(h, cc, x, h, cc)
					tape.Backward(nil, p.dhn, p.dcn, h, cc)
				}))
			}
		})
	})
}

func TestCellPanics(t *testing.T) {
	const I, H, B = 2, 3, 2
	c := newCell(t, "LSTM", I, H, false, nil)
	require.Equal(t, "LSTMCell(2, 3)", c.String())
	x, h, cc := make([]float32, B*I), make([]float32, B*H), make([]float32, B*H)
	dx, dh, dc := make([]float32, B*I), make([]float32, B*H), make([]float32, B*H)
	s, tape := c.NewStream(B), c.NewTape(2, B)
	step := func() { tape.Forward(h, cc, x, h, cc) }
	back := func() { tape.Backward(dx, dh, dc, h, dc) }
	for want, f := range map[string]func(){
		"LSTMCell.NewStream: batch = 0, want at least 1":                   func() { c.NewStream(0) },
		"LSTMCell.NewTape: maxT = -1, want at least 0":                     func() { c.NewTape(-1, 1) },
		"CellStream.Step: len(x) = 3, want B*I = 4":                        func() { s.Step(h, h, x[1:], h, h) },
		"CellStream.Step: len(cPrev) = 0, want B*H = 6":                    func() { s.Step(h, h, x, h, nil) },
		"CellTape.Forward: len(h) = 5, want B*H = 6":                       func() { tape.Forward(h[1:], h, x, h, h) },
		"CellTape.Backward: steps to go back through = 0, want at least 1": back,
	} {
		require.PanicsWithValue(t, "layer: "+want, f)
	}
	step()
	step()
	require.PanicsWithValue(t, "layer: CellTape.Forward: steps = 3, want at most maxT = 2", step)
	require.PanicsWithValue(t, "layer: CellTape.Backward: len(dx) = 1, want B*I = 4", func() { tape.Backward(dx[:1], dh, dc, h, dc) })
	back()
	require.PanicsWithValue(t, "layer: CellTape.Forward: steps to go back through = 1, want 0 or 2", step)
	tape.Reset()
	step()
	_, err := NewRNNCell(RNNCellConfig{Input: 1, Hidden: 1, Nonlinearity: 9}, nil)
	require.EqualError(t, err, "layer: NewRNNCell: Nonlinearity = 9, want Tanh or ReLU")
	_, err = NewLSTMCell(CellConfig{Input: 1}, nil)
	require.EqualError(t, err, "layer: NewLSTMCell: Hidden = 0, want at least 1")
}

// TestCellOverlap: what a step writes may be no other argument but its own past. It
// panics before it writes anything.
func TestCellOverlap(t *testing.T) {
	const I, H, B = 3, 3, 2
	forEachMode(t, func(t *testing.T, mode string) {
		c := newCell(t, mode, I, H, false, NewRand(1))
		s, tape := c.NewStream(B), c.NewTape(2, B)
		r := NewRand(2)
		shared, apart := normal(r, 2*B*H), normal(r, 5*B*H)
		before := slices.Clone(shared)
		// try calls f with two of its arguments on shared memory, shifted by one.
		try := func(fn string, names []string, same map[[2]int]bool, written []int, f func(m [][]float32)) {
			empty := func(i int) bool {
				return mode != "LSTM" && slices.Contains([]string{"c", "cPrev", "dc", "dcPrev"}, names[i])
			}
			for _, i := range written {
				for j := range names {
					if j == i || slices.Contains(written, j) && j < i || empty(i) || empty(j) {
						continue
					}
					for shift := range 2 {
						m := make([][]float32, len(names))
						for k := range m {
							if !empty(k) {
								m[k] = apart[k*B*H:][:B*H]
							}
						}
						m[i], m[j] = shared[:B*H], shared[shift:][:B*H]
						want := slices.Clone(apart)
						message := "layer: " + fn + ": " + names[i] + " and " + names[j] + " overlap, want memory of their own"
						if shift == 0 && same[[2]int{i, j}] {
							f(m)
							copy(apart, want)
							copy(shared, before)
							continue
						}
						require.PanicsWithValue(t, message, func() { f(m) })
						requireBits(t, want, apart, message)
						requireBits(t, before, shared, message)
					}
				}
			}
		}
		step, past := []string{"h", "c", "x", "hPrev", "cPrev"}, map[[2]int]bool{{0, 3}: true, {1, 4}: true}
		try("CellStream.Step", step, past, []int{0, 1}, func(m [][]float32) { s.Step(m[0], m[1], m[2], m[3], m[4]) })
		try("CellTape.Forward", step, past, []int{0, 1}, func(m [][]float32) {
			tape.Reset()
			tape.Forward(m[0], m[1], m[2], m[3], m[4])
		})
		back := []string{"dx", "dhPrev", "dcPrev", "dh", "dc"}
		try("CellTape.Backward", back, map[[2]int]bool{{2, 4}: true}, []int{0, 1, 2}, func(m [][]float32) {
			if tape.back == 0 {
				h, none := make([]float32, B*H), []float32(nil)
				if mode == "LSTM" {
					none = make([]float32, B*H)
				}
				tape.Forward(h, none, make([]float32, B*I), h, none)
			}
			tape.Backward(m[0], m[1], m[2], m[3], m[4])
		})
	})
}
