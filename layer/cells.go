package layer

import (
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/internal/memory"
	"github.com/simdrnn/simdrnn/kernels"
)

// CellConfig are the arguments of nn.LSTMCell and nn.GRUCell; zero values are
// their defaults.
type CellConfig struct {
	Input, Hidden int  // I and H, at least 1
	NoBias        bool // no bias_ih and bias_hh
}

func (c CellConfig) config() config {
	return config{input: c.Input, hidden: c.Hidden, noBias: c.NoBias, single: true}
}

// RNNCellConfig are the arguments of nn.RNNCell; zero values are its defaults.
type RNNCellConfig struct {
	Input, Hidden int          // I and H, at least 1
	Nonlinearity  Nonlinearity // Tanh or ReLU
	NoBias        bool         // no bias_ih and bias_hh
}

// An RNNCell is the weights of PyTorch's nn.RNNCell, for callers who write the
// loop over time themselves:
//
//	h = act(W_ih·x + b_ih + W_hh·hPrev + b_hh)
//
// Its parameters are weight_ih [H,I], weight_hh [H,H], bias_ih and bias_hh [H].
// Any number of goroutines may use it, but for Pack and LoadStateDict.
type RNNCell struct{ cellWeights }

// An LSTMCell is the weights of PyTorch's nn.LSTMCell, for callers who write the
// loop over time themselves: a step of [LSTM] without projection. Its parameters
// are weight_ih [4H,I], weight_hh [4H,H], bias_ih and bias_hh [4H]. Any number of
// goroutines may use it, but for Pack and LoadStateDict.
type LSTMCell struct{ cellWeights }

// NewRNNCell returns an RNNCell with the initialisation of [NewRNN], and its
// errors.
func NewRNNCell(cfg RNNCellConfig, r *Rand) (*RNNCell, error) {
	act, err := rnnCell("RNNCell", cfg.Nonlinearity)
	if err != nil {
		return nil, err
	}
	c := new(RNNCell)
	if err := c.init(c, "RNNCell", act, CellConfig{cfg.Input, cfg.Hidden, cfg.NoBias}.config(), r); err != nil {
		return nil, err
	}
	return c, nil
}

// NewLSTMCell returns an LSTMCell with the initialisation of [NewLSTM], and its
// errors.
func NewLSTMCell(cfg CellConfig, r *Rand) (*LSTMCell, error) {
	c := new(LSTMCell)
	if err := c.init(c, "LSTMCell", cell.LSTM{}, cfg.config(), r); err != nil {
		return nil, err
	}
	return c, nil
}

// A GRUCell is the weights of PyTorch's nn.GRUCell, for callers who write the
// loop over time themselves: a step of [GRU]. Its parameters are weight_ih [3H,I],
// weight_hh [3H,H], bias_ih and bias_hh [3H]. Any number of goroutines may use it,
// but for Pack and LoadStateDict.
type GRUCell struct{ cellWeights }

// NewGRUCell returns a GRUCell with the initialisation of [NewGRU], and its
// errors.
func NewGRUCell(cfg CellConfig, r *Rand) (*GRUCell, error) {
	c := new(GRUCell)
	if err := c.init(c, "GRUCell", cell.GRU{}, cfg.config(), r); err != nil {
		return nil, err
	}
	return c, nil
}

// cellWeights is one layer without a loop over time.
type cellWeights struct{ weights recurrent }

func (w *cellWeights) init(owner Packer, name string, c cell.Cell, cfg config, r *Rand) error {
	return w.weights.init(owner, name, c, cfg, r)
}

// Params returns the parameters, in PyTorch's order and without gradients.
// Call Pack after writing to their Data.
func (w *cellWeights) Params() Params { return w.weights.Params() }

// Pack makes the kernels see what was written to the Data of the parameters.
// Nobody may read the weights meanwhile.
func (w *cellWeights) Pack() { w.weights.Pack() }

// PackParts returns the number of parts of Pack, see [PartPacker].
func (w *cellWeights) PackParts() int { return w.weights.PackParts() }

// PackPart packs one part of the parameters.
func (w *cellWeights) PackPart(i int) { w.weights.PackPart(i) }

// String returns the configuration in PyTorch's form, for example
// LSTMCell(3, 4).
func (w *cellWeights) String() string { return w.weights.String() }

// NewStream returns a CellStream for steps of batch rows. It panics unless batch
// is at least 1 and its memory can be addressed.
func (w *cellWeights) NewStream(batch int) *CellStream {
	r := &w.weights
	r.checkBatch(r.name+".NewStream", "batch", batch)
	return &CellStream{r: r, batch: batch, scan: newScan(r, 0, 1, batch, batch, false)}
}

