package layer

import (
	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/kernels"
)

// scan runs one direction of one layer over time, for one Stream or Tape. The
// cell computes the steps one by one; what does not depend on the state is
// computed for many steps at once.
type scan struct {
	*direction
	cell    cell.Cell
	index   int             // layer*D + direction
	reverse bool            // takes the steps from the last to the first
	step    cell.Step       // the arguments of cell
	wx      *kernels.Panels // W_ih
	gates   series          // [steps,B,Width], packed
	gatesH  series          // the h part, for a cell that keeps it apart
	m       series          // [steps,B,H], with projection
	saved   series          // [steps,B,·], for a cell.Variant
	hPrev   []float32       // [B,Ho], the state before a step with resets
	cPrev   []float32       // [B,H]
	xs      []float32       // [B,inputs], or of more rows, the input of a step in the plan's order
	zone    *zoneout        // or nil

	after func(t int) // called after each step, or nil

	stepper cell.Stepper // the cell, if it makes many steps of a row at once
	seq     kernels.Seq  // its arguments

	// other is step.W in the other direction. Steps take them in turn, so that each
	// finds in the cache what the one before has read last.
	other *kernels.Panels

	// Of a scan whose units several goroutines share.
	member workers.Member
	parts  [3]kernels.Panels // of W_ih, of W_hh, and of that in the other direction
}

// newScan returns scan index of a Stream, or of a Tape, which keeps all steps, with
// memory for some rows of the input.
func newScan(r *recurrent, index, steps, batch, inputs int, keep bool) scan {
	d, D := r.dirs[index], r.directions()
	width, H, Ho := d.whh.panels.Width(), r.hidden, r.hUnits()
	s := scan{
		direction: d,
		cell:      r.cell,
		index:     index,
		reverse:   index%D == 1,
		step:      cell.Step{Units: H, W: d.whh.panels, Bias: d.bias, BiasH: d.biasH},
		wx:        d.wih.panels,
		other:     d.whh.other,
		member:    alone,
		gates:     newSeries(make([]float32, steps*batch*width), steps, batch, width, false),
		hPrev:     make([]float32, batch*Ho),
		cPrev:     make([]float32, batch*r.cUnits()),
		xs:        make([]float32, inputs*r.inputs(index/D)),
	}
	kept := func(cols int) series {
		if keep {
			return newSeries(make([]float32, steps*batch*cols), steps, batch, cols, false)
		}
		return inPlace(make([]float32, batch*cols), cols)
	}
	if r.cell.HasGatesH() {
		s.gatesH = kept(width)
	}
	s.step.Variant = d.variant
	if v, ok := r.cell.(cell.Variant); ok && v.Norm != cell.NoNorm {
		s.saved = kept(v.Saved(H))
		s.step.Kept = kernels.Mat{Data: make([]float32, batch*H), Stride: H}
		s.step.Wide = kernels.Mat{Data: make([]float32, batch*4*H), Stride: 4 * H}
	}
	if r.zoneoutH > 0 || r.zoneoutC > 0 {
		s.zone = newZoneout(r, steps, batch, keep)
	}
	if d.whr != nil {
		s.step.WR = d.whr.panels
		s.m = kept(H)
	}
	if s.stepper = r.stepper(); s.stepper != nil {
		s.seq = kernels.Seq{Reverse: s.reverse, WHH: s.step.W, BHH: d.biasH, WHR: s.step.WR}
	}
	return s
}

// at returns the i-th step that the scan takes of T.
func (s *scan) at(i, T int) int {
	if s.reverse {
		return T - 1 - i
	}
	return i
}

// project computes the x part of steps t0 to t0+T from x, which begins at step
// t0, that of step t0+t in gates.at(t). inOrder says that the rows of x are in the
// plan's order.
func (s *scan) project(x series, inOrder bool, p *plan, t0, T int) {
	B, w, g, bias := len(p.order), s.wx, s.gates, s.step.Bias
	x, inOrder = p.rowsOf(x, inOrder)
	whole := !p.ragged && g.step == B*g.row
	switch cols := w.K(); {
	case whole && p.timeMajor(x, inOrder):
		s.projectRows(x, 0, T*B)
	case whole && T*B*cols <= len(s.xs):
		for t := range T {
			s.gather(s.xs[t*B*cols:], x.at(t), inOrder, p, B)
		}
		kernels.Gemm(g.at(0), kernels.Mat{Data: s.xs, Stride: cols}, T*B, w, bias)
	case !p.ragged && inOrder && T >= B: // batch-first
		for b := range B {
			kernels.Gemm(kernels.Mat{Data: g.data[b*g.row:], Stride: g.step},
				kernels.Mat{Data: x.data[b*x.row:], Stride: x.step}, T, w, bias)
		}
	default:
		for t := range T {
			n := p.rows(t0 + t)
			kernels.Gemm(g.at(t), s.input(x.at(t), inOrder, p, n), n, w, bias)
		}
	}
}

// projectRows computes the x part of rows lo to hi of all steps, if that of x and
// of gates are one matrix.
func (s *scan) projectRows(x series, lo, hi int) {
	kernels.Gemm(s.gates.rows(lo).at(0), x.rows(lo).at(0), hi-lo, s.wx, s.step.Bias)
}

