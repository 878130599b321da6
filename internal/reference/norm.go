package reference

import "math"

// A norm is layer norm. The zero norm changes nothing; shift may be nil.
type norm struct{ gain, shift []float64 }

// forward returns, with the mean and the biased variance of v,
//
//	LN(v) = gain * n + shift,  n = (v - mean) / sqrt(var + 1e-5)
//
// and the way back, which adds dy * n to d.gain and dy to d.shift, and returns,
// with e = dy * gain,
//
//	dv = (e - mean(e) - n * mean(e * n)) / sqrt(var + 1e-5)
func (l norm) forward(v []float64) (y []float64, back func(d norm, dy []float64) (dv []float64)) {
	if l.gain == nil {
		return v, func(_ norm, dy []float64) []float64 { return dy }
	}
	m, variance := mean(v), 0.0
	for _, x := range v {
		variance += (x - m) * (x - m) / float64(len(v))
	}
	std := math.Sqrt(variance + 1e-5)
	n := make([]float64, len(v))
	for i, x := range v {
		n[i] = (x - m) / std
	}
	y = product(n, l.gain)
	if l.shift != nil {
		add(y, l.shift)
	}

	return y, func(d norm, dy []float64) []float64 {
		add(d.gain, product(dy, n))
		if l.shift != nil {
			add(d.shift, dy)
		}
		e := product(dy, l.gain)
		me, men := mean(e), mean(product(e, n))
		dv := make([]float64, len(v))
		for i := range dv {
			dv[i] = (e[i] - me - n[i]*men) / std
		}
		return dv
	}
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}
