package kernels

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// An operand of a pointwise kernel has one letter for each of its gates.
//
// in says what it holds before: x a pre-activation, y a small one, s a state or gradient in
// ±1, p an activation in (0, 1), m the last p times a number in ±1, v a second
// moment, - nothing.
//
// out says what it holds after: w a result, = the same, ? anything.
type operand struct{ name, in, out string }

// A pointwise kernel computes each unit of each row by itself. Tables of them
// drive the tests and benchmarks of all families but products.
type pointwise struct {
	name     string
	operands []operand
	alias    [2]int // operands that may be the same memory
	run      func(m []Mat, n, units int)
	ref      func(v [][]float64) // one unit: v[operand][gate]
	tol      float64             // of max(1, |want|); 0: the rounded reference
	inf      bool                // infinite inputs agree with the portable path
	shared   int                 // 1 + the operand of which all rows use one slice, or 0
}

// ofMatrices says that the kernel is one on matrices.
func (k *pointwise) ofMatrices() bool {
	return strings.HasSuffix(k.name, "ward") || strings.HasSuffix(k.name, "Train") || k.name == "MulAdd"
}

// flat makes a kernel on matrices of one on slices.
func flat(f func(s [][]float32)) func(m []Mat, n, units int) {
	return func(m []Mat, n, units int) {
		var s [5][]float32
		for b := range n {
			for i := range m {
				s[i] = m[i].row(b, units)
			}
			f(s[:len(m)])
		}
	}
}

