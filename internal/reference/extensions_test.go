package reference

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The forward direction of the extensions, computed by others: peepholes in two
// directions with lengths by ONNX Runtime 1.32 (its gates i, o, f, c reordered),
// in float32, and both forms of layer norm by NumPy, in float64.
func TestExtensionsGolden(t *testing.T) {
	var golden map[string]struct {
		T, B, Input, Hidden    int
		Lengths                []int
		X, H0, C0, Out, HN, CN []float64
		Params                 map[string][]float64
	}
	readJSON(t, "extension_cases.json", &golden)
	cases := []struct {
		name string
		cfg  Config
		tol  float64
	}{
		{"peephole", Config{Kind: LSTM, Bidirectional: true, Peephole: true}, 1e-6},
		{"layer norm A", Config{Kind: LSTM, LayerNorm: LayerNormA}, 1e-14},
		{"layer norm B", Config{Kind: LSTM, LayerNorm: LayerNormB}, 1e-14},
	}
	require.Len(t, golden, len(cases))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := golden[c.name]
			c.cfg.Input, c.cfg.Hidden = g.Input, g.Hidden
			ps := c.cfg.NewParams()
			require.Len(t, ps, len(g.Params))
			for _, p := range ps {
				require.Len(t, g.Params[p.Name], len(p.Data), p.Name)
				copy(p.Data, g.Params[p.Name])
			}
			p := Forward(c.cfg, ps, Batch{T: g.T, B: g.B, X: g.X, H0: g.H0, C0: g.C0, Lengths: g.Lengths})
			cmp := comparison{t: t, tol: c.tol}
			cmp.check("out", g.Out, p.Out)
			cmp.check("hn", g.HN, p.HN)
			cmp.check("cn", g.CN, p.CN)
			t.Logf("largest relative error %.1e", cmp.worst)
		})
	}
}

// One step of two units by hand: W_ih x is 0, 1, .. 7, whose layer norm is
// (j-3.5)/sqrt(5.25+1e-5); from zero state, i g is s and the layer norm of
// s is (s-mean)/sqrt(var+1e-5), the same distance above and below 0.
func TestLayerNormByHand(t *testing.T) {
	const std = 2.291290028 // sqrt(5.25+1e-5)
	sig := func(j float64) float64 { return 1 / (1 + math.Exp(-(j-3.5)/std)) }
	s := [2]float64{sig(0) * math.Tanh(0.5/std), sig(1) * math.Tanh(1.5/std)}
	half := (s[1] - s[0]) / 2
	n := half / math.Sqrt(half*half+1e-5)
	for form, c := range map[LayerNorm][]float64{LayerNormA: s[:], LayerNormB: {-n, n}} {
		t.Run(form.String(), func(t *testing.T) {
			cfg := Config{Kind: LSTM, Input: 1, Hidden: 2, LayerNorm: form}
			ps := cfg.NewParams()
			copy(ps.Get("weight_ih_l0"), []float64{0, 1, 2, 3, 4, 5, 6, 7})
			for _, gain := range []string{"weight_ln_ih_l0", "weight_ln_hh_l0", "weight_ln_c_l0"} {
				for i := range ps.Get(gain) {
					ps.Get(gain)[i] = 1
				}
			}
			p := Forward(cfg, ps, Batch{T: 1, B: 1, X: []float64{1}})
			require.InDeltaSlice(t, c, p.CN, 1e-9)
			require.InDeltaSlice(t, []float64{sig(6) * math.Tanh(-n), sig(7) * math.Tanh(n)}, p.HN, 1e-9)
		})
	}
}

