package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
)

const (
	tolerance = 1e-5 // of outputs; whoever is further off computes something else
	ours      = 2    // of the contenders, which are the first
)

// A report is what was measured.
type report struct {
	isa, version  string
	isas          []string
	rounds        int
	sample        time.Duration
	before, after string // load averages
	titles        []string
	rows          []*row
}

// A row is a network, with a result of each contender.
type row struct {
	network
	results []*result
}

type result struct {
	difference float64 // of outputs, from those of the first
	samples    []float64
	absent     string // why
}

func (r *result) median() float64 { return timing.Median(r.samples) }

// measure takes the samples of all contenders, round by round in turn.
func (r *report) measure(networks []network, all []contender) error {
	for _, c := range all {
		r.titles = append(r.titles, c.title())
	}
	for _, n := range networks {
		row, err := enter(n, all)
		if err != nil {
			return err
		}
		r.rows = append(r.rows, row)
	}
	for round := range r.rounds {
		for _, row := range r.rows {
			if err := row.round(round, all, r.sample); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter loads a network and compares the outputs.
func enter(n network, all []contender) (*row, error) {
	t, err := newTask(n)
	if err != nil {
		return nil, err
	}
	row := &row{network: n}
	var want []float32
	for i, c := range all {
		got, err := c.load(t)
		if i == 0 {
			want = append(want, got...)
		}
		res := &result{}
		if err == nil {
			res.difference = difference(got, want)
		}
		switch {
		case i < ours && err != nil:
			return nil, fmt.Errorf("%v: %s: %w", n, c.title(), err)
		case i < ours && res.difference != 0:
			return nil, fmt.Errorf("%v: %s differs by %.2g", n, c.title(), res.difference)
		case err != nil:
			res.absent = err.Error()
		case !(res.difference <= tolerance):
			res.absent = fmt.Sprintf("wrong: its outputs differ by %.2g", res.difference)
		}
		row.results = append(row.results, res)
	}
	return row, nil
}

// difference is the largest one, infinite for a NaN.
func difference(got, want []float32) (worst float64) {
	for i, v := range want {
		d := math.Abs(float64(got[i]) - float64(v))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}

// round takes a sample of each.
func (r *row) round(round int, all []contender, sample time.Duration) error {
	for i := range all {
		i = (i + round) % len(all)
		res := r.results[i]
		if res.absent != "" {
			continue
		}
		ns, err := all[i].time(r.network, sample)
		if err != nil && i < ours {
			return err
		}
		if err != nil {
			res.absent, res.samples = err.Error(), nil
			continue
		}
		res.samples = append(res.samples, ns)
	}
	return nil
}

// write writes the table, and what stands below it.
func (r *report) write(w io.Writer) {
	var options []string
	for _, isa := range r.isas {
		options = append(options, strings.Join(isaOptions[isa], " "))
	}
	fmt.Fprintf(w, "%s/%s, %s; simdrnn on %s, RTNeural %s with -O3 %s; one thread; ns a sample: medians of %d samples of %v in turn, in parentheses their 10th percentiles; load averages %s before, %s after\n\n",
		runtime.GOOS, runtime.GOARCH, timing.CPUModel(), r.isa, r.version, strings.Join(options, " or "), r.rounds, r.sample, r.before, r.after)
	heads := []string{"Network, I = 1"}
	heads = append(heads, r.titles...)
	heads = append(heads, "Blocks ahead of the best RTNeural", "Steps ahead")
	fmt.Fprintf(w, "| %s |\n| --- |%s\n", strings.Join(heads, " | "), strings.Repeat(" ---: |", len(heads)-1))
	for _, row := range r.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	fmt.Fprintf(w, "\nLargest difference of an output from ours: %.2g.\n", r.worst())
	for _, s := range r.reasons() {
		fmt.Fprintln(w, s)
	}
}

// cells are those of a line of the table.
func (r *row) cells() []string {
	cells := []string{r.String()}
	best := math.Inf(1)
	for i, res := range r.results {
		if res.absent != "" {
			cells = append(cells, "–")
			continue
		}
		cells = append(cells, fmt.Sprintf("%s (%s)", nanoseconds(res.median()), nanoseconds(timing.Quantile(res.samples, .1))))
		if i >= ours {
			best = min(best, res.median())
		}
	}
	for _, res := range r.results[:ours] {
		if math.IsInf(best, 1) {
			cells = append(cells, "–")
			continue
		}
		cells = append(cells, fmt.Sprintf("%.2f", best/res.median()))
	}
	return cells
}

// nanoseconds are written with three digits.
func nanoseconds(ns float64) string {
	if ns < 99.95 {
		return fmt.Sprintf("%.1f", ns)
	}
	return fmt.Sprintf("%.0f", ns)
}

// worst is the largest difference of a contender that takes part.
func (r *report) worst() (worst float64) {
	for _, row := range r.rows {
		for _, res := range row.results {
			if res.absent == "" {
				worst = max(worst, res.difference)
			}
		}
	}
	return worst
}

// reasons say why results are missing, once for all networks that have the same.
func (r *report) reasons() (lines []string) {
	for i, title := range r.titles {
		var texts []string
		where := map[string][]string{}
		for _, row := range r.rows {
			text := row.results[i].absent
			if text == "" {
				continue
			}
			if where[text] == nil {
				texts = append(texts, text)
			}
			where[text] = append(where[text], row.String())
		}
		for _, text := range texts {
			line := title + " is absent"
			if n := len(where[text]); n < len(r.rows) {
				line += " at " + strings.Join(where[text], "; ")
			}
			lines = append(lines, line+": "+text)
		}
	}
	return lines
}
