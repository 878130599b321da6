package cell

import "github.com/simdrnn/simdrnn/kernels"

// A Norm says where an LSTM has layer norm.
type Norm uint8

const (
	NoNorm Norm = iota
	NormA       // of the gates' two parts and of c inside tanh; c is carried as it is
	NormB       // of the gates' two parts and of c, which is carried normalised
)

// Variant is an LSTM with layer norm LN, peephole weights P, or both:
//
//	a = LN(W_ih·x) + LN(W_hh·hPrev)     without Norm: as LSTM
//	i, f = σ(a_i + P_i*cPrev), σ(a_f + P_f*cPrev);  g = tanh(a_g)
//	s = f*cPrev + i*g
//	n = LN(s)                           without Norm: s
//	c = s                               NormB: n
//	o = σ(a_o + P_o*c)
//	m = o*tanh(n)
//	h = m, or with a projection W_hr·m
//
// with LN(v) = gain*(v-mean)/sqrt(var+1e-5) + shift, var being the biased variance
// over all elements of v, for gates those of all four together.
//
// Source: Ba, Kiros and Hinton 2016, "Layer Normalization", for NormA; the LSTM of
// PyTorch's fastrnns benchmark for NormB; Gers and Schmidhuber 2000, "Recurrent
// Nets that Time and Count", for the peepholes.
type Variant struct {
	Norm     Norm
	Peephole bool
}

// VariantParams are the parameters of a Variant beyond those of an LSTM, or sums of
// their gradients. Those that it does not have are empty.
type VariantParams struct {
	GainIH, GainHH []float32 // [4H], with Norm
	Shift          []float32 // [4H], with Norm: of both parts together
	GainC, ShiftC  []float32 // [H], with Norm
	Peephole       []float32 // of i, f, o, in packed order of three gates; zeros with Norm alone
}

// Zeros returns parameters of the same sizes that are zero.
func (p *VariantParams) Zeros() *VariantParams {
	zeros := func(x []float32) []float32 { return make([]float32, len(x)) }
	return &VariantParams{zeros(p.GainIH), zeros(p.GainHH), zeros(p.Shift), zeros(p.GainC), zeros(p.ShiftC), zeros(p.Peephole)}
}

// Clear sets all parameters to zero; p may be nil.
func (p *VariantParams) Clear() {
	if p != nil {
		for _, x := range [...][]float32{p.GainIH, p.GainHH, p.Shift, p.GainC, p.ShiftC, p.Peephole} {
			clear(x)
		}
	}
}

// normEps is PyTorch's.
const normEps = 1e-5

// Gates returns 4: i, f, g, o.
func (Variant) Gates() int { return 4 }

// HasC returns true.
func (Variant) HasC() bool { return true }

// HasGatesH says whether there is a Norm: it is of the two parts apart.
func (v Variant) HasGatesH() bool { return v.Norm != NoNorm }

// PackBias sets x = bih + bhh in packed order. With a Norm the biases are shifts,
// and no part has one.
func (v Variant) PackBias(x, _, bih, bhh []float32, units int) {
	kernels.PackBias(x, bih, bhh, 4, units)
}

// Saved returns the number of elements of a row of Step.Saved, whole registers.
func (v Variant) Saved(units int) int {
	if v.Norm == NoNorm {
		return 0
	}
	return (9*units + 3 + 15) / 16 * 16
}

// saved are the parts of Step.Saved: the normalised parts of the gates and c, and
// what they were multiplied by.
type saved struct {
	ih, hh, c kernels.Mat    // [Rows,4H], [Rows,4H], [Rows,H]
	rstd      [3]kernels.Mat // [Rows,1] each
}

func newSaved(s *Step) saved {
	H := s.Units
	from := func(j int) kernels.Mat { return kernels.Mat{Data: s.Saved.Data[j:], Stride: s.Saved.Stride} }
	return saved{from(0), from(4 * H), from(8 * H), [...]kernels.Mat{from(9 * H), from(9*H + 1), from(9*H + 2)}}
}

// Forward computes h and c as the equations of Variant say.
func (v Variant) Forward(s *Step) {
	if v.Norm == NoNorm && s.whole() {
		seq := s.seq()
		seq.Peephole = s.Variant.Peephole
		kernels.LSTMSteps(&seq)
		return
	}
	if v.Norm == NoNorm {
		s.gates()
		kernels.LSTMPeepholeForward(s.m(), s.C, s.Gates, s.CPrev, s.Variant.Peephole, s.Rows, s.Units)
		s.project()
		return
	}
	on := kernels.StepPath(s.Isolated, s.Rows, s.WX, s.W, s.WR)
	if s.WX != nil {
		on.Gemm(s.Gates, s.X, s.Rows, s.WX, s.Bias)
	}
	v.normForward(s, on)
}

// ForwardTrain is Forward with the x part in Gates. It leaves i,f,g,o in Gates,
// in GatesH nothing of use, and m in M. The sum of the gates' two parts is
//
//	a = fma(gain_hh, hat_hh, fma(gain_ih, hat_ih, shift_ih + shift_hh))
//
// where hat stands for (v-mean)/sqrt(var+1e-5).
func (v Variant) ForwardTrain(s *Step) {
	p, B, H := s.Variant, s.Rows, s.Units
	if v.Norm == NoNorm {
		s.gates()
		kernels.LSTMPeepholeForwardTrain(s.m(), s.C, s.Gates, s.CPrev, p.Peephole, B, H)
		s.project()
		return
	}
	v.normForward(s, kernels.StepPath(s.Isolated, B, s.W, s.WR))
}

