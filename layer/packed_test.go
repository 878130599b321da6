package layer

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

// countUp returns 1, 2, 3, ..., n.
func countUp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i + 1)
	}
	return x
}

// TestPackedGolden compares with PyTorch.
func TestPackedGolden(t *testing.T) {
	var golden struct {
		Pack []struct {
			Lengths          []int
			T, B             int
			Data             []float32
			BatchSizes       []int `json:"batch_sizes"`
			Sorted, Unsorted []int
		}
	}
	readJSON(t, "packed.json", &golden)
	require.Len(t, golden.Pack, 5)
	for _, c := range golden.Pack {
		want := PackedSequence{c.Data, 1, c.BatchSizes, c.Sorted, c.Unsorted}
		p, err := PackPadded(countUp(c.T*c.B), c.Lengths, 1, PackConfig{AnyOrder: true})
		require.NoError(t, err)
		require.Equal(t, want, p)

		want.SortedIndices, want.UnsortedIndices = nil, nil
		p, err = PackPadded(countUp(c.T*c.B), c.Lengths, 1, PackConfig{})
		if slices.IsSortedFunc(c.Lengths, func(a, b int) int { return b - a }) {
			require.NoError(t, err)
			require.Equal(t, want, p)
		} else {
			require.ErrorContains(t, err, "AnyOrder")
		}
	}
}

// A sequence set of random lengths, with every form of it.
type sequenceSet struct {
	seqs    [][]float32
	lengths []int
	F       int
}

func newSequenceSet(seed uint64, B, maxT, F int, empty bool) *sequenceSet {
	rnd := kerneltest.NewRand(seed)
	s := &sequenceSet{F: F}
	for range B {
		n := rnd.IntN(maxT + 1)
		if !empty {
			n = max(n, 1)
		}
		s.seqs = append(s.seqs, kerneltest.Random(rnd, n*F, 1))
		s.lengths = append(s.lengths, n)
	}
	return s
}

// paddedIndex is that of element (b, t, f) of padded data of T steps.
func paddedIndex(b, t, f, B, T, F int, batchFirst bool) int {
	if batchFirst {
		return (b*T+t)*F + f
	}
	return (t*B+b)*F + f
}

// padded writes the padded data element by element.
func (s *sequenceSet) padded(T int, padding float32, cfg PadConfig) []float32 {
	B, F := len(s.seqs), s.F
	x := slices.Repeat([]float32{padding}, T*B*F)
	for b, seq := range s.seqs {
		for i, v := range seq {
			t := i / F
			if cfg.Left {
				t += T - s.lengths[b]
			}
			x[paddedIndex(b, t, i%F, B, T, F, cfg.BatchFirst)] = v
		}
	}
	return x
}

// forEachSet runs f for sets of all sizes.
func forEachSet(t *testing.T, empty bool, f func(t *testing.T, s *sequenceSet, T int)) {
	for i, B := range []int{1, 2, 3, 16, 17, 40} {
		for _, maxT := range []int{1, 2, 9} {
			for _, F := range []int{1, 3} {
				s := newSequenceSet(uint64(i), B, maxT, F, empty)
				t.Run(fmt.Sprintf("B=%d T=%d F=%d", B, maxT, F), func(t *testing.T) { f(t, s, slices.Max(s.lengths)) })
			}
		}
	}
}

