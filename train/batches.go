package train

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/simdrnn/simdrnn/layer"
)

// poolBatches is the number of batches that are sorted by length together: many
// make little padding, few leave the order random.
const poolBatches = 100

// BatchesByLength returns the indices 0 to len(lengths)-1 in batches of at most
// size, of which each has sequences of similar lengths, so that little of a padded
// batch is padding:
//
//	shuffle all; in each pool of 100 batches sort by length, longest first, and
//	cut into batches; shuffle the batches
//
// Each index stands in one batch; the last batch of a pool may be smaller. With a
// nil r nothing is shuffled: all indices are one pool, ties in their order. It is
// an error if size is less than 1 or a length is negative.
func BatchesByLength(lengths []int, size int, r *layer.Rand) ([][]int, error) {
	if size < 1 {
		return nil, fmt.Errorf("train: BatchesByLength: size = %d, want at least 1", size)
	}
	order := make([]int, len(lengths))
	for i, n := range lengths {
		if n < 0 {
			return nil, fmt.Errorf("train: BatchesByLength: lengths[%d] = %d, want at least 0", i, n)
		}
		order[i] = i
	}
	pool := len(order)
	if r != nil {
		shuffle(r, order)
		pool = min(pool, poolBatches*min(size, len(order)))
	}
	var batches [][]int
	for ; len(order) > 0; order = order[min(pool, len(order)):] {
		p := order[:min(pool, len(order))]
		slices.SortStableFunc(p, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })
		batches = slices.AppendSeq(batches, slices.Chunk(p, size))
	}
	if r != nil {
		shuffle(r, batches)
	}
	return batches, nil
}

// shuffle puts x in a random order (Fisher and Yates).
func shuffle[E any](r *layer.Rand, x []E) {
	for i := len(x) - 1; i > 0; i-- {
		j := int(r.Float64() * float64(i+1))
		x[i], x[j] = x[j], x[i]
	}
}
