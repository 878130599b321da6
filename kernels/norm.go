package kernels

import "math"

// LayerNormRows normalises each row of x [n][cols] and scales and shifts it:
//
//	mean    = float32(Sum(x[b]) / cols)
//	squares = sum of (x[b][j] - mean)² in the order of SumSquares
//	rstd[b] = 1 / sqrt(float32(squares / cols) + eps)
//	hat[b][j] = (x[b][j] - mean) * rstd[b]
//	y[b][j]   = fma(gain[j], hat[b][j], shift[b][j])
//
// rstd [n][1] and hat are what LayerNormRowsBackward takes. The Stride of shift may
// be 0 for one row that serves all. hat and y may be x or shift, but not each other.
// A row with NaN or an infinity becomes NaN. It panics if a size is wrong.
//
// Source: Ba, Kiros and Hinton 2016, "Layer Normalization"; the form is that of
// PyTorch's layer_norm.
func LayerNormRows(y, hat, rstd, x Mat, gain []float32, shift Mat, eps float32, n, cols int) {
	now().LayerNormRows(y, hat, rstd, x, gain, shift, eps, n, cols)
}

// LayerNormRows is the function LayerNormRows on the path on.
func (on Path) LayerNormRows(y, hat, rstd, x Mat, gain []float32, shift Mat, eps float32, n, cols int) {
	const fn = "LayerNormRows"
	size(fn, "n", n)
	size(fn, "cols", cols)
	y.writes(fn, "y", n, cols)
	hat.writes(fn, "hat", n, cols)
	rstd.writes(fn, "rstd", n, 1)
	x.reads(fn, "x", n, cols)
	reads(fn, "gain", gain, cols)
	if shift.Stride == 0 {
		rowMat(shift.Data).reads(fn, "shift", min(n, 1), cols)
	} else {
		shift.reads(fn, "shift", n, cols)
	}
	isa := on.use()
	for b := range n {
		y, hat, x, shift := y.row(b, cols), hat.row(b, cols), x.row(b, cols), shift.row(b, cols)
		mean := meanOf(sumOf(isa, x), cols)
		r := 1 / float32(math.Sqrt(float64(meanOf(squaresAroundOf(isa, x, mean), cols)+eps)))
		*rstd.at(b, 0) = r
		if isa == Generic {
			layerNormGeneric(y, hat, x, gain, shift, mean, r)
			continue
		}
		for i := 0; i < cols; i += maxWork {
			layerNorm(isa, &y[i], &hat[i], &x[i], &gain[i], &shift[i], min(maxWork, cols-i), mean, r)
		}
	}
}

// LayerNormRowsBackward sets dx [n][cols] to the gradient of x from dy, that of y,
// and from hat and rstd as LayerNormRows left them:
//
//	mean    = float32(Dot(dy[b], gain) / cols)
//	meanHat = float32(sum of dy*gain*hat / cols)    as Dot, with x = dy*gain and y = hat
//	dx[b][j] = (dy[b][j]*gain[j] - mean - hat[b][j]*meanHat) * rstd[b]
//
// where the product with meanHat is fused with the subtraction. The gradient of
// gain is AddRowProducts of dy and hat, that of shift AddRows of dy. dx may be dy
// or hat. It panics if a size is wrong.
func LayerNormRowsBackward(dx, dy, hat, rstd Mat, gain []float32, n, cols int) {
	const fn = "LayerNormRowsBackward"
	size(fn, "n", n)
	size(fn, "cols", cols)
	dx.writes(fn, "dx", n, cols)
	dy.reads(fn, "dy", n, cols)
	hat.reads(fn, "hat", n, cols)
	rstd.reads(fn, "rstd", n, 1)
	reads(fn, "gain", gain, cols)
	isa := use()
	for b := range n {
		dx, dy, hat, r := dx.row(b, cols), dy.row(b, cols), hat.row(b, cols), *rstd.at(b, 0)
		mean, meanHat := meanOf(dotOf(isa, dy, gain), cols), meanOf(dot3Of(isa, dy, gain, hat), cols)
		if isa == Generic {
			layerNormBackwardGeneric(dx, dy, hat, gain, mean, meanHat, r)
			continue
		}
		for i := 0; i < cols; i += maxWork {
			layerNormBackward(isa, &dx[i], &dy[i], &hat[i], &gain[i], min(maxWork, cols-i), mean, meanHat, r)
		}
	}
}

// meanOf returns the mean of n elements.
func meanOf(sum float64, n int) float32 { return narrow(sum / float64(n)) }

// squaresAroundOf returns the sum of (x[i]-mean)² in the order of SumSquares.
func squaresAroundOf(isa ISA, x []float32, mean float32) (s float64) {
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = squaresAroundGeneric(x[t.col:][:t.cols], mean)
		} else {
			squaresAround(isa, &v, &x[t.col], t.cols, mean)
		}
		s += float64(v)
	}
	return s
}

// dot3Of returns the sum of x[i]*y[i]*z[i] in the order of Dot.
func dot3Of(isa ISA, x, y, z []float32) (s float64) {
	for t := pieces(len(x)); t.cols > 0; t = t.nextPiece(len(x)) {
		var v float32
		if isa == Generic {
			v = dot3Generic(x[t.col:][:t.cols], y[t.col:], z[t.col:])
		} else {
			dot3(isa, &v, &x[t.col], &y[t.col], &z[t.col], t.cols)
		}
		s += float64(v)
	}
	return s
}
