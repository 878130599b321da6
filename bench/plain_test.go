package bench

import "math"

// The plain implementation is what one writes first: float32 slices, scalar
// loops and package math. It allocates nothing after construction.

// plainLayer is a recurrent layer with PyTorch's parameters: LSTM with 4 gates
// i,f,g,o, GRU with 3, r,z,n, tanh RNN with 1.
type plainLayer struct {
	gates, T, B, I, H      int
	wIH, wHH, bIH, bHH     []float32 // [gates*H,I], [gates*H,H], [gates*H] twice
	dwIH, dwHH, dbIH, dbHH []float32
	x                      []float32 // [T,B,I]
	a                      []float32 // activated gates [T,B,gates*H]
	m                      []float32 // what GRU's r multiplies [T,B,H]
	h, c                   []float32 // [T+1,B,H], from the state before the first step
	dh, dc                 []float32 // [B,H]
	da, dm                 []float32 // [gates*H], of the products with x and with h
}

func newPlainLayer(gates, T, B, I, H int) *plainLayer {
	f := func(n int) []float32 { return make([]float32, n) }
	G := gates * H
	return &plainLayer{
		gates: gates, T: T, B: B, I: I, H: H,
		wIH: f(G * I), wHH: f(G * H), bIH: f(G), bHH: f(G),
		dwIH: f(G * I), dwHH: f(G * H), dbIH: f(G), dbHH: f(G),
		a: f(T * B * G), m: f(T * B * H), h: f((T + 1) * B * H), c: f((T + 1) * B * H),
		dh: f(B * H), dc: f(B * H), da: f(G), dm: f(G),
	}
}

func plainTanh(x float32) float32    { return float32(math.Tanh(float64(x))) }
func plainSigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// at returns row b of step t of s, whose rows have n elements.
func (l *plainLayer) at(s []float32, t, b, n int) []float32 { return s[(t*l.B+b)*n:][:n] }

// forward returns the outputs [T,B,H] of x [T,B,I] from a zero state.
func (l *plainLayer) forward(x []float32) []float32 {
	l.x = x
	for t := range l.T {
		l.step(t)
	}
	return l.h[l.B*l.H:]
}

// step computes the state after step t.
func (l *plainLayer) step(t int) {
	H, G := l.H, l.gates*l.H
	for b := range l.B {
		x, h := l.at(l.x, t, b, l.I), l.at(l.h, t, b, H)
		a, m := l.at(l.a, t, b, G), l.at(l.m, t, b, H)
		for j := range a {
			s := l.bIH[j]
			w := l.wIH[j*l.I:][:l.I]
			for k, v := range x {
				s += w[k] * v
			}
			r := l.bHH[j]
			w = l.wHH[j*H:][:H]
			for k, v := range h {
				r += w[k] * v
			}
			if l.gates == 3 && j >= 2*H {
				m[j-2*H], r = r, 0
			}
			a[j] = s + r
		}
		hNext := l.at(l.h, t+1, b, H)
		if l.gates == 1 {
			for j, v := range a {
				a[j] = plainTanh(v)
				hNext[j] = a[j]
			}
			continue
		}
		if l.gates == 3 {
			r, z, n := a[:H], a[H:2*H], a[2*H:]
			for j := range hNext {
				r[j], z[j] = plainSigmoid(r[j]), plainSigmoid(z[j])
				n[j] = plainTanh(n[j] + r[j]*m[j])
				hNext[j] = n[j] + z[j]*(h[j]-n[j])
			}
			continue
		}
		c, cNext := l.at(l.c, t, b, H), l.at(l.c, t+1, b, H)
		i, f, g, o := a[:H], a[H:2*H], a[2*H:3*H], a[3*H:]
		for j := range hNext {
			i[j], f[j], g[j], o[j] = plainSigmoid(i[j]), plainSigmoid(f[j]), plainTanh(g[j]), plainSigmoid(o[j])
			cNext[j] = f[j]*c[j] + i[j]*g[j]
			hNext[j] = o[j] * plainTanh(cNext[j])
		}
	}
}

