package kernels

import (
	"strconv"
	"unsafe"
)

// A Seq is T steps of one sequence, for LSTMSteps, GRUSteps, RNNTanhSteps and
// RNNReLUSteps. What a small network needs is done in one call of assembly for
// many steps, with the bits of the separate functions.
//
// Row t of each matrix belongs to step t; if its Stride is 0, all steps use its
// one row. Let units stand for WHH.Units() and width for WHH.Width(). Arguments
// must not overlap, except that H0 and C0 may be the rows of the first step in H
// and C, and that H may be X.
type Seq struct {
	T int // steps

	// With Rows > 1 it is one step, T = 1, of so many sequences: the matrices have a
	// row for each, and so have H0 and C0.
	Rows int

	Reverse bool // from step T-1 down to step 0

	// Isolated says that the call stands alone among other work, as a step does whose
	// input has just come. Then a machine with AVX-512 takes the kernels of AVX2 for
	// one row, or for few, see [ISA]: with the same bits.
	Isolated bool

	H  Mat       // [T, units]: h after each step
	C  Mat       // [T, units]: c after each step; LSTM only
	H0 []float32 // [units]: h before the first step
	C0 []float32 // [units]: c before it; LSTM only

	Gates  Mat       // [T, width]: the x part of the pre-activations, or scratch if there is a WIH
	GatesH Mat       // [T, width]: scratch for the h part; GRU only
	X      Mat       // [T, WIH.K()]: inputs, if there is a WIH
	WIH    *Panels   // input weights, of the gates and units of WHH, or nil
	BIH    []float32 // [width]: bias of the x part, or nil; for WIH
	WHH    *Panels   // recurrent weights: units inputs, or those of H if there is a WHR
	BHH    []float32 // [width]: bias of the h part, or nil; GRU only

	Peephole []float32 // p of LSTMPeepholeForward, or nil; LSTM only

	// An LSTM with projection: h = WHR·m with m = o*tanh(c). H and H0 have
	// WHR.Units() columns then.
	WHR *Panels // 1 gate, units inputs, or nil
	M   Mat     // [T, units]
}

// LSTMSteps computes, for each step,
//
//	Gemv(gates, x, WIH, BIH)        if there is a WIH
//	GemmAdd(gates, hPrev, WHH)
//	LSTMForward(h, c, gates, cPrev) if there is no Peephole, else LSTMPeepholeForward
//
// and with projection LSTMForward(m, c, gates, cPrev), Gemv(h, m, WHR, nil). It
// leaves Gates unspecified. It panics if a size is wrong, or unless WHH has 4
// gates.
func LSTMSteps(s *Seq) { s.run("LSTMSteps", lstmKind) }

// LSTMStepsTrain is LSTMSteps with LSTMForwardTrain. It panics also if there is a
// WIH.
func LSTMStepsTrain(s *Seq) { s.run("LSTMStepsTrain", lstmTrainKind) }

// GRUSteps computes, for each step,
//
//	Gemv(gates, x, WIH, BIH)        if there is a WIH
//	Gemv(gatesH, hPrev, WHH, BHH)
//	GRUForward(h, gates, gatesH, hPrev)
//
// It leaves Gates and GatesH unspecified. It panics if a size is wrong, or unless
// WHH has 3 gates.
func GRUSteps(s *Seq) { s.run("GRUSteps", gruKind) }

// GRUStepsTrain is GRUSteps with GRUForwardTrain. It panics also if there is a
// WIH.
func GRUStepsTrain(s *Seq) { s.run("GRUStepsTrain", gruTrainKind) }

// RNNTanhSteps computes, for each step,
//
//	Gemv(gates, x, WIH, BIH)        if there is a WIH
//	GemmAdd(gates, hPrev, WHH)
//	RNNTanhForward(h, gates)
//
// It leaves Gates unspecified. It panics if a size is wrong, or unless WHH has 1
// gate.
func RNNTanhSteps(s *Seq) { s.run("RNNTanhSteps", rnnTanhKind) }

// RNNReLUSteps is RNNTanhSteps with RNNReLUForward.
func RNNReLUSteps(s *Seq) { s.run("RNNReLUSteps", rnnReLUKind) }

// stepKind says what steps are made of.
type stepKind uint8

const (
	lstmKind stepKind = iota
	lstmTrainKind
	gruKind
	gruTrainKind
	rnnTanhKind
	rnnReLUKind
)

