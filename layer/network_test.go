package layer

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
)

// A network is a configuration of any kind of layer.
type network struct {
	mode                              string
	I, H, L, P                        int
	noBias, batchFirst, bidirectional bool
	dropout, input, recurrent         float64 // probabilities
	zoneoutH, zoneoutC                float64
	norm                              LayerNorm
	peephole                          bool
}

// random says whether training draws random numbers.
func (n network) random() bool { return n.dropout+n.input+n.recurrent+n.zoneoutH+n.zoneoutC > 0 }

func (n network) String() string {
	return fmt.Sprintf("%s I=%d H=%d L=%d P=%d bias=%t batchFirst=%t bidirectional=%t dropout=%v norm=%v peephole=%t", n.mode, n.I, n.H, n.L, n.P, !n.noBias, n.batchFirst, n.bidirectional,
		[]float64{n.dropout, n.input, n.recurrent, n.zoneoutH, n.zoneoutC}, n.norm, n.peephole)
}

func (n network) build(t testing.TB, r *Rand) model {
	t.Helper()
	var m model
	var err error
	switch n.mode {
	case "RNN_TANH", "RNN_RELU":
		cfg := RNNConfig{Input: n.I, Hidden: n.H, Layers: n.L, NoBias: n.noBias, BatchFirst: n.batchFirst, Dropout: n.dropout, Bidirectional: n.bidirectional,
			InputDropout: n.input, RecurrentDropout: n.recurrent, ZoneoutH: n.zoneoutH}
		if n.mode == "RNN_RELU" {
			cfg.Nonlinearity = ReLU
		}
		m, err = NewRNN(cfg, r)
	case "LSTM":
		m, err = NewLSTM(LSTMConfig{Input: n.I, Hidden: n.H, Layers: n.L, NoBias: n.noBias, BatchFirst: n.batchFirst, Dropout: n.dropout, Bidirectional: n.bidirectional, Proj: n.P,
			InputDropout: n.input, RecurrentDropout: n.recurrent, ZoneoutH: n.zoneoutH, ZoneoutC: n.zoneoutC,
			LayerNorm: n.norm, Peephole: n.peephole}, r)
	case "GRU":
		m, err = NewGRU(GRUConfig{Input: n.I, Hidden: n.H, Layers: n.L, NoBias: n.noBias, BatchFirst: n.batchFirst, Dropout: n.dropout, Bidirectional: n.bidirectional,
			InputDropout: n.input, RecurrentDropout: n.recurrent, ZoneoutH: n.zoneoutH}, r)
	}
	require.NoError(t, err)
	if n.norm != NoLayerNorm && r != nil {
		for _, q := range m.Params() {
			if strings.Contains(q.Name, "_ln_") {
				r.Uniform(q.Data, .5, 1.5)
			}
		}
		m.Pack()
	}
	return m
}

func (n network) reference() reference.Config {
	return reference.Config{Kind: referenceKinds[n.mode], Input: n.I, Hidden: n.H, Layers: n.L, NoBias: n.noBias, Bidirectional: n.bidirectional, Proj: n.P,
		LayerNorm: reference.LayerNorm(n.norm), Peephole: n.peephole}
}

// A run is a batch of sequences for a network and the loss
//
//	Σ y*dy + Σ hn*dhn + Σ cn*dcn
//
// with what comes of it. x, dy, y and dx are time-major here, whatever the
// network wants.
type run struct {
	network
	T, B                   int
	lengths                []int
	reset                  []bool
	toInitial              bool // resets give h0 and c0
	x, h0, c0, dy          []float32
	dhn, dcn               []float32
	y, hn, cn              []float32
	hAll, cAll, last       []float32
	dx, dh0, dc0           []float32
	dResetH, dResetC       []float32
	grads                  [][]float32
	in, out, states, cells int // features of x and y, elements of h_n and c_n
}

