package train

import (
	"fmt"
	"math"

	"github.com/simdrnn/simdrnn/kernels"
)

// CrossEntropyConfig are the arguments of nn.CrossEntropyLoss; zero values are
// its defaults.
type CrossEntropyConfig struct {
	Classes        int       // C, at least 1
	Weight         []float32 // [C], of each class; nil means ones
	IgnoreIndex    []int     // targets that are left out; nil means PyTorch's -100
	LabelSmoothing float64   // e, 0 to 1
	Reduction      Reduction
}

// CrossEntropy is torch.nn.CrossEntropyLoss. With the probabilities of a row
//
//	p[n,c] = exp(logits[n,c]) / sum over k of exp(logits[n,k])
//
// the loss of row n with class index y and weights w is
//
//	l[n] = (1-e)*w[y]*-log p[n,y] + e/C * sum over c of w[c]*-log p[n,c]
//
// or, with the probability q[n,c] of each class,
//
//	l[n] = sum over c of w[c] * ((1-e)*q[n,c] + e/C) * -log p[n,c]
//
// The mean divides the sum of l by the sum of w[y] over the rows that count or,
// with probabilities, by their number.
//
// The greatest logit of a row is subtracted before exp, so that large logits are
// harmless. A row with NaN, with +Inf or with -Inf only makes loss and its row
// of dlogits NaN; any other -Inf has p = 0, and a class with a target above 0 it
// makes loss +Inf. (PyTorch has NaN also if such a class has a target or a
// weight of 0; here that adds 0.)
type CrossEntropy struct {
	classRows
	smoothing   float64
	smooth      []float32 // [C]: e/C*w, nil without smoothing
	smoothTotal float64   // the sum of smooth
	soft        []float32 // [C]: the factors of -log p in a row
	shifted     []float32 // [C]: logits minus the greatest
}

// NewCrossEntropy returns a loss. The error is about cfg or, from
// kernels.Active, about SIMDRNN_ISA.
func NewCrossEntropy(cfg CrossEntropyConfig) (*CrossEntropy, error) {
	ce, err := newCrossEntropy(cfg)
	if err != nil {
		return nil, fmt.Errorf("train: NewCrossEntropy: %w", err)
	}
	return ce, nil
}

func newCrossEntropy(cfg CrossEntropyConfig) (*CrossEntropy, error) {
	rows, err := newClassRows("CrossEntropy", cfg.Classes, cfg.Weight, cfg.IgnoreIndex, cfg.Reduction)
	if err != nil {
		return nil, err
	}
	if !(cfg.LabelSmoothing >= 0 && cfg.LabelSmoothing <= 1) {
		return nil, badField("LabelSmoothing", cfg.LabelSmoothing, "0 to 1")
	}
	C := cfg.Classes
	ce := &CrossEntropy{
		classRows: rows,
		smoothing: cfg.LabelSmoothing,
		soft:      make([]float32, C),
		shifted:   make([]float32, C),
	}
	if ce.smoothing > 0 {
		ce.smooth = make([]float32, C)
		for c := range ce.smooth {
			ce.smooth[c] = float32(ce.smoothing / float64(C) * ce.weightOf(c))
			ce.smoothTotal += float64(ce.smooth[c])
		}
	}
	return ce, nil
}

// Forward returns the loss of N = len(targets) rows of C classes with an index
// each, and the number n of rows that count. It sets dlogits to the gradient,
// which for the mean without weights and smoothing is
//
//	dlogits[n,c] = (p[n,c] - [c == targets[n]]) / n
//
// logits, dlogits [N,C]. dlogits may be logits, or nil if only the loss is
// wanted. A row whose target is in IgnoreIndex is left out: its logits, even
// NaN, change nothing and its gradient is 0. Where PyTorch's mean is NaN, as no
// row counts or all that do have weight 0, loss and dlogits are 0.
//
// Any other target outside 0 to C-1 is an error, and nothing is written. Wrong
// lengths panic.
func (ce *CrossEntropy) Forward(dlogits, logits []float32, targets []int) (loss float32, n int, err error) {
	return ce.forward(method{ce.loss, "Forward"}, dlogits, logits, targets, &Seq{})
}

