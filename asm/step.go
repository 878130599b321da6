package main

import "github.com/simdrnn/simdrnn/asm/vec"

// steps emits steps of one sequence: what small networks need is done in one
// call, for each step its products one after the other and then the gates.
func steps(g *vec.Gen, t target) {
	lstm := t
	lstm.gateRegisters = t.stepRegisters
	for _, s := range []struct {
		name, doc string
		gates     int
		operands  []vec.Operand
		emit      func(k *vec.Func, walk walk)
		few       string // the operand that the chains of few units are
		linear    bool   // with the product of a Linear
	}{
		{"lstmSteps", "makes steps of an LSTM.", 4, lstmOperands(false), func(k *vec.Func, w walk) { lstmGates(k, lstm, false, false, w) }, "gates", true},
		{"lstmStepsTrain", "is lstmSteps and leaves i,f,g,o in gates.", 4, lstmOperands(false), func(k *vec.Func, w walk) { lstmGates(k, lstm, true, false, w) }, "gates", false},
		{"gruSteps", "makes steps of a GRU.", 3, gruOperands(), func(k *vec.Func, w walk) { gruGates(k, t, false, w) }, "gh", true},
		{"gruStepsTrain", "is gruSteps and leaves r,z,n in gx.", 3, gruOperands(), func(k *vec.Func, w walk) { gruGates(k, t, true, w) }, "", false},
		{"rnnTanhSteps", "makes steps of an RNN with tanh.", 1, rnnStepOperands(), func(k *vec.Func, w walk) { rnnStepGates(k, t, rnnTanh, w) }, "", false},
		{"rnnReLUSteps", "makes steps of an RNN with max(0, x).", 1, rnnStepOperands(), func(k *vec.Func, w walk) { rnnStepGates(k, t, rnnReLU, w) }, "", false},
	} {
		k := g.Func(s.name, "task *stepTask", s.doc)
		task := k.Arg("task")
		operand := func(name string) vec.Mem {
			if name == "gx" {
				name = "gates"
			}
			return k.Field(task, "stepTask", name)
		}
		k.Over("units", s.operands...)
		k.Halves()
		s.emit(k, func(unroll int, stages ...vec.Stage) {
			e := stepEnd{all: func() { k.Walk(operand, unroll, stages...) }, linear: s.linear}
			if s.few != "" {
				e.few = func(chains []vec.V) { k.From(operand, s.few, chains, stages...) }
			}
			if s.name == "gruSteps" { // for an LSTM rowKernel does it
				e = oneInput(k, task, e, s.operands)
			}
			scan(k, task, s.gates, t.pairs, e)
		})
		k.End()
	}
}

// A stepEnd emits what follows the products of a step.
type stepEnd struct {
	all    func()               // the gates
	few    func(chains []vec.V) // those of few units, from the sums of the last product; or nil
	linear bool                 // the product of h that a Linear is
}

// oneInput returns e with a choice: if the task has wx, the input is a single number, and
// the x part of the pre-activations is computed where the gates take it.
func oneInput(k *vec.Func, task vec.GP, e stepEnd, operands []vec.Operand) stepEnd {
	choose := func(end func()) {
		both, done, wx := k.NewLabel("both"), k.NewLabel("done"), k.GP64()
		k.Word(k.Field(task, "stepTask", "wx"), wx)
		k.Branch(wx, vec.EQ, 0, both)
		var inMemory []vec.Operand
		for _, o := range operands {
			if o.Name != "gx" {
				inMemory = append(inMemory, o)
			}
		}
		k.Over("units", append(inMemory, packed("wx", 3), packed("bx", 3))...)
		x := k.GP64()
		k.Word(k.Field(task, "rowProduct", "a"), x)
		k.Given("gx", func(gate int) vec.V {
			s, sum := k.ISA.Vec(), k.Load("bx", gate)
			k.ISA.Splat(vec.Mem{Base: x}, s)
			k.AddProduct(s, "wx", gate, sum)
			return sum
		}, end)
		k.Jump(done)
		k.Label(both)
		k.Over("units", operands...)
		end()
		k.Label(done)
	}
	c := e
	c.all = func() { choose(e.all) }
	if e.few != nil {
		c.few = func(chains []vec.V) { choose(func() { e.few(chains) }) }
	}
	return c
}

