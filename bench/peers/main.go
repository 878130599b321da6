package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/kernels"
)

const (
	samples   = 15
	perSample = 500 * time.Microsecond // at least; short, so that most are undisturbed
)

func main() {
	isa, err := kernels.Active()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1) // gonum and vek would take more threads
	libraries := []string{ours, "gonum", "vek", "tphakala/simd"}
	fmt.Printf("%s/%s, simdrnn on %v, one thread; medians of %d samples in turn\n\n", runtime.GOOS, runtime.GOARCH, isa, samples)
	fmt.Printf("| Task | Unit | %s | Ahead of the best other |\n", strings.Join(libraries, " | "))
	fmt.Println("| --- | --- |" + strings.Repeat(" ---: |", len(libraries)+1))
	for _, t := range tasks() {
		t.row(os.Stdout, libraries, measure(t.contenders))
	}
}

// row writes a line of the table. ns are the times of the contenders.
func (t *task) row(w io.Writer, libraries []string, ns []float64) {
	cells := []string{strings.ReplaceAll(t.name, "/", ", "), t.unit}
	for _, l := range libraries {
		i := slices.IndexFunc(t.contenders, func(c contender) bool { return c.name == l })
		if i < 0 {
			cells = append(cells, "–")
		} else {
			cells = append(cells, fmt.Sprintf("%.3g", t.value(ns[i])))
		}
	}
	fmt.Fprintf(w, "| %s | %.2f |\n", strings.Join(cells, " | "), slices.Min(ns[1:])/ns[0])
}

// measure returns the median time of each contender in nanoseconds.
func measure(all []contender) (ns []float64) {
	times := make([][]float64, len(all))
	runs := make([]int, len(all))
	for i, c := range all {
		for runs[i] = 1; ; runs[i] *= 2 {
			if elapsed(c.run, runs[i]) >= perSample {
				break
			}
		}
	}
	for range samples {
		for i, c := range all {
			c.run() // what the others left in the caches is not its fault
			times[i] = append(times[i], float64(elapsed(c.run, runs[i]).Nanoseconds())/float64(runs[i]))
		}
	}
	for _, s := range times {
		slices.Sort(s)
		ns = append(ns, s[len(s)/2])
	}
	return ns
}

func elapsed(f func(), n int) time.Duration {
	start := time.Now()
	for range n {
		f()
	}
	return time.Since(start)
}
