package layer

import (
	"fmt"
	"testing"

	"github.com/simdrnn/simdrnn/kernels"
)

// benchLSTM runs f for each size and path. With rows = T*B, one iteration has
// 2*rows*4H*(I+H) operations in its products, times passes.
func benchLSTM(b *testing.B, T int, batches []int, passes float64, f func(b *testing.B, lstm *LSTM, x, y []float32, B int)) {
	old, err := kernels.Active()
	if err != nil {
		b.Fatal(err)
	}
	use := func(isa kernels.ISA) {
		if err := kernels.Use(isa); err != nil {
			b.Fatal(err)
		}
	}
	defer use(old)
	for _, size := range [][2]int{{40, 128}, {64, 64}, {256, 256}, {512, 512}} {
		I, H := size[0], size[1]
		lstm, err := NewLSTM(LSTMConfig{Input: I, Hidden: H}, NewRand(0))
		if err != nil {
			b.Fatal(err)
		}
		for _, B := range batches {
			x, y := normal(NewRand(1), T*B*I), make([]float32, T*B*H)
			for _, isa := range kernels.Available() {
				b.Run(fmt.Sprintf("I=%d/H=%d/B=%d/isa=%v", I, H, B, isa), func(b *testing.B) {
					use(isa)
					b.ReportAllocs()
					f(b, lstm, x, y, B)
					flops := passes * 2 * float64(T*B) * 4 * float64(H) * float64(I+H)
					b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

func BenchmarkLSTMStep(b *testing.B) {
	benchLSTM(b, 1, []int{1, 4, 16}, 1, func(b *testing.B, lstm *LSTM, x, y []float32, B int) {
		s := lstm.NewStream(B)
		for b.Loop() {
			s.Step(y, x)
		}
	})
}

func BenchmarkLSTMForward(b *testing.B) {
	benchLSTM(b, 64, []int{1, 8, 32}, 1, func(b *testing.B, lstm *LSTM, x, y []float32, B int) {
		s := lstm.NewStream(B)
		for b.Loop() {
			s.Forward(y, x)
		}
	})
}

// BenchmarkLSTMTrain is a training step without the optimizer.
func BenchmarkLSTMTrain(b *testing.B) {
	const T = 64
	benchLSTM(b, T, []int{1, 8, 32}, 3, func(b *testing.B, lstm *LSTM, x, y []float32, B int) {
		tape := lstm.NewTape(T, B)
		dx, dy, params := make([]float32, len(x)), normal(NewRand(2), len(y)), tape.Params()
		for b.Loop() {
			tape.Forward(x)
			params.ZeroGrad()
			tape.Backward(dx, dy)
			params.Pack()
		}
	})
}
