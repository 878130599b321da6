package layer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

// randGolden is what PyTorch drew, each tensor after its own manual_seed.
type randGolden struct {
	Seeds map[string]struct {
		Rand8   []float32 `json:"rand8_f32"`
		Rand4   []float64 `json:"rand4_f64"`
		Randn5  []float32 `json:"randn5"`
		Randn45 []float32 `json:"randn5x9"`
		LSTM    tensors   `json:"lstm_2_3"`
		GRU     tensors   `json:"gru_last"` // Input 2, Hidden 3, Layers 2, Bidirectional: the last parameter
		Linear  tensors   `json:"linear_4_3"`
		Embed   []float32 `json:"embedding_5_4_pad1"` // row 1 is set to 0 after the draw
	}
	Normal struct {
		Randn16 []float32 `json:"randn16_seed0_f32"`
		Randn20 []float64 `json:"randn20_seed0_f64"`
	}
	Dropout []struct {
		Seed  int64
		N     int
		P     float64
		Kept  []int
		Scale float32   `json:"scale_f32"`
		Next  []float32 `json:"next_rand2_f32"` // drawn after the mask
	}
	SeedExample map[string]tensors `json:"seed_example"`
}

type tensors map[string][]float32

func readJSON(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, to))
}

func loadRandGolden(t *testing.T) (g randGolden) {
	t.Helper()
	readJSON(t, "rand.json", &g)
	require.Len(t, g.Seeds, 3)
	require.Len(t, g.Dropout, 3)
	require.Len(t, g.SeedExample, 3)
	return g
}

