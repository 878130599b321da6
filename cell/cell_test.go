package cell

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
)

var cells = map[reference.Kind]Cell{reference.RNNTanh: RNN{}, reference.RNNReLU: RNN{ReLU: true}, reference.LSTM: LSTM{}, reference.GRU: GRU{}}

func TestMain(m *testing.M) { kerneltest.Main(m) }

// forEach runs f as a subtest for every cell on every path under test.
func forEach(t *testing.T, f func(t *testing.T, kind reference.Kind, c Cell)) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for kind, c := range cells {
			t.Run(kind.String(), func(t *testing.T) { f(t, kind, c) })
		}
	})
}

func random(r *rand.Rand, n int) []float32 { return kerneltest.Random(r, n, .3) }

// newStep returns a step of rows sequences with random weights w [G*H,H], x part
// and state.
func newStep(c Cell, rows, units int) (s *Step, w []float32) {
	r := kerneltest.NewRand(1)
	gates := c.Gates()
	w = random(r, gates*units*units)
	s = &Step{Rows: rows, Units: units}
	s.W = kernels.NewPanels(gates, units, units)
	s.W.Pack(w)
	s.WT = kernels.NewPanels(1, units, s.W.Width())
	for i := range gates * units {
		s.WT.SetRow(kernels.PackedIndex(gates, i%units, i/units), w[i*units:][:units])
	}
	for _, m := range []*kernels.Mat{&s.Gates, &s.GatesH} {
		*m = kernels.Mat{Data: random(r, rows*s.W.Width()), Stride: s.W.Width()}
	}
	if bhh := random(r, gates*units); c.HasGatesH() {
		s.BiasH = make([]float32, s.W.Width())
		c.PackBias(make([]float32, s.W.Width()), s.BiasH, nil, bhh, units)
	}
	for _, m := range []*kernels.Mat{&s.HPrev, &s.H, &s.DH, &s.DHPrev, &s.CPrev, &s.C, &s.DC, &s.DM} {
		*m = kernels.Mat{Data: random(r, rows*units), Stride: units}
	}
	return s, w
}

// clone copies what a step writes.
func clone(s *Step) *Step {
	c := *s
	for _, m := range []*kernels.Mat{&c.Gates, &c.GatesH, &c.HPrev, &c.H, &c.DH, &c.DHPrev, &c.CPrev, &c.C, &c.DC, &c.M} {
		m.Data = slices.Clone(m.Data)
	}
	return &c
}

// unpack returns packed rows in the order of PyTorch, [rows,G*H].
func unpack(m kernels.Mat, rows, gates, units int) []float32 {
	x := make([]float32, 0, rows*gates*units)
	for b := range rows {
		for i := range gates * units {
			x = append(x, m.Data[b*m.Stride+kernels.PackedIndex(gates, i%units, i/units)])
		}
	}
	return x
}

// TestStep compares with one step of the reference whose inputs are the x part.
func TestStep(t *testing.T) {
	const rows, units, tolerance = 3, 18, 2e-6
	forEach(t, func(t *testing.T, kind reference.Kind, c Cell) {
		s, w := newStep(c, rows, units)
		inputs := c.Gates() * units
		cfg := reference.Config{Kind: kind, Input: inputs, Hidden: units, NoBias: s.BiasH == nil}
		params := cfg.NewParams()
		for i := range inputs {
			params.Get("weight_ih_l0")[i*inputs+i] = 1
		}
		wide := kerneltest.Float64s
		copy(params.Get("weight_hh_l0"), wide(w))
		if s.BiasH != nil {
			bhh := unpack(kernels.Mat{Data: s.BiasH, Stride: len(s.BiasH)}, 1, c.Gates(), units)
			copy(params.Get("bias_hh_l0"), wide(bhh))
		}
		want := reference.Forward(cfg, params, reference.Batch{
			T: 1, B: rows, X: wide(unpack(s.Gates, rows, c.Gates(), units)), H0: wide(s.HPrev.Data), C0: wide(s.CPrev.Data),
		})
		dWant := want.Backward(wide(s.DH.Data), nil, wide(s.DC.Data))
		for i, v := range s.DHPrev.Data { // to which Backward adds
			dWant.DH0[i] += float64(v)
		}

		c.ForwardTrain(s)
		kerneltest.RequireClose(t, want.Out, s.H.Data, tolerance, 0, "H")
		if c.HasC() {
			kerneltest.RequireClose(t, want.CN, s.C.Data, tolerance, 0, "C")
		}
		c.Backward(s)
		kerneltest.RequireClose(t, dWant.DX, unpack(s.Gates, rows, c.Gates(), units), tolerance, 0, "dGates")
		kerneltest.RequireClose(t, dWant.DH0, s.DHPrev.Data, tolerance, 0, "DHPrev")
		if c.HasC() {
			kerneltest.RequireClose(t, dWant.DC0, s.DC.Data, tolerance, 0, "DC")
		}
	})
}

