package kernels

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A stepFunc is one of the functions that make steps.
type stepFunc struct {
	name  string
	gates int
	train bool
	run   func(s *Seq)
}

var stepFuncs = []stepFunc{
	{"LSTMSteps", 4, false, LSTMSteps},
	{"LSTMStepsTrain", 4, true, LSTMStepsTrain},
	{"GRUSteps", 3, false, GRUSteps},
	{"GRUStepsTrain", 3, true, GRUStepsTrain},
	{"RNNTanhSteps", 1, false, RNNTanhSteps},
	{"RNNReLUSteps", 1, false, RNNReLUSteps},
}

// A stepCase is a sequence and how it lies in memory.
type stepCase struct {
	stepFunc
	units, inputs, proj, T int // without an x part if inputs < 0, without projection if proj < 0
	bias, reverse          bool
	oneRow                 bool // for state and scratch
	inPlace                bool // H0 and C0 are the rows of the first step
	gap                    int  // of strides
}

// columns lists the matrices of s, and the columns of each.
func columns(s *Seq) map[*Mat]int {
	out := s.WHH.k
	m := map[*Mat]int{&s.H: out, &s.Gates: s.WHH.Width()}
	switch s.WHH.gates {
	case 4:
		m[&s.C] = s.WHH.units
		if s.WHR != nil {
			m[&s.M] = s.WHH.units
		}
	case 3:
		m[&s.GatesH] = s.WHH.Width()
	}
	if s.WIH != nil {
		m[&s.X] = s.WIH.k
	}
	return m
}

// newSeq returns the sequence of a case, with random weights, inputs and state,
// all with a row for each step.
func (c stepCase) newSeq(seed uint64) *Seq {
	r := newRand(seed)
	weights := func(gates, units, k int) *Panels {
		p := NewPanels(gates, units, k)
		p.Pack(random(r, gates*units*k))
		return p
	}
	bias := func() []float32 {
		b := make([]float32, packedWidth(c.gates, c.units))
		if c.bias {
			PackBias(b, random(r, c.gates*c.units), nil, c.gates, c.units)
			return b
		}
		return nil
	}
	s := &Seq{T: c.T, Reverse: c.reverse}
	out := c.units
	if c.proj >= 0 {
		out = c.proj
		s.WHR = weights(1, c.proj, c.units)
	}
	s.WHH = weights(c.gates, c.units, out)
	s.H0 = random(r, out)
	if c.gates == 4 {
		s.C0 = random(r, c.units)
	}
	if c.gates == 3 {
		s.BHH = bias()
	}
	if c.inputs >= 0 {
		s.WIH, s.BIH = weights(c.gates, c.units, c.inputs), bias()
	}
	for m, cols := range columns(s) {
		*m = Mat{make([]float32, c.T*cols), cols}
	}
	copy(s.X.Data, random(r, len(s.X.Data)))
	copy(s.Gates.Data, random(r, len(s.Gates.Data)))
	return s
}

// separate makes the steps by the functions that they stand for.
func (c stepCase) separate(s *Seq) {
	h, cell := slices.Clone(s.H0), slices.Clone(s.C0)
	for n := range s.T {
		t := n
		if s.Reverse {
			t = s.T - 1 - n
		}
		at := func(m Mat) Mat { return Mat{m.Data[t*m.Stride:], m.Stride} }
		if s.WIH != nil {
			Gemv(s.Gates.row(t, s.WHH.Width()), s.X.row(t, c.inputs), s.WIH, s.BIH)
		}
		switch {
		case c.gates == 4:
			GemmAdd(at(s.Gates), rowMat(h), 1, s.WHH)
			m := at(s.H)
			if s.WHR != nil {
				m = at(s.M)
			}
			if c.train {
				LSTMForwardTrain(m, at(s.C), at(s.Gates), rowMat(cell), 1, c.units)
			} else {
				LSTMForward(m, at(s.C), at(s.Gates), rowMat(cell), 1, c.units)
			}
			if s.WHR != nil {
				Gemv(s.H.row(t, c.proj), m.Data[:c.units], s.WHR, nil)
			}
			copy(cell, s.C.row(t, c.units))
		case c.gates == 3:
			Gemv(s.GatesH.row(t, s.WHH.Width()), h, s.WHH, s.BHH)
			if c.train {
				GRUForwardTrain(at(s.H), at(s.Gates), at(s.GatesH), rowMat(h), 1, c.units)
			} else {
				GRUForward(at(s.H), at(s.Gates), at(s.GatesH), rowMat(h), 1, c.units)
			}
		default:
			GemmAdd(at(s.Gates), rowMat(h), 1, s.WHH)
			if c.name == "RNNReLUSteps" {
				RNNReLUForward(at(s.H), at(s.Gates), 1, c.units)
			} else {
				RNNTanhForward(at(s.H), at(s.Gates), 1, c.units)
			}
		}
		copy(h, s.H.row(t, len(h)))
	}
}

