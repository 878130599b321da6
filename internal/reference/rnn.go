package reference

import "math"

// An activation is a function and its derivative in terms of its result y.
type activation struct {
	f     func(a float64) float64
	slope func(y float64) float64
}

var (
	tanh = activation{math.Tanh, func(y float64) float64 { return 1 - y*y }}

	relu = activation{
		func(a float64) float64 { return max(a, 0) },
		func(y float64) float64 {
			if y > 0 {
				return 1
			}
			return 0
		},
	}
)

// rnnStep is nn.RNN's step,
//
//	h' = act(W_ih x + b_ih + W_hh h + b_hh),
//
// and backward da = dh' act'.
func rnnStep(act activation) stepFunc {
	return func(w weights, x []float64, prev state) (state, backFunc) {
		h := w.ih.forward(x)
		add(h, w.hh.forward(prev.h))
		for j := range h {
			h[j] = act.f(h[j])
		}

		back := func(dw weights, d state) ([]float64, state) {
			da := make([]float64, len(h))
			for j := range da {
				da[j] = d.h[j] * act.slope(h[j])
			}
			dx := w.ih.backward(dw.ih, x, da)
			return dx, state{h: w.hh.backward(dw.hh, prev.h, da)}
		}
		return state{h: h}, back
	}
}