// TestProjection compares an LSTM whose h is a projection with the reference, and
// one row with the batch.
func TestProjection(t *testing.T) {
	const rows, units, proj, tolerance = 3, 18, 7, 2e-6
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		r := kerneltest.NewRand(5)
		s, _ := newStep(LSTM{}, rows, units)
		whh, whr := random(r, 4*units*proj), random(r, proj*units)
		s.W, s.WT = kernels.NewPanels(4, units, proj), kernels.NewPanels(1, proj, s.W.Width())
		s.W.Pack(whh)
		for i := range 4 * units {
			s.WT.SetRow(kernels.PackedIndex(4, i%units, i/units), whh[i*proj:][:proj])
		}
		s.WR, s.WRT = kernels.NewPanels(1, proj, units), kernels.NewPanels(1, units, proj)
		s.WR.Pack(whr)
		s.WRT.SetRows(kernels.Mat{Data: whr, Stride: units})
		for _, m := range []*kernels.Mat{&s.HPrev, &s.H, &s.DH, &s.DHPrev} {
			*m = kernels.Mat{Data: random(r, rows*proj), Stride: proj}
		}
		for _, m := range []*kernels.Mat{&s.M, &s.DM} {
			*m = kernels.Mat{Data: random(r, rows*units), Stride: units}
		}
		inputs := 4 * units
		cfg := reference.Config{Kind: reference.LSTM, Input: inputs, Hidden: units, Proj: proj, NoBias: true}
		params := cfg.NewParams()
		for i := range inputs {
			params.Get("weight_ih_l0")[i*inputs+i] = 1
		}
		wide := kerneltest.Float64s
		copy(params.Get("weight_hh_l0"), wide(whh))
		copy(params.Get("weight_hr_l0"), wide(whr))
		want := reference.Forward(cfg, params, reference.Batch{
			T: 1, B: rows, X: wide(unpack(s.Gates, rows, 4, units)), H0: wide(s.HPrev.Data), C0: wide(s.CPrev.Data),
		})
		dWant := want.Backward(wide(s.DH.Data), nil, wide(s.DC.Data))
		for i, v := range s.DHPrev.Data {
			dWant.DH0[i] += float64(v)
		}

		one := clone(s)
		one.Rows = 1
		LSTM{}.ForwardTrain(s)
		kerneltest.RequireClose(t, want.Out, s.H.Data, tolerance, 0, "H")
		kerneltest.RequireClose(t, want.CN, s.C.Data, tolerance, 0, "C")
		LSTM{}.Forward(one)
		require.Equal(t, s.H.Data[:proj], one.H.Data[:proj])
		require.Equal(t, s.C.Data[:units], one.C.Data[:units])
		LSTM{}.Backward(s)
		kerneltest.RequireClose(t, dWant.DX, unpack(s.Gates, rows, 4, units), tolerance, 0, "dGates")
		kerneltest.RequireClose(t, dWant.DH0, s.DHPrev.Data, tolerance, 0, "DHPrev")
		kerneltest.RequireClose(t, dWant.DC0, s.DC.Data, tolerance, 0, "DC")
	})
}