func newRun(n network, T, B int, lengths []int, resets bool, r *Rand) *run {
	c := n.reference()
	LD := c.L() * c.D()
	p := &run{network: n, T: T, B: B, lengths: lengths, in: n.I, out: c.D() * c.Ho(), states: LD * B * c.Ho()}
	if n.mode == "LSTM" {
		p.cells = LD * B * n.H
	}
	p.x, p.dy = normal(r, T*B*p.in), normal(r, T*B*p.out)
	p.h0, p.dhn = normal(r, p.states), normal(r, p.states)
	p.c0, p.dcn = normal(r, p.cells), normal(r, p.cells)
	if resets {
		p.reset = make([]bool, T*B)
		for i := range p.reset {
			p.reset[i] = r.Float64() < .25
		}
	}
	return p
}

// swap returns x [T,B,cols] as the network wants it.
func swap[E any](n network, x []E, T, B, cols int) []E {
	if !n.batchFirst {
		return slices.Clone(x)
	}
	y := make([]E, 0, len(x))
	for b := range B {
		for t := range T {
			y = append(y, x[(t*B+b)*cols:][:cols]...)
		}
	}
	return y
}

// back is the inverse of swap.
func (n network) back(x []float32, T, B, cols int) []float32 { return swap(n, x, B, T, cols) }

// seq returns the Seq of the run, with new memory for what it gives.
func (p *run) seq() Seq {
	q := Seq{Lengths: p.lengths}
	if p.reset != nil {
		q.Reset = swap(p.network, p.reset, p.T, p.B, 1)
	}
	if p.toInitial {
		q.ResetH, q.ResetC = p.h0, p.c0
		q.DResetH, q.DResetC = make([]float32, p.states), make([]float32, p.cells)
		p.dResetH, p.dResetC = q.DResetH, q.DResetC
	}
	q.HAll, q.Last = make([]float32, p.T*p.states), make([]float32, p.B*p.out)
	if p.cells > 0 {
		q.CAll = make([]float32, p.T*p.cells)
	}
	p.hAll, p.cAll, p.last = q.HAll, q.CAll, q.Last
	return q
}

func (p *run) tape(tape *Tape) {
	tape.SetRand(NewRand(99))
	copy(tape.H0(), p.h0)
	copy(tape.C0(), p.c0)
	x := swap(p.network, p.x, p.T, p.B, p.in)
	p.y = p.back(tape.ForwardSeq(x, p.seq()), p.T, p.B, p.out)
	p.hn, p.cn = slices.Clone(tape.HN()), slices.Clone(tape.CN())
	copy(tape.DHN(), p.dhn)
	copy(tape.DCN(), p.dcn)
	dx := normal(NewRand(0), len(x))
	tape.Backward(dx, swap(p.network, p.dy, p.T, p.B, p.out))
	p.dx = p.back(dx, p.T, p.B, p.in)
	p.dh0, p.dc0 = slices.Clone(tape.DH0()), slices.Clone(tape.DC0())
	p.grads = nil
	for _, g := range tape.Params() {
		p.grads = append(p.grads, slices.Clone(g.Grad))
	}
}

func (p *run) stream(s *Stream) {
	copy(s.H0(), p.h0)
	copy(s.C0(), p.c0)
	y := normal(NewRand(0), p.T*p.B*p.out)
	s.ForwardSeq(y, swap(p.network, p.x, p.T, p.B, p.in), p.seq())
	p.y = p.back(y, p.T, p.B, p.out)
	p.hn, p.cn = slices.Clone(s.H()), slices.Clone(s.C())
}

