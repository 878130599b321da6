package kernels

// Add sets dst[i] = x[i] + y[i]. dst may be x or y. It panics if the lengths
// differ.
func Add(dst, x, y []float32) {
	const fn = "Add"
	writes(fn, "dst", dst, len(x))
	reads(fn, "x", x, len(x))
	reads(fn, "y", y, len(x))
	isa := use()
	if isa == Generic {
		addGeneric(dst, x, y)
		return
	}
	for i := 0; i < len(dst); i += maxWork {
		add(isa, &dst[i], &x[i], &y[i], min(maxWork, len(dst)-i))
	}
}

// Mul sets dst[i] = x[i] * y[i]. dst may be x or y. It panics if the lengths
// differ.
func Mul(dst, x, y []float32) {
	const fn = "Mul"
	writes(fn, "dst", dst, len(x))
	reads(fn, "x", x, len(x))
	reads(fn, "y", y, len(x))
	isa := use()
	if isa == Generic {
		mulGeneric(dst, x, y)
		return
	}
	for i := 0; i < len(dst); i += maxWork {
		mul(isa, &dst[i], &x[i], &y[i], min(maxWork, len(dst)-i))
	}
}

// Scale sets dst[i] = alpha * x[i]. dst may be x. It panics if the lengths
// differ.
func Scale(dst []float32, alpha float32, x []float32) {
	const fn = "Scale"
	writes(fn, "dst", dst, len(x))
	reads(fn, "x", x, len(x))
	scaleBy(use(), dst, alpha, x)
}

func scaleBy(isa ISA, dst []float32, alpha float32, x []float32) {
	if isa == Generic {
		scaleGeneric(dst, alpha, x)
		return
	}
	for i := 0; i < len(dst); i += maxWork {
		scale(isa, &dst[i], &x[i], min(maxWork, len(dst)-i), alpha)
	}
}

// Axpy sets y[i] = alpha*x[i] + y[i] by fused multiply-adds. y may be x. It
// panics if the lengths differ.
func Axpy(y []float32, alpha float32, x []float32) {
	const fn = "Axpy"
	writes(fn, "y", y, len(x))
	reads(fn, "x", x, len(x))
	isa := use()
	if isa == Generic {
		axpyGeneric(y, alpha, x)
		return
	}
	for i := 0; i < len(y); i += maxWork {
		axpy(isa, &y[i], &x[i], min(maxWork, len(y)-i), alpha)
	}
}

// sumCols is the number of columns that sumRows takes at once.
const sumCols = 64

// AddRows adds the rows of a [n][len(dst)] to dst:
//
//	for b0 := 0; b0 < n; b0 += 256 {
//		chain := 0
//		for b := range rows b0 to b0+256 {
//			chain += a[b][j]
//		}
//		sum[j] += chain // the first chain: sum[j] = chain
//	}
//	dst[j] += sum[j]
//
// With n = 0 dst stays as it is. dst must not overlap a. It panics if a is too
// small.
func AddRows(dst []float32, a Mat, n int) {
	const fn = "AddRows"
	size(fn, "n", n)
	raceWrite(dst)
	a.reads(fn, "a", n, len(dst))
	addRows(use(), dst, a, Mat{}, n)
}

// AddRowProducts adds to dst the sum over rows of a*b, both [n][len(dst)], in the
// order of AddRows, with chain = fma(a[b][j], b[b][j], chain). dst must not overlap
// a or b. It panics if a or b is too small.
func AddRowProducts(dst []float32, a, b Mat, n int) {
	const fn = "AddRowProducts"
	size(fn, "n", n)
	raceWrite(dst)
	a.reads(fn, "a", n, len(dst))
	b.reads(fn, "b", n, len(dst))
	addRows(use(), dst, a, b, n)
}

// addRows is AddRows, or AddRowProducts if x has data, on the path isa.
func addRows(isa ISA, dst []float32, a, x Mat, n int) {
	if n == 0 {
		return
	}
	for j := 0; j < len(dst); j += sumCols {
		var sum [sumCols]float32
		d := dst[j:min(j+sumCols, len(dst))]
		for b := 0; b < n; b += kChain {
			rows := min(kChain, n-b)
			switch {
			case isa == Generic && x.Data == nil:
				sumRowsGeneric(sum[:len(d)], a.from(b, j), rows, b > 0)
			case isa == Generic:
				sumRowProductsGeneric(sum[:len(d)], a.from(b, j), x.from(b, j), rows, b > 0)
			case x.Data == nil:
				sumRows(isa, &sum[0], a.at(b, j), a.Stride, rows, len(d), min(b, 1))
			default:
				sumRowProducts(isa, &sum[0], a.at(b, j), x.at(b, j), a.Stride, x.Stride, rows, len(d), min(b, 1))
			}
		}
		for i := range d {
			d[i] += sum[i]
		}
	}
}
