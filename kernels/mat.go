package kernels

import (
	"fmt"
	"math"
	"math/bits"
)

// A Mat is a view of a row-major matrix: row b starts at Data[b*Stride]. Stride
// may exceed the number of columns, which each function states. The elements
// between two rows are neither read nor written.
type Mat struct {
	Data   []float32
	Stride int
}

// row returns columns 0 to cols of row b.
func (m Mat) row(b, cols int) []float32 {
	if cols == 0 {
		return nil
	}
	return m.Data[b*m.Stride:][:cols]
}

// from returns the matrix that starts at column j of row b.
func (m Mat) from(b, j int) Mat { return Mat{m.Data[b*m.Stride+j:], m.Stride} }

// at returns the address of column j of row b.
func (m Mat) at(b, j int) *float32 { return &m.Data[b*m.Stride+j] }

// holds says whether m has rows of cols elements, without overflow.
func (m Mat) holds(rows, cols int) bool {
	if rows == 0 || cols == 0 {
		return true
	}
	hi, lo := bits.Mul(uint(rows-1), uint(m.Stride))
	return hi == 0 && m.Stride >= cols && lo <= uint(len(m.Data)-cols) && len(m.Data) >= cols
}

// reads checks an argument that the function fn reads.
func (m Mat) reads(fn, arg string, rows, cols int) {
	if !m.holds(rows, cols) {
		badMat(fn, arg, m, rows, cols)
	}
	raceReadMat(m, rows, cols)
}

// writes checks an argument that the function fn writes, or reads and writes.
func (m Mat) writes(fn, arg string, rows, cols int) {
	if !m.holds(rows, cols) {
		badMat(fn, arg, m, rows, cols)
	}
	raceWriteMat(m, rows, cols)
}

// reads checks a slice that the function fn reads.
func reads[F Float](fn, arg string, s []F, n int) {
	if len(s) != n {
		badLen(fn, arg, len(s), n)
	}
	raceRead(s)
}

// writes checks a slice that the function fn writes, or reads and writes.
func writes[F Float](fn, arg string, s []F, n int) {
	if len(s) != n {
		badLen(fn, arg, len(s), n)
	}
	raceWrite(s)
}

// size checks a number of rows, columns or units.
func size(fn, arg string, n int) {
	if n < 0 {
		bad(fn, arg, n, "at least 0")
	}
}

// size2 checks both and returns the number of rows to work on.
func size2(fn string, n, units int) int {
	size(fn, "n", n)
	checkUnits(fn, units)
	return rowsOf(n, units)
}

// rowsOf returns n, or 0 if there is nothing in the rows: they need no memory then,
// and may be too many to go through.
func rowsOf(n, cols int) int {
	if cols == 0 {
		return 0
	}
	return n
}

// maxUnits keeps the bytes of four gates of so many units within an int.
const maxUnits = math.MaxInt / (4 * block * 8)

func checkUnits(fn string, units int) {
	if uint(units) > maxUnits {
		badUnits(fn, units)
	}
}

//go:noinline
func badUnits(fn string, units int) {
	size(fn, "units", units)
	bad(fn, "units", units, inMemory)
}

const inMemory = "a size that fits in memory"

//go:noinline
func badLen(fn, arg string, got, want int) {
	bad(fn, "len("+arg+")", got, fmt.Sprint(want))
}

//go:noinline
func badMat(fn, arg string, m Mat, rows, cols int) {
	if m.Stride < cols {
		bad(fn, arg+".Stride", m.Stride, fmt.Sprintf("at least %d columns", cols))
	}
	bad(fn, "len("+arg+".Data)", len(m.Data), fmt.Sprintf("%d rows of %d columns at stride %d", rows, cols, m.Stride))
}

// bad is the one place where a kernel panics.
//
//go:noinline
func bad(fn, what string, got int, want string) {
	panic(fmt.Sprintf("kernels: %s: %s = %d, want %s", fn, what, got, want))
}

// maxWork bounds the elements of one call of an elementwise kernel, and so its
// time to some 50 us: assembly cannot be preempted, and a garbage collection
// waits for it.
const maxWork = 16384

// A tile is a part of a matrix: rows from row on, columns from col on.
type tile struct{ row, rows, col, cols int }

// tiles cuts a matrix in tiles of at most maxWork elements, for one call each,
// and returns the first of them:
//
//	for t := tiles(rows, cols); t.rows > 0; t = t.next(rows, cols)
//
// col is a multiple of 16, so that tiles begin at a panel's first unit. The
// compiler keeps tiles in registers, where a range function costs some 10 ns.
func tiles(rows, cols int) tile {
	if cols <= maxWork && rows <= maxWork && rows*cols <= maxWork && cols > 0 {
		return tile{rows: rows, cols: cols}
	}
	return tile{}.cut(rows, cols)
}

// cut makes t as large as it may be.
//
//go:noinline
func (t tile) cut(rows, cols int) tile {
	if cols > 0 {
		t.cols = min(maxWork, cols-t.col)
		t.rows = min(maxWork/min(maxWork, cols), rows-t.row)
	}
	return t
}

// next returns the tile that follows, which has no rows after the last one.
func (t tile) next(rows, cols int) tile {
	if t.rows == rows && t.cols == cols {
		return tile{}
	}
	return t.step(rows, cols)
}

//go:noinline
func (t tile) step(rows, cols int) tile {
	if t.col += t.cols; t.col == cols {
		t.row, t.col = t.row+t.rows, 0
	}
	return t.cut(rows, cols)
}

// of returns the address of the tile in m, which has gates columns a unit.
func (t tile) of(m Mat, gates int) *float32 { return m.at(t.row, t.col*gates) }