var networks = []network{
	{mode: "LSTM", I: 3, H: 5},
	{mode: "LSTM", I: 4, H: 18, L: 2},
	{mode: "LSTM", I: 5, H: 7, L: 3, bidirectional: true},
	{mode: "LSTM", I: 5, H: 20, L: 3, P: 6, bidirectional: true, batchFirst: true},
	{mode: "LSTM", I: 9, H: 33, P: 17, noBias: true},
	{mode: "LSTM", I: 2, H: 8, L: 2, batchFirst: true},
	{mode: "RNN_TANH", I: 3, H: 17, L: 2, bidirectional: true, noBias: true},
	{mode: "RNN_TANH", I: 6, H: 4, batchFirst: true},
	{mode: "RNN_RELU", I: 7, H: 19, L: 4, bidirectional: true},
	{mode: "LSTM", I: 3, H: 18, norm: LayerNormA},
	{mode: "LSTM", I: 3, H: 5, L: 2, norm: LayerNormA, noBias: true, bidirectional: true},
	{mode: "LSTM", I: 4, H: 17, L: 2, P: 7, norm: LayerNormB, batchFirst: true},
	{mode: "LSTM", I: 4, H: 20, peephole: true},
	{mode: "LSTM", I: 4, H: 6, L: 3, P: 4, bidirectional: true, norm: LayerNormB, peephole: true, noBias: true},
	{mode: "LSTM", I: 4, H: 9, L: 2, bidirectional: true, norm: LayerNormA, peephole: true, dropout: .2, recurrent: .3, zoneoutH: .2, zoneoutC: .2},
	{mode: "GRU", I: 3, H: 17, L: 2},
	{mode: "GRU", I: 4, H: 6, L: 3, bidirectional: true, batchFirst: true},
	{mode: "GRU", I: 4, H: 33, noBias: true},
	{mode: "GRU", I: 5, H: 8, L: 2, bidirectional: true, input: .25, recurrent: .4, zoneoutH: .3},
	{mode: "LSTM", I: 4, H: 17, L: 3, bidirectional: true, dropout: .3},
	{mode: "LSTM", I: 3, H: 9, L: 2, P: 5, bidirectional: true, dropout: .2, input: .25, recurrent: .4, zoneoutH: .3, zoneoutC: .1},
	{mode: "LSTM", I: 3, H: 6, batchFirst: true, input: .5, zoneoutC: .5},
	{mode: "RNN_TANH", I: 5, H: 8, L: 2, bidirectional: true, input: .25, recurrent: .4, zoneoutH: .3},
}

// variants are sizes and Seqs.
var variants = []struct {
	T, B      int
	lengths   []int
	resets    bool
	toInitial bool
}{
	{T: 6, B: 2},
	{T: 1, B: 3},
	{T: 5, B: 1, lengths: []int{3}},
	{T: 7, B: 4, lengths: []int{3, 7, 0, 5}},
	{T: 9, B: 3, lengths: []int{5, 2, 1}},
	{T: 4, B: 2, lengths: []int{4, 4}},
	{T: 3, B: 2, lengths: []int{0, 0}},
	{T: 12, B: 3, resets: true},
	{T: 11, B: 5, lengths: []int{4, 11, 9, 0, 6}, resets: true, toInitial: true},
	{T: 70, B: 2, lengths: []int{60, 70}},
}

// forEachRun runs f as a subtest for all networks and variants, if there is time
// all pairs.
func forEachRun(t *testing.T, f func(t *testing.T, m model, p *run, r *Rand)) {
	forEachNthRun(t, kerneltest.Pick(1, 4, 8), f)
}

// forEachNthRun runs f for every nth pair of a network and a variant.
func forEachNthRun(t *testing.T, n int, f func(t *testing.T, m model, p *run, r *Rand)) {
	every := n
	for i, n := range networks {
		t.Run(n.String(), func(t *testing.T) {
			for j, v := range variants {
				if v.T > 20 && (kerneltest.Emulated() || i%3 > 0) {
					continue
				}
				if (i+j)%every > 0 {
					continue
				}
				r := NewRand(int64(100*i + j))
				m := n.build(t, r)
				p := newRun(n, v.T, v.B, v.lengths, v.resets, r)
				p.toInitial = v.toInitial
				t.Run(fmt.Sprintf("T=%d B=%d lengths=%v resets=%t", v.T, v.B, v.lengths, v.resets), func(t *testing.T) { f(t, m, p, r) })
			}
		})
	}
}

