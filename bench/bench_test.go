package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/examples/nextword/model"
	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// slow is the number of floating-point operations from which on plain Go would
// take a second or more, and is left out.
const slow = 2e9

// compare benchmarks simd on every path under test, then plain, if there is one.
// Both make what they need and return the operation to time. flops is the number
// of floating-point operations in its products, or 0 if that is not of interest.
func compare(b *testing.B, shape string, flops float64, simd, plain func(b *testing.B) (op func())) {
	run := func(impl string, setup func(b *testing.B) func()) {
		b.Run(shape+"/impl="+impl, func(b *testing.B) {
			op := setup(b)
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
			if flops > 0 {
				b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			}
		})
	}
	for _, isa := range kerneltest.Paths() {
		if isa == kernels.Generic && flops > slow {
			continue
		}
		kerneltest.On(isa, func() { run(isa.String(), simd) })
	}
	if plain != nil && flops <= slow {
		run("plain", plain)
	}
}

// nextword returns the model of the example in both implementations, with the
// same parameters.
func nextword(t testing.TB, cell string) (*model.Model, func() float32) {
	const H, lr = 5, .01
	m, err := model.New(model.Config{Cell: cell, Hidden: H, LR: lr})
	require.NoError(t, err)
	gates := map[string]int{"rnn": 1, "lstm": 4}[cell]
	x, targets := m.Data()
	B := len(targets)
	C := len(x) / (model.T * B)
	p := newPlainModel(newPlainLayer(gates, model.T, B, C, H), C, lr)
	for i, param := range m.Params() {
		copy(p.opt.data[i], param.Data)
	}
	return m, func() float32 { return p.epoch(x, targets) }
}

// The plain implementation computes what it is compared with.
func TestPlain(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, cell := range []string{"rnn", "lstm"} {
			m, plain := nextword(t, cell)
			for epoch := range 500 {
				cost, err := m.Epoch()
				require.NoError(t, err)
				require.InDelta(t, cost, plain(), 1e-4, "%s, epoch %d", cell, epoch+1)
			}
			require.Zero(t, testing.AllocsPerRun(10, func() { plain() }))
		}
	})
}

// A training step of the example nextword.
func BenchmarkTrainEpoch(b *testing.B) {
	for _, cell := range []string{"rnn", "lstm"} {
		compare(b, fmt.Sprintf("cell=%s/H=5", cell), 0,
			func(b *testing.B) func() {
				m, _ := nextword(b, cell)
				return func() { m.Epoch() }
			},
			func(b *testing.B) func() {
				_, plain := nextword(b, cell)
				return func() { plain() }
			})
	}
}

// A shape of a network.
type shape struct {
	cell       string
	T, B, I, H int
	deep       bool // two layers of both directions
}

func (s shape) String() string {
	name := fmt.Sprintf("cell=%s/T=%d/B=%d/I=%d/H=%d", s.cell, s.T, s.B, s.I, s.H)
	if s.deep {
		name += "/deep"
	}
	return name
}

// network is what the layers of all cells have.
type network interface {
	Params() layer.Params
	NewStream(batch int) *layer.Stream
	NewTape(maxT, batch int) *layer.Tape
}

// cells are those to compare: their gates, and how to make one.
var cells = map[string]struct {
	gates int
	make  func(s shape, layers int, r *layer.Rand) (network, error)
}{
	"rnn": {1, func(s shape, layers int, r *layer.Rand) (network, error) {
		return layer.NewRNN(layer.RNNConfig{Input: s.I, Hidden: s.H, Layers: layers, Bidirectional: s.deep}, r)
	}},
	"gru": {3, func(s shape, layers int, r *layer.Rand) (network, error) {
		return layer.NewGRU(layer.GRUConfig{Input: s.I, Hidden: s.H, Layers: layers, Bidirectional: s.deep}, r)
	}},
	"lstm": {4, func(s shape, layers int, r *layer.Rand) (network, error) {
		return layer.NewLSTM(layer.LSTMConfig{Input: s.I, Hidden: s.H, Layers: layers, Bidirectional: s.deep}, r)
	}},
}

// flops is the number of operations in the products of a forward pass.
func (s shape) flops() float64 {
	per := 2 * float64(s.T*s.B) * float64(cells[s.cell].gates*s.H)
	if s.deep {
		return per * float64(2*(s.I+s.H)+2*(2*s.H+s.H))
	}
	return per * float64(s.I+s.H)
}

// network returns fresh weights, and an input [T,B,I].
func (s shape) network(b testing.TB) (network, []float32) {
	r, layers := layer.NewRand(0), 1
	if s.deep {
		layers = 2
	}
	net, err := cells[s.cell].make(s, layers, r)
	require.NoError(b, err)
	x := make([]float32, s.T*s.B*s.I)
	r.Normal(x, 0, 1)
	return net, x
}

// plain returns the plain layer with the same weights, and the same input.
func (s shape) plain(b testing.TB) (*plainLayer, []float32) {
	net, x := s.network(b)
	l := newPlainLayer(cells[s.cell].gates, s.T, s.B, s.I, s.H)
	data, _ := l.params()
	for i, p := range net.Params() {
		copy(data[i], p.Data)
	}
	return l, x
}

// y returns the room for an output, or a gradient of it.
func (s shape) y() []float32 {
	if s.deep {
		return make([]float32, s.T*s.B*2*s.H)
	}
	return make([]float32, s.T*s.B*s.H)
}