// Parameters have the names and shapes that the product has.
func TestParams(t *testing.T) {
	plain := []string{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}
	gains := []string{"weight_ln_ih_l0", "weight_ln_hh_l0", "weight_ln_c_l0"}
	formA := slices.Concat(plain, gains, []string{"bias_ln_c_l0"})
	formB := slices.Concat(plain[:2], gains, []string{"bias_ln_ih_l0", "bias_ln_hh_l0", "bias_ln_c_l0"})
	noBias := slices.Concat(plain[:2], gains, []string{"bias_ln_c_l0"})
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, plain},
		{Config{NoBias: true}, plain[:2]},
		{Config{Peephole: true}, append(plain, "weight_peephole_l0")},
		{Config{LayerNorm: LayerNormA}, formA},
		{Config{LayerNorm: LayerNormA, NoBias: true}, noBias},
		{Config{LayerNorm: LayerNormB}, formB},
		{Config{LayerNorm: LayerNormB, NoBias: true}, formB},
		{Config{LayerNorm: LayerNormB, Proj: 1, Peephole: true},
			slices.Concat(plain[:2], []string{"weight_hr_l0"}, formB[2:], []string{"weight_peephole_l0"})},
	} {
		c.cfg.Kind, c.cfg.Input, c.cfg.Hidden = LSTM, 3, 2
		ps := c.cfg.NewParams()
		var names []string
		shapes := map[string][]int{
			"weight_ih_l0": {8, 3}, "weight_hh_l0": {8, c.cfg.Ho()}, "weight_hr_l0": {1, 2}, "weight_peephole_l0": {6},
			"weight_ln_c_l0": {2}, "bias_ln_c_l0": {2},
		}
		for _, p := range ps {
			names = append(names, p.Name)
			want, ok := shapes[p.Name]
			if !ok {
				want = []int{8}
			}
			require.Equal(t, want, p.Shape, p.Name)
		}
		require.Equal(t, c.want, names)
	}
	for _, cfg := range []Config{{Peephole: true}, {LayerNorm: LayerNormA}, {Proj: 1}} {
		cfg.Kind, cfg.Input, cfg.Hidden = GRU, 3, 2
		require.Panics(t, func() { cfg.NewParams() })
	}
}

// eachCell runs f with every cell in two layers of one direction or both.
func eachCell(t *testing.T, bidirectional bool, f func(t *testing.T, rnd *rand.Rand, cfg Config)) {
	for i, cfg := range cells {
		t.Run(describe(cfg), func(t *testing.T) {
			cfg.Input, cfg.Hidden, cfg.Layers, cfg.Bidirectional = 3, 4, 2, bidirectional
			f(t, rand.New(rand.NewPCG(11, uint64(i))), cfg)
		})
	}
}

// requireGrads compares the gradients of parameters.
func requireGrads(t *testing.T, want, got Params) {
	t.Helper()
	c := comparison{t: t, tol: 1e-13}
	for i, q := range want {
		c.check("d "+q.Name, q.Data, got[i].Data)
	}
}

// A sequence with a reset equals two sequences, from zero or from the given
// initial state.
func TestResetIsTwoSequences(t *testing.T) {
	const T, B, r = 5, 1, 2
	for _, initial := range []bool{false, true} {
		eachCell(t, false, func(t *testing.T, rnd *rand.Rand, cfg Config) {
			p := newProblem(rnd, cfg, Batch{T: T, B: B, Reset: make([]bool, T), ResetToInitial: initial})
			p.in.Reset[r] = true
			whole, grads := p.forward(), p.grads()

			at, out := r*cfg.Input, r*cfg.Ho()
			first, second := *p, *p
			first.in = Batch{T: r, B: B, X: p.in.X[:at], H0: p.in.H0, C0: p.in.C0}
			first.dOut, first.dHN, first.dCN = p.dOut[:out], nil, nil
			second.in = Batch{T: T - r, B: B, X: p.in.X[at:]}
			second.dOut = p.dOut[out:]
			if initial {
				second.in.H0, second.in.C0 = p.in.H0, p.in.C0
			}
			require.Equal(t, whole.Out, slices.Concat(first.forward().Out, second.forward().Out))
			require.Equal(t, whole.HN, second.forward().HN)
			require.Equal(t, whole.CN, second.forward().CN)

			d1, d2 := first.grads(), second.grads()
			require.Equal(t, grads.DX, slices.Concat(d1.DX, d2.DX))
			if initial { // DH0 sums over the starts
				add(d1.DH0, d2.DH0)
				add(d1.DC0, d2.DC0)
			}
			require.Equal(t, grads.DH0, d1.DH0)
			require.Equal(t, grads.DC0, d1.DC0)
			for i, q := range d1.Params {
				add(q.Data, d2.Params[i].Data)
			}
			requireGrads(t, d1.Params, grads.Params)
		})
	}
}

