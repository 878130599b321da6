package cell

import "github.com/simdrnn/simdrnn/kernels"

// LSTM is the long short-term memory of Hochreiter and Schmidhuber with the
// forget gate of Gers:
//
//	a = W_ih·x + b_ih + W_hh·hPrev + b_hh
//	i, f, g, o = σ(a_i), σ(a_f), tanh(a_g), σ(a_o)
//	c = f*cPrev + i*g
//	m = o*tanh(c)
//	h = m, or with a projection W_hr·m
type LSTM struct{}

// Gates returns 4: i, f, g, o.
func (LSTM) Gates() int { return 4 }

// HasC returns true.
func (LSTM) HasC() bool { return true }

// HasGatesH returns false.
func (LSTM) HasGatesH() bool { return false }

// PackBias sets x = bih + bhh in packed order.
func (LSTM) PackBias(x, _, bih, bhh []float32, units int) {
	kernels.PackBias(x, bih, bhh, 4, units)
}

// Forward computes
//
//	a = x part + W_hh·hPrev
//	c = σ(a_f)*cPrev + σ(a_i)*tanh(a_g)
//	m = σ(a_o)*tanh(c)
//	h = m, or with a projection W_hr·m
//
// A single row takes one call of assembly, apart from the projection.
func (LSTM) Forward(s *Step) {
	if s.whole() {
		seq := s.seq()
		kernels.LSTMSteps(&seq)
		return
	}
	s.gates()
	kernels.LSTMForward(s.m(), s.C, s.Gates, s.CPrev, s.Rows, s.Units)
	s.project()
}

// Steps is [kernels.LSTMSteps], or with train [kernels.LSTMStepsTrain].
func (LSTM) Steps(s *kernels.Seq, train bool) {
	if train {
		kernels.LSTMStepsTrain(s)
	} else {
		kernels.LSTMSteps(s)
	}
}

// NewStep is [kernels.NewLSTMStep].
func (LSTM) NewStep(s kernels.Seq) *kernels.Step { return kernels.NewLSTMStep(s) }

// ForwardTrain is Forward and leaves i,f,g,o in Gates and m in M.
func (LSTM) ForwardTrain(s *Step) {
	s.gates()
	kernels.LSTMForwardTrain(s.m(), s.C, s.Gates, s.CPrev, s.Rows, s.Units)
	s.project()
}

// Backward computes
//
//	dm = dh, or with a projection W_hrᵀ·dh
//	dc += dm*o*(1-tanh(c)²)
//	dGates = dc*g*i*(1-i), dc*cPrev*f*(1-f), dc*i*(1-g²), dm*m*(1-o)
//	dc *= f
//	dhPrev += dGates·W_hh
//
// The gradient of W_hr, dhᵀ·m, is the caller's.
func (LSTM) Backward(s *Step) {
	dm := s.DH
	if s.WR != nil {
		dm = s.DM
		kernels.Gemm(dm, s.DH, s.Rows, s.WRT, nil)
	}
	kernels.LSTMBackward(s.Gates, s.DC, dm, s.m(), s.C, s.CPrev, s.Rows, s.Units)
	s.addHPrev(s.Gates)
}
