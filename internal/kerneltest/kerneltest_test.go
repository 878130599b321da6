package kerneltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
)

func TestMain(m *testing.M) { Main(m) }

// TestPathsOfEnvironment: SIMDRNN_ISA leaves one path under test, Generic no SIMD.
func TestPathsOfEnvironment(t *testing.T) {
	t.Setenv("SIMDRNN_ISA", "")
	all := kernels.Available()
	require.Equal(t, all, Paths())
	require.Equal(t, all[1:], SIMD())
	for _, isa := range all {
		t.Setenv("SIMDRNN_ISA", isa.String())
		require.Equal(t, []kernels.ISA{isa}, Paths())
	}
	t.Setenv("SIMDRNN_ISA", "generic")
	require.Empty(t, SIMD())
}

// TestEach: f runs on each path, and afterwards the path is the old one.
func TestEach(t *testing.T) {
	before, err := kernels.Active()
	require.NoError(t, err)
	var ran []kernels.ISA
	Each(t, func(t *testing.T, isa kernels.ISA) {
		require.Contains(t, t.Name(), "isa="+isa.String())
		active, err := kernels.Active()
		require.NoError(t, err)
		require.Equal(t, isa, active)
		ran = append(ran, isa)
	})
	require.Equal(t, Paths(), ran)
	require.Panics(t, func() { On(kernels.Available()[0], func() { panic("f") }) })
	after, err := kernels.Active()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestRequireClose(t *testing.T) {
	require.InDelta(t, .5, RequireClose(t, []float64{0, 100}, []float32{.25, 100.5}, .3, .01, ""), 1e-9)
}
