package kernels

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	have := []ISA{Generic, AVX2}
	for env, want := range map[string]ISA{"": AVX2, "avx2": AVX2, "generic": Generic} {
		isa, err := choose(env, have)
		require.NoError(t, err)
		require.Equal(t, want, isa)
	}
	for _, env := range []string{"avx512", "neon", "AVX2", "sse"} {
		isa, err := choose(env, have)
		require.Equal(t, badISA, isa)
		require.EqualError(t, err, "kernels: SIMDRNN_ISA="+env+" is not available, want generic or avx2")
	}
}

func TestUse(t *testing.T) {
	old, err := Active()
	require.NoError(t, err)
	defer Use(old)
	have := Available()
	require.Equal(t, Generic, have[0])
	require.IsIncreasing(t, append([]ISA{}, have...))
	for isa := range badISA + 2 {
		before, err := Active()
		require.NoError(t, err)
		err = Use(isa)
		after, _ := Active()
		if i := indexISA(have, isa); i >= 0 {
			require.NoError(t, err)
			require.Equal(t, isa, after)
		} else {
			require.EqualError(t, err, "kernels: Use: "+isa.String()+" is not available, want "+names(have))
			require.Equal(t, before, after)
		}
	}
	have[0] = AVX512
	require.Equal(t, Generic, Available()[0], "Available returns a copy")
}

func indexISA(have []ISA, isa ISA) int {
	for i, h := range have {
		if h == isa {
			return i
		}
	}
	return -1
}

// TestBadEnvironment: a wrong SIMDRNN_ISA is an error of Active, a kernel
// panics with it, and Use repairs it.
func TestBadEnvironment(t *testing.T) {
	old, err := Active()
	require.NoError(t, err)
	defer func(err error) { active.Store(uint32(old)); envErr = err }(envErr)
	isa, err := choose("sse", available)
	active.Store(uint32(isa))
	envErr = err

	isa, err = Active()
	require.Equal(t, envErr, err)
	require.Equal(t, Generic, isa)
	x := []float32{1}
	require.PanicsWithValue(t, envErr, func() { Tanh(x, x) })
	require.PanicsWithValue(t, envErr, func() { Gemv(x, x, NewPanels(1, 1, 1), nil) })
	require.Equal(t, []float32{1}, x)
	require.NoError(t, Use(Generic))
	require.NotPanics(t, func() { Tanh(x, x) })
}

// TestEnvironment starts this test with a wrong SIMDRNN_ISA: it must not panic,
// but print one line and exit with 2.
func TestEnvironment(t *testing.T) {
	if emulated {
		t.Skip("emulated: no child processes")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, "-test.run=^TestChoose$")
	cmd.Env = append(os.Environ(), "SIMDRNN_ISA=sse")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Equal(t, "kernels: SIMDRNN_ISA=sse is not available, want "+names(available)+"\n", string(out))

	cmd.Env[len(cmd.Env)-1] = "SIMDRNN_ISA=generic"
	out, err = (&exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env}).CombinedOutput()
	require.NoError(t, err, string(out))
}
