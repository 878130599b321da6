package kernels

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The only two tests that measure time. Their bounds are generous, and the best
// of many tries counts.

func skipTimed(t *testing.T) {
	if testing.Short() || emulated || raceEnabled {
		t.Skip("timed: not with -short, -race or emulation")
	}
}

// TestScalarAfterKernel: a scalar loop runs as fast after a kernel as before,
// which it would not with the upper halves of registers left in use.
func TestScalarAfterKernel(t *testing.T) {
	skipTimed(t)
	x := random(newRand(1), 64)
	p := newProduct(1, 4, 16, 16, 1, false)
	y := make([]float32, p.w.Width())
	var sink float32
	scalar := func() time.Duration {
		start := time.Now()
		s := float32(1)
		for range 20000 {
			s = float32(s*0.999) + 0.5
		}
		sink += s
		return time.Since(start)
	}
	best := func(before func()) time.Duration {
		d := time.Hour
		for range 20 {
			before()
			d = min(d, scalar())
		}
		return d
	}
	alone := best(func() {})
	forEachISA(t, func(t *testing.T, _ ISA) {
		for name, f := range map[string]func(){
			"Tanh": func() { Tanh(x, x) },
			"Gemv": func() { Gemv(y, p.a, p.w, p.bias) },
		} {
			require.Less(t, best(f), 3*alone, name)
		}
	})
	_ = sink
}

// TestStopTheWorld: a garbage collection that begins under a long product does
// not wait for its end.
func TestStopTheWorld(t *testing.T) {
	skipTimed(t)
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("needs two processors")
	}
	const k, units, n = 1024, 1024, 1024
	weights := NewPanels(4, units, k)
	a, c := Mat{make([]float32, n*k), k}, Mat{make([]float32, n*4*units), 4 * units}
	columns := NewPanels(1, units, n)
	d := Mat{make([]float32, k*units), units}
	for name, f := range map[string]func(){
		"Gemm":   func() { Gemm(c, a, n, weights, nil) },
		"GemmTN": func() { GemmTN(d, a, 1, k, columns, true) },
	} {
		t.Run(name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, isa ISA) {
				if isa == Generic {
					t.Skip("Go code can be stopped anywhere")
				}
				var calls atomic.Int64
				var stop atomic.Bool
				done := make(chan struct{})
				go func() {
					defer close(done)
					for !stop.Load() {
						calls.Add(1)
						f()
					}
				}()
				best := time.Hour
				var stats runtime.MemStats
				for range 20 {
					for now := calls.Load(); calls.Load() == now; { // the next call begins
						time.Sleep(100 * time.Microsecond)
					}
					start := time.Now()
					runtime.ReadMemStats(&stats) // stops the world
					best = min(best, time.Since(start))
				}
				stop.Store(true)
				<-done
				require.Less(t, best, 5*time.Millisecond)
			})
		})
	}
}
