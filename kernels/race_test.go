//go:build race

package kernels

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRaceFound: two goroutines that write one slice through kernels are
// reported, though the race detector cannot see assembly.
func TestRaceFound(t *testing.T) {
	if isa := os.Getenv("SIMDRNN_TEST_RACE"); isa != "" {
		x, p := make([]float32, 64), NewPanels(4, 16, 4)
		done := make(chan bool)
		work := func() {
			if isa == "gemv" {
				Gemv(x, make([]float32, 4), p, nil)
			} else {
				Tanh(x, x)
			}
			done <- true
		}
		go work()
		go work()
		<-done
		<-done
		return
	}
	if emulated {
		t.Skip("emulated: no child processes")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	for _, isa := range paths() {
		for _, kernel := range []string{"tanh", "gemv"} {
			cmd := exec.Command(exe, "-test.run=^TestRaceFound$")
			cmd.Env = append(os.Environ(), "SIMDRNN_TEST_RACE="+kernel, "SIMDRNN_ISA="+isa.String())
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "%v %s: no race was found", isa, kernel)
			require.Contains(t, string(out), "DATA RACE")
		}
	}
}
