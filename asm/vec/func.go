package vec

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/reg"
)

// block is the number of units whose gates lie together in packed order.
const block = 16

// A Func is a kernel of one instruction set.
type Func struct {
	*Gen
	Name   string // without the instruction set
	Doc    string
	Params string // as in Go

	operands []Operand
	strided  bool                        // a stride follows for each operand, and rows
	count    string                      // the parameter that holds the number of elements
	ptr      map[string]GP               // where each operand's next elements are
	tail     bool                        // the elements at ptr are fewer than a register holds
	from     GP                          // what Map fetches beside its computations, or nil
	halves   bool                        // few last elements are left to halves of registers
	n        int                         // registers of a value
	first    int                         // registers between ptr and the value
	ahead    int                         // elements between them, apart from those
	given    map[string]func(gate int) V // elements of operands that are not in memory
}

// An Operand is a parameter *float32 of a kernel. Of a packed one, Gates 3 or 4,
// each block of 16 units of a gate is followed by that block of the next gate.
type Operand struct {
	Name  string
	Gates int
}

// Func starts a function with parameters as in Go.
func (g *Gen) Func(name, params, doc string) *Func {
	f := &Func{Gen: g, Name: name, Doc: doc, Params: params, ptr: map[string]GP{}}
	g.Funcs = append(g.Funcs, f)
	full := name + g.Name()
	sig, err := gotypes.ParseSignatureInPackage(g.pkg, "func("+params+")")
	if err != nil {
		g.fail("%s: %w", full, err)
		sig = gotypes.NewSignatureVoid()
	}
	g.Function(full)
	g.Attributes(attr.NOSPLIT)
	g.Pragma("noescape")
	g.Signature(sig)
	g.Context.Doc(full + " " + doc)
	g.labels, g.spare, g.kept = 0, 0, map[reg.ID]bool{}
	g.Begin()
	return f
}

// Flat starts a kernel on n consecutive elements of its operands, followed by
// more parameters.
func (g *Gen) Flat(name, doc string, operands []string, more string) *Func {
	f := g.Func(name, strings.Join(operands, ", ")+" *float32, n int"+more, doc)
	f.count = "n"
	for _, o := range operands {
		f.operands = append(f.operands, Operand{o, 1})
	}
	return f
}

// Over names the parameter that holds the number of elements, and the operands
// that Map walks along.
func (f *Func) Over(count string, operands ...Operand) { f.operands, f.count = operands, count }

// Rows starts a kernel on rows of units of its operands, each with a stride.
func (g *Gen) Rows(name, doc string, operands ...Operand) *Func {
	var names, strides []string
	for _, o := range operands {
		names = append(names, o.Name)
		strides = append(strides, o.Name+"Stride")
	}
	f := g.Func(name, strings.Join(names, ", ")+" *float32, "+strings.Join(strides, ", ")+", rows, units int", doc)
	f.operands, f.strided, f.count = operands, true, "units"
	return f
}

// Param returns the address of a parameter.
func (f *Func) Param(name string) Mem {
	b, err := f.Context.Param(name).Resolve()
	if err != nil {
		f.fail("%s: %w", f.Name, err)
		return Mem{}
	}
	return b.Addr
}

// Arg returns a parameter in a new register.
func (f *Func) Arg(name string) GP {
	r := f.GP64()
	f.Word(f.Param(name), r)
	return r
}

// Field returns the address of a field of the struct type typ that base points
// to.
func (f *Func) Field(base GP, typ, field string) Mem {
	fields := f.fields(typ)
	i := slices.IndexFunc(fields, func(v *types.Var) bool { return v.Name() == field })
	if i < 0 {
		f.fail("%s: %s has no field %s", f.Name, typ, field)
		return Mem{Base: base}
	}
	return Mem{Base: base, Disp: int(sizes.Offsetsof(fields)[i])}
}

// SizeOf returns the size of the struct type typ.
func (f *Func) SizeOf(typ string) int { return int(sizes.Sizeof(types.NewStruct(f.fields(typ), nil))) }

func (f *Func) fields(typ string) (fields []*types.Var) {
	s := f.pkg.Scope().Lookup(typ).Type().Underlying().(*types.Struct)
	for i := range s.NumFields() {
		fields = append(fields, s.Field(i))
	}
	return fields
}

// sizes are those of amd64 and arm64.
var sizes = &types.StdSizes{WordSize: 8, MaxAlign: 8}

// While runs body while r >= k, if it is so at first.
func (f *Func) While(r GP, k int, body func()) {
	loop, done := f.NewLabel("loop"), f.NewLabel("done")
	f.Branch(r, LT, k, done)
	f.Label(loop)
	body()
	f.Branch(r, GE, k, loop)
	f.Label(done)
}

