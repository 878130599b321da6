package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/simdrnn/simdrnn/kernels"
)

// piece is the number of elements whose losses are one kernels.Sum.
const piece = 4096

// Elementwise is a loss that is computed of each element x and its target t
// alone, and then reduced: see [NewMSE], [NewL1], [NewSmoothL1], [NewHuber] and
// [NewBCEWithLogits]. The mean divides by the number of elements that count.
type Elementwise struct {
	name      string
	features  int // F
	reduction Reduction

	// each sets l to the losses of x and t, and d, which may be x, to their
	// gradients with respect to x. x[0] is element j of its row.
	each func(l, d, x, t []float32, j int)

	l, d [piece]float32
}

// newElementwise checks what all have in common.
func newElementwise(name string, features int, r Reduction, err error) (*Elementwise, error) {
	fail := func(err error) (*Elementwise, error) {
		return nil, fmt.Errorf("train: New%s: %w", name, err)
	}
	if features < 0 {
		return fail(badField("Features", features, "at least 0"))
	}
	if err := r.check(); err != nil {
		return fail(err)
	}
	if err != nil {
		return fail(err)
	}
	if _, err := kernels.Active(); err != nil {
		return fail(err)
	}
	return &Elementwise{name: name, features: max(1, features), reduction: r}, nil
}

// MSEConfig are the arguments of nn.MSELoss; zero values are its defaults.
type MSEConfig struct {
	Features  int // F, the elements of a row, for Seq.Lengths; 0 means 1
	Reduction Reduction
}

// NewMSE returns torch.nn.MSELoss, the squared error
//
//	l = (x-t)²
//	dl/dx = 2(x-t)
//
// The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewMSE(cfg MSEConfig) (*Elementwise, error) {
	e, err := newElementwise("MSE", cfg.Features, cfg.Reduction, nil)
	if err != nil {
		return nil, err
	}
	e.each = func(l, d, x, t []float32, _ int) {
		for i, v := range x {
			v -= t[i]
			l[i], d[i] = v*v, 2*v
		}
	}
	return e, nil
}

// L1Config are the arguments of nn.L1Loss; zero values are its defaults.
type L1Config struct {
	Features  int // F, the elements of a row, for Seq.Lengths; 0 means 1
	Reduction Reduction
}

// NewL1 returns torch.nn.L1Loss, the absolute error
//
//	l = |x-t|
//	dl/dx = -1 if x < t, 0 if x = t, 1 if x > t
//
// The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewL1(cfg L1Config) (*Elementwise, error) {
	e, err := newElementwise("L1", cfg.Features, cfg.Reduction, nil)
	if err != nil {
		return nil, err
	}
	e.each = absolute
	return e, nil
}

func absolute(l, d, x, t []float32, _ int) {
	for i, v := range x {
		v -= t[i]
		l[i], d[i] = abs(v), copysign(1, v)
		if !(l[i] > 0) { // 0 or NaN
			d[i] = v
		}
	}
}

// SmoothL1Config are the arguments of nn.SmoothL1Loss. Zero means zero: start
// from DefaultSmoothL1.
type SmoothL1Config struct {
	Beta      float64 // where the loss turns from a square to a line, at least 0
	Features  int     // F, the elements of a row, for Seq.Lengths; 0 means 1
	Reduction Reduction
}

// DefaultSmoothL1 returns PyTorch's defaults: beta 1.
func DefaultSmoothL1() SmoothL1Config { return SmoothL1Config{Beta: 1} }

