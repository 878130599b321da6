package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// A config is all that decides what a run computes, but for its text.
type config struct {
	Cell    string  `json:"cell"`   // "lstm" or "gru"
	Embed   int     `json:"embed"`  // size of the vector of a character
	Hidden  int     `json:"hidden"` // H
	Layers  int     `json:"layers"`
	Dropout float64 `json:"dropout"` // between layers
	Groups  int     `json:"groups"`  // G, groups of streams of text that take turns
	Batch   int     `json:"batch"`   // B, parallel streams of a group
	Unroll  int     `json:"unroll"`  // T, steps that gradients go back
	Steps   int     `json:"steps"`   // of the optimizer
	Warmup  int     `json:"warmup"`  // steps in which the learning rate rises
	LR      float64 `json:"lr"`
	Beta2   float64 `json:"beta2"` // of Adam
	Clip    float64 `json:"clip"`  // norm of the gradient
	Every   int     `json:"every"`
	Valid   int     `json:"valid"` // characters of each measurement on text that is held out
	Seed    int64   `json:"seed"`
}

// defaults train for some five minutes on two cores. In runs over a million
// characters, measured in bits per character that is held out,
//
//   - 64 groups rather than 1, and pieces of text of 512 characters rather than of
//     2048, are worth about .1: steps see text from more places. Pieces of 256 are
//     worth .06 more, but leave little of a function to remember;
//   - a batch of 8, 16 or 32, with rates of 4e-3, 8e-3 and 1.4e-2, is within .05.
//     With 16, rates from 6e-3 on let rounding errors grow: two programs would not
//     agree for long;
//   - Beta2 = .99 is .03 better than .999;
//   - a GRU is .16 worse, and a forget bias of 1 no better;
//   - 128 hidden units, in the time of 256, are .03 worse.
var defaults = config{
	Cell: "lstm", Embed: 64, Hidden: 256, Layers: 1, Groups: 64, Batch: 16, Unroll: 32,
	Steps: 16000, Warmup: 200, LR: 4e-3, Beta2: .99, Clip: 1, Every: 800, Valid: 100_000, Seed: 1,
}

// recurrent is an LSTM or a GRU.
type recurrent interface {
	NewTape(maxT, batch int) *layer.Tape
	NewStream(batch int) *layer.Stream
	Params() layer.Params
}

// A network says what follows a character:
//
//	x = embedding of the character
//	h = rnn(x), which carries the text before
//	logits = head(h)
type network struct {
	cfg       config
	V         int
	embedding *layer.Embedding
	rnn       recurrent
	head      *layer.Linear
}

// newNetwork draws the weights as PyTorch does for nn.Embedding, nn.LSTM or
// nn.GRU, and nn.Linear, made in this order.
func newNetwork(cfg config, V int, rnd *layer.Rand) (*network, error) {
	n := &network{cfg: cfg, V: V}
	var err error
	if n.embedding, err = layer.NewEmbedding(layer.DefaultEmbedding(V, cfg.Embed), rnd); err != nil {
		return nil, err
	}
	switch cfg.Cell {
	case "lstm":
		n.rnn, err = layer.NewLSTM(layer.LSTMConfig{Input: cfg.Embed, Hidden: cfg.Hidden, Layers: cfg.Layers, Dropout: cfg.Dropout}, rnd)
	case "gru":
		n.rnn, err = layer.NewGRU(layer.GRUConfig{Input: cfg.Embed, Hidden: cfg.Hidden, Layers: cfg.Layers, Dropout: cfg.Dropout}, rnd)
	default:
		err = fmt.Errorf("-cell is %q, want lstm or gru", cfg.Cell)
	}
	if err != nil {
		return nil, err
	}
	if n.head, err = layer.NewLinear(layer.LinearConfig{Input: cfg.Hidden, Output: V}, rnd); err != nil {
		return nil, err
	}
	return n, nil
}

// params returns the parameters by prefix, as in the state dict of a module with
// the fields embedding, rnn and head.
func (n *network) params() map[string]layer.Params {
	return map[string]layer.Params{
		"embedding.": n.embedding.Params(), "rnn.": n.rnn.Params(), "head.": n.head.Params(),
	}
}