func (k stepKind) gates() int  { return [...]int{4, 4, 3, 3, 1, 1}[k] }
func (k stepKind) train() bool { return k == lstmTrainKind || k == gruTrainKind }

func (s *Seq) run(fn string, kind stepKind) {
	s.check(fn, kind)
	isa := s.path(use())
	switch {
	case s.T == 0 || s.WHH.units == 0:
	case isa == Generic || !s.fuses():
		s.separate(isa, kind, false)
	case kind < rnnTanhKind:
		s.fused(isa, kind, nil)
	case s.WHH.units <= panelColumns:
		var scratch [3 * panelColumns]float32
		s.fused(isa, kind, scratch[:])
	default:
		s.fusedLarge(isa, kind)
	}
}

// path returns the path of a call if isa is the active one.
func (s *Seq) path(isa ISA) ISA {
	if isa == AVX512 && s.Isolated {
		return isolatedPath(isa, s.Rows, s.WIH, s.WHH, s.WHR)
	}
	if s.Rows <= 1 {
		return fewUnits(isa, s.WHH.units)
	}
	return isa
}

// fewUnits is path for steps of one row: registers of AVX2 hold all of 8 units, and
// compute them sooner.
func fewUnits(isa ISA, units int) ISA {
	if isa == AVX512 && units <= block/2 {
		return AVX2
	}
	return isa
}

//go:noinline
func (s *Seq) fusedLarge(isa ISA, kind stepKind) {
	var scratch [3 * kChain]float32
	s.fused(isa, kind, scratch[:])
}

func (s *Seq) check(fn string, kind stepKind) {
	size(fn, "T", s.T)
	rows, all := 1, s.T // of a state, and of matrices
	if uint(s.Rows) > 1 {
		size(fn, "Rows", s.Rows)
		if s.T != 1 {
			bad(fn, "T", s.T, "1 step of several rows")
		}
		rows, all = s.Rows, s.Rows
	}
	whh, gates := s.WHH, kind.gates()
	units, out := whh.units, whh.units
	if whh.gates != gates {
		bad(fn, "WHH.Gates()", whh.gates, strconv.Itoa(gates))
	}
	if gates == 4 && s.WHR != nil {
		if s.WHR.gates != 1 {
			bad(fn, "WHR.Gates()", s.WHR.gates, "1")
		}
		if s.WHR.k != units {
			bad(fn, "WHR.K()", s.WHR.k, strconv.Itoa(units))
		}
		out = s.WHR.units
		s.writes(fn, "M", s.M, all, units)
		raceRead(s.WHR.data)
	}
	if whh.k != out {
		bad(fn, "WHH.K()", whh.k, strconv.Itoa(out))
	}
	width := whh.Width()
	s.writes(fn, "H", s.H, all, out)
	reads(fn, "H0", s.H0, rows*out)
	s.writes(fn, "Gates", s.Gates, all, width)
	switch gates {
	case 4:
		s.writes(fn, "C", s.C, all, units)
		reads(fn, "C0", s.C0, rows*units)
		if s.Peephole != nil {
			reads(fn, "Peephole", s.Peephole, packedWidth(3, units))
		}
	case 3:
		s.writes(fn, "GatesH", s.GatesH, all, width)
		if s.BHH != nil {
			reads(fn, "BHH", s.BHH, width)
		}
	}
	raceRead(whh.data)
	if s.WIH == nil {
		return
	}
	switch wih := s.WIH; {
	case kind.train():
		bad(fn, "WIH.K()", wih.k, "no WIH")
	case wih.gates != gates:
		bad(fn, "WIH.Gates()", wih.gates, strconv.Itoa(gates))
	case wih.units != units:
		bad(fn, "WIH.Units()", wih.units, strconv.Itoa(units))
	}
	if m := s.X; m.Stride == 0 && rows == 1 {
		m.reads(fn, "X", min(s.T, 1), s.WIH.k)
	} else {
		m.reads(fn, "X", all, s.WIH.k)
	}
	if s.BIH != nil {
		reads(fn, "BIH", s.BIH, width)
	}
	raceRead(s.WIH.data)
}

// writes checks a matrix, which has one row for all steps if its Stride is 0.
func (s *Seq) writes(fn, arg string, m Mat, rows, cols int) {
	if m.Stride == 0 && s.Rows <= 1 {
		m.Stride, rows = cols, min(rows, 1)
	}
	m.writes(fn, arg, rows, cols)
}

