package reference

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func normals(rnd *rand.Rand, n int, std float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = std * rnd.NormFloat64()
	}
	return x
}

func dot(x, y []float64) (sum float64) {
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// numeric returns the central differences of f with respect to x.
func numeric(f func() float64, x []float64) []float64 {
	const eps = 1e-5
	d := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + eps
		up := f()
		x[i] = v - eps
		d[i] = (up - f()) / (2 * eps)
		x[i] = v
	}
	return d
}

// Every gradient of every cell is compared with differences of the loss
// <Out,dOut> + <HN,dHN> + <CN,dCN>, alone and stacked.
func TestNumericGradients(t *testing.T) {
	const T, B, I, H = 4, 3, 3, 5
	worst := 0.0
	for _, cfg := range []Config{
		{Kind: RNNTanh}, {Kind: RNNReLU}, {Kind: LSTM}, {Kind: GRU}, {Kind: LSTM, Proj: 2},
	} {
		cfg.Input, cfg.Hidden = I, H
		for _, stacked := range []bool{false, true} {
			in := Batch{T: T, B: B}
			rnd := rand.New(rand.NewPCG(7, uint64(cfg.Kind)))
			if stacked {
				cfg.Layers, cfg.Bidirectional = 2, true
				in.Lengths = []int{2, 4, 0}
				in.Masks = [][]float64{normals(rnd, T*B*2*cfg.Ho(), 1)}
			}
			t.Run(fmt.Sprintf("%s P=%d stacked=%v", cfg.Kind, cfg.Proj, stacked), func(t *testing.T) {
				LDB := cfg.L() * cfg.D() * B
				in.X = normals(rnd, T*B*I, 1)
				in.H0 = normals(rnd, LDB*cfg.Ho(), 1)
				var dCN []float64
				if cfg.Kind == LSTM {
					in.C0 = normals(rnd, LDB*H, 1)
					dCN = normals(rnd, LDB*H, 1)
				}
				dOut := normals(rnd, T*B*cfg.D()*cfg.Ho(), 1)
				dHN := normals(rnd, LDB*cfg.Ho(), 1)
				ps := cfg.NewParams()
				for _, p := range ps {
					copy(p.Data, normals(rnd, len(p.Data), 0.5))
				}

				loss := func() float64 {
					p := Forward(cfg, ps, in)
					return dot(p.Out, dOut) + dot(p.HN, dHN) + dot(p.CN, dCN)
				}
				d := Forward(cfg, ps, in).Backward(dOut, dHN, dCN)
				c := comparison{t: t, tol: 1e-8}
				c.check("dx", numeric(loss, in.X), d.DX)
				c.check("dh0", numeric(loss, in.H0), d.DH0)
				c.check("dc0", numeric(loss, in.C0), d.DC0)
				for i, p := range ps {
					c.check("d "+p.Name, numeric(loss, p.Data), d.Params[i].Data)
				}
				worst = max(worst, c.worst)
			})
		}
	}
	t.Logf("largest relative error %.1e", worst)
}

func TestLinearNumericGradients(t *testing.T) {
	const N, I, O = 3, 4, 5
	rnd := rand.New(rand.NewPCG(1, 1))
	x, W, b, dy := normals(rnd, N*I, 1), normals(rnd, O*I, 1), normals(rnd, O, 1), normals(rnd, N*O, 1)
	loss := func() float64 { return dot(LinearForward(x, W, b, I), dy) }
	dW, db := make([]float64, O*I), make([]float64, O)
	dx := LinearBackward(dW, db, dy, x, W, I)
	c := comparison{t: t, tol: 1e-8}
	c.check("dx", numeric(loss, x), dx)
	c.check("dW", numeric(loss, W), dW)
	c.check("db", numeric(loss, b), db)
}

// A row with fewer steps equals the row alone, and no step is legal.
func TestLengths(t *testing.T) {
	cfg := Config{Kind: GRU, Input: 2, Hidden: 3, Layers: 2, Bidirectional: true}
	rnd := rand.New(rand.NewPCG(3, 3))
	ps := cfg.NewParams()
	for _, p := range ps {
		copy(p.Data, normals(rnd, len(p.Data), 1))
	}
	x, h0 := normals(rnd, 5*2, 1), normals(rnd, 4*3, 1)
	padded := Forward(cfg, ps, Batch{T: 5, B: 1, X: x, H0: h0, Lengths: []int{3}})
	alone := Forward(cfg, ps, Batch{T: 3, B: 1, X: x[:6], H0: h0})
	require.Equal(t, alone.HN, padded.HN)
	require.Equal(t, append(alone.Out, make([]float64, 2*6)...), padded.Out)

	none := Forward(cfg, ps, Batch{T: 0, B: 1, H0: h0})
	require.Empty(t, none.Out)
	require.Equal(t, h0, none.HN)
	require.Equal(t, h0, none.Backward(nil, h0, nil).DH0)
	require.Panics(t, func() { Forward(cfg, ps, Batch{T: 2, B: 1, X: x}) })
}
