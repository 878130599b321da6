package layer

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"unsafe"
)

// A PackedSequence is PyTorch's: the steps of B sequences of different lengths
// without padding. Data has first all rows of step 0, those of the longest
// sequence first, then those of step 1, and so on, where shorter sequences have
// ended. Sequences of the lengths 1, 3 and 2 become
//
//	Data            x1[0] x2[0] x0[0]  x1[1] x2[1]  x1[2]
//	BatchSizes      3 2 1
//	SortedIndices   1 2 0
//	UnsortedIndices 2 0 1
//
// The layers of this package take padded data and lengths in the caller's order;
// a PackedSequence serves to exchange data with PyTorch. To wrap what a function
// of its rows gave, copy the struct and replace Data and Features.
type PackedSequence struct {
	Data       []float32 // [ΣBatchSizes,F]
	Features   int       // F, at least 1
	BatchSizes []int     // of step t: the number of sequences longer than t; not increasing

	// SortedIndices[i] is the caller's index of sequence i of Data, and
	// UnsortedIndices the inverse. Both are nil if the caller's order is that of
	// Data.
	SortedIndices, UnsortedIndices []int
}

// PackConfig are the optional arguments of pack_padded_sequence; zero values are
// PyTorch's defaults.
type PackConfig struct {
	BatchFirst bool // x is [B,T,F], else [T,B,F]
	AnyOrder   bool // sort the sequences, enforce_sorted=False; else they must stand longest first
}

// PackPadded is pack_padded_sequence: it packs the first lengths[b] steps of each
// of the B = len(lengths) sequences of x, F features a step. Those of equal
// length stay in the caller's order (PyTorch promises none).
//
// The gradient of packing is PadPacked, with padding 0, of the gradient of Data.
//
// It returns an error if there is no sequence, if len(x) is not a multiple of
// B*F, if a length is not 1 to T, or if lengths increase without AnyOrder. A
// PackedSequence has no place for a length 0; the layers have.
func PackPadded(x []float32, lengths []int, features int, cfg PackConfig) (PackedSequence, error) {
	const fn = "PackPadded"
	g, err := readGrid(fn, len(x), lengths, features, cfg.BatchFirst)
	if err != nil {
		return PackedSequence{}, err
	}
	return packSequences(fn, lengths, features, cfg.AnyOrder, func(b, t int) []float32 { return x[g.index(b, t):][:features] })
}

// PackSequence is pack_sequence: it packs whole sequences, each [T,F] with a T of
// its own, as PackPadded packs padded ones. cfg.BatchFirst does not matter.
func PackSequence(seqs [][]float32, features int, cfg PackConfig) (PackedSequence, error) {
	const fn = "PackSequence"
	lengths, err := lengthsOf(fn, seqs, features)
	if err != nil {
		return PackedSequence{}, err
	}
	return packSequences(fn, lengths, features, cfg.AnyOrder, func(b, t int) []float32 { return seqs[b][t*features:][:features] })
}

// packSequences packs the rows at (b, t).
func packSequences(fn string, lengths []int, features int, anyOrder bool, row func(b, t int) []float32) (PackedSequence, error) {
	var p PackedSequence
	if len(lengths) == 0 {
		return p, errNone(fn)
	}
	rows := 0
	for b, n := range lengths {
		if n < 1 {
			return p, badLength(fn, b, n, "at least 1")
		}
		if b > 0 && n > lengths[b-1] && !anyOrder {
			return p, badLength(fn, b, n, fmt.Sprintf("at most the %d before it, or AnyOrder", lengths[b-1]))
		}
		if rows += n; !fits(rows, features) {
			return p, badLength(fn, b, n, inMemory)
		}
	}
	order := make([]int, len(lengths))
	for b := range order {
		order[b] = b
	}
	if anyOrder {
		slices.SortStableFunc(order, func(a, b int) int { return lengths[b] - lengths[a] })
		p.SortedIndices = order
		p.UnsortedIndices = make([]int, len(order))
		for i, b := range order {
			p.UnsortedIndices[b] = i
		}
	}
	p.Features = features
	p.Data = make([]float32, 0, rows*features)
	p.BatchSizes = make([]int, lengths[order[0]])
	active := len(order)
	for t := range p.BatchSizes {
		for lengths[order[active-1]] <= t {
			active--
		}
		p.BatchSizes[t] = active
		for _, b := range order[:active] {
			p.Data = append(p.Data, row(b, t)...)
		}
	}
	return p, nil
}

