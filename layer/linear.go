package layer

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/internal/memory"
	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/kernels"
)

// LinearConfig are the arguments of nn.Linear; zero values are its defaults.
type LinearConfig struct {
	Input, Output int  // I and O, at least 1
	NoBias        bool // no bias
}

// A Linear is the weights of PyTorch's nn.Linear:
//
//	y = W·x + b
//
// Its parameters are weight [O,I] and bias [O]. Any number of goroutines may use
// it, but for Pack and LoadStateDict.
type Linear struct {
	input, output int
	params        Params
	weight        *matrix
	product       kernels.Linear // of the panels of weight, and of bias
}

// NewLinear returns a Linear with PyTorch's initialisation: both parameters, in
// order, uniform in [-1/√I, 1/√I). With a nil r they are zero, for weights that
// will be loaded. The error is about cfg or, from kernels.Active, about
// SIMDRNN_ISA.
func NewLinear(cfg LinearConfig, r *Rand) (*Linear, error) {
	if _, err := kernels.Active(); err != nil {
		return nil, err
	}
	fail := func(field string, got int, want string) (*Linear, error) {
		return nil, fmt.Errorf("layer: NewLinear: %s = %d, want %s", field, got, want)
	}
	switch {
	case cfg.Input < 1:
		return fail("Input", cfg.Input, "at least 1")
	case cfg.Output < 1:
		return fail("Output", cfg.Output, "at least 1")
	case !fits(cfg.Input + blockUnits):
		return fail("Input", cfg.Input, inMemory)
	case !fits(2, cfg.Input+blockUnits, cfg.Output+blockUnits):
		return fail("Output", cfg.Output, inMemory)
	}
	l := &Linear{input: cfg.Input, output: cfg.Output}
	l.params = Params{{Name: "weight", Shape: []int{cfg.Output, cfg.Input}, Owner: l}}
	if !cfg.NoBias {
		l.params = append(l.params, Param{Name: "bias", Shape: []int{cfg.Output}, Owner: l})
	}
	l.params.alloc()
	l.params.init(r, 1/math.Sqrt(float64(cfg.Input)))
	l.weight = newMatrix(l.params[0].Data, 1, cfg.Output, cfg.Input)
	l.product.W = l.weight.panels
	if !cfg.NoBias {
		l.product.Bias = l.params[1].Data // one gate is in packed order as it is
	}
	if r != nil { // panels of zeros are zeros
		l.Pack()
	}
	return l, nil
}

// Params returns the parameters, in PyTorch's order and without gradients.
// Call Pack after writing to their Data.
func (l *Linear) Params() Params { return slices.Clone(l.params) }

// Pack makes the kernels see what was written to the Data of the parameters.
// Nobody may read the weights meanwhile.
func (l *Linear) Pack() { l.weight.pack() }

// PackParts returns the number of parts of Pack, see [PartPacker].
func (l *Linear) PackParts() int { return 2 }

// PackPart packs the weight for one direction of the product.
func (l *Linear) PackPart(i int) {
	if i == 0 {
		l.weight.packPanels()
	} else {
		l.weight.packTransposed()
	}
}

// Forward computes y = W·x + b for the rows of x [N,I], y [N,O]. It panics if a
// length is wrong or if y and x overlap.
func (l *Linear) Forward(y, x []float32) {
	if len(x) != l.input || len(y) != l.output || memory.Overlap(y, x) {
		l.forward(y, x)
		return
	}
	// As the step of a network that x comes from.
	kernels.StepPath(true, 1).Gemv(y, x, l.weight.panels, l.product.Bias)
}

// forward is Forward for any number of rows.
//
//go:noinline
func (l *Linear) forward(y, x []float32) {
	const fn = "Linear.Forward"
	N := steps(fn, x, "I", l.input)
	if n := N * l.output; len(y) != n {
		badLen(fn, "y", len(y), "N*O", n)
	}
	if memory.Overlap(y, x) {
		badOverlap(fn, "y", "x")
	}
	kernels.Gemm(kernels.Mat{Data: y, Stride: l.output}, kernels.Mat{Data: x, Stride: l.input}, N, l.weight.panels, l.product.Bias)
}