// requireBits compares values bit for bit.
func requireBits(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func uniform(r *Rand, n int, lo, hi float64) []float32 {
	x := make([]float32, n)
	r.Uniform(x, lo, hi)
	return x
}

func normal(r *Rand, n int) []float32 {
	x := make([]float32, n)
	r.Normal(x, 0, 1)
	return x
}

// requireUniform draws the named tensors in order from [-bound, bound).
func requireUniform(t *testing.T, r *Rand, want tensors, bound float64, names ...string) {
	t.Helper()
	for _, name := range names {
		require.Contains(t, want, name)
		requireBits(t, want[name], uniform(r, len(want[name]), -bound, bound), name)
	}
}

var rnnParams = []string{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}

func TestMT19937(t *testing.T) {
	// The standard's check: the 10000th word of seed 5489 (C++ [rand.predef]).
	r := NewRand(5489)
	for range 9999 {
		r.Uint32()
	}
	require.Equal(t, uint32(4123659995), r.Uint32())
}

func TestRandSeed(t *testing.T) {
	state := func(seed int64) [mtN]uint32 { return NewRand(seed).state }
	require.Equal(t, state(1<<32-3), state(-3))
	require.Equal(t, state(7), state(1<<40+7))
	require.NotEqual(t, state(0), state(1))
}

func TestRandCheckValues(t *testing.T) {
	const digits = 0.5e-4
	require.InDeltaSlice(t, []float32{.4963, .7682, .0885, .1320}, uniform(NewRand(0), 4, 0, 1), digits)
	require.InDeltaSlice(t, []float32{.8823, .9150, .3829}, uniform(NewRand(42), 3, 0, 1), digits)
	require.InDeltaSlice(t, []float32{1.5410, -.2934, -2.1788}, normal(NewRand(0), 3), digits)
	require.InDeltaSlice(t, []float32{-1.1258, -1.1524}, normal(NewRand(0), 16)[:2], digits)
}

func TestRandGolden(t *testing.T) {
	for s, g := range loadRandGolden(t).Seeds {
		t.Run("seed="+s, func(t *testing.T) {
			seed, err := strconv.ParseInt(s, 10, 64)
			require.NoError(t, err)
			requireBits(t, g.Rand8, uniform(NewRand(seed), 8, 0, 1), "rand(8)")
			r := NewRand(seed)
			for i, want := range g.Rand4 {
				require.Equal(t, want, r.Float64(), "rand(4, float64)[%d]", i)
			}
			requireBits(t, g.Randn5, normal(NewRand(seed), 5), "randn(5)")
			requireBits(t, g.Randn45, normal(NewRand(seed), 45), "randn(5,9)")

			requireUniform(t, NewRand(seed), g.LSTM, 1/math.Sqrt(3), rnnParams...)
			requireUniform(t, NewRand(seed), g.Linear, 1/math.Sqrt(4), "weight", "bias")

			// Two layers in two directions; the golden tensor is the last one.
			r = NewRand(seed)
			for layer, in := range []int{2, 2 * 3} {
				uniform(r, 2*(9*in+9*3+2*9)-9*layer, 0, 1)
			}
			requireUniform(t, r, g.GRU, 1/math.Sqrt(3), "bias_hh_l1_reverse")

			embed := normal(NewRand(seed), 20)
			clear(embed[4:8])
			requireBits(t, g.Embed, embed, "embedding")
		})
	}
}

func TestRandNormalGolden(t *testing.T) {
	g := loadRandGolden(t).Normal
	requireBits(t, g.Randn16, normal(NewRand(0), 16), "randn(16)")

	// PyTorch's float64 tensors of 16 and more values pair likewise; here they
	// only check Float64.
	r := NewRand(0)
	x := make([]float64, 20)
	for i := range x {
		x[i] = r.Float64()
	}
	block := func(d []float64) {
		for j := range 8 {
			sin, cos := math.Sincos(2 * math.Pi * d[j+8])
			rad := math.Sqrt(-2 * math.Log(1-d[j]))
			d[j], d[j+8] = rad*cos, rad*sin
		}
	}
	block(x[:16])
	for i := range 16 {
		x[4+i] = r.Float64()
	}
	block(x[4:])
	require.InDeltaSlice(t, g.Randn20, x, 1e-14)
}

func TestRandDropoutGolden(t *testing.T) {
	for _, g := range loadRandGolden(t).Dropout {
		r := NewRand(g.Seed)
		mask, want := make([]float32, g.N), make([]float32, g.N)
		r.Dropout(mask, g.P)
		for i, k := range g.Kept {
			want[i] = float32(k) * g.Scale
		}
		require.Equal(t, want, mask)
		requireBits(t, g.Next, uniform(r, 2, 0, 1), "rand(2) after the mask")
	}
}

func TestRandDropoutLimits(t *testing.T) {
	r := NewRand(3)
	mask := []float32{5, 5}
	r.Dropout(mask, 0)
	require.Equal(t, []float32{1, 1}, mask)
	r.Dropout(mask, 1)
	require.Equal(t, []float32{0, 0}, mask)
	require.Equal(t, NewRand(3), r, "p = 0 and p = 1 draw nothing")
	for _, p := range []float64{-0.1, 1.1, math.NaN()} {
		require.Panics(t, func() { r.Dropout(mask, p) })
	}
}

func TestRandSeedExampleGolden(t *testing.T) {
	for kind, g := range loadRandGolden(t).SeedExample {
		t.Run(kind, func(t *testing.T) {
			r := NewRand(0)
			requireUniform(t, r, g, 1/math.Sqrt(5), rnnParams...)
			requireBits(t, g["W"], normal(r, len(g["W"])), "W")
			requireBits(t, g["b"], normal(r, len(g["b"])), "b")
		})
	}
}

func TestRandNormalCache(t *testing.T) {
	want := normal(NewRand(9), 4)
	r := NewRand(9)
	require.Equal(t, want[:3], normal(r, 3))
	normal(r, 16) // leaves the kept value alone
	require.Equal(t, want[3:], normal(r, 1))

	x, y := make([]float32, 20), normal(NewRand(9), 20)
	NewRand(9).Normal(x, 2, 3)
	for i := range x {
		require.InDelta(t, 2+3*float64(y[i]), x[i], 1e-5)
	}
}

// One hash for all architectures.
func TestRandHash(t *testing.T) {
	r := NewRand(1)
	x := uniform(r, 5000, -0.3, 0.7)
	x = append(x, normal(r, 15)...)
	x = append(x, normal(r, 20003)...)
	require.Equal(t, uint64(0x26af26515916f2bc), kerneltest.Hash(x))
}

func TestFMA32(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	value := func() float32 {
		x := rnd.Uint32()
		switch rnd.IntN(3) {
		case 0:
			x &= 0xfffff000 // few bits: makes ties
		case 1:
			x &= 0x807fffff
			x |= uint32(100+rnd.IntN(50)) << 23
		}
		return math.Float32frombits(x)
	}
	finite := func(x float32) bool { return !math.IsInf(float64(x), 0) && x == x }
	for range 30000 {
		x, y, z := value(), value(), value()
		if rnd.IntN(2) == 0 {
			z = -(x * y)
		}
		if !finite(x) || !finite(y) || !finite(z) || x*y == 0 {
			continue
		}
		exact := new(big.Float).SetPrec(1000).SetFloat64(float64(x) * float64(y))
		exact.Add(exact, big.NewFloat(float64(z)))
		want, _ := exact.Float32()
		require.Equal(t, want, fma32(x, y, z), "fma(%x, %x, %x)", x, y, z)
	}
	// 97*172961 is 2^24+1, a tie that z decides and float64 loses.
	require.Equal(t, float32(0x1p24+2), fma32(97, 172961, 0x1p-40))
	require.Equal(t, float32(0x1p24), fma32(97, 172961, -0x1p-40))
	require.Equal(t, float32(-0x1p24-2), fma32(-97, 172961, -0x1p-40))
}

func BenchmarkRandNormal(b *testing.B) {
	r, x := NewRand(0), make([]float32, 4096)
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		r.Normal(x, 0, 1)
	}
}

