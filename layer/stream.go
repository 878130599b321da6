package layer

import (
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/kernels"
)

// streamRows bounds the rows of a product with W_ih in Stream.Forward: enough
// to reuse the weights, few enough for a small Stream.
const streamRows = 48

// A Stream runs a recurrent network forward: it is the state and the scratch
// memory of one caller. It carries its state from call to call, so a sequence
// may be cut into calls at will. Different Streams of one network may run at the
// same time.
//
// A Stream of a bidirectional network takes whole sequences: each call begins
// with H0 and C0 and leaves h_n and c_n in H and C.
type Stream struct {
	r      *recurrent
	batch  int
	chunk  int         // steps at once
	h, c   []float32   // [L*D,B,Ho], [L*D,B,H]
	h0, c0 []float32   // h and c, unless bidirectional
	hs, cs []float32   // h and c in the plan's order, while a call needs one
	mid    []float32   // [chunk,B,Ho] between layers; [T,B,2*Ho] if bidirectional
	scans  []streaming // [L*D]
	plan   plan
}

// streaming is a scan of a Stream.
type streaming struct {
	scan
	out  series // where h goes, step base first
	base int
	emit func(t int)
}

func newStream(r *recurrent, batch int) *Stream {
	LD := len(r.dirs)
	r.checkBatch(r.name+".NewStream", batch)
	s := &Stream{
		r:     r,
		batch: batch,
		chunk: max(1, streamRows/batch),
		plan:  newPlan(batch, r.batchFirst),
		scans: make([]streaming, LD),
	}
	for _, h := range []*[]float32{&s.h, &s.hs} {
		*h = make([]float32, LD*batch*r.hUnits())
	}
	for _, c := range []*[]float32{&s.c, &s.cs} {
		*c = make([]float32, LD*batch*r.cUnits())
	}
	s.h0, s.c0 = s.h, s.c
	if r.bidirectional {
		s.h0, s.c0 = slices.Clone(s.h), slices.Clone(s.c)
	} else if r.layers > 1 {
		s.mid = make([]float32, s.chunk*batch*r.hUnits())
	}
	for i := range s.scans {
		sc := &s.scans[i]
		sc.scan = newScan(r, i, s.chunk, batch, false)
		sc.emit = func(t int) { s.emit(sc, t) }
	}
	return s
}

// Step computes one step, from x [B,I] to y [B,Ho], and moves the state on. y
// and x must not overlap. It panics if a length is wrong or the network is
// bidirectional.
func (s *Stream) Step(y, x []float32) {
	const fn = "Stream.Step"
	r := s.r
	if r.bidirectional {
		bad(fn, "directions", 2, "1: the reverse direction needs whole sequences")
	}
	if n := s.batch * r.input; len(x) != n {
		badLen(fn, "x", len(x), "B*I", n)
	}
	if n := s.batch * r.output(); len(y) != n {
		badLen(fn, "y", len(y), "B*Ho", n)
	}
	if s.scans[0].zone != nil {
		s.forward(y, x, 1, &Seq{})
		return
	}
	in, H, cUnits := kernels.Mat{Data: x, Stride: r.input}, r.hUnits(), r.cUnits()
	for i := range s.scans {
		sc := &s.scans[i]
		st := &sc.step
		h, c := s.h[i*s.batch*H:], s.c[i*s.batch*cUnits:]
		st.Rows, st.X, st.WX, st.Bias = s.batch, in, sc.wih.panels, sc.bias
		st.H, st.C = kernels.Mat{Data: h, Stride: H}, kernels.Mat{Data: c, Stride: cUnits}
		st.HPrev, st.CPrev = st.H, st.C
		sc.place(0)
		sc.cell.Forward(st)
		in = st.H
	}
	copy(y, in.Data)
}

// Forward computes the T steps of x [T,B,I], the same bits as T calls of Step:
//
//	for t := range T {
//		s.Step(y[t], x[t])
//	}
//
// y is [T,B,D*Ho]. With BatchFirst x is [B,T,I] and y [B,T,D*Ho]. y and x must
// not overlap. It panics if a length is wrong.
func (s *Stream) Forward(y, x []float32) { s.forwardSeq("Stream.Forward", y, x, &Seq{}) }

