package kernels

import "math"

// piece is the number of elements whose sum is one float32.
const piece = 4096

// pieces cuts a sum as tiles cuts a matrix, for one call each:
//
//	for t := pieces(n); t.cols > 0; t = t.nextPiece(n)
func pieces(n int) tile { return tile{cols: min(piece, n)} }

// nextPiece returns the piece that follows, which has no columns after the last one.
func (t tile) nextPiece(n int) tile {
	t.col += t.cols
	t.cols = min(piece, n-t.col)
	return t
}

// Sum returns the sum of x, 0 if x is empty. Its order, that of all sums over a
// slice here:
//
//	for p := range pieces of 4096 elements of x {
//		lane := [64]float32{}
//		for j := range p {
//			lane[j%64] += p[j]
//		}
//		for w := 32; w > 0; w /= 2 {
//			for i := range w {
//				lane[i] += lane[i+w]
//			}
//		}
//		sum += float64(lane[0])
//	}
//
// The result is not rounded, so that a sum over several slices can go on in
// float64. That of a single piece is a float32.
func Sum(x []float32) float64 {
	raceRead(x)
	return sumOf(use(), x)
}

func sumOf(isa ISA, x []float32) (s float64) {
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = sumGeneric(x[t.col:][:t.cols])
		} else {
			sum(isa, &v, &x[t.col], t.cols)
		}
		s += float64(v)
	}
	return s
}

// Dot returns the sum of x[i]*y[i] in the order of [Sum], with lane[j%64] =
// fma(x[j], y[j], lane[j%64]). x may be y. It panics if the lengths differ.
func Dot(x, y []float32) float64 {
	const fn = "Dot"
	raceRead(x)
	reads(fn, "y", y, len(x))
	return dotOf(use(), x, y)
}

func dotOf(isa ISA, x, y []float32) (s float64) {
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = dotGeneric(x[t.col:][:t.cols], y[t.col:])
		} else {
			dot(isa, &v, &x[t.col], &y[t.col], t.cols)
		}
		s += float64(v)
	}
	return s
}

// SumSquares returns Dot(x, x).
func SumSquares(x []float32) (s float64) {
	raceRead(x)
	isa := use()
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = dotGeneric(x[t.col:][:t.cols], x[t.col:])
		} else {
			sumSquares(isa, &v, &x[t.col], t.cols)
		}
		s += float64(v)
	}
	return s
}

// MaxAbs returns the largest |x[i]|, 0 if x is empty, NaN if an element is NaN.
func MaxAbs(x []float32) (top float32) {
	raceRead(x)
	isa := use()
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = maxAbsGeneric(x[t.col:][:t.cols])
		} else {
			maxAbs(isa, &v, &x[t.col], t.cols)
		}
		top = max(top, v)
	}
	return flush(top)
}

// Max returns the largest element of x, -Inf if x is empty, NaN if an element is
// NaN. A zero is +0.
func Max(x []float32) float32 {
	raceRead(x)
	return maxOf(use(), x)
}

func maxOf(isa ISA, x []float32) float32 {
	top := float32(math.Inf(-1))
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = maxGeneric(x[t.col:][:t.cols])
		} else {
			greatest(isa, &v, &x[t.col], t.cols)
		}
		top = max(top, v)
	}
	return flush(top) + 0 // the sum makes +0 of -0
}

// ExpSum sets dst[i] = exp(src[i]-top) and returns the sum of dst in the order
// of [Sum]. exp is that of [Exp]. dst may be src, or nil if only the sum is
// wanted. It panics if the lengths differ.
func ExpSum(dst, src []float32, top float32) float64 {
	const fn = "ExpSum"
	if dst != nil {
		writes(fn, "dst", dst, len(src))
	}
	raceRead(src)
	return expSumOf(use(), dst, src, top)
}

func expSumOf(isa ISA, dst, src []float32, top float32) (s float64) {
	for t := pieces(len(src)); t.cols > 0; t = t.nextPiece(len(src)) {
		var v float32
		switch x := &src[t.col]; {
		case isa == Generic && dst == nil:
			v = expSumGeneric(nil, src[t.col:][:t.cols], top)
		case isa == Generic:
			v = expSumGeneric(dst[t.col:], src[t.col:][:t.cols], top)
		case dst == nil:
			onlyExpSum(isa, &v, x, t.cols, top)
		default:
			expSum(isa, &v, &dst[t.col], x, t.cols, top)
		}
		s += float64(v)
	}
	return s
}

// SoftmaxRows sets each row of dst [n][cols] to the softmax of that row of src:
//
//	top    = Max(src[b])
//	e[j]   = exp(src[b][j] - top)
//	r      = 1 / float32(sum of e in the order of Sum)
//	dst[b][j] = r * e[j]
//
// A row with NaN, with +Inf or with -Inf only becomes NaN; any other -Inf
// becomes 0. dst may be src. It panics if dst or src is too small.
func SoftmaxRows(dst, src Mat, n, cols int) {
	const fn = "SoftmaxRows"
	size(fn, "n", n)
	size(fn, "cols", cols)
	dst.writes(fn, "dst", n, cols)
	src.reads(fn, "src", n, cols)
	isa := use()
	for b := range rowsOf(n, cols) {
		d, x := dst.row(b, cols), src.row(b, cols)
		sum := expSumOf(isa, d, x, maxOf(isa, x))
		scaleBy(isa, d, 1/float32(sum), d)
	}
}

// LogSumExpRows sets dst[b], of each row of src [n][cols], to
//
//	top + float32(log(float32(sum of exp(src[b][j] - top) in the order of Sum)))
//
// where top = Max(src[b]) and log is package math's. A row with NaN gives NaN,
// another one with +Inf gives +Inf, and one with -Inf only, or with cols = 0,
// gives -Inf. dst must not overlap src. It panics if len(dst) is not n or src is
// too small.
func LogSumExpRows(dst []float32, src Mat, n, cols int) {
	const fn = "LogSumExpRows"
	size(fn, "n", n)
	size(fn, "cols", cols)
	writes(fn, "dst", dst, n)
	src.reads(fn, "src", n, cols)
	isa := use()
	for b := range dst {
		x := src.row(b, cols)
		top := maxOf(isa, x)
		if math.IsInf(float64(top), 0) {
			dst[b] = top
			continue
		}
		sum := float32(expSumOf(isa, nil, x, top))
		dst[b] = flush(top + float32(math.Log(float64(sum))))
	}
}
