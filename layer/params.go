package layer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/simdrnn/simdrnn/internal/memory"
	"github.com/simdrnn/simdrnn/kernels"
)

// A Packer keeps packed copies of its parameters and rewrites them from Data.
type Packer interface{ Pack() }

// A PartPacker is a Packer whose work several goroutines can share: to call
// PackPart for 0 to PackParts()-1, each once, is Pack.
type PartPacker interface {
	Packer
	PackParts() int
	PackPart(i int)
}

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

// AddGrads adds the gradients of srcs to those of dst, in order:
//
//	for i := range dst {
//		for _, src := range srcs {
//			dst[i].Grad += src[i].Grad
//		}
//	}
//
// It serves a batch that is cut into pieces, each with a Tape of its own in a
// goroutine of its own: the sum does not depend on which ends first, only on how
// the batch is cut. One Tape with SetThreads does without. Where dst has no
// gradient nothing is added. It panics if parameters differ in number, or
// gradients in length.
func AddGrads(dst Params, srcs ...Params) {
	const fn = "AddGrads"
	for i, src := range srcs {
		if len(src) != len(dst) {
			badLen(fn, "srcs["+strconv.Itoa(i)+"]", len(src), "len(dst)", len(dst))
		}
		for j, p := range dst {
			if p.Grad != nil && len(src[j].Grad) != len(p.Grad) {
				badLen(fn, "srcs["+strconv.Itoa(i)+"]["+strconv.Itoa(j)+"].Grad", len(src[j].Grad), "that of "+p.Name, len(p.Grad))
			}
		}
	}
	for j, p := range dst {
		for _, src := range srcs {
			if p.Grad != nil {
				kernels.Add(p.Grad, p.Grad, src[j].Grad)
			}
		}
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
	slab := memory.Floats(ps.elements())
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
