package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
)

// A report is all that was measured; times are in nanoseconds.
type report struct {
	about
	Versions map[string]string `json:"versions"`
	Absent   map[string]string `json:"absent"` // peers that could not be had, and why
	Runs     []*run            `json:"runs"`
	Rows     []*measured       `json:"rows,omitempty"`
}

// about is what all runs of a report have in common.
type about struct {
	Host     host    `json:"host"`
	Path     string  `json:"path"`   // of simdrnn
	Forced   bool    `json:"forced"` // both sides are held to it
	Rounds   int     `json:"rounds"`
	SampleMS float64 `json:"sample_ms"` // the least time of a sample
	Quick    bool    `json:"quick"`
}

type host struct {
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Go   string `json:"go"`
}

// A run is one start of the program.
type run struct {
	Start      string `json:"start"`
	End        string `json:"end"`
	LoadBefore string `json:"load_before"` // averages of 1, 5 and 15 minutes
	LoadAfter  string `json:"load_after"`
	Rows       int    `json:"rows"` // measured
}

// measured is a row with its results.
type measured struct {
	row     *row
	Name    string    `json:"name"`
	Threads int       `json:"threads"`
	Time    string    `json:"time"`
	Load    string    `json:"load"`
	Peak    float64   `json:"peak,omitempty"`   // of multiply-adds, FLOP/s of a core
	Free    float64   `json:"free,omitempty"`   // CPUs before the rounds, if on several threads
	Paused  float64   `json:"paused,omitempty"` // our time of a call after a pause
	Best    string    `json:"best,omitempty"`   // peer
	Ratio   float64   `json:"ratio,omitempty"`  // its time by ours
	Results []*result `json:"results"`
}

// A result is what one library made of a row.
type result struct {
	Name       string  `json:"name"`
	Absent     string  `json:"absent,omitempty"` // why there is none
	Difference float64 `json:"difference"`       // of its results from ours
	Rounds     int     `json:"rounds"`
	Calls      int     `json:"calls"`  // in a sample
	Busy       float64 `json:"busy"`   // processors at work or spinning during a call, on average
	Median     float64 `json:"median"` // of a call
	Least      float64 `json:"least"`
	Most       float64 `json:"most"`

	Allocated *allocations `json:"allocated,omitempty"` // by a call, if that was counted

	samples []float64
	busy    float64 // sum over samples
}

// allocations are on the heap of Go.
type allocations struct {
	Count float64 `json:"count"`
	Bytes float64 `json:"bytes"`
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// digits rounds to four of them, which is what a measurement is worth.
func digits(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	return v
}

// find returns a row, or nil.
func (r *report) find(name string, threads int) *measured {
	if i := slices.IndexFunc(r.Rows, func(m *measured) bool { return m.Name == name && m.Threads == threads }); i >= 0 {
		return r.Rows[i]
	}
	return nil
}

// put adds a row, or replaces it, in the order of tables.
func (r *report) put(m *measured) {
	r.Rows = slices.DeleteFunc(r.Rows, func(o *measured) bool { return o.Name == m.Name && o.Threads == m.Threads })
	r.Rows = append(r.Rows, m)
	place := map[string]int{}
	for i, row := range rows() {
		place[row.name()] = i
	}
	slices.SortStableFunc(r.Rows, func(a, b *measured) int {
		return cmp.Or(cmp.Compare(a.Threads, b.Threads), cmp.Compare(place[a.Name], place[b.Name]))
	})
}

// encode writes JSON with a line for each row.
func (r *report) encode(w io.Writer) error {
	head := *r
	head.Rows = nil
	text, err := json.MarshalIndent(head, "", "\t")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s,\n\t\"rows\": [", strings.TrimSuffix(string(text), "\n}"))
	for i, m := range r.Rows {
		line, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprint(out, ",")
		}
		fmt.Fprintf(out, "\n\t\t%s", line)
	}
	fmt.Fprint(out, "\n\t]\n}\n")
	return out.Flush()
}

