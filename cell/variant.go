package cell

import (
	"math"

	"github.com/simdrnn/simdrnn/kernels"
)

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

// VariantParams are the parameters of a Variant beyond those of an LSTM, or their
// gradients. Those that it does not have are nil.
type VariantParams struct {
	GainIH, GainHH   []float32 // [4H], with Norm
	ShiftIH, ShiftHH []float32 // [4H], with Norm; nil for zeros
	GainC, ShiftC    []float32 // [H], with Norm
	Peephole         []float32 // of i, f, o, in packed order of three gates
}

// All returns all parameters; those that the Variant does not have are empty, as
// all are of nil.
func (p *VariantParams) All() (all [7][]float32) {
	if p != nil {
		all = [...][]float32{p.GainIH, p.GainHH, p.ShiftIH, p.ShiftHH, p.GainC, p.ShiftC, p.Peephole}
	}
	return all
}

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

// Saved returns the number of elements of a row of Step.Saved.
func (v Variant) Saved(units int) int {
	if v.Norm == NoNorm {
		return 0
	}
	return 10*units + 3 // tanh(n), normalised parts and c, and what they were divided by
}

// saved are the parts of a row of Step.Saved.
type saved struct{ tanh, ih, hh, c, std []float32 }

func (v Variant) saved(s *Step, b int) (p saved) {
	r := s.Saved.Data[b*s.Saved.Stride:]
	cut := func(n int) (part []float32) {
		part, r = r[:n:n], r[n:]
		return part
	}
	p.tanh, p.ih, p.hh, p.c, p.std = cut(s.Units), cut(4*s.Units), cut(4*s.Units), cut(s.Units), cut(3)
	return p
}

// Forward computes h and c as the equations of Variant say.
func (v Variant) Forward(s *Step) {
	if v.Norm == NoNorm {
		s.gates()
		kernels.LSTMPeepholeForward(s.m(), s.C, s.Gates, s.CPrev, s.Variant.Peephole, s.Rows, s.Units)
		s.project()
		return
	}
	if s.WX != nil {
		kernels.Gemm(s.Gates, s.X, s.Rows, s.WX, s.Bias)
	}
	v.ForwardTrain(s)
}

// ForwardTrain is Forward with the x part in Gates. It leaves i,f,g,o in Gates,
// in GatesH nothing of use, and m in M.
func (v Variant) ForwardTrain(s *Step) {
	if v.Norm == NoNorm {
		s.gates()
		kernels.LSTMPeepholeForwardTrain(s.m(), s.C, s.Gates, s.CPrev, s.Variant.Peephole, s.Rows, s.Units)
		s.project()
		return
	}
	kernels.Gemm(s.GatesH, s.hIn(), s.Rows, s.W, nil)
	for b := range s.Rows {
		v.normGates(s, b)
	}
	H, m, p := s.Units, s.m(), s.Variant
	if v.Peephole {
		for b := range s.Rows {
			gates, c := s.Gates.Data[b*s.Gates.Stride:], rowOf(s.CPrev, b, H)
			for u := range H {
				gates[kernels.PackedIndex(4, u, 0)] += float32(*peephole(p, u, 0) * c[u])
				gates[kernels.PackedIndex(4, u, 1)] += float32(*peephole(p, u, 1) * c[u])
			}
		}
	}
	// The kernel makes c; the output gate, which may look at it, is made anew.
	for b := range s.Rows {
		getGate(rowOf(s.Kept, b, H), s.Gates.Data[b*s.Gates.Stride:], 3)
	}
	kernels.LSTMForwardTrain(m, s.C, s.Gates, s.CPrev, s.Rows, H)
	for b := range s.Rows {
		q := v.saved(s, b)
		n, o := rowOf(s.C, b, H), rowOf(s.Kept, b, H)
		h := rowOf(m, b, H)
		q.std[2] = normalize(q.c, n)
		if v.Norm == NormA {
			affine(h, q.c, p.GainC, p.ShiftC)
			kernels.Tanh(q.tanh, h)
		} else {
			affine(n, q.c, p.GainC, p.ShiftC)
			kernels.Tanh(q.tanh, n)
		}
		if v.Peephole {
			for u := range o {
				o[u] += float32(*peephole(p, u, 2) * n[u])
			}
		}
		kernels.Sigmoid(o, o)
		setGate(s.Gates.Data[b*s.Gates.Stride:], 3, o)
		kernels.Mul(h, o, q.tanh)
	}
	s.project()
}