// step returns the row of the nth step.
func (s *Seq) step(n int) int {
	if s.Reverse {
		return s.T - 1 - n
	}
	return n
}

// separate calls the functions that a step stands for, those of the x part last if
// hFirst, with the same bits.
func (s *Seq) separate(isa ISA, kind stepKind, hFirst bool) {
	units, rows := s.WHH.units, max(1, s.Rows)
	hPrev, cPrev := Mat{s.H0, s.WHH.k}, Mat{s.C0, units}
	whh := *s.WHH // goes back and forth, see Panels.Reversed
	for n := range s.T {
		t := s.step(n)
		if n > 0 {
			whh.descending = !whh.descending
		}
		gates := s.Gates.from(t, 0)
		gatesH, bhh, apart := gates, []float32(nil), kind == gruKind || kind == gruTrainKind
		if apart {
			gatesH, bhh = s.GatesH.from(t, 0), s.BHH
		}
		var h, x Mat // which may have no columns, and then no memory
		if s.WHH.k > 0 {
			h = s.H.from(t, 0)
		}
		if s.WIH != nil && s.WIH.k > 0 {
			x = s.X.from(t, 0)
		}
		if s.WIH != nil && !hFirst {
			gemm(isa, gates, x, rows, s.WIH, s.BIH, false)
		}
		gemm(isa, gatesH, hPrev, rows, &whh, bhh, !apart && !hFirst)
		if s.WIH != nil && hFirst {
			gemm(isa, gates, x, rows, s.WIH, s.BIH, !apart)
		}
		switch kind {
		case lstmKind, lstmTrainKind:
			m, c := h, s.C.from(t, 0)
			if s.WHR != nil {
				m = s.M.from(t, 0)
			}
			lstmForwardOn(isa, m, c, gates, cPrev, s.Peephole, rows, units, kind.train())
			if s.WHR != nil {
				gemm(isa, h, m, rows, s.WHR, nil, false)
			}
			cPrev = c
		case gruKind, gruTrainKind:
			gruForwardOn(isa, h, gates, gatesH, hPrev, rows, units, kind.train())
		default:
			rnnForwardOn(isa, h, gates, rows, units, kind == rnnReLUKind)
		}
		hPrev = h
	}
}

// A rowProduct tells the kernel of a step where the matrices of out = init + a·w
// are, or of out += a·w, for one row and a single chain of inputs.
type rowProduct struct {
	w       *float32
	k       int      // inputs
	a       *float32 // k elements
	init    *float32 // what chains start from, for each column
	add     int      // 1: add what out holds
	out     *float32
	outStep int // bytes from step to step

	// Bytes from panel to panel, negative if the last one is taken first.
	wPanel, initPanel, outPanel int

	// Bytes from the panel that is taken first to the one that is taken last, if steps go
	// back and forth.
	wTurn, initTurn, outTurn int

	// wx, of an LSTM whose input is one number, the a of the product before, says that
	// its part is added too: init + a·wx, and the chains start from 0. Else it is nil.
	wx *float32

	pairs  int // 1: two panels may be taken together
	panels int // whole ones
	last   int // blocks of one more panel, if there is 1 gate
	half   int // 1: one more panel, or block if there is 1 gate, whose upper halves are padding
	part   int // 1: steps go back and forth, and there is a last or a half
}

// A stepTask tells the kernel of a step where everything is. The kernel uses it
// up. Strides are bytes from step to step.
type stepTask struct {
	products    [2]rowProduct // x part, h part
	skip, count int           // bytes before the first of products, and how many
	//lint:ignore U1000 for assembly only
	left   int // of them
	toNext int // bytes from a product to the next one
	toLast int // bytes from the first product to the last one, if steps change their order
	back   int // 1: steps go back and forth
	steps  int // at least 1
	units  int
	square int // units, if the last of products has as many inputs, or 0

	// wx, of a GRU whose input is one number, x, says that the x part is bx + x·wx, and
	// not in gates. Else it is nil.
	wx, bx *float32

	// The product of h with outputs columns of a block, if there are any: y = yStart + h·yW.
	outputs       int
	y, yStart, yW *float32

	h, c, gates, gh, hPrev, cPrev          *float32
	hStep, cStep, gatesStep, ghStep, xStep int
}

const (
	stepNs   = 40000 // of one call, about
	fixedNs  = 64    // of a step, apart from its units
	unitNs   = 4
	productN = 16 // multiply-adds a nanosecond
)

