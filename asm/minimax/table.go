package main

import (
	"math"

	"github.com/simdrnn/simdrnn/asm/approx"
)

// table derives the table of tanh. 9.02 is 7.5 distances of points, where tanh
// is 1. Around each multiple of the distance it looks for the float32 whose
// tanh, and with less weight the slope, is nearest to one (S. Gal, "Computing
// elementary functions: a new approach for achieving high accuracy and good
// performance", 1986). The last point is where tanh is 1-2^-23, which no float32
// so near to its multiple is. Its slope is chosen by hand, see [leastSlope].
func table() (t approx.TanhTable) {
	const near = 3000 // floats on each side
	distance := float32(9.02 / 7.5)
	t.PerPoint = float32Of(quo(one, number(float64(distance))))
	t.Slope[0] = 1
	for k := 1; k < len(t.Point)-1; k++ {
		middle := math.Float32bits(float32(k) * distance)
		best := math.Inf(1)
		for b := middle - near; b <= middle+near; b++ {
			c := math.Float32frombits(b)
			v := tanh(number(float64(c)))
			s := sub(one, mul(v, v))
			if badness := fromFloat32(v) + 0.3*fromFloat32(s); badness < best {
				best = badness
				t.Point[k], t.Value[k], t.Slope[k] = c, float32Of(v), float32Of(s)
			}
		}
	}
	v := 1 - 0x1p-23
	t.Point[7], t.Value[7] = float32(math.Log((1+v)/(1-v))/2), float32(v)
	t.Slope[7] = approx.Table.Slope[7]
	return t
}

// fromFloat32 is the distance of x from the next float32, relative to x.
func fromFloat32(x num) float64 { return math.Abs(float64Of(quo(sub(rounded(x), x), x))) }

// leastSlope returns the least slope of the last point with which tanh ends at
// 1, before the result is rounded: it must come to 1-2^-25. More makes an error
// on the other side of the point.
func leastSlope(t approx.TanhTable) float64 {
	v := number(float64(t.Value[7]))
	w := tanh(sub(number(float64(approx.TanhEnd)), number(float64(t.Point[7]))))
	missing := sub(sub(one, number(0x1p-25)), v)
	return float64Of(quo(mul(missing, add(one, mul(v, w))), w))
}

// tableError returns the largest relative error of the tanh that the table and
// the polynomial in use give without rounding, and where it is.
func tableError(t approx.TanhTable) (most, at float64) {
	const n = 3200
	c := tasks()[0].inUse()
	for i := 1; i <= n; i++ {
		x := mul(number(float64(approx.TanhEnd)), quo(number(float64(i)), number(n)))
		k := int(math.RoundToEven(float64Of(mul(x, number(float64(t.PerPoint))))))
		d := sub(x, number(float64(t.Point[k])))
		y, _ := polynomial(2)(d, c)
		w := mul(d, y)
		v := number(float64(t.Value[k]))
		got := add(v, quo(mul(w, number(float64(t.Slope[k]))), add(one, mul(v, w))))
		want := tanh(x)
		if e := math.Abs(float64Of(quo(sub(got, want), want))); e > most {
			most, at = e, float64Of(x)
		}
	}
	return most, at
}