// decode reads what encode has written, with the rows of today.
func decode(text []byte) (*report, error) {
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	known := map[string]*row{}
	for _, row := range rows() {
		known[row.name()] = row
	}
	for _, m := range r.Rows {
		if m.row = known[m.Name]; m.row == nil || m.of(ours) == nil {
			return nil, fmt.Errorf("row %q is unknown, or has no result of %s", m.Name, ours)
		}
	}
	return r, nil
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

// few says that the median is of fewer samples than others, for the library is
// far behind.
func (m *measured) few(r *result) bool { return r.Rounds < m.of(ours).Rounds }

// conclude computes what follows from the samples.
func (m *measured) conclude() {
	for _, r := range m.Results {
		if r.Absent == "" {
			r.Median, r.Least, r.Most = digits(timing.Median(r.samples)), digits(slices.Min(r.samples)), digits(slices.Max(r.samples))
			r.Busy = math.Round(100*r.busy/float64(len(r.samples))) / 100
		}
		r.Difference = digits(r.Difference)
	}
	m.Peak, m.Paused = digits(m.Peak), digits(m.Paused)
	m.Best, m.Ratio = m.best(func(r *result) bool { return r.Name != ours && r.Name != alone })
	m.Ratio = digits(m.Ratio)
}

// best returns the fastest of some libraries and its time by ours.
func (m *measured) best(among func(*result) bool) (name string, ratio float64) {
	for _, r := range m.Results {
		if v := m.ratio(r.Name); v > 0 && among(r) && (name == "" || v < ratio) {
			name, ratio = r.Name, v
		}
	}
	return name, ratio
}

// ratio is the time of a library by ours, or 0.
func (m *measured) ratio(name string) float64 {
	if r := m.of(name); r != nil && r.Absent == "" {
		return r.Median / m.of(ours).Median
	}
	return 0
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
	return quantity(ns, []unit{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}, {"ns", 1}})
}

// size does so with bytes.
func size(bytes float64) string {
	if bytes < 1e3 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	return quantity(bytes, []unit{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}})
}

type unit struct {
	name string
	is   float64
}

