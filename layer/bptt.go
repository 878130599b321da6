package layer

import (
	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/kernels"
)

// bptt is a scan that can go back: back-propagation through time.
//
// The states of step t are in slot t+1 of h and c. Those before the first step
// are in slot 0, or in the reverse direction, where each row begins at its own
// last step, in slot length+1.
type bptt struct {
	scan
	grads      dirParams
	otherT     *kernels.Panels // step.WT in the other direction, as scan.other
	h, c       series          // [T+2,B,·]
	dh, dhPrev []float32       // [B,Ho]: the gradient of h, of two steps in turn
	dc         []float32       // [B,H]
	dhs        series          // [T,B,P], with projection: dh of all steps
	sum        []float32       // [B,Width], scratch
	lo, hi     int             // backward found gradients in steps lo to hi only
	hMask      []float32       // [B,Ho] of recurrent dropout, in the caller's order; step.HMask is in the plan's
}

// shared is what a scan needs to go back through a part of the units.
type shared struct {
	whhT   [2]kernels.Panels // part of W_hh transposed, in both directions
	dGates series            // of the h part, of all units
	t      int               // the step
	zero   bool              // no gradient has come to the part's units
	gather func() kernels.Mat
}

// newBPTT returns scan index for at most maxT steps, whose h is part of slots.
func newBPTT(r *recurrent, index int, slots series, grads dirParams, maxT, batch int) *bptt {
	D, Ho, cUnits := r.directions(), r.hUnits(), r.cUnits()
	s := &bptt{
		scan:   newScan(r, index, maxT, batch, batch, true),
		grads:  grads,
		h:      slots.part(index%D, Ho),
		c:      newSeries(make([]float32, (maxT+2)*batch*cUnits), maxT+2, batch, cUnits, false),
		dh:     make([]float32, batch*Ho),
		dhPrev: make([]float32, batch*Ho),
		dc:     make([]float32, batch*cUnits),
	}
	if s.wih.reserve(); index >= D { // the first layer's inputs may need no gradient
		s.wih.transposed()
	}
	st := &s.step
	st.WT, s.otherT = s.whh.transposed(), s.whh.otherT
	st.DC = kernels.Mat{Data: s.dc, Stride: cUnits}
	st.DM = kernels.Mat{Data: make([]float32, batch*r.hidden), Stride: r.hidden}
	if s.whr != nil {
		st.WRT = s.whr.transposed()
		s.dhs = newSeries(make([]float32, maxT*batch*Ho), maxT, batch, Ho, false)
	}
	s.sum = make([]float32, batch*s.gates.cols)
	if s.variant != nil {
		st.DVariant = s.variant.Zeros()
	}
	if r.recurrentDropout > 0 {
		s.hMask = make([]float32, batch*Ho)
		st.HMask = kernels.Mat{Data: make([]float32, batch*Ho), Stride: Ho}
		st.HDrop = kernels.Mat{Data: make([]float32, batch*Ho), Stride: Ho}
	}
	return s
}

// first and last return the slots of row i before its first step and after its
// last one.
func (s *bptt) first(p *plan, i int) int {
	if s.reverse {
		return p.length(i) + 1
	}
	return 0
}

func (s *bptt) last(p *plan, i int) int {
	if s.reverse {
		return 1
	}
	return p.length(i)
}

// before returns the slot of the state before step t.
func (s *bptt) before(t int) int {
	if s.reverse {
		return t + 2
	}
	return t
}