// compareShapes benchmarks networks whose products do so many times the work of
// a forward pass.
func compareShapes(b *testing.B, passes float64, shapes []shape,
	simd func(b *testing.B, s shape, net network, x []float32) (op func()), plain func(s shape, l *plainLayer, x []float32) (op func())) {
	for _, s := range shapes {
		plainSetup := func(b *testing.B) func() {
			l, x := s.plain(b)
			return plain(s, l, x)
		}
		if s.deep {
			plainSetup = nil
		}
		compare(b, s.String(), passes*s.flops(),
			func(b *testing.B) func() {
				net, x := s.network(b)
				return simd(b, s, net, x)
			}, plainSetup)
	}
}

// grid are LSTMs of 64 steps with as many inputs as units, then the other cells
// and two layers of both directions.
func grid(batches ...int) (all []shape) {
	for _, H := range []int{64, 128, 256, 512} {
		for _, B := range batches {
			all = append(all, shape{cell: "lstm", T: 64, B: B, I: H, H: H})
		}
	}
	for _, s := range []shape{{cell: "gru"}, {cell: "rnn"}, {cell: "lstm", deep: true}} {
		for _, B := range batches {
			s.T, s.B, s.I, s.H = 64, B, 256, 256
			all = append(all, s)
		}
	}
	return all
}

// streaming are LSTMs for one sequence of T steps: of audio, with one input, and
// with as many inputs as units.
func streaming(T int) (all []shape) {
	for _, H := range []int{8, 16, 20, 24, 32, 40, 64} {
		all = append(all, shape{cell: "lstm", T: T, B: 1, I: 1, H: H})
	}
	for _, H := range []int{64, 128, 256, 512} {
		all = append(all, shape{cell: "lstm", T: T, B: 1, I: H, H: H})
	}
	return all
}

// The plain layers compute the outputs and gradients of those that they are
// compared with.
func TestPlainLayers(t *testing.T) {
	for cell := range cells {
		s := shape{cell: cell, T: 5, B: 2, I: 3, H: 4}
		net, x := s.network(t)
		l, _ := s.plain(t)
		tape, dy := net.NewTape(s.T, s.B), s.y()
		layer.NewRand(1).Normal(dy, 0, 1)
		require.InDeltaSlice(t, tape.Forward(x), l.forward(x), 1e-6, cell)
		tape.Backward(nil, dy)
		l.backward(dy)
		_, grads := l.params()
		for i, p := range tape.Params() {
			require.InDeltaSlice(t, p.Grad, grads[i], 1e-5, "%s, %s", cell, p.Name)
		}
	}
}

func forwardPlain(_ shape, l *plainLayer, x []float32) func() {
	return func() { l.forward(x) }
}

// A sequence, without gradients.
func BenchmarkForward(b *testing.B) {
	compareShapes(b, 1, append(grid(1, 2, 4, 8, 16, 64), streaming(2048)...),
		func(_ *testing.B, s shape, net network, x []float32) func() {
			stream, y := net.NewStream(s.B), s.y()
			stream.Grow(s.T)
			return func() { stream.Forward(y, x) }
		}, forwardPlain)
}

// One step, as a real-time program makes it.
func BenchmarkStep(b *testing.B) {
	compareShapes(b, 1, streaming(1),
		func(_ *testing.B, s shape, net network, x []float32) func() {
			stream, y := net.NewStream(s.B), s.y()
			return func() { stream.Step(y, x) }
		}, forwardPlain)
}

// benchmarkTrain benchmarks forward, backward without dx, and Adam, with a
// gradient for each output from step first on.
func benchmarkTrain(b *testing.B, shapes []shape, first func(s shape) int) {
	gradient := func(s shape) []float32 {
		dy := s.y()
		layer.NewRand(1).Normal(dy[first(s)*len(dy)/s.T:], 0, 1)
		return dy
	}
	compareShapes(b, 2.5, shapes, // forward, dW, and dh, which has half the weights
		func(b *testing.B, s shape, net network, x []float32) func() {
			tape, dy := net.NewTape(s.T, s.B), gradient(s)
			params := tape.Params()
			opt, err := train.NewAdam(params, train.DefaultAdam())
			require.NoError(b, err)
			return func() {
				tape.Forward(x)
				params.ZeroGrad()
				tape.Backward(nil, dy)
				opt.Step()
			}
		},
		func(s shape, l *plainLayer, x []float32) func() {
			data, grad := l.params()
			opt, dy := newPlainAdam(data, grad, train.DefaultAdam().LR), gradient(s)
			return func() {
				l.forward(x)
				opt.zeroGrad()
				l.backward(dy)
				opt.step()
			}
		})
}

// A training step with a loss on every step.
func BenchmarkTrain(b *testing.B) {
	benchmarkTrain(b, grid(1, 16, 64), func(shape) int { return 0 })
}

// A training step with a loss on the last step alone, whose gradients become
// subnormal.
func BenchmarkTrainLast(b *testing.B) {
	var shapes []shape
	for _, T := range []int{256, 512} {
		shapes = append(shapes, shape{cell: "lstm", T: T, B: 16, I: 128, H: 128})
	}
	benchmarkTrain(b, shapes, func(s shape) int { return s.T - 1 })
}
