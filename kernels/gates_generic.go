package kernels

func rnnTanhForwardGeneric(h, gates Mat, n, units int) {
	for b := range n {
		h, gates := h.row(b, units), gates.row(b, units)
		for u, x := range gates {
			m, k := tanhRatio(wide(x))
			h[u] = narrow((m + m) / k)
		}
	}
}

func rnnReLUForwardGeneric(h, gates Mat, n, units int) {
	for b := range n {
		h, gates := h.row(b, units), gates.row(b, units)
		for u, x := range gates {
			h[u] = flush(max(x, 0))
		}
	}
}

func rnnTanhBackwardGeneric(dGates, dh, h Mat, n, units int) {
	for b := range n {
		dGates, dh, h := dGates.row(b, units), dh.row(b, units), h.row(b, units)
		for u, d := range dh {
			y := wide(h[u])
			dGates[u] = narrow(wide(d) * (1 - float64(y*y)))
		}
	}
}

func rnnReLUBackwardGeneric(dGates, dh, h Mat, n, units int) {
	for b := range n {
		dGates, dh, h := dGates.row(b, units), dh.row(b, units), h.row(b, units)
		for u, d := range dh {
			if flush(h[u]) > 0 {
				dGates[u] = flush(d)
			} else {
				dGates[u] = 0
			}
		}
	}
}

// lstmForwardGeneric stores the activations if train. p are peepholes, or nil.
func lstmForwardGeneric(h, c, gates, cPrev Mat, p []float32, n, units int, train bool) {
	for b := range n {
		h, c, cPrev := h.row(b, units), c.row(b, units), cPrev.row(b, units)
		gates := gates.row(b, packedWidth(4, units))
		for u := range h {
			gate := unitGates(gates, u)
			c[u] = lstmCell(gate, cPrev[u], p, u, train)
			h[u] = lstmOutput(gate, c[u], c[u], p, u, train)
		}
	}
}

func lstmCellForwardGeneric(c, gates, cPrev Mat, p []float32, n, units int) {
	for b := range n {
		c, cPrev := c.row(b, units), cPrev.row(b, units)
		gates := gates.row(b, packedWidth(4, units))
		for u := range c {
			c[u] = lstmCell(unitGates(gates, u), cPrev[u], p, u, true)
		}
	}
}

func lstmOutputForwardGeneric(h, gates, cNorm, c Mat, p []float32, n, units int) {
	for b := range n {
		h, cNorm, c := h.row(b, units), cNorm.row(b, units), c.row(b, units)
		gates := gates.row(b, packedWidth(4, units))
		for u := range h {
			h[u] = lstmOutput(unitGates(gates, u), cNorm[u], c[u], p, u, true)
		}
	}
}

// unitGates returns the gates of unit u, at multiples of block.
func unitGates(gates []float32, u int) *[3*block + 1]float32 {
	return (*[3*block + 1]float32)(gates[PackedIndex(4, u, 0):])
}

// through adds to x what peephole q of unit u lets through, unless p is nil.
func through(x float32, p []float32, u, q int, c float64) float64 {
	if p == nil {
		return wide(x)
	}
	return float64(wide(p[PackedIndex(3, u, q)])*c) + wide(x)
}

// lstmCell returns c.
func lstmCell(gate *[3*block + 1]float32, cPrev float32, p []float32, u int, train bool) float32 {
	i, f, g, old := &gate[0], &gate[block], &gate[2*block], wide(cPrev)
	hi := 0.5 * (1 + expNeg5(through(*i, p, u, 0, old)))
	df := 1 + expNeg6(through(*f, p, u, 1, old))
	m, k := tanhRatio(wide(*g))
	ri, fo := 1/(hi*k), 1/df
	if train {
		*i = narrow(0.5 * k * ri)
		*f = narrow(fo)
		*g = narrow((m + m) * hi * ri)
	}
	return narrow(float64(fo*old) + float64(m*ri))
}

// lstmOutput returns h.
func lstmOutput(gate *[3*block + 1]float32, cNorm, c float32, p []float32, u int, train bool) float32 {
	o := &gate[3*block]
	ho := 0.5 * (1 + expNeg5(through(*o, p, u, 2, wide(c))))
	m, k := tanhRatio(wide(cNorm))
	if train {
		*o = narrow(0.5 / ho)
	}
	return narrow(m / (ho * k))
}

