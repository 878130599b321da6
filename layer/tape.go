package layer

import (
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/internal/memory"
	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/kernels"
)

// A Tape trains a recurrent network: it is the activations and the gradients of
// one caller. Unlike a Stream it carries no state: Forward starts from H0 and C0
// and leaves HN and CN. Different Tapes of one network may run at the same time,
// each with gradients of its own.
//
// A Tape drops out what the configuration says, in each call of Forward something
// else, drawn from the Rand of SetRand.
type Tape struct {
	r      *recurrent
	batch  int
	maxT   int
	ran    bool   // Forward has, and Backward has not since
	x      series // of the last Forward
	params Params
	rand   *Rand
	plan   plan
	call   tapeCall

	h0, c0, hn, cn     []float32 // [L*D,B,·]
	dh0, dc0, dhn, dcn []float32
	layers             []tapeLayer
	y                  []float32          // [T,B,D*Ho] in the caller's layout, where the last layer's slots are not
	dx                 []float32          // [T,B,D*Ho] of a layer after the first, then dy of that before
	xs                 [2]*kernels.Panels // the input of the first layer, of the others, as a factor of gradients
	hs, ms             *kernels.Panels    // h and m as such
	packed             kernels.Panels     // the part of such panels that is being packed

	threads
	parts                   []*tapePart
	forwardJob, backwardJob func(workers.Member)
}

// tapeCall is the arguments of Backward.
type tapeCall struct{ dx, dy series } // no data for nil

// tapePart is what one member of a team needs.
type tapePart struct {
	plan   plan           // of its rows
	views  []tapeView     // [L*D], unless there is but one member
	sum    []float32      // [B,Width], scratch
	packed kernels.Panels // as that of Tape
	zero   [2]bool        // of the scan in the last steps
	meets  int            // number of steps in which zero was set
}

// tapeView is a member's share of a scan.
type tapeView struct {
	bptt
	shared
	zone zoneout
}

// tapeLayer is one layer of a Tape.
type tapeLayer struct {
	h    series // [T+2,B,D*Ho], the slots of its scans, of which the output is 1 to T
	mask series // [T,B,D*Ho] of dropout, nothing without
	drop series // the output times mask

	xMask []float32 // [B,inputs] of input dropout, nil without
	xDrop series    // [T,B,inputs], the input times xMask, in the plan's order

	dirs []*bptt
}

func newTape(r *recurrent, maxT, batch int) *Tape {
	fn := r.name + ".NewTape"
	L, D, H, Ho := r.layers, r.directions(), r.hidden, r.hUnits()
	width := r.dirs[0].whh.panels.Width()
	cols := max(2*width, r.input+blockUnits, r.output()+blockUnits)
	switch {
	case batch < 1:
		bad(fn, "batch", batch, "at least 1")
	case maxT < 0:
		bad(fn, "maxT", maxT, "at least 0")
	case !fits(batch, L*D, cols):
		bad(fn, "batch", batch, inMemory)
	case !fits(maxT+2, batch, L*D, cols):
		bad(fn, "maxT", maxT, inMemory)
	}
	t := &Tape{
		r:      r,
		batch:  batch,
		maxT:   maxT,
		params: r.params.withGrad(),
		plan:   newPlan(batch, r.batchFirst),
		y:      make([]float32, maxT*batch*D*Ho),
		hs:     kernels.NewPanels(1, Ho, maxT*batch),
	}
	for _, h := range []*[]float32{&t.h0, &t.hn, &t.dh0, &t.dhn} {
		*h = make([]float32, L*D*batch*Ho)
	}
	for _, c := range []*[]float32{&t.c0, &t.cn, &t.dc0, &t.dcn} {
		*c = make([]float32, L*D*batch*r.cUnits())
	}
	t.xs[0] = kernels.NewPanels(1, r.input, maxT*batch)
	if r.proj > 0 {
		t.ms = kernels.NewPanels(1, H, maxT*batch)
	}
	sequence := func(T int) series { return newSeries(make([]float32, T*batch*D*Ho), T, batch, D*Ho, false) }
	if L > 1 {
		t.xs[1] = kernels.NewPanels(1, D*Ho, maxT*batch)
		t.dx = sequence(maxT).data
	}
	t.layers = make([]tapeLayer, L)
	per := len(r.params) / (L * D)
	for k := range t.layers {
		l := &t.layers[k]
		l.h = sequence(maxT + 2)
		if r.dropout > 0 && k < L-1 {
			l.mask, l.drop = sequence(maxT), sequence(maxT)
		}
		if n := r.inputs(k); r.inputDropout > 0 {
			l.xMask = make([]float32, batch*n)
			l.xDrop = newSeries(make([]float32, maxT*batch*n), maxT, batch, n, false)
		}
		for d := range D {
			i := k*D + d
			grads := r.take(t.params[i*per:][:per], func(p Param) []float32 { return p.Grad })
			l.dirs = append(l.dirs, newBPTT(r, i, l.h, grads, maxT, batch))
		}
	}
	t.threads = newThreads(r)
	t.forwardJob, t.backwardJob = t.forwardPart, t.backwardPart
	t.packed.SetPart(t.hs, 0, 0) // no allocation later
	t.SetThreads(1)
	return t
}