// check makes the steps at a place and compares what they leave.
func (c stepCase) check(t *testing.T, seed uint64, where place) {
	t.Helper()
	want, s := c.newSeq(seed), c.newSeq(seed)
	c.separate(want)
	views := map[*Mat]view{}
	place := func(m Mat, rows, cols int) view {
		v := where.make(t, rows, cols, cols+c.gap)
		t.Cleanup(func() { where.release(v) })
		copy(v.all, filled(len(v.all), canary))
		for b := range rows {
			copy(v.row(b, cols), m.row(b, cols))
		}
		return v
	}
	scratch := func(m *Mat) bool { // that all steps may share
		return m == &s.H || m == &s.C && !c.train || m == &s.M || (m == &s.Gates || m == &s.GatesH) && !c.train && (m != &s.Gates || c.inputs >= 0)
	}
	for m, cols := range columns(s) {
		rows := c.T
		if c.oneRow && scratch(m) {
			rows = min(rows, 1)
		}
		views[m] = place(*m, rows, cols)
		*m = views[m].Mat
		if c.oneRow && scratch(m) {
			m.Stride = 0
		}
	}
	if c.inputs == s.WHH.k && !c.oneRow && !c.inPlace { // h takes the place of the input
		s.H, views[&s.H] = s.X, views[&s.X]
	}
	for m, state := range map[*Mat]*[]float32{&s.H: &s.H0, &s.C: &s.C0} {
		if *state == nil {
			continue
		}
		v := place(rowMat(*state), 1, len(*state))
		if c.inPlace && c.T > 0 {
			first := 0
			if c.reverse {
				first = c.T - 1
			}
			row := m.row(first, len(*state))
			copy(row, *state)
			*state = row
		} else {
			*state = v.Data
		}
	}
	for _, b := range []*[]float32{&s.BIH, &s.BHH} {
		if *b != nil {
			*b = place(rowMat(*b), 1, len(*b)).Data
		}
	}
	c.run(s)
	requireFPState(t, c.name)
	compare := func(name string, got, w *Mat, cols int) {
		for n := range c.T {
			row := n
			if got.Stride == 0 { // it holds the last step
				if last := c.T - 1; c.reverse && n > 0 || !c.reverse && n < last {
					continue
				}
			}
			requireSame(t, w.row(n, cols), got.row(row, cols), "%+v: row %d of %s", c, n, name)
		}
	}
	compare("H", &s.H, &want.H, s.WHH.k)
	if c.gates == 4 {
		compare("C", &s.C, &want.C, c.units)
	}
	if c.train {
		compare("Gates", &s.Gates, &want.Gates, s.WHH.Width())
		if c.gates == 3 {
			compare("GatesH", &s.GatesH, &want.GatesH, s.WHH.Width())
		}
	}
	for m, cols := range columns(s) { // nothing beside the rows was written
		v := views[m]
		for i, x := range v.all {
			if i < v.start || i >= v.start+len(v.Data) || (i-v.start)%(cols+c.gap) >= cols {
				require.True(t, same(x, canary), "%+v: written outside", c)
			}
		}
	}
}

