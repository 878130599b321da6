package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Measures of a chart, in pixels.
const (
	chartWidth  = 900
	barWidth    = 7
	barGap      = 1
	clusterGap  = 10
	clusterMin  = 38 // a label's width
	panelHeight = 150
	panelTop    = 44 // its title and the ratios
	panelBottom = 34 // labels
	axisWidth   = 40
	margin      = 16
	lineHeight  = 14
	smallWidth  = 6 // of a letter
)

// A figure is a chart of some groups on one thread or, without Go libraries, on
// several.
type figure struct {
	file, title string
	several     bool
	groups      []*group
}

var figures = []figure{
	{"forward.svg", "Forward, one thread", false, []*group{groupForward, groupCells, groupBi}},
	{"streaming.svg", "LSTM, B = 1, streaming, one thread", false, []*group{groupStep, groupBlock}},
	{"training.svg", "Training step, one thread", false, []*group{groupTrain, groupLast}},
	{"threads.svg", "Forward, all on several threads", true, []*group{groupForward, groupCells, groupBi}},
}

// rows are what a figure shows of a report.
func (f *figure) rows(r *report) (rows []*measured) {
	for _, p := range r.parts(f.several) {
		if slices.Contains(f.groups, p.group) {
			rows = append(rows, p.rows...)
		}
	}
	return rows
}

// colours of the libraries but ours, legible on white and on black.
var colours = map[string]string{
	alone: "#d6336c", "torch": "#e8590c", "torch, flushing": "#f2a65a", "onnxruntime": "#2b83d8", "openvino": "#8a63d2", "jax": "#1f9d61",
	"gonum": "#8c8c8c", "tphakala/simd": "#c29a00",
}

// The chart has its own background, for it may stand on a page of either theme.
const style = `<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.panel { font-weight: 600 }
.small { font-size: 10px }
.faint { fill: #57606a }
.page { fill: #ffffff; stroke: #d0d7de }
.grid { stroke: #d8dee4 }
.one { stroke: #24292f; stroke-width: 1.5 }
.target { stroke: #cf222e; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.faint { fill: #9198a1 }
.page { fill: #0d1117; stroke: #3d444d }
.grid { stroke: #30363d }
.one { stroke: #e6edf3 }
.target { stroke: #ff7b72 }
}
</style>
`

// A scale is logarithmic, from lo to hi.
type scale struct{ lo, hi float64 }

// highest is where scales end: by how much a library is slower hardly matters then.
const highest = 16

// scaleOf covers the ratios of rows up to highest, from and to powers of 2.
func scaleOf(rows []*measured, names []string) scale {
	s := scale{lo: .5, hi: 2}
	for _, m := range rows {
		for _, n := range names {
			if v := m.ratio(n); v > 0 {
				s.lo, s.hi = min(s.lo, v), max(s.hi, v)
			}
		}
	}
	return scale{lo: math.Exp2(math.Floor(math.Log2(s.lo))), hi: min(highest, math.Exp2(math.Ceil(math.Log2(s.hi))))}
}

// y is where v stands in a panel.
func (s scale) y(v float64) float64 {
	return panelTop + panelHeight*(1-math.Log(v/s.lo)/math.Log(s.hi/s.lo))
}

