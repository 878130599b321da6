package layer

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/simdrnn/simdrnn/kernels"
)

// NoPadding is the PaddingIdx of an Embedding without a padding row, None in
// PyTorch.
const NoPadding = math.MinInt

// EmbeddingConfig are the arguments of nn.Embedding. Its zero PaddingIdx is row
// 0; [DefaultEmbedding] has PyTorch's defaults.
type EmbeddingConfig struct {
	Num, Dim        int  // N and E, at least 1
	PaddingIdx      int  // the row without a gradient: 0 to N-1, -N to -1 from the end, or NoPadding
	ScaleGradByFreq bool // divide the gradient of a row by the number of ids of one Forward that name it
}

// DefaultEmbedding returns the configuration of nn.Embedding(num, dim), which
// has no padding row.
func DefaultEmbedding(num, dim int) EmbeddingConfig {
	return EmbeddingConfig{Num: num, Dim: dim, PaddingIdx: NoPadding}
}

// An Embedding is the weights of PyTorch's nn.Embedding, a table of rows:
//
//	y[i] = weight[ids[i]]
//
// Its parameter is weight [N,E]. Any number of goroutines may use it, but for
// Renorm and for those who write to Data.
//
// Ids are data, as the targets of a loss are: one outside 0 to N-1 is an error,
// not a panic. Those of sequences of different lengths are made by
// [PadSequence].
type Embedding struct {
	num, dim        int
	padding         int // the row, or -1
	scaleGradByFreq bool
	params          Params
	weight          []float32 // of the parameter
}

// NewEmbedding returns an Embedding with PyTorch's initialisation: N(0,1), then
// the padding row zero. With a nil r all is zero, for weights that will be
// loaded. The error is about cfg or, from kernels.Active, about SIMDRNN_ISA.
func NewEmbedding(cfg EmbeddingConfig, r *Rand) (*Embedding, error) {
	if _, err := kernels.Active(); err != nil {
		return nil, err
	}
	fail := func(field string, got int, want string) (*Embedding, error) {
		return nil, fmt.Errorf("layer: NewEmbedding: %s = %d, want %s", field, got, want)
	}
	padding := cfg.PaddingIdx
	switch {
	case cfg.Num < 1:
		return fail("Num", cfg.Num, "at least 1")
	case cfg.Dim < 1:
		return fail("Dim", cfg.Dim, "at least 1")
	case !fits(cfg.Dim):
		return fail("Dim", cfg.Dim, inMemory)
	case !fits(cfg.Num, cfg.Dim):
		return fail("Num", cfg.Num, inMemory)
	case padding == NoPadding:
		padding = -1
	case padding < -cfg.Num || padding >= cfg.Num:
		return fail("PaddingIdx", padding, fmt.Sprintf("%d to %d or NoPadding", -cfg.Num, cfg.Num-1))
	case padding < 0:
		padding += cfg.Num
	}
	l := &Embedding{num: cfg.Num, dim: cfg.Dim, padding: padding, scaleGradByFreq: cfg.ScaleGradByFreq}
	l.params = Params{{Name: "weight", Shape: []int{cfg.Num, cfg.Dim}, Owner: l}}
	l.params.alloc()
	l.weight = l.params[0].Data
	if r != nil {
		r.Normal(l.weight, 0, 1)
		if padding >= 0 {
			clear(l.row(l.weight, padding))
		}
	}
	return l, nil
}

// Params returns the parameter, without a gradient.
func (l *Embedding) Params() Params { return slices.Clone(l.params) }

// Pack does nothing: an Embedding has no packed copy of its weight.
func (l *Embedding) Pack() {}

// row returns row i of a matrix of E columns.
func (l *Embedding) row(m []float32, i int) []float32 { return m[i*l.dim:][:l.dim] }

// check returns the error of the first id that names no row.
func (l *Embedding) check(fn string, ids []int) error {
	for i, id := range ids {
		if uint(id) >= uint(l.num) {
			return fmt.Errorf("layer: %s: ids[%d] = %d, want 0 to %d", fn, i, id, l.num-1)
		}
	}
	return nil
}

// checkRows panics unless m has n rows of E columns.
func (l *Embedding) checkRows(fn, arg string, m []float32, n int) {
	if len(m)%l.dim != 0 || len(m)/l.dim != n {
		badLen(fn, arg, len(m), "len(ids)*E", n*l.dim)
	}
}

// Forward sets y[i] = weight[ids[i]], for ids of any shape, for example [T,B]
// and y [T,B,E]. It returns an error, and writes nothing, if an id is not 0 to
// N-1. It panics if len(y) is wrong.
func (l *Embedding) Forward(y []float32, ids []int) error {
	const fn = "Embedding.Forward"
	l.checkRows(fn, "y", y, len(ids))
	if err := l.check(fn, ids); err != nil {
		return err
	}
	l.forward(y, ids)
	return nil
}

