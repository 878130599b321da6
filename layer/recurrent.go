package layer

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/kernels"
)

// config is what the configurations of the layers have in common.
type config struct {
	input, hidden, layers, proj       int
	noBias, batchFirst, bidirectional bool
	dropout                           float64
	inputDropout, recurrentDropout    float64
	zoneoutH, zoneoutC                float64
	norm                              cell.Norm
	peephole                          bool
	single                            bool // a cell of its own, whose names have no layer
}

// recurrent is the weights of a recurrent network; RNN, LSTM and GRU embed it.
type recurrent struct {
	config
	name   string // of the type that embeds it
	cell   cell.Cell
	params Params
	dirs   []*direction // [L*D]

	weights int // in all matrices
}

// directions returns D.
func (c *config) directions() int {
	if c.bidirectional {
		return 2
	}
	return 1
}

// hUnits returns Ho, the number of columns of h: P, or H without projection.
func (c *config) hUnits() int {
	if c.proj > 0 {
		return c.proj
	}
	return c.hidden
}

// output returns D*Ho, the number of features of a layer's output.
func (c *config) output() int { return c.directions() * c.hUnits() }

// inputs returns the number of features that layer k reads.
func (c *config) inputs(k int) int {
	if k == 0 {
		return c.input
	}
	return c.output()
}

// hasBias says whether there are bias_ih and bias_hh: layer norm of form B has
// shifts instead.
func (c *config) hasBias() bool { return !c.noBias && c.norm != cell.NormB }

// isVariant says whether the cell is a cell.Variant.
func (c *config) isVariant() bool { return c.norm != cell.NoNorm || c.peephole }

// random says whether training draws random numbers.
func (c *config) random() bool {
	return c.dropout > 0 && c.layers > 1 || c.inputDropout > 0 || c.recurrentDropout > 0 || c.zoneoutH > 0 || c.zoneoutC > 0
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
	wih, whh, whr *matrix   // whr is nil without projection
	bias          []float32 // of the x part, in packed order; nil for zeros
	biasH         []float32 // of the h part, for a cell that keeps it apart; nil for zeros
}

// dirParams are the parameters of one direction of one layer, or their gradients.
// Those that it has not are nil.
type dirParams struct {
	ih, hh, hr []float32
	bih, bhh   []float32           // with layer norm shifts
	peephole   []float32           // [3H]
	variant    *cell.VariantParams // what is not here; Shift and Peephole are made of what is
}

// init makes the network that owner embeds.
func (r *recurrent) init(owner Packer, name string, c cell.Cell, cfg config, rnd *Rand) error {
	if _, err := kernels.Active(); err != nil {
		return err
	}
	if cfg.layers == 0 {
		cfg.layers = 1
	}
	if err := cfg.check(c.Gates()); err != nil {
		return fmt.Errorf("layer: New%s: %w", name, err)
	}
	r.config, r.name, r.cell = cfg, name, c
	r.params = cfg.params(owner, c.Gates())
	r.params.alloc()
	r.params.init(rnd, 1/math.Sqrt(float64(cfg.hidden)))

	per := len(r.params) / (cfg.layers * cfg.directions())
	for i := 0; i < len(r.params); i += per {
		d := &direction{dirParams: cfg.take(r.params[i:][:per], func(p Param) []float32 { return p.Data })}
		d.wih = newMatrix(d.ih, c.Gates(), cfg.hidden, cfg.inputs(i/per/cfg.directions()))
		d.whh = newMatrix(d.hh, c.Gates(), cfg.hidden, cfg.hUnits())
		if cfg.proj > 0 {
			d.whr = newMatrix(d.hr, 1, cfg.proj, cfg.hidden)
		}
		if d.variant != nil {
			d.variant.Peephole = make([]float32, kernels.NewPanels(3, cfg.hidden, 0).Width())
		}
		if cfg.norm != cell.NoNorm {
			d.variant.Shift = make([]float32, 4*cfg.hidden)
		}
		if cfg.hasBias() && cfg.norm == cell.NoNorm {
			d.bias = make([]float32, d.whh.panels.Width())
			if c.HasGatesH() {
				d.biasH = make([]float32, d.whh.panels.Width())
			}
		}
		r.dirs = append(r.dirs, d)
		r.weights += len(d.ih) + len(d.hh) + len(d.hr)
	}
	if rnd != nil { // panels of zeros are zeros
		r.Pack()
	}
	return nil
}

