package layer

import (
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/internal/memory"
	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/kernels"
)

// streamRows bounds the rows of a product with W_ih in Stream.Forward: enough
// to reuse the weights, few enough for a small Stream. More of them, a sixteenth of
// the inputs, serve weights that only memory holds.
const streamRows = 32

// rowSteps is the number of steps that a row takes in one call, if rows go one after
// the other.
const rowSteps = 16

func (r *recurrent) streamRows(batch int) int {
	rows := max(streamRows, r.input/16, r.hUnits()/16)
	if r.stepper() != nil && r.dirs[0].rowByRow(batch, 0, rowSteps) {
		rows = max(rows, rowSteps*batch)
	}
	return rows
}

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
	h, c   []float32 // [L*D,B,Ho], [L*D,B,H]
	h0, c0 []float32 // h and c, unless bidirectional
	hs, cs []float32 // h and c in the plan's order, while a call needs one
	mid    []float32 // [T,B,2*Ho] between layers, if bidirectional
	plan   plan
	x, y   series // of the call
	parts  []*streamPart
	scans  []streaming // of the first part

	planned  bool // also a single step needs a plan
	rowByRow bool // each row has a step of its own, in all scans

	inputs, outputs int           // of a step: B*I, B*D*Ho
	hidden          []float32     // y of a step that a Linear follows, if it may need a plan
	ready           []readyStep   // a step of all rows of all layers, if rowByRow and not planned
	one             *kernels.Step // that of ready, if it is the only one
	last            []float32     // h of the last layer, if so
	readySteps      bool          // ready serves many steps too: each layer has few inputs

	threads
	job func(workers.Member)
}

// streamPart is what one member of a team needs, the only one without a team.
type streamPart struct {
	s     *Stream
	plan  plan // of its rows
	share share
	chunk int         // steps at once
	mid   []float32   // [chunk,B,Ho] between layers, unless bidirectional
	scans []streaming // [L*D]
}

// streaming is a scan of a Stream.
type streaming struct {
	scan
	out  series // where h goes, step base first
	base int
	emit func(t int)

	// For a step without a plan, of the first part only.
	h, c kernels.Mat     // the state of the scan
	rows []*kernels.Step // a step of its own for each row, if rows go one after the other
}

// A readyStep is a step of one row of one layer.
type readyStep struct {
	*kernels.Step
	x        []float32 // its input, h of the layer before; nil for the first layer,
	from, to int       // for which it is a part of the caller's x
}

func newStream(r *recurrent, batch int) *Stream {
	LD := len(r.dirs)
	s := &Stream{r: r, batch: batch, plan: newPlan(batch, r.batchFirst), threads: newThreads(r), inputs: batch * r.input, outputs: batch * r.output()}
	for _, h := range []*[]float32{&s.h, &s.hs} {
		*h = make([]float32, LD*batch*r.hUnits())
	}
	for _, c := range []*[]float32{&s.c, &s.cs} {
		*c = make([]float32, LD*batch*r.cUnits())
	}
	s.h0, s.c0 = s.h, s.c
	if r.bidirectional {
		s.h0, s.c0 = slices.Clone(s.h), slices.Clone(s.c)
	}
	s.job = s.part
	s.SetThreads(1)
	s.scans = s.parts[0].scans
	s.planned, s.rowByRow = r.bidirectional || s.scans[0].zone != nil, true
	if s.planned {
		s.hidden = make([]float32, s.outputs)
	}
	H, cUnits := r.hUnits(), r.cUnits()
	for i := range s.scans {
		sc := &s.scans[i]
		sc.h = kernels.Mat{Data: s.h[i*batch*H:][:batch*H], Stride: H}
		sc.c = kernels.Mat{Data: s.c[i*batch*cUnits:][:batch*cUnits], Stride: cUnits}
		if sc.stepper == nil || !sc.rowByRow(batch, sc.wx.K(), rowSteps) {
			s.rowByRow = false
			continue
		}
		for b := range batch {
			sc.rows = append(sc.rows, sc.readyStep(b))
		}
	}
	if !s.planned && s.rowByRow {
		s.makeReady()
	}
	return s
}

