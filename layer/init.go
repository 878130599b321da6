package layer

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Orthogonal sets p to what nn.init.orthogonal_ gives for each of its gates, in
// order: for weight_hh [G*H,H], G orthogonal blocks. A block W of r rows and c
// columns has orthonormal columns (WᵀW = I) if r >= c, else orthonormal rows
// (WWᵀ = I). From A, r*c values of N(0,1) of rnd, comes the Q of
//
//	A = Q·R or, if r < c, Aᵀ = Q·R
//
// whose R has a positive diagonal, W = Q or Qᵀ. The factors are made in float64
// by Householder's reflections (Golub and Van Loan, Matrix Computations, 5.2),
// with the same bits on every machine; PyTorch's differ by rounding.
//
// gates is 4 for the weights of an LSTM, 3 for those of a GRU, else 1, which is
// nn.init.orthogonal_ of the whole matrix. Orthogonal packs the weights: nobody
// may read them meanwhile. It returns an error, and changes nothing, if p is not
// a matrix of as many blocks or if rnd is nil.
func Orthogonal(p Param, gates int, rnd *Rand) error {
	fail := func(format string, args ...any) error { return fmt.Errorf("layer: Orthogonal: "+format, args...) }
	switch {
	case gates < 1:
		return fail("gates = %d, want at least 1", gates)
	case len(p.Shape) != 2 || p.Shape[0] < 1 || p.Shape[1] < 1:
		return fail("%s has shape %v, want a matrix", p.Name, p.Shape)
	case p.Shape[0]%gates != 0:
		return fail("%s has %d rows, want a multiple of gates = %d", p.Name, p.Shape[0], gates)
	case !fits(p.Shape...) || len(p.Data) != elements(p.Shape):
		return fail("%s has %d elements, want those of shape %v", p.Name, len(p.Data), p.Shape)
	case rnd == nil:
		return fail("no Rand")
	}
	rows, cols := p.Shape[0]/gates, p.Shape[1]
	q := make([][]float64, min(rows, cols)) // the columns of A, then of Q
	for i := range q {
		q[i] = make([]float64, max(rows, cols))
	}
	for block := p.Data; len(block) > 0; block = block[rows*cols:] {
		block := block[:rows*cols]
		rnd.Normal(block, 0, 1)
		at := func(i, j int) *float32 { // element j of q[i]
			if rows < cols {
				return &block[i*cols+j]
			}
			return &block[j*cols+i]
		}
		for i, v := range q {
			for j := range v {
				v[j] = float64(*at(i, j))
			}
		}
		orthonormalize(q)
		for i, v := range q {
			for j := range v {
				*at(i, j) = float32(v[j])
			}
		}
	}
	Params{p}.Pack()
	return nil
}

// orthonormalize replaces the columns of A, at most as many as are long, by those
// of Q, where A = Q·R and R has a positive diagonal.
func orthonormalize(a [][]float64) {
	// Reflection k, I - 2vvᵀ with v zero before element k, turns column k into
	// sign[k]*|R[k,k]| at element k and zeros after it.
	vs, sign := make([][]float64, len(a)), make([]float64, len(a))
	for k := range a {
		v := a[k][k:]
		sign[k] = 1
		if v[0] > 0 {
			sign[k] = -1 // v[0] and what is taken from it do not cancel
		}
		v[0] -= float64(sign[k] * math.Sqrt(dot64(v, v)))
		if norm := math.Sqrt(dot64(v, v)); norm > 0 {
			for i := range v {
				v[i] /= norm
			}
		}
		for _, c := range a[k+1:] {
			mirror(c[k:], v)
		}
		vs[k] = append([]float64(nil), v...)
	}
	for k, q := range a {
		clear(q)
		q[k] = sign[k]
		for i := k; i >= 0; i-- {
			mirror(q[i:], vs[i])
		}
	}
}

// mirror sets x to (I - 2vvᵀ)x.
func mirror(x, v []float64) {
	s := 2 * dot64(v, x)
	x = x[:len(v)]
	for i, e := range v {
		x[i] -= float64(s * e)
	}
}

// dot64 returns the sum of x[i]*y[i], in four chains.
func dot64(x, y []float64) float64 {
	var s0, s1, s2, s3 float64
	for len(x) >= 4 && len(y) >= 4 {
		s0 += float64(x[0] * y[0])
		s1 += float64(x[1] * y[1])
		s2 += float64(x[2] * y[2])
		s3 += float64(x[3] * y[3])
		x, y = x[4:], y[4:]
	}
	for i, e := range x {
		s0 += float64(e * y[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// ForgetBias sets, in every layer and direction of an LSTM, the forget gate's
// part of bias_ih to value and of bias_hh to 0, so that their sum is value. 1 is
// common: what a new network has seen stays longer (Jozefowicz et al., ICML 2015).
//
// It packs the weights: nobody may read them meanwhile. It returns an error if l
// has no biases.
func ForgetBias(l *LSTM, value float32) error {
	found := false
	ps := l.Params()
	for _, p := range ps {
		var v float32
		switch {
		case strings.HasPrefix(p.Name, "bias_ih"):
			v = value
		case !strings.HasPrefix(p.Name, "bias_hh"):
			continue
		}
		found = true
		H := len(p.Data) / 4
		for i := range H {
			p.Data[H+i] = v // i,f,g,o
		}
	}
	if !found {
		return errors.New("layer: ForgetBias: the LSTM has no biases")
	}
	ps.Pack()
	return nil
}
