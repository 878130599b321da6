package main

import (
	"fmt"
	"math"
)

// harmonics is the number of sines and cosines that tell the time in a season.
const harmonics = 3

// data is a table made ready: divided in three parts by time, normalised by the
// first one.
//
// The features of a row are its C columns, normalised, and if there is a season
// the sines and cosines of the time in it, which are known of the future too.
type data struct {
	*table
	C, F      int
	run       []int     // see table.runs
	trainEnd  int       // rows before it are for training
	validEnd  int       // those before it for early stopping, the others for the test
	mean, std []float64 // [C] of the rows for training
	deltaStd  []float64 // [C] of the normalised change from row to row
	x         []float32 // [rows,F]
}

// minHistory is the shortest window of training.
const minHistory = 8

// newData normalises t. Of its rows the part train is for training, the part
// valid after it for validation.
func newData(t *table, train, valid float64) *data {
	d := &data{table: t, C: len(t.columns), run: t.runs()}
	d.F = d.C
	if t.period > 0 {
		d.F += 2 * harmonics
	}
	rows := t.rows()
	d.trainEnd = int(train * float64(rows))
	d.validEnd = int((train + valid) * float64(rows))

	d.mean, d.std = moments(d.C, d.trainEnd, func(i, j int) float64 { return t.row(i)[j] })
	_, d.deltaStd = moments(d.C, d.trainEnd-1, func(i, j int) float64 { return (t.row(i + 1)[j] - t.row(i)[j]) / d.std[j] })
	d.x = make([]float32, rows*d.F)
	for i := range rows {
		x := d.features(i)
		d.normalise(x, t.row(i))
		d.calendar(x[d.C:], i)
	}
	return d
}

// moments returns mean and standard deviation of n numbers a column, but for NaN.
// The deviation of a constant column is 1.
func moments(columns, n int, at func(i, j int) float64) (mean, std []float64) {
	mean, std = make([]float64, columns), make([]float64, columns)
	for j := range columns {
		var count, sum, squares float64
		for i := range n {
			if v := at(i, j); v == v {
				count++
				sum += v
			}
		}
		mean[j] = sum / max(1, count)
		for i := range n {
			if v := at(i, j) - mean[j]; v == v {
				squares += v * v
			}
		}
		std[j] = math.Sqrt(squares / max(1, count))
		if std[j] <= 1e-9*math.Abs(mean[j]) {
			std[j] = 1
		}
	}
	return mean, std
}

// features returns the features [F] of row i.
func (d *data) features(i int) []float32 { return d.x[i*d.F:][:d.F] }

// normalise sets the first features of a row with these numbers.
func (d *data) normalise(x []float32, row []float64) {
	for j, v := range row {
		x[j] = float32((v - d.mean[j]) / d.std[j])
	}
}

// calendar sets the other features of row i.
func (d *data) calendar(x []float32, i int) {
	for k := range len(x) / 2 {
		angle := 2 * math.Pi * float64(k+1) * float64(i%d.period) / float64(d.period)
		x[2*k], x[2*k+1] = float32(math.Sin(angle)), float32(math.Cos(angle))
	}
}

// origins returns the rows from, from+1, to to-1 that are the last of at least
// history complete rows and followed by ahead more.
func (d *data) origins(from, to, history, ahead int) (rows []int) {
	for o := from; o+ahead < to; o++ {
		if d.run[o] >= history && d.run[o+ahead] >= d.run[o]+ahead {
			rows = append(rows, o)
		}
	}
	return rows
}

// spread returns about n of the rows, at equal distances that visit all times of
// the season.
func (d *data) spread(rows []int, n int) (some []int) {
	step := max(1, len(rows)/n)
	for d.period > 1 && gcd(step, d.period) > 1 {
		step++
	}
	for i := 0; i < len(rows); i += step {
		some = append(some, rows[i])
	}
	return some
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// describe says in a line what there is.
func (d *data) describe() string {
	gaps := 0
	for i, n := range d.run {
		if n == 0 && (i == 0 || d.run[i-1] > 0) {
			gaps++
		}
	}
	return fmt.Sprintf("%s: %d columns, %d gaps; rows: %d for training, %d for validation, %d for the test",
		d.name, d.C, gaps, d.trainEnd, d.validEnd-d.trainEnd, d.rows()-d.validEnd)
}
