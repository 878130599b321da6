package kernels

import "math"

// lanes are the partial sums of a piece.
type lanes [64]float32

// sum adds the upper half to the lower one until one lane is left.
func (l *lanes) sum() float32 {
	for w := len(l) / 2; w > 0; w /= 2 {
		for i := range w {
			l[i] += l[i+w]
		}
	}
	return flush(l[0])
}

func sumGeneric(x []float32) float32 {
	var l lanes
	for j, v := range x {
		l[j%len(l)] += flush(v)
	}
	return l.sum()
}

func dotGeneric(x, y []float32) float32 {
	var l lanes
	for j, v := range x {
		l[j%len(l)] += float32(flush(v) * flush(y[j]))
	}
	return l.sum()
}

func maxAbsGeneric(x []float32) (top float32) {
	for _, v := range x {
		top = max(top, math.Float32frombits(math.Float32bits(v)&^(1<<31)))
	}
	return top
}

func maxGeneric(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		top = max(top, flush(v))
	}
	return top
}

// expSumGeneric stores nothing if dst is nil.
func expSumGeneric(dst, src []float32, top float32) float32 {
	var l lanes
	top = flush(top)
	for j, v := range src {
		e := exp32(flush(v) - top)
		if dst != nil {
			dst[j] = e
		}
		l[j%len(l)] += e
	}
	return l.sum()
}