// readyStep returns a step of row b, which moves the state on.
func (sc *streaming) readyStep(b int) *kernels.Step {
	q := sc.seq
	q.T, q.Isolated = 1, true
	q.WIH, q.BIH = sc.wx, sc.step.Bias
	q.H, q.C = sc.h, sc.c
	q.H.Data, q.C.Data = q.H.Data[b*q.H.Stride:], q.C.Data[b*q.C.Stride:]
	q.H0, q.C0 = q.H.Data[:q.H.Stride], q.C.Data[:q.C.Stride]
	q.Gates, q.GatesH, q.M = sc.gates.at(0), sc.gatesH.at(0), sc.m.at(0)
	return sc.stepper.NewStep(q)
}

// makeReady makes ready.
func (s *Stream) makeReady() {
	for i := range s.scans {
		for b, step := range s.scans[i].rows {
			one := readyStep{Step: step, from: b * s.r.input, to: (b + 1) * s.r.input}
			if i > 0 {
				one.x = row(s.scans[i-1].h, b, s.r.hUnits())
			}
			s.ready = append(s.ready, one)
		}
	}
	if len(s.ready) == 1 {
		s.one = s.ready[0].Step
	}
	s.last = s.scans[len(s.scans)-1].h.Data
	s.readySteps = true
	for i := range s.scans {
		s.readySteps = s.readySteps && s.scans[i].fewInputs()
	}
}

func (s *Stream) newPart() *streamPart {
	r := s.r
	rows := max(r.streamRows(s.batch), s.batch)
	pt := &streamPart{s: s, scans: make([]streaming, len(r.dirs))}
	if !r.bidirectional && r.layers > 1 {
		pt.mid = make([]float32, rows*r.hUnits())
	}
	for i := range pt.scans {
		sc := &pt.scans[i]
		inputs := s.batch
		if i < r.directions() {
			inputs = rows
		}
		sc.scan = newScan(r, i, (rows+s.batch-1)/s.batch, s.batch, inputs, false)
		sc.newParts()
		sc.emit = func(t int) { pt.emit(sc, t) }
	}
	return pt
}

// SetThreads sets the number of threads that a call may use, the caller included;
// it is 1 at first. It makes what they need, and so it allocates. The bits of
// results do not depend on it.
//
// Threads are borrowed call by call from one pool of GOMAXPROCS-1 goroutines for
// the whole process, as far as it has idle ones, and only if the work of the call
// pays for it: a large batch, two directions, or many hidden units. While no call
// wants them they take no processor time. It panics if n is less than 1.
func (s *Stream) SetThreads(n int) {
	n = s.threads.set("Stream.SetThreads", n)
	for len(s.parts) < n {
		s.parts = append(s.parts, s.newPart())
	}
	s.parts = slices.Delete(s.parts, n, len(s.parts))
	if n > 1 && s.hidden == nil {
		s.hidden = make([]float32, s.outputs)
	}
	s.alone = !s.shares(1)
}

// Step computes one step, from x [B,I] to y [B,Ho], and moves the state on. It
// panics if a length is wrong, if y and x overlap, or if the network is
// bidirectional.
func (s *Stream) Step(y, x []float32) {
	if s.one == nil || !s.alone || len(x) != s.inputs || len(y) != len(s.last) || memory.Overlap(y, x) {
		s.checkStep("Stream.Step", y, x, "B*Ho", s.outputs)
		s.stepAny(y, x)
		return
	}
	s.one.Run(x)
	copy(y, s.last)
}