// SetThreads sets the number of threads that Forward and Backward may use, as
// that of a Stream does. The bits of results do not depend on it, nor do those of
// gradients if activations are finite. It panics if n is less than 1.
func (t *Tape) SetThreads(n int) {
	n = t.threads.set("Tape.SetThreads", n)
	if n == 1 {
		n = 0 // no views
	}
	for len(t.parts) < n {
		pt := &tapePart{views: make([]tapeView, len(t.r.dirs)), sum: make([]float32, len(t.layers[0].dirs[0].sum))}
		pt.packed.SetPart(t.hs, 0, 0)
		for i := range pt.views {
			v := &pt.views[i]
			v.gather = func() kernels.Mat { return t.gather(v) }
			v.direction = t.r.dirs[i]
			v.newParts()
			v.whhT[0].SetPart(v.whh.transposed(), 0, 0)
			v.whhT[1] = *v.whhT[0].Reversed()
		}
		t.parts = append(t.parts, pt)
	}
	t.parts = slices.Delete(t.parts, n, len(t.parts))
}

// begin prepares the share of m of a pass.
func (t *Tape) begin(m workers.Member, forward bool) share {
	r, p := t.r, &t.plan
	if m.Members == 1 {
		return r.share(m, bySelf, p, !forward)
	}
	pt := t.parts[m.Index]
	pt.meets = 0
	w := r.share(m, t.passSplit(m.Members, forward), p, !forward)
	if !forward && r.isVariant() {
		if w.lo, w.hi = 0, p.B; m.Index >= r.directions() {
			w.hi = 0
		}
	}
	if w.lo == w.hi {
		w.d1 = w.d0
	}
	pt.plan.setRows(p, w.lo, w.hi)
	for i := range pt.views {
		v := &pt.views[i]
		v.view(t.scan(i), m, w, pt)
	}
	return w
}

// Params returns the parameters of the network with the gradients of this Tape.
func (t *Tape) Params() Params { return slices.Clone(t.params) }

// SetRand sets the generator that dropout and zoneout draw from. To follow
// PyTorch's random numbers, give it the one that has initialised the model.
//
// Each Forward draws first the masks between layers, layer by layer, in the order
// of (t, b, feature); with Lengths those of the rows that have step t, the longest
// first, ties in the caller's order. Then, layer by layer, it draws that of
// InputDropout in the order of (b, feature), and for each direction that of
// RecurrentDropout, (b, unit), and those of ZoneoutH and then ZoneoutC, in the
// order of the masks between layers. A probability of 0 or 1 draws nothing.
func (t *Tape) SetRand(r *Rand) { t.rand = r }

