// Package timing has what the commands beside it have in common: the machine that
// they measure on, the processes of other libraries, and statistics.
package timing

import (
	"os"
	"slices"
	"strings"
)

// CPUModel is what Linux calls the processor.
func CPUModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// LoadAverage returns Linux's load averages of 1, 5 and 15 minutes.
func LoadAverage() string {
	s, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(s)); len(f) >= 3 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// Median is the mean of both in the middle of an even number of samples. There must
// be one at least.
func Median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Quantile returns the sample that a fraction q of the others, rounded down, is below.
// There must be one at least.
func Quantile(samples []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return s[int(q*float64(len(s)-1))]
}