// NewTape returns a CellTape for at most maxT steps of batch rows, with zero
// gradients. It panics unless batch is at least 1, maxT is not negative, and its
// memory can be addressed. It may run beside readers of the weights.
func (w *cellWeights) NewTape(maxT, batch int) *CellTape {
	r := &w.weights
	t := &CellTape{tape: newTape(r, maxT, batch)}
	t.x = newSeries(make([]float32, maxT*batch*r.input), maxT, batch, r.input, false)
	t.hPrev = newSeries(make([]float32, maxT*batch*r.hidden), maxT, batch, r.hidden, false)
	t.cPrev = newSeries(make([]float32, maxT*batch*r.cUnits()), maxT, batch, r.cUnits(), false)
	return t
}

// A CellStream runs a cell forward: it is the scratch memory of one caller, and
// the caller holds the state. Different CellStreams of one cell may run at the
// same time.
type CellStream struct {
	r     *recurrent
	batch int
	scan  scan
}

// Step computes h [B,H] and c [B,H] from x [B,I], hPrev and cPrev, with the bits
// of a layer. h may be hPrev and c may be cPrev; beyond that h and c must not overlap
// each other or another argument. c and cPrev are empty for a cell without c. It
// panics if a length is wrong or if memory overlaps so.
func (s *CellStream) Step(h, c, x, hPrev, cPrev []float32) {
	s.r.checkStep("CellStream.Step", s.batch, h, c, x, hPrev, cPrev)
	s.scan.load(s.r, s.batch, h, c, x, hPrev, cPrev)
	s.scan.place(0)
	s.scan.step.Isolated = true
	s.r.cell.Forward(&s.scan.step)
}

// load sets the arguments of a step forward from x.
func (s *scan) load(r *recurrent, batch int, h, c, x, hPrev, cPrev []float32) {
	st, H := &s.step, r.hidden
	st.Rows = batch
	st.X, st.WX, st.Bias = kernels.Mat{Data: x, Stride: r.input}, s.wih.panels, s.bias
	st.H, st.HPrev = kernels.Mat{Data: h, Stride: H}, kernels.Mat{Data: hPrev, Stride: H}
	st.C, st.CPrev = kernels.Mat{Data: c, Stride: r.cUnits()}, kernels.Mat{Data: cPrev, Stride: r.cUnits()}
}

func (r *recurrent) checkStep(fn string, B int, h, c, x, hPrev, cPrev []float32) {
	nh, nc := B*r.hidden, B*r.cUnits()
	if len(h) == nh && len(c) == nc && len(x) == B*r.input && len(hPrev) == nh && len(cPrev) == nc &&
		!memory.Overlap(h, x) && !memory.Shifted(h, hPrev) && (nc == 0 || !memory.Overlap(h, c) &&
		!memory.Overlap(h, cPrev) && !memory.Overlap(c, x) && !memory.Overlap(c, hPrev) && !memory.Shifted(c, cPrev)) {
		return
	}
	for _, a := range [...]struct {
		arg  string
		got  int
		dims string
		n    int
	}{{"h", len(h), "B*H", nh}, {"c", len(c), "B*H", nc}, {"x", len(x), "B*I", B * r.input},
		{"hPrev", len(hPrev), "B*H", nh}, {"cPrev", len(cPrev), "B*H", nc}} {
		if a.got != a.n {
			badLen(fn, a.arg, a.got, a.dims, a.n)
		}
	}
	checkApart(fn, neighbour{"h", h, "x", x, false}, neighbour{"h", h, "hPrev", hPrev, true}, neighbour{"h", h, "c", c, false},
		neighbour{"h", h, "cPrev", cPrev, false}, neighbour{"c", c, "x", x, false}, neighbour{"c", c, "hPrev", hPrev, false},
		neighbour{"c", c, "cPrev", cPrev, true})
}

// A CellTape trains a cell in a loop of the caller's: it is the activations and
// the gradients of one caller. Forward records a step, Backward goes back through
// the last one recorded. Different CellTapes of one cell may run at the same
// time.
type CellTape struct {
	tape            *Tape
	x, hPrev, cPrev series // of all steps
	n               int    // steps recorded
	back            int    // of them, those that Backward has not gone back through
}

// Params returns the parameters of the cell with the gradients of this CellTape.
func (t *CellTape) Params() Params { return slices.Clone(t.tape.params) }

// Reset forgets all recorded steps.
func (t *CellTape) Reset() { t.n, t.back = 0, 0 }

