package bench

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/layer"
)

// BenchmarkLoad is what a program does before it can answer: it reads the weights
// of two layers of 512 from a file, packs them, and makes a first step. LoadLSTM
// alone begins with the tensors in memory.
func BenchmarkLoad(b *testing.B) {
	const H = 512
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: H, Hidden: H, Layers: 2}, layer.NewRand(1))
	require.NoError(b, err)
	weights, file := lstm.Params().StateDict(""), filepath.Join(b.TempDir(), "lstm.safetensors")
	require.NoError(b, layer.WriteSafetensors(file, weights))
	read := func() layer.StateDict {
		sd, err := layer.ReadSafetensors(file)
		require.NoError(b, err)
		return sd
	}
	load := func(sd layer.StateDict) *layer.LSTM {
		l, err := layer.LoadLSTM(sd, "", layer.LSTMConfig{})
		require.NoError(b, err)
		return l
	}
	x, y := make([]float32, H), make([]float32, H)
	for _, c := range []struct {
		name string
		op   func()
	}{
		{"ReadSafetensors", func() { read() }},
		{"LoadLSTM", func() { load(weights) }},
		{"first step", func() { load(read()).NewStream(1).Step(y, x) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.op()
			}
		})
	}
}
