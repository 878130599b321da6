package main

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
)

// thisHost describes this machine.
func thisHost() host {
	return host{CPU: timing.CPUModel(), CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
}

// freeCPUs returns how many processors n goroutines get that spin for a while:
// fewer than n if other programs want them, or 0 if that is not known here.
func freeCPUs(n int) float64 {
	const while = 20 * time.Millisecond
	before, start := timing.ProcessTime(), time.Now()
	var spinning sync.WaitGroup
	for range n {
		spinning.Go(func() {
			for time.Since(start) < while {
			}
		})
	}
	spinning.Wait()
	return float64(timing.ProcessTime()-before) / float64(time.Since(start))
}

// moduleVersion is that of a module in this program.
func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}