func sigm(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

const alpha = float32(0.7) // of Scale and Axpy

var adamTest = AdamScalars{
	OneMinusBeta1: 0.1, Beta2: 0.999, OneMinusBeta2: 0.001,
	Step: 0.01, BiasCorrection2Sqrt: 0.3, Eps: 1e-8, WeightDecay: 0.02, Decay: 0.99, Sign: 1,
}

var (
	sgdTest      = SGDScalars{LR: 0.01, Momentum: 0.9, OneMinusDampening: 0.8, WeightDecay: 0.02, Sign: 1}
	nesterovTest = SGDScalars{LR: 0.01, Momentum: 0.9, OneMinusDampening: 1, NesterovMomentum: 0.9, WeightDecay: 0.02, Sign: 1}
	rmspropTest  = RMSpropScalars{LR: 0.01, Alpha: 0.9, OneMinusAlpha: 0.1, Eps: 1, Momentum: 0.8, WeightDecay: 0.02, Sign: 1}
	nadamTest    = AdamScalars{
		OneMinusBeta1: 0.1, Beta2: 0.999, OneMinusBeta2: 0.001,
		Step: 0.01, GradStep: 0.002, BiasCorrection2Sqrt: 0.3, Eps: 1e-8, WeightDecay: 0.02, Decay: 0.99, Sign: -1,
	}
	adagradTest  = AdagradScalars{LR: 0.01, Eps: 1e-3, WeightDecay: 0.02, Sign: 1}
	adadeltaTest = AdadeltaScalars{LR: 0.5, Rho: 0.9, OneMinusRho: 0.1, Eps: 0.01, WeightDecay: 0.02, Sign: -1}
)

var lstmForwardOperands = []operand{{"h", "-", "w"}, {"c", "-", "w"}, {"gates", "xxxx", "===="}, {"cPrev", "s", "="}}

func lstmForwardRef(v [][]float64) {
	a := v[2]
	c := sigm(a[1])*v[3][0] + sigm(a[0])*math.Tanh(a[2])
	v[0][0], v[1][0] = sigm(a[3])*math.Tanh(c), c
}

// throughPeepholes adds to the pre-activations what their peepholes, the fifth
// operand, let through.
func throughPeepholes(v [][]float64) {
	a, cPrev, p := v[2], v[3][0], v[4]
	a[0] += p[0] * cPrev
	a[1] += p[1] * cPrev
	c := sigm(a[1])*cPrev + sigm(a[0])*math.Tanh(a[2])
	a[3] += p[2] * c
}

func lstmActivations(a []float64) {
	a[0], a[1], a[2], a[3] = sigm(a[0]), sigm(a[1]), math.Tanh(a[2]), sigm(a[3])
}

// lstmBackwardRef is LSTMBackward, or LSTMPeepholeBackward if p is not nil.
func lstmBackwardRef(v [][]float64, p []float64) {
	a, dh, h := v[0], v[2][0], v[3][0]
	i, f, g, o := a[0], a[1], a[2], a[3]
	dc := v[1][0] + dh*(o-h*(h/o))
	a[3] = dh * h * (1 - o)
	if p != nil {
		dc += a[3] * p[2]
	}
	a[0], a[1], a[2] = dc*g*i*(1-i), dc*v[5][0]*f*(1-f), dc*i*(1-g*g)
	v[1][0] = dc * f
	if p != nil {
		v[1][0] += a[0]*p[0] + a[1]*p[1]
	}
}

func gruForwardRef(v [][]float64) {
	x, y := v[1], v[2]
	r, z := sigm(x[0]+y[0]), sigm(x[1]+y[1])
	n := math.Tanh(x[2] + r*y[2])
	v[0][0] = n + z*(v[3][0]-n)
}

var pointwiseKernels = []pointwise{
	{
		name: "Tanh", operands: []operand{{"dst", "-", "w"}, {"src", "x", "="}}, alias: [2]int{0, 1},
		run: flat(func(s [][]float32) { Tanh(s[0], s[1]) }),
		ref: func(v [][]float64) { v[0][0] = math.Tanh(v[1][0]) },
		tol: 1.3e-7, inf: true,
	},
	{
		name: "Sigmoid", operands: []operand{{"dst", "-", "w"}, {"src", "x", "="}}, alias: [2]int{0, 1},
		run: flat(func(s [][]float32) { Sigmoid(s[0], s[1]) }),
		ref: func(v [][]float64) { v[0][0] = sigm(v[1][0]) },
		tol: 1.3e-7, inf: true,
	},
	{
		name: "Exp", operands: []operand{{"dst", "-", "w"}, {"src", "x", "="}}, alias: [2]int{0, 1},
		run: flat(func(s [][]float32) { Exp(s[0], s[1]) }),
		ref: func(v [][]float64) { v[0][0] = math.Exp(v[1][0]) },
		tol: 1.3e-7, inf: true,
	},
	{
		name: "Add", operands: []operand{{"dst", "-", "w"}, {"x", "x", "="}, {"y", "x", "="}}, alias: [2]int{0, 1},
		run: flat(func(s [][]float32) { Add(s[0], s[1], s[2]) }),
		ref: func(v [][]float64) { v[0][0] = v[1][0] + v[2][0] },
		inf: true,
	},
	{
		name: "Mul", operands: []operand{{"dst", "-", "w"}, {"x", "x", "="}, {"y", "x", "="}}, alias: [2]int{0, 2},
		run: flat(func(s [][]float32) { Mul(s[0], s[1], s[2]) }),
		ref: func(v [][]float64) { v[0][0] = v[1][0] * v[2][0] },
		inf: true,
	},
	{
		name: "Scale", operands: []operand{{"dst", "-", "w"}, {"x", "x", "="}}, alias: [2]int{0, 1},
		run: flat(func(s [][]float32) { Scale(s[0], alpha, s[1]) }),
		ref: func(v [][]float64) { v[0][0] = float64(alpha) * v[1][0] },
		inf: true,
	},
	{
		name: "Axpy", operands: []operand{{"y", "s", "w"}, {"x", "s", "="}},
		run: flat(func(s [][]float32) { Axpy(s[0], alpha, s[1]) }),
		ref: func(v [][]float64) { v[0][0] += float64(alpha) * v[1][0] },
		tol: 2e-7, inf: true,
	},
	{
		name: "Adam", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"m", "s", "w"}, {"v", "v", "w"}},
		run: flat(func(s [][]float32) { Adam(s[0], s[1], s[2], s[3], adamTest) }),
		ref: func(v [][]float64) { Adam(v[0], v[1], v[2], v[3], adamTest) },
		tol: 5e-7,
	},
	{
		name: "AMSGrad", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"m", "s", "w"}, {"v", "v", "w"}, {"vmax", "v", "w"}},
		run: flat(func(s [][]float32) { AMSGrad(s[0], s[1], s[2], s[3], s[4], adamTest) }),
		ref: func(v [][]float64) { AMSGrad(v[0], v[1], v[2], v[3], v[4], adamTest) },
		tol: 5e-7,
	},
	{
		name: "NAdam", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"m", "s", "w"}, {"v", "v", "w"}},
		run: flat(func(s [][]float32) { NAdam(s[0], s[1], s[2], s[3], nadamTest) }),
		ref: func(v [][]float64) { NAdam(v[0], v[1], v[2], v[3], nadamTest) },
		tol: 5e-7,
	},
	{
		name: "RAdam", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"m", "s", "w"}, {"v", "v", "w"}},
		run: flat(func(s [][]float32) { RAdam(s[0], s[1], s[2], s[3], true, adamTest) }),
		ref: func(v [][]float64) { RAdam(v[0], v[1], v[2], v[3], true, adamTest) },
		tol: 5e-7,
	},
	{
		name: "RAdam/warmup", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"m", "s", "w"}, {"v", "v", "w"}},
		run: flat(func(s [][]float32) { RAdam(s[0], s[1], s[2], s[3], false, adamTest) }),
		ref: func(v [][]float64) { RAdam(v[0], v[1], v[2], v[3], false, adamTest) },
		tol: 5e-7,
	},
	{
		name: "SGD", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}},
		run: flat(func(s [][]float32) { SGD(s[0], s[1], nil, sgdTest) }),
		ref: func(v [][]float64) { SGD(v[0], v[1], nil, sgdTest) },
		tol: 5e-7,
	},
	{
		name: "SGD/momentum", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"buf", "s", "w"}},
		run: flat(func(s [][]float32) { SGD(s[0], s[1], s[2], sgdTest) }),
		ref: func(v [][]float64) { SGD(v[0], v[1], v[2], sgdTest) },
		tol: 5e-7,
	},
	{
		name: "SGD/Nesterov", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"buf", "s", "w"}},
		run: flat(func(s [][]float32) { SGD(s[0], s[1], s[2], nesterovTest) }),
		ref: func(v [][]float64) { SGD(v[0], v[1], v[2], nesterovTest) },
		tol: 5e-7,
	},
	{
		name: "RMSprop", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"v", "p", "w"}},
		run: flat(func(s [][]float32) { RMSprop(s[0], s[1], s[2], nil, nil, rmspropTest) }),
		ref: func(v [][]float64) { RMSprop(v[0], v[1], v[2], nil, nil, rmspropTest) },
		tol: 5e-7,
	},
	{
		name: "RMSprop/centered", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"v", "p", "w"}, {"m", "m", "w"}},
		run: flat(func(s [][]float32) { RMSprop(s[0], s[1], s[2], s[3], nil, rmspropTest) }),
		ref: func(v [][]float64) { RMSprop(v[0], v[1], v[2], v[3], nil, rmspropTest) },
		tol: 5e-7,
	},
	{
		name: "RMSprop/momentum", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"v", "p", "w"}, {"buf", "s", "w"}},
		run: flat(func(s [][]float32) { RMSprop(s[0], s[1], s[2], nil, s[3], rmspropTest) }),
		ref: func(v [][]float64) { RMSprop(v[0], v[1], v[2], nil, v[3], rmspropTest) },
		tol: 5e-7,
	},
	{
		name: "RMSprop/both", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"v", "p", "w"}, {"m", "m", "w"}, {"buf", "s", "w"}},
		run: flat(func(s [][]float32) { RMSprop(s[0], s[1], s[2], s[3], s[4], rmspropTest) }),
		ref: func(v [][]float64) { RMSprop(v[0], v[1], v[2], v[3], v[4], rmspropTest) },
		tol: 5e-7,
	},
	{
		name: "Adagrad", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"sum", "v", "w"}},
		run: flat(func(s [][]float32) { Adagrad(s[0], s[1], s[2], adagradTest) }),
		ref: func(v [][]float64) { Adagrad(v[0], v[1], v[2], adagradTest) },
		tol: 5e-7,
	},
	{
		name: "Adadelta", operands: []operand{{"p", "s", "w"}, {"g", "s", "="}, {"v", "v", "w"}, {"acc", "v", "w"}},
		run: flat(func(s [][]float32) { Adadelta(s[0], s[1], s[2], s[3], adadeltaTest) }),
		ref: func(v [][]float64) { Adadelta(v[0], v[1], v[2], v[3], adadeltaTest) },
		tol: 5e-7,
	},
	{
		name: "Clip", operands: []operand{{"x", "x", "w"}},
		run: flat(func(s [][]float32) { Clip(s[0], 2.5) }),
		ref: func(v [][]float64) { v[0][0] = min(max(v[0][0], -2.5), 2.5) },
		inf: true,
	},
	{
		name: "RNNTanhForward", operands: []operand{{"h", "-", "w"}, {"gates", "x", "="}}, alias: [2]int{0, 1},
		run: func(m []Mat, n, units int) { RNNTanhForward(m[0], m[1], n, units) },
		ref: func(v [][]float64) { v[0][0] = math.Tanh(v[1][0]) },
		tol: 5e-7, inf: true,
	},
	{
		name: "RNNReLUForward", operands: []operand{{"h", "-", "w"}, {"gates", "x", "="}}, alias: [2]int{0, 1},
		run: func(m []Mat, n, units int) { RNNReLUForward(m[0], m[1], n, units) },
		ref: func(v [][]float64) { v[0][0] = max(v[1][0], 0) },
		inf: true,
	},
	{
		name: "RNNTanhBackward", operands: []operand{{"dGates", "-", "w"}, {"dh", "s", "="}, {"h", "s", "="}}, alias: [2]int{0, 1},
		run: func(m []Mat, n, units int) { RNNTanhBackward(m[0], m[1], m[2], n, units) },
		ref: func(v [][]float64) { v[0][0] = v[1][0] * (1 - v[2][0]*v[2][0]) },
		tol: 5e-7,
	},
	{
		name: "RNNReLUBackward", operands: []operand{{"dGates", "-", "w"}, {"dh", "s", "="}, {"h", "s", "="}}, alias: [2]int{0, 1},
		run: func(m []Mat, n, units int) { RNNReLUBackward(m[0], m[1], m[2], n, units) },
		ref: func(v [][]float64) {
			v[0][0] = 0
			if v[2][0] > 0 {
				v[0][0] = v[1][0]
			}
		},
	},
	{
		name: "LSTMForward", operands: lstmForwardOperands, alias: [2]int{1, 3},
		run: func(m []Mat, n, units int) { LSTMForward(m[0], m[1], m[2], m[3], n, units) },
		ref: lstmForwardRef,
		tol: 5e-7, inf: true,
	},
	{
		name: "LSTMForwardTrain", alias: [2]int{1, 3},
		operands: []operand{{"h", "-", "w"}, {"c", "-", "w"}, {"gates", "xxxx", "wwww"}, {"cPrev", "s", "="}},
		run:      func(m []Mat, n, units int) { LSTMForwardTrain(m[0], m[1], m[2], m[3], n, units) },
		ref: func(v [][]float64) {
			lstmForwardRef(v)
			lstmActivations(v[2])
		},
		tol: 5e-7, inf: true,
	},
	{
		name:     "LSTMBackward",
		operands: []operand{{"gates", "ppsp", "wwww"}, {"dc", "s", "w"}, {"dh", "s", "="}, {"h", "m", "="}, {"c", "s", "="}, {"cPrev", "s", "="}},
		run:      func(m []Mat, n, units int) { LSTMBackward(m[0], m[1], m[2], m[3], m[4], m[5], n, units) },
		ref:      func(v [][]float64) { lstmBackwardRef(v, nil) },
		tol:      5e-7,
	},
	{
		name: "LSTMPeepholeForward", alias: [2]int{1, 3},
		operands: append(slices.Clone(lstmForwardOperands), operand{"p", "sss", "==="}),
		run: func(m []Mat, n, units int) {
			LSTMPeepholeForward(m[0], m[1], m[2], m[3], m[4].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) {
			throughPeepholes(v)
			lstmForwardRef(v)
		},
		tol: 5e-7, shared: 5,
	},
	{
		name: "LSTMPeepholeForwardTrain", alias: [2]int{1, 3},
		operands: []operand{{"h", "-", "w"}, {"c", "-", "w"}, {"gates", "xxxx", "wwww"}, {"cPrev", "s", "="}, {"p", "sss", "==="}},
		run: func(m []Mat, n, units int) {
			LSTMPeepholeForwardTrain(m[0], m[1], m[2], m[3], m[4].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) {
			throughPeepholes(v)
			lstmForwardRef(v)
			lstmActivations(v[2])
		},
		tol: 5e-7, shared: 5,
	},
	{
		name: "LSTMPeepholeBackward",
		operands: []operand{{"gates", "ppsp", "wwww"}, {"dc", "s", "w"}, {"dh", "s", "="}, {"h", "m", "="}, {"c", "s", "="}, {"cPrev", "s", "="},
			{"p", "sss", "==="}},
		run: func(m []Mat, n, units int) {
			LSTMPeepholeBackward(m[0], m[1], m[2], m[3], m[4], m[5], m[6].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) { lstmBackwardRef(v, v[6]) },
		tol: 5e-7, shared: 7,
	},
	{
		name: "LSTMCellForward", alias: [2]int{0, 2},
		operands: []operand{{"c", "-", "w"}, {"gates", "xxx-", "www-"}, {"cPrev", "s", "="}, {"p", "ss-", "==-"}},
		run: func(m []Mat, n, units int) {
			LSTMCellForward(m[0], m[1], m[2], m[3].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) {
			a, cPrev, p := v[1], v[2][0], v[3]
			a[0], a[1], a[2] = sigm(a[0]+p[0]*cPrev), sigm(a[1]+p[1]*cPrev), math.Tanh(a[2])
			v[0][0] = a[1]*cPrev + a[0]*a[2]
		},
		tol: 5e-7, shared: 4,
	},
	{
		name:     "LSTMOutputForward",
		operands: []operand{{"h", "-", "w"}, {"gates", "---x", "---w"}, {"cNorm", "s", "="}, {"c", "s", "="}, {"p", "--s", "--="}},
		run: func(m []Mat, n, units int) {
			LSTMOutputForward(m[0], m[1], m[2], m[3], m[4].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) {
			v[1][3] = sigm(v[1][3] + v[4][2]*v[3][0])
			v[0][0] = v[1][3] * math.Tanh(v[2][0])
		},
		tol: 5e-7, shared: 5,
	},
	{
		name:     "LSTMOutputBackward",
		operands: []operand{{"gates", "---p", "---w"}, {"dcNorm", "-", "w"}, {"dc", "s", "w"}, {"dh", "s", "="}, {"h", "m", "="}, {"p", "--s", "--="}},
		run: func(m []Mat, n, units int) {
			LSTMOutputBackward(m[0], m[1], m[2], m[3], m[4], m[5].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) {
			o, dh, h := v[0][3], v[3][0], v[4][0]
			v[0][3] = dh * h * (1 - o)
			v[1][0] = dh * (o - h*(h/o))
			v[2][0] += v[0][3] * v[5][2]
		},
		tol: 5e-7, shared: 6,
	},
	{
		name:     "LSTMCellBackward",
		operands: []operand{{"gates", "pps-", "www-"}, {"dc", "s", "w"}, {"cPrev", "s", "="}, {"p", "ss-", "==-"}},
		run: func(m []Mat, n, units int) {
			LSTMCellBackward(m[0], m[1], m[2], m[3].row(0, packedWidth(3, units)), n, units)
		},
		ref: func(v [][]float64) {
			a, dc, cPrev, p := v[0], v[1][0], v[2][0], v[3]
			i, f, g := a[0], a[1], a[2]
			a[0], a[1], a[2] = dc*g*i*(1-i), dc*cPrev*f*(1-f), dc*i*(1-g*g)
			v[1][0] = dc*f + a[0]*p[0] + a[1]*p[1]
		},
		tol: 5e-7, shared: 4,
	},
	{
		name: "GRUForward", alias: [2]int{0, 3},
		operands: []operand{{"h", "-", "w"}, {"gx", "xxx", "==="}, {"gh", "xxy", "==="}, {"hPrev", "s", "="}},
		run:      func(m []Mat, n, units int) { GRUForward(m[0], m[1], m[2], m[3], n, units) },
		ref:      gruForwardRef,
		tol:      5e-7,
	},
	{
		name: "GRUForwardTrain", alias: [2]int{0, 3},
		operands: []operand{{"h", "-", "w"}, {"gx", "xxx", "www"}, {"gh", "xxy", "??="}, {"hPrev", "s", "="}},
		run:      func(m []Mat, n, units int) { GRUForwardTrain(m[0], m[1], m[2], m[3], n, units) },
		ref: func(v [][]float64) {
			gruForwardRef(v)
			x, y := v[1], v[2]
			x[0], x[1] = sigm(x[0]+y[0]), sigm(x[1]+y[1])
			x[2] = math.Tanh(x[2] + x[0]*y[2])
		},
		tol: 5e-7,
	},
	{
		name:     "GRUBackward",
		operands: []operand{{"gx", "pps", "www"}, {"gh", "--s", "www"}, {"z", "-", "w"}, {"dh", "s", "="}, {"hPrev", "s", "="}},
		run:      func(m []Mat, n, units int) { GRUBackward(m[0], m[1], m[2], m[3], m[4], n, units) },
		ref: func(v [][]float64) {
			x, y, d := v[0], v[1], v[3][0]
			r, z, n := x[0], x[1], x[2]
			dn := d * (1 - z) * (1 - n*n)
			dz := d * (v[4][0] - n) * z * (1 - z)
			dr := dn * y[2] * r * (1 - r)
			x[0], x[1], x[2] = dr, dz, dn
			y[0], y[1], y[2] = dr, dz, dn*r
			v[2][0] = z
		},
		tol: 5e-7,
	},
	{
		name:     "MulAdd",
		operands: []operand{{"c", "s", "w"}, {"a", "s", "="}, {"b", "s", "="}},
		run:      func(m []Mat, n, units int) { MulAdd(m[0], m[1], m[2], n, units) },
		ref:      func(v [][]float64) { v[0][0] += v[1][0] * v[2][0] },
		tol:      2e-7, inf: true,
	},
}

func (k *pointwise) width(i, units int) int { return packedWidth(len(k.operands[i].in), units) }

// A data set holds the values of some units: data[operand][gate][unit].
type data [][][]float32

func (k *pointwise) newData(n int) data {
	d := make(data, len(k.operands))
	for i, o := range k.operands {
		for range o.in {
			d[i] = append(d[i], filled(n, canary))
		}
	}
	return d
}

func (k *pointwise) random(seed uint64, n int) data {
	r := newRand(seed)
	d := k.newData(n)
	for j := range n {
		var p float32
		for i, o := range k.operands {
			for g, letter := range o.in {
				v := &d[i][g][j]
				switch letter {
				case 'x':
					*v = uniform(r, -8, 8)
					if r.IntN(8) == 0 {
						*v = uniform(r, -20, 20)
					}
				case 'y':
					*v = uniform(r, -2, 2)
				case 's':
					*v = uniform(r, -1, 1)
				case 'p':
					p = uniform(r, 0.01, 0.99)
					*v = p
				case 'm':
					*v = p * uniform(r, -1, 1)
				case 'v':
					*v = uniform(r, 0, 1)
				}
			}
		}
	}
	return d
}

// special returns units with one special input each, and others with several.
func (k *pointwise) special(seed uint64, several int) data {
	nan, inf, sub := float32(math.NaN()), float32(math.Inf(1)), float32(0x1.8p-130)
	negZero := float32(math.Copysign(0, -1))
	values := []float32{nan, 0, negZero, sub, -sub, 0x1p-126, -0x1p-126, 0x1p-149, 1e-20, -1e-20, 1, -1}
	wild := []float32{100, -100, 87.3, -87.3, 88.5, -88.5, 40, -40, 9.01, -9.01, 9.02, -9.02, 1e30, -1e30}
	slots := 0
	for _, o := range k.operands {
		slots += len(o.in) - strings.Count(o.in, "-")
	}
	if k.inf {
		values = append(values, inf, -inf)
	}
	n := slots * (len(values) + len(wild))
	d := k.random(seed, n+several)
	r := newRand(seed + 1)
	j := 0
	for i, o := range k.operands {
		for g, letter := range o.in {
			if letter == '-' {
				continue
			}
			vs := values
			if letter == 'x' {
				vs = slices.Concat(values, wild)
			}
			for _, v := range vs {
				if letter == 'v' || letter == 'p' {
					v = float32(math.Abs(float64(v)))
				}
				d[i][g][j] = v
				j++
			}
			for s := n; s < n+several; s++ {
				if r.IntN(2) == 0 && letter != 'p' && letter != 'v' {
					d[i][g][s] = values[r.IntN(12)]
				}
			}
		}
	}
	return d
}

// put writes unit u of row b of operand i from unit j of d.
func (k *pointwise) put(m Mat, i, b, u int, d data, j int) {
	for g := range d[i] {
		*m.at(b, PackedIndex(len(d[i]), u, g)) = d[i][g][j]
	}
}

// eval computes all units of d in one call, the plainest way.
func (k *pointwise) eval(d data, n int) data {
	m := make([]Mat, len(d))
	for i := range m {
		w := k.width(i, n)
		m[i] = Mat{filled(w, canary), w}
		for j := range n {
			k.put(m[i], i, 0, j, d, j)
		}
	}
	k.run(m, 1, n)
	out := k.newData(n)
	for i := range m {
		for g := range d[i] {
			for j := range n {
				out[i][g][j] = *m[i].at(0, PackedIndex(len(d[i]), j, g))
			}
		}
	}
	return out
}

// results joins what a kernel wrote.
func (k *pointwise) results(d data) (s []float32) {
	for i, o := range k.operands {
		for g, letter := range o.out {
			if letter == 'w' {
				s = append(s, d[i][g]...)
			}
		}
	}
	return s
}

// check runs the kernel on n rows of units at a place and compares all memory
// with what eval says: results, operands that stay, padding and surroundings.
func (k *pointwise) check(t *testing.T, in, want data, count int, p place, n, units, gap int, aliased bool) {
	t.Helper()
	if k.shared > 0 {
		n = 1
	}
	views := make([]view, len(k.operands))
	mats := make([]Mat, len(views))
	first := n*7 + units // unit 0 of row 0
	for i, o := range k.operands {
		if aliased && i == k.alias[1] {
			views[i] = views[k.alias[0]]
		} else {
			w := k.width(i, units)
			views[i] = p.make(t, n, w, w+gap)
			defer p.release(views[i])
			for j := range views[i].all {
				views[i].all[j] = canary
			}
		}
		if aliased && i == k.alias[0] && !strings.Contains(o.in, "-") {
			continue // the other operand's values are written below
		}
		for b := range n {
			for u := range units {
				if !(aliased && i == k.alias[0]) {
					k.put(views[i].Mat, i, b, u, in, (first+b*units+u)%count)
				}
			}
		}
	}
	wants := make([][]float32, len(views))
	for i, o := range k.operands {
		mats[i] = views[i].Mat
		if aliased && i == k.alias[1] {
			continue
		}
		wants[i] = slices.Clone(views[i].all)
		for g, letter := range o.out {
			for b := range n {
				for u := range units {
					if letter == 'w' {
						wants[i][views[i].start+b*views[i].Stride+PackedIndex(len(o.in), u, g)] = want[i][g][(first+b*units+u)%count]
					}
				}
			}
		}
	}
	k.run(mats, n, units)
	for i, o := range k.operands {
		if wants[i] == nil {
			continue
		}
		if g := strings.Index(o.out, "?"); g >= 0 {
			for ; g < len(o.out) && o.out[g] == '?'; g++ {
				for b := range n {
					for u := range units {
						j := views[i].start + b*views[i].Stride + PackedIndex(len(o.in), u, g)
						views[i].all[j] = wants[i][j]
					}
				}
			}
		}
		requireSame(t, wants[i], views[i].all, "%s: n=%d units=%d gap=%d %s aliased=%v: %s (from %d on)", k.name, n, units, gap, p.name, aliased, o.name, views[i].start)
	}
	requireFPState(t, k.name)
}

func forEachPointwise(t *testing.T, f func(t *testing.T, k *pointwise, isa ISA)) {
	for i := range pointwiseKernels {
		k := &pointwiseKernels[i]
		t.Run(k.name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, isa ISA) { f(t, k, isa) })
		})
	}
}

// TestPointwiseReference compares with float64.
func TestPointwiseReference(t *testing.T) {
	n := pick(20000, 5000, 600)
	forEachPointwise(t, func(t *testing.T, k *pointwise, _ ISA) {
		in := k.random(1, n)
		got := k.eval(in, n)
		v := make([][]float64, len(in))
		worst := 0.0
		for j := range n {
			for i := range in {
				v[i] = v[i][:0]
				for g := range in[i] {
					v[i] = append(v[i], float64(in[i][g][j]))
				}
			}
			k.ref(v)
			for i, o := range k.operands {
				for g, letter := range o.out {
					x := got[i][g][j]
					switch {
					case letter == '=':
						require.True(t, same(x, in[i][g][j]), "unit %d: %s[%d] was written", j, o.name, g)
					case letter == 'w' && k.tol == 0:
						require.Equal(t, float32(v[i][g]), x, "unit %d: %s[%d]", j, o.name, g)
					case letter == 'w':
						e := math.Abs(float64(x)-v[i][g]) / max(1, math.Abs(v[i][g]))
						worst = max(worst, e)
						if !(e <= k.tol) {
							t.Fatalf("unit %d: %s[%d] = %g, want %g: error %g, want %g", j, o.name, g, x, v[i][g], e, k.tol)
						}
					}
				}
			}
		}
		t.Logf("largest error %.2g", worst)
	})
}

// TestPointwiseShapes tries all lengths up to some tiles, rows, strides,
// alignments, both guard pages and aliasing: a unit's bits depend on none.
func TestPointwiseShapes(t *testing.T) {
	const count = 251
	forEachPointwise(t, func(t *testing.T, k *pointwise, _ ISA) {
		in := k.random(2, count)
		want := k.eval(in, count)
		for units := range 71 {
			k.check(t, in, want, count, beforeGuard, 1, units, 0, false)
			k.check(t, in, want, count, afterGuard, 1, units, 0, false)
			k.check(t, in, want, count, at(units%17), 1+units%3, units, units%5, false)
			if emulated && units > 36 {
				break
			}
			k.check(t, in, want, count, beforeGuard, 2+units%3, units, units%4, false)
			k.check(t, in, want, count, at(0), 2, units, 16, false)
			if k.alias != [2]int{} {
				k.check(t, in, want, count, beforeGuard, 1+units%3, units, units%4, true)
			}
		}
		for off := range 17 {
			k.check(t, in, want, count, at(off), 2, 37, 3, false)
		}
		for _, n := range []int{0, 4, 5, 33} {
			k.check(t, in, want, count, at(1), n, 19, 1, k.alias != [2]int{})
		}
	})
}

// TestPointwisePieces passes more than one call of assembly takes.
func TestPointwisePieces(t *testing.T) {
	const count = 251
	forEachPointwise(t, func(t *testing.T, k *pointwise, isa ISA) {
		if emulated && isa == Generic {
			t.Skip("emulated: Generic has no pieces")
		}
		in := k.random(3, count)
		want := k.eval(in, count)
		k.check(t, in, want, count, at(3), 1, maxWork+37, 0, false)
		if !testing.Short() && !emulated {
			k.check(t, in, want, count, at(0), 2, 2*maxWork+1, 5, false)
			k.check(t, in, want, count, at(5), maxWork/300+2, 300, 1, k.alias != [2]int{})
		}
	})
}

// TestPointwiseBits compares the SIMD paths bit by bit, with each other and with
// the recorded hashes.
func TestPointwiseBits(t *testing.T) {
	for i := range pointwiseKernels {
		k := &pointwiseKernels[i]
		t.Run(k.name, func(t *testing.T) {
			for name, in := range map[string]data{"random": k.random(4, 4096), "special": k.special(5, 256)} {
				n := len(in[0][0])
				var first []float32
				for _, isa := range simd() {
					onISA(isa, func() {
						got := k.results(k.eval(in, n))
						if first == nil {
							first = got
						}
						requireSame(t, first, got, "%s: %v and %v differ", name, simd()[0], isa)
						requireHash(t, k.name+"/"+name, isa, got)
					})
				}
			}
		})
	}
	skipWithoutSIMD(t)
}

func skipWithoutSIMD(t *testing.T) {
	if len(simd()) == 0 {
		t.Skip("NOT COVERED: no SIMD path under test")
	}
}

// TestPointwiseSpecial compares NaN, infinities, zeros and subnormals with the
// portable path.
func TestPointwiseSpecial(t *testing.T) {
	forEachPointwise(t, func(t *testing.T, k *pointwise, isa ISA) {
		in := k.special(6, 200)
		n := len(in[0][0])
		var want data
		onISA(Generic, func() { want = k.eval(in, n) })
		got := k.eval(in, n)
		for i, o := range k.operands {
			for g, letter := range o.out {
				for j := 0; letter == 'w' && j < n; j++ {
					x, y := got[i][g][j], want[i][g][j]
					ok := x == y || isNaN(x) && isNaN(y) || math.Abs(float64(x-y)) <= 1e-6*max(1, math.Abs(float64(y)))
					if !ok || !isNaN(x) && x != flush(x) {
						t.Fatalf("%s[%d] = %g, want %g, never subnormal; inputs %v", o.name, g, x, y, in.unit(j))
					}
				}
			}
		}
		requireFPState(t, k.name)
	})
}

func (d data) unit(j int) (v [][]float32) {
	for i := range d {
		v = append(v, nil)
		for g := range d[i] {
			v[i] = append(v[i], d[i][g][j])
		}
	}
	return v
}

// TestPointwiseNaN: a NaN reaches the results that depend on it, and no other
// unit.
func TestPointwiseNaN(t *testing.T) {
	forEachPointwise(t, func(t *testing.T, k *pointwise, _ ISA) {
		const n = 40
		for i, o := range k.operands {
			for g, letter := range o.in {
				if letter == '-' || k.name == "RNNReLUBackward" || strings.HasPrefix(k.name, "LSTM") && strings.HasSuffix(k.name, "Backward") && o.name == "c" {
					continue
				}
				in := k.random(7, n)
				clean := k.eval(in, n)
				in[i][g][21] = float32(math.NaN())
				got := k.eval(in, n)
				nans := 0
				for i, o := range k.operands {
					for g, letter := range o.out {
						for j := 0; letter == 'w' && j < n; j++ {
							if j == 21 && isNaN(got[i][g][j]) {
								nans++
							}
							if j != 21 && !same(got[i][g][j], clean[i][g][j]) {
								t.Fatalf("NaN in unit 21 changes unit %d", j)
							}
						}
					}
				}
				require.Positive(t, nans, "NaN in %s[%d] is lost", o.name, g)
			}
		}
	})
}

// TestPointwisePanics: a wrong size panics, names the argument and writes
// nothing.
func TestPointwisePanics(t *testing.T) {
	forEachPointwise(t, func(t *testing.T, k *pointwise, _ ISA) {
		const n, units = 3, 21
		try := func(message string, change func(m []Mat) (rows, cols int)) {
			m := make([]Mat, len(k.operands))
			for i := range m {
				w := k.width(i, units)
				m[i] = Mat{filled(span(n, w, w+2), 0.25), w + 2}
			}
			whole := slices.Clone(m)
			rows, cols := change(m)
			require.PanicsWithValue(t, message, func() { k.run(m, rows, cols) })
			for i := range whole {
				requireSame(t, filled(len(whole[i].Data), 0.25), whole[i].Data, "%s", k.operands[i].name)
			}
		}
		if !k.ofMatrices() {
			return // of slices, see TestVectorPanics
		}
		for i, o := range k.operands {
			if i == k.shared-1 {
				continue
			}
			w := k.width(i, units)
			try(fmt.Sprintf("kernels: %s: len(%s.Data) = %d, want %d rows of %d columns at stride %d", k.name, o.name, span(n, w, w+2)-1, n, w, w+2), func(m []Mat) (int, int) {
				m[i].Data = m[i].Data[:len(m[i].Data)-1]
				return n, units
			})
			try(fmt.Sprintf("kernels: %s: %s.Stride = %d, want at least %d columns", k.name, o.name, w-1, w), func(m []Mat) (int, int) {
				m[i].Stride = w - 1
				return n, units
			})
		}
		try("kernels: "+k.name+": n = -1, want at least 0", func([]Mat) (int, int) { return -1, units })
		try("kernels: "+k.name+": units = -2, want at least 0", func([]Mat) (int, int) { return n, -2 })
	})
}

func TestVectorPanics(t *testing.T) {
	for name, f := range map[string]func(s [][]float32){
		"Tanh: len(dst)":     func(s [][]float32) { Tanh(s[1], s[0]) },
		"Sigmoid: len(dst)":  func(s [][]float32) { Sigmoid(s[1], s[0]) },
		"Exp: len(dst)":      func(s [][]float32) { Exp(s[1], s[0]) },
		"Add: len(dst)":      func(s [][]float32) { Add(s[1], s[0], s[0]) },
		"Add: len(y)":        func(s [][]float32) { Add(s[0], s[0], s[1]) },
		"Mul: len(dst)":      func(s [][]float32) { Mul(s[1], s[0], s[0]) },
		"Mul: len(y)":        func(s [][]float32) { Mul(s[0], s[0], s[1]) },
		"Scale: len(dst)":    func(s [][]float32) { Scale(s[1], 2, s[0]) },
		"Axpy: len(y)":       func(s [][]float32) { Axpy(s[1], 2, s[0]) },
		"Adam: len(g)":       func(s [][]float32) { Adam(s[0], s[1], s[0], s[0], adamTest) },
		"Adam: len(m)":       func(s [][]float32) { Adam(s[0], s[0], s[1], s[0], adamTest) },
		"Adam: len(v)":       func(s [][]float32) { Adam(s[0], s[0], s[0], s[1], adamTest) },
		"AMSGrad: len(g)":    func(s [][]float32) { AMSGrad(s[0], s[1], s[0], s[0], s[0], adamTest) },
		"AMSGrad: len(m)":    func(s [][]float32) { AMSGrad(s[0], s[0], s[1], s[0], s[0], adamTest) },
		"AMSGrad: len(v)":    func(s [][]float32) { AMSGrad(s[0], s[0], s[0], s[1], s[0], adamTest) },
		"AMSGrad: len(vmax)": func(s [][]float32) { AMSGrad(s[0], s[0], s[0], s[0], s[1], adamTest) },
		"NAdam: len(g)":      func(s [][]float32) { NAdam(s[0], s[1], s[0], s[0], nadamTest) },
		"NAdam: len(m)":      func(s [][]float32) { NAdam(s[0], s[0], s[1], s[0], nadamTest) },
		"NAdam: len(v)":      func(s [][]float32) { NAdam(s[0], s[0], s[0], s[1], nadamTest) },
		"RAdam: len(g)":      func(s [][]float32) { RAdam(s[0], s[1], s[0], s[0], true, adamTest) },
		"RAdam: len(m)":      func(s [][]float32) { RAdam(s[0], s[0], s[1], s[0], true, adamTest) },
		"RAdam: len(v)":      func(s [][]float32) { RAdam(s[0], s[0], s[0], s[1], false, adamTest) },
		"SGD: len(g)":        func(s [][]float32) { SGD(s[0], s[1], nil, sgdTest) },
		"SGD: len(buf)":      func(s [][]float32) { SGD(s[0], s[0], s[1], sgdTest) },
		"RMSprop: len(g)":    func(s [][]float32) { RMSprop(s[0], s[1], s[0], nil, nil, rmspropTest) },
		"RMSprop: len(v)":    func(s [][]float32) { RMSprop(s[0], s[0], s[1], nil, nil, rmspropTest) },
		"RMSprop: len(m)":    func(s [][]float32) { RMSprop(s[0], s[0], s[0], s[1], nil, rmspropTest) },
		"RMSprop: len(buf)":  func(s [][]float32) { RMSprop(s[0], s[0], s[0], s[0], s[1], rmspropTest) },
		"Adagrad: len(g)":    func(s [][]float32) { Adagrad(s[0], s[1], s[0], adagradTest) },
		"Adagrad: len(sum)":  func(s [][]float32) { Adagrad(s[0], s[0], s[1], adagradTest) },
		"Adadelta: len(g)":   func(s [][]float32) { Adadelta(s[0], s[1], s[0], s[0], adadeltaTest) },
		"Adadelta: len(v)":   func(s [][]float32) { Adadelta(s[0], s[0], s[1], s[0], adadeltaTest) },
		"Adadelta: len(acc)": func(s [][]float32) { Adadelta(s[0], s[0], s[0], s[1], adadeltaTest) },
		"Dot: len(y)":        func(s [][]float32) { Dot(s[0], s[1]) },
		"ExpSum: len(dst)":   func(s [][]float32) { ExpSum(s[1], s[0], 0) },
	} {
		t.Run(name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, _ ISA) {
				s := [][]float32{filled(20, 0.25), filled(19, 0.25)}
				require.PanicsWithValue(t, "kernels: "+name+" = 19, want 20", func() { f(s) })
				requireSame(t, filled(20, 0.25), s[0], "written")
				requireSame(t, filled(19, 0.25), s[1], "written")
			})
		})
	}
}