// stepsPerCall returns how many steps one call may take.
func stepsPerCall(whh, wih *Panels) int {
	k := whh.k
	if wih != nil {
		k += wih.k
	}
	n := stepNs / (fixedNs + unitNs*whh.units + k*whh.Width()/productN)
	return max(1, n&^1) // an even number, for each call begins with the first panel
}

// fused makes all steps in few calls. scratch is for an RNN: both parts of the
// pre-activations, and the bias, with the padding that Gates and BIH lack.
func (s *Seq) fused(isa ISA, kind stepKind, scratch []float32) {
	most := 1
	if s.T > 1 && s.WHR == nil {
		most = stepsPerCall(s.WHH, s.WIH)
	}
	h0, c0 := s.H0, s.C0
	for n := 0; n < s.T; n += most {
		steps := min(most, s.T-n)
		task := s.task(kind, s.step(n), steps, h0, c0, scratch)
		if steps > 1 {
			task.goBack(s.WHH, s.WIH)
		}
		s.pad(scratch)
		kind.launch(isa, &task)
		last := s.step(n + steps - 1)
		if n+steps == s.T && s.WHR == nil {
			return
		}
		h0 = s.H.row(last, s.WHH.k)
		if kind <= lstmTrainKind {
			c0 = s.C.row(last, s.WHH.units)
		}
		s.project(isa, kind, h0, last)
	}
}

// pad copies the bias of an RNN to scratch, if there are both.
func (s *Seq) pad(scratch []float32) {
	if scratch != nil && s.BIH != nil {
		copy(scratch[2*len(scratch)/3:], s.BIH)
	}
}

// project computes the projection h of step t, if there is one.
func (s *Seq) project(isa ISA, kind stepKind, h []float32, t int) {
	if s.WHR != nil && kind <= lstmTrainKind {
		gemm(isa, rowMat(h), rowMat(s.M.row(t, s.WHH.units)), 1, s.WHR, nil, false)
	}
}

// task returns the task of some steps from step t on, which follow h0 and c0.
func (s *Seq) task(kind stepKind, t, steps int, h0, c0, scratch []float32) (task stepTask) {
	whh, m, bih, sign := s.WHH, s.H, s.BIH, 1
	if s.WHR != nil && kind <= lstmTrainKind {
		m = s.M
	}
	if scratch != nil && bih != nil {
		bih = scratch[2*len(scratch)/3:]
	}
	if s.Reverse {
		sign = -1
	}
	task.steps, task.units = steps, whh.units
	task.h, task.hPrev, task.hStep = m.at(t, 0), &h0[0], sign*4*m.Stride
	task.gates, task.gatesStep = s.Gates.at(t, 0), sign*4*s.Gates.Stride
	// What is stored through a pointer escapes, as scratch must not.
	x, p := &task.products[0], &task.products[1]
	p.set(whh)
	task.products[1].a = &h0[0]
	switch kind {
	case lstmKind, lstmTrainKind:
		task.c, task.cStep, task.cPrev = s.C.at(t, 0), sign*4*s.C.Stride, &c0[0]
		task.products[1].out, p.outStep, p.add = task.gates, task.gatesStep, 1
	case gruKind, gruTrainKind:
		task.gh, task.ghStep = s.GatesH.at(t, 0), sign*4*s.GatesH.Stride
		task.products[1].out, p.outStep = task.gh, task.ghStep
		if s.BHH != nil {
			task.products[1].init, p.initPanel = &s.BHH[0], panelStep(whh)
		}
		if kind == gruTrainKind {
			p.panels, p.half = whh.len(), 0 // the backward pass takes the padding
		}
	default:
		task.gh = &scratch[0]
		task.products[1].out = task.gh
		if s.WIH != nil {
			task.gates, task.gatesStep = &scratch[len(scratch)/3], 0
		}
	}
	task.toNext = int(unsafe.Sizeof(*x))
	task.skip, task.count = task.toNext, 1
	if whh.k == whh.units {
		task.square = whh.units
	}
	oneInput := s.WIH != nil && s.WIH.k == 1 && bih != nil
	switch {
	case oneInput && kind == lstmKind:
		task.products[0].a, task.xStep = s.X.at(t, 0), sign*4*s.X.Stride
		task.products[1].init, p.initPanel = &bih[0], panelStep(whh)
		task.products[1].wx = &s.WIH.data[0]
		p.add = 0
	case oneInput && kind == gruKind:
		task.products[0].a, task.xStep = s.X.at(t, 0), sign*4*s.X.Stride
		task.wx, task.bx = &s.WIH.data[0], &bih[0]
	case s.WIH != nil:
		task.skip, task.count = 0, 2
		x.set(s.WIH)
		if s.WIH.k > 0 {
			task.products[0].a, task.xStep = s.X.at(t, 0), sign*4*s.X.Stride
		}
		if bih != nil {
			task.products[0].init, x.initPanel = &bih[0], panelStep(s.WIH)
		}
		task.products[0].out, x.outStep = task.gates, task.gatesStep
	}
	return task
}

