package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
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
