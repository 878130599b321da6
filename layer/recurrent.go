package layer

import (
	"fmt"
	"math"
	"slices"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/kernels"
)

// recurrent is the weights of a recurrent layer; RNN and LSTM embed it.
type recurrent struct {
	name          string // of the type that embeds it
	cell          cell.Cell
	input, hidden int
	params        Params
	dir           *direction
}

// cUnits is the number of columns of c: H, or 0 if the cell has none.
func (r *recurrent) cUnits() int {
	if r.cell.HasC() {
		return r.hidden
	}
	return 0
}

// direction is the weights of one direction of one layer, packed.
type direction struct {
	dirParams
	wih, whh *matrix
	bias     []float32 // of the x part, in packed order; nil for zeros
}

// dirParams are the parameters of one direction of one layer, or their gradients.
// The biases are nil if it has none.
type dirParams struct{ ih, hh, bih, bhh []float32 }

// init makes the layer that owner embeds.
func (r *recurrent) init(owner Packer, name string, c cell.Cell, input, hidden int, noBias bool, rnd *Rand) error {
	if _, err := kernels.Active(); err != nil {
		return err
	}
	gates := c.Gates()
	fail := func(field string, got int, want string) error {
		return fmt.Errorf("layer: New%s: %s = %d, want %s", name, field, got, want)
	}
	switch {
	case input < 1:
		return fail("Input", input, "at least 1")
	case hidden < 1:
		return fail("Hidden", hidden, "at least 1")
	case !fits(2*gates, hidden+blockUnits, hidden+blockUnits):
		return fail("Hidden", hidden, inMemory)
	case !fits(2*gates, hidden+blockUnits, input+blockUnits):
		return fail("Input", input, inMemory)
	}
	r.name, r.cell, r.input, r.hidden = name, c, input, hidden
	r.params = recurrentParams(owner, 0, 0, gates*hidden, input, hidden, noBias)
	r.params.alloc()
	r.params.uniform(rnd, 1/math.Sqrt(float64(hidden)))

	d := &direction{dirParams: newDirParams(r.params, func(p Param) []float32 { return p.Data })}
	d.wih = newMatrix(d.ih, gates, hidden, input)
	d.whh = newMatrix(d.hh, gates, hidden, hidden)
	if !noBias {
		d.bias = make([]float32, d.whh.panels.Width())
	}
	r.dir = d
	r.Pack()
	return nil
}

// recurrentParams names and shapes the parameters of one direction of a layer.
func recurrentParams(owner Packer, layer, dir, rows, input, hidden int, noBias bool) Params {
	suffix := fmt.Sprintf("_l%d%s", layer, [...]string{"", "_reverse"}[dir])
	ps := Params{
		{Name: "weight_ih" + suffix, Shape: []int{rows, input}, Owner: owner},
		{Name: "weight_hh" + suffix, Shape: []int{rows, hidden}, Owner: owner},
	}
	if noBias {
		return ps
	}
	return append(ps,
		Param{Name: "bias_ih" + suffix, Shape: []int{rows}, Owner: owner},
		Param{Name: "bias_hh" + suffix, Shape: []int{rows}, Owner: owner})
}

// newDirParams takes what of returns for the parameters of recurrentParams.
func newDirParams(ps Params, of func(Param) []float32) dirParams {
	t := dirParams{ih: of(ps[0]), hh: of(ps[1])}
	if len(ps) > 2 {
		t.bih, t.bhh = of(ps[2]), of(ps[3])
	}
	return t
}

// Params returns the parameters, in PyTorch's order and without gradients.
// Call Pack after writing to their Data.
func (r *recurrent) Params() Params { return slices.Clone(r.params) }

// Pack makes the kernels see what was written to the Data of the parameters.
// Nobody may read the weights meanwhile.
func (r *recurrent) Pack() {
	d := r.dir
	d.wih.pack()
	d.whh.pack()
	if d.bias != nil {
		r.cell.PackBias(d.bias, d.bih, d.bhh, r.hidden)
	}
}

// NewStream returns a Stream of batch sequences with zero state. It panics
// unless batch is at least 1 and its memory has a size.
func (r *recurrent) NewStream(batch int) *Stream { return newStream(r, batch) }

// NewTape returns a Tape for batch sequences of at most maxT steps, with zero
// state and gradients. It panics unless batch is at least 1, maxT is not
// negative, and its memory has a size. It may run beside readers of the weights.
func (r *recurrent) NewTape(maxT, batch int) *Tape { return newTape(r, maxT, batch) }
