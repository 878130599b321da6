package train

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
)

func TestMain(m *testing.M) {
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// onISA runs f on the path isa.
func onISA(isa kernels.ISA, f func()) {
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

// forEachISA runs f as a subtest on every path of this machine.
func forEachISA(t *testing.T, f func(t *testing.T)) {
	t.Logf("SIMDRNN_ISA=%s", os.Getenv("SIMDRNN_ISA")) // read again for the test cache
	for _, isa := range kernels.Available() {
		t.Run("isa="+isa.String(), func(t *testing.T) {
			onISA(isa, func() { f(t) })
		})
	}
}

// requireBits runs f on every path but the portable one: the FNV-1a hash of what
// it returns must be want, on all architectures.
func requireBits(t *testing.T, want uint64, f func() []float32) {
	t.Helper()
	for _, isa := range kernels.Available()[1:] {
		onISA(isa, func() {
			h := fnv.New64a()
			require.NoError(t, binary.Write(h, binary.LittleEndian, f()))
			require.Equal(t, fmt.Sprintf("%#x", want), fmt.Sprintf("%#x", h.Sum64()), "isa=%v", isa)
		})
	}
}

// random returns n numbers of mean 0, the same on every machine.
func random(r *rand.Rand, n int, std float64) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32((r.Float64() - .5) * math.Sqrt(12) * std)
	}
	return s
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func toFloat32(x []float64) []float32 {
	s := make([]float32, len(x))
	for i, v := range x {
		s[i] = float32(v)
	}
	return s
}

// requireClose compares with a float64 result: |got-want| <= tol*max(1,|want|).
func requireClose(t *testing.T, want []float64, got []float32, tol float64, msg string) {
	t.Helper()
	require.Len(t, got, len(want), msg)
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= tol*math.Max(1, math.Abs(w))) {
			t.Fatalf("%s: element %d is %g, want %g within %g", msg, i, got[i], w, tol)
		}
	}
}

// golden holds results of PyTorch.
type golden struct {
	CE struct {
		Classes         int
		Targets         []int
		Logits, DLogits []float64
		Loss            float64
	}
	Adam struct {
		P0    []float64
		Grads [][]float64
		Runs  map[string]struct {
			Args struct {
				LR          float64
				WeightDecay float64 `json:"weight_decay"`
			}
			Params [][]float64 // after each step
		}
	}
}

func loadGolden(t *testing.T) (g golden) {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}
