package layer

import (
	"cmp"
	"slices"
	"sort"
	"strconv"

	"github.com/simdrnn/simdrnn/kernels"
)

// A Seq says what is special about the sequences of a call; the zero Seq is
// nothing. Its slices must stay as they are until the call ends, for a Tape
// until Backward.
type Seq struct {
	// Lengths are the numbers of steps of the rows, [B], 0 to T, in any order;
	// nil is T for all. The steps from a row's length on are padding: whatever
	// x holds there is not read into any number, and y is 0. The reverse
	// direction of a row begins at its own last step. The states h_n and c_n
	// are those after the row's last step, h_0 and c_0 for length 0.
	Lengths []int

	// Reset [T,B] ([B,T] for a layer with BatchFirst) says for each step of
	// each row whether the state before it, in the order of processing, is
	// replaced by that of ResetH and ResetC. Gradients do not pass. nil is
	// never.
	Reset []bool

	// ResetH [L*D,B,Ho] and ResetC [L*D,B,H] are the states that Reset gives;
	// nil is zero.
	ResetH, ResetC []float32

	// DResetH and DResetC, shaped like ResetH and ResetC, get the gradients of
	// those added by Tape.Backward; nil is not computed.
	DResetH, DResetC []float32

	// HAll [L*D,T,B,Ho] and CAll [L*D,T,B,H] get the states of all layers and
	// directions after each step, 0 in padding; nil is not wanted.
	HAll, CAll []float32

	// Last [B,D*Ho] gets the output of the last layer at each row's last step,
	// 0 for length 0; nil is not wanted.
	Last []float32
}

// nothing is the Seq of a call without one, to be read only.
var nothing Seq

// check panics unless the slices of q fit a call of T steps.
func (q *Seq) check(fn string, r *recurrent, T, B int, train bool) {
	LD := r.layers * r.directions()
	if q.Lengths != nil {
		if len(q.Lengths) != B {
			badLen(fn, "Lengths", len(q.Lengths), "B", B)
		}
		for b, n := range q.Lengths {
			if n < 0 || n > T {
				bad(fn, "Lengths["+strconv.Itoa(b)+"]", n, "0 to T = "+strconv.Itoa(T))
			}
		}
	}
	if q.Reset != nil && len(q.Reset) != T*B {
		badLen(fn, "Reset", len(q.Reset), "T*B", T*B)
	}
	optional := func(arg string, s []float32, dims string, n int) {
		if s != nil && len(s) != n {
			badLen(fn, arg, len(s), dims, n)
		}
	}
	h, c := LD*B*r.hUnits(), LD*B*r.cUnits()
	optional("ResetH", q.ResetH, "L*D*B*Ho", h)
	optional("ResetC", q.ResetC, "L*D*B*H", c)
	optional("HAll", q.HAll, "L*D*T*B*Ho", T*h)
	optional("CAll", q.CAll, "L*D*T*B*H", T*c)
	optional("Last", q.Last, "B*D*Ho", B*r.output())
	if train {
		optional("DResetH", q.DResetH, "L*D*B*Ho", h)
		optional("DResetC", q.DResetC, "L*D*B*H", c)
	}
}

// plan says which rows take part in each step of a call. Rows are worked on
// longest first, so that those of a step are the first ones; ties stay in the
// caller's order.
type plan struct {
	Seq
	T, B       int
	batchFirst bool
	steps      int   // the longest length
	ragged     bool  // some row is shorter than T
	sorted     bool  // order is that of the caller
	order      []int // the caller's index of each row
	first      int   // the rows are those of a greater plan from this one on
}

func newPlan(B int, batchFirst bool) plan {
	return plan{B: B, batchFirst: batchFirst, order: make([]int, B)}
}

// set plans a call of T steps with a checked q.
func (p *plan) set(q *Seq, T int) {
	p.Seq, p.T, p.steps, p.ragged, p.sorted = *q, T, T, false, true
	for b := range p.order {
		p.order[b] = b
	}
	if q.Lengths == nil {
		return
	}
	slices.SortStableFunc(p.order, func(a, b int) int { return cmp.Compare(q.Lengths[b], q.Lengths[a]) })
	p.steps = q.Lengths[p.order[0]]
	p.sorted = slices.IsSorted(p.order)
	p.ragged = q.Lengths[p.order[p.B-1]] < T
}

// setRows makes p the plan of rows lo to hi of a greater one.
func (p *plan) setRows(of *plan, lo, hi int) {
	*p = *of
	p.order, p.first, p.steps = of.order[lo:hi], lo, 0
	if lo < hi {
		p.steps = p.length(0)
	}
}

// rowsOf returns a series of the caller's, unless it is in the plan's order
// already, from the first row of the plan on if that has the caller's order. It
// says whether the rows are in the plan's order then.
func (p *plan) rowsOf(x series, inOrder bool) (series, bool) {
	if !inOrder && p.sorted {
		return x.rows(p.first), true
	}
	return x, inOrder
}

// timeMajor says whether the steps of x are one matrix with the rows of the plan.
func (p *plan) timeMajor(x series, inOrder bool) bool {
	return !p.ragged && (inOrder || p.sorted) && x.step == len(p.order)*x.row
}

// plain says that all rows take all steps as they come.
func (p *plan) plain() bool { return !p.ragged && p.Reset == nil }

// length returns the number of steps of row i.
func (p *plan) length(i int) int {
	if p.Lengths == nil {
		return p.T
	}
	return p.Lengths[p.order[i]]
}

// rows returns the number of rows that step t has.
func (p *plan) rows(t int) int {
	if !p.ragged {
		return len(p.order)
	}
	return sort.Search(len(p.order), func(i int) bool { return p.length(i) <= t })
}

// resets says whether the state of row i is replaced before step t.
func (p *plan) resets(t, i int) bool {
	if p.batchFirst {
		return p.Reset[p.order[i]*p.T+t]
	}
	return p.Reset[t*p.B+p.order[i]]
}

// anyReset says whether that of any of the first n rows is.
func (p *plan) anyReset(t, n int) bool {
	if p.Reset == nil {
		return false
	}
	for i := range n {
		if p.resets(t, i) {
			return true
		}
	}
	return false
}

// scatter copies the first n rows of src, in the plan's order, to those of the
// caller at step t of dst, and clears the rows that have no such step.
func (p *plan) scatter(dst series, t int, src kernels.Mat, n int) {
	for i, b := range p.order {
		if d := dst.rowAt(t, b); i < n {
			copy(d, row(src, i, dst.cols))
		} else {
			clear(d)
		}
	}
}

// clearFrom clears the steps of dst that no row has.
func (p *plan) clearFrom(dst series) {
	if dst.data == nil {
		return
	}
	for t := p.steps; t < p.T; t++ {
		p.scatter(dst, t, kernels.Mat{}, 0)
	}
}

// history returns the part of scan index in all [L*D,T,B,cols], or nothing of
// nil.
func (p *plan) history(all []float32, index, cols int) series {
	if all == nil {
		return series{}
	}
	n := p.T * p.B * cols
	return newSeries(all[index*n:][:n], p.T, p.B, cols, false)
}

// lastOutputs sets Last from the output y of T steps.
func (p *plan) lastOutputs(y series) {
	if p.Last == nil {
		return
	}
	for i, b := range p.order {
		d := p.Last[b*y.cols:][:y.cols]
		if n := p.length(i); n > 0 {
			copy(d, y.rowAt(n-1, b))
		} else {
			clear(d)
		}
	}
}