// ForwardSeq is Forward for sequences with lengths, resets and histories. It
// panics if q does not fit.
func (s *Stream) ForwardSeq(y, x []float32, q Seq) { s.forwardSeq("Stream.ForwardSeq", y, x, &q) }

func (s *Stream) forwardSeq(fn string, y, x []float32, q *Seq) {
	T := steps(fn, x, "B*I", s.batch*s.r.input)
	if n := T * s.batch * s.r.output(); len(y) != n {
		badLen(fn, "y", len(y), "T*B*D*Ho", n)
	}
	q.check(fn, s.r, T, s.batch, false)
	s.Grow(T)
	s.forward(y, x, T, q)
}

// Grow makes room for sequences of T steps. Only the Stream of a bidirectional
// network of several layers needs it, to keep the sequence between the layers; a
// longer one makes it allocate once.
func (s *Stream) Grow(T int) {
	if r := s.r; r.bidirectional && r.layers > 1 {
		if n := T * s.batch * r.output(); len(s.mid) < n {
			s.mid = make([]float32, n)
		}
	}
}

// forward computes the T steps of a checked call.
func (s *Stream) forward(yData, xData []float32, T int, q *Seq) {
	r, p, B := s.r, &s.plan, s.batch
	p.set(q, T)
	x := newSeries(xData, T, B, r.input, r.batchFirst)
	y := newSeries(yData, T, B, r.output(), r.batchFirst)
	if r.bidirectional {
		copy(s.h, s.h0)
		copy(s.c, s.c0)
	}
	for i := range s.scans {
		sc := &s.scans[i]
		sc.after = nil
		if !p.plain() {
			sc.order(p, s.hs, s.h, r.hUnits(), true)
			sc.order(p, s.cs, s.c, r.cUnits(), true)
		}
		if !p.plain() || q.HAll != nil || q.CAll != nil {
			sc.after = sc.emit
		}
	}
	if r.bidirectional {
		s.layers(y, x, 0, p.steps)
	} else {
		for t := 0; t < p.steps; t += s.chunk {
			s.layers(y.from(t), x.from(t), t, min(s.chunk, p.steps-t))
		}
	}
	if !p.plain() {
		for i := range s.scans {
			s.scans[i].order(p, s.hs, s.h, r.hUnits(), false)
			s.scans[i].order(p, s.cs, s.c, r.cUnits(), false)
		}
	}
	p.clearFrom(y)
	for i := range s.scans {
		p.clearFrom(p.history(q.HAll, i, r.hUnits()))
		p.clearFrom(p.history(q.CAll, i, r.cUnits()))
	}
	p.lastOutputs(y)
	p.Seq = Seq{}
}

// layers computes steps t0 to t0+T through all layers; x and y begin at step t0.
func (s *Stream) layers(y, x series, t0, T int) {
	r := s.r
	D, Ho := r.directions(), r.hUnits()
	in := x
	for k := range r.layers {
		out := y
		switch after := r.layers - 1 - k; {
		case after == 0:
		case D == 2 && after%2 == 0: // y is still free
			out = newSeries(y.data, T, s.batch, D*Ho, false)
		default: // one direction may overwrite its own input
			out = newSeries(s.mid, T, s.batch, D*Ho, false)
		}
		for d := range D {
			sc := &s.scans[k*D+d]
			sc.out, sc.base = out.part(d, Ho), t0
			for i := 0; i < T; i += s.chunk {
				n := min(s.chunk, T-i)
				from := i
				if sc.reverse {
					from = T - i - n
				}
				s.steps(sc, in.from(from), k > 0, from, n)
			}
		}
		in = out
	}
}

