package reference

// An affine map is y = W (x * mask) + b with W [len(y)][len(x)]; b may be nil,
// and a nil mask means 1.
type affine struct{ W, b, mask []float64 }

// forward returns W (x * mask) + b.
func (l affine) forward(x []float64) []float64 {
	x = product(x, l.mask)
	I := len(x)
	y := make([]float64, len(l.W)/I)
	copy(y, l.b)
	for j := range y {
		sum := 0.0
		for k, w := range l.W[j*I : (j+1)*I] {
			sum += w * x[k]
		}
		y[j] += sum
	}
	return y
}

// backward adds dy (x * mask)^T to d.W and dy to d.b, and returns
// dx = W^T dy * mask.
func (l affine) backward(d affine, x, dy []float64) []float64 {
	x = product(x, l.mask)
	I := len(x)
	dx := make([]float64, I)
	for j, dyj := range dy {
		w, dw := l.W[j*I:(j+1)*I], d.W[j*I:(j+1)*I]
		for k := range dx {
			dx[k] += w[k] * dyj
			dw[k] += dyj * x[k]
		}
	}
	if l.b != nil {
		add(d.b, dy)
	}
	return product(dx, l.mask)
}

// LinearForward returns y [N,O] = x W^T + b for x [N,I], W [O,I] and b [O] or
// nil.
func LinearForward(x, W, b []float64, I int) (y []float64) {
	for ; len(x) > 0; x = x[I:] {
		y = append(y, affine{W: W, b: b}.forward(x[:I])...)
	}
	return y
}

// LinearBackward adds dy^T x to dW and the row sums of dy [N,O] to db (nil
// without bias), and returns dx [N,I] = dy W.
func LinearBackward(dW, db, dy, x, W []float64, I int) (dx []float64) {
	O := len(W) / I
	for ; len(x) > 0; x, dy = x[I:], dy[O:] {
		dx = append(dx, affine{W: W, b: db}.backward(affine{W: dW, b: db}, x[:I], dy[:O])...)
	}
	return dx
}

// add is dst += x.
func add(dst, x []float64) {
	for i := range dst {
		dst[i] += x[i]
	}
}

// product returns x * mask by element, or x if mask is nil. A short mask is
// repeated.
func product(x, mask []float64) []float64 {
	if mask == nil {
		return x
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v * mask[i%len(mask)]
	}
	return y
}
