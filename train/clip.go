package train

import (
	"fmt"
	"math"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// ClipGradNorm scales the gradients of all params so that their common Euclidean
// norm is at most maxNorm, and returns the norm that they had. It is
// torch.nn.utils.clip_grad_norm_ with norm_type 2; see [ClipNorm] for others.
//
//	norm  = sqrt(sum of g² over all elements g of all gradients)
//	scale = min(1, maxNorm / (norm + 1e-6))
//	g     = scale * g
//
// Parameters without a gradient are left out. maxNorm = +Inf changes nothing if the
// norm is finite. A norm that is NaN makes all gradients NaN; one that is infinite
// makes finite elements 0 and the others NaN, or all NaN if maxNorm is infinite too.
// A negative maxNorm or NaN is an error, and nothing is written.
//
// Squares are added within a tensor in the order of [kernels.SumSquares], tensors
// in order in float64, and scale is rounded to float32 once, so all SIMD paths
// give the same bits. If squares leave the range of float32, and the sum with them,
// it is made once more in float64, relative to the largest element: the norm is
// right whenever that is finite and at least 2^-126.
//
// Source: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training
// recurrent neural networks", algorithm 1.
func ClipGradNorm(params layer.Params, maxNorm float64) (norm float64, err error) {
	return clipGradNorm("ClipGradNorm", params, ClipNorm{MaxNorm: maxNorm})
}

// ClipNorm holds the options of clipping by the norm.
type ClipNorm struct {
	MaxNorm float64
	// P is the order of the norm, above 0: (sum of |g|^P)^(1/P), or the largest
	// |g| if it is +Inf. 0 means 2. Orders other than 1, 2 and +Inf take powers
	// from package math, which may differ in the last place of a float64 between
	// architectures.
	P float64
	// ErrorIfNonFinite makes a norm that is NaN or infinite an error that names
	// the first such element, and nothing is written.
	ErrorIfNonFinite bool
}

// Clip works like [ClipGradNorm] with these options.
func (c ClipNorm) Clip(params layer.Params) (norm float64, err error) {
	return clipGradNorm("ClipNorm.Clip", params, c)
}

func clipGradNorm(fn string, params layer.Params, c ClipNorm) (norm float64, err error) {
	p := c.P
	if p == 0 {
		p = 2
	}
	switch _, err := kernels.Active(); {
	case err != nil:
		return 0, fmt.Errorf("train: %s: %w", fn, err)
	case !(c.MaxNorm >= 0):
		return 0, fmt.Errorf("train: %s: MaxNorm = %v, want at least 0", fn, c.MaxNorm)
	case !(p > 0):
		return 0, fmt.Errorf("train: %s: P = %v, want above 0, or 0 for 2", fn, c.P)
	}
	norm = gradNorm(params, p)
	if c.ErrorIfNonFinite && !finite(norm) {
		if err := checkGrad(params); err != nil {
			return norm, fmt.Errorf("train: %s: norm = %v: %w", fn, norm, err)
		}
		return norm, fmt.Errorf("train: %s: norm = %v of finite elements", fn, norm)
	}
	scale := float32(min(1, c.MaxNorm/(norm+1e-6)))
	for _, q := range params {
		kernels.Scale(q.Grad, scale, q.Grad)
	}
	return norm, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// gradNorm returns the norm of order p of all gradients.
func gradNorm(params layer.Params, p float64) float64 {
	if math.IsInf(p, 1) {
		return maxAbs(params)
	}
	// A power below this may be lost: kernels flush squares, and float64 has few
	// digits there. A sum of n of them may lack n times as much.
	lost := 0x1p-1022
	if p == 2 {
		lost = 0x1p-126
	}
	total, n := 0.0, 0
	for _, q := range params {
		if p == 2 {
			total += kernels.SumSquares(q.Grad)
		} else {
			total += sumPowers(q.Grad, p, 1)
		}
		n += len(q.Grad)
	}
	if total >= float64(n)*lost*0x1p24 && finite(total) {
		return root(total, p)
	}
	top := maxAbs(params)
	if top == 0 || !finite(top) {
		return root(total, p)
	}
	total = 0
	for _, q := range params {
		total += sumPowers(q.Grad, p, 1/top)
	}
	return top * root(total, p)
}

// maxAbs returns the largest |g| of all gradients.
func maxAbs(params layer.Params) (top float64) {
	for _, q := range params {
		top = max(top, float64(kernels.MaxAbs(q.Grad)))
	}
	return top
}

// sumPowers returns the sum of |x*scale|^p in order.
func sumPowers(x []float32, p, scale float64) (sum float64) {
	for _, v := range x {
		switch a := math.Abs(float64(v) * scale); p {
		case 1:
			sum += a
		case 2:
			sum += float64(a * a)
		default:
			sum += math.Pow(a, p)
		}
	}
	return sum
}

// root returns the p-th root.
func root(x, p float64) float64 {
	switch p {
	case 1:
		return x
	case 2:
		return math.Sqrt(x)
	}
	return math.Pow(x, 1/p)
}

// ClipGradValue limits every element of every gradient to -limit ... limit; NaN
// stays NaN. It is torch.nn.utils.clip_grad_value_.
//
//	g = min(max(g, -limit), limit)
//
// A negative limit or NaN is an error, and nothing is written.
func ClipGradValue(params layer.Params, limit float64) error {
	if _, err := kernels.Active(); err != nil {
		return fmt.Errorf("train: ClipGradValue: %w", err)
	}
	if !(limit >= 0) {
		return fmt.Errorf("train: ClipGradValue: limit = %v, want at least 0", limit)
	}
	for _, p := range params {
		kernels.Clip(p.Grad, float32(limit))
	}
	return nil
}

// CheckGrad returns an error that names the first element of the gradients that
// is NaN or infinite, and nil if there is none.
func CheckGrad(params layer.Params) error {
	if _, err := kernels.Active(); err != nil {
		return fmt.Errorf("train: CheckGrad: %w", err)
	}
	if err := checkGrad(params); err != nil {
		return fmt.Errorf("train: CheckGrad: %w", err)
	}
	return nil
}

func checkGrad(params layer.Params) error {
	for i, p := range params {
		if finite(float64(kernels.MaxAbs(p.Grad))) {
			continue
		}
		for j, v := range p.Grad {
			if !finite(float64(v)) {
				return fmt.Errorf("gradient %d, of %s, has %v at element %d, want finite numbers", i, p.Name, v, j)
			}
		}
	}
	return nil
}
