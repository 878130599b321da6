package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A table is a multivariate time series at equal distances in time.
type table struct {
	name    string
	columns []string  // C of them
	data    []float64 // [rows,C]; NaN is missing
	target  int       // the column to be forecast
	period  int       // rows of a season, or 0
}

func (t *table) rows() int { return len(t.data) / len(t.columns) }

func (t *table) row(i int) []float64 {
	C := len(t.columns)
	return t.data[i*C:][:C]
}

// runs returns for each row how many rows in a row, it and those before it, have
// no missing number.
func (t *table) runs() []int {
	runs := make([]int, t.rows())
	n := 0
	for i := range runs {
		n++
		if slices.ContainsFunc(t.row(i), math.IsNaN) {
			n = 0
		}
		runs[i] = n
	}
	return runs
}

// readCSV reads a file with a header and a row for each step, and of it the named
// columns, or all if there are no names. An empty cell, NA and NaN are missing.
func readCSV(file string, columns []string) (*table, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := parseCSV(f, columns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	t.name = file
	return t, nil
}

func parseCSV(r io.Reader, columns []string) (*table, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	in.TrimLeadingSpace = true
	header, err := in.Read()
	switch {
	case err == io.EOF:
		return nil, errors.New("the file is empty, want a header and rows of numbers")
	case err != nil:
		return nil, csvError(err)
	}
	t := &table{}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // a byte order mark
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
	}
	all := slices.Clone(header)
	if t.columns = columns; columns == nil {
		t.columns = all
	}
	at, err := find(t.columns, all)
	if err != nil {
		return nil, err
	}
	for line := 2; ; line++ {
		record, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, csvError(err)
		}
		// The reader skips empty lines: with one column they are empty cells.
		for now, _ := in.FieldPos(0); line < now; line++ {
			if len(all) == 1 {
				t.data = append(t.data, math.NaN())
			}
		}
		for i, name := range t.columns {
			v, err := number(record[at[i]])
			if err != nil {
				return nil, fmt.Errorf("line %d, column %q: %w", line, name, err)
			}
			t.data = append(t.data, v)
		}
	}
	t.target = len(t.columns) - 1
	return t, nil
}

// find returns where in a header the named columns are.
func find(names, header []string) (at []int, err error) {
	for i, name := range names {
		switch n := slices.Index(header, name); {
		case name == "":
			return nil, fmt.Errorf("column %d has no name", i+1)
		case n < 0:
			return nil, fmt.Errorf("there is no column %q, want some of %s", name, strings.Join(header, ", "))
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("there are two columns %q", name)
		default:
			at = append(at, n)
		}
		if _, err := strconv.ParseFloat(name, 64); err == nil {
			return nil, fmt.Errorf("column %q is a number, want a header with names", name)
		}
	}
	return at, nil
}

// choose returns a table of the named columns.
func (t *table) choose(columns []string) (*table, error) {
	at, err := find(columns, t.columns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	c := &table{name: t.name, columns: columns, target: len(columns) - 1, period: t.period}
	for i := range t.rows() {
		for _, j := range at {
			c.data = append(c.data, t.row(i)[j])
		}
	}
	return c, nil
}

// number reads a cell.
func number(cell string) (float64, error) {
	cell = strings.TrimSpace(cell)
	switch strings.ToLower(cell) {
	case "", "na", "nan":
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is not a number", cell)
	case !(math.Abs(v) <= math.MaxFloat32):
		return 0, fmt.Errorf("%q is out of range", cell)
	}
	return v, nil
}

// csvError says where a file is not CSV.
func csvError(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return err
	}
	if errors.Is(p.Err, csv.ErrFieldCount) {
		return fmt.Errorf("line %d has not as many cells as the header", p.Line)
	}
	return fmt.Errorf("line %d: %w", p.Line, p.Err)
}

// writeCSV writes rows [n,C] under the header of t.
func (t *table) writeCSV(w io.Writer, rows []float64) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.columns); err != nil {
		return err
	}
	record := make([]string, len(t.columns))
	for row := range slices.Chunk(rows, len(t.columns)) {
		for i, v := range row {
			record[i] = ""
			if !math.IsNaN(v) {
				record[i] = strconv.FormatFloat(v, 'g', 7, 64)
			}
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