// The marshalled state is torch.get_rng_state(), whose hash PyTorch 2.15 printed.
func TestRandMarshal(t *testing.T) {
	r := NewRand(7)
	normal := make([]float32, 1)
	for _, step := range []struct {
		want string
		draw func()
	}{
		{"daf9268b18e87b0267a6ad240c6093eb98fe6f03872986bd31a497ba5ea2371a", func() {}},
		{"a5865e82ce5cf57668983df9234de0f3559f3a7210ca0d6af1d5bf6c353dcf6d", func() { r.Uniform(make([]float32, 10), 0, 1) }},
		{"3747561b56949a59302ea3fc42cdcd260b856c16f6d2032bc88746433f5ce774", func() { r.Normal(normal, 0, 1) }},
		{"b9ac3060a5772cec4ff8068de81beac880b45fcdbcbf03311ea74a987f3543d3", func() { r.Normal(normal, 0, 1) }},
		{"e1e0461c2e78bb8393c08e9cf19e8acd0d8f2bb2e031f67957a7b0b41313ad85", func() { r.Uniform(make([]float32, 1000), 0, 1) }},
		{"8f688d367714efbc19a017268e477f797a7c36173fd81b17b0f6b938aef2bfd6", func() { r = NewRand(-7) }},
	} {
		step.draw()
		data, err := r.MarshalBinary()
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		require.Equal(t, step.want, hex.EncodeToString(sum[:]))
	}
}

// A restored Rand draws what the first one would have drawn, from any word on.
func TestRandUnmarshal(t *testing.T) {
	draw := func(r *Rand) []float32 {
		x := make([]float32, 700)
		r.Normal(x[:3], 0, 1)
		r.Uniform(x[3:], 0, 1)
		return x
	}
	for _, words := range []int{0, 1, 2, 623, 624, 625, 1248} {
		for _, normals := range []int{0, 1} {
			r := NewRand(3)
			r.Normal(make([]float32, normals), 0, 1)
			for range words {
				r.Uint32()
			}
			data, err := r.MarshalBinary()
			require.NoError(t, err)
			s := NewRand(4)
			s.Normal(make([]float32, 1), 0, 1)
			require.NoError(t, s.UnmarshalBinary(data))
			require.Equal(t, draw(r), draw(s), "%d words, %d normals", words, normals)
		}
	}
}

// PyTorch has two numbers for a state without a word left.
func TestRandUnmarshalNext(t *testing.T) {
	var words [2]uint32
	for i, next := range []uint64{0, 624} {
		r := NewRand(3)
		for range 624 {
			r.Uint32()
		}
		data, err := r.MarshalBinary()
		require.NoError(t, err)
		binary.LittleEndian.PutUint64(data[randNext:], next)
		require.NoError(t, r.UnmarshalBinary(data))
		words[i] = r.Uint32()
	}
	require.Equal(t, words[0], words[1])
}

func TestRandUnmarshalBad(t *testing.T) {
	r := NewRand(1)
	r.Uint32()
	good, err := r.MarshalBinary()
	require.NoError(t, err)
	for _, c := range []struct {
		at    int
		value byte
		want  string
	}{
		{8, 9, "next = 1 and left = 521, want 625 in all, or that nothing is left"},
		{8, 1, "next = 1 and left = 513, want 625 in all, or that nothing is left"},
		{12, 0, "a generator that has no seed"},
		{randNext, 2, "next = 2 and left = 624, want 625 in all, or that nothing is left"},
		{randState + 8*5 + 6, 1, "word 5 is "},
		{randCached, 2, "normal_is_valid = 2, want 0 or 1"},
	} {
		data := append([]byte(nil), good...)
		data[c.at] = c.value
		err := r.UnmarshalBinary(data)
		require.ErrorContains(t, err, "layer: Rand.UnmarshalBinary: "+c.want)
		same, err := r.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, good, same)
	}
	require.EqualError(t, r.UnmarshalBinary(good[1:]), "layer: Rand.UnmarshalBinary: 5055 bytes, want 5056")
	require.EqualError(t, r.UnmarshalBinary(nil), "layer: Rand.UnmarshalBinary: 0 bytes, want 5056")
}