func (n *network) load(weights layer.StateDict) error {
	for prefix, params := range n.params() {
		if err := params.LoadStateDict(weights, prefix); err != nil {
			return err
		}
	}
	return nil
}

// A trainer is a network with all that a step of training needs.
type trainer struct {
	*network
	embed  *layer.EmbeddingTape
	tape   *layer.Tape
	out    *layer.LinearTape
	params layer.Params
	ce     *train.CrossEntropy
	opt    *train.Adam
	sched  *train.Schedule
	rand   *layer.Rand

	group           int       // whose turn it is
	h, c            []float32 // states of all groups
	dx, dh, dlogits []float32
}

// newTrainer makes the tapes and the optimizer.
func newTrainer(cfg config, V int) (*trainer, error) {
	rnd := layer.NewRand(cfg.Seed)
	net, err := newNetwork(cfg, V, rnd)
	if err != nil {
		return nil, err
	}
	N := cfg.Unroll * cfg.Batch
	t := &trainer{
		network: net,
		embed:   net.embedding.NewTape(N),
		tape:    net.rnn.NewTape(cfg.Unroll, cfg.Batch),
		out:     net.head.NewTape(N),
		rand:    rnd,
		dx:      make([]float32, N*cfg.Embed),
		dh:      make([]float32, N*cfg.Hidden),
		dlogits: make([]float32, N*V),
	}
	t.h = make([]float32, cfg.Groups*len(t.tape.H0()))
	t.c = make([]float32, cfg.Groups*len(t.tape.C0()))
	t.tape.SetRand(rnd)
	t.params = slices.Concat(t.embed.Params(), t.tape.Params(), t.out.Params())
	if t.ce, err = train.NewCrossEntropy(train.CrossEntropyConfig{Classes: V}); err != nil {
		return nil, err
	}
	adam := train.DefaultAdam()
	adam.LR, adam.Beta2 = cfg.LR, cfg.Beta2
	if t.opt, err = train.NewAdam(t.params, adam); err != nil {
		return nil, err
	}
	warmup, err := train.NewLinearLR(t.opt, 1/float64(cfg.Warmup+1), 1, max(1, cfg.Warmup))
	if err != nil {
		return nil, err
	}
	decay, err := train.NewCosineAnnealingLR(t.opt, max(1, cfg.Steps-cfg.Warmup), 0)
	if err != nil {
		return nil, err
	}
	t.sched, err = train.NewSequentialLR(t.opt, []*train.Schedule{warmup, decay}, []int{max(1, cfg.Warmup)})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// setThreads sets the number of threads of a step; its bits do not depend on it.
func (t *trainer) setThreads(n int) {
	t.tape.SetThreads(n)
	t.opt.SetThreads(n)
	t.out.SetThreads(n)
}

// step trains on the symbols x [T,B] of the group whose turn it is and those that
// follow them, y [T,B], and returns the loss before, in nats per character. The
// group goes on from the state in which its last step has left it, through which no
// gradient goes back. With one group that would be Tape.Carry.
func (t *trainer) step(x, y []int) (loss float32, err error) {
	part := func(all, of []float32) []float32 { return all[t.group*len(of):][:len(of)] }
	h, c := part(t.h, t.tape.H0()), part(t.c, t.tape.C0())
	copy(t.tape.H0(), h)
	copy(t.tape.C0(), c)
	e, err := t.embed.Forward(x)
	if err != nil {
		return 0, err
	}
	logits := t.out.Forward(t.tape.Forward(e))
	if loss, _, err = t.ce.Forward(t.dlogits, logits, y); err != nil {
		return 0, err
	}
	t.params.ZeroGrad()
	t.out.Backward(t.dh, t.dlogits)
	t.tape.Backward(t.dx, t.dh)
	t.embed.Backward(t.dx)
	copy(h, t.tape.HN())
	copy(c, t.tape.CN())
	t.group = (t.group + 1) % t.cfg.Groups
	if _, err := train.ClipGradNorm(t.params, t.cfg.Clip); err != nil {
		return 0, err
	}
	t.opt.Step()
	t.sched.Step()
	return loss, nil
}

// An evaluator measures a network on text that is held out.
type evaluator struct {
	net       *network
	text      *reader
	stream    *layer.Stream
	ce        *train.CrossEntropy
	x, h, out []float32
}

// Text is measured as evalBatch streams side by side, fewer where there is little,
// of pieces of evalPiece characters: held-out files differ so much that a few
// places would not stand for all.
const evalBatch, evalPiece = 32, 1024

// newEvaluator measures on pieces from all over valid.
func newEvaluator(n *network, valid []byte) (*evaluator, error) {
	if N := min(len(valid), n.cfg.Valid); N < len(valid) {
		pieces := (N + evalPiece - 1) / evalPiece
		var text []byte
		for i := range pieces {
			at := i * (len(valid) / pieces)
			text = append(text, valid[at:at+N/pieces]...)
		}
		valid = text
	}
	B, T := max(1, min(evalBatch, (len(valid)-1)/64)), 64
	ce, err := train.NewCrossEntropy(train.CrossEntropyConfig{Classes: n.V, Reduction: train.Sum})
	if err != nil {
		return nil, err
	}
	return &evaluator{
		net:    n,
		text:   &reader{text: valid, G: 1, B: B, T: T, x: make([]int, T*B), y: make([]int, T*B)},
		stream: n.rnn.NewStream(B),
		ce:     ce,
		x:      make([]float32, T*B*n.cfg.Embed),
		h:      make([]float32, T*B*n.cfg.Hidden),
		out:    make([]float32, T*B*n.V),
	}, nil
}

// measured returns the pieces, whose characters after the first are predicted.
func (e *evaluator) measured() []byte { return e.text.text[:1+e.text.B*e.text.length()] }

// bits returns the bits per character. Each piece begins without memory.
func (e *evaluator) bits() (float64, error) {
	e.stream.Reset()
	var nats float64
	count := 0
	for {
		x, y := e.text.next(false)
		if x == nil {
			return nats / float64(count) / math.Ln2, nil
		}
		N := len(x)
		in, h, out := e.x[:N*e.net.cfg.Embed], e.h[:N*e.net.cfg.Hidden], e.out[:N*e.net.V]
		if err := e.net.embedding.Forward(in, x); err != nil {
			return 0, err
		}
		e.stream.Forward(h, in)
		e.net.head.Forward(out, h)
		loss, _, err := e.ce.Forward(nil, out, y)
		if err != nil {
			return 0, err
		}
		nats += float64(loss)
		count += N
	}
}

// A sampler writes text, a character at a time.
type sampler struct {
	net                   *network
	stream                *layer.Stream
	rand                  *layer.Rand
	temperature           float64
	id                    []int
	x, h, logits, weights []float32
}

// newSampler returns a sampler that stands at the beginning of a file.
func newSampler(n *network, temperature float64, seed int64) *sampler {
	s := &sampler{
		net: n, stream: n.rnn.NewStream(1), rand: layer.NewRand(seed), temperature: temperature,
		id: make([]int, 1), x: make([]float32, n.cfg.Embed), h: make([]float32, n.cfg.Hidden),
		logits: make([]float32, n.V), weights: make([]float32, n.V),
	}
	s.read(border)
	return s
}

// read takes the next character of the text, and computes what may follow.
func (s *sampler) read(symbol byte) {
	s.id[0] = int(symbol)
	if err := s.net.embedding.Forward(s.x, s.id); err != nil {
		panic(err) // symbols are those of the network
	}
	s.stream.Step(s.h, s.x)
	s.net.head.Forward(s.logits, s.h)
}

// next draws a character and reads it. With probability
//
//	exp(logits[c]/temperature) / sum of all
//
// it is c; temperature 0 is the most likely one.
func (s *sampler) next() byte {
	symbol := s.draw()
	s.read(symbol)
	return symbol
}

func (s *sampler) draw() byte {
	top := kernels.Max(s.logits)
	if s.temperature == 0 {
		return byte(max(0, slices.Index(s.logits, top)))
	}
	for i, v := range s.logits {
		s.weights[i] = float32(float64(v-top) / s.temperature)
	}
	u := s.rand.Float64() * kernels.ExpSum(s.weights, s.weights, 0)
	for c, w := range s.weights {
		if u -= float64(w); u < 0 {
			return byte(c)
		}
	}
	return byte(len(s.weights) - 1)
}
