package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// slope returns the central difference of f at x in direction v.
func slope(f func() float64, x, v []float64) float64 {
	const eps = 1e-6
	at := slices.Clone(x)
	defer copy(x, at)
	move := func(by float64) float64 {
		for i := range x {
			x[i] = at[i] + by*v[i]
		}
		return f()
	}
	return (move(eps) - move(-eps)) / (2 * eps)
}

// numeric returns the central differences of f with respect to x.
func numeric(f func() float64, x []float64) []float64 {
	d := make([]float64, len(x))
	for i := range x {
		axis := make([]float64, len(x))
		axis[i] = 1
		d[i] = slope(f, x, axis)
	}
	return d
}

// cells are the cells under test and their options.
var cells = []Config{
	{Kind: RNNTanh},
	{Kind: RNNReLU},
	{Kind: GRU},
	{Kind: LSTM},
	{Kind: LSTM, NoBias: true},
	{Kind: LSTM, Proj: 2},
	{Kind: LSTM, Peephole: true},
	{Kind: LSTM, LayerNorm: LayerNormA},
	{Kind: LSTM, LayerNorm: LayerNormA, NoBias: true},
	{Kind: LSTM, LayerNorm: LayerNormB},
	{Kind: LSTM, LayerNorm: LayerNormA, Proj: 2, Peephole: true},
	{Kind: LSTM, LayerNorm: LayerNormB, Proj: 3, Peephole: true},
}

func describe(cfg Config) string {
	return fmt.Sprintf("%s P=%d LN=%s peephole=%v nobias=%v", cfg.Kind, cfg.Proj, cfg.LayerNorm, cfg.Peephole, cfg.NoBias)
}

// A problem is a network, what it reads, and the gradients of the loss
// <Out,dOut> + <HN,dHN> + <CN,dCN>.
type problem struct {
	cfg            Config
	ps             Params
	in             Batch
	dOut, dHN, dCN []float64
}

// newProblem draws a problem for cfg. The sizes come from it and in.
func newProblem(rnd *rand.Rand, cfg Config, in Batch) *problem {
	LDB := cfg.L() * cfg.D() * in.B
	in.X = normals(rnd, in.T*in.B*cfg.Input, 1)
	in.H0 = normals(rnd, LDB*cfg.Ho(), 1)
	p := &problem{
		cfg:  cfg,
		ps:   cfg.NewParams(),
		dOut: normals(rnd, in.T*in.B*cfg.D()*cfg.Ho(), 1),
		dHN:  normals(rnd, LDB*cfg.Ho(), 1),
	}
	if cfg.Kind == LSTM {
		in.C0 = normals(rnd, LDB*cfg.Hidden, 1)
		p.dCN = normals(rnd, LDB*cfg.Hidden, 1)
	}
	for _, q := range p.ps {
		copy(q.Data, normals(rnd, len(q.Data), 0.5))
	}
	p.in = in
	return p
}

func (p *problem) forward() *Pass { return Forward(p.cfg, p.ps, p.in) }

func (p *problem) grads() Grads { return p.forward().Backward(p.dOut, p.dHN, p.dCN) }

func (p *problem) loss() float64 {
	q := p.forward()
	return dot(q.Out, p.dOut) + dot(q.HN, p.dHN) + dot(q.CN, p.dCN)
}

// settings are what surrounds a cell. draw adds to the batch what an extension
// reads.
var settings = []struct {
	name          string
	layers        int
	bidirectional bool
	lengths       []int
	draw          drawn
}{
	{name: "alone", layers: 1},
	{name: "stacked", layers: 2, bidirectional: true, lengths: []int{2, 4, 0}, draw: drawn{drawMasks}},
	{name: "deep", layers: 3, bidirectional: true, lengths: []int{4, 1, 3}},
	{name: "reset", layers: 1, draw: drawn{drawReset}},
	{name: "reset to initial", layers: 1, draw: drawn{drawReset, resetToInitial}},
	{name: "variational", layers: 1, draw: drawn{drawVariational}},
	{name: "zoneout", layers: 1, draw: drawn{drawZoneout}},
	{name: "all", layers: 3, bidirectional: true, lengths: []int{4, 3, 2},
		draw: drawn{drawMasks, drawReset, drawVariational, drawZoneout}},
	{name: "all to initial", layers: 2, bidirectional: true, lengths: []int{4, 0, 3},
		draw: drawn{drawMasks, drawReset, resetToInitial, drawVariational, drawZoneout}},
}

type drawn = []func(*rand.Rand, Config, *Batch)

func drawMasks(rnd *rand.Rand, cfg Config, in *Batch) {
	for range cfg.L() - 1 {
		in.Masks = append(in.Masks, normals(rnd, in.T*in.B*cfg.D()*cfg.Ho(), 1))
	}
}

// drawReset resets before the first, an inner and the last step.
func drawReset(_ *rand.Rand, _ Config, in *Batch) {
	in.Reset = make([]bool, in.T*in.B)
	for _, tb := range [][2]int{{0, 0}, {2, 0}, {1, 1}, {2, 1}, {in.T - 1, 2}} {
		in.Reset[tb[0]*in.B+tb[1]] = true
	}
}

func resetToInitial(_ *rand.Rand, _ Config, in *Batch) { in.ResetToInitial = true }

func drawVariational(rnd *rand.Rand, cfg Config, in *Batch) {
	for k := range cfg.L() {
		in.InputMasks = append(in.InputMasks, normals(rnd, in.B*cfg.in(k), 1))
	}
	in.RecurrentMasks = normals(rnd, cfg.L()*cfg.D()*in.B*cfg.Ho(), 1)
}

func drawZoneout(rnd *rand.Rand, cfg Config, in *Batch) {
	LDTB := cfg.L() * cfg.D() * in.T * in.B
	in.ZoneoutH = uniforms(rnd, LDTB*cfg.Ho())
	if cfg.Kind == LSTM {
		in.ZoneoutC = uniforms(rnd, LDTB*cfg.Hidden)
	}
}

func uniforms(rnd *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rnd.Float64()
	}
	return x
}

// Every gradient of every cell in every setting is compared with differences of
// the loss: each element in one layer, in a stack the whole
// tensor in a random direction.
func TestNumericGradients(t *testing.T) {
	worst := 0.0
	for _, s := range settings {
		for i, cfg := range cells {
			t.Run(s.name+"/"+describe(cfg), func(t *testing.T) {
				cfg.Input, cfg.Hidden, cfg.Layers, cfg.Bidirectional = 3, 4, s.layers, s.bidirectional
				rnd := rand.New(rand.NewPCG(7, uint64(i)))
				in := Batch{T: 4, B: 3, Lengths: s.lengths}
				for _, draw := range s.draw {
					draw(rnd, cfg, &in)
				}
				p := newProblem(rnd, cfg, in)

				c := comparison{t: t, tol: 1e-7} // of the differences: layer norm is steep where all of c is alike
				check := func(name string, x, d []float64) {
					if s.layers == 1 {
						c.check(name, numeric(p.loss, x), d)
						return
					}
					v := normals(rnd, len(x), 1/math.Sqrt(float64(len(x))))
					c.check(name, []float64{slope(p.loss, x, v)}, []float64{dot(d, v)})
				}
				d := p.grads()
				check("dx", p.in.X, d.DX)
				check("dh0", p.in.H0, d.DH0)
				check("dc0", p.in.C0, d.DC0)
				for i, q := range p.ps {
					check("d "+q.Name, q.Data, d.Params[i].Data)
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