func rnnStepOperands() []vec.Operand {
	return []vec.Operand{plain("h"), plain("gates"), plain("gh")}
}

// rnnStepGates takes the two parts of the pre-activations.
func rnnStepGates(k *vec.Func, t target, newAct func(*vec.Gen) func(vec.V) vec.V, walk walk) {
	k.Reserve(5 * t.gateUnroll)
	act := newAct(k.Gen)
	walk(t.gateUnroll, func([]vec.V) []vec.V {
		k.Store("h", 0, act(k.Add(k.Load("gates", 0), k.Load("gh", 0))))
		return nil
	})
}

// scan emits the loop over time:
//
//	for {
//		for p := range products {
//			p.out = p.init + p.a·p.w // or p.out += p.a·p.w
//		}
//		turn back // if steps go back and forth over their weights
//		gates() // of few units, if square, from the registers of the last product
//		y = yStart + h·yW // of some outputs, if there are any
//		if steps--; steps == 0 {
//			break
//		}
//		hPrev, cPrev = h, c // and h is what the last product takes
//		h, c, gates, gh and the x and out of the products go on by a stride
//	}
//
// stepTask, which is used up, says where everything is. Its pointers never leave
// their matrices, for it is Go memory.
func scan(k *vec.Func, task vec.GP, gates int, together pairs, end stepEnd) {
	const typ = "stepTask"
	field := func(name string) vec.Mem { return k.Field(task, typ, name) }
	word := func(m vec.Mem) vec.GP {
		r := k.GP64()
		k.Word(m, r)
		return r
	}
	step, done := k.NewLabel("step"), k.NewLabel("done")
	k.Label(step)
	k.Comment("A step.")
	p := k.GP64()
	k.AddWord(task, word(field("skip")), p)
	k.StoreWord(word(field("count")), field("left"))
	row := &rowKernel{Func: k, task: task, p: p, gates: gates, together: together}
	product, next := k.NewLabel("product"), k.NewLabel("next")
	k.Label(product)
	if end.few != nil {
		k.IfEqual(word(field("left")), 1, func() {
			n := max(1, block/k.Lanes()/2)
			k.IfEqual(word(field("square")), n*k.Lanes(), func() {
				end.few(row.few(n))
				k.Jump(next)
			})
		})
	}
	row.emit()
	k.AddWord(p, word(field("toNext")), p)
	products := word(field("left"))
	k.AddImm(products, -1)
	k.StoreWord(products, field("left"))
	k.Branch(products, vec.GE, 1, product)
	turnBack(k, task)
	if _, ok := k.ISA.(vec.Prefetcher); ok {
		first := k.GP64()
		k.AddWord(task, word(field("skip")), first)
		k.Word(k.Field(first, "rowProduct", "w"), first)
		k.Fetch(first)
	}
	end.all()
	k.Fetch(nil)
	k.Label(next)
	if end.linear {
		outputs := word(field("outputs"))
		k.If(outputs, func() {
			k.Comment("A Linear of h.")
			names := map[string]string{"c": "y", "a": "h", "w": "yW", "init": "yStart", "k": "units"}
			someOutputs(k, outputs, func(name string) vec.GP { return word(field(names[name])) })
		})
	}

	k.Comment("To the next step.")
	left := word(field("steps"))
	k.AddImm(left, -1)
	k.StoreWord(left, field("steps"))
	k.Branch(left, vec.EQ, 0, done)
	addTo := func(m, step vec.Mem) {
		r := word(m)
		k.AddWord(r, word(step), r)
		k.StoreWord(r, m)
	}
	for _, state := range []string{"h", "c"} {
		k.StoreWord(word(field(state)), field(state+"Prev"))
	}
	for _, name := range []string{"h", "c", "gates", "gh"} {
		addTo(field(name), field(name+"Step"))
	}
	x, h := k.Field(task, "rowProduct", "a"), k.Field(task, "rowProduct", "a").Offset(k.SizeOf("rowProduct"))
	addTo(x, field("xStep"))
	k.StoreWord(word(field("hPrev")), h)
	for i := range 2 {
		out := k.Field(task, "rowProduct", "out").Offset(i * k.SizeOf("rowProduct"))
		addTo(out, k.Field(task, "rowProduct", "outStep").Offset(i*k.SizeOf("rowProduct")))
	}
	k.Jump(step)
	k.Label(done)
}

