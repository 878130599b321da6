package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
)

func TestMain(m *testing.M) {
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}

// TestSame: what is timed computes the same, within what the least accurate
// library promises.
func TestSame(t *testing.T) {
	for _, task := range tasks() {
		require.Equal(t, ours, task.contenders[0].name)
		for _, c := range task.contenders {
			c.run()
			for i, want := range task.want {
				got := float64(c.result(i))
				if e := math.Abs(got-want) / max(1, math.Abs(want)); !(e <= 1e-4) {
					t.Fatalf("%s: %s: element %d is %g, want %g", task.name, c.name, i, got, want)
				}
			}
		}
	}
}

func TestRow(t *testing.T) {
	none := func() {}
	for unit, want := range map[string]string{
		gflops:     "| Gemm, H=4, N=2 | GFLOP/s | 8 | 4 | – | 2 | 2.00 |\n",
		perElement: "| Gemm, H=4, N=2 | ns/element | 0.125 | 0.25 | – | 0.5 | 2.00 |\n",
	} {
		task := task{name: "Gemm/H=4/N=2", work: 64, unit: unit}
		for _, name := range []string{ours, "gonum", "tphakala/simd"} {
			task.add(name, none, nil)
		}
		var w strings.Builder
		task.row(&w, []string{ours, "gonum", "vek", "tphakala/simd"}, []float64{8, 16, 32})
		require.Equal(t, want, w.String())
	}
}

func Benchmark(b *testing.B) {
	for _, t := range tasks() {
		for _, c := range t.contenders {
			b.Run(t.name+"/library="+strings.ReplaceAll(c.name, "/", "-"), func(b *testing.B) {
				for b.Loop() {
					c.run()
				}
				b.ReportMetric(t.value(float64(b.Elapsed().Nanoseconds())/float64(b.N)), t.unit)
			})
		}
	}
}