// Check returns an error unless p is a PackedSequence of at least one sequence:
// batch sizes of at least 1 that do not increase, that many rows of F features,
// and, if there are indices, two inverse permutations. The functions that take a
// PackedSequence check it.
func (p PackedSequence) Check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("layer: PackedSequence: "+format, args...)
	}
	switch {
	case p.Features < 1:
		return fail("Features = %d, want at least 1", p.Features)
	case len(p.Data)%p.Features != 0:
		return fail("len(Data) = %d, want a multiple of F = %d", len(p.Data), p.Features)
	case len(p.BatchSizes) == 0:
		return fail("no BatchSizes")
	}
	rows, last := len(p.Data)/p.Features, p.BatchSizes[0]
	left := rows
	for t, n := range p.BatchSizes {
		switch {
		case n < 1:
			return fail("BatchSizes[%d] = %d, want at least 1", t, n)
		case n > last:
			return fail("BatchSizes[%d] = %d after %d, want no increase", t, n, last)
		case n > left:
			return fail("%d rows of Data, want as many as the sum of BatchSizes", rows)
		}
		last = n
		left -= n
	}
	if left != 0 {
		return fail("%d rows of Data, want %d, the sum of BatchSizes", rows, rows-left)
	}
	if p.SortedIndices == nil && p.UnsortedIndices == nil {
		return nil
	}
	B := p.BatchSizes[0]
	switch {
	case len(p.SortedIndices) != B:
		return fail("len(SortedIndices) = %d, want B = %d", len(p.SortedIndices), B)
	case len(p.UnsortedIndices) != B:
		return fail("len(UnsortedIndices) = %d, want B = %d", len(p.UnsortedIndices), B)
	}
	for i, b := range p.SortedIndices {
		if uint(b) >= uint(B) {
			return fail("SortedIndices[%d] = %d, want 0 to %d", i, b, B-1)
		}
		if u := p.UnsortedIndices[b]; u != i {
			return fail("UnsortedIndices[%d] = %d, want the %d of SortedIndices", b, u, i)
		}
	}
	return nil
}

// sequence returns the caller's index of sequence i of Data.
func (p PackedSequence) sequence(i int) int {
	if p.SortedIndices == nil {
		return i
	}
	return p.SortedIndices[i]
}

// lengths returns the lengths in the caller's order.
func (p PackedSequence) lengths() []int {
	lengths := make([]int, p.BatchSizes[0])
	for i := range lengths {
		lengths[p.sequence(i)] = sort.Search(len(p.BatchSizes), func(t int) bool { return p.BatchSizes[t] <= i })
	}
	return lengths
}

// rows yields the rows of Data, step by step, each with the caller's index b of
// its sequence.
func (p PackedSequence) rows() iter.Seq2[packedStep, []float32] {
	return func(yield func(packedStep, []float32) bool) {
		data := p.Data
		for t, n := range p.BatchSizes {
			for i := range n {
				var row []float32
				row, data = cut(data, p.Features)
				if !yield(packedStep{p.sequence(i), t}, row) {
					return
				}
			}
		}
	}
}

// packedStep is step t of sequence b.
type packedStep struct{ b, t int }

// PadConfig are the optional arguments of pad_packed_sequence and pad_sequence;
// zero values are PyTorch's defaults.
type PadConfig struct {
	BatchFirst  bool // x is [B,T,F], else [T,B,F]
	Left        bool // the padding comes before a sequence, padding_side="left", else after it
	TotalLength int  // T; 0 is the greatest length
}

