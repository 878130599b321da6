package layer_test

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
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
	if os.Getenv("SIMDRNN_EMULATED") == "1" {
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
	if os.Getenv("SIMDRNN_LONG") == "1" {
		s = append(s, size{128, 1024, 1, 1000})
	}
	return s
}

// A network is a layer that can be compared.
type network interface {
	Params() layer.Params
	NewStream(batch int) *layer.Stream
	NewTape(maxT, batch int) *layer.Tape
}

var networks = []struct {
	kind reference.Kind
	make func(input, hidden int, noBias bool, r *layer.Rand) (network, error)
}{
	{reference.RNNTanh, func(I, H int, noBias bool, r *layer.Rand) (network, error) {
		return layer.NewRNN(layer.RNNConfig{Input: I, Hidden: H, NoBias: noBias}, r)
	}},
	{reference.RNNReLU, func(I, H int, noBias bool, r *layer.Rand) (network, error) {
		return layer.NewRNN(layer.RNNConfig{Input: I, Hidden: H, NoBias: noBias, Nonlinearity: layer.ReLU}, r)
	}},
	{reference.LSTM, func(I, H int, noBias bool, r *layer.Rand) (network, error) {
		return layer.NewLSTM(layer.LSTMConfig{Input: I, Hidden: H, NoBias: noBias}, r)
	}},
}

func normals(r *layer.Rand, n int) []float32 {
	x := make([]float32, n)
	r.Normal(x, 0, 1)
	return x
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// errs checks values against float64 and keeps the largest errors.
type errs struct {
	t                 *testing.T
	forward, gradient float64
}

func (e *errs) values(name string, want []float64, got []float32) {
	e.t.Helper()
	require.Len(e.t, got, len(want), name)
	worst := 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		require.LessOrEqual(e.t, d, forwardLimit, "%s[%d] = %v, want %v", name, i, got[i], w)
		worst = max(worst, d)
	}
	e.forward = max(e.forward, worst)
}

func (e *errs) grads(name string, want []float64, got []float32) {
	e.t.Helper()
	require.Len(e.t, got, len(want), name)
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
	require.LessOrEqual(e.t, rel, gradientLimit, name)
	e.gradient = max(e.gradient, rel)
}

// onEveryPath runs f on each path and then takes the old one again.
func onEveryPath(t *testing.T, f func(isa kernels.ISA)) {
	t.Helper()
	old, err := kernels.Active()
	require.NoError(t, err)
	defer func() { require.NoError(t, kernels.Use(old)) }()
	for _, isa := range kernels.Available() {
		require.NoError(t, kernels.Use(isa))
		f(isa)
	}
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
	for _, isa := range kernels.Available() {
		worst[isa] = &errs{}
	}
	for n, net := range networks {
		for i, s := range sizes() {
			t.Run(fmt.Sprintf("%s I=%d H=%d B=%d T=%d", net.kind, s.I, s.H, s.B, s.T), func(t *testing.T) {
				testReference(t, s, n, i%4 == 3, int64(100*n+i), worst)
			})
		}
	}
	for isa, e := range worst {
		t.Logf("%s: largest errors: forward %.1e, gradients %.1e", isa, e.forward, e.gradient)
	}
}