// A LinearTape trains a Linear: it is the output and the gradients of one
// caller. Different LinearTapes of one Linear may run at the same time.
type LinearTape struct {
	linear  *Linear
	wT      *kernels.Panels
	maxN, N int       // N is that of the last Forward, or -1 if Backward cannot run
	x       []float32 // of the last Forward
	y       []float32
	params  Params
	xs      *kernels.Panels // x as a factor of the weight's gradient

	team                    *workers.Team // nil for one thread
	parts                   []linearPart  // of its members
	dx, dy                  []float32     // of the call of Backward
	forwardJob, backwardJob func(workers.Member)
	work                    func(products int) float64 // estimate, if a test has not set another one
}

// A linearPart is the memory of one member of a team.
type linearPart struct {
	w, wT, xs kernels.Panels // views of what the member works with
	sum       []float32      // [O]
}

// NewTape returns a LinearTape for at most maxN rows, with zero gradients. It
// panics unless maxN is not negative and its memory can be addressed. It may run
// beside readers of the weights.
func (l *Linear) NewTape(maxN int) *LinearTape {
	const fn = "Linear.NewTape"
	switch {
	case maxN < 0:
		bad(fn, "maxN", maxN, "at least 0")
	case !fits(maxN, max(l.input, l.output)+blockUnits):
		bad(fn, "maxN", maxN, inMemory)
	}
	t := &LinearTape{
		linear: l,
		wT:     l.weight.transposed(),
		maxN:   maxN,
		N:      -1,
		y:      make([]float32, maxN*l.output),
		params: l.params.withGrad(),
		xs:     kernels.NewPanels(1, l.input, maxN),
	}
	t.forwardJob, t.backwardJob, t.work = t.forwardPart, t.backwardPart, t.estimate
	t.SetThreads(1)
	return t
}

// SetThreads sets the number of threads that Forward and Backward may use, as
// that of a Tape does: they share the rows or, where those are few or the weight
// is large, the outputs. The bits of results and gradients do not depend on it.
// It panics if n is less than 1.
func (t *LinearTape) SetThreads(n int) {
	t.team, n = newTeam("LinearTape.SetThreads", n)
	for len(t.parts) < n {
		pt := linearPart{sum: make([]float32, t.linear.output)}
		pt.w.SetPart(t.linear.weight.panels, 0, 0) // no allocation later
		pt.wT.SetPart(t.wT, 0, 0)
		pt.xs.SetPart(t.xs, 0, 0)
		t.parts = append(t.parts, pt)
	}
	t.parts = slices.Delete(t.parts, n, len(t.parts))
}

// estimate returns how long so many products of the rows with the weight take one
// thread, in nanoseconds.
func (t *LinearTape) estimate(products int) float64 {
	return 2 * float64(products) * float64(t.N) * float64(t.linear.input) * float64(t.linear.output) / flopsPerNano
}

// product sets c to the share of m of the product of a with the panels w.
func (t *LinearTape) product(m workers.Member, c, a kernels.Mat, w, part *kernels.Panels, bias []float32) {
	lo, hi, from, to := 0, t.N, 0, w.Units()
	blocks := (w.Units() + kernels.PartUnits(1) - 1) / kernels.PartUnits(1)
	if blocks >= m.Members && (t.N/m.Members < minRows || w.Bytes() > largeWeights) {
		from, to = shareOf(m, w.Units(), kernels.PartUnits(1))
	} else {
		lo, hi = m.Share(t.N)
	}
	if lo == hi || from == to {
		return
	}
	if bias != nil {
		bias = bias[from:to]
	}
	part.SetPart(w, from, to)
	c.Data, a.Data = c.Data[lo*c.Stride+from:], a.Data[lo*a.Stride:]
	kernels.Gemm(c, a, hi-lo, part, bias)
}