func TestPointwiseAllocs(t *testing.T) {
	forEachPointwise(t, func(t *testing.T, k *pointwise, _ ISA) {
		const n, units = 3, 21
		m := make([]Mat, len(k.operands))
		for i := range m {
			w := k.width(i, units)
			m[i] = Mat{filled(n*w, 0.25), w}
		}
		require.Zero(t, testing.AllocsPerRun(10, func() { k.run(m, n, units) }))
	})
}

// TestTrainingBits: training computes the h and c of inference.
func TestTrainingBits(t *testing.T) {
	n := pick(4096, 1024, 256)
	find := func(name string) *pointwise {
		return &pointwiseKernels[slices.IndexFunc(pointwiseKernels, func(k pointwise) bool { return k.name == name })]
	}
	for _, name := range []string{"LSTMForward", "LSTMPeepholeForward", "GRUForward"} {
		t.Run(name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, _ ISA) {
				k := find(name)
				for _, in := range []data{k.random(8, n), k.special(9, 100)} {
					count := len(in[0][0])
					want, got := k.eval(in, count), find(name+"Train").eval(in, count)
					for i, o := range k.operands {
						if o.out == "w" {
							requireSame(t, want[i][0], got[i][0], "%s", o.name)
						}
					}
				}
			})
		})
	}
}