// check says what is wrong with the sizes of a network whose cell has that many
// gates.
func (c *config) check(gates int) error {
	fail := func(field string, got any, want string) error {
		return fmt.Errorf("%s = %v, want %s", field, got, want)
	}
	for _, p := range [...]struct {
		field string
		v     float64
	}{{"Dropout", c.dropout}, {"InputDropout", c.inputDropout}, {"RecurrentDropout", c.recurrentDropout},
		{"ZoneoutH", c.zoneoutH}, {"ZoneoutC", c.zoneoutC}} {
		if !(p.v >= 0 && p.v <= 1) {
			return fail(p.field, p.v, "0 to 1")
		}
	}
	switch {
	case c.input < 1:
		return fail("Input", c.input, "at least 1")
	case c.hidden < 1:
		return fail("Hidden", c.hidden, "at least 1")
	case c.layers < 1:
		return fail("Layers", c.layers, "at least 1, or 0 for 1")
	case c.proj < 0:
		return fail("Proj", c.proj, "at least 1, or 0 for none")
	case c.proj >= c.hidden:
		return fail("Proj", c.proj, fmt.Sprintf("less than Hidden = %d", c.hidden))
	case !fits(2*gates, c.hidden+blockUnits, 2*c.hidden+blockUnits):
		return fail("Hidden", c.hidden, inMemory)
	case !fits(2*gates, c.hidden+blockUnits, c.input+blockUnits):
		return fail("Input", c.input, inMemory)
	case !fits(4*c.layers, gates*(c.hidden+blockUnits), c.input+4*c.hidden+blockUnits):
		return fail("Layers", c.layers, inMemory)
	}
	return nil
}

// params names and shapes the parameters of a network whose cell has that many
// gates.
func (c *config) params(owner Packer, gates int) (ps Params) {
	for k := range c.layers {
		for d := range c.directions() {
			ps = append(ps, c.dirParams(owner, k, d, gates*c.hidden)...)
		}
	}
	return ps
}

// dirParams names and shapes the parameters of direction d of layer k.
func (c *config) dirParams(owner Packer, k, d, rows int) Params {
	var ps Params
	add := func(name string, shape ...int) {
		if !c.single {
			name = fmt.Sprintf("%s_l%d%s", name, k, [...]string{"", "_reverse"}[d])
		}
		ps = append(ps, Param{Name: name, Shape: shape, Owner: owner})
	}
	add("weight_ih", rows, c.inputs(k))
	add("weight_hh", rows, c.hUnits())
	if c.hasBias() {
		add("bias_ih", rows)
		add("bias_hh", rows)
	}
	if c.proj > 0 {
		add("weight_hr", c.proj, c.hidden)
	}
	if c.norm != cell.NoNorm {
		add("weight_ln_ih", rows)
		add("weight_ln_hh", rows)
		add("weight_ln_c", c.hidden)
		if c.norm == cell.NormB {
			add("bias_ln_ih", rows)
			add("bias_ln_hh", rows)
		}
		add("bias_ln_c", c.hidden)
	}
	if c.peephole {
		add("weight_peephole", 3*c.hidden)
	}
	return ps
}

// take makes dirParams of what of returns for the parameters of one direction.
func (c *config) take(ps Params, of func(Param) []float32) (p dirParams) {
	next := func() []float32 {
		v := of(ps[0])
		ps = ps[1:]
		return v
	}
	p.ih, p.hh = next(), next()
	if c.hasBias() {
		p.bih, p.bhh = next(), next()
	}
	if c.proj > 0 {
		p.hr = next()
	}
	if !c.isVariant() {
		return p
	}
	v := new(cell.VariantParams)
	p.variant = v
	if c.norm != cell.NoNorm {
		v.GainIH, v.GainHH, v.GainC = next(), next(), next()
		if c.norm == cell.NormB {
			p.bih, p.bhh = next(), next()
		}
		v.ShiftC = next()
	}
	if c.peephole {
		p.peephole = next()
	}
	return p
}

// Params returns the parameters, in PyTorch's order and without gradients.
// Call Pack after writing to their Data.
func (r *recurrent) Params() Params { return slices.Clone(r.params) }

