package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// A report is all that was measured; times are in nanoseconds.
type report struct {
	Date       string            `json:"date"`
	Host       host              `json:"host"`
	Path       string            `json:"path"` // of simdrnn
	Rounds     int               `json:"rounds"`
	SampleMS   float64           `json:"sample_ms"` // the least time of a sample
	Quick      bool              `json:"quick"`
	LoadBefore string            `json:"load_before"` // averages of 1, 5 and 15 minutes
	LoadAfter  string            `json:"load_after"`
	Versions   map[string]string `json:"versions"`
	Absent     map[string]string `json:"absent"` // peers that could not be had, and why
	Rows       []*measured       `json:"rows"`
}

type host struct {
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Go   string `json:"go"`
}

// measured is a row with its results.
type measured struct {
	row        *row
	Name       string    `json:"name"`
	Threads    int       `json:"threads"`
	OurThreads int       `json:"our_threads"` // those of simdrnn, which may be fewer
	Target     float64   `json:"target,omitempty"`
	Best       string    `json:"best,omitempty"`  // peer
	Ratio      float64   `json:"ratio,omitempty"` // its time by ours
	Load       string    `json:"load"`
	Results    []*result `json:"results"`
}

// A result is what one library made of a row.
type result struct {
	Name       string    `json:"name"`
	Absent     string    `json:"absent,omitempty"` // why there is none
	Difference float64   `json:"difference"`       // of its results from ours
	Calls      int       `json:"calls"`            // in a sample
	Median     float64   `json:"median"`           // of a call
	Samples    []float64 `json:"samples"`
}

// of returns the result of a library, or nil.
func (m *measured) of(name string) *result {
	if i := slices.IndexFunc(m.Results, func(r *result) bool { return r.Name == name }); i >= 0 {
		return m.Results[i]
	}
	return nil
}

// time is the median, infinite if there is none.
func (r *result) time() float64 {
	if r.Absent != "" {
		return math.Inf(1)
	}
	return r.Median
}

func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// conclude computes what follows from the samples.
func (m *measured) conclude() {
	for _, r := range m.Results {
		if r.Absent == "" {
			r.Median = median(r.Samples)
		}
	}
	for _, r := range m.Results {
		if r.Name == ours || r.Absent != "" {
			continue
		}
		if ratio := m.ratio(r.Name); m.Best == "" || ratio < m.Ratio {
			m.Best, m.Ratio = r.Name, ratio
		}
	}
}

// ratio is the time of a peer by ours, or 0.
func (m *measured) ratio(name string) float64 {
	if r := m.of(name); r != nil && r.Absent == "" {
		return r.Median / m.of(ours).Median
	}
	return 0
}

// judged is the ratio that the target is about.
func (m *measured) judged() float64 {
	if m.row.against != "" {
		return m.ratio(m.row.against)
	}
	return m.Ratio
}

// line is m for the log.
func (m *measured) line() string {
	var s []string
	for _, r := range m.Results {
		if r.Absent != "" {
			s = append(s, r.Name+" absent")
			if strings.HasPrefix(r.Absent, "wrong") {
				s[len(s)-1] += ", " + r.Absent
			}
			continue
		}
		s = append(s, r.Name+" "+duration(r.Median))
	}
	return strings.Join(s, ", ") + fmt.Sprintf("; ratio %.2f", m.Ratio)
}

// duration writes nanoseconds with three digits.
func duration(ns float64) string {
	for _, u := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}, {"ns", 1}} {
		if v := ns / u.ns; v >= 1 || u.ns == 1 {
			decimals := 2
			switch {
			case v >= 99.95:
				decimals = 0
			case v >= 9.995:
				decimals = 1
			}
			return fmt.Sprintf("%.*f %s", decimals, v, u.name)
		}
	}
	panic("unreachable")
}

// part is a table: the rows of a group on so many threads.
type part struct {
	group   *group
	threads int
	rows    []*measured
}

// file is the name of its chart.
func (p *part) file() string {
	if p.threads == 1 {
		return p.group.name + ".svg"
	}
	return p.group.name + "-threads.svg"
}

func (p *part) title() string {
	if p.threads == 1 {
		return p.group.title + ", one thread"
	}
	return fmt.Sprintf("%s, %d threads", p.group.title, p.threads)
}