// Forward computes the T <= maxT steps of x [T,B,I] from the state H0, C0, with
// the bits of a Stream but for dropout. It returns y [T,B,D*Ho], a view that is
// valid until the next Forward and must not be written. With BatchFirst x is
// [B,T,I] and y [B,T,D*Ho]. It sets HN and CN, and clears DHN and DCN. x must
// stay as it is until Backward. It panics if len(x) is wrong, if x overlaps the
// tape's y, or if there is something to draw and no Rand.
func (t *Tape) Forward(x []float32) (y []float32) { return t.forward("Tape.Forward", x, &Seq{}) }

// ForwardSeq is Forward for sequences with lengths, resets and histories. It
// panics if q does not fit.
func (t *Tape) ForwardSeq(x []float32, q Seq) (y []float32) {
	return t.forward("Tape.ForwardSeq", x, &q)
}

func (t *Tape) forward(fn string, xData []float32, q *Seq) []float32 {
	r, p, B := t.r, &t.plan, t.batch
	T := steps(fn, xData, "B*I", B*r.input)
	if T > t.maxT {
		bad(fn, "T", T, "at most maxT = "+strconv.Itoa(t.maxT))
	}
	q.check(fn, r, T, B, true)
	if t.rand == nil && r.random() {
		bad(fn, "calls of SetRand", 0, "1: there is dropout or zoneout")
	}
	if memory.Overlap(t.y, xData) || memory.Overlap(t.layers[r.layers-1].h.data, xData) {
		badOverlap(fn, "x", "the tape's y")
	}
	p.set(q, T)
	t.x, t.ran = newSeries(xData, T, B, r.input, r.batchFirst), true
	clear(t.dhn)
	clear(t.dcn)
	t.draw()
	t.run(t.work(p.steps, B), p, true, t.forwardJob)
	t.histories()
	return t.output()
}

// forwardPart does the share of m of a call of Forward.
func (t *Tape) forwardPart(m workers.Member) {
	p, B := &t.plan, t.batch
	w := t.begin(m, true)
	own := stepRange{hi: p.steps}.share(m)
	for k := range t.layers {
		l := &t.layers[k]
		if l.xMask != nil {
			t.dropInput(k, own)
			m.Wait()
		}
		x, inOrder := t.input(k)
		shared := w.split == byRows && p.timeMajor(x, inOrder)
		if shared { // a few large products rather than one a step
			lo, hi := m.Share(p.steps * B)
			for _, s := range l.dirs {
				s.projectRows(x, lo, hi)
			}
			m.Wait()
		}
		for d := w.d0; d < w.d1; d++ {
			s, sp := t.shareOf(m, k, d)
			in := x
			if inOrder {
				in = x.rows(sp.first)
			}
			s.forward(t.hn, t.cn, t.h0, t.c0, in, inOrder, sp, shared)
		}
		m.Wait()
		if l.mask.data != nil {
			from, to := own.lo*B*l.h.cols, own.hi*B*l.h.cols
			kernels.Mul(l.drop.data[from:to], l.h.from(1).data[from:to], l.mask.data[from:to])
			m.Wait()
		}
	}
}

// source returns the output of the layer before k, or the input of the network,
// and whether its rows are in the plan's order.
func (t *Tape) source(k int) (x series, inOrder bool) {
	if k == 0 {
		return t.x, false
	}
	if l := &t.layers[k-1]; l.mask.data != nil {
		return l.drop, true
	}
	return t.layers[k-1].h.from(1), true
}

// input returns what layer k reads, and whether its rows are in the plan's order.
func (t *Tape) input(k int) (x series, inOrder bool) {
	if l := &t.layers[k]; l.xMask != nil {
		return l.xDrop, true
	}
	return t.source(k)
}

// dropInput drops from the input of layer k in some steps.
func (t *Tape) dropInput(k int, own stepRange) {
	l, p := &t.layers[k], &t.plan
	x, inOrder := t.source(k)
	for i := own.lo; i < own.hi; i++ {
		for j, b := range p.order[:p.rows(i)] {
			from := b
			if inOrder {
				from = j
			}
			kernels.Mul(l.xDrop.rowAt(i, j), x.rowAt(i, from), l.xMask[b*x.cols:][:x.cols])
		}
	}
}