// PadPacked is pad_packed_sequence: it returns padded data in the caller's order,
// and the lengths, in memory of their own.
//
// The gradient of padding is PackPadded, or the like, of the gradient of x.
//
// It returns the error of p.Check, or one if TotalLength is less than the
// greatest length.
func PadPacked(p PackedSequence, padding float32, cfg PadConfig) (x []float32, lengths []int, err error) {
	if err := p.Check(); err != nil {
		return nil, nil, err
	}
	lengths = p.lengths()
	g, x, err := newGrid("PadPacked", lengths, p.Features, padding, cfg)
	if err != nil {
		return nil, nil, err
	}
	for s, row := range p.rows() {
		copy(x[g.index(s.b, s.t+g.skip(lengths[s.b])):], row)
	}
	return x, lengths, nil
}

// UnpackSequence is unpack_sequence: it returns the sequences, each [T,F] with a T
// of its own, in the caller's order and in memory of their own. The error is that
// of p.Check.
func UnpackSequence(p PackedSequence) ([][]float32, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	seqs := newSequences[float32](p.lengths(), p.Features)
	for s, row := range p.rows() {
		copy(seqs[s.b][s.t*p.Features:], row)
	}
	return seqs, nil
}

// PadSequence is pad_sequence: it returns sequences, each [T,F] with a T of its
// own, as padded data of F features a step, and their lengths. A length 0 is
// legal. Ids for an [Embedding] have one feature, and their padding is an id,
// commonly that of the padding row.
//
// It returns an error if there is no sequence, if a sequence is not a multiple of
// F long, or if TotalLength is less than the greatest length.
func PadSequence[E any](seqs [][]E, features int, padding E, cfg PadConfig) (x []E, lengths []int, err error) {
	const fn = "PadSequence"
	if lengths, err = lengthsOf(fn, seqs, features); err != nil {
		return nil, nil, err
	}
	g, x, err := newGrid(fn, lengths, features, padding, cfg)
	if err != nil {
		return nil, nil, err
	}
	for b, n := range lengths {
		for t := range n {
			copy(x[g.index(b, t+g.skip(n)):], seqs[b][t*features:][:features])
		}
	}
	return x, lengths, nil
}

// UnpadSequence is unpad_sequence, the inverse of PadSequence with its padding on
// the right: it returns the first lengths[b] steps of each of the B =
// len(lengths) sequences of x, [B,T,F] if batchFirst and else [T,B,F], in memory
// of their own.
//
// It returns an error if there is no sequence, if len(x) is not a multiple of
// B*F, or if a length is not 0 to T.
func UnpadSequence[E any](x []E, lengths []int, features int, batchFirst bool) ([][]E, error) {
	g, err := readGrid("UnpadSequence", len(x), lengths, features, batchFirst)
	if err != nil {
		return nil, err
	}
	seqs := newSequences[E](lengths, features)
	for b, n := range lengths {
		for t := range n {
			copy(seqs[b][t*features:], x[g.index(b, t):][:features])
		}
	}
	return seqs, nil
}

// SortState returns a state h [layers,B,H], layers being L*D, of the caller's
// order in the order of Data. A layer of PyTorch does so with h_0 and c_0. It
// returns the error of p.Check, or one if len(h) is not layers*B*H.
func (p PackedSequence) SortState(h []float32, layers, hidden int) ([]float32, error) {
	return p.selectState("PackedSequence.SortState", h, layers, hidden, p.SortedIndices)
}

// UnsortState is the inverse of SortState. A layer of PyTorch does so with h_n
// and c_n.
func (p PackedSequence) UnsortState(h []float32, layers, hidden int) ([]float32, error) {
	return p.selectState("PackedSequence.UnsortState", h, layers, hidden, p.UnsortedIndices)
}

// selectState returns a copy of h whose row i of a layer is row from[i], or row
// i if from is nil.
func (p PackedSequence) selectState(fn string, h []float32, layers, hidden int, from []int) ([]float32, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	B := p.BatchSizes[0]
	switch {
	case layers < 1:
		return nil, fmt.Errorf("layer: %s: layers = %d, want at least 1", fn, layers)
	case hidden < 1:
		return nil, fmt.Errorf("layer: %s: hidden = %d, want at least 1", fn, hidden)
	case !fits(layers, B, hidden) || len(h) != layers*B*hidden:
		return nil, fmt.Errorf("layer: %s: len(h) = %d, want layers*B*H = %d*%d*%d", fn, len(h), layers, B, hidden)
	}
	s := slices.Clone(h)
	if from != nil {
		for i := range layers * B {
			copy(s[i*hidden:], h[(i-i%B+from[i%B])*hidden:][:hidden])
		}
	}
	return s, nil
}