// TestNetworks compares Stream and Tape with float64.
func TestNetworks(t *testing.T) {
	plain, steep := new(errs), &errs{steep: 9}
	forEachRun(t, func(t *testing.T, m model, p *run, _ *Rand) {
		worst := plain
		if p.norm != NoLayerNorm { // which divides by what may be little
			worst = steep
		}
		cfg := p.reference()
		params := cfg.NewParams()
		require.Len(t, m.Params(), len(params))
		for i, q := range m.Params() {
			require.Equal(t, params[i].Name, q.Name)
			require.Equal(t, params[i].Shape, q.Shape)
			copy(params[i].Data, kerneltest.Float64s(q.Data))
		}
		kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
			wide := kerneltest.Float64s
			batch := reference.Batch{T: p.T, B: p.B, X: wide(p.x), H0: wide(p.h0), C0: wide(p.c0),
				Lengths: p.lengths, Reset: p.reset, ResetToInitial: p.toInitial}
			forward := func(pass *reference.Pass) {
				t.Helper()
				worst.value(t, "y", pass.Out, p.y)
				worst.value(t, "hn", pass.HN, p.hn)
				worst.value(t, "cn", pass.CN, p.cn)
				worst.value(t, "HAll", pass.HAll, p.hAll)
				worst.value(t, "CAll", pass.CAll, p.cAll)
				worst.value(t, "Last", pass.Last, p.last)
			}
			batch.ZoneoutH, batch.ZoneoutC = constant(p.zoneoutH, p.T*p.states), constant(p.zoneoutC, p.T*p.cells)
			p.stream(m.NewStream(p.B))
			forward(reference.Forward(cfg, params, batch))

			tape := m.NewTape(p.T+1, p.B)
			p.tape(tape)
			p.masks(&batch, tape)
			pass := reference.Forward(cfg, params, batch)
			forward(pass)
			grads := pass.Backward(wide(p.dy), wide(p.dhn), wide(p.dcn))
			worst.grad(t, "dx", grads.DX, p.dx)
			if p.toInitial {
				kernels.Add(p.dh0, p.dh0, p.dResetH)
				kernels.Add(p.dc0, p.dc0, p.dResetC)
			}
			worst.grad(t, "dh0", grads.DH0, p.dh0)
			worst.grad(t, "dc0", grads.DC0, p.dc0)
			for i, q := range m.Params() {
				worst.grad(t, q.Name, grads.Params[i].Data, p.grads[i])
			}
		})
	})
	t.Logf("largest errors: forward %.1e, gradients %.1e; with layer norm %.1e, %.1e", plain.forward, plain.gradient, steep.forward, steep.gradient)
}

// constant returns n times p, or nothing for 0.
func constant(p float64, n int) []float64 {
	if p == 0 {
		return nil
	}
	return slices.Repeat([]float64{p}, n)
}

// masks gives the reference what the tape drew.
func (p *run) masks(in *reference.Batch, tape *Tape) {
	plan := &tape.plan
	caller := func(x series) []float64 { // [T,B,cols]
		y := make([]float32, p.T*p.B*x.cols)
		to := newSeries(y, p.T, p.B, x.cols, false)
		for t := range plan.steps {
			plan.scatter(to, t, x.at(t), plan.rows(t))
		}
		return kerneltest.Float64s(y)
	}
	in.ZoneoutH, in.ZoneoutC = nil, nil
	for k := range tape.layers {
		l := &tape.layers[k]
		if l.mask.data != nil {
			in.Masks = append(in.Masks, caller(l.mask))
		}
		if l.xMask != nil {
			in.InputMasks = append(in.InputMasks, kerneltest.Float64s(l.xMask))
		}
		for _, s := range l.dirs {
			if s.hMask != nil {
				in.RecurrentMasks = append(in.RecurrentMasks, kerneltest.Float64s(s.hMask)...)
			}
			if s.zone != nil {
				in.ZoneoutH = append(in.ZoneoutH, caller(s.zone.zh)...)
				in.ZoneoutC = append(in.ZoneoutC, caller(s.zone.zc)...)
			}
		}
	}
}