// input returns n rows of x, a step's input, in the plan's order.
func (s *scan) input(x kernels.Mat, inOrder bool, p *plan, n int) kernels.Mat {
	if inOrder {
		return x
	}
	s.gather(s.xs, x, false, p, n)
	return kernels.Mat{Data: s.xs, Stride: s.wx.K()}
}

// gather copies n rows of x, a step's input, to dst in the plan's order.
func (s *scan) gather(dst []float32, x kernels.Mat, inOrder bool, p *plan, n int) {
	cols := s.wx.K()
	for i, b := range p.order[:n] {
		if inOrder {
			b = i
		}
		copy(dst[i*cols:], row(x, b, cols))
	}
}

// forward computes the states of steps t0 to t0+T from the x part in gates, that
// of step t in h.at(t-t0) and c.at(t-t0), beginning with the state in
// step.HPrev and step.CPrev, where it leaves the last one. Every step must have
// rows.
func (s *scan) forward(h, c series, p *plan, t0, T int, train bool) {
	st := &s.step
	if s.atOnce(p, T) {
		s.steps(series{}, h, c, len(p.order), T, train)
		return
	}
	for i := range T {
		t := s.at(i, T)
		st.Rows = p.rows(t0 + t)
		st.W, s.other = s.other, st.W
		H := h.at(t)
		st.H, st.C = kernels.Mat{Data: H.Data[st.First:], Stride: H.Stride}, c.at(t)
		s.place(t)
		if p.anyReset(t0+t, st.Rows) {
			s.reset(p, t0+t)
		}
		if s.zone != nil {
			s.zone.before(st, t)
		}
		if train {
			s.cell.ForwardTrain(st)
		} else {
			s.cell.Forward(st)
		}
		if s.zone != nil {
			s.zone.after(st, H, c.at(t), t)
		}
		st.HPrev, st.CPrev = H, st.C
		if s.after != nil {
			s.after(t0 + t)
		}
		if s.member.Members > 1 {
			s.member.Wait()
		}
	}
}

// atOnce says whether the cell makes all T steps of a row in one call.
func (s *scan) atOnce(p *plan, T int) bool {
	return s.stepper != nil && T > 1 && p.plain() && s.after == nil && s.step.HMask.Data == nil && s.member.Members <= 1 && s.rowByRow(len(p.order), 0, T)
}

// withInputs says whether the cell makes all T steps of a row in one call, their x
// part included, which needs memory for that of one step only.
func (s *scan) withInputs(p *plan, T int) bool { return s.fewInputs() && s.atOnce(p, T) }

// fewInputs says whether the x part of one row takes less time inside its step than
// as a product for many steps: that of one or two inputs, and that of a few more
// whose weights fit in the first cache beside W_hh.
func (s *scan) fewInputs() bool {
	const floats = 24 << 10 / 4
	I := s.wx.K()
	return I <= 2 || I <= 16 && (I+s.step.W.K())*s.wx.Width() <= floats
}

// steps is forward for some rows, of each of which the cell makes all steps at once.
// If there is an x, it computes their x part too.
func (s *scan) steps(x, h, c series, rows, T int, train bool) {
	st, q := &s.step, &s.seq
	gates := s.gates
	q.T, q.WIH, q.BIH = T, nil, nil
	if x.data != nil {
		q.WIH, q.BIH, gates.step = s.wx, st.Bias, 0
	}
	for b := range rows {
		q.X, q.H, q.C, q.Gates, q.GatesH, q.M = x.ofRow(b), h.ofRow(b), c.ofRow(b), gates.ofRow(b), s.gatesH.ofRow(b), s.m.ofRow(b)
		q.H0, q.C0 = row(st.HPrev, b, st.W.K()), row(st.CPrev, b, c.cols)
		s.stepper.Steps(q, train)
	}
	last := s.at(T-1, T)
	st.HPrev, st.CPrev = h.at(last), c.at(last)
}

// place gives the cell the memory of step t.
func (s *scan) place(t int) {
	st := &s.step
	st.Gates = s.gates.at(t)
	if s.gatesH.data != nil {
		st.GatesH = s.gatesH.at(t)
	}
	if st.WR != nil {
		st.M = s.m.at(t)
	}
	if s.saved.data != nil {
		st.Saved = s.saved.at(t)
	}
}

// reset replaces step.HPrev and step.CPrev by copies with the resets of step t.
func (s *scan) reset(p *plan, t int) {
	st := &s.step
	one := func(m *kernels.Mat, buf, to []float32, cols int) {
		if len(buf) == 0 {
			return
		}
		for i := range st.Rows {
			switch dst := buf[i*cols:][:cols]; {
			case !p.resets(t, i):
				copy(dst, row(*m, i, cols))
			case to != nil:
				copy(dst, s.stateRow(to, p, i, cols))
			default:
				clear(dst)
			}
		}
		*m = kernels.Mat{Data: buf, Stride: cols}
	}
	one(&st.HPrev, s.hPrev, p.ResetH, st.W.K())
	one(&st.CPrev, s.cPrev, p.ResetC, st.Units)
}

// stateRow returns that of row i in a state [L*D,B,cols] of the caller.
func (s *scan) stateRow(state []float32, p *plan, i, cols int) []float32 {
	return state[(s.index*p.B+p.order[i])*cols:][:cols:cols]
}
