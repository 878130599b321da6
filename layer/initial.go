package layer

import "slices"

// An InitialState is a learned initial state, the same for all rows of a batch:
//
//	h_0[i,b] = h0[i];  c_0[i,b] = c0[i]        i = layer*D + direction
//
// Its parameters are h0 [L*D,Ho] and, for a cell with c, c0 [L*D,H]. Fill brings
// them to a Stream or a Tape before Forward, AddGrad takes their gradients after
// Backward.
type InitialState struct {
	params Params
	cols   []int // of h and c
}

// NewInitialState returns an initial state of zeros, with zero gradients.
func (r *recurrent) NewInitialState() *InitialState {
	LD := len(r.dirs)
	s := &InitialState{}
	for _, p := range []struct {
		name string
		cols int
	}{{"h0", r.hUnits()}, {"c0", r.cUnits()}} {
		if p.cols > 0 {
			s.params = append(s.params, Param{Name: p.name, Shape: []int{LD, p.cols}})
			s.cols = append(s.cols, p.cols)
		}
	}
	s.params.alloc()
	s.params = s.params.withGrad()
	return s
}

// Params returns the parameters with their gradients. They need no Pack.
func (s *InitialState) Params() Params { return slices.Clone(s.params) }

// Fill writes the state to all rows of h [L*D,B,Ho] and c [L*D,B,H], for example
// H0 and C0 of a Tape or a Stream, or ResetH and ResetC of a Seq. c is empty for a
// cell without c. It panics unless the lengths fit some B.
func (s *InitialState) Fill(h, c []float32) {
	s.rows("InitialState.Fill", h, c, func(param, row []float32) { copy(row, param) }, false)
}

// AddGrad adds to the gradients the sum over the rows, in order, of those in dh
// [L*D,B,Ho] and dc [L*D,B,H], for example DH0 and DC0 of a Tape, or DResetH and
// DResetC of a Seq. It panics unless the lengths fit some B.
func (s *InitialState) AddGrad(dh, dc []float32) {
	s.rows("InitialState.AddGrad", dh, dc, addTo, true)
}

// addTo is dst += x.
func addTo(dst, x []float32) {
	for i := range dst {
		dst[i] += x[i]
	}
}

// rows calls f for each row of h and c with the parameter, or gradient, for it.
func (s *InitialState) rows(fn string, h, c []float32, f func(param, row []float32), grad bool) {
	data := [...][]float32{h, c}
	B := 0
	if len(s.params) == 1 && len(c) > 0 {
		badLen(fn, "c", len(c), "that of a cell without c", 0)
	}
	for i, p := range s.params {
		switch n := len(p.Data); {
		case i == 0 && len(h)%n != 0:
			badLen(fn, "h", len(h), "a multiple of L*D*Ho", n)
		case i == 0:
			B = len(h) / n
		case len(c) != B*n:
			badLen(fn, "c", len(c), "L*D*B*H", B*n)
		}
	}
	for i, p := range s.params {
		x := p.Data
		if grad {
			x = p.Grad
		}
		cols := s.cols[i]
		for r := range B * len(x) / cols {
			f(x[r/B*cols:][:cols], data[i][r*cols:][:cols])
		}
	}
}