func (l *Embedding) forward(y []float32, ids []int) {
	for i, id := range ids {
		copy(l.row(y, i), l.row(l.weight, id))
	}
}

// Renorm does what nn.Embedding with max_norm (and norm_type 2) does before each
// Forward. For every row w of the weight that ids name:
//
//	norm = float32(√Σ w²)
//	w    = float32(maxNorm/(norm + 1e-7))·w, if norm > maxNorm
//
// A row that is named twice can lose one more bit. Renorm writes to the weight:
// nobody may read it meanwhile. It returns an error, and writes nothing, if
// maxNorm is not above 0 or an id is not 0 to N-1.
func (l *Embedding) Renorm(ids []int, maxNorm float64) error {
	const fn = "Embedding.Renorm"
	if !(maxNorm > 0) {
		return fmt.Errorf("layer: %s: maxNorm = %v, want above 0", fn, maxNorm)
	}
	if err := l.check(fn, ids); err != nil {
		return err
	}
	for _, id := range ids {
		w := l.row(l.weight, id)
		if norm := float64(float32(math.Sqrt(kernels.SumSquares(w)))); norm > maxNorm {
			kernels.Scale(w, float32(maxNorm/(norm+1e-7)), w)
		}
	}
	return nil
}

// An EmbeddingTape trains an Embedding: it is the output and the gradient of one
// caller. Different EmbeddingTapes of one Embedding may run at the same time.
type EmbeddingTape struct {
	embedding *Embedding
	ids       []int // a copy of those of the last Forward; capacity maxIDs
	forwarded bool  // since the last Backward
	y         []float32
	params    Params
	count     []int // [N] ids that name a row, if ScaleGradByFreq, else nil
}

// NewTape returns an EmbeddingTape for at most maxIDs ids, with a gradient of
// zero. It panics unless maxIDs is not negative and its memory can be addressed.
// It may run beside readers of the weight.
func (l *Embedding) NewTape(maxIDs int) *EmbeddingTape {
	const fn = "Embedding.NewTape"
	switch {
	case maxIDs < 0:
		bad(fn, "maxIDs", maxIDs, "at least 0")
	case !fits(2, maxIDs, l.dim): // an id is as large as two float32
		bad(fn, "maxIDs", maxIDs, inMemory)
	}
	t := &EmbeddingTape{
		embedding: l,
		ids:       make([]int, 0, maxIDs),
		y:         make([]float32, maxIDs*l.dim),
		params:    l.params.withGrad(),
	}
	if l.scaleGradByFreq {
		t.count = make([]int, l.num)
	}
	return t
}

// Params returns the parameter of the layer with the gradient of this tape.
func (t *EmbeddingTape) Params() Params { return slices.Clone(t.params) }

// Forward takes at most maxIDs ids, as Embedding.Forward does. It returns y
// [len(ids),E], a view that is valid until the next Forward. It keeps a copy of
// ids. It returns an error, and changes nothing, if an id is not 0 to N-1. It
// panics if there are too many.
func (t *EmbeddingTape) Forward(ids []int) (y []float32, err error) {
	const fn = "EmbeddingTape.Forward"
	if maxIDs := cap(t.ids); len(ids) > maxIDs {
		bad(fn, "len(ids)", len(ids), "at most maxIDs = "+strconv.Itoa(maxIDs))
	}
	l := t.embedding
	if err := l.check(fn, ids); err != nil {
		return nil, err
	}
	t.ids, t.forwarded = append(t.ids[:0], ids...), true
	y = t.y[:len(ids)*l.dim]
	l.forward(y, ids)
	return y, nil
}

// Backward goes back through the last Forward, once, from the gradient dy
// [len(ids),E] of a loss with respect to y. In the order of the ids, and but for
// the padding row:
//
//	dWeight[ids[i]] += dy[i]
//
// With ScaleGradByFreq that is fma(1/n, dy[i], dWeight[ids[i]]), n being the
// number of ids that are ids[i]. Rows that no id names stay as they are. It
// panics if len(dy) is wrong or if there was no Forward since the last Backward.
func (t *EmbeddingTape) Backward(dy []float32) {
	const fn = "EmbeddingTape.Backward"
	l := t.embedding
	if !t.forwarded {
		bad(fn, "calls of Forward since the last Backward", 0, "1")
	}
	l.checkRows(fn, "dy", dy, len(t.ids))
	if t.count != nil {
		for _, id := range t.ids { // no others are read
			t.count[id] = 0
		}
		for _, id := range t.ids {
			t.count[id]++
		}
	}
	grad := t.params[0].Grad
	for i, id := range t.ids {
		if id == l.padding {
			continue
		}
		scale := float32(1)
		if t.count != nil {
			scale = float32(1 / float64(t.count[id]))
		}
		kernels.Axpy(l.row(grad, id), scale, l.row(dy, i)) // with 1 an addition
	}
	t.forwarded = false
}
