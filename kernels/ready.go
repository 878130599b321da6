package kernels

import (
	"strconv"
	"unsafe"
)

// A Step is one step of one sequence, made ready: it has been checked, and put in
// the form that the kernel takes. For a small network, whose steps come sample by
// sample or in short blocks, this is much of the time of LSTMSteps. What is written
// to the weights, biases and states meanwhile is seen. A Step must not be used by two
// goroutines at the same time.
type Step struct {
	seq     Seq
	fn      string
	kind    stepKind
	fuses   bool
	alone   bool     // it fuses, and its kernel does all of it
	inputs  int      // of x
	avx2    bool     // instead of AVX-512
	task    stepTask // of the kernel, if it fuses, but for x
	kernel  func(ISA, *stepTask)
	scratch []float32 // of an RNN

	// If it does not fuse, WHH and WIH in the other direction, and whether WHH comes first.
	otherHH, otherIH *Panels
	hFirst           bool
}

// NewLSTMStep returns the step that LSTMSteps makes of s, whose T is 1 and whose
// Rows are at most 1. X.Data is not used: it is the argument of Run. It panics as
// LSTMSteps does, or if there is not one step of one row.
func NewLSTMStep(s Seq) *Step { return newStep("NewLSTMStep", s, lstmKind) }

// NewGRUStep is NewLSTMStep for GRUSteps.
func NewGRUStep(s Seq) *Step { return newStep("NewGRUStep", s, gruKind) }

// NewRNNTanhStep is NewLSTMStep for RNNTanhSteps.
func NewRNNTanhStep(s Seq) *Step { return newStep("NewRNNTanhStep", s, rnnTanhKind) }

// NewRNNReLUStep is NewLSTMStep for RNNReLUSteps.
func NewRNNReLUStep(s Seq) *Step { return newStep("NewRNNReLUStep", s, rnnReLUKind) }

func newStep(fn string, s Seq, kind stepKind) *Step {
	if s.T != 1 {
		bad(fn, "T", s.T, "1")
	}
	if s.Rows > 1 {
		bad(fn, "Rows", s.Rows, "at most 1")
	}
	inputs := 0
	if s.WIH != nil {
		inputs = s.WIH.k
		s.X = rowMat(make([]float32, inputs))
	}
	s.check(fn, kind)
	s.Reverse = false // as one step can be
	for _, m := range [...]*Mat{&s.H, &s.C, &s.Gates, &s.GatesH, &s.M} {
		m.Stride = 0 // of RunSteps
	}
	p := &Step{seq: s, fn: fn, kind: kind, inputs: inputs, fuses: s.fuses(), avx2: s.path(AVX512) == AVX2}
	p.otherHH = s.WHH.Reversed()
	if s.WIH != nil {
		p.otherIH = s.WIH.Reversed()
	}
	if !p.fuses {
		return p
	}
	if kind >= rnnTanhKind {
		p.scratch = make([]float32, 3*max(panelColumns, blocks(s.WHH.units)*block))
	}
	p.task = s.task(kind, 0, 1, s.H0, s.C0, p.scratch)
	p.task.goBack(s.WHH, s.WIH)
	p.task.products[0].a = nil
	p.alone = p.scratch == nil && s.WHR == nil
	p.kernel = stepKernels[kind]
	return p
}

// Run makes the step, with the bits of LSTMSteps and its like, for the input x of
// WIH.K() elements; it is nil if there is no WIH. Calls go back and forth over
// weights that do not fit into a cache, see [Panels.Reversed]. It panics
// if the length of x is wrong.
func (p *Step) Run(x []float32) { p.run(now(), x) }

// A Linear is what Gemv takes: y = Bias + x·W.
type Linear struct {
	W    *Panels
	Bias []float32 // of W.Width() elements, or nil
}

// RunLinear is Run and then Gemv of the new h:
//
//	p.Run(x)
//	y = l.Bias + h·l.W
//
// with the same bits. For up to 15 outputs it is one call of assembly, and the next
// step need not wait for the product. W has as many inputs as h has elements. y must not
// overlap the other arguments, nor the states. It panics if a length is wrong.
func (p *Step) RunLinear(y, x []float32, l *Linear) {
	on, w, bias := now(), l.W, l.Bias
	if !p.alone || !on.assembly() || len(x) != p.inputs || uint(len(y)-1) >= block-1 ||
		w.gates != 1 || w.k != p.task.units || w.units != len(y) || bias != nil && len(bias) != len(y) || raceEnabled {
		p.runLinear(on, y, x, l)
		return
	}
	if on.isa == AVX512 && p.avx2 {
		on.isa = AVX2
	}
	start := unsafe.SliceData(bias)
	if start == nil {
		start = &zeroInit[0]
	}
	task := &p.task
	task.steps, task.outputs = 1, len(y)
	task.products[0].a, task.y, task.yStart, task.yW = unsafe.SliceData(x), unsafe.SliceData(y), start, unsafe.SliceData(w.data)
	p.kernel(on.isa, task)
	task.products[0].a, task.y, task.yStart, task.yW = nil, nil, nil, nil
	task.outputs = 0
}