// TestPackSequence: the data is what the definition says, both ways of packing
// agree, and unpacking and padding give back what was packed.
func TestPackSequence(t *testing.T) {
	forEachSet(t, false, func(t *testing.T, s *sequenceSet, T int) {
		B, F := len(s.seqs), s.F
		p, err := PackSequence(s.seqs, F, PackConfig{AnyOrder: true})
		require.NoError(t, err)
		require.NoError(t, p.Check())

		// Longest first, stable.
		require.True(t, slices.IsSortedFunc(p.SortedIndices, func(a, b int) int {
			if s.lengths[a] != s.lengths[b] {
				return s.lengths[b] - s.lengths[a]
			}
			return a - b
		}))
		var data []float32
		sizes := make([]int, T)
		for t := range T {
			for _, b := range p.SortedIndices {
				if t < s.lengths[b] {
					data = append(data, s.seqs[b][t*F:][:F]...)
					sizes[t]++
				}
			}
		}
		require.Equal(t, sizes, p.BatchSizes)
		requireBits(t, data, p.Data, "data")

		seqs, err := UnpackSequence(p)
		require.NoError(t, err)
		require.Equal(t, s.seqs, seqs)

		nan := float32(math.NaN()) // padding is never looked at
		for _, cfg := range []PadConfig{{}, {BatchFirst: true}, {TotalLength: T}, {TotalLength: T + 2, BatchFirst: true}} {
			wide := max(T, cfg.TotalLength)
			q, err := PackPadded(s.padded(wide, nan, cfg), s.lengths, F, PackConfig{BatchFirst: cfg.BatchFirst, AnyOrder: true})
			require.NoError(t, err)
			require.Equal(t, p, q)
			for _, left := range []bool{false, true} {
				cfg.Left = left
				x, lengths, err := PadPacked(p, -7, cfg)
				require.NoError(t, err)
				require.Equal(t, s.lengths, lengths)
				requireBits(t, s.padded(wide, -7, cfg), x, fmt.Sprintf("padded by %+v", cfg))
			}
		}

		// In order: the same data without indices.
		var sorted [][]float32
		for _, b := range p.SortedIndices {
			sorted = append(sorted, s.seqs[b])
		}
		q, err := PackSequence(sorted, F, PackConfig{})
		require.NoError(t, err)
		require.Equal(t, PackedSequence{p.Data, F, p.BatchSizes, nil, nil}, q)
		seqs, err = UnpackSequence(q)
		require.NoError(t, err)
		require.Equal(t, sorted, seqs)

		// States.
		const layers, H = 2, 3
		h := countUp(layers * B * H)
		hs, err := p.SortState(h, layers, H)
		require.NoError(t, err)
		for k := range layers {
			for i, b := range p.SortedIndices {
				requireBits(t, h[(k*B+b)*H:][:H], hs[(k*B+i)*H:][:H], "sorted state")
			}
		}
		back, err := p.UnsortState(hs, layers, H)
		require.NoError(t, err)
		requireBits(t, h, back, "state")
		same, err := q.SortState(h, layers, H)
		require.NoError(t, err)
		requireBits(t, h, same, "state of sequences in order")
		same[0]++
		require.Equal(t, float32(1), h[0], "a state of its own")
	})
}

// TestPadSequence: also with empty sequences, and with integers.
func TestPadSequence(t *testing.T) {
	forEachSet(t, true, func(t *testing.T, s *sequenceSet, T int) {
		for _, cfg := range []PadConfig{{}, {BatchFirst: true}, {Left: true}, {BatchFirst: true, Left: true}, {TotalLength: T + 3}} {
			x, lengths, err := PadSequence(s.seqs, s.F, 5, cfg)
			require.NoError(t, err)
			require.Equal(t, s.lengths, lengths)
			requireBits(t, s.padded(max(T, cfg.TotalLength), 5, cfg), x, fmt.Sprintf("%+v", cfg))
			if cfg.Left {
				continue
			}
			seqs, err := UnpadSequence(x, lengths, s.F, cfg.BatchFirst)
			require.NoError(t, err)
			require.Equal(t, s.seqs, seqs)
		}
	})
	_, _, err := PadSequence([][][1024]int{{}}, 1, [1024]int{}, PadConfig{TotalLength: math.MaxInt / 1024})
	require.ErrorContains(t, err, "want a size that fits in memory")

	x, lengths, err := PadSequence([][]int{{4, 5}, {}, {6}}, 1, 9, PadConfig{})
	require.NoError(t, err)
	require.Equal(t, []int{4, 9, 6, 5, 9, 9}, x)
	require.Equal(t, []int{2, 0, 1}, lengths)
}

// TestUnpackedMemory: results share no memory with arguments nor with each other.
func TestUnpackedMemory(t *testing.T) {
	p, err := PackSequence([][]float32{{1, 2}, {3}}, 1, PackConfig{})
	require.NoError(t, err)
	seqs, err := UnpackSequence(p)
	require.NoError(t, err)
	_ = append(seqs[0], 8)
	seqs[0][0] = 9
	require.Equal(t, []float32{1, 3, 2}, p.Data)
	require.Equal(t, []float32{3}, seqs[1])
}

