package reference

import (
	"fmt"
	"slices"
)

// A state is h [Ho] and, of LSTM only, c [H] of one row, or their gradients.
type state struct{ h, c []float64 }

// A stepFunc computes one step of one row. It returns the state after x and the
// way back.
type stepFunc func(w weights, x []float64, prev state) (state, backFunc)

// A backFunc takes the gradient d of the state after a step. It adds to the
// gradients dw and returns those of x and of the state before the step.
type backFunc func(dw weights, d state) (dx []float64, dprev state)

// A Batch is what a network reads. All slices but X may be nil.
//
// Reset starts a row anew: before it computes step t, in all layers and both
// directions, its h and c become 0, or with ResetToInitial those of H0 and C0.
// No gradient passes a reset: what has gone back to one is dropped, or with
// ResetToInitial is added to DH0 and DC0, which then sum over all starts of a
// row. The reverse direction computes step t after t+1, so there a reset at t
// parts t+1 from t, where the forward direction parts t-1 from t. A reset past
// a row's length does nothing.
//
// Masks, InputMasks and RecurrentMasks hold the factors of dropout, in training
// 0 or 1/(1-p). Those of variational dropout (Gal and Ghahramani) are the same
// at every step of a call, resets or not: InputMasks on what a layer reads, in
// both directions, RecurrentMasks on the h that W_hh multiplies. So the h in z h
// of GRU is not dropped.
//
// ZoneoutH and ZoneoutC hold the share that a state keeps from the step before,
// after projection and after a reset: in training 1 where an element was drawn
// and else 0, in inference the probability. h' of a step is computed from the c'
// before zoneout.
type Batch struct {
	T, B           int
	X              []float64   // [T,B,I]
	H0             []float64   // [L*D,B,Ho], nil means zero
	C0             []float64   // [L*D,B,H], nil means zero; LSTM only
	Lengths        []int       // [B] steps of each row, nil means T
	Reset          []bool      // [T,B]
	ResetToInitial bool        // a reset is to H0 and C0
	Masks          [][]float64 // per layer but the last, [T,B,D*Ho], on what it gives to the next one
	InputMasks     [][]float64 // per layer [B,in], in = I, above layer 0 D*Ho
	RecurrentMasks []float64   // [L*D,B,Ho]
	ZoneoutH       []float64   // [L*D,T,B,Ho]
	ZoneoutC       []float64   // [L*D,T,B,H], LSTM only
}

// check panics if a slice has a wrong length.
func (in Batch) check(cfg Config) {
	L, D, T, B, H, Ho := cfg.L(), cfg.D(), in.T, in.B, cfg.Hidden, cfg.Ho()
	optional := func(name string, got, want int) {
		if got > 0 {
			checkLen(name, got, want)
		}
	}
	checkLen("X", len(in.X), T*B*cfg.Input)
	optional("Lengths", len(in.Lengths), B)
	for b, n := range in.Lengths {
		if n < 0 || n > T {
			panic(fmt.Sprintf("reference: Lengths[%d] = %d, want 0 to %d", b, n, T))
		}
	}
	optional("Reset", len(in.Reset), T*B)
	optional("Masks", len(in.Masks), L-1)
	for _, m := range in.Masks {
		checkLen("Masks[k]", len(m), T*B*D*Ho)
	}
	optional("InputMasks", len(in.InputMasks), L)
	for k, m := range in.InputMasks {
		checkLen("InputMasks[k]", len(m), B*cfg.in(k))
	}
	optional("RecurrentMasks", len(in.RecurrentMasks), L*D*B*Ho)
	optional("ZoneoutH", len(in.ZoneoutH), L*D*T*B*Ho)
	if cfg.Kind == LSTM {
		optional("ZoneoutC", len(in.ZoneoutC), L*D*T*B*H)
	}
}

// A Pass is what a network computed.
type Pass struct {
	Out  []float64 // [T,B,D*Ho], 0 past a row's length
	Last []float64 // [B,D*Ho], Out of each row's last step, 0 for a row of none
	HN   []float64 // [L*D,B,Ho]
	CN   []float64 // [L*D,B,H], LSTM only
	HAll []float64 // [L*D,T,B,Ho] h after each step and before Masks, 0 past a row's length
	CAll []float64 // [L*D,T,B,H] the same of c, LSTM only

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
	cfg.check()
	in.check(cfg)
	L, D, T, B, H, Ho := cfg.L(), cfg.D(), in.T, in.B, cfg.Hidden, cfg.Ho()
	p := &Pass{
		HN:     orZero("H0", in.H0, L*D*B*Ho),
		HAll:   make([]float64, L*D*T*B*Ho),
		cfg:    cfg,
		params: params,
		in:     in,
		back:   make([][]backFunc, L*D*B),
	}
	if cfg.Kind == LSTM {
		p.CN = orZero("C0", in.C0, L*D*B*H)
		p.CAll = make([]float64, L*D*T*B*H)
	}
	x := in.X
	for k := range L {
		if len(in.InputMasks) > 0 {
			x = product(x, in.InputMasks[k])
		}
		y := make([]float64, T*B*D*Ho)
		for d := range D {
			w := cfg.weights(params, k, d)
			for b := range B {
				kdb := (k*D+d)*B + b
				w.hh.mask = row(in.RecurrentMasks, L*D*B, kdb)
				s := stateOf(p.HN, p.CN, L*D*B, kdb)
				fresh := s.zeros()
				if in.ResetToInitial {
					fresh = s
				}
				for _, t := range p.steps(d, b) {
					if p.resets(t, b) {
						s = fresh
					}
					all := ((k*D+d)*T+t)*B + b
					next, back := kinds[cfg.Kind].step(w, row(x, T*B, t*B+b), s)
					s, back = zoneout(stateOf(in.ZoneoutH, in.ZoneoutC, L*D*T*B, all), s, next, back)
					copy(row(y, T*B*D, (t*B+b)*D+d), s.h)
					setState(p.HAll, p.CAll, L*D*T*B, all, s)
					p.back[kdb] = append(p.back[kdb], back)
				}
				setState(p.HN, p.CN, L*D*B, kdb, s)
			}
		}
		if k < L-1 && in.Masks != nil {
			y = product(y, in.Masks[k])
		}
		x = y
	}
	p.Out = x
	p.Last = make([]float64, B*D*Ho)
	for b := range B {
		if n := p.length(b); n > 0 {
			copy(row(p.Last, B, b), row(p.Out, T*B, (n-1)*B+b))
		}
	}
	return p
}

