package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/simdrnn/simdrnn/internal/memory"
	"github.com/simdrnn/simdrnn/kernels"
)

// A Reduction says what becomes of the losses of rows or elements.
type Reduction int

const (
	// Mean divides the sum of the losses by the number of those that count, or
	// by the sum of their weights. It is PyTorch's default.
	Mean Reduction = iota
	// Sum adds them.
	Sum
	// None leaves them in [Seq].Losses and takes the gradient of what the caller
	// computes from them in [Seq].DLosses. The loss returned is the sum.
	None
)

// String returns PyTorch's name.
func (r Reduction) String() string {
	if r >= Mean && r <= None {
		return [...]string{"mean", "sum", "none"}[r]
	}
	return fmt.Sprintf("Reduction(%d)", int(r))
}

// A Seq is what a loss is told beyond its arguments. Forward passes the zero
// Seq.
type Seq struct {
	// Lengths [B] are the steps of each of B padded sequences, 0 to T; nil means
	// T for all. Rows n = t*B + b with t >= Lengths[b] are left out: whatever
	// stands there, NaN too, changes nothing, their losses and gradients are 0
	// and the mean is that of the other rows.
	Lengths []int
	// BatchFirst says that the row of step t and sequence b is b*T + t.
	BatchFirst bool
	// Losses, unless nil, is set to the loss of each row or element, with its
	// weight and before the reduction; 0 where it is left out. It must not
	// overlap another argument.
	Losses []float32
	// DLosses is the gradient with respect to each of Losses; nil means ones. It
	// needs the reduction None. It must not overlap another argument that is
	// written.
	DLosses []float32
}

// A method names a method of a loss, or a function.
type method struct{ loss, name string }

func (m method) String() string {
	if m.name == "" {
		return m.loss
	}
	return m.loss + "." + m.name
}

// bad is where a loss panics on a number.
//
//go:noinline
func (m method) bad(what string, got int, want string) {
	panic(fmt.Sprintf("train: %v: %s = %d, want %s", m, what, got, want))
}

// length checks an argument that has n elements, in letters dims.
func (m method) length(arg string, got int, dims string, n int) {
	if got != n {
		m.badLen(arg, got, dims, n)
	}
}

//go:noinline
func (m method) badLen(arg string, got int, dims string, n int) {
	m.bad("len("+arg+")", got, fmt.Sprintf("%s = %d", dims, n))
}

// apart panics if the memory that a call writes is also what it reads.
func (m method) apart(dst string, d []float32, src string, s []float32) {
	if memory.Overlap(d, s) {
		m.badOverlap(dst, src)
	}
}

//go:noinline
func (m method) badOverlap(dst, src string) {
	panic(fmt.Sprintf("train: %v: %s and %s overlap, want memory of their own", m, dst, src))
}

// check panics unless s fits to rows, whose losses are n, in letters dims.
func (s *Seq) check(m method, r Reduction, rows int, dims string, n int) {
	if s.Losses != nil {
		m.length("Losses", len(s.Losses), dims, n)
	}
	if s.DLosses != nil {
		m.length("DLosses", len(s.DLosses), dims, n)
		if r != None {
			m.bad("len(DLosses)", n, "nil with the reduction "+r.String())
		}
	}
	if s.Lengths == nil {
		return
	}
	B := len(s.Lengths)
	if B == 0 && rows > 0 || B > 0 && rows%B != 0 {
		m.bad("len(Lengths)", B, fmt.Sprintf("B, a divisor of T*B = %d", rows))
	}
	for b, n := range s.Lengths {
		if n < 0 || n > rows/B {
			m.bad(fmt.Sprintf("Lengths[%d]", b), n, fmt.Sprintf("0 to T = %d", rows/B))
		}
	}
}

// has says whether row i of so many rows counts.
func (s *Seq) has(i, rows int) bool { return s.Lengths == nil || s.inside(i, rows) }

func (s *Seq) inside(i, rows int) bool {
	B := len(s.Lengths)
	if s.BatchFirst {
		T := rows / B
		return i%T < s.Lengths[i/T]
	}
	return i/B < s.Lengths[i%B]
}

// count returns the number of rows that count.
func (s *Seq) count(rows int) (n int) {
	if s.Lengths == nil {
		return rows
	}
	for _, l := range s.Lengths {
		n += l
	}
	return n
}

// set stores the loss of row or element i.
func (s *Seq) set(i int, loss float64) {
	if s.Losses != nil {
		s.Losses[i] = float32(loss)
	}
}

// upstream returns the gradient with respect to the loss of row i.
func (s *Seq) upstream(i int) float64 {
	if s.DLosses == nil {
		return 1
	}
	return float64(s.DLosses[i])
}

