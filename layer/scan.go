package layer

import (
	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/kernels"
)

// scan runs one direction of one layer over time, for one Stream or Tape. The
// cell computes the steps one by one; what does not depend on the state is
// computed for all steps at once.
type scan struct {
	*direction
	cell  cell.Cell
	step  cell.Step // the arguments of cell
	gates seq       // [T,B,Width]
}

// newScan returns a scan of at most maxT steps at once.
func newScan(r *recurrent, maxT, batch int) scan {
	d := r.dir
	width := d.whh.panels.Width()
	return scan{
		direction: d,
		cell:      r.cell,
		step:      cell.Step{Rows: batch, Units: r.hidden, W: d.whh.panels},
		gates:     newSeq(make([]float32, maxT*batch*width), batch, width),
	}
}

// forward computes the states h and c of T steps from x [T,B,I], beginning with
// hPrev and cPrev. It leaves the last ones in step.HPrev and step.CPrev.
func (s *scan) forward(h, c seq, hPrev, cPrev, x kernels.Mat, T int, train bool) {
	st := &s.step
	if T == 1 && !train {
		st.X, st.WX, st.Bias = x, s.wih.panels, s.bias
	} else {
		kernels.Gemm(s.gates.Mat, x, T*st.Rows, s.wih.panels, s.bias)
		st.WX = nil
	}
	st.HPrev, st.CPrev = hPrev, cPrev
	for t := range T {
		st.Gates, st.H, st.C = s.gates.at(t), h.at(t), c.at(t)
		if train {
			s.cell.ForwardTrain(st)
		} else {
			s.cell.Forward(st)
		}
		st.HPrev, st.CPrev = st.H, st.C
	}
}

// bptt is a scan that can go back: back-propagation through time.
type bptt struct {
	scan
	grads      dirParams
	wihT       *kernels.Panels // W_ih transposed
	h, c       seq             // [T+1,B,·]: the states before the first step and after each
	dh, dhPrev []float32       // [B,H]: the gradient of h, of two steps in turn
	xs, hs     *kernels.Panels // x and h as factors of the weights' gradients
	sum        []float32       // [Width]
}

func newBPTT(r *recurrent, grads dirParams, maxT, batch int) bptt {
	s := newScan(r, maxT, batch)
	s.step.WT = r.dir.whh.transposed()
	return bptt{
		scan:   s,
		grads:  grads,
		wihT:   r.dir.wih.transposed(),
		h:      newSeq(make([]float32, (maxT+1)*batch*r.hidden), batch, r.hidden),
		c:      newSeq(make([]float32, (maxT+1)*batch*r.cUnits()), batch, r.cUnits()),
		dh:     make([]float32, batch*r.hidden),
		dhPrev: make([]float32, batch*r.hidden),
		xs:     kernels.NewPanels(1, r.input, maxT*batch),
		hs:     kernels.NewPanels(1, r.hidden, maxT*batch),
		sum:    make([]float32, s.gates.Stride),
	}
}

// forward computes T steps from h0 and c0 to hn and cn.
func (s *bptt) forward(hn, cn, h0, c0 []float32, x kernels.Mat, T int) {
	copy(s.h.Data, h0)
	copy(s.c.Data, c0)
	s.scan.forward(s.h.from(1), s.c.from(1), s.h.Mat, s.c.Mat, x, T, true)
	copy(hn, s.h.at(T).Data)
	copy(cn, s.c.at(T).Data)
}

// backward goes back through the T steps of forward, from the gradients dy
// [T,B,H] (nil for zeros), dhn and dcn. It sets dh0, dc0 and dx [T,B,I] (unless
// nil), and adds to the gradients of the parameters.
func (s *bptt) backward(dx, dh0, dc0, dy, dhn, dcn []float32, x kernels.Mat, T int) {
	st := &s.step
	B, H := st.Rows, st.Units
	dySeq := newSeq(dy, B, H)
	st.DC = kernels.Mat{Data: dc0, Stride: s.c.Stride}
	copy(dc0, dcn)
	copy(s.dh, dhn)
	if dy != nil && T > 0 {
		kernels.Add(s.dh, s.dh, dySeq.at(T-1).Data)
	}
	dh, dhPrev := s.dh, s.dhPrev
	for t := T - 1; t >= 0; t-- {
		if dy != nil && t > 0 {
			copy(dhPrev, dySeq.at(t-1).Data)
		} else {
			clear(dhPrev)
		}
		st.Gates = s.gates.at(t)
		st.H, st.C, st.HPrev, st.CPrev = s.h.at(t+1), s.c.at(t+1), s.h.at(t), s.c.at(t)
		st.DH, st.DHPrev = kernels.Mat{Data: dh, Stride: H}, kernels.Mat{Data: dhPrev, Stride: H}
		s.cell.Backward(st)
		dh, dhPrev = dhPrev, dh
	}
	copy(dh0, dh)

	rows := T * B
	if dx != nil {
		kernels.Gemm(kernels.Mat{Data: dx, Stride: x.Stride}, s.gates.Mat, rows, s.wihT, nil)
	}
	if rows == 0 {
		return
	}
	packRows(s.xs, x, rows)
	packRows(s.hs, s.h.Mat, rows)
	s.wih.addGrad(s.grads.ih, s.gates.Mat, s.xs)
	s.whh.addGrad(s.grads.hh, s.gates.Mat, s.hs)
	if s.bias != nil {
		addBiasGrad(s.sum, s.gates.Mat, rows, s.cell.Gates(), H, s.grads.bih, s.grads.bhh)
	}
}

// seq is a sequence of matrices, that of step t from Data[t*next] on. With next
// = 0 all are in one place.
type seq struct {
	kernels.Mat
	next int
}

// newSeq returns data [T,B,cols] as a seq.
func newSeq(data []float32, batch, cols int) seq {
	return seq{kernels.Mat{Data: data, Stride: cols}, batch * cols}
}

// from returns the sequence from step t on.
func (s seq) from(t int) seq {
	s.Data = s.Data[t*s.next:]
	return s
}

// at returns the matrix of step t.
func (s seq) at(t int) kernels.Mat { return s.from(t).Mat }