// Turns is While with r -= k after each turn, in the fewest instructions.
func (f *Func) Turns(r GP, k int, body func()) {
	loop, done := f.NewLabel("loop"), f.NewLabel("done")
	f.SubBranch(r, k, LT, done)
	f.Label(loop)
	body()
	f.SubBranch(r, k, GE, loop)
	f.Label(done)
	f.AddImm(r, k)
}

// Times runs body n times.
func (f *Func) Times(n int, body func()) {
	if n == 1 {
		body()
		return
	}
	r, loop := f.GP64(), f.NewLabel("loop")
	f.SetWord(n, r)
	f.Label(loop)
	body()
	f.AddImm(r, -1)
	f.Branch(r, NE, 0, loop)
}

// If runs body unless r is zero.
func (f *Func) If(r GP, body func()) { f.unless(r, EQ, 0, body) }

// IfEqual runs body if r = n.
func (f *Func) IfEqual(r GP, n int, body func()) { f.unless(r, NE, n, body) }

// IfAtLeast runs body if r >= n.
func (f *Func) IfAtLeast(r GP, n int, body func()) { f.unless(r, LT, n, body) }

func (f *Func) unless(r GP, c Cond, n int, body func()) {
	done := f.NewLabel("done")
	f.Branch(r, c, n, done)
	body()
	f.Label(done)
}

// Load returns the current elements of a gate of an operand.
func (f *Func) Load(operand string, gate int) V {
	if v := f.given[operand]; v != nil {
		return v(gate)
	}
	return f.each(f.n, func(i int, d R) {
		if m := f.at(operand, gate, i); f.tail {
			f.LoadTail(m, d)
		} else {
			f.ISA.Load(m, d)
		}
	})
}

// Store writes the current elements of a gate of an operand.
func (f *Func) Store(operand string, gate int, v V) {
	for i, s := range v {
		if m := f.at(operand, gate, i); f.tail {
			f.StoreTail(s, m)
		} else {
			f.ISA.Store(s, m)
		}
	}
}

func (f *Func) at(operand string, gate, i int) Mem {
	disp := gate*block + (f.first+i)*f.Lanes()
	if f.ahead > 0 {
		i := slices.IndexFunc(f.operands, func(o Operand) bool { return o.Name == operand })
		disp += f.ahead * f.operands[i].Gates
	}
	return Mem{Base: f.ptr[operand], Disp: 4 * disp}
}

// Pointer returns the register that points to the current elements.
func (f *Func) Pointer(operand string) GP { return f.ptr[operand] }

// Size returns the number of registers of the current values.
func (f *Func) Size() int { return f.n }

// advance moves all pointers by n elements.
func (f *Func) advance(n int) {
	for _, o := range f.operands {
		f.AddImm(f.ptr[o.Name], 4*n)
	}
}

// Halves says that where registers have halves, Map leaves few last elements to these, as
// is faster for what mostly has few. All values of its body must come from there.
func (f *Func) Halves() { _, f.halves = f.ISA.(Halver) }

// A Stage is a part of a body: it takes what the stage before returned.
type Stage = func([]V) []V

// Map emits the loops of a kernel around body, which computes as many elements
// as unroll registers hold, or one register, or the last few.
func (f *Func) Map(unroll int, body func()) {
	f.Stages(unroll, func([]V) []V { body(); return nil })
}

// Stages is Map with a body in stages: while the last one works on some elements, the
// one before works on the next ones, and so on, so that their chains run side by side.
func (f *Func) Stages(unroll int, stages ...Stage) {
	if f.strided {
		n := f.newPointers()
		f.rows(n, func() { f.columns(unroll, n, stages) })
	} else {
		f.Walk(f.Param, unroll, stages...)
	}
	f.End()
}

// Walk emits the loops of Stages for one row and goes on after them. word returns
// the address of an operand's pointer, or of the number of elements.
func (f *Func) Walk(word func(name string) Mem, unroll int, stages ...Stage) {
	n := f.newPointers()
	f.start(n, word)
	f.columns(unroll, n, stages)
}

// From emits all stages for as many elements as the registers in gates hold, which
// are those of an operand. word is that of Walk.
func (f *Func) From(word func(name string) Mem, operand string, gates []V, stages ...Stage) {
	f.start(f.newPointers(), word)
	f.n = len(gates[0])
	f.Given(operand, func(gate int) V { return gates[gate] }, func() { f.body(stages) })
}

// body emits all stages of some elements.
func (f *Func) body(stages []Stage) {
	f.Schedule(nil, func() {
		var v []V
		for _, stage := range stages {
			v = stage(v)
		}
	})
}