// TestGateOrder compares UnpackGates and PackGates with their definition, for all
// units up to some blocks, with strides and at guard pages.
func TestGateOrder(t *testing.T) {
	r := newRand(23)
	forEachISA(t, func(t *testing.T, _ ISA) {
		check := func(n, units, gap int, p place) {
			t.Helper()
			width := packedWidth(4, units)
			gates, x := p.make(t, n, width, width+gap), p.make(t, n, 4*units, 4*units+gap)
			for _, v := range []view{gates, x} {
				defer p.release(v)
				copy(v.all, filled(len(v.all), canary))
			}
			for b := range n {
				for i := range 4 * units {
					*gates.at(b, PackedIndex(4, i%units, i/units)) = uniform(r, -1, 1)
				}
			}
			before, want := slices.Clone(gates.all), slices.Clone(x.all)
			for b := range n {
				for i := range 4 * units {
					want[x.start+b*x.Stride+i] = *gates.at(b, PackedIndex(4, i%units, i/units))
				}
			}
			UnpackGates(x.Mat, gates.Mat, n, units)
			requireSame(t, before, gates.all, "n=%d units=%d %s: gates were written", n, units, p.name)
			requireSame(t, want, x.all, "n=%d units=%d %s: unpacked", n, units, p.name)
			for b := range n {
				for i := range 4 * units {
					*gates.at(b, PackedIndex(4, i%units, i/units)) = 0
				}
			}
			PackGates(gates.Mat, x.Mat, n, units)
			requireSame(t, before, gates.all, "n=%d units=%d %s: packed", n, units, p.name)
			requireSame(t, want, x.all, "n=%d units=%d %s: src was written", n, units, p.name)
			requireFPState(t, "PackGates")
		}
		for units := range 71 {
			check(3, units, units%3, beforeGuard)
			check(2, units, 0, afterGuard)
			check(1, units, 7, at(units%16))
			if emulated && units > 36 {
				break
			}
		}
		check(2, maxWork+37, 0, at(3))
		m, x := Mat{make([]float32, 3*128), 128}, Mat{make([]float32, 3*80), 80}
		require.Zero(t, testing.AllocsPerRun(10, func() {
			UnpackGates(x, m, 3, 20)
			PackGates(m, x, 3, 20)
		}))
		for message, f := range map[string]func(){
			"kernels: UnpackGates: len(dst.Data) = 239, want 3 rows of 80 columns at stride 80":   func() { UnpackGates(Mat{x.Data[:239], 80}, m, 3, 20) },
			"kernels: UnpackGates: gates.Stride = 127, want at least 128 columns":                 func() { UnpackGates(x, Mat{m.Data, 127}, 3, 20) },
			"kernels: UnpackGates: n = -1, want at least 0":                                       func() { UnpackGates(x, m, -1, 20) },
			"kernels: PackGates: len(gates.Data) = 383, want 3 rows of 128 columns at stride 128": func() { PackGates(Mat{m.Data[:383], 128}, x, 3, 20) },
			"kernels: PackGates: src.Stride = 79, want at least 80 columns":                       func() { PackGates(m, Mat{x.Data, 79}, 3, 20) },
			"kernels: PackGates: units = -1, want at least 0":                                     func() { PackGates(m, x, 3, -1) },

			fmt.Sprintf("kernels: UnpackGates: units = %d, want a size that fits in memory", huge): func() { UnpackGates(x, m, 1, huge) },
		} {
			require.PanicsWithValue(t, message, f)
		}
	})
}