// normForward is ForwardTrain with a Norm.
func (v Variant) normForward(s *Step, on kernels.Path) {
	p, B, H := s.Variant, s.Rows, s.Units
	on.Gemm(s.GatesH, s.hIn(), B, s.W, nil)
	q, a := newSaved(s), s.Wide
	on.UnpackGates(q.ih, s.Gates, B, H)
	on.UnpackGates(q.hh, s.GatesH, B, H)
	on.LayerNormRows(a, q.ih, q.rstd[0], q.ih, p.GainIH, kernels.Mat{Data: p.Shift}, normEps, B, 4*H)
	on.LayerNormRows(a, q.hh, q.rstd[1], q.hh, p.GainHH, a, normEps, B, 4*H)
	on.PackGates(s.Gates, a, B, H)
	on.LSTMCellForward(s.C, s.Gates, s.CPrev, p.Peephole, B, H)
	n := s.Kept
	if v.Norm == NormB {
		n = s.C
	}
	on.LayerNormRows(n, q.c, q.rstd[2], s.C, p.GainC, kernels.Mat{Data: p.ShiftC}, normEps, B, H)
	on.LSTMOutputForward(s.m(), s.Gates, n, s.C, p.Peephole, B, H)
	if s.WR != nil {
		on.Gemm(s.H, s.M, B, s.WR, nil)
	}
}

// Backward computes, with dm = dh, or with a projection W_hrᵀ·dh,
//
//	da_o = dm*tanh(n)*o*(1-o)
//	dc += da_o*P_o
//	dn = dm*o*(1-tanh(n)²)      NormB: + dc
//	ds = LNᵀ(dn)                else: + dc
//	da_i, da_f, da_g = ds*g*i*(1-i), ds*cPrev*f*(1-f), ds*i*(1-g²)
//	dc = ds*f + da_i*P_i + da_f*P_f
//	dGates, dGatesH = LNᵀ(da), each of its part
//	dhPrev += dGatesH·W_hh
//
// and adds the gradients of its parameters, summed over rows, to DVariant. It uses
// up Saved.
func (v Variant) Backward(s *Step) {
	p, d, B, H, dm := s.Variant, s.DVariant, s.Rows, s.Units, s.DH
	if s.WR != nil {
		dm = s.DM
		kernels.Gemm(dm, s.DH, B, s.WRT, nil)
	}
	if v.Norm == NoNorm {
		kernels.LSTMPeepholeBackward(s.Gates, s.DC, dm, s.m(), s.C, s.CPrev, p.Peephole, B, H)
		kernels.LSTMPeepholeGrad(d.Peephole, s.Gates, s.C, s.CPrev, B, H)
		s.addHPrev(s.Gates)
		return
	}
	q, dn := newSaved(s), s.Kept
	kernels.LSTMOutputBackward(s.Gates, dn, s.DC, dm, s.m(), p.Peephole, B, H)
	if v.Norm == NormB {
		addTo(dn, s.DC, B, H)
	}
	kernels.AddRows(d.ShiftC, dn, B)
	kernels.AddRowProducts(d.GainC, dn, q.c, B)
	if v.Norm == NormB {
		kernels.LayerNormRowsBackward(s.DC, dn, q.c, q.rstd[2], p.GainC, B, H)
	} else {
		kernels.LayerNormRowsBackward(dn, dn, q.c, q.rstd[2], p.GainC, B, H)
		addTo(s.DC, dn, B, H)
	}
	kernels.LSTMCellBackward(s.Gates, s.DC, s.CPrev, p.Peephole, B, H)
	if v.Peephole {
		kernels.LSTMPeepholeGrad(d.Peephole, s.Gates, s.C, s.CPrev, B, H)
	}
	da := s.Wide
	kernels.UnpackGates(da, s.Gates, B, H)
	kernels.AddRows(d.Shift, da, B)
	kernels.AddRowProducts(d.GainIH, da, q.ih, B)
	kernels.AddRowProducts(d.GainHH, da, q.hh, B)
	kernels.LayerNormRowsBackward(q.ih, da, q.ih, q.rstd[0], p.GainIH, B, 4*H)
	kernels.LayerNormRowsBackward(q.hh, da, q.hh, q.rstd[1], p.GainHH, B, 4*H)
	kernels.PackGates(s.Gates, q.ih, B, H)
	kernels.PackGates(s.GatesH, q.hh, B, H)
	s.addHPrev(s.GatesH)
}

// addTo sets dst += x.
func addTo(dst, x kernels.Mat, rows, cols int) {
	for b := range rows {
		d := rowOf(dst, b, cols)
		kernels.Add(d, d, rowOf(x, b, cols))
	}
}

// rowOf returns row b of m, of n columns.
func rowOf(m kernels.Mat, b, n int) []float32 { return m.Data[b*m.Stride:][:n] }
