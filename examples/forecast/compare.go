package main

import (
	"cmp"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A comparison is what methods forecast of the target for the K rows after the
// same origins.
type comparison struct {
	*data
	methods []forecaster
	origins []int
	K       int
	y       [][]float64 // of a method [len(origins),K]
}

func compare(d *data, methods []forecaster, origins []int, K int) *comparison {
	c := &comparison{data: d, methods: methods, origins: origins, K: K}
	all := make([]float64, len(origins)*K*d.C)
	for _, m := range methods {
		m.forecast(all, origins, K)
		var y []float64
		for i := d.target; i < len(all); i += d.C {
			y = append(y, all[i])
		}
		c.y = append(c.y, y)
	}
	return c
}

// truth returns the target k rows after origin i.
func (c *comparison) truth(i, k int) float64 { return c.row(c.origins[i] + k)[c.target] }

// rmse returns the error of a method k rows ahead, the root of the mean square.
func (c *comparison) rmse(method, k int) float64 {
	sum := 0.
	for i := range c.origins {
		e := c.y[method][i*c.K+k-1] - c.truth(i, k)
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(c.origins)))
}

// total returns the error of a method over all K rows ahead.
func (c *comparison) total(method int) float64 {
	sum := 0.
	for k := range c.K {
		e := c.rmse(method, k+1)
		sum += e * e
	}
	return math.Sqrt(sum / float64(c.K))
}

// print writes a table of the errors.
func (c *comparison) print(w io.Writer) error {
	ahead := []int{1, c.K / 12, c.K / 4, c.K / 2, c.K}
	slices.Sort(ahead)
	ahead = slices.DeleteFunc(slices.Compact(ahead), func(k int) bool { return k == 0 })
	text := fmt.Sprintf("RMSE of %s after %d rows of the test part\n%-18s", c.columns[c.target], len(c.origins), "rows ahead")
	for _, k := range ahead {
		text += fmt.Sprintf("%10d", k)
	}
	for i, m := range c.methods {
		text += fmt.Sprintf("\n%-18s", m.name())
		for _, k := range ahead {
			text += fmt.Sprintf("%10.4g", c.rmse(i, k))
		}
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// typical returns the origin for which the last method's error is the median.
func (c *comparison) typical() int {
	y := c.y[len(c.y)-1]
	errors, order := make([]float64, len(c.origins)), make([]int, len(c.origins))
	for i := range c.origins {
		order[i] = i
		for k := range c.K {
			e := y[i*c.K+k] - c.truth(i, k+1)
			errors[i] += e * e
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(errors[a], errors[b]) })
	return order[(len(order)-1)/2]
}

// colours of the methods, from the last one on: those that Okabe and Ito chose
// for everybody to tell apart.
var colours = []color.RGBA{{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0x99, 0x99, 0x99, 0xff}}

// draw draws a typical forecast beside the truth, and below it the errors at all
// distances. Numbers that are not finite are left out.
func (c *comparison) draw(w io.Writer, format string) error {
	name := c.columns[c.target]
	plot.DefaultFont.Variant = "Sans"
	top, below := plot.New(), plot.New()
	i := c.typical()
	o := c.origins[i]
	top.Title.Text = fmt.Sprintf("%s: forecast after row %d, for which the %s has its median error", name, o+1, c.methods[len(c.methods)-1].name())
	top.Y.Label.Text = name
	below.X.Label.Text, below.Y.Label.Text = "rows ahead", "RMSE of "+name

	line := func(p *plot.Plot, label string, colour color.Color, from, to int, at func(k int) float64) error {
		var xys plotter.XYs
		for k := from; k <= to; k++ {
			if y := at(k); !math.IsNaN(y) && !math.IsInf(y, 0) {
				xys = append(xys, plotter.XY{X: float64(k), Y: y})
			}
		}
		if len(xys) == 0 {
			return nil
		}
		l, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		l.Color, l.Width = colour, vg.Points(1.5)
		p.Add(l)
		p.Legend.Add(label, l)
		return nil
	}
	past := min(c.run[o]-1, 2*c.K)
	err := line(top, "truth", color.Black, -past, c.K, func(k int) float64 { return c.truth(i, k) })
	for m, method := range c.methods {
		if err != nil {
			return err
		}
		colour := colours[(len(c.methods)-1-m)%len(colours)]
		if err = line(below, method.name(), colour, 1, c.K, func(k int) float64 { return c.rmse(m, k) }); err != nil {
			return err
		}
		if m >= len(c.methods)-2 { // the others say little of a single day
			err = line(top, method.name(), colour, 0, c.K, func(k int) float64 {
				if k == 0 {
					return c.truth(i, 0)
				}
				return c.y[m][i*c.K+k-1]
			})
		}
	}
	if err != nil {
		return err
	}
	below.X.Min, below.Y.Min = 0, 0
	for _, p := range []*plot.Plot{top, below} {
		p.Legend.Top, p.Legend.YOffs = true, vg.Points(4)
		p.X.Max += .22 * (p.X.Max - p.X.Min) // room for the legend
		var ticks plot.ConstantTicks
		step := max(1, c.K/4)
		for k := -past / step * step; k <= c.K; k += step {
			ticks = append(ticks, plot.Tick{Value: float64(k), Label: fmt.Sprint(k)})
		}
		p.X.Tick.Marker = ticks
	}

	canvas, err := draw.NewFormattedCanvas(9*vg.Inch, 6*vg.Inch, format)
	if err != nil {
		return err
	}
	dc := draw.New(canvas)
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	plots := [][]*plot.Plot{{top}, {below}}
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadTop: vg.Points(6), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(12), PadY: vg.Points(12)}
	for r, row := range plot.Align(plots, tiles, dc) {
		plots[r][0].Draw(row[0])
	}
	_, err = canvas.WriteTo(w)
	return err
}