// TestSteps: steps have the bits of the functions that they stand for.
func TestSteps(t *testing.T) {
	for _, f := range stepFuncs {
		t.Run(f.name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, _ ISA) {
				n := uint64(0)
				check := func(units, inputs, proj, T int, where place) {
					n++
					if f.train {
						inputs = -1
					}
					if f.gates != 4 {
						proj = -1
					}
					stepCase{f, units, inputs, proj, T, n%2 == 0, n%3 == 0, n%5 < 2, n%7 < 3, int(n % 4)}.check(t, n, where)
				}
				for units := 0; units < pick(75, 50, 20); units += pick(1, 1, 3) {
					check(units, -1, -1, 3, beforeGuard)
					check(units, []int{0, 1, 3, 17}[units%4], -1, 3, beforeGuard)
					check(units, units, -1, 3, at(1))
					check(units, 1, units/2, 2, at(3))
				}
				for _, size := range pick([][3]int{{64, 128, 30}, {130, 129, -1}, {129, 257, 0}, {257, 5, 100}},
					[][3]int{{64, 129, 30}, {140, 5, -1}, {257, 1, 129}}, [][3]int{{24, 130, 17}}) {
					check(size[0], size[1], size[2], 2, afterGuard)
					check(size[0], -1, -1, 3, at(3))
				}
				for _, units := range pick([]int{88, 100, 128, 130, 140, 150}, []int{100, 130, 140, 150}, []int{100, 130}) { // back and forth
					check(units, -1, -1, 4, beforeGuard)
					check(units, 5, -1, 3, afterGuard)
				}
				for _, T := range pick([]int{0, 1, 700}, []int{0, 1, 700}, []int{0, 1, 5}) {
					check(5, 1, -1, T, at(0))
					check(9, -1, 3, T, at(1))
				}
			})
		})
	}
}

// rowAlone returns row b of a step of several rows, in memory of its own.
func rowAlone(s *Seq, b int) *Seq {
	q := *s
	q.Rows = 0
	for m := range columns(&q) {
		m.Data = slices.Clone(m.Data[b*m.Stride:])
	}
	q.H0 = s.H0[b*s.WHH.k:][:s.WHH.k]
	if s.C0 != nil {
		q.C0 = s.C0[b*s.WHH.units:][:s.WHH.units]
	}
	return &q
}

// newRows returns one step of n rows.
func (c stepCase) newRows(seed uint64, n int) *Seq {
	c.T = n
	s := c.newSeq(seed)
	s.T, s.Rows = 1, n
	r := newRand(seed + 1)
	s.H0 = random(r, n*s.WHH.k)
	if s.C0 != nil {
		s.C0 = random(r, n*c.units)
	}
	return s
}

// TestStepRows: a step of several rows has the bits of each row alone, in place too,
// and peepholes are those of LSTMPeepholeForward.
func TestStepRows(t *testing.T) {
	const n = 5
	for _, f := range stepFuncs {
		t.Run(f.name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T, _ ISA) {
				for i, units := range pick([]int{1, 5, 16, 37, 64, 130, 257}, []int{5, 37, 257}, []int{5, 37}) {
					c := stepCase{stepFunc: f, units: units, inputs: []int{3, -1}[i%2], proj: -1, bias: true}
					if f.gates == 4 && i%3 > 0 {
						c.proj = units / 2
					}
					if f.train {
						c.inputs = -1
					}
					s := c.newRows(uint64(i), n)
					if f.gates == 4 && i%2 == 0 {
						s.Peephole = random(newRand(9), packedWidth(3, units))
					}
					var want []*Seq
					for b := range n {
						one := rowAlone(s, b)
						want = append(want, one)
						if s.Peephole == nil {
							f.run(one)
							continue
						}
						if one.WIH != nil {
							Gemm(one.Gates, one.X, 1, one.WIH, one.BIH)
						}
						GemmAdd(one.Gates, rowMat(one.H0), 1, one.WHH)
						m := one.H
						if one.WHR != nil {
							m = one.M
						}
						run := LSTMPeepholeForward
						if f.train {
							run = LSTMPeepholeForwardTrain
						}
						run(m, one.C, one.Gates, rowMat(one.C0), s.Peephole, 1, units)
						if one.WHR != nil {
							Gemm(one.H, m, 1, one.WHR, nil)
						}
					}
					if i%2 == 1 { // in place
						copy(s.H.Data, s.H0)
						copy(s.C.Data, s.C0)
						s.H0, s.C0 = s.H.Data, s.C.Data
					}
					f.run(s)
					for b, one := range want {
						requireSame(t, one.H.row(0, s.WHH.k), s.H.row(b, s.WHH.k), "units=%d: h of row %d", units, b)
						if f.gates == 4 {
							requireSame(t, one.C.row(0, units), s.C.row(b, units), "units=%d: c of row %d", units, b)
						}
						if f.train {
							requireSame(t, one.Gates.row(0, s.WHH.Width()), s.Gates.row(b, s.WHH.Width()), "units=%d: gates of row %d", units, b)
						}
					}
					require.Zero(t, testing.AllocsPerRun(5, func() { f.run(s) }))
				}
			})
		})
	}
}

