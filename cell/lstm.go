package cell

import "github.com/simdrnn/simdrnn/kernels"

// LSTM is the long short-term memory of Hochreiter and Schmidhuber with the
// forget gate of Gers:
//
//	a = W_ih·x + b_ih + W_hh·hPrev + b_hh
//	i, f, g, o = σ(a_i), σ(a_f), tanh(a_g), σ(a_o)
//	c = f*cPrev + i*g
//	h = o*tanh(c)
//
// or with projection h = W_hr·(o*tanh(c)).
type LSTM struct{}

// Gates returns 4: i, f, g, o.
func (LSTM) Gates() int { return 4 }

// HasC returns true.
func (LSTM) HasC() bool { return true }

// PackBias sets dst = bih + bhh in packed order.
func (LSTM) PackBias(dst, bih, bhh []float32, units int) {
	kernels.PackBias(dst, bih, bhh, 4, units)
}

// PackBiasH returns false.
func (LSTM) PackBiasH(_, _ []float32, _ int) bool { return false }

// Forward computes
//
//	a = x part + W_hh·hPrev
//	c = σ(a_f)*cPrev + σ(a_i)*tanh(a_g)
//	h = σ(a_o)*tanh(c)
//
// or with projection m = σ(a_o)*tanh(c), h = W_hr·m. A single row takes one call of
// assembly, apart from the projection.
func (LSTM) Forward(s *Step) {
	if s.Rows == 1 {
		seq := s.seq()
		kernels.LSTMSteps(&seq)
		return
	}
	s.gates()
	kernels.LSTMForward(s.m(), s.C, s.Gates, s.CPrev, s.Rows, s.Units)
	s.project()
}

// ForwardTrain is Forward and leaves i,f,g,o in Gates.
func (LSTM) ForwardTrain(s *Step) {
	kernels.GemmAdd(s.Gates, s.HPrev, s.Rows, s.W)
	kernels.LSTMForwardTrain(s.m(), s.C, s.Gates, s.CPrev, s.Rows, s.Units)
	s.project()
}

// Backward computes
//
//	dc += dh*o*(1-tanh(c)²)
//	dGates = dc*g*i*(1-i), dc*cPrev*f*(1-f), dc*i*(1-g²), dh*h*(1-o)
//	dc *= f
//	dhPrev += dGates·W_hh
//
// with projection for m in place of h, dm = dh·W_hr. The gradient of W_hr, dhᵀ·m,
// is the caller's.
func (LSTM) Backward(s *Step) {
	dm := s.DH
	if s.WR != nil {
		dm = s.DM
		kernels.Gemm(dm, s.DH, s.Rows, s.WRT, nil)
	}
	kernels.LSTMBackward(s.Gates, s.DC, dm, s.m(), s.C, s.CPrev, s.Rows, s.Units)
	kernels.GemmAdd(s.DHPrev, s.Gates, s.Rows, s.WT)
}