// StepLinear computes one step, from x [B,I] to h [B,Ho], and from that y [B,O]:
//
//	s.Step(h, x)
//	l.Forward(y, h)
//
// with the same bits. For one row of a small network and a Linear of up to 15 outputs
// it takes not much longer than Step alone. It panics if l.Input is not Ho, and as Step
// does.
func (s *Stream) StepLinear(y, x []float32, l *Linear) {
	if s.one == nil || !s.alone || len(x) != s.inputs || len(y) != l.output || memory.Overlap(y, x) || l.input != len(s.last) {
		s.stepLinear(y, x, l)
		return
	}
	s.one.RunLinear(y, x, &l.product)
}

// stepLinear is StepLinear for any network and any arguments.
//
//go:noinline
func (s *Stream) stepLinear(y, x []float32, l *Linear) {
	const fn = "Stream.StepLinear"
	s.checkStep(fn, y, x, "B*O", s.batch*l.output)
	if l.input != s.r.output() {
		bad(fn, "l.Input", l.input, "Ho = "+strconv.Itoa(s.r.output()))
	}
	if s.ready == nil || s.batch > 1 || s.shares(1) {
		s.stepAny(s.hidden, x)
		l.forward(y, s.scans[len(s.scans)-1].h.Data)
		return
	}
	last := len(s.ready) - 1
	runReady(s.ready[:last], x)
	s.ready[last].RunLinear(y, s.ready[last].input(x), &l.product)
}

// stepAny is Step for any network. y may be nil if there are neither a plan nor threads.
func (s *Stream) stepAny(y, x []float32) {
	if s.ready == nil || s.shares(1) {
		if !s.step(y, x, nil) {
			s.forward(y, x, 1, &nothing)
		}
		return
	}
	runReady(s.ready, x)
	copy(y, s.last)
}

// runReady makes steps for the caller's x.
func runReady(ready []readyStep, x []float32) {
	for i := range ready {
		ready[i].Run(ready[i].input(x))
	}
}

// input returns the input of a step for the caller's x.
func (r *readyStep) input(x []float32) []float32 {
	if r.x != nil {
		return r.x
	}
	return x[r.from:r.to]
}

// checkStep panics if a step cannot take x, or y of so many outputs. what names these.
//
//go:noinline
func (s *Stream) checkStep(fn string, y, x []float32, what string, outputs int) {
	switch {
	case s.r.bidirectional:
		bad(fn, "directions", 2, "1: the reverse direction needs whole sequences")
	case len(x) != s.inputs:
		badLen(fn, "x", len(x), "B*I", s.inputs)
	case len(y) != outputs:
		badLen(fn, "y", len(y), what, outputs)
	case memory.Overlap(y, x):
		badOverlap(fn, "y", "x")
	}
}

// shares says whether a team shares T steps.
func (s *Stream) shares(T int) bool { return s.team != nil && s.work(T, s.batch) >= minCall }

// step computes one step without a plan, if that can be; else it returns false and
// has done nothing. lengths are nil if no row rests.
func (s *Stream) step(y, x []float32, lengths []int) bool {
	if s.planned || lengths != nil && !s.rowByRow || s.shares(1) {
		return false
	}
	in := kernels.Mat{Data: x, Stride: s.r.input}
	for i := range s.scans {
		sc := &s.scans[i]
		if sc.rows != nil { // without the detour over a cell.Step
			for b, step := range sc.rows {
				if lengths == nil || lengths[b] > 0 {
					step.Run(row(in, b, in.Stride))
				}
			}
			in = sc.h
			continue
		}
		if sc.member.Members > 1 {
			sc.whole(s.batch)
		}
		st := &sc.step
		st.W, sc.other = sc.other, st.W
		st.Rows, st.Isolated, st.X, st.WX = s.batch, true, in, sc.wx
		st.H, st.C, st.HPrev, st.CPrev = sc.h, sc.c, sc.h, sc.c
		sc.place(0)
		sc.cell.Forward(st)
		in = sc.h
	}
	copy(y, in.Data)
	for b, n := range lengths {
		if n == 0 {
			clear(y[b*in.Stride:][:in.Stride])
		}
	}
	return true
}