// TestIsolated: where AVX-512 is active, an isolated step of one row, or of little
// work, takes the kernels of AVX2.
func TestIsolated(t *testing.T) {
	for _, c := range []struct {
		isa           ISA
		rows, weights int
		want          ISA
	}{
		{AVX512, 0, 1 << 22, AVX2},
		{AVX512, 1, 1 << 22, AVX2},
		{AVX512, 4, 1 << 16, AVX2},
		{AVX512, 4, 1<<16 + 1, AVX512},
		{AVX512, 1 << 18, 1, AVX2},
		{AVX512, 1<<18 + 1, 1, AVX512},
		{AVX2, 1, 10, AVX2},
		{NEON, 1, 10, NEON},
		{Generic, 1, 10, Generic},
	} {
		w := &Panels{panelData: &panelData{gates: 1, units: c.weights, k: 1}}
		require.Equal(t, c.want, isolatedPath(c.isa, c.rows, nil, w), "%+v", c)
	}
	s := stepCase{stepFunc: stepFuncs[0], units: 64, inputs: 64, proj: -1}.newRows(1, 8)
	require.Equal(t, AVX512, s.path(AVX512))
	s.Isolated = true
	require.Equal(t, AVX2, s.path(AVX512), "8 rows of 2^15 weights")
	s.Rows = 9
	require.Equal(t, AVX512, s.path(AVX512), "9 rows of 2^15 weights")

	if !slices.Contains(Available(), AVX2) {
		t.Skip("NOT COVERED: no AVX2 here")
	}
	// A processor without AVX-512 does not survive its instructions.
	for _, f := range stepFuncs {
		for _, units := range []int{5, 64, 257} {
			for _, rows := range []int{1, 3} {
				c := stepCase{stepFunc: f, units: units, inputs: 1, proj: -1, bias: true}
				if f.train {
					c.inputs = -1
				}
				want, got := c.newRows(2, rows), c.newRows(2, rows)
				got.Isolated = true
				onISA(AVX2, func() {
					f.run(want)
					if rows*got.WHH.k*got.WHH.Width() < isolatedProducts || rows == 1 {
						Pretend(AVX512)
					}
					f.run(got)
				})
				requireSame(t, want.H.Data, got.H.Data, "%s units=%d rows=%d", f.name, units, rows)
			}
		}
	}
}