// TestHalves: the halves of a peephole LSTM are the whole, bit for bit.
func TestHalves(t *testing.T) {
	const units, n = 37, 5
	forEachISA(t, func(t *testing.T, _ ISA) {
		r := newRand(22)
		p := random(r, 3*48)
		mat := func(cols int) Mat { return Mat{random(r, n*(cols+3)), cols + 3} }
		clone := func(m Mat) Mat { return Mat{slices.Clone(m.Data), m.Stride} }
		h, c, gates, cPrev := mat(units), mat(units), mat(4*48), mat(units)
		h1, c1, gates1 := clone(h), clone(c), clone(gates)
		LSTMPeepholeForwardTrain(h, c, gates, cPrev, p, n, units)
		LSTMCellForward(c1, gates1, cPrev, p, n, units)
		LSTMOutputForward(h1, gates1, c1, c1, p, n, units)
		for _, m := range [][2]Mat{{h, h1}, {c, c1}, {gates, gates1}} {
			requireSame(t, m[0].Data, m[1].Data, "forward")
		}

		// Without peepholes: only then is the sum of the gradients of c the same.
		clear(p)
		dc, dh, dcNorm := mat(units), mat(units), mat(units)
		dc1 := clone(dc)
		for b := range n { // dc + dh*u is fused there
			clear(dc.row(b, units))
			clear(dc1.row(b, units))
		}
		LSTMPeepholeBackward(gates, dc, dh, h, c, cPrev, p, n, units)
		LSTMOutputBackward(gates1, dcNorm, dc1, dh, h1, p, n, units)
		for b := range n {
			Add(dc1.row(b, units), dc1.row(b, units), dcNorm.row(b, units))
		}
		LSTMCellBackward(gates1, dc1, cPrev, p, n, units)
		if isa, _ := Active(); isa != Generic { // which rounds between the halves only
			requireSame(t, gates.Data, gates1.Data, "gates")
			requireSame(t, dc.Data, dc1.Data, "dc")
		}
	})
}