// whole prepares the scan for a step of its own, after a call that it shared.
func (sc *streaming) whole(batch int) {
	sc.allUnits()
	width := sc.step.W.Width()
	sc.gates = newSeries(sc.gates.data, 1, batch, width, false)
	if sc.gatesH.data != nil {
		sc.gatesH = inPlace(sc.gatesH.data, width)
	}
}

// Forward computes the T steps of x [T,B,I], the same bits as T calls of Step:
//
//	for t := range T {
//		s.Step(y[t], x[t])
//	}
//
// y is [T,B,D*Ho]. With BatchFirst x is [B,T,I] and y [B,T,D*Ho]. It panics if a
// length is wrong or if y and x overlap.
func (s *Stream) Forward(y, x []float32) { s.forwardSeq("Stream.Forward", y, x, &nothing) }

// ForwardSeq is Forward for sequences with lengths, resets and histories. It
// panics if q does not fit.
func (s *Stream) ForwardSeq(y, x []float32, q Seq) { s.forwardSeq("Stream.ForwardSeq", y, x, &q) }

func (s *Stream) forwardSeq(fn string, y, x []float32, q *Seq) {
	T := steps(fn, x, "B*I", s.batch*s.r.input)
	if n := T * s.batch * s.r.output(); len(y) != n {
		badLen(fn, "y", len(y), "T*B*D*Ho", n)
	}
	if memory.Overlap(y, x) {
		badOverlap(fn, "y", "x")
	}
	q.check(fn, s.r, T, s.batch, false)
	s.grow(T)
	s.forward(y, x, T, q)
}

// Grow makes room for sequences of T steps. Only the Stream of a bidirectional
// network of several layers needs it, to keep the sequence between the layers; a
// longer one makes it allocate once. It panics unless T is not negative and the
// memory can be addressed.
func (s *Stream) Grow(T int) {
	const fn = "Stream.Grow"
	switch {
	case T < 0:
		bad(fn, "T", T, "at least 0")
	case !fits(T, s.batch, s.r.output()):
		bad(fn, "T", T, inMemory)
	}
	s.grow(T)
}

func (s *Stream) grow(T int) {
	if r := s.r; r.bidirectional && r.layers > 1 {
		if n := T * s.batch * r.output(); len(s.mid) < n {
			s.mid = make([]float32, n)
		}
	}
}

// forward computes the T steps of a checked call.
func (s *Stream) forward(y, x []float32, T int, q *Seq) {
	if q.Reset == nil && q.HAll == nil && q.CAll == nil && q.Last == nil {
		lengths := q.Lengths
		switch {
		case T == 1:
			if !slices.Contains(lengths, 0) {
				lengths = nil
			}
			if s.step(y, x, lengths) {
				return
			}
		case s.readySteps && lengths == nil && !s.shares(T):
			s.forwardReady(y, x, T)
			return
		}
	}
	r, p, B := s.r, &s.plan, s.batch
	p.set(q, T)
	s.x, s.y = newSeries(x, T, B, r.input, r.batchFirst), newSeries(y, T, B, r.output(), r.batchFirst)
	if r.bidirectional {
		copy(s.h, s.h0)
		copy(s.c, s.c0)
	}
	s.run(s.threads.work(p.steps, B), p, false, s.job)
	p.lastOutputs(s.y)
	p.Seq, s.x, s.y = Seq{}, series{}, series{}
}

// forwardReady computes T steps that are ready.
func (s *Stream) forwardReady(y, x []float32, T int) {
	r, B, Ho, mid := s.r, s.batch, s.r.hUnits(), s.parts[0].mid
	xs, ys := newSeries(x, T, B, r.input, r.batchFirst), newSeries(y, T, B, Ho, r.batchFirst)
	chunk := T
	if r.layers > 1 {
		chunk = len(mid) / (B * Ho)
	}
	for t := 0; t < T; t += chunk {
		in, n := xs.from(t), min(chunk, T-t)
		for k := range r.layers {
			out := ys.from(t)
			if k < r.layers-1 {
				out = newSeries(mid, n, B, Ho, false) // may be in
			}
			for b := range B {
				s.ready[k*B+b].RunSteps(out.ofRow(b), in.ofRow(b), n)
			}
			in = out
		}
	}
}

