package limits

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
)

func TestLimits(t *testing.T) {
	for _, isa := range kernels.Available() {
		flops, tile, bandwidth := FMAPeak(isa), TilePeak(isa), ReadBandwidth(isa, 16<<10)
		t.Logf("%v: %.1f GFLOP/s, %.1f in a tile, %.1f GB/s from 16 KiB", isa, flops/1e9, tile/1e9, bandwidth/1e9)
		if isa == kernels.Generic {
			require.Zero(t, flops)
			require.Zero(t, tile)
			require.Zero(t, bandwidth)
			continue
		}
		require.Greater(t, flops, 1e6)
		require.Greater(t, tile, 1e6)
		require.Greater(t, bandwidth, 1e6)
		for _, bytes := range []int{0, 511, 1<<20 + 700} {
			require.Greater(t, ReadBandwidth(isa, bytes), 1e6)
		}
	}
	{
		missing := kernels.ISA(99)
		require.Zero(t, FMAPeak(missing))
		require.Zero(t, TilePeak(missing))
		require.Zero(t, ReadBandwidth(missing, 1<<10))
	}
}

func Benchmark(b *testing.B) {
	for _, isa := range kernels.Available() {
		if lanes(isa) == 0 {
			continue
		}
		b.Run(fmt.Sprintf("limit=fma/isa=%v", isa), func(b *testing.B) {
			var best float64
			for b.Loop() {
				best = max(best, FMAPeak(isa))
			}
			b.ReportMetric(best/1e9, "GFLOP/s")
		})
		b.Run(fmt.Sprintf("limit=tile/isa=%v", isa), func(b *testing.B) {
			var sum float64
			for b.Loop() {
				sum += TilePeak(isa)
			}
			b.ReportMetric(sum/float64(b.N)/1e9, "GFLOP/s")
		})
		for _, kib := range []int{16, 24, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536} {
			b.Run(fmt.Sprintf("limit=read/KiB=%d/isa=%v", kib, isa), func(b *testing.B) {
				var best float64
				for b.Loop() {
					best = max(best, ReadBandwidth(isa, kib<<10))
				}
				b.ReportMetric(best/1e9, "GB/s")
			})
		}
	}
}