// TestDropout compares with the dropout of PyTorch, masks and all.
func TestDropout(t *testing.T) {
	const T, B = 5, 2
	var golden struct {
		Dropout []struct {
			Kind           string
			Input          int `json:"input_size"`
			Hidden         int `json:"hidden_size"`
			Layers         int `json:"num_layers"`
			P              float64
			Bidirectional  bool
			ParamSeed      int64 `json:"param_seed"`
			MaskSeed       int64 `json:"mask_seed"`
			X, Out, HN, DX []float64
			DWHH           []float64 `json:"dweight_hh_l0"`
		}
	}
	readJSON(t, "dropout.json", &golden)
	require.Len(t, golden.Dropout, 6)
	modeOf := map[string]string{"RNN": "RNN_TANH", "LSTM": "LSTM", "GRU": "GRU"}
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, g := range golden.Dropout {
			n := network{mode: modeOf[g.Kind], I: g.Input, H: g.Hidden, L: g.Layers, bidirectional: g.Bidirectional, dropout: g.P}
			t.Run(n.String(), func(t *testing.T) {
				tape := n.build(t, NewRand(g.ParamSeed)).NewTape(T, B)
				tape.SetRand(NewRand(g.MaskSeed))
				var e errs
				y := tape.Forward(kerneltest.Float32s(g.X))
				e.value(t, "y", g.Out, y)
				e.value(t, "hn", g.HN, tape.HN())
				dy, dx := make([]float32, len(y)), make([]float32, len(g.DX))
				fill(dy, 1)
				kernels.Scale(tape.DHN(), 2, tape.HN())
				tape.Backward(dx, dy)
				e.grad(t, "dx", g.DX, dx)
				for _, q := range tape.Params() {
					if q.Name == "weight_hh_l0" {
						e.grad(t, q.Name, g.DWHH, q.Grad)
					}
				}
			})
		}
	})
}

// rowsOf returns row b of x [n,B,cols].
func rowsOf(x []float32, B, b, cols int) (r []float32) {
	for ; b*cols < len(x); b += B {
		r = append(r, x[b*cols:][:cols]...)
	}
	return r
}

// alone returns row b of the run as a run of one row without padding.
func (p *run) alone(b int) *run {
	one := *p
	one.B, one.lengths, one.reset = 1, nil, nil
	if p.lengths != nil {
		one.T = p.lengths[b]
	}
	one.states, one.cells = p.states/p.B, p.cells/p.B
	Ho := p.network.reference().Ho()
	one.x, one.dy = rowsOf(p.x, p.B, b, p.in)[:one.T*p.in], rowsOf(p.dy, p.B, b, p.out)[:one.T*p.out]
	one.h0, one.dhn = rowsOf(p.h0, p.B, b, Ho), rowsOf(p.dhn, p.B, b, Ho)
	one.c0, one.dcn = rowsOf(p.c0, p.B, b, p.H), rowsOf(p.dcn, p.B, b, p.H)
	if p.reset != nil {
		one.reset = make([]bool, one.T)
		for t := range one.reset {
			one.reset[t] = p.reset[t*p.B+b]
		}
	}
	return &one
}

