package cell

import "github.com/simdrnn/simdrnn/kernels"

// RNN is the cell of Elman:
//
//	h = act(W_ih·x + b_ih + W_hh·hPrev + b_hh)
//
// act is tanh, or max(0, ·) if ReLU.
type RNN struct{ ReLU bool }

// Gates returns 1.
func (RNN) Gates() int { return 1 }

// HasC returns false.
func (RNN) HasC() bool { return false }

// HasGatesH returns false.
func (RNN) HasGatesH() bool { return false }

// PackBias sets x = bih + bhh.
func (RNN) PackBias(x, _, bih, bhh []float32, units int) {
	kernels.PackBias(x, bih, bhh, 1, units)
}

// Forward computes
//
//	gates = x part + W_hh·hPrev
//	h = act(gates)
//
// A single row takes one call of assembly.
func (c RNN) Forward(s *Step) {
	if s.whole() {
		seq := s.seq()
		c.Steps(&seq, false)
		return
	}
	s.gates()
	if c.ReLU {
		kernels.RNNReLUForward(s.H, s.Gates, s.Rows, s.Units)
	} else {
		kernels.RNNTanhForward(s.H, s.Gates, s.Rows, s.Units)
	}
}

// Steps is [kernels.RNNTanhSteps] or [kernels.RNNReLUSteps], also in training.
func (c RNN) Steps(s *kernels.Seq, _ bool) {
	if c.ReLU {
		kernels.RNNReLUSteps(s)
	} else {
		kernels.RNNTanhSteps(s)
	}
}

// NewStep is [kernels.NewRNNTanhStep] or [kernels.NewRNNReLUStep].
func (c RNN) NewStep(s kernels.Seq) *kernels.Step {
	if c.ReLU {
		return kernels.NewRNNReLUStep(s)
	}
	return kernels.NewRNNTanhStep(s)
}

// ForwardTrain is Forward: Backward needs only h.
func (c RNN) ForwardTrain(s *Step) { c.Forward(s) }

// Backward computes
//
//	dGates = dh*(1-h²)      ReLU: dh where h > 0, else 0
//	dhPrev += dGates·W_hh
func (c RNN) Backward(s *Step) {
	if c.ReLU {
		kernels.RNNReLUBackward(s.Gates, s.DH, s.H, s.Rows, s.Units)
	} else {
		kernels.RNNTanhBackward(s.Gates, s.DH, s.H, s.Rows, s.Units)
	}
	s.addHPrev(s.Gates)
}