// maxLen bounds the slices that a loss allocates: 2^47 bytes, or what half an
// int32 counts.
const maxLen = min(math.MaxInt/8, 1<<45)

// badField is the error about a field of a config.
func badField(field string, got any, want string) error {
	return fmt.Errorf("%s = %v, want %s", field, got, want)
}

// checkSize is about a number that the size of a slice follows from.
func checkSize(field string, n, most int) error {
	switch {
	case n < 1:
		return badField(field, n, "at least 1")
	case n > most:
		return badField(field, n, "a size that fits in memory")
	}
	return nil
}

func (r Reduction) check() error {
	if r < Mean || r > None {
		return badField("Reduction", int(r), "Mean, Sum or None")
	}
	return nil
}

// checkWeights is about optional weights of n classes or features.
func checkWeights(field string, w []float32, n int) error {
	if w != nil && len(w) != n {
		return badField("len("+field+")", len(w), fmt.Sprintf("%d or nil", n))
	}
	for i, v := range w {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return badField(fmt.Sprintf("%s[%d]", field, i), v, "at least 0 and finite")
		}
	}
	return nil
}

// classRows is what losses of rows of C classes have in common.
type classRows struct {
	loss      string // the name of the type
	classes   int
	weight    []float32 // [C], nil: ones
	ignore    []int
	reduction Reduction
}

// newClassRows checks its arguments and copies the slices.
func newClassRows(loss string, classes int, weight []float32, ignore []int, r Reduction) (classRows, error) {
	for _, err := range []error{
		checkSize("Classes", classes, maxLen),
		r.check(),
		checkWeights("Weight", weight, classes),
	} {
		if err != nil {
			return classRows{}, err
		}
	}
	if _, err := kernels.Active(); err != nil {
		return classRows{}, err
	}
	if len(ignore) == 0 {
		ignore = []int{-100}
	}
	return classRows{loss, classes, slices.Clone(weight), slices.Clone(ignore), r}, nil
}

func (r *classRows) weightOf(y int) float64 {
	if r.weight == nil {
		return 1
	}
	return float64(r.weight[y])
}

// check panics unless the arguments are those of N rows. name is that of x.
func (r *classRows) check(m method, name string, dx, x []float32, N int, seq *Seq) {
	C := r.classes
	if len(x)/C != N || len(x)%C != 0 {
		m.badLen(name, len(x), "N*C", N*C)
	}
	if dx != nil && len(dx) != len(x) {
		m.badLen("d"+name, len(dx), "N*C", len(x))
	}
	seq.check(m, r.reduction, N, "N", N)
}

// counts says whether row i of N counts. Without targets (nil) no index decides.
func (r *classRows) counts(seq *Seq, targets []int, i, N int) bool {
	if targets != nil {
		for _, y := range r.ignore {
			if targets[i] == y {
				return false
			}
		}
	}
	return seq.has(i, N)
}

// A rowLoss returns the loss of row i, x, with its weight. Unless dx is nil, it
// is set to g times the gradient. dx may be x.
type rowLoss func(dx, x []float32, i int, g float64) float64

// indexed is a loss of rows of x with a class index each.
func (r *classRows) indexed(m method, name string, dx, x []float32, targets []int, seq *Seq, row rowLoss) (loss float32, n int, err error) {
	N := len(targets)
	r.check(m, name, dx, x, N, seq)
	var weights float64
	for i, y := range targets {
		if !r.counts(seq, targets, i, N) {
			continue
		}
		if uint(y) >= uint(r.classes) {
			return 0, 0, fmt.Errorf("train: %v: targets[%d] = %d, want 0 to %d", m, i, y, r.classes-1)
		}
		n++
		weights += r.weightOf(y)
	}
	return r.rows(dx, x, targets, N, weights, seq, row), n, nil
}

// rows adds the losses of the rows that count and reduces them. weights is what
// the mean divides by; if that is 0, the mean is.
func (r *classRows) rows(dx, x []float32, targets []int, N int, weights float64, seq *Seq, row rowLoss) float32 {
	var total float64
	C, scale, none := r.classes, 1.0, false
	if r.reduction == Mean {
		if none = weights == 0; !none {
			scale = 1 / weights
		}
	}
	for i := range N {
		var drow []float32
		if dx != nil {
			drow = dx[i*C:][:C]
		}
		var l float64
		if !none && r.counts(seq, targets, i, N) {
			l = row(drow, x[i*C:][:C], i, scale*seq.upstream(i))
		} else {
			clear(drow)
		}
		seq.set(i, l)
		total += l
	}
	return float32(total * scale)
}

// weigh returns w*loss, where a weight of 0 makes 0 of an infinite loss.
func weigh(w, loss float64) float64 {
	if w == 0 && math.IsInf(loss, 0) {
		return 0
	}
	return float64(w * loss) // rounded, as it may be inlined before a sum
}
