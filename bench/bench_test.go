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

// compare benchmarks simd on every path under test, then plain. Both make what
// they need and return the operation to time. flops is the number of
// floating-point operations in its products, or 0 if that is not of interest.
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
		kerneltest.On(isa, func() { run(isa.String(), simd) })
	}
	run("plain", plain)
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

// A shape of an LSTM with as many inputs as units.
type shape struct{ T, B, H int }

func (s shape) String() string { return fmt.Sprintf("T=%d/B=%d/H=%d", s.T, s.B, s.H) }

// lstm returns fresh weights, and an input [T,B,H].
func (s shape) lstm(b *testing.B) (*layer.LSTM, []float32) {
	r := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: s.H, Hidden: s.H}, r)
	require.NoError(b, err)
	x := make([]float32, s.T*s.B*s.H)
	r.Normal(x, 0, 1)
	return lstm, x
}

// plain returns the plain LSTM with the same weights, and the same input.
func (s shape) plain(b *testing.B) (*plainLayer, []float32) {
	lstm, x := s.lstm(b)
	l := newPlainLayer(4, s.T, s.B, s.H, s.H)
	data, _ := l.params()
	for i, p := range lstm.Params() {
		copy(data[i], p.Data)
	}
	return l, x
}

// compareLSTM benchmarks LSTMs of T steps whose products do so many times the
// work of a forward pass.
func compareLSTM(b *testing.B, T int, passes float64,
	simd func(b *testing.B, s shape, lstm *layer.LSTM, x []float32) (op func()), plain func(l *plainLayer, x []float32) (op func())) {
	for _, H := range []int{64, 128, 256} {
		for _, B := range []int{1, 16} {
			s := shape{T, B, H}
			forward := 2 * float64(T*B) * float64(4*H) * float64(H+H)
			compare(b, s.String(), passes*forward,
				func(b *testing.B) func() {
					lstm, x := s.lstm(b)
					return simd(b, s, lstm, x)
				},
				func(b *testing.B) func() { return plain(s.plain(b)) })
		}
	}
}

// A sequence, without gradients.
func BenchmarkLSTMForward(b *testing.B) {
	compareLSTM(b, 64, 1,
		func(_ *testing.B, s shape, lstm *layer.LSTM, x []float32) func() {
			stream, y := lstm.NewStream(s.B), make([]float32, len(x))
			return func() { stream.Forward(y, x) }
		},
		func(l *plainLayer, x []float32) func() {
			return func() { l.forward(x) }
		})
}

// One step, as a real-time program makes it.
func BenchmarkLSTMStep(b *testing.B) {
	compareLSTM(b, 1, 1,
		func(_ *testing.B, s shape, lstm *layer.LSTM, x []float32) func() {
			stream, y := lstm.NewStream(s.B), make([]float32, len(x))
			return func() { stream.Step(y, x) }
		},
		func(l *plainLayer, x []float32) func() {
			return func() { l.forward(x) }
		})
}

// A training step: forward, backward without dx, and Adam, with a gradient for
// each output.
func BenchmarkLSTMTrain(b *testing.B) {
	compareLSTM(b, 64, 2.5, // forward, dW, and dh, which has half the weights
		func(b *testing.B, s shape, lstm *layer.LSTM, x []float32) func() {
			tape := lstm.NewTape(s.T, s.B)
			params := tape.Params()
			opt, err := train.NewAdam(params, train.DefaultAdam())
			require.NoError(b, err)
			return func() {
				tape.Forward(x)
				params.ZeroGrad()
				tape.Backward(nil, x) // x serves as dy
				opt.Step()
			}
		},
		func(l *plainLayer, x []float32) func() {
			data, grad := l.params()
			opt := newPlainAdam(data, grad, train.DefaultAdam().LR)
			return func() {
				l.forward(x)
				opt.zeroGrad()
				l.backward(x)
				opt.step()
			}
		})
}
