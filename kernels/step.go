package kernels

import "strconv"

// Steps of one sequence. What a small network needs is done in one call of
// assembly, with the bits of the separate functions.

// LSTMStep computes one step of one sequence:
//
//	Gemv(gates, x, wih, bias)
//	GemmAdd(gates, hPrev, whh)
//	LSTMForward(h, c, gates, cPrev)
//
// without the first line if wih is nil: gates holds the x part then. gates, and
// bias unless it is nil, have the Width of whh; h, c, hPrev and cPrev have its
// Units elements, x has K of wih. h may be hPrev and c may be cPrev. It panics if
// a length is wrong, or unless whh has 4 gates and as many units as inputs, and
// wih the same gates and units.
func LSTMStep(h, c, gates, hPrev, cPrev []float32, whh *Panels, x []float32, wih *Panels, bias []float32) {
	const fn = "LSTMStep"
	checkStep(fn, 4, whh, wih, x, bias)
	writes(fn, "h", h, whh.units)
	writes(fn, "c", c, whh.units)
	writes(fn, "gates", gates, whh.Width())
	reads(fn, "hPrev", hPrev, whh.units)
	reads(fn, "cPrev", cPrev, whh.units)
	isa := use()
	if isa != Generic && oneCall(whh, wih) {
		var products [2]gemmTask
		n := 0
		if wih != nil {
			products[0] = rowTask(gates, x, wih, bias, false)
			n = 1
		}
		products[n] = rowTask(gates, hPrev, whh, nil, true)
		lstmStep(isa, &products, n+1, &h[0], &c[0], &gates[0], &cPrev[0], whh.units)
		return
	}
	if wih != nil {
		gemm(isa, rowMat(gates), rowMat(x), 1, wih, bias, false)
	}
	gemm(isa, rowMat(gates), rowMat(hPrev), 1, whh, nil, true)
	lstmForwardOn(isa, rowMat(h), rowMat(c), rowMat(gates), rowMat(cPrev), 1, whh.units)
}

// GRUStep computes one step of one sequence:
//
//	Gemv(gx, x, wih, bih)
//	Gemv(gh, hPrev, whh, bhh)
//	GRUForward(h, gx, gh, hPrev)
//
// without the first line if wih is nil: gx holds the x part then. gx, gh, and bih
// and bhh unless they are nil, have the Width of whh; h and hPrev have its Units
// elements, x has K of wih. h may be hPrev. It panics if a length is wrong, or
// unless whh has 3 gates and as many units as inputs, and wih the same gates and
// units.
func GRUStep(h, gx, gh, hPrev []float32, whh *Panels, bhh, x []float32, wih *Panels, bih []float32) {
	const fn = "GRUStep"
	checkStep(fn, 3, whh, wih, x, bih)
	writes(fn, "h", h, whh.units)
	writes(fn, "gx", gx, whh.Width())
	writes(fn, "gh", gh, whh.Width())
	reads(fn, "hPrev", hPrev, whh.units)
	if bhh != nil {
		reads(fn, "bhh", bhh, whh.Width())
	}
	isa := use()
	if isa != Generic && oneCall(whh, wih) {
		var products [2]gemmTask
		n := 0
		if wih != nil {
			products[0] = rowTask(gx, x, wih, bih, false)
			n = 1
		}
		products[n] = rowTask(gh, hPrev, whh, bhh, false)
		gruStep(isa, &products, n+1, &h[0], &gx[0], &gh[0], &hPrev[0], whh.units)
		return
	}
	if wih != nil {
		gemm(isa, rowMat(gx), rowMat(x), 1, wih, bih, false)
	}
	gemm(isa, rowMat(gh), rowMat(hPrev), 1, whh, bhh, false)
	gruForwardOn(isa, rowMat(h), rowMat(gx), rowMat(gh), rowMat(hPrev), 1, whh.units)
}

// checkStep checks the weights, the input and its bias.
func checkStep(fn string, gates int, whh, wih *Panels, x, bias []float32) {
	switch {
	case whh.gates != gates:
		bad(fn, "whh.Gates()", whh.gates, strconv.Itoa(gates))
	case whh.k != whh.units:
		bad(fn, "whh.K()", whh.k, strconv.Itoa(whh.units))
	case wih == nil:
		raceRead(whh.data)
		return
	case wih.gates != gates:
		bad(fn, "wih.Gates()", wih.gates, strconv.Itoa(gates))
	case wih.units != whh.units:
		bad(fn, "wih.Units()", wih.units, strconv.Itoa(whh.units))
	}
	reads(fn, "x", x, wih.k)
	if bias != nil {
		reads(fn, "bias", bias, wih.Width())
	}
	raceRead(whh.data)
	raceRead(wih.data)
}

// oneCall says whether the products of a step are single chains, and few enough
// for one call of assembly.
func oneCall(whh, wih *Panels) bool {
	k, longest := whh.k, whh.k
	if wih != nil {
		k += wih.k
		longest = max(longest, wih.k)
	}
	weights := k * whh.Width()
	return whh.units > 0 && longest <= kChain && weights <= maxProducts && 4*weights <= maxWeights
}

// rowMat returns the matrix of one row.
func rowMat(x []float32) Mat { return Mat{x, len(x)} }
