// Package kerneltest holds what tests on every path of kernels share. Only tests
// import it; those of package kernels, which it imports, have their own helpers.
package kerneltest

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
)

// Environment variables are read by functions, during a test, as the test cache
// takes no notice of what is read before.

// Emulated reports whether tests run in an emulator, where SIMD is some 400
// times slower and no process can be started.
func Emulated() bool { return os.Getenv("SIMDRNN_EMULATED") == "1" }

// Long reports whether exhaustive tests are wanted.
func Long() bool { return os.Getenv("SIMDRNN_LONG") == "1" }

// Pick returns the size of a test: full, or smaller with -short or emulated.
func Pick[T any](full, short, emulated T) T {
	switch {
	case Emulated():
		return emulated
	case testing.Short():
		return short
	}
	return full
}

// Main is the body of TestMain. If SIMDRNN_ISA is wrong it says so in one line
// and exits with 2.
func Main(m *testing.M) {
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// Paths lists the paths under test: those of this machine, or the one that
// SIMDRNN_ISA names.
func Paths() []kernels.ISA {
	_ = os.Getenv("GODEBUG") // for the test cache: it can take processor features away
	paths := kernels.Available()
	if name := os.Getenv("SIMDRNN_ISA"); name != "" {
		return slices.DeleteFunc(paths, func(isa kernels.ISA) bool { return isa.String() != name })
	}
	return paths
}

// SIMD lists the paths under test whose bits agree: all but Generic.
func SIMD() []kernels.ISA {
	return slices.DeleteFunc(Paths(), func(isa kernels.ISA) bool { return isa == kernels.Generic })
}

// On runs f on the path isa.
func On(isa kernels.ISA, f func()) {
	old, err := kernels.Active()
	if err == nil {
		err = kernels.Use(isa)
	}
	if err != nil {
		panic(err)
	}
	defer kernels.Use(old)
	f()
}

// Each runs f as a subtest, or a benchmark, on every path under test.
func Each[TB interface{ Run(string, func(TB)) bool }](t TB, f func(t TB, isa kernels.ISA)) {
	for _, isa := range Paths() {
		t.Run("isa="+isa.String(), func(t TB) {
			On(isa, func() { f(t, isa) })
		})
	}
}

// NewRand returns a source of random numbers, the same on every machine.
func NewRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// Random returns n uniform numbers of mean 0.
func Random(r *rand.Rand, n int, std float64) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32((r.Float64() - .5) * math.Sqrt(12) * std)
	}
	return s
}

// Float64s converts x.
func Float64s(x []float32) []float64 { return convert[float64](x) }

// Float32s converts x, rounded.
func Float32s(x []float64) []float32 { return convert[float32](x) }

func convert[To, From float32 | float64](x []From) []To {
	s := make([]To, len(x))
	for i, v := range x {
		s[i] = To(v)
	}
	return s
}

// RequireClose fails at the first element that is further from what is wanted
// than abs and than rel*|want|. It returns the largest distance.
func RequireClose(t testing.TB, want []float64, got []float32, abs, rel float64, what string) (worst float64) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i, w := range want {
		d, limit := math.Abs(float64(got[i])-w), max(abs, rel*math.Abs(w))
		if !(d <= limit) {
			t.Fatalf("%s: element %d is %g, want %g within %g", what, i, got[i], w, limit)
		}
		worst = max(worst, d)
	}
	return worst
}

// Hash returns the FNV-1a hash of the bits of x, little-endian.
func Hash(x []float32) uint64 {
	h := fnv.New64a()
	if err := binary.Write(h, binary.LittleEndian, x); err != nil {
		panic(err)
	}
	return h.Sum64()
}

// RequireHash runs f on every SIMD path under test: the hash of what it returns
// must be want, which is recorded, on all architectures. Without such a path the
// rest of the test is skipped.
func RequireHash(t *testing.T, want uint64, f func() []float32) {
	t.Helper()
	for _, isa := range SIMD() {
		On(isa, func() {
			require.Equal(t, fmt.Sprintf("%#x", want), fmt.Sprintf("%#x", Hash(f())), "isa=%v", isa)
		})
	}
	if len(SIMD()) == 0 {
		t.Skip("NOT COVERED: no SIMD path under test")
	}
}