func TestStepPanics(t *testing.T) {
	f := func(i, inputs, proj int) (stepFunc, *Seq) {
		c := stepCase{stepFunc: stepFuncs[i], units: 5, inputs: inputs, proj: proj, T: 3, bias: true}
		return c.stepFunc, c.newSeq(1)
	}
	for _, c := range []struct {
		want         string
		kind         int
		inputs, proj int
		change       func(s *Seq)
	}{
		{"LSTMSteps: T = -1, want at least 0", 0, 3, -1, func(s *Seq) { s.T = -1 }},
		{"LSTMSteps: len(Gates.Data) = 191, want 3 rows of 64 columns at stride 64", 0, 3, -1, func(s *Seq) { s.Gates.Data = s.Gates.Data[:191] }},
		{"LSTMSteps: len(Gates.Data) = 63, want 1 rows of 64 columns at stride 64", 0, 3, -1, func(s *Seq) { s.Gates = Mat{s.Gates.Data[:63], 0} }},
		{"LSTMSteps: H.Stride = 4, want at least 5 columns", 0, 3, -1, func(s *Seq) { s.H.Stride = 4 }},
		{"LSTMSteps: len(C.Data) = 14, want 3 rows of 5 columns at stride 5", 0, 3, -1, func(s *Seq) { s.C.Data = s.C.Data[:14] }},
		{"LSTMSteps: len(H0) = 4, want 5", 0, 3, -1, func(s *Seq) { s.H0 = s.H0[:4] }},
		{"LSTMSteps: len(C0) = 4, want 5", 0, 3, -1, func(s *Seq) { s.C0 = s.C0[:4] }},
		{"LSTMSteps: len(X.Data) = 8, want 3 rows of 3 columns at stride 3", 0, 3, -1, func(s *Seq) { s.X.Data = s.X.Data[:8] }},
		{"LSTMSteps: len(BIH) = 63, want 64", 0, 3, -1, func(s *Seq) { s.BIH = s.BIH[:63] }},
		{"LSTMSteps: WHH.Gates() = 3, want 4", 0, 3, -1, func(s *Seq) { s.WHH = NewPanels(3, 5, 5) }},
		{"LSTMSteps: WIH.Gates() = 3, want 4", 0, 3, -1, func(s *Seq) { s.WIH = NewPanels(3, 5, 3) }},
		{"LSTMSteps: WHH.K() = 3, want 5", 0, 3, -1, func(s *Seq) { s.WHH = s.WIH }},
		{"LSTMSteps: WIH.Units() = 6, want 5", 0, 3, -1, func(s *Seq) { s.WIH = NewPanels(4, 6, 3) }},
		{"LSTMSteps: WHH.K() = 2, want 3", 0, 3, 2, func(s *Seq) { s.WHR = NewPanels(1, 3, 5) }},
		{"LSTMSteps: WHR.K() = 4, want 5", 0, 3, 2, func(s *Seq) { s.WHR = NewPanels(1, 2, 4) }},
		{"LSTMSteps: WHR.Gates() = 3, want 1", 0, 3, 2, func(s *Seq) { s.WHR = NewPanels(3, 2, 5) }},
		{"LSTMSteps: len(M.Data) = 14, want 3 rows of 5 columns at stride 5", 0, 3, 2, func(s *Seq) { s.M.Data = s.M.Data[:14] }},
		{"LSTMSteps: T = 3, want 1 step of several rows", 0, 3, -1, func(s *Seq) { s.Rows = 2 }},
		{"LSTMSteps: Rows = -1, want at least 0", 0, 3, -1, func(s *Seq) { s.Rows = -1 }},
		{"LSTMSteps: len(H0) = 5, want 10", 0, 3, -1, func(s *Seq) { s.T, s.Rows = 1, 2 }},
		{"LSTMSteps: H.Stride = 0, want at least 5 columns", 0, 3, -1, func(s *Seq) { s.T, s.Rows, s.H0, s.H.Stride = 1, 2, make([]float32, 10), 0 }},
		{"LSTMSteps: len(H.Data) = 15, want 4 rows of 5 columns at stride 5", 0, 3, -1, func(s *Seq) { s.T, s.Rows = 1, 4 }},
		{"LSTMSteps: len(Peephole) = 47, want 48", 0, 3, -1, func(s *Seq) { s.Peephole = make([]float32, 47) }},
		{"LSTMStepsTrain: WIH.K() = 3, want no WIH", 1, 3, -1, func(*Seq) {}},
		{"GRUSteps: len(GatesH.Data) = 143, want 3 rows of 48 columns at stride 48", 2, 3, -1, func(s *Seq) { s.GatesH.Data = s.GatesH.Data[:143] }},
		{"GRUSteps: len(BHH) = 47, want 48", 2, 3, -1, func(s *Seq) { s.BHH = s.BHH[:47] }},
		{"GRUSteps: WHH.Gates() = 4, want 3", 2, 3, -1, func(s *Seq) { s.WHH = NewPanels(4, 5, 5) }},
		{"RNNTanhSteps: len(Gates.Data) = 14, want 3 rows of 5 columns at stride 5", 4, 3, -1, func(s *Seq) { s.Gates.Data = s.Gates.Data[:14] }},
		{"RNNReLUSteps: len(BIH) = 4, want 5", 5, 3, -1, func(s *Seq) { s.BIH = s.BIH[:4] }},
	} {
		fn, s := f(c.kind, c.inputs, c.proj)
		whole := map[*Mat][]float32{&s.H: s.H.Data, &s.C: s.C.Data, &s.M: s.M.Data}
		c.change(s)
		require.PanicsWithValue(t, "kernels: "+c.want, func() { fn.run(s) })
		for m, data := range whole {
			requireSame(t, make([]float32, len(data)), data, "%s: %v was written", c.want, m)
		}
	}
}

func TestStepAllocs(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		for _, f := range stepFuncs {
			for _, units := range []int{20, 70, 260} {
				c := stepCase{stepFunc: f, units: units, inputs: 1, proj: -1, T: 2, bias: true}
				if f.train {
					c.inputs = -1
				}
				s := c.newSeq(1)
				require.Zero(t, testing.AllocsPerRun(10, func() { f.run(s) }), fmt.Sprint(f.name, units))
			}
		}
	})
}
