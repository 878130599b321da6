package reference

// A state is h [Ho] and, of LSTM only, c [H] of one row, or their gradients.
type state struct{ h, c []float64 }

// A stepFunc computes one step of one row. It returns the state after x and the
// way back.
type stepFunc func(w weights, x []float64, prev state) (state, backFunc)

// A backFunc takes the gradient d of the state after a step. It adds to the
// gradients dw and returns those of x and of the state before the step.
type backFunc func(dw weights, d state) (dx []float64, dprev state)

// A Batch is what a network reads.
type Batch struct {
	T, B    int
	X       []float64   // [T,B,I]
	H0      []float64   // [L*D,B,Ho], nil means zero
	C0      []float64   // [L*D,B,H], nil means zero
	Lengths []int       // [B] steps of each row, nil means T
	Masks   [][]float64 // per layer but the last, the factors [T,B,D*Ho] of dropout; nil means 1
}

// A Pass is what a network computed.
type Pass struct {
	Out []float64 // [T,B,D*Ho], 0 past a row's length
	HN  []float64 // [L*D,B,Ho]
	CN  []float64 // [L*D,B,H], LSTM only

	cfg    Config
	params Params
	in     Batch
	back   [][]backFunc // [(L*D)*B][steps in processing order]
}

// Grads are gradients, each of the length of its original.
type Grads struct {
	DX, DH0, DC0 []float64
	Params       Params
}

// Forward runs the network. A row takes its first Lengths[b] steps only; the
// reverse direction starts at its own last step.
func Forward(cfg Config, params Params, in Batch) *Pass {
	L, D, T, B, H, Ho := cfg.L(), cfg.D(), in.T, in.B, cfg.Hidden, cfg.Ho()
	checkLen("X", len(in.X), T*B*cfg.Input)
	p := &Pass{
		HN:     orZero("H0", in.H0, L*D*B*Ho),
		cfg:    cfg,
		params: params,
		in:     in,
		back:   make([][]backFunc, L*D*B),
	}
	if cfg.Kind == LSTM {
		p.CN = orZero("C0", in.C0, L*D*B*H)
	}
	x := in.X
	for k := range L {
		y := make([]float64, T*B*D*Ho)
		for d := range D {
			w := cfg.weights(params, k, d)
			for b := range B {
				kdb := (k*D+d)*B + b
				s := p.stateOf(p.HN, p.CN, kdb)
				for _, t := range p.steps(d, b) {
					var back backFunc
					s, back = kinds[cfg.Kind].step(w, row(x, T*B, t*B+b), s)
					copy(row(y, T*B*D, (t*B+b)*D+d), s.h)
					p.back[kdb] = append(p.back[kdb], back)
				}
				p.setState(p.HN, p.CN, kdb, s)
			}
		}
		if k < L-1 && in.Masks != nil {
			mul(y, in.Masks[k])
		}
		x = y
	}
	p.Out = x
	return p
}

// Backward returns the gradients of a loss, given those of Out, HN and CN; nil
// means zero.
func (p *Pass) Backward(dOut, dHN, dCN []float64) Grads {
	cfg := p.cfg
	L, D, T, B, Ho := cfg.L(), cfg.D(), p.in.T, p.in.B, cfg.Ho()
	g := Grads{DH0: orZero("dHN", dHN, len(p.HN)), Params: cfg.NewParams()}
	if cfg.Kind == LSTM {
		g.DC0 = orZero("dCN", dCN, len(p.CN))
	}
	dy := orZero("dOut", dOut, len(p.Out))
	for k := L - 1; k >= 0; k-- {
		in := D * Ho
		if k == 0 {
			in = cfg.Input
		}
		dx := make([]float64, T*B*in)
		for d := range D {
			dw := cfg.weights(g.Params, k, d)
			for b := range B {
				kdb := (k*D+d)*B + b
				ds := p.stateOf(g.DH0, g.DC0, kdb)
				steps := p.steps(d, b)
				for i := len(steps) - 1; i >= 0; i-- {
					t := steps[i]
					add(ds.h, row(dy, T*B*D, (t*B+b)*D+d))
					var dxt []float64
					dxt, ds = p.back[kdb][i](dw, ds)
					add(row(dx, T*B, t*B+b), dxt)
				}
				p.setState(g.DH0, g.DC0, kdb, ds)
			}
		}
		if k > 0 && p.in.Masks != nil {
			mul(dx, p.in.Masks[k-1])
		}
		dy = dx
	}
	g.DX = dy
	return g
}

// steps returns the steps of row b in direction d in the order of processing.
func (p *Pass) steps(d, b int) []int {
	n := p.in.T
	if p.in.Lengths != nil {
		n = p.in.Lengths[b]
	}
	ts := make([]int, n)
	for i := range ts {
		ts[i] = i
		if d == 1 {
			ts[i] = n - 1 - i
		}
	}
	return ts
}

// stateOf returns a copy of row kdb = (k*D+d)*B+b of h and c, or of their
// gradients.
func (p *Pass) stateOf(h, c []float64, kdb int) state {
	n := len(p.back)
	s := state{h: append([]float64(nil), row(h, n, kdb)...)}
	if c != nil {
		s.c = append([]float64(nil), row(c, n, kdb)...)
	}
	return s
}

// setState writes s to row kdb of h and c.
func (p *Pass) setState(h, c []float64, kdb int, s state) {
	n := len(p.back)
	copy(row(h, n, kdb), s.h)
	if c != nil {
		copy(row(c, n, kdb), s.c)
	}
}

// row returns row i of the n rows of x.
func row(x []float64, n, i int) []float64 {
	size := len(x) / n
	return x[i*size : (i+1)*size]
}

// orZero returns a copy of x, or n zeros for nil.
func orZero(name string, x []float64, n int) []float64 {
	y := make([]float64, n)
	if x != nil {
		checkLen(name, len(x), n)
		copy(y, x)
	}
	return y
}