// Forward is CellStream.Step, with its bits, and records the step: nothing that
// is passed to it need stay as it is. After the first Backward the next Forward
// begins a new record. It panics if a length is wrong, if the record is full, or
// if Backward has begun and not ended.
func (t *CellTape) Forward(h, c, x, hPrev, cPrev []float32) {
	const fn = "CellTape.Forward"
	r, B := t.tape.r, t.tape.batch
	r.checkStep(fn, B, h, c, x, hPrev, cPrev)
	if t.back == 0 {
		t.n = 0
	}
	switch {
	case t.back < t.n:
		bad(fn, "steps to go back through", t.back, "0 or "+strconv.Itoa(t.n))
	case t.n == t.tape.maxT:
		bad(fn, "steps", t.n+1, "at most maxT = "+strconv.Itoa(t.tape.maxT))
	}
	s, n := t.tape.layers[0].dirs[0], t.n
	copy(t.x.at(n).Data, x)
	copy(t.hPrev.at(n).Data, hPrev)
	copy(t.cPrev.at(n).Data, cPrev)
	s.load(r, B, h, c, x, hPrev, cPrev)
	st := &s.step
	s.place(n)
	kernels.Gemm(st.Gates, st.X, B, st.WX, st.Bias)
	st.WX = nil
	st.HPrev, st.CPrev = t.hPrev.at(n), t.cPrev.at(n) // h may be hPrev
	s.cell.ForwardTrain(st)
	copyRows(s.h.at(n+1), st.H, B, r.hidden)
	copyRows(s.c.at(n+1), st.C, B, r.cUnits())
	t.n++
	t.back = t.n
}

// Backward goes back through the last recorded step that it has not gone back
// through. It takes the gradients dh and dc [B,H] of the step's h and c. It adds
// that of hPrev to dhPrev, which so may begin as the gradient of other uses of
// that h, and sets those of cPrev and x in dcPrev and dx [B,I]. dcPrev may be dc;
// beyond that dx, dhPrev and dcPrev must not overlap each other, dh or dc. A nil dx is
// not computed; dc and dcPrev are empty for a cell without c. After the first recorded
// step it adds those of the parameters to their Grad, with the bits of a layer. It
// panics if a length is wrong, if memory overlaps so, or if no step is left.
func (t *CellTape) Backward(dx, dhPrev, dcPrev, dh, dc []float32) {
	const fn = "CellTape.Backward"
	r, B := t.tape.r, t.tape.batch
	nh, nc := B*r.hidden, B*r.cUnits()
	switch {
	case t.back == 0:
		bad(fn, "steps to go back through", 0, "at least 1")
	case dx != nil && len(dx) != B*r.input:
		badLen(fn, "dx", len(dx), "B*I", B*r.input)
	case len(dhPrev) != nh:
		badLen(fn, "dhPrev", len(dhPrev), "B*H", nh)
	case len(dcPrev) != nc:
		badLen(fn, "dcPrev", len(dcPrev), "B*H", nc)
	case len(dh) != nh:
		badLen(fn, "dh", len(dh), "B*H", nh)
	case len(dc) != nc:
		badLen(fn, "dc", len(dc), "B*H", nc)
	}
	checkApart(fn, neighbour{"dx", dx, "dhPrev", dhPrev, false}, neighbour{"dx", dx, "dcPrev", dcPrev, false}, neighbour{"dx", dx, "dh", dh, false},
		neighbour{"dx", dx, "dc", dc, false}, neighbour{"dhPrev", dhPrev, "dcPrev", dcPrev, false}, neighbour{"dhPrev", dhPrev, "dh", dh, false},
		neighbour{"dhPrev", dhPrev, "dc", dc, false}, neighbour{"dcPrev", dcPrev, "dh", dh, false}, neighbour{"dcPrev", dcPrev, "dc", dc, true})
	t.back--
	s, n, H := t.tape.layers[0].dirs[0], t.back, r.hidden
	st := &s.step
	st.Rows = B
	s.place(n)
	st.H, st.C, st.HPrev, st.CPrev = s.h.at(n+1), s.c.at(n+1), t.hPrev.at(n), t.cPrev.at(n)
	st.DH, st.DHPrev = kernels.Mat{Data: dh, Stride: H}, kernels.Mat{Data: dhPrev, Stride: H}
	copy(s.dc, dc)
	s.cell.Backward(st)
	copy(dcPrev, s.dc)
	if dx != nil {
		kernels.Gemm(kernels.Mat{Data: dx, Stride: r.input}, st.Gates, B, s.wih.transposed(), nil)
	}
	if t.back == 0 {
		p := &t.tape.plan
		p.set(&Seq{}, t.n)
		rg := stepRange{0, t.n, 0, t.n * B}
		xs, hs := t.tape.xs[0], t.tape.hs
		xs.Resize(rg.rows)
		hs.Resize(rg.rows)
		packSeries(alone, xs, t.x, true, p, rg, &t.tape.packed)
		packSeries(alone, hs, t.hPrev, true, p, rg, &t.tape.packed)
		s.addGrads(alone, xs, hs, nil, p, rg, s.sum)
	}
}