func TestPackErrors(t *testing.T) {
	x := countUp(12)
	packed := func(x []float32, F int, cfg PackConfig, lengths ...int) error {
		p, err := PackPadded(x, lengths, F, cfg)
		require.Zero(t, p)
		return err
	}
	sequence := func(F int, seqs ...[]float32) error { _, err := PackSequence(seqs, F, PackConfig{}); return err }
	pad := func(F int, cfg PadConfig, seqs ...[]float32) error {
		_, _, err := PadSequence(seqs, F, 0, cfg)
		return err
	}
	unpad := func(F int, lengths ...int) error { _, err := UnpadSequence(x, lengths, F, false); return err }
	p, err := PackPadded(x, []int{3, 1}, 2, PackConfig{})
	require.NoError(t, err)
	padPacked := func(total int) error { _, _, err := PadPacked(p, 0, PadConfig{TotalLength: total}); return err }
	state := func(n, layers, H int) error { _, err := p.SortState(countUp(n), layers, H); return err }
	unstate := func(n, layers, H int) error { _, err := p.UnsortState(countUp(n), layers, H); return err }
	anyOrder := PackConfig{AnyOrder: true}
	const huge = math.MaxInt/2 + 1 // 2*2*huge overflows to 0
	for want, err := range map[string]error{
		"PackPadded: no sequences":                                                               packed(x, 1, anyOrder),
		"PackPadded: features = 0, want at least 1":                                              packed(x, 0, anyOrder, 1),
		"PackPadded: len(x) = 12, want a multiple of B*F = 1*5":                                  packed(x, 5, anyOrder, 1),
		"PackPadded: len(x) = 12, want a multiple of B*F = 4*2":                                  packed(x, 2, anyOrder, 1, 1, 1, 1),
		"PackPadded: sequence 1 has length 7, want 0 to T = 6":                                   packed(x, 1, anyOrder, 6, 7),
		"PackPadded: sequence 0 has length -1, want 0 to T = 6":                                  packed(x, 1, anyOrder, -1, 2),
		"PackPadded: sequence 1 has length 0, want at least 1":                                   packed(x, 1, anyOrder, 6, 0),
		"PackPadded: sequence 0 has length 1, want 0 to T = 0":                                   packed(nil, 1, anyOrder, 1),
		"PackPadded: sequence 2 has length 3, want at most the 2 before it, or AnyOrder":         packed(x, 1, PackConfig{}, 3, 2, 3),
		"PackSequence: no sequences":                                                             sequence(1),
		"PackSequence: features = -1, want at least 1":                                           sequence(-1, x),
		"PackSequence: len(seqs[1]) = 3, want a multiple of F = 2":                               sequence(2, x, x[:3]),
		"PackSequence: sequence 1 has length 0, want at least 1":                                 sequence(2, x, nil),
		"PackSequence: sequence 1 has length 6, want at most the 1 before it, or AnyOrder":       sequence(2, x[:2], x),
		"PadSequence: no sequences":                                                              pad(1, PadConfig{}),
		"PadSequence: features = 0, want at least 1":                                             pad(0, PadConfig{}, x),
		"PadSequence: len(seqs[0]) = 12, want a multiple of F = 5":                               pad(5, PadConfig{}, x),
		"PadSequence: TotalLength = 5, want at least the greatest length 6":                      pad(2, PadConfig{TotalLength: 5}, x[:4], x),
		"PadSequence: TotalLength = -1, want at least the greatest length 0":                     pad(2, PadConfig{TotalLength: -1}, nil),
		fmt.Sprintf("PadSequence: T*B*F = %d*1*2, want a size that fits in memory", math.MaxInt): pad(2, PadConfig{TotalLength: math.MaxInt}, x),
		"UnpadSequence: no sequences":                                                            unpad(1),
		"UnpadSequence: features = 0, want at least 1":                                           unpad(0, 1),
		"UnpadSequence: len(x) = 12, want a multiple of B*F = 5*1":                               unpad(1, 1, 1, 1, 1, 1),
		"UnpadSequence: sequence 1 has length 4, want 0 to T = 3":                                unpad(2, 0, 4),
		"UnpadSequence: sequence 1 has length -1, want 0 to T = 3":                               unpad(2, 0, -1),
		"PadPacked: TotalLength = 2, want at least the greatest length 3":                        padPacked(2),
		"PackedSequence.SortState: layers = 0, want at least 1":                                  state(0, 0, 1),
		"PackedSequence.SortState: hidden = 0, want at least 1":                                  state(0, 1, 0),
		"PackedSequence.SortState: len(h) = 9, want layers*B*H = 1*2*3":                          state(9, 1, 3),
		"PackedSequence.UnsortState: len(h) = 5, want layers*B*H = 1*2*3":                        unstate(5, 1, 3),
		fmt.Sprintf("PackedSequence.SortState: len(h) = 0, want layers*B*H = 2*2*%d", huge):      state(0, 2, huge),
	} {
		require.EqualError(t, err, "layer: "+want)
	}
}