// Params returns the parameters of the layer with the gradients of this tape.
func (t *LinearTape) Params() Params { return slices.Clone(t.params) }

// Forward computes the rows of x [N,I], N <= maxN, as Linear.Forward does. It
// returns y [N,O], a view that is valid until the next Forward. x must stay as
// it is until Backward. It panics if len(x) is wrong or if x overlaps the tape's y.
func (t *LinearTape) Forward(x []float32) (y []float32) {
	const fn = "LinearTape.Forward"
	N := steps(fn, x, "I", t.linear.input)
	if N > t.maxN {
		bad(fn, "N", N, "at most maxN = "+strconv.Itoa(t.maxN))
	}
	if memory.Overlap(t.y, x) {
		badOverlap(fn, "x", "the tape's y")
	}
	t.x, t.N = x, N
	y = t.y[:N*t.linear.output]
	runTeam(t.team, t.work(1), t.forwardJob)
	return y
}

// forwardPart does the share of m of a call of Forward.
func (t *LinearTape) forwardPart(m workers.Member) {
	l := t.linear
	t.product(m, kernels.Mat{Data: t.y, Stride: l.output}, kernels.Mat{Data: t.x, Stride: l.input}, l.weight.panels, &t.parts[m.Index].w, l.product.Bias)
}

// Backward goes back through the last Forward, once, from the gradient dy [N,O]
// of a loss with respect to y:
//
//	dx = dy·W       dx [N,I]; not computed if nil
//	dW += dyᵀ·x
//	db += Σ dy
//
// It panics if a length is wrong, if dx overlaps dy or the x of Forward, or if
// there was no Forward since the last Backward.
func (t *LinearTape) Backward(dx, dy []float32) {
	const fn = "LinearTape.Backward"
	l, N := t.linear, t.N
	if N < 0 {
		bad(fn, "calls of Forward since the last Backward", 0, "1")
	}
	if n := N * l.input; dx != nil && len(dx) != n {
		badLen(fn, "dx", len(dx), "N*I", n)
	}
	if n := N * l.output; len(dy) != n {
		badLen(fn, "dy", len(dy), "N*O", n)
	}
	if memory.Overlap(dx, dy) {
		badOverlap(fn, "dx", "dy")
	}
	if memory.Overlap(dx, t.x) {
		badOverlap(fn, "dx", "x")
	}
	t.dx, t.dy = dx, dy
	if N > 0 {
		t.xs.Resize(N)
		products := 1
		if dx != nil {
			products++
		}
		runTeam(t.team, t.work(products), t.backwardJob)
	}
	t.x, t.dx, t.dy, t.N = nil, nil, nil, -1
}

// backwardPart does the share of m of a call of Backward.
func (t *LinearTape) backwardPart(m workers.Member) {
	l, pt := t.linear, &t.parts[m.Index]
	x, dy := kernels.Mat{Data: t.x, Stride: l.input}, kernels.Mat{Data: t.dy, Stride: l.output}
	if t.dx != nil {
		t.product(m, kernels.Mat{Data: t.dx, Stride: l.input}, dy, t.wT, &pt.wT, nil)
	}
	lo, hi := shareOf(m, l.input, kernels.PartUnits(1))
	pt.xs.SetPart(t.xs, lo, hi)
	x.Data = x.Data[lo:]
	pt.xs.SetRows(x)
	m.Wait()
	lo, hi = shareOf(m, l.output, blockUnits)
	l.weight.addGrad(t.params[0].Grad, dy, t.xs, lo, hi)
	if l.product.Bias != nil {
		addBiasGrad(pt.sum, dy, t.N, 1, l.output, lo, hi, t.params[1].Grad)
	}
}
