package reference

import "math"

// gruStep is nn.GRU's step, gate order r, z, n, with u = W_ih x + b_ih and
// q = W_hh h + b_hh:
//
//	r = sigmoid(u_r + q_r)
//	z = sigmoid(u_z + q_z)
//	n = tanh(u_n + r q_n)
//	h' = (1-z) n + z h
//
// and backward, du and dq being the gradients of u and q:
//
//	da_n = dh' (1-z) (1-n^2)
//	da_z = dh' (h-n) z (1-z)
//	da_r = da_n q_n r (1-r)
//	du   = da_r, da_z, da_n
//	dq   = da_r, da_z, da_n r
//	dh   = W_hh^T dq + dh' z
func gruStep(w weights, x []float64, prev state) (state, backFunc) {
	u, q := w.ih.forward(x), w.hh.forward(prev.h)
	H := len(prev.h)
	r, z, n := make([]float64, H), make([]float64, H), make([]float64, H)
	h := make([]float64, H)
	qn := q[2*H:]
	for j := range H {
		r[j] = sigmoid(u[j] + q[j])
		z[j] = sigmoid(u[H+j] + q[H+j])
		n[j] = math.Tanh(u[2*H+j] + r[j]*qn[j])
		h[j] = (1-z[j])*n[j] + z[j]*prev.h[j]
	}

	back := func(dw weights, d state) ([]float64, state) {
		du, dq := make([]float64, 3*H), make([]float64, 3*H)
		for j := range H {
			dan := d.h[j] * (1 - z[j]) * (1 - n[j]*n[j])
			daz := d.h[j] * (prev.h[j] - n[j]) * z[j] * (1 - z[j])
			dar := dan * qn[j] * r[j] * (1 - r[j])
			du[j], du[H+j], du[2*H+j] = dar, daz, dan
			dq[j], dq[H+j], dq[2*H+j] = dar, daz, dan*r[j]
		}
		dx := w.ih.backward(dw.ih, x, du)
		dh := w.hh.backward(dw.hh, prev.h, dq)
		for j := range dh {
			dh[j] += d.h[j] * z[j]
		}
		return dx, state{h: dh}
	}
	return state{h: h}, back
}