// brokenPacked are edits that make a PackedSequence of the lengths 1, 3 and 2 one that
// is not consistent, with their errors.
var brokenPacked = map[string]func(p *PackedSequence){
	"Features = 0, want at least 1":                         func(p *PackedSequence) { p.Features = 0 },
	"Features = -2, want at least 1":                        func(p *PackedSequence) { p.Features = -2 },
	"len(Data) = 11, want a multiple of F = 2":              func(p *PackedSequence) { p.Data = p.Data[:11] },
	"no BatchSizes":                                         func(p *PackedSequence) { p.BatchSizes = nil },
	"5 rows of Data, want as many as the sum of BatchSizes": func(p *PackedSequence) { p.Data = p.Data[:10] },
	"6 rows of Data, want 5, the sum of BatchSizes":         func(p *PackedSequence) { p.BatchSizes = p.BatchSizes[:2] },
	"BatchSizes[1] = 4 after 3, want no increase":           func(p *PackedSequence) { p.BatchSizes[1] = 4 },
	"BatchSizes[2] = 2 after 1, want no increase":           func(p *PackedSequence) { copy(p.BatchSizes, []int{3, 1, 2}) },
	"BatchSizes[2] = 0, want at least 1":                    func(p *PackedSequence) { p.BatchSizes[2] = 0 },
	"BatchSizes[0] = -3, want at least 1":                   func(p *PackedSequence) { p.BatchSizes[0] = -3 },
	"6 rows of Data, want as many as the sum of BatchSizes": func(p *PackedSequence) { p.BatchSizes[0], p.BatchSizes[1] = math.MaxInt, math.MaxInt },
	"len(SortedIndices) = 2, want B = 3":                    func(p *PackedSequence) { p.SortedIndices = p.SortedIndices[:2] },
	"len(SortedIndices) = 0, want B = 3":                    func(p *PackedSequence) { p.SortedIndices = nil },
	"len(UnsortedIndices) = 0, want B = 3":                  func(p *PackedSequence) { p.UnsortedIndices = nil },
	"SortedIndices[0] = 3, want 0 to 2":                     func(p *PackedSequence) { p.SortedIndices[0] = 3 },
	"SortedIndices[1] = -1, want 0 to 2":                    func(p *PackedSequence) { p.SortedIndices[1] = -1 },
	"UnsortedIndices[1] = 0, want the 1 of SortedIndices":   func(p *PackedSequence) { p.SortedIndices[1] = 1 },
	"UnsortedIndices[0] = 9, want the 2 of SortedIndices":   func(p *PackedSequence) { p.UnsortedIndices[0] = 9 },
}

// TestBrokenPacked: every function that takes a PackedSequence checks it.
func TestBrokenPacked(t *testing.T) {
	for want, edit := range brokenPacked {
		p, err := PackPadded(countUp(18), []int{1, 3, 2}, 2, PackConfig{AnyOrder: true})
		require.NoError(t, err)
		edit(&p)
		_, _, padErr := PadPacked(p, 0, PadConfig{})
		_, unpackErr := UnpackSequence(p)
		_, sortErr := p.SortState(countUp(3), 1, 1)
		_, unsortErr := p.UnsortState(countUp(3), 1, 1)
		for _, err := range []error{p.Check(), padErr, unpackErr, sortErr, unsortErr} {
			require.EqualError(t, err, "layer: PackedSequence: "+want)
		}
	}
	require.Error(t, PackedSequence{}.Check())
}