// backward adds the gradients of the parameters; dy is [T,B,H].
func (l *plainLayer) backward(dy []float32) {
	clear(l.dh)
	clear(l.dc)
	H, da, dm := l.H, l.da, l.da
	if l.gates == 3 {
		dm = l.dm
	}
	for t := l.T - 1; t >= 0; t-- {
		for b := range l.B {
			dh, dc := l.dh[b*H:][:H], l.dc[b*H:][:H]
			for j, v := range l.at(dy, t, b, H) {
				dh[j] += v
			}
			x, h := l.at(l.x, t, b, l.I), l.at(l.h, t, b, H)
			a := l.at(l.a, t, b, l.gates*H)
			switch l.gates {
			case 1:
				for j, v := range a {
					da[j] = dh[j] * (1 - v*v)
				}
				clear(dh)
			case 3:
				m := l.at(l.m, t, b, H)
				r, z, n := a[:H], a[H:2*H], a[2*H:]
				for j, d := range dh {
					dn := d * (1 - z[j]) * (1 - n[j]*n[j])
					da[j] = dn * m[j] * r[j] * (1 - r[j])
					da[H+j] = d * (h[j] - n[j]) * z[j] * (1 - z[j])
					da[2*H+j] = dn
					dm[j], dm[H+j], dm[2*H+j] = da[j], da[H+j], dn*r[j]
					dh[j] = d * z[j]
				}
			default:
				c, cNext := l.at(l.c, t, b, H), l.at(l.c, t+1, b, H)
				i, f, g, o := a[:H], a[H:2*H], a[2*H:3*H], a[3*H:]
				for j := range dh {
					tc := plainTanh(cNext[j])
					dcj := dc[j] + dh[j]*o[j]*(1-tc*tc)
					da[j] = dcj * g[j] * i[j] * (1 - i[j])
					da[H+j] = dcj * c[j] * f[j] * (1 - f[j])
					da[2*H+j] = dcj * i[j] * (1 - g[j]*g[j])
					da[3*H+j] = dh[j] * tc * o[j] * (1 - o[j])
					dc[j] = dcj * f[j]
				}
				clear(dh)
			}
			for j, d := range da {
				l.dbIH[j] += d
				dw := l.dwIH[j*l.I:][:l.I]
				for k, v := range x {
					dw[k] += d * v
				}
				d = dm[j]
				l.dbHH[j] += d
				dw, w := l.dwHH[j*H:][:H], l.wHH[j*H:][:H]
				for k, v := range h {
					dw[k] += d * v
					dh[k] += d * w[k]
				}
			}
		}
	}
}

// params returns the parameters and their gradients.
func (l *plainLayer) params() (data, grad [][]float32) {
	return [][]float32{l.wIH, l.wHH, l.bIH, l.bHH}, [][]float32{l.dwIH, l.dwHH, l.dbIH, l.dbHH}
}

// plainAdam is Adam with the default betas and eps.
type plainAdam struct {
	lr                         float64
	data, grad, moment, square [][]float32
	t                          int
}

func newPlainAdam(data, grad [][]float32, lr float64) *plainAdam {
	a := &plainAdam{lr: lr, data: data, grad: grad}
	for _, p := range data {
		a.moment = append(a.moment, make([]float32, len(p)))
		a.square = append(a.square, make([]float32, len(p)))
	}
	return a
}

func (a *plainAdam) zeroGrad() {
	for _, g := range a.grad {
		clear(g)
	}
}

func (a *plainAdam) step() {
	a.t++
	const beta1, beta2, eps = .9, .999, 1e-8
	size := float32(a.lr / (1 - math.Pow(beta1, float64(a.t))))
	root := float32(math.Sqrt(1 - math.Pow(beta2, float64(a.t))))
	for i, p := range a.data {
		m, v := a.moment[i], a.square[i]
		for j, g := range a.grad[i] {
			m[j] += (1 - beta1) * (g - m[j])
			v[j] = beta2*v[j] + (1-beta2)*g*g
			p[j] -= size * m[j] / (float32(math.Sqrt(float64(v[j])))/root + eps)
		}
	}
}

// plainModel is the model of the example nextword: logits = h w' + b with h the
// last output and w [C,H], cross entropy, Adam.
type plainModel struct {
	*plainLayer
	C            int
	w, b, dw, db []float32
	dlogits, dy  []float32 // [B,C], [T,B,H]
	opt          *plainAdam
}

func newPlainModel(l *plainLayer, C int, lr float64) *plainModel {
	f := func(n int) []float32 { return make([]float32, n) }
	m := &plainModel{
		plainLayer: l, C: C,
		w: f(C * l.H), b: f(C), dw: f(C * l.H), db: f(C),
		dlogits: f(l.B * C), dy: f(l.T * l.B * l.H),
	}
	data, grad := l.params()
	m.opt = newPlainAdam(append(data, m.w, m.b), append(grad, m.dw, m.db), lr)
	return m
}

// epoch makes one training step on x [T,B,I] and returns the cost before it.
func (m *plainModel) epoch(x []float32, targets []int) float32 {
	last := (m.T - 1) * m.B * m.H
	y, dy := m.forward(x)[last:], m.dy[last:]
	clear(dy)
	m.opt.zeroGrad()
	var cost float64
	for b, target := range targets {
		h, dh := y[b*m.H:][:m.H], dy[b*m.H:][:m.H]
		p := m.dlogits[b*m.C:][:m.C]
		top := float32(math.Inf(-1))
		for c := range p {
			s := m.b[c]
			w := m.w[c*m.H:][:m.H]
			for k, v := range h {
				s += w[k] * v
			}
			p[c] = s
			top = max(top, s)
		}
		var sum float64
		logit := p[target]
		for c, v := range p {
			e := math.Exp(float64(v - top))
			sum += e
			p[c] = float32(e)
		}
		cost += math.Log(sum) - float64(logit-top)
		for c := range p {
			p[c] = float32(float64(p[c]) / sum)
		}
		p[target]--
		for c := range p {
			d := p[c] / float32(m.B)
			m.db[c] += d
			w, dw := m.w[c*m.H:][:m.H], m.dw[c*m.H:][:m.H]
			for k, v := range h {
				dw[k] += d * v
				dh[k] += d * w[k]
			}
		}
	}
	m.backward(m.dy)
	m.opt.step()
	return float32(cost / float64(m.B))
}
