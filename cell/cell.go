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

// A Cell is a kind of cell: RNN, LSTM, GRU or Variant. It has no weights and no state; both
// are in the Step that its methods work on.
type Cell interface {
	// Gates returns the number G of gates: W_ih is [G*H, I], W_hh is [G*H, H].
	Gates() int

	// HasC says whether the state has a c beside h.
	HasC() bool

	// HasGatesH says whether the h part stays apart from the x part, in GatesH.
	HasGatesH() bool

	// PackBias sets x and h, in packed order, to the biases of the x part and,
	// for a cell that HasGatesH, of the h part. bih and bhh are [G*H] with H =
	// units, or nil for zeros.
	PackBias(x, h, bih, bhh []float32, units int)

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

// A Stepper is a Cell that has kernels for many steps of one row: less time goes
// by between them.
type Stepper interface {
	Cell

	// Steps computes the steps of s, with the bits of Forward, or with train those
	// of ForwardTrain.
	Steps(s *kernels.Seq, train bool)

	// NewStep returns a step that Steps makes of s, ready to be made many times.
	NewStep(s kernels.Seq) *kernels.Step
}

// A Step is one time step of Rows sequences. Plain matrices are [Rows, Units].
// The matrices of a cell without c, and those of a pass that does not run, may
// be empty.
type Step struct {
	Rows, Units int

	// Isolated is that of kernels.Seq: no other steps are near.
	Isolated bool

	X    kernels.Mat     // [Rows, WX.K()]
	WX   *kernels.Panels // W_ih: G gates, Units units; nil if the x part is in Gates
	Bias []float32       // of the x part, in packed order, or nil; for WX

	// W_hh: G gates, Units units, Ho inputs; and for Backward transposed: 1 gate,
	// Ho units, inputs in packed order. A scan that takes their Reversed views in
	// every second step finds more of them in the cache.
	W, WT *kernels.Panels

	// A step may be a part of one that several goroutines share: Units of its
	// units, First on. Its weights and matrices are those of these units, but
	// HPrev is that of all, W.K(), which W multiplies. Backward, which comes to
	// their part of DHPrev through the dGates of all units, takes these (of the h
	// part) from Gather: it waits for the others, and returns nothing if all are
	// zero.
	First  int
	Gather func() kernels.Mat

	Gates        kernels.Mat // [Rows, W.Width()], packed
	HPrev, CPrev kernels.Mat // state before the step
	H, C         kernels.Mat // state after it; C may be CPrev, in Forward H may be HPrev

	DH, DHPrev kernels.Mat // gradients of H and HPrev
	DC         kernels.Mat // gradient of C, then of CPrev

	// With variational dropout W_hh multiplies HMask * HPrev instead of HPrev.
	HMask kernels.Mat // [Rows, Ho], or nothing
	HDrop kernels.Mat // scratch like HPrev; with HMask

	// For a Variant. With a Norm, Saved is what ForwardTrain keeps for Backward,
	// [Rows, Variant.Saved(Units)]; Kept [Rows, Units] and Wide [Rows, 4*Units] are
	// scratch.
	Variant, DVariant *VariantParams
	Saved, Kept, Wide kernels.Mat

	// For a cell that HasGatesH.
	GatesH kernels.Mat // the h part, [Rows, W.Width()], packed
	BiasH  []float32   // of the h part, in packed order, or nil

	// With a projection h = W_hr·m, H and HPrev have the Ho = P columns of h.
	WR  *kernels.Panels // W_hr: 1 gate, Ho units, Units inputs; nil without projection
	WRT *kernels.Panels // W_hr transposed: 1 gate, Units units, Ho inputs; for Backward
	M   kernels.Mat     // m; with WR

	DM kernels.Mat // [Rows, Units], scratch for Backward
}

// gates completes Gates: the x part, if there is a WX, and the h part.
func (s *Step) gates() {
	if s.WX != nil {
		kernels.Gemm(s.Gates, s.X, s.Rows, s.WX, s.Bias)
	}
	kernels.GemmAdd(s.Gates, s.hIn(), s.Rows, s.W)
}

// hIn returns what W_hh multiplies.
func (s *Step) hIn() kernels.Mat {
	if s.HMask.Data == nil {
		return s.HPrev
	}
	n := s.W.K()
	for b := range s.Rows {
		d := s.HDrop.Data[b*s.HDrop.Stride:][:n]
		kernels.Mul(d, s.HPrev.Data[b*s.HPrev.Stride:][:n], s.HMask.Data[b*s.HMask.Stride:][:n])
	}
	return s.HDrop
}

// whole says whether the step is one that kernels compute as a whole: of all units,
// as it is, and one row, or an isolated one of rows that are neighbours.
func (s *Step) whole() bool {
	if s.HMask.Data != nil || s.WR == nil && s.Units != s.W.K() {
		return false
	}
	return s.Rows == 1 || s.Isolated && s.HPrev.Stride == s.W.K() && (len(s.CPrev.Data) == 0 || s.CPrev.Stride == s.Units)
}

// own returns HPrev of the step's own units.
func (s *Step) own() kernels.Mat {
	return kernels.Mat{Data: s.HPrev.Data[s.First:], Stride: s.HPrev.Stride}
}

// addHPrev adds to DHPrev what comes through W_hh from dGates of the h part.
func (s *Step) addHPrev(dGates kernels.Mat) {
	if s.Gather != nil {
		if dGates = s.Gather(); dGates.Data == nil {
			return
		}
	}
	if s.HMask.Data == nil {
		kernels.GemmAdd(s.DHPrev, dGates, s.Rows, s.WT)
		return
	}
	kernels.Gemm(s.HDrop, dGates, s.Rows, s.WT, nil)
	n := s.W.K()
	for b := range s.Rows {
		d, dh := s.HDrop.Data[b*s.HDrop.Stride:][:n], s.DHPrev.Data[b*s.DHPrev.Stride:][:n]
		kernels.Mul(d, d, s.HMask.Data[b*s.HMask.Stride:][:n])
		kernels.Add(dh, dh, d)
	}
}

// m returns the matrix of m: M with a projection, H without.
func (s *Step) m() kernels.Mat {
	if s.WR != nil {
		return s.M
	}
	return s.H
}

// project computes h from m.
func (s *Step) project() {
	if s.WR != nil {
		kernels.Gemm(s.H, s.M, s.Rows, s.WR, nil)
	}
}

// seq returns a step that is whole as a sequence.
func (s *Step) seq() kernels.Seq {
	return kernels.Seq{
		T: 1, Rows: s.Rows, Isolated: s.Isolated,
		H: s.H, C: s.C, H0: s.HPrev.Data[:s.Rows*s.W.K()], C0: s.CPrev.Data[:min(s.Rows*s.Units, len(s.CPrev.Data))],
		Gates: s.Gates, GatesH: s.GatesH, X: s.X, WIH: s.WX, BIH: s.Bias, WHH: s.W, BHH: s.BiasH, WHR: s.WR, M: s.M,
	}
}
