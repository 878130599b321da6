package approx

import (
	"bytes"
	"fmt"
	"go/format"
)

// Source returns a Go file of package kernels with the numbers that its portable
// path shares with the others.
func Source(header string, fits []*Fit) ([]byte, error) {
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
	fmt.Fprintf(&w, "\n// From this magnitude on both forms of tanh are exactly 1.\nconst tanhEnd = %x // %g\n", TanhEnd, TanhEnd)
	return format.Source(w.Bytes())
}
