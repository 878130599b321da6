package layer

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
)

// Limits on the distance from float64, for PyTorch's initialisation and N(0,1)
// inputs.
const (
	forwardLimit  = 2e-6 // absolute
	gradientLimit = 2e-6 // norm(difference) / norm(reference)
)

type size struct{ I, H, B, T int }

// sizes covers tails of 16 units and of 4 and 8 rows, several blocks of 128
// and chains of 256 inputs, and sequences longer than a Stream takes at once.
// The limits hold while I is not far above H, whose initialisation then makes
// gates and relu large, and while single numbers are not summed over many
// steps, where a gradient can cancel.
func sizes() []size {
	s := []size{{1, 1, 1, 1}, {3, 7, 2, 5}, {5, 17, 17, 2}, {2, 33, 1, 4}}
	if kerneltest.Emulated() {
		return s
	}
	s = append(s, []size{
		{1, 1, 3, 6}, {1, 5, 2, 40}, {2, 2, 3, 7}, {4, 8, 1, 12}, {9, 15, 4, 13}, {7, 16, 17, 3}, {16, 24, 5, 9}, {129, 31, 6, 10},
		{5, 32, 2, 20}, {10, 48, 8, 6}, {65, 63, 9, 5}, {10, 64, 4, 16}, {33, 65, 3, 8}, {257, 200, 2, 8},
		{13, 100, 2, 40}, {64, 127, 1, 10}, {20, 128, 16, 3}, {130, 129, 1, 7}, {20, 130, 7, 8},
	}...)
	if !testing.Short() {
		s = append(s, size{64, 256, 4, 64}, size{40, 300, 2, 20})
	}
	if kerneltest.Long() {
		s = append(s, size{128, 1024, 1, 1000})
	}
	return s
}

var referenceKinds = map[string]reference.Kind{"RNN_TANH": reference.RNNTanh, "RNN_RELU": reference.RNNReLU, "LSTM": reference.LSTM, "GRU": reference.GRU}

// errs checks values against float64 and keeps the largest errors. The limits are
// multiplied by 1+steep.
type errs struct{ forward, gradient, steep float64 }

func (e *errs) value(t *testing.T, name string, want []float64, got []float32) {
	t.Helper()
	e.forward = max(e.forward, kerneltest.RequireClose(t, want, got, forwardLimit*(1+e.steep), 0, name))
}

func (e *errs) grad(t *testing.T, name string, want []float64, got []float32) {
	t.Helper()
	require.Len(t, got, len(want), name)
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - w
		diff += d * d
		norm += w * w
	}
	if diff == 0 {
		return
	}
	rel := math.Sqrt(diff / norm)
	require.LessOrEqual(t, rel, gradientLimit*(1+e.steep), name)
	e.gradient = max(e.gradient, rel)
}

// A solution is what a problem has in float64.
type solution struct {
	y, hn, cn    []float64
	dx, dh0, dc0 []float64
	grads        map[string][]float64
}

// solve checks what a tape of m, of T steps and B rows, makes of p.
func (e *errs) solve(t *testing.T, m model, p *problem, want solution, T, B int) {
	t.Helper()
	p.solve(m.NewTape(T, B))
	e.value(t, "y", want.y, p.y)
	e.value(t, "hn", want.hn, p.hn)
	e.value(t, "cn", want.cn, p.cn)
	e.grad(t, "dx", want.dx, p.dx)
	e.grad(t, "dh0", want.dh0, p.dh0)
	e.grad(t, "dc0", want.dc0, p.dc0)
	require.Len(t, want.grads, len(p.grads))
	for i, q := range m.Params() {
		e.grad(t, q.Name, want.grads[q.Name], p.grads[i])
	}
}

// TestGolden compares with PyTorch, the initialisation bit for bit.
func TestGolden(t *testing.T) {
	var golden struct {
		Cases []struct {
			Mode                   string
			Input                  int `json:"input_size"`
			Hidden                 int `json:"hidden_size"`
			Bias                   bool
			Seed                   int64
			T                      int `json:"seq_len"`
			B                      int `json:"batch"`
			X, H0, C0, Out, HN, CN []float64
			DOut                   []float64 `json:"grad_out"`
			DHN                    []float64 `json:"grad_hn"`
			DCN                    []float64 `json:"grad_cn"`
			DX, DH0, DC0           []float64
			Params, DParams        map[string][]float64
		}
	}
	readJSON(t, "golden.json", &golden)
	require.Len(t, golden.Cases, 7)
	narrow := kerneltest.Float32s
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, c := range golden.Cases {
			t.Run(fmt.Sprintf("%s/seed=%d", c.Mode, c.Seed), func(t *testing.T) {
				m := newModel(t, c.Mode, c.Input, c.Hidden, !c.Bias, NewRand(c.Seed))
				require.Len(t, m.Params(), len(c.Params))
				for _, q := range m.Params() {
					requireBits(t, narrow(c.Params[q.Name]), q.Data, q.Name)
				}
				p := &problem{x: narrow(c.X), h0: narrow(c.H0), c0: narrow(c.C0),
					dy: narrow(c.DOut), dhn: narrow(c.DHN), dcn: narrow(c.DCN)}
				want := solution{c.Out, c.HN, c.CN, c.DX, c.DH0, c.DC0, c.DParams}
				new(errs).solve(t, m, p, want, c.T, c.B)
			})
		}
	})
}

