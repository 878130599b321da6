package train

import (
	"fmt"
	"math"

	"github.com/simdrnn/simdrnn/kernels"
)

// CTCConfig are the arguments of nn.CTCLoss, whose zero values are its defaults,
// and sizes.
type CTCConfig struct {
	Classes      int  // C with the blank, at least 1
	Blank        int  // the class of the blank, 0 to C-1
	ZeroInfinity bool // makes 0 of infinite losses and of their gradients
	Reduction    Reduction

	MaxT      int // the most steps, at least 1
	MaxTarget int // the most labels of a sequence, at least 0
}

// CTC is torch.nn.CTCLoss, connectionist temporal classification: the negative
// log likelihood of a sequence of labels y[0..S), when it is not known at which
// of the T steps they stand.
//
// An alignment is one class at each step; it spells y if y is what remains when
// repeats are merged and then blanks are dropped. The loss of a sequence is
//
//	l = -log of the sum over alignments that spell y of exp(sum over t of logp[t, class at t])
//
// The mean is that of l/max(S,1) over the B sequences; Sum and None use l. If no
// alignment spells y, as when the steps are fewer than the labels and the repeats
// among them, l is +Inf and the gradient NaN, or both are 0 with ZeroInfinity.
//
// Source: Graves, Fernández, Gomez and Schmidhuber 2006; the gradient is that of
// PyTorch's implementation for CPUs. Alpha and beta are logarithms in float64,
// from exp in float32 and log1p rounded to float32.
type CTC struct {
	cfg CTCConfig

	labels []int     // [2S+1]: blanks and labels in turn
	skip   []bool    // [2S+1]: whether the state two before may come before this one
	alpha  []float64 // [T][2S+1]
	beta   []float64 // [2S+1], with logp of its step
	mid    []float64 // [2S+1]: the largest of three, and then the logarithm of their sum
	exp    []float32 // [2S+1][2]
	gamma  []float32 // [C], zero between steps
}

// NewCTC returns a loss. The error is about cfg or, from kernels.Active, about
// SIMDRNN_ISA.
func NewCTC(cfg CTCConfig) (*CTC, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("train: NewCTC: %w", err)
	}
	L := 2*cfg.MaxTarget + 1
	return &CTC{
		cfg:    cfg,
		labels: make([]int, L),
		skip:   make([]bool, L),
		alpha:  make([]float64, cfg.MaxT*L),
		beta:   make([]float64, L),
		mid:    make([]float64, L),
		exp:    make([]float32, 2*L),
		gamma:  make([]float32, cfg.Classes),
	}, nil
}

func (cfg CTCConfig) check() error {
	if cfg.MaxTarget < 0 {
		return badField("MaxTarget", cfg.MaxTarget, "at least 0")
	}
	if err := checkSize("Classes", cfg.Classes, maxLen); err != nil {
		return err
	}
	if cfg.Blank < 0 || cfg.Blank >= cfg.Classes {
		return badField("Blank", cfg.Blank, fmt.Sprint("0 to Classes-1 = ", cfg.Classes-1))
	}
	if err := cfg.Reduction.check(); err != nil {
		return err
	}
	// alpha has two float32 an element.
	if err := checkSize("MaxTarget", max(1, cfg.MaxTarget), maxLen/8); err != nil {
		return err
	}
	if err := checkSize("MaxT", cfg.MaxT, maxLen/2/(2*cfg.MaxTarget+1)); err != nil {
		return err
	}
	_, err := kernels.Active()
	return err
}

// Forward returns the loss of B = len(targetLengths) sequences of T steps, and
// n = B. It sets
//
//	dlogp[t,b,c] = g[b] * (exp(logp[t,b,c]) - P(class c at step t | targets of b))
//
// where g[b] is 1, and 1/(B*max(S,1)) for the mean. This is PyTorch's gradient
// with respect to log-probabilities, of which it takes for granted that they come
// from log_softmax: as a row of it adds up to 0, it is that with respect to the
// logits too. [LogSoftmax] computes logp, and its backward may be left out.
//
// logp, dlogp [T,B,C]. dlogp may be logp, or nil if only the loss is wanted.
// targets are the labels of all sequences one after the other, or [B,S] padded,
// whose padding is not read. Without sequences the loss is 0.
//
// A target that is the blank or outside 0 to C-1 is an error, and so is a target
// length outside 0 to MaxTarget; nothing is written then. Wrong lengths of
// slices and T > MaxT panic.
func (c *CTC) Forward(dlogp, logp []float32, targets, targetLengths []int) (loss float32, n int, err error) {
	return c.forward(method{"CTC", "Forward"}, dlogp, logp, targets, targetLengths, &Seq{})
}