// lstmBackwardGeneric takes peepholes p, or nil.
func lstmBackwardGeneric(gates, dc, dh, h, cPrev Mat, p []float32, n, units int) {
	for b := range n {
		dc, dh, h, cPrev := dc.row(b, units), dh.row(b, units), h.row(b, units), cPrev.row(b, units)
		gates := gates.row(b, packedWidth(4, units))
		for u := range h {
			gate := unitGates(gates, u)
			dcNorm, do := lstmOutputBack(gate, h[u], dh[u])
			t := wide(dc[u]) + dcNorm
			if p != nil {
				t += float64(do * wide(p[PackedIndex(3, u, 2)]))
			}
			dc[u] = lstmCellBack(gate, t, cPrev[u], p, u)
		}
	}
}

func lstmOutputBackwardGeneric(gates, dcNorm, dc, dh, h Mat, p []float32, n, units int) {
	for b := range n {
		dcNorm, dc, dh, h := dcNorm.row(b, units), dc.row(b, units), dh.row(b, units), h.row(b, units)
		gates := gates.row(b, packedWidth(4, units))
		for u := range h {
			d, do := lstmOutputBack(unitGates(gates, u), h[u], dh[u])
			dcNorm[u] = narrow(d)
			dc[u] = narrow(wide(dc[u]) + float64(do*wide(p[PackedIndex(3, u, 2)])))
		}
	}
}

func lstmCellBackwardGeneric(gates, dc, cPrev Mat, p []float32, n, units int) {
	for b := range n {
		dc, cPrev := dc.row(b, units), cPrev.row(b, units)
		gates := gates.row(b, packedWidth(4, units))
		for u := range dc {
			dc[u] = lstmCellBack(unitGates(gates, u), wide(dc[u]), cPrev[u], p, u)
		}
	}
}

// lstmOutputBack returns the gradients of cNorm and of o's pre-activation.
func lstmOutputBack(gate *[3*block + 1]float32, h, dh float32) (dcNorm, do float64) {
	o, m, d := wide(gate[3*block]), wide(h), wide(dh)
	do = d * m * (1 - o)
	gate[3*block] = narrow(do)
	return float64(d * (o - float64(m*(m/o)))), do
}

// lstmCellBack returns the gradient of cPrev from t, that of c.
func lstmCellBack(gate *[3*block + 1]float32, t float64, cPrev float32, p []float32, u int) float32 {
	i, f, g := wide(gate[0]), wide(gate[block]), wide(gate[2*block])
	di, df := t*i*g*(1-i), t*f*wide(cPrev)*(1-f)
	old := t * f
	if p != nil {
		old += float64(di * wide(p[PackedIndex(3, u, 0)]))
		old += float64(df * wide(p[PackedIndex(3, u, 1)]))
	}
	gate[0], gate[block] = narrow(di), narrow(df)
	gate[2*block] = narrow(t * i * (1 - float64(g*g)))
	return narrow(old)
}

// lstmPeepholeSumsGeneric sets sum to the sums over rows, or adds them.
func lstmPeepholeSumsGeneric(sum []float32, gates, c, cPrev Mat, rows, units int, add bool) {
	for u := range units {
		for q, gate := range [3]int{0, 1, 3} {
			state := cPrev
			if gate == 3 {
				state = c
			}
			var chain float32
			for b := range rows {
				d := wide(*gates.at(b, PackedIndex(4, u, gate)))
				chain = narrow(float64(d*wide(*state.at(b, u))) + float64(chain))
			}
			s := &sum[PackedIndex(3, u, q)]
			if add {
				chain += *s
			}
			*s = chain
		}
	}
}

