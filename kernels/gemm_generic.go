package kernels

func gemmGeneric(c, a Mat, n int, w *Panels, bias []float32, add bool) {
	productGeneric(c, a, n, w, bias, add, false)
}

func gemmTNGeneric(c, a Mat, gates, units, lo, hi int, b *Panels, add bool) {
	for g := range gates {
		for u := lo; u < hi; u += block {
			inputs := a
			if b.k > 0 {
				inputs = a.from(0, PackedIndex(gates, u, g))
			}
			productGeneric(c.from(g*units+u, 0), inputs, min(block, hi-u), b, nil, add, true)
		}
	}
}

// productGeneric multiplies the rows of a, or its columns if trans, by w.
func productGeneric(c, a Mat, rows int, w *Panels, bias []float32, add, trans bool) {
	var buf [kChain]float32
	for i := range w.len() {
		panel, nb := w.panel(i)
		col := i * w.blocksPerPanel() * block
		cols := min(nb*block, w.Width()-col)
		for b := range rows {
			var sum, chain [4 * block]float32
			if bias != nil {
				copy(sum[:cols], bias[col:])
			}
			for k := 0; k < w.k; k += kChain {
				if k == 0 {
					chain = sum
				} else {
					clear(chain[:])
				}
				x := buf[:min(kChain, w.k-k)]
				if trans {
					for j := range x {
						x[j] = a.Data[(k+j)*a.Stride+b]
					}
				} else {
					x = a.Data[b*a.Stride+k:][:len(x)]
				}
				chainGeneric(&chain, x, panel[k*nb*block:], nb)
				for j, v := range chain {
					if k == 0 {
						sum[j] = v
					} else {
						sum[j] += v
					}
				}
			}
			out := c.Data[b*c.Stride+col:][:cols]
			for j := range out {
				if add {
					sum[j] += out[j]
				}
				out[j] = flush(sum[j])
			}
		}
	}
}

// chainGeneric continues the chains of a panel's nb blocks by the inputs x, one
// or two k blocks.
func chainGeneric(chain *[4 * block]float32, x, w []float32, nb int) {
	for len(x) > 0 {
		kn := min(kBlock, len(x))
		for b := range nb {
			for j := 0; j < block; j += 8 {
				dot8((*[8]float32)(chain[b*block+j:]), x[:kn], w[:kn*block], j)
			}
			w = w[kn*block:]
		}
		x = x[kn:]
	}
}

// dot8 adds the products of x and 8 columns of w [len(x)][16] from column j on.
// Eight sums fit into registers everywhere.
func dot8(sum *[8]float32, x, w []float32, j int) {
	s0, s1, s2, s3, s4, s5, s6, s7 := sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7]
	for i, v := range x {
		p := (*[8]float32)(w[i*block+j:])
		s0 += float32(v * p[0])
		s1 += float32(v * p[1])
		s2 += float32(v * p[2])
		s3 += float32(v * p[3])
		s4 += float32(v * p[4])
		s5 += float32(v * p[5])
		s6 += float32(v * p[6])
		s7 += float32(v * p[7])
	}
	*sum = [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
}