// forward computes all steps of p from x, unless their x part is there already,
// beginning with h0 and c0, to hn and cn, which are [L*D,B,·].
func (s *bptt) forward(hn, cn, h0, c0 []float32, x series, inOrder bool, p *plan, projected bool) {
	h, Ho, cUnits := s.h, s.h.cols, s.c.row
	if s.member.Members > 1 {
		h = h.columns(s.step.First, s.step.Units)
	}
	for i := range p.order {
		copy(h.rowAt(s.first(p, i), i), s.own(h0, p, i, Ho))
		copy(s.c.rowAt(s.first(p, i), i), s.own(c0, p, i, cUnits))
	}
	if T := p.steps; T > 0 {
		if !projected {
			s.project(x, inOrder, p, 0, T)
		}
		if s.member.Members > 1 {
			s.member.Wait()
		}
		before := s.before(s.at(0, T))
		s.step.WX, s.step.HPrev, s.step.CPrev = nil, s.h.at(before), s.c.at(before)
		s.scan.forward(s.h.from(1), s.c.from(1), p, 0, T, true)
	}
	for i := range p.order {
		copy(s.own(hn, p, i, Ho), h.rowAt(s.last(p, i), i))
		copy(s.own(cn, p, i, cUnits), s.c.rowAt(s.last(p, i), i))
	}
}

// view sets v to the share w of a scan for the member m, which has scratch memory
// of its own in pt.
func (v *tapeView) view(of *bptt, m workers.Member, w share, pt *tapePart) {
	s, zone, parts := &v.bptt, &v.zone, v.parts
	*s = *of
	s.parts = parts
	lo, st := w.lo, &s.step
	for _, x := range [...]*series{&s.gates, &s.gatesH, &s.m, &s.saved, &s.h, &s.c, &s.dhs} {
		*x = x.rows(lo)
	}
	inputs, Ho, cUnits := of.wih.panels.K(), of.h.cols, of.c.cols
	for _, x := range [...]struct {
		data *[]float32
		cols int
	}{{&s.hPrev, Ho}, {&s.cPrev, cUnits}, {&s.xs, inputs}, {&s.dh, Ho}, {&s.dhPrev, Ho}, {&s.dc, cUnits}} {
		*x.data = rowsFrom(*x.data, lo, x.cols)
	}
	// It may gather many steps where there is room, so it gets no more than its own.
	// Members that share units read the same rows, in order, and gather nothing.
	s.xs = s.xs[:min(len(s.xs), (w.hi-lo)*inputs)]
	if w.split == byUnits {
		s.xs = nil
	}
	for _, x := range [...]*kernels.Mat{&st.DC, &st.DM, &st.HMask, &st.HDrop, &st.Kept, &st.Wide} {
		x.Data = rowsFrom(x.Data, lo, x.Stride)
	}
	if s.zone != nil {
		zone.view(of.zone, lo)
		s.zone = zone
	}
	s.sum = pt.sum
	s.lo, s.hi = 0, 0
	if w.split != byUnits {
		return
	}
	s.setUnits(m, w.from, w.to)
	if w.back {
		v.whhT[0].SetPart(of.whh.t, w.from, w.to)
		st.WT, s.otherT, st.Gather = &v.whhT[0], &v.whhT[1], v.gather
		v.dGates = s.gates
		if s.gatesH.data != nil {
			v.dGates = s.gatesH
		}
	}
	col, width := kernels.PackedIndex(st.W.Gates(), w.from, 0), st.W.Width()
	s.gates, s.gatesH = s.gates.columns(col, width), s.gatesH.columns(col, width)
	s.c = s.c.columns(w.from, min(st.Units, cUnits))
}

// rowsFrom returns the rows of x [·,cols] from row lo on.
func rowsFrom(x []float32, lo, cols int) []float32 { return x[min(lo*cols, len(x)):] }

// own returns what is the scan's own of row i in a state [L*D,B,cols] of the
// caller.
func (s *bptt) own(state []float32, p *plan, i, cols int) []float32 {
	row := s.stateRow(state, p, i, cols)
	if cols > 0 && s.member.Members > 1 {
		row = row[s.step.First:][:s.step.Units]
	}
	return row
}

// draw draws the masks of a call.
func (s *bptt) draw(r *recurrent, rnd *Rand, p *plan) {
	if s.hMask != nil {
		rnd.Dropout(s.hMask, r.recurrentDropout)
		for i, b := range p.order {
			n := s.h.cols
			copy(s.step.HMask.Data[i*n:][:n], s.hMask[b*n:])
		}
	}
	if s.zone != nil {
		s.zone.draw(rnd, p, r.zoneoutH, r.zoneoutC)
	}
}