// ForwardSeq is Forward with what seq says. Losses and DLosses are [N].
func (ce *CrossEntropy) ForwardSeq(dlogits, logits []float32, targets []int, seq Seq) (loss float32, n int, err error) {
	return ce.forward(method{ce.loss, "ForwardSeq"}, dlogits, logits, targets, &seq)
}

func (ce *CrossEntropy) forward(m method, dlogits, logits []float32, targets []int, seq *Seq) (loss float32, n int, err error) {
	return ce.indexed(m, "logits", dlogits, logits, targets, seq, func(drow, row []float32, i int, g float64) float64 {
		y := targets[i]
		w, top, target := (1-ce.smoothing)*ce.weightOf(y), kernels.Max(row), row[y]
		var smooth float64
		if ce.smooth != nil {
			smooth = ce.dotShifted(ce.smooth, row, top)
		}
		logSum := softmaxGrad(drow, row, top, (w+ce.smoothTotal)*g)
		if drow != nil {
			if ce.smooth != nil {
				kernels.Axpy(drow, float32(-g), ce.smooth)
			}
			drow[y] -= float32(w * g)
		}
		l := weigh(w, logSum-(float64(target)-float64(top)))
		if ce.smooth != nil {
			l += float64(ce.smoothTotal*logSum) - smooth
		}
		return l
	})
}

// ForwardProbs is ForwardSeq with targets that are probabilities of the classes:
// probs [N,C], which need not add up to 1. No probability is an index, so it is an
// error if IgnoreIndex has a class. It also panics if dlogits overlaps probs.
func (ce *CrossEntropy) ForwardProbs(dlogits, logits, probs []float32, seq Seq) (loss float32, n int, err error) {
	m, C := method{ce.loss, "ForwardProbs"}, ce.classes
	N := len(logits) / C
	ce.check(m, "logits", dlogits, logits, N, &seq)
	m.length("probs", len(probs), "N*C", len(logits))
	m.apart("dlogits", dlogits, "probs", probs)
	for _, y := range ce.ignore {
		if y >= 0 {
			return 0, 0, fmt.Errorf("train: %v: IgnoreIndex has %d, want no class with probabilities", m, y)
		}
	}
	n = seq.count(N)
	keep, even := float32(1-ce.smoothing), float32(ce.smoothing/float64(C))
	loss = ce.rows(dlogits, logits, nil, N, float64(n), &seq, func(drow, row []float32, i int, g float64) float64 {
		var total float64
		for c, q := range probs[i*C:][:C] {
			k := float32(keep*q) + even
			if ce.weight != nil {
				k *= ce.weight[c]
			}
			ce.soft[c] = k
			total += float64(k)
		}
		top := kernels.Max(row)
		dot := ce.dotShifted(ce.soft, row, top)
		logSum := softmaxGrad(drow, row, top, total*g)
		if drow != nil {
			kernels.Axpy(drow, float32(-g), ce.soft)
		}
		return float64(total*logSum) - dot
	})
	return loss, n, nil
}

// softmaxGrad sets drow, unless it is nil, to g*softmax(row), where top is
// Max(row). It returns the logarithm of the sum of exp(row-top).
func softmaxGrad(drow, row []float32, top float32, g float64) float64 {
	sum := float64(float32(kernels.ExpSum(drow, row, top)))
	if drow != nil {
		kernels.Scale(drow, float32(g/sum), drow)
	}
	return float64(float32(math.Log(sum)))
}

// dotShifted returns the sum of k[c]*(row[c]-top), where a k of 0 makes 0.
func (ce *CrossEntropy) dotShifted(k, row []float32, top float32) float64 {
	for c, v := range row {
		if k[c] == 0 {
			v = top
		}
		ce.shifted[c] = v - top
	}
	return kernels.Dot(k, ce.shifted)
}
