package layer

import "github.com/simdrnn/simdrnn/kernels"

// streamRows bounds the rows of a product with W_ih in Stream.Forward: enough
// to reuse the weights, few enough for a small Stream.
const streamRows = 48

// A Stream runs a recurrent layer forward: it is the state and the scratch
// memory of one caller. It carries its state from call to call, so a sequence
// may be cut into calls at will. Different Streams of one layer may run at the
// same time.
type Stream struct {
	batch, input, hidden int
	chunk                int       // steps at once
	h, c                 []float32 // [L*D,B,H]
	scan                 scan
}

func newStream(r *recurrent, batch int) *Stream {
	fn := r.name + ".NewStream"
	switch {
	case batch < 1:
		bad(fn, "batch", batch, "at least 1")
	case !fits(batch+streamRows, r.dir.whh.panels.Width()):
		bad(fn, "batch", batch, inMemory)
	}
	chunk := max(1, streamRows/batch)
	return &Stream{
		batch:  batch,
		input:  r.input,
		hidden: r.hidden,
		chunk:  chunk,
		h:      make([]float32, batch*r.hidden),
		c:      make([]float32, batch*r.cUnits()),
		scan:   newScan(r, chunk, batch),
	}
}

// Step computes one step, from x [B,I] to y [B,H], and moves the state on. y
// and x must not overlap. It panics if a length is wrong.
func (s *Stream) Step(y, x []float32) {
	const fn = "Stream.Step"
	if n := s.batch * s.input; len(x) != n {
		badLen(fn, "x", len(x), "B*I", n)
	}
	if n := s.batch * s.hidden; len(y) != n {
		badLen(fn, "y", len(y), "B*H", n)
	}
	s.forward(y, x, 1)
}

// Forward computes the T steps of x [T,B,I], the same bits as T calls of Step:
//
//	for t := range T {
//		s.Step(y[t], x[t])
//	}
//
// y is [T,B,H]. y and x must not overlap. It panics if a length is wrong.
func (s *Stream) Forward(y, x []float32) {
	const fn = "Stream.Forward"
	T := steps(fn, x, "B*I", s.batch*s.input)
	if n := T * s.batch * s.hidden; len(y) != n {
		badLen(fn, "y", len(y), "T*B*H", n)
	}
	for t := 0; t < T; t += s.chunk {
		n := min(s.chunk, T-t)
		s.forward(y[t*s.batch*s.hidden:], x[t*s.batch*s.input:], n)
	}
}

// forward computes T <= chunk steps.
func (s *Stream) forward(y, x []float32, T int) {
	c := kernels.Mat{Data: s.c, Stride: s.hidden}
	s.scan.forward(newSeq(y, s.batch, s.hidden), seq{c, 0},
		kernels.Mat{Data: s.h, Stride: s.hidden}, c, kernels.Mat{Data: x, Stride: s.input}, T, false)
	copy(s.h, s.scan.step.HPrev.Data)
}

// H returns the hidden state h [L*D,B,H], live: it is h_n after a call, and what
// is written to it is h_0 of the next one.
func (s *Stream) H() []float32 { return s.h }

// C returns the cell state c [L*D,B,H], live as H is. It is empty for an RNN.
func (s *Stream) C() []float32 { return s.c }

// Reset sets the state to zero.
func (s *Stream) Reset() {
	clear(s.h)
	clear(s.c)
}