// requireSameSide checks that no relu switched: one that did has another
// gradient, as far from the reference as it likes. Choose another seed then.
func requireSameSide(t *testing.T, want []float64, got []float32) {
	t.Helper()
	for i := range want {
		if (want[i] > 0) != (got[i] > 0) {
			t.Fatalf("relu %d is on the other side of 0 than in float64", i)
		}
	}
}

func TestReference(t *testing.T) {
	worst := map[kernels.ISA]*errs{}
	for _, isa := range kerneltest.Paths() {
		worst[isa] = &errs{}
	}
	for n, mode := range modes {
		for i, s := range sizes() {
			t.Run(fmt.Sprintf("%s I=%d H=%d B=%d T=%d", mode, s.I, s.H, s.B, s.T), func(t *testing.T) {
				testReference(t, mode, s, i%4 == 3, int64(100*n+i), worst)
			})
		}
	}
	for isa, e := range worst {
		t.Logf("%s: largest errors: forward %.1e, gradients %.1e", isa, e.forward, e.gradient)
	}
}

func testReference(t *testing.T, mode string, s size, noBias bool, seed int64, worst map[kernels.ISA]*errs) {
	r := NewRand(seed)
	m := newModel(t, mode, s.I, s.H, noBias, r)
	p := &problem{x: normal(r, s.T*s.B*s.I), dy: normal(r, s.T*s.B*s.H), h0: make([]float32, s.B*s.H), dhn: normal(r, s.B*s.H)}
	if mode == "LSTM" {
		p.c0, p.dcn = make([]float32, s.B*s.H), normal(r, s.B*s.H)
	}
	if seed%2 == 1 { // else from zero
		r.Uniform(p.h0, -1, 1)
		r.Uniform(p.c0, -1, 1)
	}

	cfg := reference.Config{Kind: referenceKinds[mode], Input: s.I, Hidden: s.H, NoBias: noBias}
	params := cfg.NewParams()
	for i, q := range m.Params() {
		require.Equal(t, params[i].Name, q.Name)
		require.Equal(t, params[i].Shape, q.Shape)
		copy(params[i].Data, kerneltest.Float64s(q.Data))
	}
	wide := kerneltest.Float64s
	pass := reference.Forward(cfg, params, reference.Batch{T: s.T, B: s.B, X: wide(p.x), H0: wide(p.h0), C0: wide(p.c0)})
	grads := pass.Backward(wide(p.dy), wide(p.dhn), wide(p.dcn))
	want := solution{pass.Out, pass.HN, pass.CN, grads.DX, grads.DH0, grads.DC0, map[string][]float64{}}
	for _, q := range grads.Params {
		want.grads[q.Name] = q.Data
	}

	kerneltest.Each(t, func(t *testing.T, isa kernels.ISA) {
		e := worst[isa]
		stream := m.NewStream(s.B)
		copy(stream.H(), p.h0)
		copy(stream.C(), p.c0)
		y := make([]float32, len(want.y))
		stream.Forward(y, p.x)
		e.value(t, "Stream y", want.y, y)
		e.value(t, "Stream h", want.hn, stream.H())
		e.value(t, "Stream c", want.cn, stream.C())
		if mode == "RNN_RELU" {
			requireSameSide(t, want.y, y)
		}
		e.solve(t, m, p, want, s.T, s.B)
	})
}

func TestLinearReference(t *testing.T) {
	var worst errs
	for i, s := range sizes() {
		N, I, O := s.B*s.T, s.I, s.H
		if N > 100 {
			continue
		}
		r := NewRand(int64(i))
		noBias := i%4 == 3
		l, err := NewLinear(LinearConfig{Input: I, Output: O, NoBias: noBias}, r)
		require.NoError(t, err)
		x, dy := normal(r, N*I), normal(r, N*O)
		W, dW := kerneltest.Float64s(l.Params()[0].Data), make([]float64, O*I)
		var b, db []float64
		if !noBias {
			b, db = kerneltest.Float64s(l.Params()[1].Data), make([]float64, O)
		}
		want := reference.LinearForward(kerneltest.Float64s(x), W, b, I)
		dx := reference.LinearBackward(dW, db, kerneltest.Float64s(dy), kerneltest.Float64s(x), W, I)

		t.Run(fmt.Sprintf("I=%d O=%d N=%d", I, O, N), func(t *testing.T) {
			kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
				tape := l.NewTape(N)
				worst.value(t, "y", want, tape.Forward(x))
				got := make([]float32, len(x))
				tape.Backward(got, dy)
				worst.grad(t, "dx", dx, got)
				worst.grad(t, "dW", dW, tape.Params()[0].Grad)
				if !noBias {
					worst.grad(t, "db", db, tape.Params()[1].Grad)
				}
			})
		})
	}
	t.Logf("largest errors: forward %.1e, gradients %.1e", worst.forward, worst.gradient)
}
