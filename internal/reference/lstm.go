package reference

import "math"

func sigmoid(a float64) float64 { return 1 / (1 + math.Exp(-a)) }

// lstmStep is nn.LSTM's step, gate order i, f, g, o:
//
//	a = W_ih x + b_ih + W_hh h + b_hh
//	i, f, o = sigmoid(a_i, a_f, a_o)   g = tanh(a_g)
//	c' = f c + i g
//	m  = o tanh(c')
//	h' = m, with projection W_hr m
//
// and backward, dc' including what later steps gave:
//
//	dm    = dh', with projection W_hr^T dh'
//	dct   = dc' + dm o (1 - tanh(c')^2)
//	da_i  = dct g i (1-i)
//	da_f  = dct c f (1-f)
//	da_g  = dct i (1-g^2)
//	da_o  = dm tanh(c') o (1-o)
//	dc    = dct f
func lstmStep(w weights, x []float64, prev state) (state, backFunc) {
	a := w.ih.forward(x)
	add(a, w.hh.forward(prev.h))
	H := len(prev.c)
	i, f, g, o := a[:H], a[H:2*H], a[2*H:3*H], a[3*H:]
	c, m := make([]float64, H), make([]float64, H)
	for j := range H {
		i[j], f[j], g[j], o[j] = sigmoid(i[j]), sigmoid(f[j]), math.Tanh(g[j]), sigmoid(o[j])
		c[j] = f[j]*prev.c[j] + i[j]*g[j]
		m[j] = o[j] * math.Tanh(c[j])
	}
	h := m
	if w.hr.W != nil {
		h = w.hr.forward(m)
	}

	back := func(dw weights, d state) ([]float64, state) {
		dm := d.h
		if w.hr.W != nil {
			dm = w.hr.backward(dw.hr, m, d.h)
		}
		da, dc := make([]float64, 4*H), make([]float64, H)
		for j := range H {
			tc := math.Tanh(c[j])
			dct := d.c[j] + dm[j]*o[j]*(1-tc*tc)
			da[j] = dct * g[j] * i[j] * (1 - i[j])
			da[H+j] = dct * prev.c[j] * f[j] * (1 - f[j])
			da[2*H+j] = dct * i[j] * (1 - g[j]*g[j])
			da[3*H+j] = dm[j] * tc * o[j] * (1 - o[j])
			dc[j] = dct * f[j]
		}
		dx := w.ih.backward(dw.ih, x, da)
		return dx, state{h: w.hh.backward(dw.hh, prev.h, da), c: dc}
	}
	return state{h: h, c: c}, back
}
