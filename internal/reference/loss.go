package reference

import "math"

// CrossEntropy is CrossEntropyLoss() of logits [N,C] and class indices, where a
// target of -100 is left out of the mean. With n targets that count,
//
//	loss = -1/n sum_i log softmax(logits_i)[targets_i]
//	dlogits_i = (softmax(logits_i) - onehot(targets_i)) / n
//
// or zero if n = 0.
func CrossEntropy(logits []float64, targets []int) (loss float64, dlogits []float64) {
	const ignored = -100
	N := len(targets)
	dlogits = make([]float64, len(logits))
	n := 0.0
	for _, y := range targets {
		if y != ignored {
			n++
		}
	}
	for i, y := range targets {
		if y == ignored {
			continue
		}
		l, dl := row(logits, N, i), row(dlogits, N, i)
		top := math.Inf(-1)
		for _, v := range l {
			top = max(top, v)
		}
		sum := 0.0
		for _, v := range l {
			sum += math.Exp(v - top)
		}
		loss -= (l[y] - top - math.Log(sum)) / n
		for c, v := range l {
			dl[c] = math.Exp(v-top) / sum / n
		}
		dl[y] -= 1 / n
	}
	return loss, dlogits
}