// dropInputBack goes back through it, in dx.
func (t *Tape) dropInputBack(k int, dx series, inOrder bool, own stepRange) {
	l, p := &t.layers[k], &t.plan
	if l.xMask == nil {
		return
	}
	for i := own.lo; i < own.hi; i++ {
		for j, b := range p.order[:p.rows(i)] {
			to := b
			if inOrder {
				to = j
			}
			d := dx.rowAt(i, to)
			kernels.Mul(d, d, l.xMask[b*dx.cols:][:dx.cols])
		}
	}
}

// draw draws all masks of a call: first those between layers as PyTorch does, for
// the rows of a step in the plan's order, then layer by layer that of the input
// and those of the directions.
func (t *Tape) draw() {
	r, p := t.r, &t.plan
	for k := range t.layers {
		mask := t.layers[k].mask
		if mask.data == nil {
			continue
		}
		for i := range p.steps {
			t.rand.Dropout(mask.at(i).Data[:p.rows(i)*mask.cols], r.dropout)
		}
	}
	for k := range t.layers {
		l := &t.layers[k]
		if l.xMask != nil {
			t.rand.Dropout(l.xMask, r.inputDropout)
		}
		for _, s := range l.dirs {
			s.draw(r, t.rand, p)
		}
	}
}

// output returns y.
func (t *Tape) output() []float32 {
	r, p := t.r, &t.plan
	n := p.T * t.batch * r.output()
	slots := t.layers[r.layers-1].h.from(1)
	y := newSeries(slots.data[:n], p.T, t.batch, r.output(), false)
	if p.ragged || r.batchFirst {
		y = newSeries(t.y[:n], p.T, t.batch, r.output(), r.batchFirst)
		for i := range p.steps {
			p.scatter(y, i, slots.at(i), p.rows(i))
		}
		p.clearFrom(y)
	}
	p.lastOutputs(y)
	return y.data
}

// histories sets HAll and CAll.
func (t *Tape) histories() {
	p := &t.plan
	for k := range t.layers {
		for _, s := range t.layers[k].dirs {
			for _, of := range [...]struct{ all, slots series }{
				{p.history(p.HAll, s.index, s.h.cols), s.h.from(1)},
				{p.history(p.CAll, s.index, s.c.cols), s.c.from(1)},
			} {
				if of.all.data == nil {
					continue
				}
				for i := range p.steps {
					p.scatter(of.all, i, of.slots.at(i), p.rows(i))
				}
				p.clearFrom(of.all)
			}
		}
	}
}

// Backward goes back through the last Forward, once. It takes the gradients of
// a loss with respect to y in dy [T,B,D*Ho], and to HN and CN in DHN and DCN. It
// sets those with respect to x in dx [T,B,I], and to H0 and C0 in DH0 and DC0,
// and adds those with respect to the parameters to their Grad. With BatchFirst
// dy is [B,T,D*Ho] and dx [B,T,I].
//
// A nil dy stands for zeros, and with a nil dx that gradient is not computed. In
// padding dy is not read and dx is 0. Steps to which no gradient comes in any row
// are skipped, so that the loss of a last step costs what its gradient reaches, and
// a NaN in their activations does not spread; with several threads, a step may also
// be skipped for some of the rows. It panics if a length is wrong, if
// dx overlaps dy or the x of Forward, or if there was no Forward since the last
// Backward.
func (t *Tape) Backward(dx, dy []float32) {
	const fn = "Tape.Backward"
	r, p, B := t.r, &t.plan, t.batch
	if !t.ran {
		bad(fn, "calls of Forward since the last Backward", 0, "1")
	}
	if n := p.T * B * r.input; dx != nil && len(dx) != n {
		badLen(fn, "dx", len(dx), "T*B*I", n)
	}
	if n := p.T * B * r.output(); dy != nil && len(dy) != n {
		badLen(fn, "dy", len(dy), "T*B*D*Ho", n)
	}
	if memory.Overlap(dx, dy) {
		badOverlap(fn, "dx", "dy")
	}
	if memory.Overlap(dx, t.x.data) {
		badOverlap(fn, "dx", "x")
	}
	t.call.dy = newSeries(dy, p.T, B, r.output(), r.batchFirst)
	t.call.dx = newSeries(dx, p.T, B, r.input, r.batchFirst)
	t.run(2*t.work(p.steps, B), p, true, t.backwardJob)
	t.x, t.call, t.ran = series{}, tapeCall{}, false
}