// Pack makes the kernels see what was written to the Data of the parameters.
// Nobody may read the weights meanwhile.
func (r *recurrent) Pack() {
	for i := range r.PackParts() {
		r.PackPart(i)
	}
}

// PackParts returns the number of parts of Pack, see [PartPacker].
func (r *recurrent) PackParts() int { return 3 * len(r.dirs) }

// PackPart packs one part of the parameters.
func (r *recurrent) PackPart(i int) {
	d := r.dirs[i/3]
	switch i % 3 {
	case 0:
		d.wih.pack()
		return
	case 1:
		d.whh.packTransposed()
		return
	}
	d.whh.packPanels()
	if d.whr != nil {
		d.whr.pack()
	}
	if d.bias != nil {
		r.cell.PackBias(d.bias, d.biasH, d.bih, d.bhh, r.hidden)
	}
	if d.bih != nil && r.norm != cell.NoNorm {
		kernels.Add(d.variant.Shift, d.bih, d.bhh)
	}
	if d.peephole != nil {
		kernels.PackBias(d.variant.Peephole, d.peephole, nil, 3, r.hidden)
	}
}

// Warnings returns what PyTorch warns of in the configuration, which is legal
// all the same.
func (r *recurrent) Warnings() []string {
	if r.dropout > 0 && r.layers == 1 {
		return []string{fmt.Sprintf("layer: New%s: Dropout = %v has no effect with Layers = 1: it stands between layers", r.name, r.dropout)}
	}
	return nil
}

// String returns the configuration in PyTorch's form, for example
// LSTM(3, 4, num_layers=2, batch_first=True).
func (r *recurrent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s(%d, %d", r.name, r.input, r.hidden)
	option := func(name string, value any, given bool) {
		if given {
			fmt.Fprintf(&b, ", %s=%v", name, value)
		}
	}
	option("proj_size", r.proj, r.proj > 0)
	option("num_layers", r.layers, r.layers > 1)
	option("bias", "False", r.noBias)
	option("batch_first", "True", r.batchFirst)
	option("dropout", r.dropout, r.dropout > 0)
	option("bidirectional", "True", r.bidirectional)
	b.WriteString(")")
	return b.String()
}

// stepper returns the cell if it makes many steps of a row in one call, else nil.
func (r *recurrent) stepper() cell.Stepper {
	if s, ok := r.cell.(cell.Stepper); ok && r.zoneoutH == 0 && r.zoneoutC == 0 {
		return s
	}
	return nil
}

// rowByRow says whether the rows of a batch, with some inputs in a step, take less
// time one after the other, each T steps in one call, than together. Together rows
// share what they load of the weights, but each step takes several calls. Where the
// first cache holds the weights of several gates, there is less to share.
func (d *direction) rowByRow(rows, inputs, T int) bool {
	const perRow, perCall, firstCache = 800, 12000, 32 << 10
	w := d.whh.panels
	work, most := (inputs+w.K())*w.Width(), 34000 // as multiply-adds of a step
	switch {
	case w.Gates() > 1 && 4*work > firstCache:
		most = 0
	case w.Gates() > 1:
		most = 50000
	}
	return rows == 1 || rows <= most/(perRow+perCall/max(1, T)+work)
}

// checkBatch panics unless a Stream of batch rows is possible; arg is their name.
func (r *recurrent) checkBatch(fn, arg string, batch int) {
	switch {
	case batch < 1:
		bad(fn, arg, batch, "at least 1")
	case !fits(batch+r.streamRows(batch), len(r.dirs), r.cell.Gates(), r.hidden+r.input+blockUnits):
		bad(fn, arg, batch, inMemory)
	}
}

// NewStream returns a Stream of batch sequences with zero state. It panics
// unless batch is at least 1 and its memory can be addressed.
func (r *recurrent) NewStream(batch int) *Stream {
	r.checkBatch(r.name+".NewStream", "batch", batch)
	return newStream(r, batch)
}

// NewTape returns a Tape for batch sequences of at most maxT steps, with zero
// state and gradients. It panics unless batch is at least 1, maxT is not
// negative, and its memory can be addressed. It may run beside readers of the
// weights.
func (r *recurrent) NewTape(maxT, batch int) *Tape { return newTape(r, maxT, batch) }
