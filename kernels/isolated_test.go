package kernels_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// TestIsolatedSteps: where AVX-512 is active, a step of any network and a row of
// Linear take AVX2 alone. A processor without AVX-512 does not survive its
// instructions.
func TestIsolatedSteps(t *testing.T) {
	if !slices.Contains(kernels.Available(), kernels.AVX2) {
		t.Skip("NOT COVERED: no AVX2 here")
	}
	const I, H = 5, 19
	type stepper interface{ NewStream(batch int) *layer.Stream }
	networks := map[string]stepper{}
	add := func(name string, m stepper, err error) {
		require.NoError(t, err)
		networks[name] = m
	}
	for _, act := range []layer.Nonlinearity{layer.Tanh, layer.ReLU} {
		m, err := layer.NewRNN(layer.RNNConfig{Input: I, Hidden: H, Layers: 2, Nonlinearity: act}, layer.NewRand(0))
		add(fmt.Sprint("RNN ", act), m, err)
	}
	gru, err := layer.NewGRU(layer.GRUConfig{Input: I, Hidden: H, Layers: 2}, layer.NewRand(0))
	add("GRU", gru, err)
	for _, proj := range []int{0, 7} {
		for _, peephole := range []bool{false, true} {
			for _, norm := range []layer.LayerNorm{layer.NoLayerNorm, layer.LayerNormA, layer.LayerNormB} {
				cfg := layer.LSTMConfig{Input: I, Hidden: H, Layers: 2, Proj: proj, Peephole: peephole, LayerNorm: norm}
				m, err := layer.NewLSTM(cfg, layer.NewRand(0))
				add(fmt.Sprintf("LSTM Proj=%d Peephole=%v LayerNorm=%v", proj, peephole, norm), m, err)
			}
		}
	}
	r := kerneltest.NewRand(1)
	// try runs f, which returns what it computes, on AVX2, and as if AVX-512 was active.
	try := func(t *testing.T, f func() []float32) {
		kerneltest.On(kernels.AVX2, func() {
			want := f()
			kernels.Pretend(kernels.AVX512)
			require.Equal(t, want, f())
		})
	}
	for name, m := range networks {
		t.Run(name, func(t *testing.T) {
			for _, B := range []int{1, 3} {
				x := kerneltest.Random(r, B*I, 1)
				try(t, func() []float32 {
					s := m.NewStream(B)
					y := make([]float32, len(s.H())/2)
					s.Step(y, x)
					s.Forward(y, x)
					return slices.Concat(y, s.H(), s.C())
				})
			}
		})
	}
	for _, inputs := range []int{40, 300} {
		for _, outputs := range []int{1, 10, 64, 100} {
			l, err := layer.NewLinear(layer.LinearConfig{Input: inputs, Output: outputs}, layer.NewRand(0))
			require.NoError(t, err)
			x := kerneltest.Random(r, inputs, 1)
			try(t, func() []float32 {
				y := make([]float32, outputs)
				l.Forward(y, x)
				return y
			})
		}
	}
}