// requireRow checks that row b of p is the run one, and 0 in padding.
func (p *run) requireRow(t *testing.T, b int, one *run, backward bool) {
	t.Helper()
	padded := func(name string, all, one []float32, cols int) {
		t.Helper()
		want := make([]float32, p.T*cols)
		copy(want, one)
		requireBits(t, want, rowsOf(all, p.B, b, cols), fmt.Sprintf("%s of row %d", name, b))
	}
	state := func(name string, all, one []float32, cols int) {
		t.Helper()
		requireBits(t, one, rowsOf(all, p.B, b, cols), fmt.Sprintf("%s of row %d", name, b))
	}
	Ho := p.network.reference().Ho()
	padded("y", p.y, one.y, p.out)
	state("hn", p.hn, one.hn, Ho)
	state("cn", p.cn, one.cn, p.H)
	state("Last", p.last, one.last, p.out)
	if backward {
		padded("dx", p.dx, one.dx, p.in)
		state("dh0", p.dh0, one.dh0, Ho)
		state("dc0", p.dc0, one.dc0, p.H)
	}
}

// TestNetworkBits: the bits of a row are those of the row alone, whatever is
// beside it and in its padding, in a Stream and in a Tape, time-major or not.
func TestNetworkBits(t *testing.T) {
	forEachRun(t, func(t *testing.T, m model, p *run, r *Rand) {
		if p.random() {
			t.Skip("a row alone draws other numbers")
		}
		kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
			stream, tape := m.NewStream(p.B), m.NewTape(p.T, p.B)
			p.tape(tape)
			for b := range p.B {
				one := p.alone(b)
				one.tape(m.NewTape(one.T, 1))
				p.requireRow(t, b, one, true)
				one.stream(m.NewStream(1))
				p.requireRow(t, b, one, false)
			}
			s := *p
			s.stream(stream)
			s.stream(stream) // again, for what the first call may have left
			for _, c := range [][2][]float32{{p.y, s.y}, {p.hn, s.hn}, {p.cn, s.cn}, {p.hAll, s.hAll}, {p.cAll, s.cAll}, {p.last, s.last}} {
				requireBits(t, c[0], c[1], "Stream")
			}

			other := *p
			other.network.batchFirst = !p.batchFirst
			om := other.network.build(t, nil)
			for i, q := range m.Params() {
				copy(om.Params()[i].Data, q.Data)
			}
			om.Pack()
			other.x, other.dy = slices.Clone(p.x), slices.Clone(p.dy)
			for b, n := range p.lengths {
				for i := n; i < p.T; i++ {
					fill(other.x[(i*p.B+b)*p.in:][:p.in], float32(math.NaN()))
					fill(other.dy[(i*p.B+b)*p.out:][:p.out], float32(math.NaN()))
				}
			}
			tape = om.NewTape(p.T, p.B)
			other.tape(tape)
			for i, c := range append([][2][]float32{{p.y, other.y}, {p.hn, other.hn}, {p.cn, other.cn}, {p.dx, other.dx}, {p.dh0, other.dh0}, {p.dc0, other.dc0}},
				pairs(p.grads, other.grads)...) {
				requireBits(t, c[0], c[1], fmt.Sprintf("layout and padding: %d", i))
			}
		})
	})
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

func pairs(a, b [][]float32) (p [][2][]float32) {
	for i := range a {
		p = append(p, [2][]float32{a[i], b[i]})
	}
	return p
}

// TestNetworkAllocs: no call allocates. What the runtime allocates meanwhile, once, is
// lost in the mean.
func TestNetworkAllocs(t *testing.T) {
	forEachRun(t, func(t *testing.T, m model, p *run, _ *Rand) {
		stream, tape := m.NewStream(p.B), m.NewTape(p.T, p.B)
		stream.Grow(p.T)
		tape.SetRand(NewRand(1))
		q := p.seq()
		y, dx := make([]float32, p.T*p.B*p.out), make([]float32, p.T*p.B*p.in)
		require.Zero(t, testing.AllocsPerRun(5, func() {
			stream.ForwardSeq(y, p.x, q)
			tape.ForwardSeq(p.x, q)
			tape.Backward(dx, p.dy)
		}))
	})
}

