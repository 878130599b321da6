package approx

import (
	"bytes"
	"fmt"
	"go/format"
)

// Source returns a Go file of package kernels with the numbers that its portable
// path shares with the others.
func Source(header string, fits []*Fit, t TanhTable) ([]byte, error) {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s\npackage kernels\n", header)
	fmt.Fprintf(&w, "\n// Coefficients and errors of minimax approximations; all are float32. The number\n// in a name is a power. Command asm/minimax derives them.\n")
	for _, f := range fits {
		fmt.Fprintf(&w, "\n// %s\n//\n// for %.6g <= x <= %.6g, with a relative error of at most %.3g.\nconst (\n", f.Formula, f.Lo, f.Hi, f.Error)
		for _, p := range []Poly{f.Poly, f.Den} {
			for i, c := range p.C {
				fmt.Fprintf(&w, "%sC%d = %x // %g\n", p.Name, p.Power-i*p.Step, c, c)
			}
		}
		fmt.Fprintf(&w, ")\n")
	}
	fmt.Fprintf(&w, "\n// From these magnitudes on both forms of tanh are exactly 1.\nconst (\n")
	fmt.Fprintf(&w, "tanhEnd = %x // %g\n", TanhEnd, TanhEnd)
	fmt.Fprintf(&w, "tanhRatioEnd = %x // %g\n)\n", TanhRatioEnd, TanhRatioEnd)
	fmt.Fprintf(&w, "\n// Points c near multiples of 1/tanhPerPoint, where tanh(c) is almost a float32,\n// tanh(c) and 1-tanh(c)². The last slope is such that tanh ends at exactly 1.\nvar (\n")
	for _, a := range []struct {
		name   string
		floats [8]float32
	}{{"Point", t.Point}, {"Value", t.Value}, {"Slope", t.Slope}} {
		fmt.Fprintf(&w, "tanh%s = [8]float32{", a.name)
		for i, f := range a.floats {
			if i > 0 {
				fmt.Fprint(&w, ", ")
			}
			fmt.Fprintf(&w, "%g", f)
		}
		fmt.Fprintf(&w, "}\n")
	}
	fmt.Fprintf(&w, ")\n\nconst tanhPerPoint = %x // %g\n", t.PerPoint, t.PerPoint)
	return format.Source(w.Bytes())
}
