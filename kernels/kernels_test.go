package kernels

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// These helpers are those of internal/kerneltest, which imports this package.

// emulated is set under qemu, where SIMD is some 400 times slower.
var emulated = os.Getenv("SIMDRNN_EMULATED") == "1"

// huge is a number of units of which four gates are 0 in an int.
const huge = math.MaxInt/2 + 1

// long asks for exhaustive tests.
var long = os.Getenv("SIMDRNN_LONG") == "1"

func TestMain(m *testing.M) {
	flag.Parse()
	if _, err := Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// pick returns the size of a test: full, with -short, or emulated.
func pick[T any](full, short, emu T) T {
	switch {
	case emulated:
		return emu
	case testing.Short():
		return short
	}
	return full
}

// onISA runs f on the path isa.
func onISA(isa ISA, f func()) {
	old, err := Active()
	if err == nil {
		err = Use(isa)
	}
	if err != nil {
		panic(err)
	}
	defer Use(old)
	f()
}

// paths lists the paths under test: those of this machine, or the one that
// SIMDRNN_ISA names.
func paths() []ISA {
	if name := os.Getenv(isaEnv); name != "" {
		return slices.DeleteFunc(Available(), func(isa ISA) bool { return isa.String() != name })
	}
	return Available()
}

// simd lists the paths under test whose bits agree: all but Generic.
func simd() []ISA {
	return slices.DeleteFunc(paths(), func(isa ISA) bool { return isa == Generic })
}

// forEachISA runs f as a subtest on every path under test.
func forEachISA(t *testing.T, f func(t *testing.T, isa ISA)) {
	for _, isa := range paths() {
		t.Run("isa="+isa.String(), func(t *testing.T) {
			onISA(isa, func() { f(t, isa) })
		})
	}
}

// canary fills memory that must be neither read nor written: it is NaN.
var canary = math.Float32frombits(0x7fe5a5a5)

func isNaN(x float32) bool { return x != x }

// same compares bits; a NaN that was computed equals any other.
func same(got, want float32) bool {
	g, w := math.Float32bits(got), math.Float32bits(want)
	return g == w || isNaN(got) && isNaN(want) && w != math.Float32bits(canary)
}

// requireSame fails at the first difference.
func requireSame(t testing.TB, want, got []float32, format string, args ...any) {
	t.Helper()
	require.Equal(t, len(want), len(got), "length")
	for i := range want {
		if !same(got[i], want[i]) {
			t.Fatalf("%s: element %d is %g (%#08x), want %g (%#08x)", fmt.Sprintf(format, args...), i,
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

func filled(n int, v float32) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// uniform returns a number in [lo, hi), the same on every machine.
func uniform(r *rand.Rand, lo, hi float32) float32 { return float32(r.Float32()*(hi-lo)) + lo }

func random(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = uniform(r, -1, 1)
	}
	return s
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// fmaRef is the exact float32 fused multiply-add: the product is exact in
// float64, the sum is rounded to odd, which makes the second rounding harmless.
func fmaRef(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	bb := s - p
	if e := (p - (s - bb)) + (float64(z) - bb); e != 0 && !math.IsInf(s, 0) {
		if b := math.Float64bits(s); b&1 == 0 {
			if (e > 0) == (s > 0) {
				b++
			} else {
				b--
			}
			s = math.Float64frombits(b)
		}
	}
	return float32(s)
}

func TestFMARef(t *testing.T) {
	// 97*172961 is 2^24+1, a tie; z decides and is lost in float64.
	require.Equal(t, float32(0x1p24+2), fmaRef(97, 172961, 0x1p-40))
	require.Equal(t, float32(0x1p24), fmaRef(97, 172961, -0x1p-40))
	require.Equal(t, float32(-0x1p24-2), fmaRef(-97, 172961, -0x1p-40))
	require.Equal(t, float32(0x1p24), fmaRef(97, 172961, 0))
	x := float32(1 + 0x1p-23)
	require.Equal(t, float32(0x1p-46), fmaRef(x, x, -1-0x1p-22))
}

// A view is a matrix in a memory of its own whose rest must not change.
type view struct {
	Mat
	all   []float32 // the whole memory
	start int       // of Data in all
}

// A place makes views.
type place struct {
	name string
	make func(t testing.TB, rows, cols, stride int) view
}

func span(rows, cols, stride int) int {
	if rows == 0 || cols == 0 {
		return 0
	}
	return (rows-1)*stride + cols
}

// at returns a place off elements away from a 64-byte boundary.
func at(off int) place {
	return place{fmt.Sprintf("offset=%d", off), func(_ testing.TB, rows, cols, stride int) view {
		n := span(rows, cols, stride)
		all := alignedSlice(16 + off + n + 32)
		return view{Mat{all[16+off:][:n:n], stride}, all, 16 + off}
	}}
}

// Places at a page that faults.
var (
	beforeGuard = place{"before guard page", func(t testing.TB, rows, cols, stride int) view {
		n := span(rows, cols, stride)
		all := guarded(t, n+guardSlack)
		start := len(all) - guardSlack - n
		return view{Mat{all[start:][:n:n], stride}, all, start}
	}}
	afterGuard = place{"after guard page", func(t testing.TB, rows, cols, stride int) view {
		all := guarded(t, span(rows, cols, stride))
		n := span(rows, cols, stride)
		return view{Mat{all[:n:n], stride}, all, 0}
	}}
)

// guardSlack is how many elements lie between a view and the page after it. QEMU
// 7.2 reads all of a VMASKMOVPS, where a processor leaves out what the mask does.
var guardSlack = func() int {
	if emulated && runtime.GOARCH == "amd64" && Available()[len(Available())-1] == AVX2 {
		return 7
	}
	return 0
}()

// guards keeps the memory of guarded: mapping is slow.
var guards struct {
	sync.Mutex
	free map[int][][]float32
}

// guarded returns whole pages of at least n elements between two pages that
// fault (on Linux). release gives them back.
func guarded(t testing.TB, n int) []float32 {
	page := os.Getpagesize()
	bytes := max(1, (4*n+page-1)/page) * page
	guards.Lock()
	defer guards.Unlock()
	if guards.free == nil {
		guards.free = map[int][][]float32{}
	}
	l := guards.free[bytes]
	if len(l) == 0 {
		return mapGuarded(t, bytes)
	}
	guards.free[bytes] = l[:len(l)-1]
	return l[len(l)-1]
}

// release gives the memory of a view back if it came from guarded.
func (p place) release(v view) {
	if p.name == beforeGuard.name || p.name == afterGuard.name {
		guards.Lock()
		defer guards.Unlock()
		guards.free[4*len(v.all)] = append(guards.free[4*len(v.all)], v.all)
	}
}

// Numbers that a subnormal flag or a rounding mode changes.
var (
	probeTiny  = float32(0x1p-126)
	probeSmall = float32(0x1p-149)
	probeTie   = float32(0x1.8p-24)
)

// requireFPState fails if a kernel left flush-to-zero or a rounding mode set.
//
//go:noinline
func requireFPState(t testing.TB, name string) {
	t.Helper()
	if probeTiny*0.5 != 0x1p-127 || probeSmall*0x1p30 != 0x1p-119 || 1+probeTie != 1+0x1p-23 || -1-probeTie != -1-0x1p-23 {
		t.Fatalf("%s changed the floating-point state", name)
	}
}

// Recorded hashes: the bits of AVX2, which every SIMD path must reproduce.

var record = flag.Bool("record", false, "record the hashes in testdata/bits.json, on the path avx2")

const bitsFile = "testdata/bits.json"

var recorded = sync.OnceValues(func() (m map[string]string, err error) {
	b, err := os.ReadFile(bitsFile)
	if os.IsNotExist(err) && *record {
		return map[string]string{}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
})

// hash folds the bits of s; all NaNs are one.
func hash(s []float32) string {
	h := fnv.New64a()
	var b [4]byte
	for _, v := range s {
		bits := math.Float32bits(v)
		if isNaN(v) {
			bits = 0x7fc00000
		}
		binary.LittleEndian.PutUint32(b[:], bits)
		h.Write(b[:])
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// requireHash compares the bits of a SIMD path with the recorded ones.
func requireHash(t *testing.T, name string, isa ISA, s []float32) {
	t.Helper()
	if isa == Generic {
		return
	}
	m, err := recorded()
	require.NoError(t, err)
	if *record && isa == AVX2 {
		m[name] = hash(s)
		b, err := json.MarshalIndent(m, "", "\t")
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(bitsFile), 0o755))
		require.NoError(t, os.WriteFile(bitsFile, append(b, '\n'), 0o644))
	}
	require.Contains(t, m, name, "no recorded hash: run go test -record where avx2 is available")
	require.Equal(t, m[name], hash(s), "bits of %s differ from the recorded ones", name)
}

// TestPaths names the paths that this machine does not cover. With
// SIMDRNN_REQUIRE=avx2,avx512 a missing one is a failure.
func TestPaths(t *testing.T) {
	// Read again, as the test cache takes no notice of what is read before tests run.
	for _, name := range []string{isaEnv, "SIMDRNN_EMULATED", "SIMDRNN_LONG", "GODEBUG"} {
		t.Logf("%s=%s", name, os.Getenv(name))
	}
	want := map[string][]ISA{"amd64": {AVX2, AVX512}, "arm64": {NEON}}[runtime.GOARCH]
	for _, isa := range want {
		t.Run("isa="+isa.String(), func(t *testing.T) {
			if !slices.Contains(Available(), isa) {
				t.Skipf("NOT COVERED: this machine or build lacks %v; have %v", isa, Available())
			}
		})
	}
	if s := os.Getenv("SIMDRNN_REQUIRE"); s != "" {
		for _, name := range strings.Split(s, ",") {
			i := slices.Index(isaNames[:], name)
			require.GreaterOrEqual(t, i, 0, "SIMDRNN_REQUIRE names no path: %s", name)
			require.Contains(t, Available(), ISA(i), "SIMDRNN_REQUIRE=%s", s)
		}
	}
}