// backwardPart does the share of m of a call of Backward.
func (t *Tape) backwardPart(m workers.Member) {
	r, p, B := t.r, &t.plan, t.batch
	w := t.begin(m, false)
	g := gradient{dhn: t.dhn, dcn: t.dcn, dh0: t.dh0, dc0: t.dc0}
	out, inOrder := t.call.dy, false
	sum, part := t.layers[0].dirs[0].sum, &t.packed
	if m.Members > 1 {
		sum, part = t.parts[m.Index].sum, &t.parts[m.Index].packed
	}
	for k := r.layers - 1; k >= 0; k-- {
		dirs := t.layers[k].dirs
		for d := w.d0; d < w.d1; d++ {
			s, sp := t.shareOf(m, k, d)
			g.dy = out.part(d, s.h.cols)
			if g.inOrder = inOrder; inOrder {
				g.dy = g.dy.rows(sp.first)
			} else {
				g.dy, g.inOrder = sp.rowsOf(g.dy, false)
			}
			if m.Members == 1 {
				s.backward(&g, sp)
			} else {
				t.parts[m.Index].views[k*r.directions()+d].backward(&g, sp)
			}
		}
		m.Wait()
		rg := t.rangeOf(m, k)
		own := rg.share(m)
		if k > 0 {
			out, inOrder = newSeries(t.dx[:p.steps*B*r.output()], p.steps, B, r.output(), false), true
			t.inputGradient(m, k, out, true, rg, own)
		}
		for _, s := range dirs {
			s.toCaller(p, own, sum)
		}
		if k == 0 && t.call.dx.data != nil {
			t.inputGradient(m, 0, t.call.dx, false, rg, own)
		}
		if rg.rows == 0 {
			m.Wait() // for dx
			continue
		}
		xs := t.xs[min(k, 1)]
		x, callers := t.input(k)
		for d, s := range dirs {
			if m.Index == 0 {
				for _, panels := range [...]*kernels.Panels{xs, t.hs, t.ms} {
					if panels != nil {
						panels.Resize(rg.rows)
					}
				}
			}
			m.Wait()
			if d == 0 {
				packSeries(m, xs, x, !callers, p, rg, part)
			}
			if t.ms != nil {
				packSeries(m, t.ms, s.m, false, p, rg, part)
			}
			s.packStates(m, t.hs, p, rg, part, sum)
			m.Wait()
			s.addGrads(m, xs, t.hs, t.ms, p, rg, sum)
			m.Wait()
		}
	}
}

// gather is Step.Gather of v.
func (t *Tape) gather(v *tapeView) kernels.Mat {
	m, slot := v.member, t.parts[v.member.Index].meets%2
	pt := t.parts[m.Index]
	pt.meets++
	pt.zero[slot] = v.zero // in two slots in turn: nobody is two steps ahead
	m.Wait()
	zero := true
	for _, other := range t.parts[:m.Members] {
		zero = zero && other.zero[slot]
	}
	if !zero {
		v.lo, v.hi = min(v.lo, v.t), max(v.hi, v.t+1)
		return v.dGates.at(v.t)
	}
	for _, x := range [...]series{v.gates, v.gatesH} {
		for b := range t.batch {
			if x.data != nil {
				clear(x.rowAt(v.t, b))
			}
		}
	}
	return kernels.Mat{}
}

// passSplit says how the recurrence of a pass is split: going back not by the rows
// of a cell.Variant, which sums over them.
func (t *Tape) passSplit(members int, forward bool) split {
	s := t.split(&t.plan, members, true)
	if !forward && t.r.isVariant() {
		if s = bySelf; t.r.bidirectional {
			s = byDirections
		}
	}
	return s
}