// gruForwardGeneric stores the activations if train.
func gruForwardGeneric(h, gx, gh, hPrev Mat, n, units int, train bool) {
	for b := range n {
		h, hPrev := h.row(b, units), hPrev.row(b, units)
		gx, gh := gx.row(b, packedWidth(3, units)), gh.row(b, packedWidth(3, units))
		for u := range h {
			p := PackedIndex(3, u, 0)
			x, y := (*[2*block + 1]float32)(gx[p:]), (*[2*block + 1]float32)(gh[p:])

			r := 1 / (1 + expNeg5(wide(x[0])+wide(y[0])))
			z := 1 / (1 + expNeg5(wide(x[block])+wide(y[block])))
			m, k := tanhRatio(wide(x[2*block]) + float64(r*wide(y[2*block])))
			n := (m + m) / k
			h[u] = narrow(n + float64(z*(wide(hPrev[u])-n)))
			if train {
				x[0], x[block], x[2*block] = narrow(r), narrow(z), narrow(n)
			}
		}
	}
}

func gruBackwardGeneric(gx, gh, z, dh, hPrev Mat, n, units int) {
	for b := range n {
		zs, dh, hPrev := z.row(b, units), dh.row(b, units), hPrev.row(b, units)
		gx, gh := gx.row(b, packedWidth(3, units)), gh.row(b, packedWidth(3, units))
		for u := range dh {
			p := PackedIndex(3, u, 0)
			x, y := (*[2*block + 1]float32)(gx[p:]), (*[2*block + 1]float32)(gh[p:])
			r, z, n := wide(x[0]), wide(x[block]), wide(x[2*block])
			d := wide(dh[u])

			dn := d * (1 - z) * (1 - float64(n*n))
			dz := d * (wide(hPrev[u]) - n) * z * (1 - z)
			dr := dn * wide(y[2*block]) * r * (1 - r)
			x[0], x[block], x[2*block] = narrow(dr), narrow(dz), narrow(dn)
			y[0], y[block], y[2*block] = narrow(dr), narrow(dz), narrow(dn*r)
			zs[u] = narrow(z)
		}
	}
}

func mulAddRowsGeneric(c, a, b Mat, n, units int) {
	for i := range n {
		c, a, b := c.row(i, units), a.row(i, units), b.row(i, units)
		for u := range c {
			c[u] = narrow(float64(wide(a[u])*wide(b[u])) + wide(c[u]))
		}
	}
}

// expNeg5 and expNeg6 return exp(-x) within 1e-7 of 1+exp(-x); x counts as at
// most 40 in magnitude, which keeps all products of gates finite.
func expNeg5(x float64) float64 {
	r, s := reduce(x)
	p := float64(r*expNeg5C5) + expNeg5C4
	p = float64(p*r) + expNeg5C3
	p = float64(p*r) + expNeg5C2
	p = float64(p*r) + expNeg5C1
	p = float64(p*r) + expNeg5C0
	return p * s
}

func expNeg6(x float64) float64 {
	r, s := reduce(x)
	p := float64(r*expNeg6C6) + expNeg6C5
	p = float64(p*r) + expNeg6C4
	p = float64(p*r) + expNeg6C3
	p = float64(p*r) + expNeg6C2
	p = float64(p*r) + expNeg6C1
	p = float64(p*r) + expNeg6C0
	return p * s
}

// reduce returns r and s, a power of 2, with exp(-x) = s*exp(-r).
func reduce(x float64) (r, s float64) {
	x = clamp(x, 40)
	n := round(float64(-x * log2E))
	return x + float64(n*ln2), pow2(n)
}

// clamp returns x within ±limit, and NaN for NaN.
func clamp(x, limit float64) float64 {
	if x > limit {
		return limit
	}
	if x < -limit {
		return -limit
	}
	return x
}

// tanhRatio returns m and k with tanh(x) = 2m/k, exactly 1 from 9.02 on. The
// rational function n/q is tanh(x/2), and 2nq/(n²+q²) doubles the argument.
func tanhRatio(x float64) (m, k float64) {
	x = clamp(x, tanhEnd)
	z := x * x
	p := float64(z*tanhNumC5) + tanhNumC3
	p = float64(p*z) + tanhNumC1
	q := float64(z*tanhDenC6) + tanhDenC4
	q = float64(q*z) + tanhDenC2
	q = float64(q*z) + tanhDenC0
	n := x * p
	return n * q, float64(n*n) + float64(q*q)
}
