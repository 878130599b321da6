package kernels

// A Path has the functions that a step is made of which stands alone, see [ISA], and
// which no function computes as a whole. Its methods are the functions of their names,
// on this path instead of the active one.
type Path struct{ isa ISA }

// StepPath returns the path of a step of rows that are multiplied by the panels w, of
// which any may be nil: the active one, but for an isolated step that AVX2 is better
// for.
func StepPath(isolated bool, rows int, w ...*Panels) Path {
	isa := use()
	if isa == AVX512 && isolated {
		isa = isolatedPath(isa, rows, w...)
	}
	return Path{isa}
}

// isolatedProducts is the number of multiply-adds of an isolated step of several
// rows that 512 bits do not make faster by what the change of the clock costs.
const isolatedProducts = 1 << 18

// isolatedPath is StepPath of an isolated step if isa is the active path. AVX2 is there
// wherever AVX512 is.
//
//go:noinline
func isolatedPath(isa ISA, rows int, w ...*Panels) ISA {
	weights := 0
	for _, w := range w {
		if w != nil {
			weights += w.k * w.Width()
		}
	}
	if isa == AVX512 && (rows <= 1 || weights <= isolatedProducts/rows) {
		return AVX2
	}
	return isa
}
