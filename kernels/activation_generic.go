package kernels

import "math"

// The generic activations and gates are the formulas of the SIMD paths in
// float64: scalar code is as fast so, and the missing fused multiply-add costs
// no accuracy. float64(x*y)+z is never fused, so they have the same bits on
// every machine.

// wide converts x, which counts as zero if it is subnormal.
func wide(x float32) float64 { return float64(flush(x)) }

// flush returns x, or zero of its sign if x is subnormal.
func flush(x float32) float32 {
	if b := math.Float32bits(x); b&0x7f800000 == 0 {
		return math.Float32frombits(b & (1 << 31))
	}
	return x
}

// narrow rounds x and flushes it.
func narrow(x float64) float32 { return flush(float32(x)) }

func tanhGeneric(dst, src []float32) {
	for i, x := range src {
		dst[i] = float32(math.Copysign(tanh64(math.Abs(wide(x))), float64(x)))
	}
}

// tanh64 takes a >= 0 or NaN.
func tanh64(a float64) float64 {
	a = clamp(a, tanhEnd)
	n := round(float64(a * (-2 * log2E)))
	r := a + float64(n*(ln2/2))
	t := float64(r*tanhC6) + tanhC5
	t = float64(t*r) + tanhC4
	t = float64(t*r) + tanhC3
	t = float64(t*r) + tanhC2
	t = float64(t*float64(r*r)) + r
	s := pow2(n)
	st := float64(2 * s * t)
	return (1 - s + st) / (1 + s - st)
}

func sigmoidGeneric(dst, src []float32) {
	for i, x := range src {
		dst[i] = narrow(sigmoid64(wide(x)))
	}
}

const (
	log2E = 0x1.71547652b82fep0
	ln2   = 0x1.62e42fefa39efp-1
)

func expGeneric(dst, src []float32) {
	for i, x := range src {
		dst[i] = exp32(x)
	}
}

func exp32(x float32) float32 {
	s, q := expParts(clamp(wide(x), 89))
	return narrow(s + float64(q*s))
}

func sigmoid64(x float64) float64 {
	s, q := expParts(-clamp(x, 88))
	return 1 / (float64(q*s) + s + 1)
}

// expParts returns s, a power of 2, and q with exp(x) = s + s*q.
func expParts(x float64) (s, q float64) {
	n := round(float64(x * log2E))
	r := x - float64(n*ln2)
	q = float64(r*expC6) + expC5
	q = float64(q*r) + expC4
	q = float64(q*r) + expC3
	q = float64(q*r) + expC2
	return pow2(n), float64(q*float64(r*r)) + r
}

// round returns the whole number next to x, for |x| < 2^51.
func round(x float64) float64 {
	const magic = 0x1.8p52 // its last bit counts ones
	return float64(x+magic) - magic
}

// pow2 returns 2^n for a whole n in the range of a float64's exponent.
func pow2(n float64) float64 { return math.Float64frombits(uint64(int64(n)+1023) << 52) }