// runLinear is RunLinear in two calls.
//
//go:noinline
func (p *Step) runLinear(on Path, y, x []float32, l *Linear) {
	const fn = "Step.RunLinear"
	h := p.seq.H.row(0, p.seq.WHH.k)
	reads(fn, "x", x, p.inputs)
	if l.W.k != len(h) {
		bad(fn, "W.K()", l.W.k, strconv.Itoa(len(h)))
	}
	writes(fn, "y", y, l.W.Width())
	if l.Bias != nil {
		reads(fn, "Bias", l.Bias, l.W.Width())
	}
	p.run(on, x)
	Path{p.seq.path(on.isa)}.Gemv(y, h, l.W, l.Bias)
}

// run is Run on a path that the caller has read.
func (p *Step) run(on Path, x []float32) {
	if on.isa == AVX512 && p.avx2 {
		on.isa = AVX2
	}
	if (!p.fuses || p.scratch != nil || len(x) != p.inputs || !on.assembly() || raceEnabled) && p.prepare(on, x) {
		return
	}
	task := &p.task
	task.steps, task.products[0].a = 1, unsafe.SliceData(x) // the kernel uses up steps
	p.kernel(on.isa, task)
	task.products[0].a = nil // x is the caller's again
	if p.seq.WHR != nil {
		p.seq.project(on.isa, p.kind, p.seq.H.row(0, p.seq.WHH.k), 0)
	}
}

// prepare does what is not needed before each call of a kernel, or the step itself if it
// has none. It returns whether it did.
//
//go:noinline
func (p *Step) prepare(on Path, x []float32) bool {
	if len(x) != p.inputs {
		panic("kernels: Step.Run: len(x) = " + strconv.Itoa(len(x)) + ", want " + strconv.Itoa(p.inputs))
	}
	p.race(x)
	if isa := on.use(); isa == Generic || !p.fuses {
		p.separate(isa, x)
		return true
	}
	if p.scratch != nil {
		p.seq.pad(p.scratch)
	}
	return false
}

// RunSteps makes T steps, with the bits of LSTMSteps and its like, for the rows of x
// [T, WIH.K()]. The first follows H0 and C0, and H and C become those of the last. It
// also writes h of each step to a row of h [T, WHH.K()]. There must be a WIH. It panics
// if a matrix is too small. h may be x, beyond that it must overlap nothing.
func (p *Step) RunSteps(h, x Mat, T int) {
	const fn = "Step.RunSteps"
	s := &p.seq
	if s.WIH == nil {
		bad(fn, "WIH.K()", 0, "a WIH")
	}
	size(fn, "T", T)
	h.writes(fn, "h", T, s.WHH.k)
	x.reads(fn, "x", T, p.inputs)
	isa := fewUnits(use(), s.WHH.units)
	if T == 0 || s.WHH.units == 0 {
		return
	}
	p.race(x.row(0, p.inputs))
	if isa == Generic || !p.fuses || s.WHR != nil {
		p.separateSteps(isa, T, h, x)
	} else {
		if p.scratch != nil {
			s.pad(p.scratch)
		}
		most := stepsPerCall(s.WHH, s.WIH)
		for t := 0; t < T; t += most {
			task := p.task
			task.steps = min(most, T-t)
			task.h, task.hStep = h.at(t, 0), 4*h.Stride
			if t > 0 {
				task.hPrev, task.cPrev = h.at(t-1, 0), task.c
				task.products[1].a = task.hPrev
			}
			if p.inputs > 0 {
				task.products[0].a, task.xStep = x.at(t, 0), 4*x.Stride
			}
			p.kind.launch(isa, &task)
		}
	}
	copy(s.H.Data, h.row(T-1, s.WHH.k))
}

//go:noinline
func (p *Step) separateSteps(isa ISA, T int, h, x Mat) {
	q := p.seq
	q.T, q.H, q.X = T, h, x
	if isa == Generic || !p.fuses {
		q.separate(isa, p.kind, false)
	} else {
		q.fused(isa, p.kind, p.scratch)
	}
}

// separate is Run without a kernel of whole steps.
func (p *Step) separate(isa ISA, x []float32) {
	s := &p.seq
	if s.WHH.units == 0 {
		return
	}
	s.X.Data = x
	s.separate(isa, p.kind, p.hFirst)
	s.X.Data = nil
	s.WHH, p.otherHH = p.otherHH, s.WHH
	if s.WIH != nil {
		s.WIH, p.otherIH = p.otherIH, s.WIH
		p.hFirst = !p.hFirst
	}
}

// race tells the race detector what Run reads and writes.
func (p *Step) race(x []float32) {
	if !raceEnabled {
		return
	}
	p.seq.X.Data = x
	p.seq.check(p.fn, p.kind)
}
