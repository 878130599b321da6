package layer

import (
	"slices"
	"strings"
)

// A Packer keeps packed copies of its parameters and rewrites them from Data.
type Packer interface{ Pack() }

// A Param is one named tensor and its gradient. Data is a view of its owner's
// memory, Grad of a tape's; Grad is nil where nothing is trained.
type Param struct {
	Name  string // PyTorch's name, for example "weight_ih_l0"
	Shape []int
	Data  []float32 // row-major
	Grad  []float32 // same length as Data, or nil
	Owner Packer    // packs Data for the kernels
}

// Params are parameters in PyTorch's order. Those of several models are joined
// by slices.Concat.
type Params []Param

// ZeroGrad sets every gradient to zero.
func (ps Params) ZeroGrad() {
	for _, p := range ps {
		clear(p.Grad)
	}
}

// Pack makes the kernels see what was written to Data. It calls each owner
// once, if the parameters of an owner stand together. Nobody may read the
// weights meanwhile.
func (ps Params) Pack() {
	var last Packer
	for _, p := range ps {
		if p.Owner != nil && p.Owner != last {
			p.Owner.Pack()
			last = p.Owner
		}
	}
}

// alloc gives every parameter Data, zeros, in one slab.
func (ps Params) alloc() {
	slab := make([]float32, ps.elements())
	for i := range ps {
		ps[i].Data, slab = cut(slab, elements(ps[i].Shape))
	}
}

// withGrad returns a copy whose Grads are zeros in one new slab.
func (ps Params) withGrad() Params {
	ps = slices.Clone(ps)
	slab := make([]float32, ps.elements())
	for i := range ps {
		ps[i].Grad, slab = cut(slab, len(ps[i].Data))
	}
	return ps
}

// init sets the gains and shifts of layer norm to 1 and 0, and draws all other
// Data from [-bound, bound), in order. A nil r leaves those.
func (ps Params) init(r *Rand, bound float64) {
	for _, p := range ps {
		switch {
		case strings.HasPrefix(p.Name, "weight_ln_"):
			for i := range p.Data {
				p.Data[i] = 1
			}
		case strings.HasPrefix(p.Name, "bias_ln_"):
		case r != nil:
			r.Uniform(p.Data, -bound, bound)
		}
	}
}

func (ps Params) elements() int {
	n := 0
	for _, p := range ps {
		n += elements(p.Shape)
	}
	return n
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// cut returns the first n elements of s, and the rest.
func cut(s []float32, n int) (head, tail []float32) { return s[:n:n], s[n:] }