// ForwardSeq is Forward with what seq says: Lengths are PyTorch's
// input_lengths, and dlogp is 0 from there on; with BatchFirst, logp and dlogp
// are [B,T,C]. Losses and DLosses are [B].
func (c *CTC) ForwardSeq(dlogp, logp []float32, targets, targetLengths []int, seq Seq) (loss float32, n int, err error) {
	return c.forward(method{"CTC", "ForwardSeq"}, dlogp, logp, targets, targetLengths, &seq)
}

func (c *CTC) forward(m method, dlogp, logp []float32, targets, targetLengths []int, seq *Seq) (loss float32, n int, err error) {
	B, C := len(targetLengths), c.cfg.Classes
	rows := len(logp) / C
	if len(logp)%C != 0 || B == 0 && rows > 0 || B > 0 && rows%B != 0 {
		m.badLen("logp", len(logp), "T*B*C, a multiple of B*C", B*C)
	}
	if dlogp != nil {
		m.length("dlogp", len(dlogp), "len(logp)", len(logp))
	}
	T := rows / max(1, B)
	if T > c.cfg.MaxT {
		m.bad("T", T, fmt.Sprintf("at most MaxT = %d", c.cfg.MaxT))
	}
	if seq.Lengths != nil {
		m.length("Lengths", len(seq.Lengths), "B", B)
	}
	seq.check(m, c.cfg.Reduction, rows, "B", B)
	stride, err := c.checkTargets(m, targets, targetLengths)
	if err != nil || B == 0 {
		return 0, 0, err
	}

	var total float64
	first := 0
	for b, S := range targetLengths {
		x := ctcSequence{logp: logp, dlogp: dlogp, C: C, T: T, steps: T, first: b, stride: B}
		if seq.Lengths != nil {
			x.steps = seq.Lengths[b]
		}
		if seq.BatchFirst {
			x.first, x.stride = b*T, 1
		}
		c.setLabels(targets[first:][:S])
		l := c.likelihood(x)
		scale, count := seq.upstream(b), 1.0
		if c.cfg.Reduction == Mean {
			count = float64(max(1, S))
			scale = 1 / (float64(B) * count)
		}
		if c.cfg.ZeroInfinity && math.IsInf(l, 1) {
			l, x.steps = 0, 0
		}
		if dlogp != nil {
			c.gradient(x, l, float32(scale))
		}
		seq.set(b, l)
		total += l / count
		first += max(S, stride)
	}
	if c.cfg.Reduction == Mean {
		total /= float64(B)
	}
	return float32(total), B, nil
}

// checkTargets returns S if targets are padded, and 0 if they are not.
func (c *CTC) checkTargets(m method, targets, targetLengths []int) (stride int, err error) {
	most, sum, B := 0, 0, len(targetLengths)
	for b, S := range targetLengths {
		if S < 0 || S > c.cfg.MaxTarget {
			return 0, fmt.Errorf("train: %v: targetLengths[%d] = %d, want 0 to MaxTarget = %d", m, b, S, c.cfg.MaxTarget)
		}
		most, sum = max(most, S), sum+S
	}
	if len(targets) != sum {
		if B == 0 || len(targets)%B != 0 || len(targets)/B < most {
			m.bad("len(targets)", len(targets), fmt.Sprintf("the sum of targetLengths = %d or B*S with S at least %d", sum, most))
		}
		stride = len(targets) / B
	}
	first := 0
	for _, S := range targetLengths {
		for i, y := range targets[first:][:S] {
			if uint(y) >= uint(c.cfg.Classes) || y == c.cfg.Blank {
				return 0, fmt.Errorf("train: %v: targets[%d] = %d, want 0 to %d and not the blank, %d", m, first+i, y, c.cfg.Classes-1, c.cfg.Blank)
			}
		}
		first += max(S, stride)
	}
	return stride, nil
}

// A ctcSequence is one of a batch.
type ctcSequence struct {
	logp, dlogp   []float32
	C, T, steps   int
	first, stride int // rows
}

