package cell

import "github.com/simdrnn/simdrnn/kernels"

// GRU is the gated recurrent unit of Cho et al. 2014 in the form that resets
// after the product:
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

// HasGatesH returns true: r multiplies the h part of n alone.
func (GRU) HasGatesH() bool { return true }

// PackBias sets x = bih + bhh for r and z and bih for n, and h = 0 for r and z and
// bhh for n.
func (GRU) PackBias(x, h, bih, bhh []float32, units int) {
	kernels.PackBias(x, bih, bhh, 3, units)
	kernels.PackBias(h, bhh, nil, 3, units)
	for u := range units {
		for g := range 3 {
			if i := kernels.PackedIndex(3, u, g); g < 2 {
				h[i] = 0
			} else if bih != nil {
				x[i] = bih[g*units+u]
			} else {
				x[i] = 0
			}
		}
	}
}

// Forward computes
//
//	gx = x part
//	gh = W_hh·hPrev + the bias of the h part
//	r, z = σ(gx_r + gh_r), σ(gx_z + gh_z)
//	n = tanh(gx_n + r*gh_n)
//	h = n + z*(hPrev - n)
//
// A single row takes one call of assembly.
func (GRU) Forward(s *Step) {
	if s.whole() {
		seq := s.seq()
		kernels.GRUSteps(&seq)
		return
	}
	if s.WX != nil {
		kernels.Gemm(s.Gates, s.X, s.Rows, s.WX, s.Bias)
	}
	kernels.Gemm(s.GatesH, s.hIn(), s.Rows, s.W, s.BiasH)
	kernels.GRUForward(s.H, s.Gates, s.GatesH, s.own(), s.Rows, s.Units)
}

// Steps is [kernels.GRUSteps], or with train [kernels.GRUStepsTrain].
func (GRU) Steps(s *kernels.Seq, train bool) {
	if train {
		kernels.GRUStepsTrain(s)
	} else {
		kernels.GRUSteps(s)
	}
}

// NewStep is [kernels.NewGRUStep].
func (GRU) NewStep(s kernels.Seq) *kernels.Step { return kernels.NewGRUStep(s) }

// ForwardTrain is Forward and leaves r,z,n in Gates and gh_n in GatesH.
func (GRU) ForwardTrain(s *Step) {
	kernels.Gemm(s.GatesH, s.hIn(), s.Rows, s.W, s.BiasH)
	kernels.GRUForwardTrain(s.H, s.Gates, s.GatesH, s.own(), s.Rows, s.Units)
}

// Backward computes
//
//	dn = dh*(1-z)*(1-n²);  dz = dh*(hPrev-n)*z*(1-z);  dr = dn*gh_n*r*(1-r)
//	dGates = dr, dz, dn;   dGatesH = dr, dz, dn*r
//	dhPrev = fma(dh, z, dhPrev + dGatesH·W_hh)
func (GRU) Backward(s *Step) {
	kernels.GRUBackward(s.Gates, s.GatesH, s.DM, s.DH, s.own(), s.Rows, s.Units)
	s.addHPrev(s.GatesH)
	kernels.MulAdd(s.DHPrev, s.DH, s.DM, s.Rows, s.Units)
}