// TestActivationULP samples all float32, or takes every one of them: most of the
// time is that of the portable path. Package math is off by less than 2^-50 of the
// result (asm/minimax has a test of that), hence ulps by less than 2^-26.
func TestActivationULP(t *testing.T) {
	step := uint64(pick(3001, 30011, 2000003)) // odd, so that all mantissas come
	if long {
		step = 1
	}
	for _, k := range []struct {
		name string
		f    func(dst, src []float32)
		ref  func(float64) float64
	}{{"Tanh", Tanh, quickTanh}, {"Sigmoid", Sigmoid, quickSigmoid}, {"Exp", Exp, quickExp}} {
		t.Run(k.name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, _ ISA) {
				worst, at := worstULP(k.f, k.ref, step)
				t.Logf("%.4f ulp at %g", worst, at)
				if !(worst <= 2) {
					t.Fatalf("%s(%g): %g ulp, want at most 2", k.name, at, worst)
				}
			})
		})
	}
}

// Of nine inputs in ten a function is 0, 1 or infinite, or the first terms of its
// series say as much as package math, in a tenth of the time.

func quickTanh(x float64) float64 {
	switch a := math.Abs(x); {
	case a < 0x1p-13:
		return x - x*x*x/3
	case a > 20:
		return math.Copysign(1, x)
	}
	return math.Tanh(x)
}