// libraries are those with a result in the part, in the order of columns.
func (p *part) libraries() (names []string) {
	order := []string{ours}
	for _, peer := range peers() {
		order = append(order, peer.name)
	}
	for _, m := range p.rows {
		for _, r := range m.Results {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(slices.Index(order, a), slices.Index(order, b)) })
	return names
}

func (r *report) parts() (all []*part) {
	var threads []int
	for _, m := range r.Rows {
		if !slices.Contains(threads, m.Threads) {
			threads = append(threads, m.Threads)
		}
	}
	for _, n := range threads {
		for _, g := range groups {
			p := &part{group: g, threads: n}
			for _, m := range r.Rows {
				if m.row.group == g && m.Threads == n {
					p.rows = append(p.rows, m)
				}
			}
			if len(p.rows) > 0 {
				all = append(all, p)
			}
		}
	}
	return all
}

// about is where, when and with what it was measured.
func (r *report) about() string {
	versions := []string{"simdrnn on " + r.Path, r.Host.Go}
	for _, k := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, k+" "+r.Versions[k])
	}
	return fmt.Sprintf("%s, %s, %d CPUs, %s; %s.", r.Date, r.Host.CPU, r.Host.CPUs, r.Host.OS, strings.Join(versions, ", "))
}

// markdown writes the tables, with the charts that stand beside the file.
func (r *report) markdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# simdrnn beside other libraries\n\n%s\n\n", r.about())
	fmt.Fprintf(out, "Load averages before %s, after %s. Medians of %d rounds, in each of which all libraries run in turn with the same "+
		"weights and inputs; a library whose results differ by more than %g takes no part. Ratio is the time of the best other library by ours, "+
		"best in bold. – is what a library does not have.\n", r.LoadBefore, r.LoadAfter, r.Rounds, tolerance)
	if r.Quick {
		fmt.Fprint(out, "\nThis was a quick run: few rows, short samples.\n")
	}
	if len(r.Absent) > 0 {
		fmt.Fprint(out, "\nAbsent:\n")
		for _, k := range slices.Sorted(maps.Keys(r.Absent)) {
			fmt.Fprintf(out, "- %s: %s\n", k, r.Absent[k])
		}
	}
	for _, p := range r.parts() {
		p.table(out, r.Absent)
	}
	return out.Flush()
}

// table writes a part. absent are the peers that could not be had at all.
func (p *part) table(w io.Writer, absent map[string]string) {
	note := p.group.note
	if n := p.rows[0].OurThreads; n < p.threads {
		note += fmt.Sprintf(" simdrnn runs on %d of the threads.", n)
	}
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n![%s](%s)\n\n", p.title(), note, p.title(), p.file())
	names := p.libraries()
	against := ""
	for _, m := range p.rows {
		against = cmp.Or(against, m.row.against)
	}
	head := append([]string{""}, names...)
	if head = append(head, "Ratio"); against != "" {
		head = append(head, "Ratio to "+against)
	}
	head = append(head, "Target", "")
	fmt.Fprintf(w, "| %s |\n| --- |%s --- |\n", strings.Join(head, " | "), strings.Repeat(" ---: |", len(head)-2))
	var notes []string
	for _, m := range p.rows {
		cells := []string{m.row.panel + ", " + m.row.label}
		best := slices.MinFunc(m.Results, func(a, b *result) int {
			return cmp.Compare(a.time(), b.time())
		})
		for _, n := range names {
			switch r := m.of(n); {
			case r == nil:
				cells = append(cells, "–")
			case r.Absent != "":
				cells = append(cells, "absent")
				if absent[n] == "" {
					notes = append(notes, fmt.Sprintf("- %s, %s: %s\n", n, m.Name, r.Absent))
				}
			case r == best:
				cells = append(cells, "**"+duration(r.Median/m.row.per())+"**")
			default:
				cells = append(cells, duration(r.Median/m.row.per()))
			}
		}
		ratio := func(v float64) string {
			if v == 0 {
				return "–"
			}
			return fmt.Sprintf("%.2f", v)
		}
		if cells = append(cells, ratio(m.Ratio)); against != "" {
			cells = append(cells, ratio(m.judged()))
		}
		verdict := ""
		switch {
		case m.Target == 0 || m.judged() == 0:
		case m.judged() >= m.Target:
			verdict = "met"
		default:
			verdict = "short"
		}
		cells = append(cells, ratio(m.Target), verdict)
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	if len(notes) > 0 {
		fmt.Fprintf(w, "\n%s", strings.Join(notes, ""))
	}
}