// steps computes n steps of one scan, the first of which is step from of
// sc.out and of x.
func (s *Stream) steps(sc *streaming, x series, inOrder bool, from, n int) {
	r, p, st := s.r, &s.plan, &sc.step
	t0 := sc.base + from
	h, c := s.h, s.c
	if !p.plain() {
		h, c = s.hs, s.cs
	}
	nh, nc := s.batch*r.hUnits(), s.batch*r.cUnits()
	h, c = h[sc.index*nh:][:nh], c[sc.index*nc:][:nc]
	st.HPrev, st.CPrev = kernels.Mat{Data: h, Stride: r.hUnits()}, kernels.Mat{Data: c, Stride: r.cUnits()}

	st.WX = nil
	if n == 1 {
		st.X, st.WX, st.Bias = sc.input(x.at(0), inOrder, p, p.rows(t0)), sc.wih.panels, sc.bias
	} else {
		sc.project(x, inOrder, p, t0, n)
	}
	if !p.plain() {
		sc.forward(inPlace(h, r.hUnits()), inPlace(c, r.cUnits()), p, t0, n, false)
		return
	}
	sc.forward(sc.out.from(from), inPlace(c, r.cUnits()), p, t0, n, false)
	copyRows(kernels.Mat{Data: h, Stride: r.hUnits()}, st.HPrev, s.batch, r.hUnits())
}

// emit writes the state after step t to where the caller wants it.
func (s *Stream) emit(sc *streaming, t int) {
	p, st := &s.plan, &sc.step
	Ho, last := s.r.hUnits(), sc.index/s.r.directions() == s.r.layers-1
	switch {
	case p.plain():
	case last:
		p.scatter(sc.out, t-sc.base, st.H, st.Rows)
	default:
		copyRows(sc.out.at(t-sc.base), st.H, st.Rows, Ho)
	}
	if p.HAll != nil {
		p.scatter(p.history(p.HAll, sc.index, Ho), t, st.H, st.Rows)
	}
	if p.CAll != nil {
		p.scatter(p.history(p.CAll, sc.index, s.r.cUnits()), t, st.C, st.Rows)
	}
}

// order copies a state from the caller's rows to the plan's order, or back.
func (s *scan) order(p *plan, ordered, caller []float32, cols int, forth bool) {
	for i := range p.order {
		if p.length(i) == 0 {
			break // nor do those after it take part
		}
		a, b := ordered[(s.index*p.B+i)*cols:][:cols], s.stateRow(caller, p, i, cols)
		if forth {
			copy(a, b)
		} else {
			copy(b, a)
		}
	}
}

// H returns the hidden state h [L*D,B,Ho], live: it is h_n after a call, and what
// is written to it is h_0 of the next one, unless the network is bidirectional.
func (s *Stream) H() []float32 { return s.h }

// C returns the cell state c [L*D,B,H], live as H is. It is empty for a cell
// without c.
func (s *Stream) C() []float32 { return s.c }

// H0 returns the hidden state [L*D,B,Ho] that the next call begins with, live:
// zero until it is written for a bidirectional network, else H.
func (s *Stream) H0() []float32 { return s.h0 }

// C0 returns the cell state [L*D,B,H] that the next call begins with, live as H0
// is.
func (s *Stream) C0() []float32 { return s.c0 }

// Reset sets the state to zero, H0 and C0 included.
func (s *Stream) Reset() {
	for _, v := range [...][]float32{s.h, s.c, s.h0, s.c0} {
		clear(v)
	}
}

// ResetRow sets the state of row b to zero, that in H0 and C0 included. It
// panics unless 0 <= b < B.
func (s *Stream) ResetRow(b int) {
	if b < 0 || b >= s.batch {
		bad("Stream.ResetRow", "b", b, "0 <= b < B = "+strconv.Itoa(s.batch))
	}
	for _, v := range [...]struct {
		data []float32
		cols int
	}{{s.h, s.r.hUnits()}, {s.c, s.r.cUnits()}, {s.h0, s.r.hUnits()}, {s.c0, s.r.cUnits()}} {
		for i := range s.scans {
			clear(v.data[(i*s.batch+b)*v.cols:][:v.cols])
		}
	}
}

// Clone returns a Stream with a copy of the state, which goes on on its own.
func (s *Stream) Clone() *Stream {
	c := newStream(s.r, s.batch)
	copy(c.h, s.h)
	copy(c.c, s.c)
	copy(c.h0, s.h0)
	copy(c.c0, s.c0)
	c.Grow(len(s.mid) / (s.batch * s.r.output()))
	return c
}