// A gradient is where that of a scan's output and states comes from and goes to.
type gradient struct {
	dy                 series // [T,B,Ho]; no data for zeros
	inOrder            bool   // says that the rows of dy are in the plan's order
	dhn, dcn, dh0, dc0 []float32
}

// backward goes back through the steps of forward. It sets dh0 and dc0, and leaves
// dGates in gates and gatesH.
func (s *bptt) backward(g *gradient, p *plan) {
	T := p.steps
	s.lo, s.hi = T, 0
	s.step.DVariant.Clear()
	for i := range p.order {
		if p.length(i) == 0 {
			copy(s.stateRow(g.dh0, p, i, s.h.cols), s.stateRow(g.dhn, p, i, s.h.cols))
			copy(s.stateRow(g.dc0, p, i, s.c.cols), s.stateRow(g.dcn, p, i, s.c.cols))
		}
	}
	if T > 0 {
		s.enter(s.dh, g, p, s.at(T-1, T), 0)
	}
	for i := T - 1; i >= 0; i-- {
		t := s.at(i, T)
		n, common, next := p.rows(t), 0, -1 // next is the step to go to
		if i > 0 {
			next = s.at(i-1, T)
			common = min(n, p.rows(next))
			s.output(s.dhPrev, g, p, next, 0, common)
		}
		clear(s.dhPrev[common*s.h.cols:][:(n-common)*s.h.cols])
		s.stepBack(g, p, t, n, next, common)
		for i := common; i < n; i++ { // rows whose first step this is
			copy(s.stateRow(g.dh0, p, i, s.h.cols), s.dhPrev[i*s.h.cols:])
			copy(s.stateRow(g.dc0, p, i, s.c.cols), s.dc[i*s.c.cols:])
		}
		if next >= 0 {
			s.enter(s.dhPrev, g, p, next, n)
		}
		s.dh, s.dhPrev = s.dhPrev, s.dh
	}
}

// backward is that of bptt, or its part for a share of the units, without resets
// and with all rows in all steps.
func (v *tapeView) backward(g *gradient, p *plan) {
	s, st := &v.bptt, &v.step
	if st.Gather == nil {
		s.backward(g, p)
		return
	}
	T, B, Ho, cUnits := p.steps, p.B, s.h.cols, s.c.row
	own := func(x []float32, cols int) kernels.Mat {
		if cols == 0 {
			return kernels.Mat{}
		}
		return kernels.Mat{Data: x[st.First:], Stride: cols}
	}
	dy, cols := g.dy.columns(st.First, st.Units), st.Units
	output := func(dh kernels.Mat, i int) {
		if i >= 0 && dy.data != nil {
			copyRows(dh, dy.at(s.at(i, T)), B, cols)
			return
		}
		for b := range B {
			clear(row(dh, b, cols))
		}
	}
	dh, dhPrev := own(s.dh, Ho), own(s.dhPrev, Ho)
	st.Rows, st.DC, st.DM = B, own(s.dc, cUnits), own(st.DM.Data, st.DM.Stride)
	s.lo, s.hi = T, 0
	output(dh, T-1)
	for b := range B {
		d := row(dh, b, cols)
		kernels.Add(d, d, s.own(g.dhn, p, b, Ho))
		copy(row(st.DC, b, s.c.cols), s.own(g.dcn, p, b, cUnits))
	}
	for i := T - 1; i >= 0; i-- {
		t := s.at(i, T)
		before := s.before(t)
		s.place(t)
		st.H, st.C, st.HPrev, st.CPrev = own(s.h.at(t+1).Data, s.h.row), s.c.at(t+1), s.h.at(before), s.c.at(before)
		output(dhPrev, i-1)
		st.DH, st.DHPrev = dh, dhPrev
		v.t, v.zero = t, true
		for b := range B {
			v.zero = v.zero && kernels.MaxAbs(row(dh, b, cols)) == 0 && kernels.MaxAbs(row(st.DC, b, s.c.cols)) == 0
		}
		st.WT, s.otherT = s.otherT, st.WT
		s.cell.Backward(st)
		dh, dhPrev = dhPrev, dh
	}
	for b := range B {
		copy(s.own(g.dh0, p, b, Ho), row(dh, b, cols))
		copy(s.own(g.dc0, p, b, cUnits), row(st.DC, b, s.c.cols))
	}
}

