package layer

import (
	"slices"
	"strconv"
)

// A Group steps many independent sequences of one network as one batch, which
// costs far less than one by one. Sequences join from Streams and leave to
// Streams at any time, and each Step takes those that have an input. Their bits
// depend on nobody else in the Group. One goroutine owns a Group.
type Group struct {
	s       *Stream
	x, y    []float32 // [B,I], [B,Ho]
	joined  []bool    // [B]
	lengths []int     // [B], 1 where Step takes part
	n       int       // sequences that joined
}

// NewGroup returns an empty Group for at most capacity sequences. It panics
// unless capacity is at least 1 and its memory can be addressed, or if the network
// is bidirectional.
func (r *recurrent) NewGroup(capacity int) *Group {
	fn := r.name + ".NewGroup"
	r.checkBatch(fn, "capacity", capacity)
	if r.bidirectional {
		bad(fn, "directions", 2, "1: the reverse direction needs whole sequences")
	}
	s := newStream(r, capacity)
	return &Group{
		s:       s,
		x:       make([]float32, capacity*r.input),
		y:       make([]float32, capacity*r.output()),
		joined:  make([]bool, capacity),
		lengths: make([]int, capacity),
	}
}

// Len returns the number of sequences in the Group.
func (g *Group) Len() int { return g.n }

// Cap returns the number of sequences for which the Group has room.
func (g *Group) Cap() int { return len(g.joined) }

// Join takes a sequence into the Group: it copies the state of s, a Stream of
// one row, or zeros if s is nil. The row that it returns names the sequence until
// it leaves. ok is false if the Group is full. It panics if s belongs to another
// network or has more than one row.
func (g *Group) Join(s *Stream) (row int, ok bool) {
	g.check("Group.Join", s)
	for b, used := range g.joined {
		if !used {
			g.joined[b] = true
			g.n++
			g.lengths[b] = 0
			g.move(b, s, true)
			return b, true
		}
	}
	return 0, false
}

// Leave takes a sequence out of the Group and copies its state to s, unless s is
// nil. It panics as Join does, or if row is not in the Group.
func (g *Group) Leave(row int, s *Stream) {
	const fn = "Group.Leave"
	g.check(fn, s)
	g.checkRow(fn, row)
	if s != nil {
		g.move(row, s, false)
	}
	g.joined[row], g.lengths[row] = false, 0
	g.n--
}

// X returns the input [I] of a sequence, to be written for the next Step, which
// takes only the sequences whose X was called. It panics if row is not in the
// Group.
func (g *Group) X(row int) []float32 {
	g.checkRow("Group.X", row)
	g.lengths[row] = 1
	n := g.s.r.input
	return g.x[row*n:][:n:n]
}

// Y returns the output [Ho] of a sequence in the last Step, zeros if that did not
// take it. It is valid until the next Step. It panics if row is not in the Group.
func (g *Group) Y(row int) []float32 {
	g.checkRow("Group.Y", row)
	n := g.s.r.output()
	return g.y[row*n:][:n:n]
}

// Step computes one step of the sequences whose X was called since the last
// Step, with the bits of Stream.Step.
func (g *Group) Step() {
	if slices.Contains(g.lengths, 0) {
		g.s.forward(g.y, g.x, 1, &Seq{Lengths: g.lengths})
	} else {
		g.s.Step(g.y, g.x)
	}
	clear(g.lengths)
}

func (g *Group) check(fn string, s *Stream) {
	switch {
	case s == nil:
	case s.r != g.s.r:
		panic("layer: " + fn + ": the Stream is of another network")
	case s.batch != 1:
		bad(fn, "batch of the Stream", s.batch, "1")
	}
}

func (g *Group) checkRow(fn string, row int) {
	if row < 0 || row >= len(g.joined) || !g.joined[row] {
		bad(fn, "row", row, "one that Join returned, of at most "+strconv.Itoa(len(g.joined)))
	}
}

// move copies the state of row b from s, or to it.
func (g *Group) move(b int, s *Stream, join bool) {
	for i := range g.s.scans {
		for _, c := range [...]struct {
			cols  int
			group []float32
			of    func(*Stream) []float32
		}{
			{g.s.r.hUnits(), g.s.h, (*Stream).H},
			{g.s.r.cUnits(), g.s.c, (*Stream).C},
		} {
			at := c.group[(i*g.s.batch+b)*c.cols:][:c.cols]
			switch {
			case s == nil:
				clear(at)
			case join:
				copy(at, c.of(s)[i*c.cols:])
			default:
				copy(c.of(s)[i*c.cols:][:c.cols], at)
			}
		}
	}
}