// The reverse direction with a reset at t is the forward direction on the
// sequence from its end, with a reset at the same step.
func TestResetInReverse(t *testing.T) {
	const T = 4
	for i, cfg := range cells {
		t.Run(describe(cfg), func(t *testing.T) {
			cfg.Input, cfg.Hidden, cfg.Bidirectional = 3, 4, true
			rnd := rand.New(rand.NewPCG(12, uint64(i)))
			p := newProblem(rnd, cfg, Batch{T: T, B: 1, Reset: []bool{false, true, false, false}})
			half := cfg
			half.Bidirectional = false
			ps := half.NewParams()
			for j := range ps {
				copy(ps[j].Data, p.ps.Get(ps[j].Name+"_reverse"))
			}
			flipped := Batch{T: T, B: 1, Reset: []bool{false, false, true, false}, H0: row(p.in.H0, 2, 1), C0: row(p.in.C0, 2, 1)}
			for s := range T {
				flipped.X = append(flipped.X, row(p.in.X, T, T-1-s)...)
			}
			both, alone := p.forward(), Forward(half, ps, flipped)
			require.Equal(t, alone.HN, row(both.HN, 2, 1))
			for s := range T {
				require.Equal(t, row(alone.Out, T, s), row(both.Out, 2*T, 2*(T-1-s)+1))
			}
		})
	}
}

// A reset before the first step hides the initial state, and one past a row's
// length does nothing.
func TestResetAtTheEnds(t *testing.T) {
	eachCell(t, true, func(t *testing.T, rnd *rand.Rand, cfg Config) {
		p := newProblem(rnd, cfg, Batch{T: 3, B: 2, Lengths: []int{1, 2}, Reset: []bool{true, false, true, false, true, true}})
		d := p.grads()
		LD := cfg.L() * cfg.D()
		for kd := range LD {
			require.Equal(t, make([]float64, cfg.Ho()), row(d.DH0, LD*2, kd*2))
			require.NotEqual(t, make([]float64, cfg.Ho()), row(d.DH0, LD*2, kd*2+1))
		}
		plain := *p
		plain.in.Reset = []bool{true, false, false, false, false, false}
		require.Equal(t, plain.forward().Out, p.forward().Out)
		require.Equal(t, plain.grads(), d)
	})
}

