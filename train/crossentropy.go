package train

import (
	"fmt"
	"math"

	"github.com/simdrnn/simdrnn/kernels"
)

// CrossEntropy is the cross entropy of logits and class indices, the mean over
// rows, as torch.nn.CrossEntropyLoss computes it:
//
//	p[n,c] = exp(logits[n,c]) / sum over k of exp(logits[n,k])
//	loss   = mean over n of -log p[n, targets[n]]
type CrossEntropy struct {
	classes int
}

// NewCrossEntropy returns the loss for rows of that many classes.
func NewCrossEntropy(classes int) (*CrossEntropy, error) {
	if classes < 1 {
		return nil, fmt.Errorf("train: NewCrossEntropy: classes = %d, want at least 1", classes)
	}
	if _, err := kernels.Active(); err != nil {
		return nil, fmt.Errorf("train: NewCrossEntropy: %w", err)
	}
	return &CrossEntropy{classes}, nil
}

// Forward returns the loss of N = len(targets) rows of C classes, the number n
// of rows that it is the mean of, which is N, and sets
//
//	dlogits[n,c] = (p[n,c] - [c == targets[n]]) / N
//
// logits, dlogits [N,C]. dlogits may be logits, or nil if only the loss is
// wanted. Without rows, loss and n are 0. The greatest logit of a row is
// subtracted before exp, so that large logits are harmless.
//
// A target outside 0 to C-1 is an error, and nothing is written. Wrong lengths
// panic. A row with NaN, with +Inf or with -Inf only makes loss and its row of
// dlogits NaN; any other -Inf has p = 0, and as a target it makes loss +Inf.
func (ce *CrossEntropy) Forward(dlogits, logits []float32, targets []int) (loss float32, n int, err error) {
	C, N := ce.classes, len(targets)
	if len(logits)/C != N || len(logits)%C != 0 {
		badLen("logits", len(logits), N, C)
	}
	if dlogits != nil && len(dlogits) != len(logits) {
		badLen("dlogits", len(dlogits), N, C)
	}
	for i, y := range targets {
		if uint(y) >= uint(C) {
			return 0, 0, fmt.Errorf("train: CrossEntropy.Forward: targets[%d] = %d, want 0 to %d", i, y, C-1)
		}
	}
	if N == 0 {
		return 0, 0, nil
	}
	var total float64
	for i, y := range targets {
		row := logits[i*C:][:C]
		var drow []float32
		if dlogits != nil {
			drow = dlogits[i*C:][:C]
		}
		top, target := kernels.Max(row), row[y]
		sum := float64(float32(kernels.ExpSum(drow, row, top)))
		if drow != nil {
			kernels.Scale(drow, float32(1/(sum*float64(N))), drow)
			drow[y] -= float32(1 / float64(N))
		}
		total += float64(float32(math.Log(sum))) - (float64(target) - float64(top))
	}
	return float32(total / float64(N)), N, nil
}

//go:noinline
func badLen(arg string, got, n, classes int) {
	panic(fmt.Sprintf("train: CrossEntropy.Forward: len(%s) = %d, want N*C = %d", arg, got, n*classes))
}