// TestSkip: steps that no gradient reaches are skipped, and nothing else changes:
// a loss at step 2 of many has the bits of one at the last of 3, and one whose
// way back is cut by a reset is right.
func TestSkip(t *testing.T) {
	const B, cut = 3, 380
	T := kerneltest.Pick(400, 400, cut+3)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, n := range []network{{mode: "LSTM", I: 2, H: 5}, {mode: "RNN_TANH", I: 2, H: 5, L: 2}, {mode: "LSTM", I: 2, H: 5, P: 3, L: 2}} {
			r := NewRand(6)
			m := n.build(t, r)
			p := newRun(n, T, B, nil, false, r)
			clear(p.dhn)
			clear(p.dcn)
			clear(p.dy[3*B*p.out:])
			q := *p
			q.T, q.x, q.dy = 3, p.x[:3*B*p.in], p.dy[:3*B*p.out]
			p.tape(m.NewTape(T, B))
			q.tape(m.NewTape(3, B))
			requireBits(t, q.dh0, p.dh0, "dh0")
			requireBits(t, q.dx, p.dx[:len(q.dx)], "dx")
			require.Equal(t, make([]float32, len(p.dx)-len(q.dx)), p.dx[len(q.dx):], "dx after the loss")
			for i := range q.grads {
				requireBits(t, q.grads[i], p.grads[i], m.Params()[i].Name)
			}

			p.dy = make([]float32, len(p.dy))
			copy(p.dy[(T-1)*B*p.out:], q.dy)
			p.reset = make([]bool, T*B)
			fillTrue(p.reset[cut*B:][:B])
			tape := m.NewTape(T, B)
			p.tape(tape)
			dirs := tape.layers[0].dirs
			rg := rangeOf(dirs, &tape.plan)
			require.Equal(t, cut, dirs[0].lo)
			require.Equal(t, cut*B/chain*chain, rg.first)
			q = *p
			q.T, q.x, q.dy = T-cut, p.x[cut*B*p.in:], p.dy[cut*B*p.out:]
			q.h0, q.c0, q.reset = make([]float32, p.states), make([]float32, p.cells), nil
			q.tape(m.NewTape(T, B))
			requireBits(t, q.dx, p.dx[cut*B*p.in:], "dx after the reset")
			require.Equal(t, make([]float32, cut*B*p.in), p.dx[:cut*B*p.in], "dx before the reset")
			var e errs
			for i := range q.grads { // other chains, so other bits
				e.grad(t, m.Params()[i].Name, kerneltest.Float64s(q.grads[i]), p.grads[i])
			}
		}
	})
}

func fillTrue(x []bool) {
	for i := range x {
		x[i] = true
	}
}

// TestCuts: however a sequence is cut into calls, the bits are the same.
func TestCuts(t *testing.T) {
	const T, B = 7, 2
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, n := range networks {
			if n.bidirectional {
				continue
			}
			n.batchFirst = false
			r := NewRand(7)
			m := n.build(t, r)
			p := newRun(n, T, B, nil, false, r)
			p.stream(m.NewStream(B))
			for cuts := range 1 << (T - 1) { // bit t: a cut after step t
				if kerneltest.Emulated() && cuts%9 > 0 {
					continue
				}
				s := m.NewStream(B)
				copy(s.H(), p.h0)
				copy(s.C(), p.c0)
				y := make([]float32, len(p.y))
				for from, to := 0, 1; to <= T; to++ {
					if to < T && cuts>>(to-1)&1 == 0 {
						continue
					}
					yt, xt := y[from*B*p.out:to*B*p.out], p.x[from*B*p.in:to*B*p.in]
					if to == from+1 {
						s.Step(yt, xt)
					} else {
						s.Forward(yt, xt)
					}
					from = to
				}
				requireBits(t, p.y, y, fmt.Sprintf("%s cut at %b", n, cuts))
				requireBits(t, p.hn, s.H(), "h")
				requireBits(t, p.cn, s.C(), "c")
			}
		}
	})
}