// goBack has steps go back and forth over weights of which a cache holds a good part: the
// last panels of one step are the first ones of the next.
func (t *stepTask) goBack(whh, wih *Panels) {
	bytes := whh.Bytes()
	if t.skip == 0 {
		bytes += wih.Bytes()
	}
	if bytes <= pairedWeights || bytes > turnedWeights && bytes <= secondWeights {
		return
	}
	t.back = 1
	t.products[1].turn()
	if t.skip == 0 {
		t.products[0].turn()
		t.toLast = t.toNext
		t.square = 0
	}
}

// stepKernels are the kernels of steps, by kind.
var stepKernels = [...]func(ISA, *stepTask){lstmSteps, lstmStepsTrain, gruSteps, gruStepsTrain, rnnTanhSteps, rnnReLUSteps}

// launch runs the kernel of such steps for a task that must not escape, as it would
// to one of stepKernels.
func (k stepKind) launch(isa ISA, task *stepTask) {
	switch k {
	case lstmKind:
		lstmSteps(isa, task)
	case lstmTrainKind:
		lstmStepsTrain(isa, task)
	case gruKind:
		gruSteps(isa, task)
	case gruTrainKind:
		gruStepsTrain(isa, task)
	case rnnTanhKind:
		rnnTanhSteps(isa, task)
	case rnnReLUKind:
		rnnReLUSteps(isa, task)
	}
}

// pairedWeights is the most bytes of weights whose panels are taken in pairs: all fit into
// the first cache. Those of the second one come faster in fewer streams.
const pairedWeights = 32 << 10

// Of more bytes of weights than turnedWeights the first cache holds too few for going back
// and forth to pay, up to secondWeights, of which the second cache may not hold all.
const (
	turnedWeights  = 192 << 10
	secondWeights  = 512 << 10
	maxStepWeights = 1152 << 10 // of steps in one call: those of 256 units and a few inputs
)

// set makes p a product with w whose chains start from zero.
func (p *rowProduct) set(w *Panels) {
	p.k, p.init, p.pairs = w.k, &zeroInit[0], 0
	p.outPanel = panelStep(w)
	p.wPanel = p.outPanel * w.k
	if w.k <= kBlock && w.Bytes() <= pairedWeights {
		p.pairs = 1
	}
	if w.k > 0 {
		p.w = &w.data[0]
	}
	n, half := blocks(w.units), 0
	if rest := w.units % block; 0 < rest && rest <= block/2 {
		half = 1
	}
	if w.gates > 1 {
		p.panels, p.half = n-half, half
		return
	}
	p.panels, p.last = n/4, n%4
	if p.last == 1 && half == 1 {
		p.last, p.half = 0, 1
	}
}

// turn prepares p for taking its panels back and forth.
func (p *rowProduct) turn() {
	n := p.panels - 1
	if p.last+p.half > 0 {
		n, p.part = n+1, 1
	}
	p.pairs = 0
	p.wTurn, p.initTurn, p.outTurn = n*p.wPanel, n*p.initPanel, n*p.outPanel
}

// panelStep returns the bytes from panel to panel in a bias.
func panelStep(w *Panels) int { return 4 * w.blocksPerPanel() * block }

// fuses says whether kernels of whole steps make them.
func (s *Seq) fuses() bool {
	return s.Rows <= 1 && s.Peephole == nil && oneCall(s.WHH, s.WIH)
}

// oneCall says whether the products of a step are single chains, and few enough
// for one call of assembly.
func oneCall(whh, wih *Panels) bool {
	k, longest := whh.k, whh.k
	if wih != nil {
		k += wih.k
		longest = max(longest, wih.k)
	}
	weights := k * whh.Width()
	return whh.units > 0 && whh.k > 0 && longest <= kChain && weights <= maxProducts && 4*weights <= maxStepWeights
}

// rowMat returns the matrix of one row.
func rowMat(x []float32) Mat { return Mat{x, len(x)} }