// FuzzPackPadded: any lengths and sizes give an error or what can be unpacked.
func FuzzPackPadded(f *testing.F) {
	f.Add([]byte{1, 3, 2}, uint8(18), int8(2), int8(3), uint8(1))
	f.Add([]byte{3, 0}, uint8(6), int8(1), int8(0), uint8(2))
	f.Add([]byte{255, 1}, uint8(6), int8(-1), int8(-1), uint8(0))
	f.Fuzz(func(t *testing.T, lens []byte, n uint8, features, total int8, flags uint8) {
		x, lengths, F := countUp(int(n)), make([]int, len(lens)), int(features)
		for i, l := range lens {
			lengths[i] = int(int8(l))
		}
		cfg := PackConfig{BatchFirst: flags&1 != 0, AnyOrder: flags&2 != 0}
		padCfg := PadConfig{BatchFirst: cfg.BatchFirst, Left: flags&4 != 0, TotalLength: int(total)}
		seqs, unpadErr := UnpadSequence(x, lengths, F, cfg.BatchFirst)
		p, err := PackPadded(x, lengths, F, cfg)
		if err != nil {
			require.Zero(t, p)
			if unpadErr == nil {
				_, err2 := PackSequence(seqs, F, cfg)
				require.Error(t, err2)
			}
			return
		}
		require.NoError(t, unpadErr)
		require.NoError(t, p.Check())
		q, err := PackSequence(seqs, F, cfg)
		require.NoError(t, err)
		require.Equal(t, p, q)
		back, err := UnpackSequence(p)
		require.NoError(t, err)
		require.Equal(t, seqs, back)

		y, l, err := PadPacked(p, 0.5, padCfg)
		want, wantL, wantErr := PadSequence(seqs, F, 0.5, padCfg)
		require.Equal(t, wantErr == nil, err == nil)
		require.Equal(t, want, y)
		require.Equal(t, wantL, l)
		if err == nil && !padCfg.Left {
			back, err = UnpadSequence(y, l, F, cfg.BatchFirst)
			require.NoError(t, err)
			require.Equal(t, seqs, back)
		}
	})
}

// FuzzPackedSequence: any PackedSequence gives an error, or is what its sequences
// give again.
func FuzzPackedSequence(f *testing.F) {
	f.Add([]byte{3, 2, 1}, []byte{1, 2, 0}, []byte{2, 0, 1}, uint8(6), int8(1))
	f.Add([]byte{2, 2}, []byte{}, []byte{}, uint8(8), int8(2))
	f.Add([]byte{1, 2}, []byte{0}, []byte{255}, uint8(3), int8(-1))
	f.Fuzz(func(t *testing.T, sizes, sorted, unsorted []byte, n uint8, features int8) {
		ints := func(b []byte) (s []int) {
			for _, v := range b {
				s = append(s, int(int8(v)))
			}
			return s
		}
		p := PackedSequence{countUp(int(n)), int(features), ints(sizes), ints(sorted), ints(unsorted)}
		seqs, err := UnpackSequence(p)
		x, lengths, padErr := PadPacked(p, 0, PadConfig{})
		require.Equal(t, p.Check(), err)
		require.Equal(t, err, padErr)
		if err != nil {
			return
		}
		again, err := UnpadSequence(x, lengths, p.Features, false)
		require.NoError(t, err)
		require.Equal(t, seqs, again)
		if p.SortedIndices == nil {
			q, err := PackSequence(seqs, p.Features, PackConfig{})
			require.NoError(t, err)
			require.Equal(t, p, q)
		}
		h := countUp(2 * len(seqs))
		sortedState, err := p.SortState(h, 2, 1)
		require.NoError(t, err)
		back, err := p.UnsortState(sortedState, 2, 1)
		require.NoError(t, err)
		require.Equal(t, h, back)
	})
}
