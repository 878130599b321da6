package train

import (
	"fmt"

	"github.com/simdrnn/simdrnn/kernels"
)

// NLLConfig are the arguments of nn.NLLLoss; zero values are its defaults.
type NLLConfig struct {
	Classes     int       // C, at least 1
	Weight      []float32 // [C], of each class; nil means ones
	IgnoreIndex []int     // targets that are left out; nil means PyTorch's -100
	Reduction   Reduction
}

// NLL is torch.nn.NLLLoss, the negative log likelihood of class indices y:
//
//	l[n] = -w[y]*logp[n,y]
//
// The mean divides the sum of l by the sum of w[y] over the rows that count.
// With [LogSoftmax] before it, it is [CrossEntropy].
type NLL struct{ classRows }

// NewNLL returns a loss. The error is about cfg or, from kernels.Active, about
// SIMDRNN_ISA.
func NewNLL(cfg NLLConfig) (*NLL, error) {
	rows, err := newClassRows("NLL", cfg.Classes, cfg.Weight, cfg.IgnoreIndex, cfg.Reduction)
	if err != nil {
		return nil, fmt.Errorf("train: NewNLL: %w", err)
	}
	return &NLL{rows}, nil
}

// Forward returns the loss of N = len(targets) rows of log-probabilities, and
// the number n of rows that count. It sets
//
//	dlogp[n,c] = -w[c]*[c == targets[n]] / (sum of w[targets[n]])
//
// for the mean. All else is as in [CrossEntropy.Forward].
func (l *NLL) Forward(dlogp, logp []float32, targets []int) (loss float32, n int, err error) {
	return l.forward(method{l.loss, "Forward"}, dlogp, logp, targets, &Seq{})
}

// ForwardSeq is Forward with what seq says. Losses and DLosses are [N].
func (l *NLL) ForwardSeq(dlogp, logp []float32, targets []int, seq Seq) (loss float32, n int, err error) {
	return l.forward(method{l.loss, "ForwardSeq"}, dlogp, logp, targets, &seq)
}

func (l *NLL) forward(m method, dlogp, logp []float32, targets []int, seq *Seq) (loss float32, n int, err error) {
	return l.indexed(m, "logp", dlogp, logp, targets, seq, func(drow, row []float32, i int, g float64) float64 {
		y := targets[i]
		w, logp := l.weightOf(y), float64(row[y])
		if drow != nil {
			clear(drow)
			drow[y] = float32(-w * g)
		}
		return weigh(w, 0-logp) // never -0
	})
}

// LogSoftmax sets each row of dst [N,C] to the log-probabilities of that row of
// src:
//
//	dst[n,c] = src[n,c] - top - log(sum over k of exp(src[n,k]-top)), top = max over k of src[n,k]
//
// A row with NaN, with +Inf or with -Inf only becomes NaN. dst may be src. It
// panics if C < 1 or if a length is wrong.
func LogSoftmax(dst, src []float32, C int) {
	checkRows(method{loss: "LogSoftmax"}, "src", src, C, "dst", dst)
	for i := 0; i < len(src); i += C {
		row, drow := src[i:][:C], dst[i:][:C]
		top := kernels.Max(row)
		logSum := float32(softmaxGrad(nil, row, top, 0))
		for c, v := range row {
			drow[c] = v - top - logSum
		}
	}
}

// LogSoftmaxBackward sets dx to the gradient with respect to the argument of
// LogSoftmax from dy, that with respect to its result logp:
//
//	dx[n,c] = dy[n,c] - exp(logp[n,c]) * sum over k of dy[n,k]
//
// dx, dy, logp [N,C]. dx may be logp. It panics if C < 1, if a length is wrong, or
// if dx overlaps dy.
func LogSoftmaxBackward(dx, dy, logp []float32, C int) {
	m := method{loss: "LogSoftmaxBackward"}
	checkRows(m, "dy", dy, C, "dx", dx)
	m.length("logp", len(logp), "N*C", len(dy))
	m.apart("dx", dx, "dy", dy)
	kernels.Exp(dx, logp)
	for i := 0; i < len(dy); i += C {
		row, drow := dy[i:][:C], dx[i:][:C]
		sum := float32(kernels.Sum(row))
		for c, e := range drow {
			drow[c] = row[c] - float32(e*sum)
		}
	}
}

func checkRows(m method, name string, x []float32, C int, dname string, dx []float32) {
	if C < 1 {
		m.bad("C", C, "at least 1")
	}
	if len(x)%C != 0 {
		m.badLen(name, len(x), "N*C, a multiple of C", C)
	}
	m.length(dname, len(dx), "N*C", len(x))
}
