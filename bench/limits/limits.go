// Package limits measures what a core of this machine can do at most, so that a
// benchmark can say how near to it a kernel comes: multiply-adds a second, and
// bytes read a second from a buffer of some size. Both depend on the path, for
// its registers have a width.
//
// A machine's speed changes with its temperature and its other work. Compare
// only what was measured close together.
package limits

import (
	"slices"
	"time"
	"unsafe"

	"github.com/simdrnn/simdrnn/kernels"
)

// What a round of the assembly does, and how many rounds one call may make: some
// 20 us, for nothing stops a goroutine in it.
const (
	fmasPerRound  = 24
	bytesPerRound = 512
	fmaRounds     = 4096
	tileRounds    = 1024
	readRounds    = 1024
)

// lanes returns the float32 of a register, or 0 if there is nothing to measure.
func lanes(isa kernels.ISA) int {
	if !slices.Contains(kernels.Available(), isa) {
		return 0
	}
	switch isa {
	case kernels.NEON:
		return 4
	case kernels.AVX2:
		return 8
	case kernels.AVX512:
		return 16
	}
	return 0
}

// FMAPeak returns the floating-point operations a second, two for each fused
// multiply-add of float32, of independent chains in registers: what no product
// can exceed. It takes about a millisecond. It is 0 for Generic and for paths
// that this machine lacks.
func FMAPeak(isa kernels.ISA) (flops float64) {
	n := lanes(isa)
	if n == 0 {
		return 0
	}
	const calls = 4
	t := fastest(func() {
		for range calls {
			fma(isa, 0.7, fmaRounds)
		}
	})
	return float64(2*fmasPerRound*n*fmaRounds*calls) / t.Seconds()
}

// TilePeak is FMAPeak with the loads of a product: of its largest tile, whose few
// inputs and weights stay in the first cache. It is not the most that the core can
// do but the median of some calls: what a product may hope for at this moment, when
// another program may use the core's other thread, and with it half of its
// instruction slots.
func TilePeak(isa kernels.ISA) (flops float64) {
	n := lanes(isa)
	if n == 0 {
		return 0
	}
	const inputs, rowBytes = 8, 160
	rows, columns := 6, 64
	switch isa {
	case kernels.AVX2:
		columns = 16
	case kernels.NEON:
		rows, columns = 4, 16
	}
	a, w := aligned(rows*rowBytes/4), aligned(inputs*columns)
	var t []time.Duration
	for range 10 {
		start := time.Now()
		tile(isa, &a[0], &w[0], tileRounds)
		t = append(t, max(1, time.Since(start)))
	}
	slices.Sort(t)
	return float64(2*rows*columns*inputs*tileRounds) / t[len(t)/2].Seconds()
}

// ReadBandwidth returns the bytes a second that are read one after the other,
// over and over, from a buffer of some bytes, at least 512: what no kernel that
// reads as much can exceed. Choose the size for the cache in question. It takes
// a few milliseconds, and more for buffers beyond the caches. It is 0 for
// Generic and for paths that this machine lacks.
func ReadBandwidth(isa kernels.ISA, bytes int) float64 {
	if lanes(isa) == 0 {
		return 0
	}
	rounds := max(1, bytes/bytesPerRound)
	bytes = rounds * bytesPerRound
	buf := aligned(bytes / 4)
	for i := range buf {
		buf[i] = 1 // memory that was never written is one page of zeros
	}
	passes := max(1, (1<<20)/bytes)
	t := fastest(func() {
		if rounds >= readRounds {
			for range passes {
				for i := 0; i < rounds; i += readRounds {
					read(isa, &buf[i*bytesPerRound/4], min(readRounds, rounds-i), 1)
				}
			}
			return
		}
		most := readRounds / rounds
		for left := passes; left > 0; left -= most {
			read(isa, &buf[0], rounds, min(left, most))
		}
	})
	return float64(bytes*passes) / t.Seconds()
}

// aligned returns n elements that start at a multiple of 64 bytes.
func aligned(n int) []float32 {
	const align = 64
	s := make([]float32, n+align/4-1)
	skip := -uintptr(unsafe.Pointer(&s[0])) % align / 4
	return s[skip:][:n]
}

// fastest returns the time of the fastest of several calls of f, after one that
// does not count.
func fastest(f func()) time.Duration {
	f()
	best := time.Hour
	for range 10 {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	return max(best, 1)
}
