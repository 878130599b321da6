package kernels

// RNNTanhForward sets h = tanh(gates). gates is plain; h may be gates.
func RNNTanhForward(h, gates Mat, n, units int) {
	const fn = "RNNTanhForward"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	gates.reads(fn, "gates", n, units)
	rnnForwardOn(use(), h, gates, n, units, false)
}

// rnnForwardOn is RNNTanhForward, or RNNReLUForward if relu, on the path isa.
func rnnForwardOn(isa ISA, h, gates Mat, n, units int, relu bool) {
	switch {
	case isa == Generic && relu:
		rnnReLUForwardGeneric(h, gates, n, units)
	case isa == Generic:
		rnnTanhForwardGeneric(h, gates, n, units)
	case relu:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			rnnReLUForward(isa, t.of(h, 1), t.of(gates, 1), h.Stride, gates.Stride, t.rows, t.cols)
		}
	default:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			rnnTanhForward(isa, t.of(h, 1), t.of(gates, 1), h.Stride, gates.Stride, t.rows, t.cols)
		}
	}
}

// RNNReLUForward sets h = max(gates, 0); NaN stays NaN. gates is plain; h may be
// gates.
func RNNReLUForward(h, gates Mat, n, units int) {
	const fn = "RNNReLUForward"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	gates.reads(fn, "gates", n, units)
	rnnForwardOn(use(), h, gates, n, units, true)
}

// RNNTanhBackward sets dGates = dh*(1-h²) for the h of RNNTanhForward. All are
// plain; dGates may be dh.
func RNNTanhBackward(dGates, dh, h Mat, n, units int) {
	const fn = "RNNTanhBackward"
	n = size2(fn, n, units)
	dGates.writes(fn, "dGates", n, units)
	dh.reads(fn, "dh", n, units)
	h.reads(fn, "h", n, units)
	isa := use()
	if isa == Generic {
		rnnTanhBackwardGeneric(dGates, dh, h, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		rnnTanhBackward(isa, t.of(dGates, 1), t.of(dh, 1), t.of(h, 1), dGates.Stride, dh.Stride, h.Stride, t.rows, t.cols)
	}
}

// RNNReLUBackward sets dGates = dh where h > 0, else 0, for the h of
// RNNReLUForward. All are plain; dGates may be dh.
func RNNReLUBackward(dGates, dh, h Mat, n, units int) {
	const fn = "RNNReLUBackward"
	n = size2(fn, n, units)
	dGates.writes(fn, "dGates", n, units)
	dh.reads(fn, "dh", n, units)
	h.reads(fn, "h", n, units)
	isa := use()
	if isa == Generic {
		rnnReLUBackwardGeneric(dGates, dh, h, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		rnnReLUBackward(isa, t.of(dGates, 1), t.of(dh, 1), t.of(h, 1), dGates.Stride, dh.Stride, h.Stride, t.rows, t.cols)
	}
}

// LSTMForward takes the pre-activations i,f,g,o in gates, packed, and computes
//
//	c = sigmoid(f)*cPrev + sigmoid(i)*tanh(g)
//	h = sigmoid(o)*tanh(c)
//
// in this form:
//
//	I = (1+e(i))/2;  F = 1+e(f);  O = (1+e(o))/2
//	M, K = T(g);     c = cPrev/F + M/(I*K)
//	M, K = T(c);     h = M/(O*K)
//
// h, c and cPrev are plain. c may be cPrev.
func LSTMForward(h, c, gates, cPrev Mat, n, units int) {
	const fn = "LSTMForward"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	c.writes(fn, "c", n, units)
	gates.reads(fn, "gates", n, packedWidth(4, units))
	cPrev.reads(fn, "cPrev", n, units)
	lstmForwardOn(use(), h, c, gates, cPrev, nil, n, units, false)
}

// lstmForwardOn is LSTMForward on the path isa, LSTMPeepholeForward if p is not
// nil, or what they are in training.
func lstmForwardOn(isa ISA, h, c, gates, cPrev Mat, p []float32, n, units int, train bool) {
	switch {
	case isa == Generic:
		lstmForwardGeneric(h, c, gates, cPrev, p, n, units, train)
	case p != nil && train:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			lstmPeepholeForwardTrain(isa, t.of(h, 1), t.of(c, 1), t.of(gates, 4), t.of(cPrev, 1), &p[3*t.col],
				h.Stride, c.Stride, gates.Stride, cPrev.Stride, 0, t.rows, t.cols)
		}
	case p != nil:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			lstmPeepholeForward(isa, t.of(h, 1), t.of(c, 1), t.of(gates, 4), t.of(cPrev, 1), &p[3*t.col],
				h.Stride, c.Stride, gates.Stride, cPrev.Stride, 0, t.rows, t.cols)
		}
	case train:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			lstmForwardTrain(isa, t.of(h, 1), t.of(c, 1), t.of(gates, 4), t.of(cPrev, 1), h.Stride, c.Stride, gates.Stride, cPrev.Stride, t.rows, t.cols)
		}
	default:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			lstmForward(isa, t.of(h, 1), t.of(c, 1), t.of(gates, 4), t.of(cPrev, 1), h.Stride, c.Stride, gates.Stride, cPrev.Stride, t.rows, t.cols)
		}
	}
}

