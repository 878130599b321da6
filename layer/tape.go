package layer

import (
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/kernels"
)

// A Tape trains a recurrent layer: it is the activations and the gradients of
// one caller. Unlike a Stream it carries no state: Forward starts from H0 and C0
// and leaves HN and CN. Different Tapes of one layer may run at the same time,
// each with gradients of its own.
type Tape struct {
	batch, input, hidden int
	maxT, T              int       // T is that of the last Forward, or -1 if Backward cannot run
	x                    []float32 // of the last Forward
	params               Params

	h0, c0, hn, cn     []float32 // [L*D,B,H]
	dh0, dc0, dhn, dcn []float32
	bptt               bptt
}

func newTape(r *recurrent, maxT, batch int) *Tape {
	fn := r.name + ".NewTape"
	cols := max(r.dir.whh.panels.Width(), r.input+blockUnits, r.hidden+blockUnits)
	switch {
	case batch < 1:
		bad(fn, "batch", batch, "at least 1")
	case maxT < 0:
		bad(fn, "maxT", maxT, "at least 0")
	case !fits(batch, cols):
		bad(fn, "batch", batch, inMemory)
	case !fits(maxT+1, batch*cols):
		bad(fn, "maxT", maxT, inMemory)
	}
	t := &Tape{
		batch:  batch,
		input:  r.input,
		hidden: r.hidden,
		maxT:   maxT,
		T:      -1,
		params: r.params.withGrad(),
	}
	for _, h := range []*[]float32{&t.h0, &t.hn, &t.dh0, &t.dhn} {
		*h = make([]float32, batch*r.hidden)
	}
	for _, c := range []*[]float32{&t.c0, &t.cn, &t.dc0, &t.dcn} {
		*c = make([]float32, batch*r.cUnits())
	}
	t.bptt = newBPTT(r, newDirParams(t.params, func(p Param) []float32 { return p.Grad }), maxT, batch)
	return t
}

// Params returns the parameters of the layer with the gradients of this Tape.
func (t *Tape) Params() Params { return slices.Clone(t.params) }

// Forward computes the T <= maxT steps of x [T,B,I] from the state H0, C0, with
// the bits of a Stream. It returns y [T,B,H], a view that is valid until the next
// Forward and must not be written. It sets HN and CN, and clears DHN and DCN. x
// must stay as it is until Backward. It panics if len(x) is wrong.
func (t *Tape) Forward(x []float32) (y []float32) {
	const fn = "Tape.Forward"
	T := steps(fn, x, "B*I", t.batch*t.input)
	if T > t.maxT {
		bad(fn, "T", T, "at most maxT = "+strconv.Itoa(t.maxT))
	}
	t.x, t.T = x, T
	clear(t.dhn)
	clear(t.dcn)
	t.bptt.forward(t.hn, t.cn, t.h0, t.c0, kernels.Mat{Data: x, Stride: t.input}, T)
	return t.bptt.h.from(1).Data[:T*t.batch*t.hidden]
}

// Backward goes back through the last Forward, once. It takes the gradients of
// a loss with respect to y in dy [T,B,H], and to HN and CN in DHN and DCN. It
// sets those with respect to x in dx [T,B,I], and to H0 and C0 in DH0 and DC0,
// and adds those with respect to the parameters to their Grad.
//
// A nil dy stands for zeros, and with a nil dx that gradient is not computed. It
// panics if a length is wrong or if there was no Forward since the last
// Backward.
func (t *Tape) Backward(dx, dy []float32) {
	const fn = "Tape.Backward"
	if t.T < 0 {
		bad(fn, "calls of Forward since the last Backward", 0, "1")
	}
	if n := t.T * t.batch * t.input; dx != nil && len(dx) != n {
		badLen(fn, "dx", len(dx), "T*B*I", n)
	}
	if n := t.T * t.batch * t.hidden; dy != nil && len(dy) != n {
		badLen(fn, "dy", len(dy), "T*B*H", n)
	}
	t.bptt.backward(dx, t.dh0, t.dc0, dy, t.dhn, t.dcn, kernels.Mat{Data: t.x, Stride: t.input}, t.T)
	t.x, t.T = nil, -1
}

// H0 returns the hidden state h_0 [L*D,B,H] that Forward starts from, live: zero
// until it is written.
func (t *Tape) H0() []float32 { return t.h0 }

// C0 returns the cell state c_0 [L*D,B,H] that Forward starts from, live as H0
// is. It is empty for an RNN, as are CN, DC0 and DCN.
func (t *Tape) C0() []float32 { return t.c0 }

// HN returns the hidden state h_n [L*D,B,H] after the last step of Forward.
func (t *Tape) HN() []float32 { return t.hn }

// CN returns the cell state c_n [L*D,B,H] after the last step of Forward.
func (t *Tape) CN() []float32 { return t.cn }

// DHN returns the gradient of HN, for the caller to write between Forward, which
// clears it, and Backward.
func (t *Tape) DHN() []float32 { return t.dhn }

// DCN returns the gradient of CN, to be written as DHN is.
func (t *Tape) DCN() []float32 { return t.dcn }

// DH0 returns the gradient of H0 that Backward has set.
func (t *Tape) DH0() []float32 { return t.dh0 }

// DC0 returns the gradient of C0 that Backward has set.
func (t *Tape) DC0() []float32 { return t.dc0 }

// Carry copies HN and CN to H0 and C0, so that the next Forward goes on where
// the last one ended: truncated back-propagation through time. It may be called
// before Backward.
func (t *Tape) Carry() {
	copy(t.h0, t.hn)
	copy(t.c0, t.cn)
}