func testReference(t *testing.T, s size, n int, noBias bool, seed int64, worst map[kernels.ISA]*errs) {
	net := networks[n]
	r := layer.NewRand(seed)
	model, err := net.make(s.I, s.H, noBias, r)
	require.NoError(t, err)
	isLSTM := net.kind == reference.LSTM

	x, dy := normals(r, s.T*s.B*s.I), normals(r, s.T*s.B*s.H)
	h0, dhn := make([]float32, s.B*s.H), normals(r, s.B*s.H)
	var c0, dcn []float32
	if isLSTM {
		c0, dcn = make([]float32, s.B*s.H), normals(r, s.B*s.H)
	}
	if seed%2 == 1 { // else from zero
		r.Uniform(h0, -1, 1)
		r.Uniform(c0, -1, 1)
	}

	cfg := reference.Config{Kind: net.kind, Input: s.I, Hidden: s.H, NoBias: noBias}
	ps := cfg.NewParams()
	for i, p := range model.Params() {
		require.Equal(t, ps[i].Name, p.Name)
		require.Equal(t, ps[i].Shape, p.Shape)
		copy(ps[i].Data, float64s(p.Data))
	}
	in := reference.Batch{T: s.T, B: s.B, X: float64s(x), H0: float64s(h0)}
	var dCN []float64
	if isLSTM {
		in.C0, dCN = float64s(c0), float64s(dcn)
	}
	want := reference.Forward(cfg, ps, in)
	dWant := want.Backward(float64s(dy), float64s(dhn), dCN)

	onEveryPath(t, func(isa kernels.ISA) {
		e := errs{t: t}
		stream := model.NewStream(s.B)
		copy(stream.H(), h0)
		copy(stream.C(), c0)
		y := make([]float32, len(want.Out))
		stream.Forward(y, x)
		name := func(s string) string { return isa.String() + ": " + s }
		e.values(name("Stream y"), want.Out, y)
		e.values(name("Stream h"), want.HN, stream.H())
		e.values(name("Stream c"), want.CN, stream.C())

		tape := model.NewTape(s.T, s.B)
		copy(tape.H0(), h0)
		copy(tape.C0(), c0)
		y = tape.Forward(x)
		e.values(name("Tape y"), want.Out, y)
		e.values(name("Tape HN"), want.HN, tape.HN())
		e.values(name("Tape CN"), want.CN, tape.CN())
		if net.kind == reference.RNNReLU {
			requireSameSide(t, want.Out, y)
		}

		copy(tape.DHN(), dhn)
		copy(tape.DCN(), dcn)
		dx := make([]float32, len(x))
		tape.Backward(dx, dy)
		e.grads(name("dx"), dWant.DX, dx)
		e.grads(name("dh0"), dWant.DH0, tape.DH0())
		e.grads(name("dc0"), dWant.DC0, tape.DC0())
		for i, p := range tape.Params() {
			e.grads(name("d "+p.Name), dWant.Params[i].Data, p.Grad)
		}
		w := worst[isa]
		w.forward, w.gradient = max(w.forward, e.forward), max(w.gradient, e.gradient)
	})
}

func TestLinearReference(t *testing.T) {
	var forward, gradient float64
	for i, s := range sizes() {
		N, I, O := s.B*s.T, s.I, s.H
		if N > 100 {
			continue
		}
		r := layer.NewRand(int64(i))
		noBias := i%4 == 3
		model, err := layer.NewLinear(layer.LinearConfig{Input: I, Output: O, NoBias: noBias}, r)
		require.NoError(t, err)
		x, dy := normals(r, N*I), normals(r, N*O)
		W, dW := float64s(model.Params()[0].Data), make([]float64, O*I)
		var b, db []float64
		if !noBias {
			b, db = float64s(model.Params()[1].Data), make([]float64, O)
		}
		want := reference.LinearForward(float64s(x), W, b, I)
		dx := reference.LinearBackward(dW, db, float64s(dy), float64s(x), W, I)

		onEveryPath(t, func(isa kernels.ISA) {
			e := errs{t: t}
			name := func(s string) string { return fmt.Sprintf("%s I=%d O=%d N=%d: %s", isa, I, O, N, s) }
			tape := model.NewTape(N)
			e.values(name("y"), want, tape.Forward(x))
			got := make([]float32, len(x))
			tape.Backward(got, dy)
			e.grads(name("dx"), dx, got)
			e.grads(name("dW"), dW, tape.Params()[0].Grad)
			if !noBias {
				e.grads(name("db"), db, tape.Params()[1].Grad)
			}
			forward, gradient = max(forward, e.forward), max(gradient, e.gradient)
		})
	}
	t.Logf("largest errors: forward %.1e, gradients %.1e", forward, gradient)
}