// normGates sets row b of Gates to the sum of its normalised parts.
func (v Variant) normGates(s *Step, b int) {
	q, p := v.saved(s, b), s.Variant
	for i, part := range [...]struct {
		packed           []float32
		hat, gain, shift []float32
	}{
		{s.Gates.Data[b*s.Gates.Stride:], q.ih, p.GainIH, p.ShiftIH},
		{s.GatesH.Data[b*s.GatesH.Stride:], q.hh, p.GainHH, p.ShiftHH},
	} {
		for g := range 4 {
			getGate(part.hat[g*s.Units:][:s.Units], part.packed, g)
		}
		q.std[i] = normalize(part.hat, part.hat)
		y := s.Wide[i*4*s.Units:][:4*s.Units]
		affine(y, part.hat, part.gain, part.shift)
	}
	y, z := s.Wide[:4*s.Units], s.Wide[4*s.Units:][:4*s.Units]
	kernels.Add(y, y, z)
	for g := range 4 {
		setGate(s.Gates.Data[b*s.Gates.Stride:], g, y[g*s.Units:][:s.Units])
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
// and adds the gradients of its parameters to DVariant.
func (v Variant) Backward(s *Step) {
	dm := s.DH
	if s.WR != nil {
		dm = s.DM
		kernels.Gemm(dm, s.DH, s.Rows, s.WRT, nil)
	}
	if v.Norm == NoNorm {
		kernels.LSTMPeepholeBackward(s.Gates, s.DC, dm, s.m(), s.C, s.CPrev, s.Variant.Peephole, s.Rows, s.Units)
		kernels.LSTMPeepholeGrad(s.DVariant.Peephole, s.Gates, s.C, s.CPrev, s.Rows, s.Units)
		s.addHPrev(s.Gates)
		return
	}
	for b := range s.Rows {
		v.backRow(s, b, rowOf(dm, b, s.Units))
	}
	s.addHPrev(s.GatesH)
}

func (v Variant) backRow(s *Step, b int, dm []float32) {
	H, p, d, q := s.Units, s.Variant, s.DVariant, v.saved(s, b)
	gates := s.Gates.Data[b*s.Gates.Stride:]
	a, dn := s.Wide[:4*H], s.Wide[4*H:][:H]
	for g := range 4 {
		getGate(a[g*H:][:H], gates, g)
	}
	i, f, g, o := a[:H], a[H:2*H], a[2*H:3*H], a[3*H:]
	c, cPrev, dc := rowOf(s.C, b, H), rowOf(s.CPrev, b, H), rowOf(s.DC, b, H)
	for u, t := range q.tanh {
		dn[u] = float32(dm[u]*o[u]) * (1 - float32(t*t))
		o[u] = float32(float32(dm[u]*t)*o[u]) * (1 - o[u])
		if v.Peephole {
			dc[u] += float32(o[u] * *peephole(p, u, 2))
			*peephole(d, u, 2) += float32(o[u] * c[u])
		}
	}
	if v.Norm == NormB {
		kernels.Add(dn, dn, dc)
	}
	normBack(dn, dn, q.c, q.std[2], p.GainC, d.GainC, d.ShiftC)
	if v.Norm == NormA {
		kernels.Add(dn, dn, dc)
	}
	for u, ds := range dn {
		iu, fu, gu := i[u], f[u], g[u]
		i[u] = float32(float32(ds*gu)*iu) * (1 - iu)
		f[u] = float32(float32(ds*cPrev[u])*fu) * (1 - fu)
		g[u] = float32(ds*iu) * (1 - float32(gu*gu))
		dc[u] = float32(ds * fu)
		if v.Peephole {
			dc[u] += float32(i[u]**peephole(p, u, 0)) + float32(f[u]**peephole(p, u, 1))
			*peephole(d, u, 0) += float32(i[u] * cPrev[u])
			*peephole(d, u, 1) += float32(f[u] * cPrev[u])
		}
	}
	z := s.Wide[4*H:][:4*H]
	normBack(z, a, q.hh, q.std[1], p.GainHH, d.GainHH, d.ShiftHH)
	gatesH := s.GatesH.Data[b*s.GatesH.Stride:]
	for g := range 4 {
		setGate(gatesH, g, z[g*H:][:H])
	}
	normBack(a, a, q.ih, q.std[0], p.GainIH, d.GainIH, d.ShiftIH)
	for g := range 4 {
		setGate(gates, g, a[g*H:][:H])
	}
}

// normalize sets hat = (v - mean)/std and returns std = sqrt(var + 1e-5). hat may
// be v. Sums are those of package kernels.
func normalize(hat, v []float32) (std float32) {
	n := float64(len(v))
	mean := float32(kernels.Sum(v) / n)
	for i, x := range v {
		hat[i] = x - mean
	}
	std = float32(math.Sqrt(kernels.SumSquares(hat)/n + 1e-5))
	for i := range hat {
		hat[i] /= std
	}
	return std
}

// affine sets y = gain*hat + shift; a nil shift is zeros.
func affine(y, hat, gain, shift []float32) {
	kernels.Mul(y, gain, hat)
	if shift != nil {
		kernels.Add(y, y, shift)
	}
}

// normBack goes back through affine and normalize: with e = dy*gain it sets
//
//	dv = (e - mean(e) - hat*mean(e*hat)) / std
//
// and adds dy*hat to dGain and dy to dShift, unless that is nil. dv may be dy.
func normBack(dv, dy, hat []float32, std float32, gain, dGain, dShift []float32) {
	if dShift != nil {
		kernels.Add(dShift, dShift, dy)
	}
	for i, d := range dy {
		dGain[i] += float32(d * hat[i])
	}
	kernels.Mul(dv, dy, gain)
	n := float64(len(dv))
	mean, meanHat := float32(kernels.Sum(dv)/n), float32(kernels.Dot(dv, hat)/n)
	for i, e := range dv {
		dv[i] = (e - mean - float32(hat[i]*meanHat)) / std
	}
}

// rowOf returns row b of m, of n columns.
func rowOf(m kernels.Mat, b, n int) []float32 { return m.Data[b*m.Stride:][:n] }

// peephole returns peephole q of unit u.
func peephole(p *VariantParams, u, q int) *float32 { return &p.Peephole[kernels.PackedIndex(3, u, q)] }

// getGate copies gate g of the units of dst from a packed row, setGate the other
// way.
func getGate(dst, packed []float32, g int) {
	for u := 0; u < len(dst); u += 16 {
		copy(dst[u:min(u+16, len(dst))], packed[kernels.PackedIndex(4, u, g):])
	}
}

func setGate(packed []float32, g int, src []float32) {
	for u := 0; u < len(src); u += 16 {
		copy(packed[kernels.PackedIndex(4, u, g):], src[u:min(u+16, len(src))])
	}
}