// output sets rows from to to of dh to the gradient of the output of step t.
func (s *bptt) output(dh []float32, g *gradient, p *plan, t, from, to int) {
	cols := s.h.cols
	dh = dh[from*cols : to*cols]
	switch {
	case g.dy.data == nil:
		clear(dh)
	case g.inOrder:
		dy := g.dy.at(t)
		dy.Data = dy.Data[min(from*dy.Stride, len(dy.Data)):]
		copyRows(kernels.Mat{Data: dh, Stride: cols}, dy, to-from, cols)
	default:
		for i := range to - from {
			copy(dh[i*cols:][:cols], g.dy.rowAt(t, p.order[from+i]))
		}
	}
}

// enter begins with the rows, those from n on, whose last step is t.
func (s *bptt) enter(dh []float32, g *gradient, p *plan, t, n int) {
	to := p.rows(t)
	if n >= to {
		return
	}
	s.output(dh, g, p, t, n, to)
	for i := n; i < to; i++ {
		d := dh[i*s.h.cols:][:s.h.cols]
		kernels.Add(d, d, s.stateRow(g.dhn, p, i, s.h.cols))
		copy(s.dc[i*s.c.cols:][:s.c.cols], s.stateRow(g.dcn, p, i, s.c.cols))
	}
}

// stepBack goes back through step t of n rows: it leaves dGates, and the
// gradient of the state before the step in dhPrev, to which it adds, and dc. The
// first common rows of dhPrev are the output's gradient at step next.
func (s *bptt) stepBack(g *gradient, p *plan, t, n, next, common int) {
	st, Ho := &s.step, s.h.cols
	st.Rows = n
	s.place(t)
	if s.noGradient(n) {
		clear(st.Gates.Data[:n*st.Gates.Stride])
		if s.gatesH.data != nil {
			clear(st.GatesH.Data[:n*st.GatesH.Stride])
		}
		if st.WR != nil {
			clear(s.dhs.at(t).Data[:n*Ho])
		}
		return
	}
	s.lo, s.hi = min(s.lo, t), max(s.hi, t+1)
	before := s.before(t)
	st.H, st.C, st.HPrev, st.CPrev = s.h.at(t+1), s.c.at(t+1), s.h.at(before), s.c.at(before)
	if s.zone != nil {
		s.zone.before(st, t)
		s.zone.split(s.dh, s.dc, t, n)
	}
	if st.WR != nil {
		copy(s.dhs.at(t).Data, s.dh[:n*Ho])
	}
	st.DH, st.DHPrev = kernels.Mat{Data: s.dh, Stride: Ho}, kernels.Mat{Data: s.dhPrev, Stride: Ho}
	reset := p.anyReset(t, n)
	if reset {
		s.reset(p, t)
		for i := range n {
			if p.resets(t, i) {
				clear(s.dhPrev[i*Ho:][:Ho])
			}
		}
	}
	st.WT, s.otherT = s.otherT, st.WT
	s.cell.Backward(st)
	if s.zone != nil {
		s.zone.join(s.dhPrev, s.dc, n)
	}
	if !reset {
		return
	}
	for i := range n {
		if !p.resets(t, i) {
			continue
		}
		dh, dc := s.dhPrev[i*Ho:][:Ho], s.dc[i*s.c.cols:][:s.c.cols]
		s.addState(p.DResetH, p, i, dh)
		s.addState(p.DResetC, p, i, dc)
		clear(dc)
		if i < common {
			s.output(s.dhPrev, g, p, next, i, i+1)
		} else {
			clear(dh)
		}
	}
}