// quantity writes v in the largest of units that is not above it, or the last.
func quantity(v float64, units []unit) string {
	for i, u := range units {
		if v := v / u.is; v >= 1 || i == len(units)-1 {
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
	*report
	group   *group
	threads int
	rows    []*measured
}

func (p *part) title() string {
	switch {
	case p.Forced && p.threads == 1:
		return p.group.title + ", " + p.Path + ", one thread"
	case p.Forced:
		return fmt.Sprintf("%s, %s, %d threads", p.group.title, p.Path, p.threads)
	case p.threads == 1:
		return p.group.title + ", one thread"
	}
	return fmt.Sprintf("%s, %d threads", p.group.title, p.threads)
}

// libraries are those with a result in some rows, in the order of columns.
func libraries(rows []*measured) (names []string) {
	order := []string{ours, alone}
	for _, peer := range peers() {
		order = append(order, peer.name)
	}
	for _, m := range rows {
		for _, r := range m.Results {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(slices.Index(order, a), slices.Index(order, b)) })
	return names
}

// inGo says whether a peer is in Go.
func inGo(name string) bool {
	return slices.ContainsFunc(peers(), func(p peer) bool { return p.name == name && p.in != nil })
}

// parts returns the tables of one thread, or those of several.
func (r *report) parts(several bool) (all []*part) {
	var threads []int
	for _, m := range r.Rows {
		if several == (m.Threads > 1) && !slices.Contains(threads, m.Threads) {
			threads = append(threads, m.Threads)
		}
	}
	for _, n := range threads {
		for _, g := range groups {
			p := &part{report: r, group: g, threads: n}
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

// goal is that of a row in this report.
func (r *report) goal(m *measured) goal {
	g := m.row.goal
	if r.Forced {
		g = g.forced(m.row.B)
	}
	if m.Threads > 2 {
		g.speedup = noSlower
	}
	return g
}

// what is measured where, when and with what, in a line.
func (r *report) what() string {
	versions := []string{"simdrnn on " + r.Path, r.Host.Go}
	if r.Forced {
		versions[0] += ", to which all are held"
	}
	for _, k := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, k+" "+r.Versions[k])
	}
	date, _, _ := strings.Cut(r.Runs[0].Start, "T")
	if last, _, _ := strings.Cut(r.Runs[len(r.Runs)-1].Start, "T"); last != date {
		date += " to " + last
	}
	quick := ""
	if r.Quick {
		quick = " A quick run: few rows, short samples."
	}
	return fmt.Sprintf("%s, %s, %d CPUs, %s; %s.%s", date, r.Host.CPU, r.Host.CPUs, r.Host.OS, strings.Join(versions, ", "), quick)
}

// loads tells how busy the machine was.
func (r *report) loads() string {
	var runs, rows []string
	for _, run := range r.Runs {
		if run.Rows > 0 {
			runs = append(runs, fmt.Sprintf("%s before and %s after %d rows", run.LoadBefore, run.LoadAfter, run.Rows))
		}
	}
	for _, m := range r.Rows {
		one, _, _ := strings.Cut(m.Load, " ")
		rows = append(rows, one)
	}
	number := func(s string) float64 { v, _ := strconv.ParseFloat(s, 64); return v }
	slices.SortFunc(rows, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	return fmt.Sprintf("Load averages of 1, 5 and 15 minutes: %s; of 1 minute at the start of a row, the row's own share included: from %s to %s, median %s.",
		strings.Join(runs, "; "), rows[0], rows[len(rows)-1], rows[len(rows)/2])
}

// paragraph writes text in lines of the width that the pages have.
func paragraph(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "%s\n\n", strings.Join(wrap(fmt.Sprintf(format, args...), 118), "\n"))
}

// oneThread writes what pages say of one thread. Charts are in a directory.
func (r *report) oneThread(w io.Writer, charts string) {
	parts := r.parts(false)
	if len(parts) == 0 {
		return
	}
	paragraph(w, "%s", r.what())
	paragraph(w, "%s", r.loads())
	paragraph(w, "Times are medians of %d rounds, in each of which all libraries run in turn, on one core, with the same weights and inputs "+
		"(the monitor of Go's runtime may have another, and so may other Go libraries); "+
		"a library whose results differ from ours by more than %g takes no part. Ratio is the time of the fastest other library by ours; "+
		"the fastest is in bold; – is what a library does not have. A library that takes more than %d times as long as the fastest peer has %d short samples, "+
		"marked by an asterisk. “Of the peak” is what our call, everything included, reaches of the most multiply-adds that a loop of registers "+
		"reached between the rounds. Targets were set for a core of 4 GHz with AVX-512; where two are given, one suffices.",
		r.Rounds, tolerance, farBehind, farRounds)
	if len(r.Absent) > 0 {
		paragraph(w, "Absent:")
		for _, k := range slices.Sorted(maps.Keys(r.Absent)) {
			fmt.Fprintf(w, "- %s: %s\n", k, r.Absent[k])
		}
		fmt.Fprintln(w)
	}
	summary(w, parts)
	goLibraries(w, parts)
	for _, p := range parts {
		p.table(w, charts)
	}
}

// moreThreads is the same of several threads.
func (r *report) moreThreads(w io.Writer, charts string) {
	parts := r.parts(true)
	if len(parts) == 0 {
		return
	}
	paragraph(w, "All in the same way as on one thread, but on %d CPUs: simdrnn after `SetThreads(%[1]d)`, which works alone where more threads "+
		"would not pay, beside itself on one thread, and the peers told to take as many. The bits are those of one thread. Speed-up is our time on one thread by that on %[1]d.",
		parts[0].threads)
	var free []float64
	for _, p := range parts {
		for _, m := range p.rows {
			free = append(free, m.Free)
		}
	}
	if v := slices.Max(free); v > 0 {
		paragraph(w, "Before each row goroutines that spin got %.2f to %.2f of the %d CPUs, median %.2f; other programs had the rest. "+
			"A row that had fewer says little of threads.", slices.Min(free), v, parts[0].threads, timing.Median(free))
	}
	var busy []string
	for _, n := range libraries(r.Rows) {
		var all []float64
		for _, m := range r.Rows {
			if res := m.of(n); res != nil && m.Threads > 1 && res.Absent == "" && res.Busy > 0 {
				all = append(all, res.Busy)
			}
		}
		if len(all) > 0 {
			busy = append(busy, fmt.Sprintf("%s %.2f", n, timing.Median(all)))
		}
	}
	if len(busy) > 0 {
		paragraph(w, "Processors busy in a call, spinning included, medians of rows: %s.", strings.Join(busy, "; "))
	}
	summary(w, parts)
	for _, p := range parts {
		p.table(w, charts)
	}
}

// summary counts verdicts.
func summary(w io.Writer, parts []*part) {
	fmt.Fprint(w, "| Targets | Rows | Met | Short | Below 1 |\n| --- | ---: | ---: | ---: | ---: |\n")
	total := map[verdict]int{}
	line := func(title string, n map[verdict]int) {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d |\n", title, n[met]+n[short]+n[below], n[met], n[short], n[below])
	}
	for _, p := range parts {
		n := map[verdict]int{}
		for _, m := range p.rows {
			v := m.judge(p.goal(m))
			n[v]++
			total[v]++
		}
		line(p.title(), n)
	}
	line("All", total)
}

// goLibraries sums up the ratios to Go libraries.
func goLibraries(w io.Writer, parts []*part) {
	first := true
	for _, p := range parts {
		var all []float64
		reached := 0
		for _, m := range p.rows {
			if _, v := m.best(func(r *result) bool { return inGo(r.Name) }); v > 0 {
				all = append(all, v)
				if v >= goTarget {
					reached++
				}
			}
		}
		if len(all) == 0 {
			continue
		}
		if first {
			fmt.Fprintln(w)
			paragraph(w, "The faster of the networks put together from kernels of gonum and tphakala/simd, and the fastest of the neural-network libraries, target %d:", goTarget)
			fmt.Fprint(w, "| Time by ours | Rows | Least | Median | Most | Target met |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
			first = false
		}
		fmt.Fprintf(w, "| %s | %d | %.2f | %.2f | %.2f | %d |\n", p.title(), len(all), slices.Min(all), timing.Median(all), slices.Max(all), reached)
	}
}

// cells are the times of libraries in a row of a table, and notes what is to be
// said of them.
func (m *measured) cells(names []string, absent map[string]string) (cells, notes []string) {
	best := slices.MinFunc(m.Results, func(a, b *result) int {
		return cmp.Compare(a.time(), b.time())
	})
	for _, n := range names {
		r := m.of(n)
		switch {
		case r == nil:
			cells = append(cells, "–")
		case r.Absent != "":
			cells = append(cells, "absent")
			if absent[n] == "" {
				notes = append(notes, fmt.Sprintf("- %s, %s: %s\n", n, m.Name, r.Absent))
			}
		case r == best:
			cells = append(cells, "**"+duration(r.Median/m.row.per())+"**")
		case m.few(r):
			cells = append(cells, duration(r.Median/m.row.per())+"*")
		default:
			cells = append(cells, duration(r.Median/m.row.per()))
		}
	}
	return cells, notes
}

// number writes a ratio; 0 is none.
func number(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// table writes a part.
func (p *part) table(w io.Writer, charts string) {
	fmt.Fprintf(w, "\n### %s\n\n", p.title())
	paragraph(w, "%s", p.group.note)
	for _, f := range figures {
		if f.several == (p.threads > 1) && f.groups[0] == p.group {
			fmt.Fprintf(w, "![%s](%s/%s)\n\n", f.title, charts, f.file)
		}
	}
	names := libraries(p.rows)
	share, paused, against := false, false, ""
	for _, m := range p.rows {
		paused = paused || m.Paused > 0
		share = share || m.Peak > 0
		against = cmp.Or(against, p.goal(m).against)
	}
	head := append([]string{""}, names...)
	if p.threads > 1 {
		head = append(head, "CPUs busy in simdrnn", "Speed-up", "Target")
	}
	head = append(head, "Ratio")
	if p.threads == 1 {
		if against != "" {
			head = append(head, "To "+against)
		}
		head = append(head, "Target")
		if share {
			head = append(head, "Of the peak", "Target")
		}
		if paused {
			head = append(head, "simdrnn after a pause", "to none", "Target")
		}
	}
	head = append(head, "")
	fmt.Fprintf(w, "| %s |\n| --- |%s --- |\n", strings.Join(head, " | "), strings.Repeat(" ---: |", len(head)-2))
	var notes []string
	for _, m := range p.rows {
		g := p.goal(m)
		cells, more := m.cells(names, p.Absent)
		notes = append(notes, more...)
		cells = append([]string{m.row.panel + ", " + m.row.label}, cells...)
		if p.threads > 1 {
			cells = append(cells, number(m.of(ours).Busy), number(m.speedup()), number(g.speedup))
		}
		cells = append(cells, number(m.Ratio))
		if p.threads == 1 {
			if against != "" {
				cells = append(cells, number(m.ratio(against)))
			}
			target := number(g.target)
			if g.limit > 0 {
				target = "≤ " + duration(g.limit)
			}
			cells = append(cells, target)
			percent := func(v float64) string {
				if v == 0 {
					return ""
				}
				return fmt.Sprintf("%.0f %%", 100*v)
			}
			if share {
				cells = append(cells, percent(m.share()), percent(g.share))
			}
			if paused {
				limit := ""
				if g.paused > 0 {
					limit = "≤ " + number(g.paused)
				}
				cells = append(cells, duration(m.Paused), number(m.Paused/m.of(ours).Median), limit)
			}
		}
		cells = append(cells, string(m.judge(g)))
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	if len(notes) > 0 {
		fmt.Fprintf(w, "\n%s", strings.Join(notes, ""))
	}
	if p.group.library {
		p.allocations(w, names)
	}
}

// allocations writes what a call of each library allocates.
func (p *part) allocations(w io.Writer, names []string) {
	fmt.Fprintf(w, "\n| Allocations of a call, and their bytes | %s |\n| --- |%s\n", strings.Join(names, " | "), strings.Repeat(" ---: |", len(names)))
	for _, m := range p.rows {
		cells := []string{m.row.panel + ", " + m.row.label}
		for _, n := range names {
			cell := "–"
			if r := m.of(n); r != nil && r.Allocated != nil {
				cell = fmt.Sprintf("%.0f, %s", r.Allocated.Count, size(r.Allocated.Bytes))
			}
			cells = append(cells, cell)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// short writes a table of some rows on one thread, without other Go libraries.
func (r *report) short(w io.Writer, charts string) {
	var some []*measured
	for _, m := range r.Rows {
		if m.row.brief && m.Threads == 1 {
			some = append(some, m)
		}
	}
	names := slices.DeleteFunc(libraries(some), inGo)
	paragraph(w, "%s", r.what())
	fmt.Fprintf(w, "| One thread, T = 64 and I = H unless said | %s | Ratio |\n| --- |%s\n", strings.Join(names, " | "), strings.Repeat(" ---: |", len(names)+1))
	for _, m := range some {
		cells, _ := m.cells(names, r.Absent)
		fmt.Fprintf(w, "| %s: %s, %s | %s | %s |\n", m.row.group.short, m.row.panel, m.row.label, strings.Join(cells, " | "), number(m.Ratio))
	}
	fmt.Fprintln(w)
	paragraph(w, "An asterisk marks a library far behind, which was measured more briefly.")
	fmt.Fprintf(w, "![%s](%s/%s)\n", figures[0].title, charts, figures[0].file)
}