// chart writes rows as bars: up for libraries that take longer than simdrnn,
// which is the line at 1, down for those that are faster.
func (f *figure) chart(w io.Writer, r *report) error {
	rows := f.rows(r)
	names := slices.DeleteFunc(libraries(rows), func(n string) bool { return n == ours || f.several && inGo(n) })
	s := scaleOf(rows, names)

	var body bytes.Buffer
	x, y, right := margin, 0, 0
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to].row.panel == rows[from].row.panel && rows[to].row.group == rows[from].row.group {
			to++
		}
		width := axisWidth + max((to-from)*clusterWidth(names), 7*len(rows[from].row.panel))
		if x > margin && x+width > chartWidth-margin {
			x, y = margin, y+panelTop+panelHeight+panelBottom
		}
		fmt.Fprintf(&body, "<g transform=\"translate(%d %d)\">\n", x, y)
		r.panel(&body, rows[from:to], names, s, width)
		fmt.Fprint(&body, "</g>\n")
		x += width + margin
		right = max(right, x)
		from = to
	}
	right = max(right, chartWidth*2/3)
	var legend bytes.Buffer
	top := 43
	x = margin
	for _, n := range names {
		width := 30 + 7*len(n)
		if x > margin && x+width > right {
			x, top = margin, top+lineHeight+4
		}
		fmt.Fprintf(&legend, "<rect x=\"%d\" y=\"%d\" width=\"11\" height=\"11\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			x, top, colours[n], x+16, top+10, html.EscapeString(n))
		x += width
	}
	top += lineHeight + 10
	about := "Above each group of bars: the fastest other library's time by simdrnn's. "
	if !f.several {
		about += "Red: its target. "
	}
	notes := wrap(about+r.what(), (right-2*margin)/smallWidth)
	bottom := top + y + panelTop + panelHeight + panelBottom + lineHeight
	height := bottom + len(notes)*lineHeight

	var out bytes.Buffer
	title := html.EscapeString(f.title)
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%[1]d\" height=\"%[2]d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\">\n", right, height)
	fmt.Fprintf(&out, "<title>%s</title>\n%s", title, style)
	fmt.Fprintf(&out, "<rect class=\"page\" x=\".5\" y=\".5\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", right-1, height-1)
	fmt.Fprintf(&out, "<text class=\"title\" x=\"%d\" y=\"28\">%s: time relative to simdrnn's</text>\n", margin, title)
	out.Write(legend.Bytes())
	fmt.Fprintf(&out, "<g transform=\"translate(0 %d)\">\n%s</g>\n", top, body.Bytes())
	for i, n := range notes {
		fmt.Fprintf(&out, "<text class=\"small faint\" x=\"%d\" y=\"%d\">%s</text>\n", margin, bottom+i*lineHeight, html.EscapeString(n))
	}
	fmt.Fprintln(&out, "</svg>")
	_, err := w.Write(out.Bytes())
	return err
}

// clusterWidth is that of the bars of a row.
func clusterWidth(names []string) int {
	return max(len(names)*(barWidth+barGap)+clusterGap, clusterMin)
}

// wrap cuts a line after spaces into lines of so many letters.
func wrap(s string, letters int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > letters {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// panel writes the bars of some rows.
func (r *report) panel(w io.Writer, rows []*measured, names []string, s scale, width int) {
	fmt.Fprintf(w, "<text class=\"panel\" x=\"%d\" y=\"16\">%s</text>\n", axisWidth, html.EscapeString(rows[0].row.panel))
	lo, hi := math.Log2(s.lo), math.Log2(s.hi)
	each := math.Ceil((hi - lo) / 7) // octaves
	for k := math.Ceil(lo / each); k*each <= hi; k++ {
		v := math.Exp2(k * each)
		fmt.Fprintf(w, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1[3]f\"/><text class=\"small faint\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%.3g×</text>\n",
			axisWidth, width, s.y(v), axisWidth-4, s.y(v)+3, v)
	}
	one := s.y(1)
	bars, cluster := len(names)*(barWidth+barGap), clusterWidth(names)
	for i, m := range rows {
		left := axisWidth + i*cluster + (cluster-bars)/2
		middle := float64(left) + float64(bars)/2
		x := left
		for _, n := range names {
			if v := m.ratio(n); v > 0 {
				end := s.y(min(v, s.hi))
				top, bottom := min(end, one), max(end, one)
				fmt.Fprintf(w, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>%s, %s: %s, %.2f times ours</title></rect>\n",
					x, top, barWidth, bottom-top, colours[n], html.EscapeString(n), html.EscapeString(m.Name), duration(m.of(n).Median), v)
				if v > s.hi { // an arrow: it goes on
					fmt.Fprintf(w, "<path d=\"M%d %.1fh%dl-%.1f -7z\" fill=\"%s\"/>\n", x, top-1.5, barWidth, barWidth/2., colours[n])
				}
			}
			x += barWidth + barGap
		}
		if g := r.goal(m); m.Threads == 1 && g.target > 1 && g.target <= s.hi && g.limit == 0 {
			fmt.Fprintf(w, "<line class=\"target\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1[3]f\"/>\n", left-2, x+2, s.y(g.target))
		}
		if m.Ratio > 0 {
			fmt.Fprintf(w, "<text class=\"small panel\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%.2f</text>\n", middle, panelTop-11, m.Ratio)
		}
		fmt.Fprintf(w, "<text class=\"small\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>\n", middle, panelTop+panelHeight+16, html.EscapeString(m.row.label))
	}
	fmt.Fprintf(w, "<line class=\"one\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1[3]f\"/>\n", axisWidth, width, one)
}