// NewSmoothL1 returns torch.nn.SmoothL1Loss:
//
//	l = (x-t)²/(2*Beta) if |x-t| < Beta, else |x-t| - Beta/2
//	dl/dx = (x-t)/Beta, at least -1 and at most 1
//
// With a Beta of 0 it is that of NewL1. The error is about cfg or, from
// kernels.Active, about SIMDRNN_ISA.
func NewSmoothL1(cfg SmoothL1Config) (*Elementwise, error) {
	var bad error
	if !(cfg.Beta >= 0 && cfg.Beta <= math.MaxFloat32) {
		bad = badField("Beta", cfg.Beta, "at least 0 and finite")
	}
	e, err := newElementwise("SmoothL1", cfg.Features, cfg.Reduction, bad)
	if err != nil {
		return nil, err
	}
	beta := float32(cfg.Beta)
	if beta == 0 {
		e.each = absolute
		return e, nil
	}
	e.each = func(l, d, x, t []float32, _ int) {
		for i, v := range x {
			v -= t[i]
			a := abs(v)
			m := min(a, beta)
			r := m / beta
			l[i], d[i] = r*(a-float32(m/2)), copysign(r, v)
		}
	}
	return e, nil
}

// HuberConfig are the arguments of nn.HuberLoss. Zero means zero: start from
// DefaultHuber.
type HuberConfig struct {
	Delta     float64 // where the loss turns from a square to a line, above 0
	Features  int     // F, the elements of a row, for Seq.Lengths; 0 means 1
	Reduction Reduction
}

// DefaultHuber returns PyTorch's defaults: delta 1.
func DefaultHuber() HuberConfig { return HuberConfig{Delta: 1} }

// NewHuber returns torch.nn.HuberLoss:
//
//	l = (x-t)²/2 if |x-t| <= Delta, else Delta*(|x-t| - Delta/2)
//	dl/dx = x-t, at least -Delta and at most Delta
//
// The error is about cfg or, from kernels.Active, about SIMDRNN_ISA. Source:
// Huber 1964.
func NewHuber(cfg HuberConfig) (*Elementwise, error) {
	var bad error
	if !(cfg.Delta > 0 && cfg.Delta <= math.MaxFloat32) {
		bad = badField("Delta", cfg.Delta, "above 0 and finite")
	}
	e, err := newElementwise("Huber", cfg.Features, cfg.Reduction, bad)
	if err != nil {
		return nil, err
	}
	delta := float32(cfg.Delta)
	e.each = func(l, d, x, t []float32, _ int) {
		for i, v := range x {
			v -= t[i]
			a := abs(v)
			m := min(a, delta)
			l[i], d[i] = m*(a-float32(m/2)), copysign(m, v)
		}
	}
	return e, nil
}

// BCEWithLogitsConfig are the arguments of nn.BCEWithLogitsLoss; zero values are
// its defaults.
type BCEWithLogitsConfig struct {
	Features  int       // F, the elements of a row, such as labels; 0 means 1
	Weight    []float32 // [F], of each element of a row; nil means ones
	PosWeight []float32 // [F], of the positive part; nil means ones
	Reduction Reduction
}

// NewBCEWithLogits returns torch.nn.BCEWithLogitsLoss, the cross entropy of
// p = sigmoid(x), logits x, and probabilities t that are 0 or 1 as a rule:
//
//	l = Weight * (PosWeight*t*-log(p) + (1-t)*-log(1-p))
//	dl/dx = Weight * ((1-t)*p - PosWeight*t*(1-p))
//
// where -log(1-p) = max(x,0) + log1p(exp(-|x|)), and -log(p) that of -x. A factor
// of 0 makes 0 of an infinite logarithm. The mean does not divide by weights.
// The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewBCEWithLogits(cfg BCEWithLogitsConfig) (*Elementwise, error) {
	F := max(1, cfg.Features)
	bad := checkWeights("Weight", cfg.Weight, F)
	if bad == nil {
		bad = checkWeights("PosWeight", cfg.PosWeight, F)
	}
	e, err := newElementwise("BCEWithLogits", cfg.Features, cfg.Reduction, bad)
	if err != nil {
		return nil, err
	}
	weight, posWeight := slices.Clone(cfg.Weight), slices.Clone(cfg.PosWeight)
	e.each = func(l, d, x, t []float32, j int) {
		for i, v := range x {
			l[i] = -abs(v)
		}
		kernels.Exp(l, l)
		for i, v := range x {
			pos, neg := t[i], 1-t[i]
			if posWeight != nil {
				pos *= posWeight[j]
			}
			if weight != nil {
				pos *= weight[j]
				neg *= weight[j]
			}
			if j++; j == F {
				j = 0
			}

			e := l[i]
			log := float32(math.Log1p(float64(e)))
			small, large := e/(1+e), 1/(1+e) // of p and 1-p
			p, q := large, small
			if v < 0 {
				p, q = small, large
			}
			l[i] = times(pos, max(-v, 0)+log) + times(neg, max(v, 0)+log)
			d[i] = times(neg, p) - times(pos, q)
		}
	}
	return e, nil
}