// turnBack has the next step, if steps go back and forth, take the products and their
// panels in the other order: the last ones are those that the cache has.
func turnBack(k *vec.Func, task vec.GP) {
	p := k.GP64()
	k.CopyWord(task, p)
	word := func(m vec.Mem) vec.GP {
		r := k.GP64()
		k.Word(m, r)
		return r
	}
	addTo := func(m vec.Mem, step vec.GP) {
		r := word(m)
		k.AddWord(r, step, r)
		k.StoreWord(r, m)
	}
	negate := func(m vec.Mem) {
		r := k.GP64()
		k.SetWord(0, r)
		k.SubWord(r, word(m), r)
		k.StoreWord(r, m)
	}
	k.If(word(k.Field(task, "stepTask", "back")), func() {
		k.Comment("Back.")
		k.Times(2, func() {
			field := func(name string) vec.Mem { return k.Field(p, "rowProduct", name) }
			for _, name := range []string{"w", "init", "out"} {
				addTo(field(name), word(field(name+"Turn")))
			}
			k.If(word(field("wx")), func() { addTo(field("wx"), word(field("initTurn"))) })
			for _, name := range []string{"w", "init", "out"} {
				negate(field(name + "Panel"))
				negate(field(name + "Turn"))
			}
			k.AddImm(p, k.SizeOf("rowProduct"))
		})
		toLast := word(k.Field(task, "stepTask", "toLast"))
		k.If(toLast, func() {
			addTo(k.Field(task, "stepTask", "skip"), toLast)
			negate(k.Field(task, "stepTask", "toLast"))
			negate(k.Field(task, "stepTask", "toNext"))
			first, second := k.Field(task, "rowProduct", "add"), k.Field(task, "rowProduct", "add").Offset(k.SizeOf("rowProduct"))
			a, b := word(first), word(second)
			k.StoreWord(a, second)
			k.StoreWord(b, first)
		})
	})
}

// A rowKernel multiplies a row by all panels of the rowProduct that p points to.
type rowKernel struct {
	*vec.Func
	task, p      vec.GP
	gates        int
	together     pairs
	w, out, init vec.GP // of the next panel
	at           vec.GP // the weights of the panels at work
}

func (k *rowKernel) field(name string) vec.Mem { return k.Field(k.p, "rowProduct", name) }

func (k *rowKernel) word(name string) vec.GP {
	r := k.GP64()
	k.Word(k.field(name), r)
	return r
}