// LSTMForwardTrain is LSTMForward, with the same bits in h and c, and leaves in
// gates the activations i,f,g,o for LSTMBackward.
func LSTMForwardTrain(h, c, gates, cPrev Mat, n, units int) {
	const fn = "LSTMForwardTrain"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	c.writes(fn, "c", n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	cPrev.reads(fn, "cPrev", n, units)
	lstmForwardOn(use(), h, c, gates, cPrev, nil, n, units, true)
}

// LSTMBackward takes the activations i,f,g,o in gates, as LSTMForwardTrain left
// them with h, c and cPrev, the loss's gradient dh of h, and in dc that of c as
// far as it comes from later steps. It leaves in gates the gradients of the
// pre-activations, and in dc the gradient of cPrev:
//
//	dc += dh*o*(1-tanh(c)²)              tanh(c) = h/o
//	dGates = dc*g*i*(1-i), dc*cPrev*f*(1-f), dc*i*(1-g²), dh*h*(1-o)
//	dc = dc*f
//
// dh, h, c and cPrev are plain and not written. h is o*tanh(c), before any
// projection, dropout or zoneout.
func LSTMBackward(gates, dc, dh, h, c, cPrev Mat, n, units int) {
	const fn = "LSTMBackward"
	n = size2(fn, n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	dc.writes(fn, "dc", n, units)
	dh.reads(fn, "dh", n, units)
	h.reads(fn, "h", n, units)
	c.reads(fn, "c", n, units)
	cPrev.reads(fn, "cPrev", n, units)
	isa := use()
	if isa == Generic {
		lstmBackwardGeneric(gates, dc, dh, h, cPrev, nil, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		lstmBackward(isa, t.of(gates, 4), t.of(dc, 1), t.of(dh, 1), t.of(h, 1), t.of(c, 1), t.of(cPrev, 1),
			gates.Stride, dc.Stride, dh.Stride, h.Stride, c.Stride, cPrev.Stride, t.rows, t.cols)
	}
}

// LSTMPeepholeForward is LSTMForward with peepholes p, by which the gates look at
// the cell: with pi, pf and po in packed order as the gates of a GRU are,
//
//	i = fma(pi, cPrev, i);  f = fma(pf, cPrev, f);  o = fma(po, c, o)
//
// before the sigmoids. p has the width of three gates.
func LSTMPeepholeForward(h, c, gates, cPrev Mat, p []float32, n, units int) {
	const fn = "LSTMPeepholeForward"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	c.writes(fn, "c", n, units)
	gates.reads(fn, "gates", n, packedWidth(4, units))
	cPrev.reads(fn, "cPrev", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	lstmForwardOn(use(), h, c, gates, cPrev, p, n, units, false)
}

// LSTMPeepholeForwardTrain is LSTMPeepholeForward, with the same bits in h and c,
// and leaves in gates the activations i,f,g,o for LSTMPeepholeBackward.
func LSTMPeepholeForwardTrain(h, c, gates, cPrev Mat, p []float32, n, units int) {
	const fn = "LSTMPeepholeForwardTrain"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	c.writes(fn, "c", n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	cPrev.reads(fn, "cPrev", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	lstmForwardOn(use(), h, c, gates, cPrev, p, n, units, true)
}

// LSTMPeepholeBackward is LSTMBackward for LSTMPeepholeForwardTrain: with do, the
// gradient of o's pre-activation,
//
//	dc += dh*o*(1-tanh(c)²) + do*po
//	dGates as LSTMBackward
//	dc = dc*f + di*pi + df*pf
//
// The gradient of p is LSTMPeepholeGrad.
func LSTMPeepholeBackward(gates, dc, dh, h, c, cPrev Mat, p []float32, n, units int) {
	const fn = "LSTMPeepholeBackward"
	n = size2(fn, n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	dc.writes(fn, "dc", n, units)
	dh.reads(fn, "dh", n, units)
	h.reads(fn, "h", n, units)
	c.reads(fn, "c", n, units)
	cPrev.reads(fn, "cPrev", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	isa := use()
	if isa == Generic {
		lstmBackwardGeneric(gates, dc, dh, h, cPrev, p, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		lstmPeepholeBackward(isa, t.of(gates, 4), t.of(dc, 1), t.of(dh, 1), t.of(h, 1), t.of(c, 1), t.of(cPrev, 1), &p[3*t.col],
			gates.Stride, dc.Stride, dh.Stride, h.Stride, c.Stride, cPrev.Stride, 0, t.rows, t.cols)
	}
}

// LSTMCellForward and LSTMOutputForward are LSTMPeepholeForwardTrain in two halves,
// between which layer norm may change what h is made from. The first one takes the
// pre-activations i,f,g in gates and computes c. It leaves these gates' activations
// in gates, and o as it is. c may be cPrev.
func LSTMCellForward(c, gates, cPrev Mat, p []float32, n, units int) {
	now().LSTMCellForward(c, gates, cPrev, p, n, units)
}

// LSTMCellForward is the function LSTMCellForward on the path on.
func (on Path) LSTMCellForward(c, gates, cPrev Mat, p []float32, n, units int) {
	const fn = "LSTMCellForward"
	n = size2(fn, n, units)
	c.writes(fn, "c", n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	cPrev.reads(fn, "cPrev", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	isa := on.use()
	if isa == Generic {
		lstmCellForwardGeneric(c, gates, cPrev, p, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		lstmCellForward(isa, t.of(c, 1), t.of(gates, 4), t.of(cPrev, 1), &p[3*t.col],
			c.Stride, gates.Stride, cPrev.Stride, 0, t.rows, t.cols)
	}
}

// LSTMOutputForward takes what LSTMCellForward left, and cNorm, which stands for c
// in h:
//
//	o = fma(po, c, o);  h = sigmoid(o)*tanh(cNorm)
//
// It leaves the activation o in gates. With c for cNorm it completes
// LSTMPeepholeForwardTrain, with the same bits.
func LSTMOutputForward(h, gates, cNorm, c Mat, p []float32, n, units int) {
	now().LSTMOutputForward(h, gates, cNorm, c, p, n, units)
}

// LSTMOutputForward is the function LSTMOutputForward on the path on.
func (on Path) LSTMOutputForward(h, gates, cNorm, c Mat, p []float32, n, units int) {
	const fn = "LSTMOutputForward"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	cNorm.reads(fn, "cNorm", n, units)
	c.reads(fn, "c", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	isa := on.use()
	if isa == Generic {
		lstmOutputForwardGeneric(h, gates, cNorm, c, p, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		lstmOutputForward(isa, t.of(h, 1), t.of(gates, 4), t.of(cNorm, 1), t.of(c, 1), &p[3*t.col],
			h.Stride, gates.Stride, cNorm.Stride, c.Stride, 0, t.rows, t.cols)
	}
}

// LSTMOutputBackward goes back through LSTMOutputForward, from its h and o and the
// gradient dh of h, and from that of c in dc as far as it comes from elsewhere:
//
//	do = dh*h*(1-o)
//	dcNorm = dh*o*(1-tanh(cNorm)²)       tanh(cNorm) = h/o
//	dc += do*po
//
// It leaves do in gates.
func LSTMOutputBackward(gates, dcNorm, dc, dh, h Mat, p []float32, n, units int) {
	const fn = "LSTMOutputBackward"
	n = size2(fn, n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	dcNorm.writes(fn, "dcNorm", n, units)
	dc.writes(fn, "dc", n, units)
	dh.reads(fn, "dh", n, units)
	h.reads(fn, "h", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	isa := use()
	if isa == Generic {
		lstmOutputBackwardGeneric(gates, dcNorm, dc, dh, h, p, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		lstmOutputBackward(isa, t.of(gates, 4), t.of(dcNorm, 1), t.of(dc, 1), t.of(dh, 1), t.of(h, 1), &p[3*t.col],
			gates.Stride, dcNorm.Stride, dc.Stride, dh.Stride, h.Stride, 0, t.rows, t.cols)
	}
}

// LSTMCellBackward goes back through LSTMCellForward, from its i,f,g and the
// gradient dc of c:
//
//	di, df, dg = dc*g*i*(1-i), dc*cPrev*f*(1-f), dc*i*(1-g²)
//	dc = dc*f + di*pi + df*pf
//
// It leaves di, df and dg in gates.
func LSTMCellBackward(gates, dc, cPrev Mat, p []float32, n, units int) {
	const fn = "LSTMCellBackward"
	n = size2(fn, n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	dc.writes(fn, "dc", n, units)
	cPrev.reads(fn, "cPrev", n, units)
	reads(fn, "p", p, packedWidth(3, units))
	isa := use()
	if isa == Generic {
		lstmCellBackwardGeneric(gates, dc, cPrev, p, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		lstmCellBackward(isa, t.of(gates, 4), t.of(dc, 1), t.of(cPrev, 1), &p[3*t.col],
			gates.Stride, dc.Stride, cPrev.Stride, 0, t.rows, t.cols)
	}
}

// LSTMPeepholeGrad adds to dp the gradient of peepholes over n rows, which may be
// those of many steps, from the dGates that LSTMPeepholeBackward left:
//
//	dpi += Σ di*cPrev;  dpf += Σ df*cPrev;  dpo += Σ do*c
//
// in the order of AddRows, with fused multiply-adds. dp has the order of p and
// must not overlap the others.
func LSTMPeepholeGrad(dp []float32, dGates, c, cPrev Mat, n, units int) {
	const fn = "LSTMPeepholeGrad"
	n = size2(fn, n, units)
	writes(fn, "dp", dp, packedWidth(3, units))
	dGates.reads(fn, "dGates", n, packedWidth(4, units))
	c.reads(fn, "c", n, units)
	cPrev.reads(fn, "cPrev", n, units)
	isa := use()
	if n == 0 {
		return
	}
	const cols = sumCols / 4 // a block
	for u := 0; u < units; u += cols {
		var sum [3 * cols]float32
		some := min(cols, units-u)
		for b := 0; b < n; b += kChain {
			rows := min(kChain, n-b)
			g, s, prev := dGates.from(b, 4*u), c.from(b, u), cPrev.from(b, u)
			if isa == Generic {
				lstmPeepholeSumsGeneric(sum[:], g, s, prev, rows, some, b > 0)
			} else {
				lstmPeepholeSums(isa, &sum[0], &g.Data[0], &s.Data[0], &prev.Data[0], g.Stride, s.Stride, prev.Stride, rows, some, min(b, 1))
			}
		}
		for q := range 3 {
			d := dp[PackedIndex(3, u, q):]
			for i, v := range sum[q*cols:][:some] {
				d[i] = flush(d[i] + v)
			}
		}
	}
}

// UnpackGates copies the gates of an LSTM from packed order to PyTorch's:
//
//	dst[b][g*units+u] = gates[b][PackedIndex(4, u, g)]
func UnpackGates(dst, gates Mat, n, units int) {
	now().UnpackGates(dst, gates, n, units)
}

// UnpackGates is the function UnpackGates on the path on.
func (on Path) UnpackGates(dst, gates Mat, n, units int) {
	const fn = "UnpackGates"
	n = size2(fn, n, units)
	dst.writes(fn, "dst", n, 4*units)
	gates.reads(fn, "gates", n, packedWidth(4, units))
	isa := on.use()
	if isa == Generic {
		for b := range n {
			dst, gates := dst.row(b, 4*units), gates.row(b, packedWidth(4, units))
			for i := range dst {
				dst[i] = gates[PackedIndex(4, i%units, i/units)]
			}
		}
		return
	}
	s := dst.Stride
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		unpackGates(isa, dst.at(t.row, t.col), dst.at(t.row, units+t.col), dst.at(t.row, 2*units+t.col), dst.at(t.row, 3*units+t.col), t.of(gates, 4),
			s, s, s, s, gates.Stride, t.rows, t.cols)
	}
}

// PackGates is the inverse of UnpackGates. It leaves padding as it is.
func PackGates(gates, src Mat, n, units int) {
	now().PackGates(gates, src, n, units)
}

// PackGates is the function PackGates on the path on.
func (on Path) PackGates(gates, src Mat, n, units int) {
	const fn = "PackGates"
	n = size2(fn, n, units)
	gates.writes(fn, "gates", n, packedWidth(4, units))
	src.reads(fn, "src", n, 4*units)
	isa := on.use()
	if isa == Generic {
		for b := range n {
			gates, src := gates.row(b, packedWidth(4, units)), src.row(b, 4*units)
			for i, v := range src {
				gates[PackedIndex(4, i%units, i/units)] = v
			}
		}
		return
	}
	s := src.Stride
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		packGates(isa, t.of(gates, 4), src.at(t.row, t.col), src.at(t.row, units+t.col), src.at(t.row, 2*units+t.col), src.at(t.row, 3*units+t.col),
			gates.Stride, s, s, s, s, t.rows, t.cols)
	}
}

// GRUForward takes the input's part gx and the hidden state's part gh of the
// pre-activations r,z,n, both packed, and computes
//
//	r = sigmoid(xr + hr)
//	z = sigmoid(xz + hz)
//	n = tanh(xn + r*hn)
//	h = n + z*(hPrev - n)
//
// in this form:
//
//	r = 1/(1+e(xr+hr));  z = 1/(1+e(xz+hz))
//	M, K = T(xn + r*hn); n = 2M/K
//
// h and hPrev are plain. h may be hPrev.
func GRUForward(h, gx, gh, hPrev Mat, n, units int) {
	const fn = "GRUForward"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	gx.reads(fn, "gx", n, packedWidth(3, units))
	gh.reads(fn, "gh", n, packedWidth(3, units))
	hPrev.reads(fn, "hPrev", n, units)
	gruForwardOn(use(), h, gx, gh, hPrev, n, units, false)
}

// gruForwardOn is GRUForward or GRUForwardTrain on the path isa.
func gruForwardOn(isa ISA, h, gx, gh, hPrev Mat, n, units int, train bool) {
	switch {
	case isa == Generic:
		gruForwardGeneric(h, gx, gh, hPrev, n, units, train)
	case train:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			gruForwardTrain(isa, t.of(h, 1), t.of(gx, 3), t.of(gh, 3), t.of(hPrev, 1), h.Stride, gx.Stride, gh.Stride, hPrev.Stride, t.rows, t.cols)
		}
	default:
		for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
			gruForward(isa, t.of(h, 1), t.of(gx, 3), t.of(gh, 3), t.of(hPrev, 1), h.Stride, gx.Stride, gh.Stride, hPrev.Stride, t.rows, t.cols)
		}
	}
}

// GRUForwardTrain is GRUForward, with the same bits in h, and leaves in gx the
// activations r,z,n for GRUBackward. In gh it leaves hn; the other two gates of
// gh are unspecified.
func GRUForwardTrain(h, gx, gh, hPrev Mat, n, units int) {
	const fn = "GRUForwardTrain"
	n = size2(fn, n, units)
	h.writes(fn, "h", n, units)
	gx.writes(fn, "gx", n, packedWidth(3, units))
	gh.writes(fn, "gh", n, packedWidth(3, units))
	hPrev.reads(fn, "hPrev", n, units)
	gruForwardOn(use(), h, gx, gh, hPrev, n, units, true)
}

// GRUBackward takes gx and gh as GRUForwardTrain left them with hPrev, and the
// gradient dh of h. It leaves in gx the gradients of xr, xz, xn, in gh those of
// hr, hz, hn, and z, which passes the rest of hPrev's gradient by the gates:
//
//	dn = dh*(1-z)*(1-n²);  dz = dh*(hPrev-n)*z*(1-z);  dr = dn*hn*r*(1-r)
//	gx = dr, dz, dn;       gh = dr, dz, dn*r
//
// The gradient of hPrev is dh*z + gh·W_hh; MulAdd(dhPrev, dh, z) adds the first
// part to the second. z, dh and hPrev are plain.
func GRUBackward(gx, gh, z, dh, hPrev Mat, n, units int) {
	const fn = "GRUBackward"
	n = size2(fn, n, units)
	gx.writes(fn, "gx", n, packedWidth(3, units))
	gh.writes(fn, "gh", n, packedWidth(3, units))
	z.writes(fn, "z", n, units)
	dh.reads(fn, "dh", n, units)
	hPrev.reads(fn, "hPrev", n, units)
	isa := use()
	if isa == Generic {
		gruBackwardGeneric(gx, gh, z, dh, hPrev, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		gruBackward(isa, t.of(gx, 3), t.of(gh, 3), t.of(z, 1), t.of(dh, 1), t.of(hPrev, 1),
			gx.Stride, gh.Stride, z.Stride, dh.Stride, hPrev.Stride, t.rows, t.cols)
	}
}

// MulAdd sets c = a*b + c by fused multiply-adds. All are plain.
func MulAdd(c, a, b Mat, n, units int) {
	const fn = "MulAdd"
	n = size2(fn, n, units)
	c.writes(fn, "c", n, units)
	a.reads(fn, "a", n, units)
	b.reads(fn, "b", n, units)
	isa := use()
	if isa == Generic {
		mulAddRowsGeneric(c, a, b, n, units)
		return
	}
	for t := tiles(n, units); t.rows > 0; t = t.next(n, units) {
		mulAddRows(isa, t.of(c, 1), t.of(a, 1), t.of(b, 1), c.Stride, a.Stride, b.Stride, t.rows, t.cols)
	}
}