// noGradient says that the gradients of the states of n rows are zero, so that
// all others of the step are: far back from a loss they fade to nothing.
func (s *bptt) noGradient(n int) bool {
	return kernels.MaxAbs(s.dh[:n*s.h.cols]) == 0 && kernels.MaxAbs(s.dc[:n*s.c.cols]) == 0
}

// addState adds row i to the caller's state, unless that is nil.
func (s *scan) addState(state []float32, p *plan, i int, add []float32) {
	if state != nil {
		d := s.stateRow(state, p, i, len(add))
		kernels.Add(d, d, add)
	}
}

// toCaller brings the rows of dGates, and of dh where it is kept, to the caller's
// order and clears those that have no such step, for products over many steps.
func (s *bptt) toCaller(p *plan, rg stepRange, sum []float32) {
	if !p.ragged {
		return
	}
	for _, m := range [...]series{s.gates, s.gatesH, s.dhs} {
		if m.data == nil {
			continue
		}
		buf := kernels.Mat{Data: sum, Stride: m.cols}
		for t := rg.lo; t < rg.hi; t++ {
			n := p.rows(t)
			copyRows(buf, m.at(t), n, m.cols)
			p.scatter(m, t, buf, n)
		}
	}
}

// A stepRange is steps lo to hi, outside of which no gradient is. Products over
// the index t*B+b begin at row first, where a chain does.
type stepRange struct{ lo, hi, first, rows int }

// chain is the number of products in a chain of package kernels.
const chain = 256

// rangeOf returns the steps in which any of the directions found gradients.
func rangeOf(dirs []*bptt, p *plan) stepRange {
	rg := stepRange{lo: p.steps}
	for _, s := range dirs {
		rg.add(s)
	}
	return rg.chains(p)
}

// add adds the steps in which s found gradients.
func (rg *stepRange) add(s *bptt) {
	if s.lo < s.hi {
		rg.lo, rg.hi = min(rg.lo, s.lo), max(rg.hi, s.hi)
	}
}

// share returns the steps of m.
func (rg stepRange) share(m workers.Member) stepRange {
	lo, hi := m.Share(rg.hi - rg.lo)
	rg.lo, rg.hi = rg.lo+lo, rg.lo+hi
	return rg
}

// chains completes a range of steps.
func (rg stepRange) chains(p *plan) stepRange {
	if rg.lo >= rg.hi {
		return stepRange{}
	}
	rg.first = rg.lo * p.B / chain * chain
	rg.lo = rg.first / p.B
	rg.rows = rg.hi*p.B - rg.first
	return rg
}

// addInput sets dx to the gradient of the input, or adds it.
func (s *bptt) addInput(dx series, p *plan, rg stepRange, add bool) {
	wihT := s.wih.transposed()
	product := func(c, a kernels.Mat, n int) {
		if add {
			kernels.GemmAdd(c, a, n, wihT)
		} else {
			kernels.Gemm(c, a, n, wihT, nil)
		}
	}
	dx, gates, n := dx.from(rg.lo), s.gates.from(rg.lo), rg.hi-rg.lo
	if dx.step == p.B*dx.row { // time-major
		product(dx.at(0), gates.at(0), n*p.B)
		return
	}
	for b := range p.B {
		product(kernels.Mat{Data: dx.data[b*dx.row:], Stride: dx.step},
			kernels.Mat{Data: gates.data[b*gates.row:], Stride: gates.step}, n)
	}
}

