package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// compareThreads benchmarks LSTMs of T steps with one and with two threads. setup
// makes what it needs and returns the operation to time.
func compareThreads(b *testing.B, T int, setup func(b *testing.B, s shape, lstm network, x []float32, threads int) (op func())) {
	for _, H := range []int{64, 128, 256, 512} {
		for _, B := range []int{1, 4, 16, 64} {
			s := shape{cell: "lstm", T: T, B: B, I: H, H: H}
			for _, isa := range kerneltest.Paths() {
				for _, threads := range []int{1, 2} {
					b.Run(fmt.Sprintf("H=%d/B=%d/threads=%d/isa=%s", H, B, threads, isa), func(b *testing.B) {
						kerneltest.On(isa, func() {
							r := layer.NewRand(1)
							lstm, err := cells[s.cell].make(s, 1, r)
							require.NoError(b, err)
							x := make([]float32, s.T*s.B*s.I)
							r.Normal(x, 0, 1)
							op := setup(b, s, lstm, x, threads)
							op()
							for b.Loop() {
								op()
							}
						})
					})
				}
			}
		}
	}
}

// A sequence, without gradients.
func BenchmarkThreadsForward(b *testing.B) {
	compareThreads(b, 64, func(_ *testing.B, s shape, lstm network, x []float32, threads int) func() {
		stream, y := lstm.NewStream(s.B), make([]float32, len(x))
		stream.SetThreads(threads)
		return func() { stream.Forward(y, x) }
	})
}

// One step, as a real-time program makes it, in a loop that leaves no pause.
func BenchmarkThreadsStep(b *testing.B) {
	compareThreads(b, 1, func(_ *testing.B, s shape, lstm network, x []float32, threads int) func() {
		stream, y := lstm.NewStream(s.B), make([]float32, len(x))
		stream.SetThreads(threads)
		return func() { stream.Step(y, x) }
	})
}

// A training step: forward, backward with dx, and Adam.
func BenchmarkThreadsTrain(b *testing.B) {
	compareThreads(b, 32, func(b *testing.B, s shape, lstm network, x []float32, threads int) func() {
		tape := lstm.NewTape(s.T, s.B)
		tape.SetThreads(threads)
		params, dx := tape.Params(), make([]float32, len(x))
		opt, err := train.NewAdam(params, train.DefaultAdam())
		require.NoError(b, err)
		opt.SetThreads(threads)
		return func() {
			tape.Forward(x)
			params.ZeroGrad()
			tape.Backward(dx, x) // x serves as dy
			opt.Step()
		}
	})
}