// FuzzNetwork: whatever the configuration, the sizes and the lengths, a Tape and
// a Stream agree, nothing panics, and finite numbers stay finite.
func FuzzNetwork(f *testing.F) {
	f.Add(uint8(2), uint8(3), uint8(5), uint8(1), uint8(2), uint8(0), uint8(4), uint8(3), uint64(0x0123))
	f.Add(uint8(3), uint8(1), uint8(17), uint8(0), uint8(1), uint8(255), uint8(9), uint8(2), uint64(0))
	f.Fuzz(func(t *testing.T, mode, I, H, P, L, flags, T, B uint8, lengths uint64) {
		n := network{mode: modes[mode%4], I: int(I%40) + 1, H: int(H%40) + 1, L: int(L%3) + 1,
			noBias: flags&1 > 0, batchFirst: flags&2 > 0, bidirectional: flags&4 > 0}
		if n.mode == "LSTM" {
			n.P = int(P) % n.H
			n.norm, n.peephole = LayerNorm(flags>>5%3), flags&8 > 0
		}
		r := NewRand(int64(lengths))
		steps, rows := int(T%20), int(B%9)+1
		var lens []int
		if flags&16 > 0 {
			for b := range rows {
				lens = append(lens, int(lengths>>(5*b)&31)%(steps+1))
			}
		}
		m := n.build(t, r)
		p := newRun(n, steps, rows, lens, lengths&1 > 0, r)
		p.tape(m.NewTape(steps, rows))
		s := *p
		s.stream(m.NewStream(rows))
		for _, c := range [][2][]float32{{p.y, s.y}, {p.hn, s.hn}, {p.cn, s.cn}, {p.hAll, s.hAll}, {p.cAll, s.cAll}, {p.last, s.last}} {
			requireBits(t, c[0], c[1], "Stream")
		}
		for _, x := range append(p.grads, p.y, p.dx, p.dh0, p.dc0) {
			for _, v := range x {
				if v-v != 0 {
					t.Fatal("not finite")
				}
			}
		}
	})
}

// TestNetworkHashes compares all networks, on sequences of different lengths, with
// the recorded bits, which all paths but the portable one share, on every
// architecture.
func TestNetworkHashes(t *testing.T) {
	want := []uint64{
		0xb1c89df112cf7725, 0xb19c8f285b9e09f8, 0x2ac6f25c4df23384, 0x907d4d0055d644a9,
		0xce92355cf1f6fcb5, 0x6bea5502a665bfeb, 0x71ecd04a7664b20a, 0x9273b4d0a91fdceb,
		0xf5467af543e8d4eb, 0x40cc4425235a3872, 0xef9cc1188f6666bb, 0x264088b9ea2a6f28,
		0xbe9fe25e94e40a8f, 0x1b1db4c41ba320d6, 0xa800199c16a3adca, 0xe0b5b63486e9b863,
		0x91e4c042e6045130, 0x9b37450ac1330204, 0xc4bebf0404393b72, 0x399fdb80895a3dd8,
		0x96ee27acf05948, 0xd8ce386e43ebe2ac, 0xc93c1851b1745f18,
	}
	for i, n := range networks {
		t.Run(n.String(), func(t *testing.T) {
			kerneltest.RequireHash(t, want[i], func() []float32 {
				r := NewRand(int64(i))
				m := n.build(t, r)
				p := newRun(n, 6, 3, []int{4, 6, 1}, true, r)
				p.tape(m.NewTape(p.T, p.B))
				return slices.Concat(append(p.grads, p.y, p.hn, p.cn, p.hAll, p.cAll, p.dx, p.dh0, p.dc0)...)
			})
		})
	}
}