// part does the share of one member.
func (s *Stream) part(m workers.Member) {
	pt := s.parts[m.Index]
	pt.begin(m)
	p := &pt.plan
	if s.r.bidirectional || s.r.layers == 1 {
		pt.layers(m, 0, p.steps)
	} else {
		for t := 0; t < p.steps; t += pt.chunk {
			pt.layers(m, t, min(pt.chunk, p.steps-t))
		}
	}
	pt.end()
}

// begin prepares the scans for the share of m.
func (pt *streamPart) begin(m workers.Member) {
	r, s := pt.s.r, pt.s
	pt.share = r.share(m, s.split(&s.plan, m.Members, false), &s.plan, false)
	w, p := pt.share, &pt.plan
	p.setRows(&s.plan, w.lo, w.hi)
	pt.chunk = max(1, r.streamRows(s.batch)/max(1, w.hi-w.lo))
	for i := range pt.scans {
		sc := &pt.scans[i]
		if w.split == byUnits {
			sc.setUnits(m, w.from, w.to)
		} else if sc.member.Members > 1 {
			sc.allUnits()
		}
		width := sc.step.W.Width()
		sc.gates = newSeries(sc.gates.data, pt.chunk, w.hi-w.lo, width, false)
		if sc.gatesH.data != nil {
			sc.gatesH = inPlace(sc.gatesH.data, width)
		}
		sc.after = nil
		if !p.plain() || p.HAll != nil || p.CAll != nil {
			sc.after = sc.emit
		}
		if !p.plain() && pt.takes(sc) {
			sc.order(p, s.hs, s.h, r.hUnits(), true)
			sc.order(p, s.cs, s.c, r.cUnits(), true)
		}
	}
}

// takes says whether the scan is of a direction that the member takes.
func (pt *streamPart) takes(sc *streaming) bool {
	d := sc.index % pt.s.r.directions()
	return pt.share.d0 <= d && d < pt.share.d1
}

// end leaves the states where the caller looks for them, and clears what no step
// has written.
func (pt *streamPart) end() {
	r, p, s := pt.s.r, &pt.plan, pt.s
	if p.plain() {
		return
	}
	for i := range pt.scans {
		sc := &pt.scans[i]
		if !pt.takes(sc) {
			continue
		}
		sc.order(p, s.hs, s.h, r.hUnits(), false)
		sc.order(p, s.cs, s.c, r.cUnits(), false)
		p.clearFrom(p.history(p.HAll, i, r.hUnits()))
		p.clearFrom(p.history(p.CAll, i, r.cUnits()))
		if i/r.directions() == r.layers-1 {
			p.clearFrom(s.y.part(i%r.directions(), r.hUnits()))
		}
	}
}

// layers computes steps t0 to t0+T through all layers.
func (pt *streamPart) layers(m workers.Member, t0, T int) {
	r, s, p, w := pt.s.r, pt.s, &pt.plan, pt.share
	D, Ho := r.directions(), r.hUnits()
	in, y := s.x.from(t0), s.y.from(t0)
	for k := range r.layers {
		out := y
		switch after := r.layers - 1 - k; {
		case after == 0:
			if p.plain() {
				out = y.rows(p.first)
			}
			if w.split == byRows && D == 2 && r.layers > 2 {
				m.Wait() // until nobody reads from y what stood between layers
			}
		case D == 2 && after%2 == 0: // y is still free
			out = newSeries(y.data, T, s.batch, D*Ho, false).rows(p.first)
		case D == 2:
			out = newSeries(s.mid, T, s.batch, D*Ho, false).rows(p.first)
		case w.split == byUnits: // others read what the layer before has left
			out = newSeries(s.parts[k%2].mid, T, s.batch, Ho, false)
		default: // one direction may overwrite its own input
			out = newSeries(pt.mid, T, len(p.order), Ho, false)
		}
		for d := w.d0; d < w.d1; d++ {
			sc := &pt.scans[k*D+d]
			sc.out, sc.base = out.part(d, Ho), t0
			chunk := pt.chunk
			if sc.withInputs(p, T) {
				chunk = T
			}
			for i := 0; i < T; i += chunk {
				n := min(chunk, T-i)
				from := i
				if sc.reverse {
					from = T - i - n
				}
				pt.steps(sc, in.from(from), k > 0, from, n)
			}
		}
		if w.split == byDirections {
			m.Wait()
		}
		in = out
	}
}

