package main

import (
	"fmt"
	"math"

	"github.com/tphakala/simd/f32"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// assembled is an LSTM or RNN that a user would put together from the kernels of
// another Go library. Ready-made recurrent layers for Go are slower.
type assembled struct {
	called
	product       func(y, x []float32, n int, w []float32, m, k int) // y [n][m] = x [n][k]·wᵀ, w [m][k]
	tanh, sigmoid func(dst []float32)                                // in place
}

func newGonum() *assembled {
	each := func(f func(x float64) float64) func([]float32) {
		return func(s []float32) {
			for i, v := range s {
				s[i] = float32(f(float64(v)))
			}
		}
	}
	return &assembled{
		product: func(y, x []float32, n int, w []float32, m, k int) {
			a := blas32.General{Rows: m, Cols: k, Stride: k, Data: w}
			if n == 1 {
				blas32.Gemv(blas.NoTrans, 1, a, blas32.Vector{N: k, Data: x, Inc: 1}, 0, blas32.Vector{N: m, Data: y, Inc: 1})
				return
			}
			blas32.Gemm(blas.NoTrans, blas.Trans, 1, blas32.General{Rows: n, Cols: k, Stride: k, Data: x}, a,
				0, blas32.General{Rows: n, Cols: m, Stride: m, Data: y})
		},
		tanh:    each(math.Tanh),
		sigmoid: each(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }),
	}
}

func newTphakala() *assembled {
	return &assembled{
		product: func(y, x []float32, n int, w []float32, m, k int) {
			for i := range n {
				f32.DotProductStrided(y[i*m:][:m], w, x[i*k:][:k], m, k, k)
			}
		},
		tanh:    func(s []float32) { f32.Tanh(s, s) },
		sigmoid: func(s []float32) { f32.Sigmoid(s, s) },
	}
}

// activate applies the functions of LSTM's gates to a row i,f,g,o of a.
func (l *assembled) activate(a []float32, H int) {
	l.sigmoid(a[:2*H])
	l.tanh(a[2*H : 3*H])
	l.sigmoid(a[3*H:])
}

func (l *assembled) prepare(t *task) ([]float32, error) {
	gates := map[string]int{"LSTM": 4, "RNN": 1}[t.cell]
	if gates == 0 || t.layers > 1 || t.directions > 1 || t.mode.training() {
		return nil, unsupported("LSTM and RNN of one layer, forward only")
	}
	G, B, H := gates*t.H, t.B, t.H
	wIH, wHH, bias := t.params[0].Data, t.params[1].Data, make([]float32, G)
	for i := range bias {
		bias[i] = t.params[2].Data[i] + t.params[3].Data[i]
	}
	a, m, tc := make([]float32, t.T*B*G), make([]float32, B*G), make([]float32, H)
	h, c, y := make([]float32, B*H), make([]float32, B*H), make([]float32, t.outputs())

	steps := func(y, x []float32, T int) {
		l.product(a, x, T*B, wIH, G, t.I)
		for s := range T {
			l.product(m, h, B, wHH, G, H)
			for b := range B {
				z, hb, cb := a[(s*B+b)*G:][:G], h[b*H:][:H], c[b*H:][:H]
				for i, v := range m[b*G:][:G] {
					z[i] += v + bias[i]
				}
				if gates == 1 {
					l.tanh(z)
					copy(hb, z)
					continue
				}
				l.activate(z, H)
				i, f, g, o := z[:H], z[H:][:H], z[2*H:][:H], z[3*H:][:H]
				for j := range cb {
					cb[j] = f[j]*cb[j] + i[j]*g[j]
				}
				copy(tc, cb)
				l.tanh(tc)
				for j := range hb {
					hb[j] = o[j] * tc[j]
				}
			}
			copy(y[s*B*H:], h)
		}
	}
	steps(y, t.x, t.T)
	switch t.mode {
	case forward:
		l.call = func() {
			clear(h)
			clear(c)
			steps(y, t.x, t.T)
		}
	case step:
		out, x := make([]float32, B*H), t.x[:B*t.I]
		l.call = func() { steps(out, x, 1) }
	default:
		return nil, fmt.Errorf("mode %q", t.mode)
	}
	return y, nil
}
