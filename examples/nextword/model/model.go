// Package model is the network of the example nextword: it reads the first two
// words of a sentence and predicts the third.
//
//	h = the last output of a recurrent layer
//	logits = h·W + b, one for each word of the vocabulary
//
// It is trained on all sentences at once with cross entropy and Adam.
package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// Sentences are what the network learns.
var Sentences = []string{
	"i like dog", "i love coffee", "i hate milk",
	"you like cat", "you love milk", "you hate coffee",
}

// Cells are what Config.Cell may be.
var Cells = []string{"rnn", "lstm", "gru"}

// T is the number of words that are read.
const T = 2

// Config are the settings of a Model.
type Config struct {
	Cell   string // one of Cells
	Hidden int    // H
	LR     float64
	Seed   int64 // the parameters are those of torch.manual_seed(Seed)
}

// A Model is the network with all that its training needs.
type Model struct {
	words   []string  // the vocabulary in order of first appearance
	x       []float32 // one-hot words [T,B,len(words)]
	targets []int     // the third words [B]

	tape   *layer.Tape
	head   *layer.LinearTape
	params layer.Params
	ce     *train.CrossEntropy
	opt    *train.Adam

	dlogits []float32 // [B,len(words)]
	dh      []float32 // [T,B,H], zero but for its last step
	dhLast  []float32 // [B,H], that step
}

// New returns a model with fresh parameters. They are drawn in the order
// recurrent layer, W, b.
func New(cfg Config) (*Model, error) {
	m := &Model{}
	m.encode()
	B, H, words := len(Sentences), cfg.Hidden, len(m.words)

	rand := layer.NewRand(cfg.Seed)
	var err error
	if m.tape, err = newTape(cfg, words, B, rand); err != nil {
		return nil, err
	}
	linear, err := layer.NewLinear(layer.LinearConfig{Input: H, Output: words}, nil)
	if err != nil {
		return nil, err
	}
	m.head = linear.NewTape(B)
	drawHead(m.head.Params(), H, words, rand)

	m.params = slices.Concat(m.tape.Params(), m.head.Params())
	if m.ce, err = train.NewCrossEntropy(train.CrossEntropyConfig{Classes: words}); err != nil {
		return nil, err
	}
	adam := train.DefaultAdam()
	adam.LR = cfg.LR
	if m.opt, err = train.NewAdam(m.params, adam); err != nil {
		return nil, err
	}
	m.dlogits = make([]float32, B*words)
	m.dh = make([]float32, T*B*H)
	m.dhLast = m.dh[(T-1)*B*H:]
	return m, nil
}

// encode numbers the words and makes inputs and targets of the sentences.
func (m *Model) encode() {
	var ids [][]int
	for _, s := range Sentences {
		var row []int
		for _, w := range strings.Fields(s) {
			id := slices.Index(m.words, w)
			if id < 0 {
				id = len(m.words)
				m.words = append(m.words, w)
			}
			row = append(row, id)
		}
		ids = append(ids, row)
	}
	B := len(ids)
	m.x = make([]float32, T*B*len(m.words))
	for b, row := range ids {
		for t, id := range row[:T] {
			m.x[(t*B+b)*len(m.words)+id] = 1
		}
		m.targets = append(m.targets, row[T])
	}
}

func newTape(cfg Config, input, B int, rand *layer.Rand) (*layer.Tape, error) {
	switch cfg.Cell {
	case "rnn":
		rnn, err := layer.NewRNN(layer.RNNConfig{Input: input, Hidden: cfg.Hidden}, rand)
		if err != nil {
			return nil, err
		}
		return rnn.NewTape(T, B), nil
	case "lstm":
		lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: input, Hidden: cfg.Hidden}, rand)
		if err != nil {
			return nil, err
		}
		return lstm.NewTape(T, B), nil
	case "gru":
		gru, err := layer.NewGRU(layer.GRUConfig{Input: input, Hidden: cfg.Hidden}, rand)
		if err != nil {
			return nil, err
		}
		return gru.NewTape(T, B), nil
	}
	return nil, fmt.Errorf("model: cell %q, want one of %s", cfg.Cell, strings.Join(Cells, ", "))
}

// drawHead draws W [H,words] and b [words] from N(0,1). A Linear layer keeps W
// transposed.
func drawHead(params layer.Params, H, words int, rand *layer.Rand) {
	w := make([]float32, H*words)
	rand.Normal(w, 0, 1)
	for i := range H {
		for j := range words {
			params[0].Data[j*H+i] = w[i*words+j]
		}
	}
	rand.Normal(params[1].Data, 0, 1)
	params.Pack()
}

// forward returns the logits [B,len(words)].
func (m *Model) forward() []float32 {
	h := m.tape.Forward(m.x)
	return m.head.Forward(h[len(h)-len(m.dhLast):])
}

// Epoch makes one training step on all sentences and returns the cost before it.
func (m *Model) Epoch() (cost float32, err error) {
	cost, _, err = m.ce.Forward(m.dlogits, m.forward(), m.targets)
	if err != nil {
		return 0, err
	}
	m.params.ZeroGrad()
	m.head.Backward(m.dhLast, m.dlogits)
	m.tape.Backward(nil, m.dh)
	m.opt.Step()
	return cost, nil
}

// Predict returns the most likely third word of each sentence.
func (m *Model) Predict() []string {
	var words []string
	for row := range slices.Chunk(m.forward(), len(m.words)) {
		best := 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		words = append(words, m.words[best])
	}
	return words
}

// Data returns what the model is trained on: one-hot words x [T,B,words] and the
// numbers of the third words [B].
func (m *Model) Data() (x []float32, targets []int) { return m.x, m.targets }

// Params returns the parameters: the recurrent layer's, then weight [words,H]
// and bias of the head.
func (m *Model) Params() layer.Params { return m.params }
