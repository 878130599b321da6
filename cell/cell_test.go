package cell

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
)

var cells = map[string]Cell{"RNN tanh": RNN{}, "RNN relu": RNN{ReLU: true}, "LSTM": LSTM{}}

// TestMain reports a bad SIMDRNN_ISA.
func TestMain(m *testing.M) {
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// forEach runs f as a subtest for every cell on every path of this machine.
func forEach(t *testing.T, f func(t *testing.T, c Cell)) {
	old, err := kernels.Active()
	require.NoError(t, err)
	defer func() { require.NoError(t, kernels.Use(old)) }()
	for _, isa := range kernels.Available() {
		require.NoError(t, kernels.Use(isa))
		for name, c := range cells {
			t.Run(fmt.Sprintf("isa=%v/%s", isa, name), func(t *testing.T) { f(t, c) })
		}
	}
}

func random(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32() - 0.5
	}
	return s
}

// newStep returns a step of rows sequences with random weights w [G*H,H], x part
// and state.
func newStep(c Cell, rows, units int) (s *Step, w []float32) {
	r := rand.New(rand.NewPCG(1, 2))
	gates := c.Gates()
	w = random(r, gates*units*units)
	s = &Step{Rows: rows, Units: units}
	s.W = kernels.NewPanels(gates, units, units)
	s.W.Pack(w)
	s.WT = kernels.NewPanels(1, units, s.W.Width())
	for i := range gates * units {
		s.WT.SetRow(kernels.PackedIndex(gates, i%units, i/units), w[i*units:][:units])
	}
	s.Gates = kernels.Mat{Data: random(r, rows*s.W.Width()), Stride: s.W.Width()}
	for _, m := range []*kernels.Mat{&s.HPrev, &s.H, &s.DH, &s.DHPrev, &s.CPrev, &s.C, &s.DC} {
		*m = kernels.Mat{Data: random(r, rows*units), Stride: units}
	}
	return s, w
}

// clone copies what a step writes.
func clone(s *Step) *Step {
	c := *s
	for _, m := range []*kernels.Mat{&c.Gates, &c.HPrev, &c.H, &c.DH, &c.DHPrev, &c.CPrev, &c.C, &c.DC} {
		m.Data = slices.Clone(m.Data)
	}
	return &c
}

// textbook computes h and c of row b in float64, from given x part, hPrev and
// cPrev.
func textbook(cell Cell, s *Step, w []float32, xPart, hPrev, cPrev []float64) (h, c []float64) {
	H := s.Units
	a := func(g, u int) float64 {
		sum := xPart[kernels.PackedIndex(cell.Gates(), u, g)]
		for k, v := range hPrev {
			sum += v * float64(w[(g*H+u)*H+k])
		}
		return sum
	}
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	h, c = make([]float64, H), make([]float64, H)
	for u := range H {
		switch cell {
		case RNN{}:
			h[u] = math.Tanh(a(0, u))
		case RNN{ReLU: true}:
			h[u] = max(a(0, u), 0)
		case LSTM{}:
			c[u] = sigma(a(1, u))*cPrev[u] + sigma(a(0, u))*math.Tanh(a(2, u))
			h[u] = sigma(a(3, u)) * math.Tanh(c[u])
		}
	}
	return h, c
}

func row(m kernels.Mat, b int) (r []float64) {
	for _, v := range m.Data[b*m.Stride:][:m.Stride] {
		r = append(r, float64(v))
	}
	return r
}

// TestStep compares with the textbook, and Backward with its central
// differences.
func TestStep(t *testing.T) {
	const rows, units, tolerance = 3, 18, 2e-6
	forEach(t, func(t *testing.T, c Cell) {
		s, w := newStep(c, rows, units)
		before := clone(s)
		c.ForwardTrain(s)
		after := clone(s)
		c.Backward(s)
		for b := range rows {
			in := [][]float64{row(before.Gates, b), row(before.HPrev, b), row(before.CPrev, b)}
			h, cell := textbook(c, s, w, in[0], in[1], in[2])
			require.InDeltaSlice(t, h, row(after.H, b), tolerance)
			if c.HasC() {
				require.InDeltaSlice(t, cell, row(after.C, b), tolerance)
			}

			dh, dc := row(before.DH, b), row(before.DC, b)
			loss := func() (sum float64) {
				h, cell := textbook(c, s, w, in[0], in[1], in[2])
				for u := range h {
					sum += h[u]*dh[u] + cell[u]*dc[u]
				}
				return sum
			}
			slope := func(i, j int) float64 {
				const step = 1e-6
				v := in[i][j]
				in[i][j] = v + step
				up := loss()
				in[i][j] = v - step
				down := loss()
				in[i][j] = v
				return (up - down) / (2 * step)
			}
			for u := range units {
				for g := range c.Gates() {
					j := kernels.PackedIndex(c.Gates(), u, g)
					require.InDelta(t, slope(0, j), row(s.Gates, b)[j], tolerance, "dGates")
				}
				require.InDelta(t, row(before.DHPrev, b)[u]+slope(1, u), row(s.DHPrev, b)[u], tolerance, "DHPrev")
				if c.HasC() {
					require.InDelta(t, slope(2, u), row(s.DC, b)[u], tolerance, "DC")
				}
			}
		}
	})
}

// TestInPlace: training or not, in place or not, the bits are the same.
func TestInPlace(t *testing.T) {
	forEach(t, func(t *testing.T, c Cell) {
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
	forEach(t, func(t *testing.T, c Cell) {
		s, _ := newStep(c, 2, 20)
		require.Zero(t, testing.AllocsPerRun(2, func() {
			c.Forward(s)
			c.ForwardTrain(s)
			c.Backward(s)
		}))
	})
}

func TestPackBias(t *testing.T) {
	for name, c := range cells {
		const units = 18
		n := c.Gates() * units
		r := rand.New(rand.NewPCG(3, 4))
		bih, bhh := random(r, n), random(r, n)
		dst := make([]float32, kernels.NewPanels(c.Gates(), units, 0).Width())
		c.PackBias(dst, bih, bhh, units)
		for i := range n {
			require.Equal(t, bih[i]+bhh[i], dst[kernels.PackedIndex(c.Gates(), i%units, i/units)], name)
		}
	}
}
