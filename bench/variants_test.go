package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/layer"
)

// LSTMs with layer norm and with peepholes, beside the plain one: a sequence
// without gradients, and a training step without an optimizer.
func BenchmarkVariants(b *testing.B) {
	const T, B, H = 64, 16, 128
	flops := float64(2 * T * B * 4 * H * 2 * H)
	for _, v := range []struct {
		name string
		cfg  layer.LSTMConfig
	}{
		{"plain", layer.LSTMConfig{}},
		{"peephole", layer.LSTMConfig{Peephole: true}},
		{"layernorm-A", layer.LSTMConfig{LayerNorm: layer.LayerNormA}},
		{"layernorm-B", layer.LSTMConfig{LayerNorm: layer.LayerNormB}},
	} {
		setup := func(b *testing.B) (lstm *layer.LSTM, x, y []float32) {
			r := layer.NewRand(0)
			v.cfg.Input, v.cfg.Hidden = H, H
			lstm, err := layer.NewLSTM(v.cfg, r)
			require.NoError(b, err)
			x, y = make([]float32, T*B*H), make([]float32, T*B*H)
			r.Normal(x, 0, 1)
			r.Normal(y, 0, 1)
			return lstm, x, y
		}
		shape := fmt.Sprintf("lstm=%s/T=%d/B=%d/I=%d/H=%d", v.name, T, B, H, H)
		compare(b, shape+"/pass=forward", flops, func(b *testing.B) func() {
			lstm, x, y := setup(b)
			stream := lstm.NewStream(B)
			return func() { stream.Forward(y, x) }
		}, nil)
		compare(b, shape+"/pass=train", 2.5*flops, func(b *testing.B) func() {
			lstm, x, dy := setup(b)
			tape := lstm.NewTape(T, B)
			params := tape.Params()
			return func() {
				tape.Forward(x)
				params.ZeroGrad()
				tape.Backward(nil, dy)
			}
		}, nil)
	}
}
