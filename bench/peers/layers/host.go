package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// thisHost describes this machine.
func thisHost() host {
	return host{CPU: cpuModel(), CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
}

// cpuModel is what Linux calls the processor.
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// loadAverage returns Linux's load averages of 1, 5 and 15 minutes.
func loadAverage() string {
	s, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(s)); len(f) >= 3 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// freeCPUs returns how many processors n goroutines get that spin for a while:
// fewer than n if other programs want them, or 0 if that is not known here.
func freeCPUs(n int) float64 {
	const while = 20 * time.Millisecond
	before, start := processTime(), time.Now()
	var spinning sync.WaitGroup
	for range n {
		spinning.Go(func() {
			for time.Since(start) < while {
			}
		})
	}
	spinning.Wait()
	return float64(processTime()-before) / float64(time.Since(start))
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
