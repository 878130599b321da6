package layer

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
