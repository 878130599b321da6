package main

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// drawCurve writes the picture of a run, as SVG, PNG or PDF by the end of its
// name.
func drawCurve(path string, h history, baselines []baseline) error {
	p := plot.New()
	p.Title.Text = "Bits per character"
	p.X.Label.Text = "million characters trained on"
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	end := float64(h.Chars[len(h.Chars)-1]) / 1e6
	p.X.Min, p.X.Max = 0, end
	add := func(name string, points plotter.XYs, c color.Color, dashes ...vg.Length) error {
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.Color, line.Dashes, line.Width = c, dashes, vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(name, line)
		return nil
	}
	points := func(y []float64) plotter.XYs {
		xy := make(plotter.XYs, len(y))
		for i := range y {
			xy[i] = plotter.XY{X: float64(h.Chars[i]) / 1e6, Y: y[i]}
		}
		return xy
	}
	for i, b := range baselines {
		flat := plotter.XYs{{X: 0, Y: b.bits}, {X: end, Y: b.bits}}
		gray := color.Gray{Y: uint8(160 - 60*i)}
		if err := add(b.name, flat, gray, vg.Points(2), vg.Points(float64(2*i+1))); err != nil {
			return err
		}
	}
	if err := add("training", points(h.Train), color.RGBA{R: 90, G: 150, B: 220, A: 255}); err != nil {
		return err
	}
	if err := add("held out", points(h.Valid), color.RGBA{R: 200, G: 60, B: 40, A: 255}); err != nil {
		return err
	}
	lowest := min(slices.Min(h.Train), slices.Min(h.Valid), baselines[len(baselines)-1].bits)
	p.Y.Min, p.Y.Max = math.Floor(lowest), math.Ceil(baselines[0].bits)
	// The legend stands below unigram, above what is learnt.
	p.Legend.XOffs, p.Legend.YOffs, p.Title.Padding = -vg.Points(6), -vg.Points(68), vg.Points(6)
	return p.Save(7*vg.Inch, 4*vg.Inch, path)
}