// emit goes through the panels. The last one may have fewer blocks, or only the
// lower half of each. Where a whole panel is too few chains for the latency of a
// multiply-add, or half a one is, two panels are taken together.
func (k *rowKernel) emit() {
	perBlock := block / k.Lanes()
	half := max(1, perBlock/2) // or half a register
	k.w, k.out, k.init = k.word("w"), k.word("out"), k.word("init")
	start, last, done := k.NewLabel("start"), k.NewLabel("last"), k.NewLabel("done")
	k.Branch(k.word("outPanel"), vec.GE, 0, start)
	k.If(k.word("part"), func() { k.Jump(last) })
	k.Label(start)
	panels := k.word("panels")
	all := func(together ...panel) {
		k.While(panels, len(together), func() {
			k.panels(together...)
			k.AddImm(panels, -len(together))
		})
	}
	whole, lower := panel{blocks: k.gates, perBlock: perBlock}, panel{k.gates, half, true}
	if k.gates == 1 {
		whole.blocks = 4
	}
	if k.gates > 1 && k.together != noPairs {
		pair := k.GP64()
		k.Word(k.field("half"), pair)
		k.If(pair, func() { k.Word(k.field("pairs"), pair) })
		k.SubWord(panels, pair, panels)
		if k.together == allPairs {
			k.If(k.word("pairs"), func() { all(whole, whole) })
		}
		all(whole)
		k.IfEqual(panels, 0, func() {
			k.If(k.word("pairs"), func() {
				k.If(k.word("half"), func() {
					k.panels(whole, lower)
					k.Jump(done)
				})
			})
		})
	} else {
		all(whole)
	}
	k.Branch(k.word("outPanel"), vec.LT, 0, done)
	k.Label(last)
	if k.gates == 1 {
		last := k.word("last")
		for blocks := 1; blocks < 4; blocks++ {
			k.IfEqual(last, blocks, func() { k.panels(panel{blocks: blocks, perBlock: perBlock}) })
		}
	}
	k.If(k.word("half"), func() { k.panels(lower) })
	k.Branch(k.word("outPanel"), vec.LT, 0, start)
	k.Label(done)
}

// A panel is what is taken of one: its blocks, and the registers of each, or half of one.
type panel struct {
	blocks, perBlock int
	half             bool
}

// sums returns registers for the sums of panels.
func (k *rowKernel) sums(panels []panel) (acc []vec.R) {
	for _, p := range panels {
		take := func() { acc = append(acc, k.New(p.blocks*p.perBlock)...) }
		if !p.half || !k.Half(take) {
			take()
		}
	}
	return acc
}

// panels multiplies the row by the next panels, and goes on to those after them.
// There are several only if all inputs are one k block.
func (k *rowKernel) panels(panels ...panel) {
	k.multiply(0, func(acc []vec.R, at func(i int) vec.Mem) {
		for i, r := range acc {
			k.ISA.Store(r, at(i))
		}
	}, panels...)
}

// few multiplies the row, of as many inputs, by the first n registers of each gate of the
// only panel, and returns the sums.
func (k *rowKernel) few(n int) (gates []vec.V) {
	k.w, k.out, k.init = k.word("w"), k.word("out"), k.word("init")
	k.multiply(n*k.Lanes(), func(acc []vec.R, _ func(int) vec.Mem) {
		for ; len(acc) > 0; acc = acc[n:] {
			gates = append(gates, acc[:n])
		}
	}, panel{blocks: k.gates, perBlock: n})
	return gates
}