// row returns the row of step t in logp or dlogp.
func (x *ctcSequence) row(of []float32, t int) []float32 {
	return of[(x.first+t*x.stride)*x.C:][:x.C]
}

// setLabels puts blanks around the labels of y.
func (c *CTC) setLabels(y []int) {
	L := 2*len(y) + 1
	c.labels, c.skip = c.labels[:L], c.skip[:L]
	for s := range L {
		c.labels[s], c.skip[s] = c.cfg.Blank, false
		if s%2 == 1 {
			c.labels[s] = y[s/2]
			c.skip[s] = s > 1 && y[s/2] != y[s/2-1]
		}
	}
}

var infinity = math.Inf(1)

// likelihood computes alpha, which for step t and state s is the logarithm of
// what the beginnings of alignments that end there sum to, and returns the loss.
func (c *CTC) likelihood(x ctcSequence) float64 {
	L := len(c.labels)
	if x.steps == 0 {
		if L == 1 {
			return 0
		}
		return infinity
	}
	var alpha []float64
	for t := range x.steps {
		prev, row := alpha, x.row(x.logp, t)
		alpha = c.alpha[t*L:][:L]
		if t == 0 { // as after a blank before the first step
			for s := range L {
				alpha[s] = -infinity
			}
			clear(alpha[:min(2, L)])
		} else {
			for s := range L {
				one, two := -infinity, -infinity
				if s > 0 {
					one = prev[s-1]
				}
				if c.skip[s] {
					two = prev[s-2]
				}
				c.add(s, prev[s], one, two)
			}
			c.sums(alpha)
		}
		for s, y := range c.labels {
			alpha[s] += float64(row[y])
		}
	}
	if L == 1 {
		return 0 - alpha[0]
	}
	c.add(0, alpha[L-1], alpha[L-2], -infinity)
	c.sums(c.mid[:1])
	return 0 - c.mid[0]
}

// gradient sets x.dlogp to g times the gradient, from alpha and the loss l.
func (c *CTC) gradient(x ctcSequence, l float64, g float32) {
	L := len(c.labels)
	beta, mid, exp := c.beta[:L], c.mid[:L], c.exp[:L]
	for t := x.T - 1; t >= 0; t-- {
		row, drow := x.row(x.logp, t), x.row(x.dlogp, t)
		switch {
		case t >= x.steps:
			clear(drow)
			continue
		case math.IsInf(l, 1):
			for i := range drow {
				drow[i] = float32(math.NaN())
			}
			continue
		case t == x.steps-1:
			for s := range L {
				mid[s] = -infinity
			}
			clear(mid[max(0, L-2):])
		default:
			for s := range L {
				one, two := -infinity, -infinity
				if s+1 < L {
					one = beta[s+1]
				}
				if s+2 < L && c.skip[s+2] {
					two = beta[s+2]
				}
				c.add(s, beta[s], one, two)
			}
			c.sums(mid)
		}
		// mid is the logarithm of what the ends after step t and state s sum to.
		alpha := c.alpha[t*L:][:L]
		for s, y := range c.labels {
			exp[s] = float32(alpha[s] + mid[s] + l)
			beta[s] = mid[s] + float64(row[y])
		}
		kernels.Exp(exp, exp)
		for s, y := range c.labels {
			c.gamma[y] += exp[s]
		}
		kernels.Exp(drow, row)
		for _, y := range c.labels {
			drow[y] -= c.gamma[y]
			c.gamma[y] = 0
		}
		kernels.Scale(drow, g, drow)
	}
}

// add prepares the sum of three numbers for state s, whose logarithms are given:
//
//	log(exp(x)+exp(y)+exp(z)) = top + log1p(exp(low-top) + exp(middle-top))
func (c *CTC) add(s int, x, y, z float64) {
	low, top := min(x, y), max(x, y)
	middle := min(top, z)
	top = max(top, z)
	c.mid[s] = top
	if math.IsInf(top, -1) {
		top = 0
	}
	c.exp[2*s], c.exp[2*s+1] = float32(low-top), float32(middle-top)
}

// sums sets dst[s] to the logarithms of the sums that add prepared. dst may be
// c.mid.
func (c *CTC) sums(dst []float64) {
	exp := c.exp[:2*len(dst)]
	kernels.Exp(exp, exp)
	for s := range dst {
		dst[s] = c.mid[s] + float64(float32(math.Log1p(float64(exp[2*s]+exp[2*s+1]))))
	}
}
