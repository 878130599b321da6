package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/layer"
)

// TestBatchesByLength: every index comes once, batches are full but for the last
// of a pool, there is far less padding than in random order, and the order is
// random and that of the seed.
func TestBatchesByLength(t *testing.T) {
	const size = 8
	r := layer.NewRand(1)
	lengths := make([]int, 2500)
	for i := range lengths {
		lengths[i] = int(r.Float64() * 100)
	}
	padding := func(batches [][]int) (n int) {
		for _, b := range batches {
			longest := 0
			for _, i := range b {
				longest = max(longest, lengths[i])
			}
			for _, i := range b {
				n += longest - lengths[i]
			}
		}
		return n
	}
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	asTheyCome := padding(slices.Collect(slices.Chunk(order, size)))
	for _, rnd := range []*layer.Rand{nil, r} {
		batches, err := BatchesByLength(lengths, size, rnd)
		require.NoError(t, err)
		all := slices.Concat(batches...)
		slices.Sort(all)
		require.Equal(t, order, all)
		short := 0
		for _, b := range batches {
			require.LessOrEqual(t, len(b), size)
			if len(b) < size {
				short++
			}
		}
		require.LessOrEqual(t, short, 1)
		require.Less(t, padding(batches), asTheyCome/20)
		longestFirst := slices.IsSortedFunc(batches, func(a, b []int) int { return lengths[b[0]] - lengths[a[0]] })
		require.Equal(t, rnd == nil, longestFirst)
	}
	one, err := BatchesByLength(lengths, size, layer.NewRand(2))
	require.NoError(t, err)
	two, err := BatchesByLength(lengths, size, layer.NewRand(2))
	require.NoError(t, err)
	require.Equal(t, one, two)

	for _, size := range []int{len(lengths), math.MaxInt} {
		batches, err := BatchesByLength(lengths, size, r)
		require.NoError(t, err)
		require.Len(t, batches, 1)
	}
	none, err := BatchesByLength(nil, 3, r)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = BatchesByLength(nil, 0, nil)
	require.EqualError(t, err, "train: BatchesByLength: size = 0, want at least 1")
	_, err = BatchesByLength([]int{1, -1}, 1, nil)
	require.EqualError(t, err, "train: BatchesByLength: lengths[1] = -1, want at least 0")
}

// Sequences of similar lengths in a batch leave little padding.
func ExampleBatchesByLength() {
	batches, err := BatchesByLength([]int{3, 9, 4, 8, 2}, 2, nil)
	fmt.Println(batches, err)
	// Output: [[1 3] [2 0] [4]] <nil>
}