// steps computes n steps of one scan, the first of which is step from of
// sc.out and of x.
func (pt *streamPart) steps(sc *streaming, x series, inOrder bool, from, n int) {
	r, s, p, st := pt.s.r, pt.s, &pt.plan, &sc.step
	t0, Ho, cUnits := sc.base+from, r.hUnits(), r.cUnits()
	h, c := s.h, s.c
	if !p.plain() {
		h, c = s.hs, s.cs
	}
	row := sc.index*s.batch + p.first
	hs, cs := inPlace(h[row*Ho:], Ho), inPlace(c[row*cUnits:], cUnits).columns(st.First, min(st.Units, cUnits))
	st.HPrev, st.CPrev = hs.at(0), cs.at(0)

	st.WX, st.Isolated = nil, p.steps == 1
	if rows, ordered := p.rowsOf(x, inOrder); ordered && sc.withInputs(p, n) {
		sc.steps(rows, sc.out.from(from), cs, len(p.order), n, false)
		copyRows(hs.at(0), st.HPrev, len(p.order), Ho)
		return
	}
	if n == 1 {
		x, inOrder = p.rowsOf(x, inOrder)
		st.X, st.WX = sc.input(x.at(0), inOrder, p, p.rows(t0)), sc.wx
	} else {
		sc.project(x, inOrder, p, t0, n)
	}
	if !p.plain() {
		sc.forward(hs, cs, p, t0, n, false)
		return
	}
	sc.forward(sc.out.from(from), cs, p, t0, n, false)
	if sc.member.Members == 1 {
		copyRows(hs.at(0), st.HPrev, len(p.order), Ho)
		return
	}
	copyRows(hs.columns(st.First, st.Units).at(0), st.H, len(p.order), st.Units)
	sc.member.Wait()
}

// emit writes the state after step t to where the caller wants it.
func (pt *streamPart) emit(sc *streaming, t int) {
	r, p, st := pt.s.r, &pt.plan, &sc.step
	Ho, last := r.hUnits(), sc.index/r.directions() == r.layers-1
	switch {
	case p.plain():
	case last:
		p.scatter(sc.out, t-sc.base, st.H, st.Rows)
	default:
		copyRows(sc.out.at(t-sc.base), st.H, st.Rows, Ho)
	}
	for _, s := range [...]struct {
		all  []float32
		cols int
		m    kernels.Mat
	}{{p.HAll, Ho, st.H}, {p.CAll, r.cUnits(), st.C}} {
		if len(s.all) == 0 { // nil, or of a cell without c
			continue
		}
		to := p.history(s.all, sc.index, s.cols)
		if sc.member.Members > 1 {
			to = to.columns(st.First, st.Units)
		}
		p.scatter(to, t, s.m, st.Rows)
	}
}

// order copies a state from the caller's rows to the plan's order, or back.
func (s *scan) order(p *plan, ordered, caller []float32, cols int, forth bool) {
	for i := range p.order {
		if p.length(i) == 0 {
			break // nor do those after it take part
		}
		a, b := ordered[(s.index*p.B+p.first+i)*cols:][:cols], s.stateRow(caller, p, i, cols)
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
	c.SetThreads(s.n)
	c.grow(len(s.mid) / (s.batch * s.r.output()))
	return c
}
