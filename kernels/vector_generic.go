package kernels

func addGeneric(dst, x, y []float32) {
	for i, v := range x {
		dst[i] = flush(flush(v) + flush(y[i]))
	}
}

func mulGeneric(dst, x, y []float32) {
	for i, v := range x {
		dst[i] = flush(flush(v) * flush(y[i]))
	}
}

func scaleGeneric(dst []float32, alpha float32, x []float32) {
	alpha = flush(alpha)
	for i, v := range x {
		dst[i] = flush(alpha * flush(v))
	}
}

func axpyGeneric(y []float32, alpha float32, x []float32) {
	alpha = flush(alpha)
	for i, v := range x {
		y[i] = flush(float32(alpha*flush(v)) + flush(y[i]))
	}
}

// sumRowsGeneric sets sum to the sum of the rows of a, or adds it.
func sumRowsGeneric(sum []float32, a Mat, rows int, add bool) {
	var chain [sumCols]float32
	for b := range rows {
		for j, v := range a.row(b, len(sum)) {
			chain[j] += flush(v)
		}
	}
	addChain(sum, chain[:], add)
}

// sumRowProductsGeneric is sumRowsGeneric for the products of a and x.
func sumRowProductsGeneric(sum []float32, a, x Mat, rows int, add bool) {
	var chain [sumCols]float32
	for b := range rows {
		x := x.row(b, len(sum))
		for j, v := range a.row(b, len(sum)) {
			chain[j] = narrow(float64(wide(v)*wide(x[j])) + float64(chain[j]))
		}
	}
	addChain(sum, chain[:], add)
}

// addChain sets sum to chain, or adds it.
func addChain(sum, chain []float32, add bool) {
	for j := range sum {
		if add {
			sum[j] += chain[j]
		} else {
			sum[j] = chain[j]
		}
	}
}