func quickSigmoid(x float64) float64 {
	switch {
	case math.Abs(x) < 0x1p-18:
		return 0.5 + x/4
	case x > 40:
		return 1
	case x < -104: // far below 2^-126, where ulps tells no results apart
		return 0
	}
	return sigm(x)
}

func quickExp(x float64) float64 {
	switch {
	case math.Abs(x) < 0x1p-18:
		return 1 + (x + x*x/2)
	case x > 104:
		return math.Inf(1)
	case x < -104:
		return 0
	}
	return math.Exp(x)
}

// TestQuick compares these with package math, at their ends too.
func TestQuick(t *testing.T) {
	for _, k := range []struct {
		name       string
		quick, ref func(float64) float64
	}{{"tanh", quickTanh, math.Tanh}, {"sigmoid", quickSigmoid, sigm}, {"exp", quickExp, math.Exp}} {
		check := func(x float64) {
			want, got := k.ref(x), k.quick(x)
			ok := math.Abs(got-want) <= 0x1p-50*math.Abs(want) || got == 0 && want < 0x1p-149 || got > math.MaxFloat32 && want > math.MaxFloat32
			require.True(t, ok, "%s(%g) = %g, want %g", k.name, x, got, want)
		}
		for b := uint64(0); b < 1<<32; b += uint64(pick(30011, 300007, 3000017)) {
			if x := float64(math.Float32frombits(uint32(b))); x == x {
				check(x)
			}
		}
		for _, end := range []float64{0x1p-13, 0x1p-18, 20, 40, 104} {
			for _, x := range []float64{end, -end} {
				check(x)
				check(math.Nextafter(x, 0))
				check(math.Nextafter(x, 2*x))
			}
		}
	}
}

// worstULP returns the largest error of f in ulp, and where it is, among the
// floats whose bits are a multiple of step; at least 0.5, which rounding makes. NaN
// and subnormal inputs are left out. All processors share the work.
func worstULP(f func(dst, src []float32), ref func(float64) float64, step uint64) (worst float64, at float32) {
	const chunk = 4096 // inputs of one call
	var (
		next atomic.Uint64 // chunk that nobody has taken
		mu   sync.Mutex
		wg   sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			src, dst := make([]float32, 0, chunk), make([]float32, chunk)
			most, where := 0.5, float32(0)
			for b := (next.Add(1) - 1) * chunk * step; b < 1<<32; b = (next.Add(1) - 1) * chunk * step {
				src = src[:0]
				for end := min(b+chunk*step, 1<<32); b < end; b += step {
					if x := math.Float32frombits(uint32(b)); x == flush(x) {
						src = append(src, x)
					}
				}
				f(dst[:len(src)], src)
				for i, x := range src {
					want := ref(float64(x))
					if dst[i] == float32(want) { // there is nothing nearer
						continue
					}
					if u := ulps(dst[i], want); u > most {
						most, where = u, x
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if most > worst {
				worst, at = most, where
			}
		})
	}
	wg.Wait()
	return worst, at
}

// ulps is the distance of got from want in units of want's last place; of a NaN
// it is +Inf. Results below 2^-126 may be zero. Infinities stand for the power
// of two that comes after the largest float32.
func ulps(got float32, want float64) float64 {
	g, a := float64(got), math.Abs(want)
	if !(a <= math.MaxFloat32 && math.Abs(g) <= math.MaxFloat32) {
		g = min(max(g, -0x1p128), 0x1p128)
		want = min(max(want, -0x1p128), 0x1p128)
		a = min(a, math.MaxFloat32)
	}
	if a < 0x1p-126 {
		if got == 0 {
			return 0
		}
		a = 0x1p-126
	}
	const bias, mantissa = 1023, 52
	exponent := math.Float64bits(a) >> mantissa
	if d := math.Abs(g-want) * math.Float64frombits((2*bias+23-exponent)<<mantissa); d == d {
		return d
	}
	return math.Inf(1)
}

func TestULPs(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		got        float32
		want, ulps float64
	}{
		{1, 1, 0},
		{1, 1 + 0x1p-24, 0.5},
		{1, 1 - 0x1p-24, 1}, // a new binade
		{-3, -3 - 0x1p-22, 1},
		{0, 0x1p-127, 0},
		{0x1p-126, 0x1p-127, 1 << 22},
		{math.MaxFloat32, 0x1p128, 1},
		{float32(inf), math.MaxFloat32, 1},
		{float32(inf), 1e300, 0},
		{float32(inf), inf, 0},
		{float32(-inf), inf, 1 << 25},
		{float32(math.NaN()), inf, inf},
		{0, math.NaN(), inf},
	} {
		require.Equal(t, c.ulps, ulps(c.got, c.want), "%g for %g", c.got, c.want)
	}
}

// TestActivationExact checks what must hold exactly.
func TestActivationExact(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		apply := func(f func(dst, src []float32), x float32) float32 {
			var dst, src [1]float32
			src[0] = x
			f(dst[:], src[:])
			return dst[0]
		}
		bits := func(x float32) uint32 { return math.Float32bits(x) }
		inf := float32(math.Inf(1))
		for _, x := range []float32{0, 0x1p-149, 0x1p-127, 0x1p-126, 1e-30, 1e-10, 0.3, 1, 2.2, 5, 9, 9.02, 10, 1e10, inf} {
			y := apply(Tanh, x)
			require.Equal(t, bits(-y), bits(apply(Tanh, -x)), "tanh is odd at %g", x)
			require.LessOrEqual(t, y, float32(1))
			if x < 1e-4 {
				require.Equal(t, bits(flush(x)), bits(y), "tanh(%g)", x)
			}
			if x >= 9.02 {
				require.Equal(t, float32(1), y, "tanh(%g)", x)
			}
		}
		for x, want := range map[float32]float32{0: 0.5, 0x1p-149: 0.5, 20: 1, 100: 1, inf: 1, -inf: 0, -100: 0, -88: 0, -1e30: 0} {
			require.Equal(t, bits(want), bits(apply(Sigmoid, x)), "sigmoid(%g)", x)
		}
		nan := float32(math.NaN())
		require.True(t, isNaN(apply(Tanh, nan)))
		require.True(t, isNaN(apply(Sigmoid, nan)))
	})
}