// Given runs body, to which Load gives what elements returns for an operand.
func (f *Func) Given(operand string, elements func(gate int) V, body func()) {
	if f.given == nil {
		f.given = map[string]func(gate int) V{}
	}
	f.given[operand] = elements
	body()
	delete(f.given, operand)
}

// AddProduct adds x times the current elements of an operand to c, without its tail's
// mask: the operand is packed, and so its blocks are whole.
func (f *Func) AddProduct(x R, operand string, gate int, c V) {
	for i, r := range c {
		f.FMAFrom(x, f.at(operand, gate, i), r)
	}
}

// newPointers takes registers for the pointers and the number of elements.
func (f *Func) newPointers() (n GP) {
	for _, o := range f.operands {
		f.ptr[o.Name] = f.GP64()
	}
	return f.GP64()
}

// start loads the pointers and the number of elements.
func (f *Func) start(n GP, word func(name string) Mem) {
	for _, o := range f.operands {
		f.Word(word(o.Name), f.ptr[o.Name])
	}
	f.Word(word(f.count), n)
}

// rows runs columns for each row. Between rows the pointers and the number of
// rows live where they were passed.
func (f *Func) rows(n GP, columns func()) {
	loop, done := f.NewLabel("row"), f.NewLabel("done")
	f.Label(loop)
	t, u := f.GP64(), f.GP64()
	f.Comment("A row.")
	f.Word(f.Param("rows"), t)
	f.Branch(t, LT, 1, done)
	f.AddImm(t, -1)
	f.StoreWord(t, f.Param("rows"))
	f.start(n, f.Param)
	columns()
	f.Comment("To the next row.")
	for _, o := range f.operands {
		f.Word(f.Param(o.Name+"Stride"), t)
		f.ShlWord(t, 2)
		f.Word(f.Param(o.Name), u)
		f.AddWord(u, t, u)
		f.StoreWord(u, f.Param(o.Name))
	}
	f.Jump(loop)
	f.Label(done)
}

// columns runs all stages over n elements.
func (f *Func) columns(unroll int, n GP, stages []Stage) {
	lanes := f.Lanes()
	chunk, step := unroll*lanes, unroll*lanes
	packed := slices.ContainsFunc(f.operands, func(o Operand) bool { return o.Gates > 1 })
	if packed {
		step = block
	}
	chunks := step / chunk
	ahead := (len(stages) - 2 + chunks) / chunks // steps that are begun before the loop
	body := func() { f.body(stages) }
	f.Comment(fmt.Sprintf("%d elements at a time.", chunk))
	if len(stages) > 1 {
		f.pipeline(unroll, n, step, ahead, stages)
	} else {
		f.While(n, step, func() {
			f.Times(chunks, func() {
				f.n = unroll
				body()
				f.advance(chunk)
			})
			f.skipGates()
			f.AddImm(n, -step)
		})
	}
	if max(1, ahead)*step > lanes {
		f.Comment(fmt.Sprintf("%d elements at a time.", lanes))
		f.While(n, lanes, func() {
			f.n = 1
			body()
			f.advance(lanes)
			f.AddImm(n, -lanes)
		})
	}
	f.Comment("The last elements.")
	f.If(n, func() {
		var p []GP
		for _, o := range f.operands {
			p = append(p, f.ptr[o.Name])
		}
		f.n = 1
		last := func() {
			f.tail = true
			f.Tail(n, p, body)
			f.tail = false
		}
		if !f.halves {
			last()
			return
		}
		half, more, done := f.Lanes()/2, f.NewLabel("more"), f.NewLabel("done")
		f.Branch(n, GE, half+1, more)
		f.Half(func() {
			whole := f.NewLabel("half")
			f.Branch(n, EQ, half, whole)
			last()
			f.Jump(done)
			f.Label(whole)
			body()
			f.Jump(done)
		})
		f.Label(more)
		last()
		f.Label(done)
	})
}

// roundSlack is the number of registers that a loop whose values go through several stages
// leaves free: around a loop, values may take more registers than are live at any place.
const roundSlack = 2