// A padGrid is where the rows of padded data are.
type padGrid struct {
	B, T, F          int
	batchFirst, left bool
}

// index returns where the row of step t of sequence b starts.
func (g padGrid) index(b, t int) int {
	if g.batchFirst {
		return (b*g.T + t) * g.F
	}
	return (t*g.B + b) * g.F
}

// skip returns the steps before a sequence of length n.
func (g padGrid) skip(n int) int {
	if g.left {
		return g.T - n
	}
	return 0
}

// readGrid returns the grid of n elements that hold sequences of these lengths.
func readGrid(fn string, n int, lengths []int, features int, batchFirst bool) (padGrid, error) {
	g := padGrid{B: len(lengths), F: features, batchFirst: batchFirst}
	switch {
	case features < 1:
		return g, errFeatures(fn, features)
	case g.B == 0:
		return g, errNone(fn)
	case n%features != 0 || n/features%g.B != 0:
		return g, fmt.Errorf("layer: %s: len(x) = %d, want a multiple of B*F = %d*%d", fn, n, g.B, features)
	}
	g.T = n / features / g.B
	for b, length := range lengths {
		if length < 0 || length > g.T {
			return g, badLength(fn, b, length, fmt.Sprintf("0 to T = %d", g.T))
		}
	}
	return g, nil
}

// newGrid returns the grid for sequences of these lengths, and its elements, all
// padding.
func newGrid[E any](fn string, lengths []int, features int, padding E, cfg PadConfig) (padGrid, []E, error) {
	g := padGrid{len(lengths), slices.Max(lengths), features, cfg.BatchFirst, cfg.Left}
	if cfg.TotalLength != 0 {
		if cfg.TotalLength < g.T {
			return g, nil, fmt.Errorf("layer: %s: TotalLength = %d, want at least the greatest length %d", fn, cfg.TotalLength, g.T)
		}
		g.T = cfg.TotalLength
	}
	if words := max(1, int(unsafe.Sizeof(padding)+3)/4); !fits(g.T, g.B, g.F, words) { // fits counts float32
		return g, nil, fmt.Errorf("layer: %s: T*B*F = %d*%d*%d, want %s", fn, g.T, g.B, g.F, inMemory)
	}
	x := make([]E, g.T*g.B*g.F)
	for i := range x {
		x[i] = padding
	}
	return g, x, nil
}

// lengthsOf returns the lengths of sequences of F features a step.
func lengthsOf[E any](fn string, seqs [][]E, features int) ([]int, error) {
	switch {
	case features < 1:
		return nil, errFeatures(fn, features)
	case len(seqs) == 0:
		return nil, errNone(fn)
	}
	lengths := make([]int, len(seqs))
	for b, s := range seqs {
		if len(s)%features != 0 {
			return nil, fmt.Errorf("layer: %s: len(seqs[%d]) = %d, want a multiple of F = %d", fn, b, len(s), features)
		}
		lengths[b] = len(s) / features
	}
	return lengths, nil
}

// newSequences returns sequences of these lengths in one slab.
func newSequences[E any](lengths []int, features int) [][]E {
	rows := 0
	for _, n := range lengths {
		rows += n
	}
	slab := make([]E, rows*features)
	seqs := make([][]E, len(lengths))
	for b, n := range lengths {
		n *= features
		seqs[b], slab = slab[:n:n], slab[n:]
	}
	return seqs
}

func badLength(fn string, b, got int, want string) error {
	return fmt.Errorf("layer: %s: sequence %d has length %d, want %s", fn, b, got, want)
}

func errFeatures(fn string, got int) error {
	return fmt.Errorf("layer: %s: features = %d, want at least 1", fn, got)
}

func errNone(fn string) error { return fmt.Errorf("layer: %s: no sequences", fn) }
