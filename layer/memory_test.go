package layer

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

// allocated returns the bytes that f allocates.
func allocated(f func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc)
}

// TestMemory compares the memory of Streams and Tapes with the formulas of
// README.md, where H and I count as multiples of 16.
func TestMemory(t *testing.T) {
	if kerneltest.Emulated() {
		t.Skip("large memory")
	}
	const B, T = 16, 64
	for _, c := range []struct {
		mode                 string
		gates, states, apart int // apart: the h part of the gates is kept
	}{{"RNN_TANH", 1, 1, 0}, {"LSTM", 4, 2, 0}, {"GRU", 3, 1, 3}} {
		for _, n := range []network{
			{mode: c.mode, I: 256, H: 256},
			{mode: c.mode, I: 64, H: 512, L: 3},
			{mode: c.mode, I: 128, H: 128, L: 2, bidirectional: true},
		} {
			m := networkOf(t, n, nil)
			m.NewTape(0, 1) // makes the transposed weights
			L, D, H, I := m.layers, m.directions(), n.H, n.I
			stream, tape := 0, T*B*(I+H+D*H) // tape: x, h as factors of gradients, and y
			for _, p := range m.params {
				tape += len(p.Data)
			}
			if L > 1 {
				tape += T * B * 2 * D * H // x of the other layers, and dx
			}
			for k := range L {
				stream += D * (streamRows*(c.gates*H+m.inputs(k)) + B*(c.apart+(2+D)*c.states)*H)
				tape += T * B * D * ((c.gates+c.apart)*H + c.states*H)
			}
			if L > 1 && D == 1 {
				stream += streamRows * H
			}
			got := [2]float64{allocated(func() { m.NewStream(B) }), allocated(func() { m.NewTape(T, B) })}
			for i, want := range [2]int{4 * stream, 4 * tape} {
				require.LessOrEqual(t, math.Abs(got[i]/float64(want)-1), .15, "%s %d: %.0f bytes, formula %d", n, i, got[i], want)
			}
			t.Logf("%s L=%d D=%d I=%d H=%d, B=%d T=%d: Stream %.0f KiB, Tape %.1f MiB", n.mode, L, D, I, H, B, T, got[0]/1024, got[1]/(1<<20))
		}
	}
}