// pipeline works on step elements at a time, each stage of some beside the stage before
// it of the next, if there are the steps that it is ahead by.
func (f *Func) pipeline(unroll int, n GP, step, ahead int, stages []Stage) {
	chunks := step / (unroll * f.Lanes())
	f.n = unroll
	done := f.NewLabel("done")
	f.slack = roundSlack
	defer func() { f.slack = 0 }()
	f.Branch(n, LT, ahead*step, done)
	// turn emits the last stage of chunk i, the one before of the next, and so on, of
	// those chunks that are from 0 to end. Stage k takes v[k].
	turn := func(i, end int, v, to [][]V) [][]V {
		next := make([][]V, len(stages)+1)
		var keep []V
		var parts []func()
		for k := len(stages) - 1; k >= 0; k-- {
			c := i + len(stages) - 1 - k
			if c < 0 || c >= end {
				continue
			}
			parts = append(parts, func() {
				f.first, f.ahead = c%chunks*unroll, c/chunks*step
				next[k+1] = stages[k](v[k])
				f.first, f.ahead = 0, 0
				if to != nil && k+1 < len(stages) {
					f.move(next[k+1], to[k+1])
					next[k+1] = to[k+1]
				}
				keep = append(keep, next[k+1]...)
			})
		}
		f.Schedule(&keep, parts...)
		return next
	}
	v := make([][]V, len(stages)+1)
	for i := 1 - len(stages); i < 0; i++ {
		v = turn(i, ahead*chunks, v, nil)
	}
	f.AddImm(n, -ahead*step)
	begun := v // at the start of the loop
	f.While(n, step, func() {
		f.fetching(func() {
			for i := range chunks - 1 {
				v = turn(i, always, v, nil)
			}
			turn(chunks-1, always, v, begun)
		})
		f.advance(step)
		f.skipGates()
		f.AddImm(n, -step)
	})
	v = begun
	for i := range ahead * chunks {
		v = turn(i, ahead*chunks, v, nil)
	}
	for range ahead {
		f.advance(step)
		f.skipGates()
	}
	f.Label(done)
}

// move copies values to others.
func (f *Func) move(from, to []V) {
	for k, v := range from {
		for j, r := range v {
			f.ISA.Copy(r, to[k][j])
		}
	}
}

// Fetch has the loops of Map fetch the cache lines from p on, as many as the second
// cache gives beside the computation.
func (f *Func) Fetch(p GP) { f.from = p }

// fetching emits body with fetches.
func (f *Func) fetching(body func()) {
	if f.from == nil {
		body()
		return
	}
	f.fetch = &fetch{from: f.from}
	body()
	lines := f.fetch.lines
	f.fetch = nil
	f.AddImm(f.from, 64*lines)
}

// skipGates moves the pointers to packed operands from the end of a block's first
// gate to the next block.
func (f *Func) skipGates() {
	for _, o := range f.operands {
		if o.Gates > 1 {
			f.AddImm(f.ptr[o.Name], 4*block*(o.Gates-1))
		}
	}
}

// LoadAt returns the elements at p, as many as Load.
func (f *Func) LoadAt(p GP) V { return f.LoadFrom(p, 0) }

// LoadFrom returns the elements of a gate at p, as many as Load.
func (f *Func) LoadFrom(p GP, gate int) V {
	return f.each(f.n, func(i int, d R) {
		if m := (Mem{Base: p, Disp: 4 * (gate*block + i*f.Lanes())}); f.tail {
			f.LoadTail(m, d)
		} else {
			f.ISA.Load(m, d)
		}
	})
}

// All returns the current value that has r in each place. It must not be
// overwritten.
func (f *Func) All(r R) V {
	v := make(V, f.n)
	for i := range v {
		v[i] = r
	}
	return v
}

// AddTimes adds n times step to p.
func (f *Func) AddTimes(p, step GP, n int) {
	for ; n >= 2; n -= 2 {
		f.AddTwice(p, step)
	}
	if n > 0 {
		f.AddWord(p, step, p)
	}
}

// Strided is n addresses at the same distance.
type Strided struct {
	f      *Func
	stride GP
	ptr    []GP
}

// Strided returns the addresses base + i·stride, of i < n. base is changed by
// Advance.
func (f *Func) Strided(base, stride GP, n int) *Strided {
	s := &Strided{f, stride, []GP{base}}
	for len(s.ptr)*f.Reach() < n {
		p := f.GP64()
		f.AddWord(s.ptr[len(s.ptr)-1], stride, p)
		f.AddTimes(p, stride, f.Reach()-1)
		s.ptr = append(s.ptr, p)
	}
	return s
}

// At returns address i.
func (s *Strided) At(i int) Mem {
	return s.f.Indexed(s.ptr[i/s.f.Reach()], s.stride, i%s.f.Reach())
}

// Copy sets d to address i.
func (s *Strided) Copy(i int, d GP) {
	s.f.CopyWord(s.ptr[i/s.f.Reach()], d)
	for range i % s.f.Reach() {
		s.f.AddWord(d, s.stride, d)
	}
}

// Advance moves all addresses by some bytes.
func (s *Strided) Advance(bytes int) {
	for _, p := range s.ptr {
		s.f.AddImm(p, bytes)
	}
}