// TestFused: SIMD rounds once.
func TestFused(t *testing.T) {
	for _, isa := range simd() {
		onISA(isa, func() {
			r := newRand(10)
			x, y := random(r, 999), random(r, 999)
			want := make([]float32, len(x))
			for i := range x {
				want[i] = fmaRef(alpha, x[i], y[i])
			}
			Axpy(y, alpha, x)
			requireSame(t, want, y, "%v", isa)
			z := random(r, len(x))
			for i := range x {
				want[i] = fmaRef(x[i], y[i], z[i])
			}
			MulAdd(rowMat(z), rowMat(x), rowMat(y), 1, len(x))
			requireSame(t, want, z, "%v", isa)
		})
	}
	skipWithoutSIMD(t)
}

// TestAddRows compares AddRows and AddRowProducts with the documented order.
func TestAddRows(t *testing.T) {
	r := newRand(11)
	forEachISA(t, func(t *testing.T, isa ISA) {
		check := func(n, cols, gap int, p place) {
			t.Helper()
			a, x := p.make(t, n, cols, cols+gap), p.make(t, n, cols, cols+gap)
			dst := p.make(t, 1, cols, cols)
			for _, v := range []view{a, x, dst} {
				defer p.release(v)
				copy(v.all, filled(len(v.all), canary))
			}
			for b := range n {
				copy(a.row(b, cols), random(r, cols))
				copy(x.row(b, cols), random(r, cols))
			}
			for _, products := range []bool{false, true} {
				copy(dst.Data, random(r, cols))
				want := slices.Clone(dst.all)
				for j := 0; j < cols && n > 0; j++ {
					var sum float32
					for b0 := 0; b0 < n; b0 += 256 {
						var chain float32
						for b := b0; b < min(b0+256, n); b++ {
							switch v := *a.at(b, j); {
							case !products:
								chain += v
							case isa == Generic:
								chain = float32(float64(float64(v)*float64(*x.at(b, j))) + float64(chain))
							default:
								chain = fmaRef(v, *x.at(b, j), chain)
							}
						}
						if b0 == 0 {
							sum = chain
						} else {
							sum += chain
						}
					}
					want[dst.start+j] += sum
				}
				wantA, wantX := slices.Clone(a.all), slices.Clone(x.all)
				if products {
					AddRowProducts(dst.Data, a.Mat, x.Mat, n)
				} else {
					AddRows(dst.Data, a.Mat, n)
				}
				requireSame(t, want, dst.all, "n=%d cols=%d gap=%d %s products=%v", n, cols, gap, p.name, products)
				requireSame(t, wantA, a.all, "a was written")
				requireSame(t, wantX, x.all, "b was written")
				requireFPState(t, "AddRows")
			}
		}
		for cols := range 71 {
			check(3, cols, cols%3, beforeGuard)
			check(5, cols, 0, afterGuard)
			check(1, cols, 7, at(cols%16))
		}
		for _, n := range []int{0, 1, 2, 33, 255, 256, 257, 511, 512, 513, 700} {
			check(n, pick(150, 150, 19), 1, at(1))
			check(n, 17, 0, beforeGuard)
		}
		dst, a := make([]float32, 100), Mat{make([]float32, 1000), 100}
		require.Zero(t, testing.AllocsPerRun(10, func() {
			AddRows(dst, a, 10)
			AddRowProducts(dst, a, a, 10)
		}))
		short, narrow := Mat{a.Data[:999], 100}, Mat{a.Data, 99}
		for message, f := range map[string]func(){
			"kernels: AddRows: len(a.Data) = 999, want 10 rows of 100 columns at stride 100":        func() { AddRows(dst, short, 10) },
			"kernels: AddRows: a.Stride = 99, want at least 100 columns":                            func() { AddRows(dst, narrow, 10) },
			"kernels: AddRows: n = -1, want at least 0":                                             func() { AddRows(dst, a, -1) },
			"kernels: AddRowProducts: len(a.Data) = 999, want 10 rows of 100 columns at stride 100": func() { AddRowProducts(dst, short, a, 10) },
			"kernels: AddRowProducts: b.Stride = 99, want at least 100 columns":                     func() { AddRowProducts(dst, a, narrow, 10) },
			"kernels: AddRowProducts: n = -1, want at least 0":                                      func() { AddRowProducts(dst, a, a, -1) },
		} {
			require.PanicsWithValue(t, message, f)
		}
	})
}

// TestPeepholes: all rows look at the cell through the same peepholes, and the
// gradient of these has the documented order.
func TestPeepholes(t *testing.T) {
	forEachISA(t, func(t *testing.T, isa ISA) {
		const units, width = 37, 3 * 48
		r := newRand(21)
		p := random(r, width)
		mat := func(rows, cols int) Mat { return Mat{random(r, rows*(cols+3)), cols + 3} }
		one := func(m Mat, b int) Mat { return m.from(b, 0) }
		const n = 5
		h, c, gates, cPrev, dc, dh := mat(n, units), mat(n, units), mat(n, 4*48), mat(n, units), mat(n, units), mat(n, units)
		h1, c1, gates1, dc1 := mat(n, units), mat(n, units), Mat{slices.Clone(gates.Data), gates.Stride}, Mat{slices.Clone(dc.Data), dc.Stride}
		LSTMPeepholeForwardTrain(h, c, gates, cPrev, p, n, units)
		LSTMPeepholeBackward(gates, dc, dh, h, c, cPrev, p, n, units)
		for b := range n {
			LSTMPeepholeForwardTrain(one(h1, b), one(c1, b), one(gates1, b), one(cPrev, b), p, 1, units)
			LSTMPeepholeBackward(one(gates1, b), one(dc1, b), one(dh, b), one(h1, b), one(c1, b), one(cPrev, b), p, 1, units)
			requireSame(t, h.row(b, units), h1.row(b, units), "h")
			requireSame(t, c.row(b, units), c1.row(b, units), "c")
			requireSame(t, dc.row(b, units), dc1.row(b, units), "dc")
		}
		requireSame(t, gates.Data, gates1.Data, "gates")

		for _, n := range pick([]int{0, 1, 2, 256, 257, 700}, []int{0, 1, 300}, []int{0, 1, 258}) {
			gates, c, cPrev := mat(n, 4*48), mat(n, units), mat(n, units)
			dp := filled(width, canary)
			want := slices.Clone(dp)
			for q, gate := range []int{0, 1, 3} {
				for u := range units {
					i := PackedIndex(3, u, q)
					dp[i] = uniform(r, -1, 1)
					want[i] = dp[i]
					var sum float32
					for b0 := 0; b0 < n; b0 += 256 {
						var chain float32
						for b := b0; b < min(b0+256, n); b++ {
							x, y := *gates.at(b, PackedIndex(4, u, gate)), *cPrev.at(b, u)
							if gate == 3 {
								y = *c.at(b, u)
							}
							if isa == Generic {
								chain = float32(float64(float64(x)*float64(y)) + float64(chain))
							} else {
								chain = fmaRef(x, y, chain)
							}
						}
						if b0 == 0 {
							sum = chain
						} else {
							sum += chain
						}
					}
					if n > 0 {
						want[i] += sum
					}
				}
			}
			LSTMPeepholeGrad(dp, gates, c, cPrev, n, units)
			requireSame(t, want, dp, "n=%d", n)
			requireFPState(t, "LSTMPeepholeGrad")
			require.Zero(t, testing.AllocsPerRun(5, func() { LSTMPeepholeGrad(dp, gates, c, cPrev, n, units) }))
		}
	})
	p, m := make([]float32, 48), Mat{make([]float32, 64), 64}
	require.PanicsWithValue(t, "kernels: LSTMPeepholeForward: len(p) = 47, want 48", func() { LSTMPeepholeForward(m, m, m, m, p[:47], 1, 5) })
	require.PanicsWithValue(t, "kernels: LSTMPeepholeGrad: len(dp) = 47, want 48", func() { LSTMPeepholeGrad(p[:47], m, m, m, 1, 5) })
}
