package cell

import "github.com/simdrnn/simdrnn/kernels"

// GRU is the gated recurrent unit of Cho, with the reset gate after the product as
// in PyTorch:
//
//	r = σ(W_ir·x + b_ir + W_hr·hPrev + b_hr)
//	z = σ(W_iz·x + b_iz + W_hz·hPrev + b_hz)
//	n = tanh(W_in·x + b_in + r*(W_hn·hPrev + b_hn))
//	h = n + z*(hPrev - n)
type GRU struct{}

// Gates returns 3: r, z, n.
func (GRU) Gates() int { return 3 }

// HasC returns false.
func (GRU) HasC() bool { return false }

// PackBias sets dst = b_ir+b_hr, b_iz+b_hz, b_in in packed order.
func (GRU) PackBias(dst, bih, bhh []float32, units int) {
	kernels.PackBias(dst, bih, nil, 3, units)
	for i := range min(2*units, len(bhh)) { // r and z
		dst[kernels.PackedIndex(3, i%units, i/units)] += bhh[i]
	}
}

// PackBiasH sets dst = 0, 0, b_hn in packed order, and returns true.
func (GRU) PackBiasH(dst, bhh []float32, units int) bool {
	kernels.PackBias(dst, bhh, nil, 3, units)
	for i := range 2 * units {
		dst[kernels.PackedIndex(3, i%units, i/units)] = 0
	}
	return true
}

// Forward computes
//
//	q = W_hh·hPrev + b_h
//	r = σ(x part_r + q_r);  z = σ(x part_z + q_z)
//	n = tanh(x part_n + r*q_n)
//	h = n + z*(hPrev - n)
//
// A single row takes one call of assembly.
func (GRU) Forward(s *Step) {
	if s.Rows == 1 {
		seq := s.seq()
		kernels.GRUSteps(&seq)
		return
	}
	if s.WX != nil {
		kernels.Gemm(s.Gates, s.X, s.Rows, s.WX, s.Bias)
	}
	kernels.Gemm(s.GatesH, s.HPrev, s.Rows, s.W, s.BiasH)
	kernels.GRUForward(s.H, s.Gates, s.GatesH, s.HPrev, s.Rows, s.Units)
}

// ForwardTrain is Forward and leaves r,z,n in Gates, and q_n in GatesH.
func (GRU) ForwardTrain(s *Step) {
	kernels.Gemm(s.GatesH, s.HPrev, s.Rows, s.W, s.BiasH)
	kernels.GRUForwardTrain(s.H, s.Gates, s.GatesH, s.HPrev, s.Rows, s.Units)
}

// Backward computes
//
//	dn = dh*(1-z)*(1-n²);  dz = dh*(hPrev-n)*z*(1-z);  dr = dn*q_n*r*(1-r)
//	dGates = dr, dz, dn;   dGatesH = dr, dz, dn*r
//	dhPrev = fma(dh, z, dhPrev + dGatesH·W_hh)
func (GRU) Backward(s *Step) {
	kernels.GRUBackward(s.Gates, s.GatesH, s.Z, s.DH, s.HPrev, s.Rows, s.Units)
	kernels.GemmAdd(s.DHPrev, s.GatesH, s.Rows, s.WT)
	kernels.MulAdd(s.DHPrev, s.DH, s.Z, s.Rows, s.Units)
}