// addGrads adds the gradients of the parameters, which are sums over the index
// t*B+b of the caller's rows: those of the units of m. xs is the input, hs what
// W_hh has multiplied, and ms is m. sum is scratch.
func (s *bptt) addGrads(member workers.Member, xs, hs, ms *kernels.Panels, p *plan, rg stepRange, sum []float32) {
	rows := func(m series) kernels.Mat { return kernels.Mat{Data: m.data[rg.first*m.row:], Stride: m.row} }
	dx := rows(s.gates)
	dh := dx
	if s.gatesH.data != nil {
		dh = rows(s.gatesH)
	}
	gates, H := s.cell.Gates(), s.step.Units
	lo, hi := shareOf(member, H, blockUnits)
	s.wih.addGrad(s.grads.ih, dx, xs, lo, hi)
	s.whh.addGrad(s.grads.hh, dh, hs, lo, hi)
	if s.bias != nil {
		if s.gatesH.data == nil {
			addBiasGrad(sum, dx, rg.rows, gates, H, lo, hi, s.grads.bih, s.grads.bhh)
		} else {
			addBiasGrad(sum, dx, rg.rows, gates, H, lo, hi, s.grads.bih)
			addBiasGrad(sum, dh, rg.rows, gates, H, lo, hi, s.grads.bhh)
		}
	}
	if s.step.DVariant != nil && member.Index == 0 {
		s.addVariantGrads(H)
	}
	if s.whr != nil {
		lo, hi := shareOf(member, s.h.cols, blockUnits)
		s.whr.addGrad(s.grads.hr, rows(s.dhs), ms, lo, hi)
	}
}

// addVariantGrads adds those of the parameters of a cell.Variant.
func (s *bptt) addVariantGrads(units int) {
	sums, grads := s.step.DVariant, &s.grads
	for i := range grads.peephole {
		grads.peephole[i] += sums.Peephole[kernels.PackedIndex(3, i%units, i/units)]
	}
	if len(sums.Shift) == 0 {
		return
	}
	v := grads.variant
	for _, g := range [...][2][]float32{{v.GainIH, sums.GainIH}, {v.GainHH, sums.GainHH}, {v.GainC, sums.GainC}, {v.ShiftC, sums.ShiftC},
		{grads.bih, sums.Shift}, {grads.bhh, sums.Shift}} {
		if g[0] != nil {
			kernels.Add(g[0], g[0], g[1])
		}
	}
}

// packStates sets hs to what W_hh has multiplied, as packSeries does. part and
// buf are scratch.
func (s *bptt) packStates(m workers.Member, hs *kernels.Panels, p *plan, rg stepRange, part *kernels.Panels, buf []float32) {
	h := s.h.from(s.before(0))
	packSeries(m, hs, h, false, p, rg, part)
	if p.Reset == nil && s.hMask == nil {
		return
	}
	m.Wait()
	own := rg.share(m)
	for t := own.lo; t < own.hi; t++ {
		for i := range p.rows(t) {
			k, x := t*p.B+p.order[i]-rg.first, h.rowAt(t, i)
			switch {
			case k < 0:
				continue
			case p.Reset == nil || !p.resets(t, i):
				if s.hMask == nil {
					continue
				}
			case p.ResetH == nil:
				hs.SetRow(k, nil)
				continue
			default:
				x = s.stateRow(p.ResetH, p, i, h.cols)
			}
			if s.hMask != nil {
				d := buf[:h.cols]
				kernels.Mul(d, x, row(s.step.HMask, i, h.cols))
				x = d
			}
			hs.SetRow(k, x)
		}
	}
}

// packSeries sets panels of one gate to the rows of x, which are in the caller's
// order or else in the plan's, at the index t*B+b of the caller, with zeros where
// a row has no such step: the share of m, for which part is scratch. The panels
// have rg.rows inputs.
func packSeries(m workers.Member, panels *kernels.Panels, x series, caller bool, p *plan, rg stepRange, part *kernels.Panels) {
	if !p.ragged && x.step == p.B*x.row {
		lo, hi := shareOf(m, panels.Units(), kernels.PartUnits(1))
		part.SetPart(panels, lo, hi)
		part.SetRows(kernels.Mat{Data: x.data[rg.first*x.row+lo:], Stride: x.row})
		return
	}
	rg = rg.share(m)
	for t := rg.lo; t < rg.hi; t++ {
		n := p.rows(t)
		for i, b := range p.order {
			switch k := t*p.B + b - rg.first; {
			case k < 0:
			case i >= n:
				panels.SetRow(k, nil)
			case caller:
				panels.SetRow(k, x.rowAt(t, b))
			default:
				panels.SetRow(k, x.rowAt(t, i))
			}
		}
	}
}