// scan returns scan i.
func (t *Tape) scan(i int) *bptt {
	D := t.r.directions()
	return t.layers[i/D].dirs[i%D]
}

// shareOf returns the share of m of direction d of layer k, and the plan of its
// rows.
func (t *Tape) shareOf(m workers.Member, k, d int) (*bptt, *plan) {
	i := k*t.r.directions() + d
	if m.Members == 1 {
		return t.scan(i), &t.plan
	}
	pt := t.parts[m.Index]
	return &pt.views[i].bptt, &pt.plan
}

// rangeOf returns the steps in which any member found gradients in layer k.
func (t *Tape) rangeOf(m workers.Member, k int) stepRange {
	if m.Members == 1 {
		return rangeOf(t.layers[k].dirs, &t.plan)
	}
	rg, D := stepRange{lo: t.plan.steps}, t.r.directions()
	for _, pt := range t.parts[:m.Members] {
		for d := range D {
			rg.add(&pt.views[k*D+d].bptt)
		}
	}
	return rg.chains(&t.plan)
}

// AddLast adds dLast [B,D*Ho], the gradient of Seq.Last in the last Forward, to
// that of the outputs it was taken from, in dy [T,B,D*Ho] ([B,T,D*Ho] with
// BatchFirst). It panics if a length is wrong, or after Backward.
func (t *Tape) AddLast(dy, dLast []float32) {
	const fn = "Tape.AddLast"
	p, n := &t.plan, t.r.output()
	if !t.ran {
		bad(fn, "calls of Forward since the last Backward", 0, "1")
	}
	if len(dy) != p.T*t.batch*n {
		badLen(fn, "dy", len(dy), "T*B*D*Ho", p.T*t.batch*n)
	}
	if len(dLast) != t.batch*n {
		badLen(fn, "dLast", len(dLast), "B*D*Ho", t.batch*n)
	}
	to := newSeries(dy, p.T, t.batch, n, t.r.batchFirst)
	for i, b := range p.order {
		if T := p.length(i); T > 0 {
			addTo(to.rowAt(T-1, b), dLast[b*n:][:n])
		}
	}
}

// inputGradient sets dx, all of it, to the gradient of what layer k has read,
// from dGates in steps rg, whose rows are in the plan's order if those of dx are:
// the share of m, of rg the steps own.
func (t *Tape) inputGradient(m workers.Member, k int, dx series, inOrder bool, rg, own stepRange) {
	p := &t.plan
	lo, hi := m.Share(p.T)
	for i := lo; i < hi; i++ {
		if i >= rg.lo && i < rg.hi || k > 0 && i >= p.steps {
			continue
		}
		for b := range p.B {
			clear(dx.rowAt(i, b))
		}
	}
	if own.lo == own.hi {
		return
	}
	for d, s := range t.layers[k].dirs {
		s.addInput(dx, p, own, d > 0)
	}
	t.dropInputBack(k, dx, inOrder, own)
	if k > 0 {
		if mask := t.layers[k-1].mask; mask.data != nil {
			from, to := own.lo*p.B*dx.cols, own.hi*p.B*dx.cols
			kernels.Mul(dx.data[from:to], dx.data[from:to], mask.data[from:to])
		}
	}
}

// H0 returns the hidden state h_0 [L*D,B,Ho] that Forward starts from, live: zero
// until it is written.
func (t *Tape) H0() []float32 { return t.h0 }

// C0 returns the cell state c_0 [L*D,B,H] that Forward starts from, live as H0
// is. It is empty for a cell without c, as are CN, DC0 and DCN.
func (t *Tape) C0() []float32 { return t.c0 }

// HN returns the hidden state h_n [L*D,B,Ho] after the last step of Forward.
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
// before Backward, unless H0 or C0 are also the states of a Seq's resets.
func (t *Tape) Carry() {
	copy(t.h0, t.hn)
	copy(t.c0, t.cn)
}