// times returns a*b rounded, and 0 if b is infinite and a is 0.
func times(a, b float32) float32 {
	if a == 0 && b > math.MaxFloat32 {
		return 0
	}
	return float32(a * b)
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// copysign returns a, which is not negative, with the sign of v.
func copysign(a, v float32) float32 {
	return math.Float32frombits(math.Float32bits(a) | math.Float32bits(v)&(1<<31))
}

// Forward returns the loss of x and as many targets, and the number n of
// elements that count. Unless dx is nil, it sets dx to the gradient:
//
//	dx[i] = dl/dx[i] / n
//
// for the mean. dx may be x. Without elements that count, loss and dx are 0. It
// panics if a length is wrong or if dx overlaps target.
func (e *Elementwise) Forward(dx, x, target []float32) (loss float32, n int) {
	return e.forward(method{e.name, "Forward"}, dx, x, target, &Seq{})
}

// ForwardSeq is Forward with what seq says of rows of F elements. Losses and
// DLosses have the length of x.
func (e *Elementwise) ForwardSeq(dx, x, target []float32, seq Seq) (loss float32, n int) {
	return e.forward(method{e.name, "ForwardSeq"}, dx, x, target, &seq)
}

func (e *Elementwise) forward(m method, dx, x, target []float32, seq *Seq) (loss float32, n int) {
	F := e.features
	if len(x)%F != 0 {
		m.badLen("x", len(x), "N*F, a multiple of F", F)
	}
	m.length("target", len(target), "len(x)", len(x))
	if dx != nil {
		m.length("dx", len(dx), "len(x)", len(x))
	}
	m.apart("dx", dx, "target", target)
	rows := len(x) / F
	seq.check(m, e.reduction, rows, "len(x)", len(x))
	n = seq.count(rows) * F
	scale := 1.0
	if e.reduction == Mean {
		scale = 1 / float64(max(1, n))
	}

	var total float64
	for lo := 0; lo < len(x); lo += piece {
		hi := min(lo+piece, len(x))
		for i := lo; i < hi; { // a run of elements that count, or do not
			on, end := seq.has(i/F, rows), hi
			if seq.Lengths != nil {
				for end = i; end < hi && seq.has(end/F, rows) == on; {
					end = min(hi, (end/F+1)*F)
				}
			}
			l, d := e.l[i-lo:end-lo], e.d[i-lo:end-lo]
			if dx != nil {
				d = dx[i:end]
			}
			if on {
				e.each(l, d, x[i:end], target[i:end], i%F)
			} else {
				clear(l)
				clear(d)
			}
			if on && dx != nil && e.reduction == Mean {
				kernels.Scale(d, float32(scale), d)
			}
			if on && dx != nil && seq.DLosses != nil {
				kernels.Mul(d, d, seq.DLosses[i:end])
			}
			i = end
		}
		if seq.Losses != nil {
			copy(seq.Losses[lo:], e.l[:hi-lo])
		}
		total += kernels.Sum(e.l[:hi-lo])
	}
	return float32(total * scale), n
}