// filled returns n times v.
func filled(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

func TestZoneout(t *testing.T) {
	const T, B = 3, 2
	eachCell(t, true, func(t *testing.T, rnd *rand.Rand, cfg Config) {
		p := newProblem(rnd, cfg, Batch{T: T, B: B})
		LD, BHo := cfg.L()*cfg.D(), B*cfg.Ho()
		zoned := func(zh, zc float64) *problem {
			q := *p
			q.in.ZoneoutH, q.in.ZoneoutC = filled(LD*T*BHo, zh), filled(LD*T*B*cfg.Hidden, zc)
			return &q
		}

		none := zoned(0, 0)
		require.Equal(t, p.forward().Out, none.forward().Out)
		require.Equal(t, p.grads(), none.grads())

		all := zoned(1, 1)
		pass, d := all.forward(), all.grads()
		require.Equal(t, p.in.H0, pass.HN)
		require.Equal(t, p.in.C0, pass.CN)
		for kd := range LD {
			for s := range T {
				require.Equal(t, row(p.in.H0, LD, kd), row(pass.HAll, LD*T, kd*T+s))
			}
		}
		require.Equal(t, make([]float64, len(p.in.X)), d.DX)
		require.Equal(t, p.dCN, d.DC0)
		for _, q := range d.Params {
			require.Equal(t, make([]float64, len(q.Data)), q.Data, q.Name)
		}

		// Inference mixes with the probability. h' comes from c' before zoneout.
		const ph, pc = 0.3, 0.2
		step := *p
		step.cfg.Layers, step.cfg.Bidirectional = 1, false
		step.in.T, step.in.X, step.in.H0, step.in.C0 = 1, p.in.X[:B*cfg.Input], p.in.H0[:BHo], p.in.C0[:min(len(p.in.C0), B*cfg.Hidden)]
		want := step.forward()
		step.in.ZoneoutH, step.in.ZoneoutC = filled(BHo, ph), filled(B*cfg.Hidden, pc)
		got := step.forward()
		for i, h := range want.HN {
			require.Equal(t, ph*step.in.H0[i]+(1-ph)*h, got.HN[i])
		}
		for i, c := range want.CN {
			require.Equal(t, pc*step.in.C0[i]+(1-pc)*c, got.CN[i])
		}
	})
}

// With one mask for all rows, variational dropout equals scaled columns of the
// weights; not for the h that GRU carries.
func TestVariationalDropoutScalesColumns(t *testing.T) {
	const T, B = 3, 2
	eachCell(t, true, func(t *testing.T, rnd *rand.Rand, cfg Config) {
		p := newProblem(rnd, cfg, Batch{T: T, B: B})
		masked, scaled := *p, *p
		scaled.ps = cfg.NewParams()
		scales := map[string][]float64{}
		for k := range cfg.L() {
			mask := normals(rnd, cfg.in(k), 1)
			masked.in.InputMasks = append(masked.in.InputMasks, slices.Repeat(mask, B))
			for d := range cfg.D() {
				scales["weight_ih"+suffix(k, d)] = mask
				rec := normals(rnd, cfg.Ho(), 1)
				masked.in.RecurrentMasks = append(masked.in.RecurrentMasks, slices.Repeat(rec, B)...)
				scales["weight_hh"+suffix(k, d)] = rec
			}
		}
		for i, q := range p.ps {
			copy(scaled.ps[i].Data, product(q.Data, scales[q.Name]))
		}
		c := comparison{t: t, tol: 1e-13}
		c.check("out", scaled.forward().Out, masked.forward().Out)
		c.check("hn", scaled.forward().HN, masked.forward().HN)
		want, got := scaled.grads(), masked.grads()
		c.check("dx", want.DX, got.DX)
		c.check("dh0", want.DH0, got.DH0)
		for i, q := range want.Params {
			want.Params[i].Data = product(q.Data, scales[q.Name])
		}
		requireGrads(t, want.Params, got.Params)
	})
}

func TestZeroPeepholeIsLSTM(t *testing.T) {
	for _, cfg := range cells {
		if cfg.Kind != LSTM || cfg.Peephole {
			continue
		}
		t.Run(describe(cfg), func(t *testing.T) {
			cfg.Input, cfg.Hidden, cfg.Layers, cfg.Bidirectional = 3, 4, 2, true
			p := newProblem(rand.New(rand.NewPCG(13, 1)), cfg, Batch{T: 3, B: 2})
			with := *p
			with.cfg.Peephole = true
			with.ps = with.cfg.NewParams()
			for _, q := range p.ps {
				copy(with.ps.Get(q.Name), q.Data)
			}
			require.Equal(t, p.forward().Out, with.forward().Out)
			d := with.grads()
			require.Equal(t, p.grads().DX, d.DX)
			for _, q := range p.grads().Params {
				require.Equal(t, q.Data, d.Params.Get(q.Name), q.Name)
			}
		})
	}
}

// The histories hold the states of every step: a sequence that ends at step s
// ends with them, and those of the last layer are Out.
func TestHistories(t *testing.T) {
	const T, B = 4, 2
	lengths := []int{4, 2}
	eachCell(t, false, func(t *testing.T, rnd *rand.Rand, cfg Config) {
		p := newProblem(rnd, cfg, Batch{T: T, B: B, Lengths: lengths})
		drawMasks(rnd, cfg, &p.in)
		pass := p.forward()
		require.Equal(t, pass.Out, row(pass.HAll, cfg.L(), cfg.L()-1))
		for s := range T {
			part := p.in
			part.T, part.X = s+1, p.in.X[:(s+1)*B*cfg.Input]
			part.Masks = [][]float64{p.in.Masks[0][:(s+1)*B*cfg.Ho()]}
			part.Lengths = []int{s + 1, min(s+1, lengths[1])}
			end := Forward(cfg, p.ps, part)
			for k := range cfg.L() {
				for b := range B {
					i, kb := (k*T+s)*B+b, k*B+b
					h, c := row(end.HN, cfg.L()*B, kb), row(end.CN, cfg.L()*B, kb)
					if s >= lengths[b] {
						h, c = make([]float64, len(h)), slices.Clone(c)
						clear(c)
					}
					require.Equal(t, h, row(pass.HAll, cfg.L()*T*B, i))
					require.Equal(t, c, row(pass.CAll, cfg.L()*T*B, i))
				}
			}
		}
	})
}

// Last is h_n of the last layer in one direction. In both, its reverse half has
// read one step only. Its gradient is that of Out there.
func TestLast(t *testing.T) {
	const T, B = 4, 3
	for _, bidirectional := range []bool{false, true} {
		eachCell(t, bidirectional, func(t *testing.T, rnd *rand.Rand, cfg Config) {
			p := newProblem(rnd, cfg, Batch{T: T, B: B, Lengths: []int{3, 0, 4}})
			dLast := normals(rnd, B*cfg.D()*cfg.Ho(), 1)
			pass := p.forward()
			for b, n := range p.in.Lengths {
				want := make([]float64, cfg.D()*cfg.Ho())
				if n > 0 {
					want = row(pass.Out, T*B, (n-1)*B+b)
					top := (cfg.L() - 1) * cfg.D()
					require.Equal(t, row(pass.HN, cfg.L()*cfg.D()*B, top*B+b), row(pass.Last, B*cfg.D(), b*cfg.D()))
				}
				require.Equal(t, want, row(pass.Last, B, b))
			}
			require.Equal(t, dot(pass.Last, dLast), dot(pass.Out, pass.LastBackward(dLast)))
		})
	}
}

func TestEmbedding(t *testing.T) {
	const V, E = 4, 2
	W := []float64{0, 1, 2, 3, 4, 5, 6, 7}
	ids := []int{3, 1, 3, 0}
	require.Equal(t, []float64{6, 7, 2, 3, 6, 7, 0, 1}, EmbeddingForward(ids, W, E))

	dy := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	for padding, want := range map[int][]float64{
		-1: {8, 9, 4, 5, 1, 1, 7, 9},
		0:  {1, 1, 4, 5, 1, 1, 7, 9},
		3:  {8, 9, 4, 5, 1, 1, 1, 1},
	} {
		dW := filled(V*E, 1)
		EmbeddingBackward(dW, dy, ids, E, padding)
		require.Equal(t, want, dW, "padding %d", padding)
	}

	c := comparison{t: t, tol: 1e-8}
	dW := make([]float64, V*E)
	EmbeddingBackward(dW, dy, ids, E, -1)
	c.check("dW", numeric(func() float64 { return dot(EmbeddingForward(ids, W, E), dy) }, W), dW)
}

// A wrong length is named, before anything is computed.
func TestForwardChecks(t *testing.T) {
	cfg := Config{Kind: LSTM, Input: 2, Hidden: 3, Layers: 2}
	for name, spoil := range map[string]func(*Batch){
		"len(X)":              func(in *Batch) { in.X = in.X[1:] },
		"len(Lengths)":        func(in *Batch) { in.Lengths = []int{1, 1} },
		"Lengths[0] = 3":      func(in *Batch) { in.Lengths = []int{3} },
		"Lengths[0] = -1":     func(in *Batch) { in.Lengths = []int{-1} },
		"len(Reset)":          func(in *Batch) { in.Reset = make([]bool, 3) },
		"len(Masks)":          func(in *Batch) { in.Masks = make([][]float64, 2) },
		"len(Masks[k])":       func(in *Batch) { in.Masks = make([][]float64, 1) },
		"len(InputMasks)":     func(in *Batch) { in.InputMasks = make([][]float64, 1) },
		"len(InputMasks[k])":  func(in *Batch) { in.InputMasks = [][]float64{{1, 1}, {1, 1}} },
		"len(RecurrentMasks)": func(in *Batch) { in.RecurrentMasks = make([]float64, 3) },
		"len(ZoneoutH)":       func(in *Batch) { in.ZoneoutH = make([]float64, 6) },
		"len(ZoneoutC)":       func(in *Batch) { in.ZoneoutC = make([]float64, 6) },
		"len(H0)":             func(in *Batch) { in.H0 = make([]float64, 3) },
		"len(C0)":             func(in *Batch) { in.C0 = make([]float64, 3) },
	} {
		in := Batch{T: 2, B: 1, X: make([]float64, 4)}
		spoil(&in)
		func() {
			defer func() { require.Contains(t, recover(), name) }()
			Forward(cfg, cfg.NewParams(), in)
		}()
	}
}