// Backward returns the gradients of a loss, given those of Out, HN and CN; nil
// means zero.
func (p *Pass) Backward(dOut, dHN, dCN []float64) Grads {
	cfg := p.cfg
	L, D, T, B := cfg.L(), cfg.D(), p.in.T, p.in.B
	g := Grads{DH0: orZero("dHN", dHN, len(p.HN)), Params: cfg.NewParams()}
	if cfg.Kind == LSTM {
		g.DC0 = orZero("dCN", dCN, len(p.CN))
	}
	dy := orZero("dOut", dOut, len(p.Out))
	for k := L - 1; k >= 0; k-- {
		dx := make([]float64, T*B*cfg.in(k))
		for d := range D {
			dw := cfg.weights(g.Params, k, d)
			for b := range B {
				kdb := (k*D+d)*B + b
				ds := stateOf(g.DH0, g.DC0, L*D*B, kdb)
				dfresh := ds.zeros()
				steps := p.steps(d, b)
				for i := len(steps) - 1; i >= 0; i-- {
					t := steps[i]
					add(ds.h, row(dy, T*B*D, (t*B+b)*D+d))
					var dxt []float64
					dxt, ds = p.back[kdb][i](dw, ds)
					add(row(dx, T*B, t*B+b), dxt)
					if p.resets(t, b) {
						if p.in.ResetToInitial {
							addState(dfresh, ds)
						}
						ds = ds.zeros()
					}
				}
				addState(ds, dfresh)
				setState(g.DH0, g.DC0, L*D*B, kdb, ds)
			}
		}
		if len(p.in.InputMasks) > 0 {
			dx = product(dx, p.in.InputMasks[k])
		}
		if k > 0 && p.in.Masks != nil {
			dx = product(dx, p.in.Masks[k-1])
		}
		dy = dx
	}
	g.DX = dy
	return g
}

// LastBackward returns the gradient of Out, given that of Last.
func (p *Pass) LastBackward(dLast []float64) (dOut []float64) {
	T, B := p.in.T, p.in.B
	checkLen("dLast", len(dLast), len(p.Last))
	dOut = make([]float64, len(p.Out))
	for b := range B {
		if n := p.length(b); n > 0 {
			copy(row(dOut, T*B, (n-1)*B+b), row(dLast, B, b))
		}
	}
	return dOut
}

// zoneout mixes the states before and after a step, z being the share of the
// old one and nil for 0,
//
//	h' = z.h*h + (1-z.h)*h'
//
// and c alike. In the way back dh' becomes (1-z.h)*dh', and dh gets z.h*dh'
// more.
func zoneout(z, old, next state, back backFunc) (state, backFunc) {
	mix := func(z, old, next []float64) []float64 {
		if z == nil {
			return next
		}
		y := make([]float64, len(next))
		for i, v := range next {
			y[i] = z[i]*old[i] + (1-z[i])*v
		}
		return y
	}
	mixed := state{mix(z.h, old.h, next.h), mix(z.c, old.c, next.c)}

	return mixed, func(dw weights, d state) ([]float64, state) {
		zero := d.zeros()
		dx, dold := back(dw, state{mix(z.h, zero.h, d.h), mix(z.c, zero.c, d.c)})
		if z.h != nil {
			add(dold.h, product(d.h, z.h))
		}
		if z.c != nil {
			add(dold.c, product(d.c, z.c))
		}
		return dx, dold
	}
}

// length returns the number of steps of row b.
func (p *Pass) length(b int) int {
	if p.in.Lengths != nil {
		return p.in.Lengths[b]
	}
	return p.in.T
}

// resets reports whether row b starts anew before step t.
func (p *Pass) resets(t, b int) bool { return len(p.in.Reset) > 0 && p.in.Reset[t*p.in.B+b] }

// steps returns the steps of row b in direction d in the order of processing.
func (p *Pass) steps(d, b int) []int {
	n := p.length(b)
	ts := make([]int, n)
	for i := range ts {
		ts[i] = i
		if d == 1 {
			ts[i] = n - 1 - i
		}
	}
	return ts
}

// stateOf returns copies of row i of the n rows of h and c.
func stateOf(h, c []float64, n, i int) state {
	return state{h: slices.Clone(row(h, n, i)), c: slices.Clone(row(c, n, i))}
}

// setState writes s to row i of the n rows of h and c.
func setState(h, c []float64, n, i int, s state) {
	copy(row(h, n, i), s.h)
	copy(row(c, n, i), s.c)
}

// addState is dst += s.
func addState(dst, s state) {
	add(dst.h, s.h)
	add(dst.c, s.c)
}

// zeros returns the zero state of the size of s.
func (s state) zeros() state {
	return state{h: make([]float64, len(s.h)), c: make([]float64, len(s.c))}
}

// row returns row i of the n rows of x, or nil if x is empty.
func row(x []float64, n, i int) []float64 {
	if len(x) == 0 {
		return nil
	}
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
