package layer

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/kernels"
)

// LinearConfig are the arguments of nn.Linear; zero values are its defaults.
type LinearConfig struct {
	Input, Output int // I and O, at least 1
	NoBias        bool
}

// A Linear is the weights of PyTorch's nn.Linear:
//
//	y = W·x + b
//
// Its parameters are weight [O,I] and bias [O]. Any number of goroutines may use
// it, but for Pack.
type Linear struct {
	input, output int
	params        Params
	weight        *matrix
	bias          []float32 // of the parameter, or nil
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
	if !cfg.NoBias {
		l.bias = l.params[1].Data // one gate is in packed order as it is
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

// Forward computes y = W·x + b for the rows of x [N,I], y [N,O]. y and x must
// not overlap. It panics if a length is wrong.
func (l *Linear) Forward(y, x []float32) {
	const fn = "Linear.Forward"
	N := steps(fn, x, "I", l.input)
	if n := N * l.output; len(y) != n {
		badLen(fn, "y", len(y), "N*O", n)
	}
	l.forward(y, x, N)
}

func (l *Linear) forward(y, x []float32, N int) {
	kernels.Gemm(kernels.Mat{Data: y, Stride: l.output}, kernels.Mat{Data: x, Stride: l.input}, N, l.weight.panels, l.bias)
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
	sum     []float32       // [O]
}

// NewTape returns a LinearTape for at most maxN rows, with zero gradients. It
// panics unless maxN is not negative and its memory has a size. It may run
// beside readers of the weights.
func (l *Linear) NewTape(maxN int) *LinearTape {
	const fn = "Linear.NewTape"
	switch {
	case maxN < 0:
		bad(fn, "maxN", maxN, "at least 0")
	case !fits(maxN, max(l.input, l.output)+blockUnits):
		bad(fn, "maxN", maxN, inMemory)
	}
	return &LinearTape{
		linear: l,
		wT:     l.weight.transposed(),
		maxN:   maxN,
		N:      -1,
		y:      make([]float32, maxN*l.output),
		params: l.params.withGrad(),
		xs:     kernels.NewPanels(1, l.input, maxN),
		sum:    make([]float32, l.output),
	}
}

// Params returns the parameters of the layer with the gradients of this tape.
func (t *LinearTape) Params() Params { return slices.Clone(t.params) }

// Forward computes the rows of x [N,I], N <= maxN, as Linear.Forward does. It
// returns y [N,O], a view that is valid until the next Forward. x must stay as
// it is until Backward. It panics if len(x) is wrong.
func (t *LinearTape) Forward(x []float32) (y []float32) {
	const fn = "LinearTape.Forward"
	N := steps(fn, x, "I", t.linear.input)
	if N > t.maxN {
		bad(fn, "N", N, "at most maxN = "+strconv.Itoa(t.maxN))
	}
	t.x, t.N = x, N
	y = t.y[:N*t.linear.output]
	t.linear.forward(y, x, N)
	return y
}

// Backward goes back through the last Forward, once, from the gradient dy [N,O]
// of a loss with respect to y:
//
//	dx = dy·W       dx [N,I]; not computed if nil
//	dW += dyᵀ·x
//	db += Σ dy
//
// It panics if a length is wrong or if there was no Forward since the last
// Backward.
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
	d := kernels.Mat{Data: dy, Stride: l.output}
	if dx != nil {
		kernels.Gemm(kernels.Mat{Data: dx, Stride: l.input}, d, N, t.wT, nil)
	}
	if N > 0 {
		packRows(t.xs, kernels.Mat{Data: t.x, Stride: l.input}, N)
		l.weight.addGrad(t.params[0].Grad, d, t.xs, 0, l.output)
		if l.bias != nil {
			addBiasGrad(t.sum, d, N, 1, l.output, 0, l.output, t.params[1].Grad)
		}
	}
	t.x, t.N = nil, -1
}
