package bench

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/examples/nextword/model"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

func TestMain(m *testing.M) {
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// compare benchmarks simd on every path of this machine, then plain. Both make
// what they need and return the operation to time.
func compare(b *testing.B, shape string, simd, plain func(b *testing.B) (op func())) {
	run := func(impl string, setup func(b *testing.B) func()) {
		b.Run(shape+"/impl="+impl, func(b *testing.B) {
			op := setup(b)
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
		})
	}
	old, err := kernels.Active()
	require.NoError(b, err)
	defer kernels.Use(old)
	for _, isa := range kernels.Available() {
		require.NoError(b, kernels.Use(isa))
		run(isa.String(), simd)
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
	t.Logf("SIMDRNN_ISA=%s", os.Getenv("SIMDRNN_ISA")) // read again for the test cache
	for _, cell := range []string{"rnn", "lstm"} {
		m, plain := nextword(t, cell)
		for epoch := range 500 {
			cost, err := m.Epoch()
			require.NoError(t, err)
			require.InDelta(t, cost, plain(), 1e-4, "%s, epoch %d", cell, epoch+1)
		}
		require.Zero(t, testing.AllocsPerRun(10, func() { plain() }))
	}
}

// A training step of the example nextword.
func BenchmarkTrainEpoch(b *testing.B) {
	for _, cell := range []string{"rnn", "lstm"} {
		compare(b, fmt.Sprintf("cell=%s/H=5", cell),
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

// shapes are those of the LSTM benchmarks.
func shapes(T int) (all []shape) {
	for _, H := range []int{64, 128, 256} {
		for _, B := range []int{1, 16} {
			all = append(all, shape{T, B, H})
		}
	}
	return all
}

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

// A sequence, without gradients.
func BenchmarkLSTMForward(b *testing.B) {
	for _, s := range shapes(64) {
		compare(b, s.String(),
			func(b *testing.B) func() {
				lstm, x := s.lstm(b)
				stream, y := lstm.NewStream(s.B), make([]float32, len(x))
				return func() { stream.Forward(y, x) }
			},
			func(b *testing.B) func() {
				l, x := s.plain(b)
				return func() { l.forward(x) }
			})
	}
}

// One step, as a real-time program makes it.
func BenchmarkLSTMStep(b *testing.B) {
	for _, s := range shapes(1) {
		compare(b, s.String(),
			func(b *testing.B) func() {
				lstm, x := s.lstm(b)
				stream, y := lstm.NewStream(s.B), make([]float32, len(x))
				return func() { stream.Step(y, x) }
			},
			func(b *testing.B) func() {
				l, x := s.plain(b)
				return func() { l.forward(x) }
			})
	}
}

// A training step: forward, backward and Adam, with a gradient for each output.
func BenchmarkLSTMTrain(b *testing.B) {
	for _, s := range shapes(64) {
		compare(b, s.String(),
			func(b *testing.B) func() {
				lstm, x := s.lstm(b)
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
			func(b *testing.B) func() {
				l, x := s.plain(b)
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
}