// multiply multiplies the row by the next panels, and ends with what to do with the
// sums, whose places are at. The row has square inputs, or what the task says if that
// is 0.
func (k *rowKernel) multiply(square int, end func(acc []vec.R, at func(i int) vec.Mem), panels ...panel) {
	var vectors []vector
	blocks := 0
	for _, p := range panels {
		for i := range p.blocks * p.perBlock {
			vectors = append(vectors, vector{blocks + i/p.perBlock, k.Lanes() * (i % p.perBlock)})
		}
		blocks += p.blocks
	}
	acc := k.sums(panels)
	at := func(p vec.GP, i int) vec.Mem {
		return vec.Mem{Base: p, Disp: 4 * (block*vectors[i].block + vectors[i].lane)}
	}
	k.Comment("The chains of a panel.")
	k.at = k.GP64()
	k.CopyWord(k.w, k.at)
	for range panels { // so early because the cache has lost the task
		k.AddWord(k.w, k.word("wPanel"), k.w)
	}
	adds := k.gates == 4 // the x part of one input
	if adds {
		zero := k.Const(0)
		for _, r := range acc {
			k.LoadConst(zero, r)
		}
		k.IfEqual(k.word("wx"), 0, func() { k.start(acc, at, panels) })
	} else {
		k.start(acc, at, panels)
	}
	if square > 0 {
		k.Comment("As many inputs as units.")
		a, stride := k.word("a"), k.GP64()
		k.SetWord(4*block*square, stride)
		weights := k.Strided(k.at, stride, blocks)
		var wm []vec.Mem
		for b := range blocks {
			wm = append(wm, weights.At(b))
		}
		k.Outer([][]vec.R{acc}, func(int) vec.Mem { return vec.Mem{Base: a} }, wm, square)
	} else {
		k.chains(acc, len(panels) == 1, vectors, blocks)
	}
	k.Comment("Add what is there.")
	k.If(k.word("add"), func() {
		for i, r := range acc {
			k.AddFrom(at(k.out, i), r)
		}
	})
	if adds {
		k.addInput(acc, at, panels)
	}
	end(acc, func(i int) vec.Mem { return at(k.out, i) })
	for range panels {
		k.AddWord(k.init, k.word("initPanel"), k.init)
		k.AddWord(k.out, k.word("outPanel"), k.out)
	}
}

// A vector is where, of some blocks, the elements of a register are.
type vector struct{ block, lane int }

// chains adds the products of all inputs to acc, of one panel or of several ones.
func (k *rowKernel) chains(acc []vec.R, onePanel bool, vectors []vector, blocks int) {
	a, left := k.word("a"), k.word("k")
	kBlocks(k.Func, left, k.at, blocks, func(n vec.GP, weights *vec.Strided) {
		var wm []vec.Mem
		if onePanel {
			for b := range blocks {
				wm = append(wm, weights.At(b))
			}
		} else {
			for _, v := range vectors {
				wm = append(wm, weights.At(v.block).Offset(4*v.lane))
			}
		}
		scalars := func(int) vec.Mem { return vec.Mem{Base: a} }
		for _, steps := range []int{inputs, 1} {
			k.Turns(n, steps, func() {
				k.Outer([][]vec.R{acc}, scalars, wm, steps)
				k.AddImm(a, 4*steps)
				weights.Advance(4 * block * steps)
			})
		}
	}, func() {})
}

// start sets the sums to what the chains of each panel start from: of all panels it
// may be the same.
func (k *rowKernel) start(acc []vec.R, at func(p vec.GP, i int) vec.Mem, panels []panel) {
	p, i, first := k.GP64(), 0, 0
	k.CopyWord(k.init, p)
	for j, n := range panels {
		if j > 0 {
			k.AddWord(p, k.word("initPanel"), p)
		}
		for range n.blocks * n.perBlock {
			k.ISA.Load(at(p, i).Offset(-4*block*first), acc[i])
			i++
		}
		first += n.blocks
	}
}

// addInput adds the part of a single input to the sums, if there is one. at says where
// each of them is in the panels that a pointer is at.
func (k *rowKernel) addInput(acc []vec.R, at func(p vec.GP, i int) vec.Mem, panels []panel) {
	wx := k.word("wx")
	k.If(wx, func() {
		k.Comment("Add the x part of one input.")
		k.SubWord(wx, k.word("init"), wx)
		k.AddWord(wx, k.init, wx)
		x, s := k.GP64(), k.ISA.Vec()
		k.Word(k.Field(k.task, "rowProduct", "a"), x)
		k.ISA.Splat(vec.Mem{Base: x}, s)
		for i, d := range k.sums(panels) {
			k.ISA.Load(at(k.init, i), d)
			k.FMAFrom(s, at(wx, i), d)
			k.ISA.Add(acc[i], d, acc[i])
		}
	})
}
