// Package cell holds the cells of recurrent networks: one time step of a batch,
// forward and backward, on memory that the caller owns. A layer is a scan of a
// cell over time.
//
// The pre-activations of a step, its gates, are the sum of two parts:
//
//	x part = W_ih·x + b_ih + b_hh      no recurrence: one product for all steps
//	h part = W_hh·hPrev                one product a step
//
// The caller computes the x part, a cell the rest. Gates are in packed order
// (see [kernels.PackedIndex]), PyTorch's i,f,g,o for LSTM and r,z,n for GRU, whose
// n wants the two parts apart: its x part has b_in alone, and its h part b_hn.
// Backward turns the gates of a step into dGates, the gradients of the
// pre-activations, from which the caller computes those of x and of the weights,
// again for all steps in one product:
//
//	dx = dGates·W_ih;  dW_ih = dGatesᵀ·x;  dW_hh = dGatesᵀ·hPrev;  db = Σ dGates
//
// A GRU has gradients of the h part of their own, dGatesH, for W_hh and b_hh.
//
// Functions never allocate. They panic, through the kernels, if a matrix is too
// small.
package cell

import "github.com/simdrnn/simdrnn/kernels"

// A Cell is a kind of cell: RNN, LSTM or GRU. It has no weights and no state; both
// are in the Step that its methods work on.
type Cell interface {
	// Gates returns the number G of gates: W_ih is [G*H, I], W_hh is [G*H, H].
	Gates() int

	// HasC says whether the state has a c beside h.
	HasC() bool

	// PackBias sets dst, in packed order, to the bias of the x part.
	// bih and bhh are [G*H] with H = units, or nil for zeros.
	PackBias(dst, bih, bhh []float32, units int)

	// PackBiasH sets dst, in packed order, to the bias of the h part, and says
	// whether there is one: if not, dst may be nil.
	PackBiasH(dst, bhh []float32, units int) bool

	// Forward computes H and C from the x part, HPrev and CPrev. The x part is
	// in Gates, or computed from X if there is a WX. It leaves Gates and GatesH
	// unspecified.
	Forward(s *Step)

	// ForwardTrain is Forward with the x part in Gates, with the same bits, and
	// leaves in Gates and GatesH what Backward needs.
	ForwardTrain(s *Step)

	// Backward takes the step as ForwardTrain left it, the gradient DH of H,
	// and in DC the gradient of C as far as it comes from later steps. It
	// leaves dGates in Gates, dGatesH in GatesH, and the gradient of CPrev in DC,
	// and adds that of HPrev to DHPrev:
	//
	//	DHPrev = DHPrev + dGates·W_hh      GRU: fma(DH, z, DHPrev + dGatesH·W_hh)
	Backward(s *Step)
}

// A Step is one time step of Rows sequences. Plain matrices are [Rows, Units].
// The matrices of a cell without c, and those of a pass that does not run, may
// be empty.
type Step struct {
	Rows, Units int

	X    kernels.Mat     // [Rows, WX.K()]
	WX   *kernels.Panels // W_ih: G gates, Units units; nil if the x part is in Gates
	Bias []float32       // of the x part, in packed order, or nil; for WX

	W     *kernels.Panels // W_hh: G gates, Units units, inputs as H has columns
	BiasH []float32       // of the h part, in packed order, or nil; GRU only
	WT    *kernels.Panels // W_hh transposed: 1 gate, W.K() units, inputs in packed order; for Backward

	// An LSTM with projection, h = W_hr·m of m = o*tanh(c). H, HPrev, DH and
	// DHPrev have WR.Units() columns then.
	WR    *kernels.Panels // W_hr: 1 gate, Units inputs; nil without projection
	WRT   *kernels.Panels // W_hr transposed: 1 gate, Units units; for Backward
	M, DM kernels.Mat     // m, and scratch of Backward for its gradient

	Gates        kernels.Mat // [Rows, W.Width()], packed
	GatesH       kernels.Mat // [Rows, W.Width()], packed: scratch, or what Backward needs; GRU only
	HPrev, CPrev kernels.Mat // state before the step
	H, C         kernels.Mat // state after it; C may be CPrev, in Forward H may be HPrev

	DH, DHPrev kernels.Mat // gradients of H and HPrev
	DC         kernels.Mat // gradient of C, then of CPrev
	Z          kernels.Mat // scratch of Backward; GRU only
}

// gates completes Gates: the x part, if there is a WX, and the h part.
func (s *Step) gates() {
	if s.WX != nil {
		kernels.Gemm(s.Gates, s.X, s.Rows, s.WX, s.Bias)
	}
	kernels.GemmAdd(s.Gates, s.HPrev, s.Rows, s.W)
}

// seq returns a step of one row as a sequence.
func (s *Step) seq() kernels.Seq {
	return kernels.Seq{
		T: 1, H: s.H, C: s.C, H0: row(s.HPrev, s.W.K()), C0: row(s.CPrev, min(s.Units, len(s.CPrev.Data))),
		Gates: s.Gates, GatesH: s.GatesH, X: s.X, WIH: s.WX, BIH: s.Bias, WHH: s.W, BHH: s.BiasH, WHR: s.WR, M: s.M,
	}
}

// m returns M, or H without projection.
func (s *Step) m() kernels.Mat {
	if s.WR == nil {
		return s.H
	}
	return s.M
}

// project computes H from M, if there is a projection.
func (s *Step) project() {
	if s.WR != nil {
		kernels.Gemm(s.H, s.M, s.Rows, s.WR, nil)
	}
}

// row returns the one row of n columns of m.
func row(m kernels.Mat, n int) []float32 { return m.Data[:n] }