// TestInPlace: training or not, in place or not, the bits are the same.
func TestInPlace(t *testing.T) {
	forEach(t, func(t *testing.T, _ reference.Kind, c Cell) {
		s, _ := newStep(c, 5, 20)
		want := clone(s)
		c.ForwardTrain(want)
		apart := clone(s)
		c.Forward(apart)
		inPlace := clone(s)
		inPlace.H, inPlace.C = inPlace.HPrev, inPlace.CPrev
		c.Forward(inPlace)
		for _, got := range []*Step{apart, inPlace} {
			require.Equal(t, want.H, got.H)
			if c.HasC() {
				require.Equal(t, want.C, got.C)
			}
		}
	})
}

func TestAllocs(t *testing.T) {
	forEach(t, func(t *testing.T, _ reference.Kind, c Cell) {
		s, _ := newStep(c, 2, 20)
		require.Zero(t, testing.AllocsPerRun(5, func() {
			s.Isolated = !s.Isolated
			c.Forward(s)
			c.ForwardTrain(s)
			c.Backward(s)
		}))
	})
}

// TestRows: one row of a batch has the bits of the row alone, which takes another
// way, with the x part in Gates or from X, and an isolated step has those of any.
func TestRows(t *testing.T) {
	forEach(t, func(t *testing.T, _ reference.Kind, c Cell) {
		const units = 20
		s, _ := newStep(c, 5, units)
		r := kerneltest.NewRand(7)
		wx := kernels.NewPanels(c.Gates(), units, 3)
		wx.Pack(random(r, c.Gates()*units*3))
		x, bias := kernels.Mat{Data: random(r, 5*3), Stride: 3}, make([]float32, wx.Width())
		c.PackBias(bias, make([]float32, len(bias)), random(r, c.Gates()*units), random(r, c.Gates()*units), units)
		for range 2 {
			batch := clone(s)
			c.Forward(batch)
			for b := range s.Rows {
				one := clone(s)
				one.Rows = 1
				for _, m := range []*kernels.Mat{&one.Gates, &one.GatesH, &one.HPrev, &one.H, &one.CPrev, &one.C, &one.X} {
					if len(m.Data) > 0 {
						m.Data = m.Data[b*m.Stride:]
					}
				}
				c.Forward(one)
				require.Equal(t, batch.H.Data[b*units:][:units], one.H.Data[:units])
			}
			isolated := clone(s)
			isolated.Isolated = true
			c.Forward(isolated)
			require.Equal(t, batch.H.Data, isolated.H.Data)
			require.Equal(t, batch.C.Data, isolated.C.Data)
			s.X, s.WX, s.Bias = x, wx, bias
		}
	})
}

func TestPackBias(t *testing.T) {
	for kind, c := range cells {
		const units = 18
		n := c.Gates() * units
		r := kerneltest.NewRand(3)
		bih, bhh := random(r, n), random(r, n)
		width := kernels.NewPanels(c.Gates(), units, 0).Width()
		x, h := make([]float32, width), random(r, width)
		c.PackBias(x, h, bih, bhh, units)
		inH := c.HasGatesH()
		require.Equal(t, kind == reference.GRU, inH)
		for i := range n {
			at := kernels.PackedIndex(c.Gates(), i%units, i/units)
			switch {
			case !inH:
				require.Equal(t, bih[i]+bhh[i], x[at], kind.String())
			case i < 2*units:
				require.Equal(t, []float32{bih[i] + bhh[i], 0}, []float32{x[at], h[at]}, "%v: %d", kind, i)
			default:
				require.Equal(t, []float32{bih[i], bhh[i]}, []float32{x[at], h[at]}, "%v: %d", kind, i)
			}
		}
		c.PackBias(x, h, nil, nil, units)
		require.Equal(t, make([]float32, width), x)
	}
}
