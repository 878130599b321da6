package layer

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/simdrnn/simdrnn/internal/memory"
)

// bad is where this package panics on a number.
//
//go:noinline
func bad(fn, what string, got int, want string) {
	panic(fmt.Sprintf("layer: %s: %s = %d, want %s", fn, what, got, want))
}

// badLen reports an argument that does not have n elements, in letters dims.
//
//go:noinline
func badLen(fn, arg string, got int, dims string, n int) {
	bad(fn, "len("+arg+")", got, fmt.Sprintf("%s = %d", dims, n))
}

// badOverlap reports that the memory which a call would write is also what it reads.
//
//go:noinline
func badOverlap(fn, dst, src string) {
	panic(fmt.Sprintf("layer: %s: %s and %s overlap, want memory of their own", fn, dst, src))
}

// A neighbour is memory that a call writes, and an argument that must lie elsewhere or,
// if it may be the same, begin with it.
type neighbour struct {
	dst  string
	d    []float32
	src  string
	s    []float32
	same bool
}

func checkApart(fn string, list ...neighbour) {
	for _, n := range list {
		if n.same && memory.Shifted(n.d, n.s) || !n.same && memory.Overlap(n.d, n.s) {
			badOverlap(fn, n.dst, n.src)
		}
	}
}

// steps returns the number of matrices of n elements, in letters dims, that x
// holds.
func steps(fn string, x []float32, dims string, n int) int {
	if len(x)%n != 0 {
		badLen(fn, "x", len(x), "a multiple of "+dims, n)
	}
	return len(x) / n
}

// inMemory is the reason to refuse a size.
const inMemory = "a size that fits in memory"

// maxLen bounds a slice of float32: 2^47 bytes, or what half an int32 counts.
const maxLen = min(math.MaxInt/8, 1<<45)

// fits says whether a slice with these dimensions is possible.
func fits(dims ...int) bool {
	n := uint(1)
	for _, d := range dims {
		hi, lo := bits.Mul(n, uint(d))
		if d < 0 || hi != 0 || lo > maxLen {
			return false
		}
		n = lo
	}
	return true
}
