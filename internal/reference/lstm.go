package reference

import "math"

func sigmoid(a float64) float64 { return 1 / (1 + math.Exp(-a)) }

// lstmStep is nn.LSTM's step with layer norm LN and peephole weights P, gate
// order i, f, g, o:
//
//	a = LN(W_ih x) + LN(W_hh h), plain: W_ih x + b_ih + W_hh h + b_hh
//	i, f = sigmoid(a_i + P_i c, a_f + P_f c)   g = tanh(a_g)
//	s  = f c + i g
//	n  = LN(s), plain: s
//	c' = s, of LayerNormB n
//	o  = sigmoid(a_o + P_o c')
//	m  = o tanh(n)
//	h' = m, with projection W_hr m
//
// In LayerNormA, LN of a has the shifts b_ih and b_hh. Backward, dc' including
// what later steps gave:
//
//	dm   = dh', with projection W_hr^T dh'
//	da_o = dm tanh(n) o (1-o)
//	dc'  = dc' + da_o P_o
//	dn   = dm o (1 - tanh(n)^2), of LayerNormB + dc'
//	ds   = LN^T dn, unless LayerNormB + dc'
//	da_i = ds g i (1-i)
//	da_f = ds c f (1-f)
//	da_g = ds i (1-g^2)
//	dc   = ds f + da_i P_i + da_f P_f
//	dP   = da_i c, da_f c, da_o c'
func lstmStep(w weights, x []float64, prev state) (state, backFunc) {
	a, backIH := w.lnIH.forward(w.ih.forward(x))
	q, backHH := w.lnHH.forward(w.hh.forward(prev.h))
	add(a, q)
	H := len(prev.c)
	i, f, g, o := a[:H], a[H:2*H], a[2*H:3*H], a[3*H:]
	pi, pf, po := w.peephole[:H], w.peephole[H:2*H], w.peephole[2*H:]
	s, m := make([]float64, H), make([]float64, H)
	for j, c := range prev.c {
		i[j], f[j], g[j] = sigmoid(i[j]+pi[j]*c), sigmoid(f[j]+pf[j]*c), math.Tanh(g[j])
		s[j] = f[j]*c + i[j]*g[j]
	}
	n, backC := w.lnC.forward(s)
	c := s
	if w.carryLN {
		c = n
	}
	for j := range H {
		o[j] = sigmoid(o[j] + po[j]*c[j])
		m[j] = o[j] * math.Tanh(n[j])
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
		da, dn, dcNew, dc := make([]float64, 4*H), make([]float64, H), make([]float64, H), make([]float64, H)
		dpi, dpf, dpo := dw.peephole[:H], dw.peephole[H:2*H], dw.peephole[2*H:]
		for j := range H {
			tn := math.Tanh(n[j])
			da[3*H+j] = dm[j] * tn * o[j] * (1 - o[j])
			dcNew[j] = d.c[j] + da[3*H+j]*po[j]
			dn[j] = dm[j] * o[j] * (1 - tn*tn)
			dpo[j] += da[3*H+j] * c[j]
		}
		if w.carryLN {
			add(dn, dcNew)
		}
		ds := backC(dw.lnC, dn)
		if !w.carryLN {
			add(ds, dcNew)
		}
		for j, c := range prev.c {
			da[j] = ds[j] * g[j] * i[j] * (1 - i[j])
			da[H+j] = ds[j] * c * f[j] * (1 - f[j])
			da[2*H+j] = ds[j] * i[j] * (1 - g[j]*g[j])
			dc[j] = ds[j]*f[j] + da[j]*pi[j] + da[H+j]*pf[j]
			dpi[j] += da[j] * c
			dpf[j] += da[H+j] * c
		}
		dx := w.ih.backward(dw.ih, x, backIH(dw.lnIH, da))
		return dx, state{h: w.hh.backward(dw.hh, prev.h, backHH(dw.lnHH, da)), c: dc}
	}
	return state{h: h, c: c}, back
}
