package main

import "github.com/simdrnn/simdrnn/asm/vec"

// steps emits steps of one sequence: what small networks need is done in one
// call, for each step its products one after the other and then the gates.
func steps(g *vec.Gen, t target) {
	for _, s := range []struct {
		name, doc string
		gates     int
		operands  []vec.Operand
		emit      func(k *vec.Func, walk walk)
	}{
		{"lstmSteps", "makes steps of an LSTM.", 4, lstmOperands(false), func(k *vec.Func, w walk) { lstmGates(k, t, false, false, w) }},
		{"lstmStepsTrain", "is lstmSteps and leaves i,f,g,o in gates.", 4, lstmOperands(false), func(k *vec.Func, w walk) { lstmGates(k, t, true, false, w) }},
		{"gruSteps", "makes steps of a GRU.", 3, gruOperands(), func(k *vec.Func, w walk) { gruGates(k, t, false, w) }},
		{"gruStepsTrain", "is gruSteps and leaves r,z,n in gx.", 3, gruOperands(), func(k *vec.Func, w walk) { gruGates(k, t, true, w) }},
		{"rnnTanhSteps", "makes steps of an RNN with tanh.", 1, rnnStepOperands(), func(k *vec.Func, w walk) { rnnStepGates(k, t, rnnTanh, w) }},
		{"rnnReLUSteps", "makes steps of an RNN with max(0, x).", 1, rnnStepOperands(), func(k *vec.Func, w walk) { rnnStepGates(k, t, rnnReLU, w) }},
	} {
		k := g.Func(s.name, "task *stepTask", s.doc)
		k.Over("units", s.operands...)
		task := k.Arg("task")
		scan(k, task, s.gates, func() {
			s.emit(k, func(unroll int, first func() []vec.V, second func([]vec.V)) {
				k.Walk(func(name string) vec.Mem {
					if name == "gx" {
						name = "gates"
					}
					return k.Field(task, "stepTask", name)
				}, unroll, first, second)
			})
		})
		k.End()
	}
}

func rnnStepOperands() []vec.Operand {
	return []vec.Operand{plain("h"), plain("gates"), plain("gh")}
}

// rnnStepGates takes the two parts of the pre-activations.
func rnnStepGates(k *vec.Func, t target, newAct func(*vec.Gen) func(vec.V) vec.V, walk walk) {
	k.Reserve(5 * t.gateUnroll)
	act := newAct(k.Gen)
	walk(t.gateUnroll, func() []vec.V {
		k.Store("h", 0, act(k.Add(k.Load("gates", 0), k.Load("gh", 0))))
		return nil
	}, nil)
}

// scan emits the loop over time:
//
//	for {
//		for p := range products {
//			p.out = p.init + p.a·p.w // or p.out += p.a·p.w
//		}
//		gates()
//		if steps--; steps == 0 {
//			break
//		}
//		hPrev, cPrev = h, c // and h is what the last product takes
//		h, c, gates, gh and the x and out of the products go on by a stride
//	}
//
// stepTask, which is used up, says where everything is. Its pointers never leave
// their matrices, for it is Go memory.
func scan(k *vec.Func, task vec.GP, gates int, body func()) {
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
	p, count := k.GP64(), word(field("count"))
	k.AddWord(task, word(field("skip")), p)
	k.While(count, 1, func() {
		rowPanels(k, task, p, gates)
		k.AddImm(p, k.SizeOf("rowProduct"))
		k.AddImm(count, -1)
	})
	body()

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

// rowPanels multiplies a row by all panels of the rowProduct that p points to.
// The last panel may have fewer blocks, or only the lower half of each.
func rowPanels(k *vec.Func, task, p vec.GP, gates int) {
	word := func(name string) vec.GP {
		r := k.GP64()
		k.Word(k.Field(p, "rowProduct", name), r)
		return r
	}
	perBlock := block / k.Lanes()
	half := max(1, perBlock/2)
	w, out, init, panels := word("w"), word("out"), word("init"), word("panels")
	one := func(blocks, perBlock int) { rowPanel(k, task, p, w, out, init, gates, blocks, perBlock) }
	if gates > 1 {
		k.While(panels, 1, func() {
			one(gates, perBlock)
			k.AddImm(panels, -1)
		})
		k.If(word("half"), func() { one(gates, half) })
		return
	}
	k.While(panels, 1, func() {
		one(4, perBlock)
		k.AddImm(panels, -1)
	})
	last := word("last")
	for blocks := 1; blocks < 4; blocks++ {
		k.IfEqual(last, blocks, func() { one(blocks, perBlock) })
	}
	k.If(word("half"), func() { one(1, half) })
}

// rowPanel multiplies a row by a panel at w, and moves w, out and init to the
// next one.
func rowPanel(k *vec.Func, task, p, w, out, init vec.GP, gates, blocks, perBlock int) {
	field := func(name string) vec.Mem { return k.Field(p, "rowProduct", name) }
	word := func(name string) vec.GP {
		r := k.GP64()
		k.Word(field(name), r)
		return r
	}
	acc := k.New(blocks * perBlock)
	each := func(p vec.GP, f func(r vec.R, m vec.Mem)) {
		for j, r := range acc {
			f(r, vec.Mem{Base: p, Disp: 4 * (block*(j/perBlock) + k.Lanes()*(j%perBlock))})
		}
	}
	oneInput := gates == 4
	k.Comment("The chains of a panel.")
	start := func() { each(init, func(r vec.R, m vec.Mem) { k.ISA.Load(m, r) }) }
	if oneInput {
		zero := k.Const(0)
		for _, r := range acc {
			k.LoadConst(zero, r)
		}
		k.IfEqual(word("wx"), 0, start)
	} else {
		start()
	}
	a, left := word("a"), word("k")
	k.While(left, 1, func() {
		n, stride := k.GP64(), k.GP64()
		k.CopyWord(left, n)
		k.AddImm(left, -kBlock)
		k.IfAtLeast(left, 1, func() { k.SetWord(kBlock, n) })
		k.CopyWord(n, stride)
		k.ShlWord(stride, 6)
		first := k.GP64()
		k.CopyWord(w, first)
		weights := k.Strided(first, stride, blocks)
		var wm []vec.Mem
		for b := range blocks {
			wm = append(wm, weights.At(b))
		}
		scalars := func(int) vec.Mem { return vec.Mem{Base: a} }
		for _, steps := range []int{inputs, 1} {
			k.Turns(n, steps, func() {
				k.Outer([][]vec.R{acc}, scalars, wm, steps)
				k.AddImm(a, 4*steps)
				weights.Advance(4 * block * steps)
			})
		}
		weights.Copy(blocks-1, w)
	})
	k.Comment("Add what is there.")
	k.If(word("add"), func() {
		each(out, func(r vec.R, m vec.Mem) {
			d := k.ISA.Vec()
			k.ISA.Load(m, d)
			k.ISA.Add(d, r, r)
		})
	})
	if oneInput {
		wx := word("wx")
		k.If(wx, func() {
			k.Comment("Add the x part of one input.")
			k.SubWord(wx, word("init"), wx)
			k.AddWord(wx, init, wx)
			x, s := k.GP64(), k.ISA.Vec()
			k.Word(k.Field(task, "rowProduct", "a"), x)
			k.ISA.Splat(vec.Mem{Base: x}, s)
			i := 0
			each(wx, func(r vec.R, weights vec.Mem) {
				bias, d := weights, k.ISA.Vec()
				bias.Base = init
				k.ISA.Load(bias, d)
				w := k.ISA.Vec()
				k.ISA.Load(weights, w)
				k.ISA.FMA(s, w, d)
				k.ISA.Add(acc[i], d, acc[i])
				i++
			})
		})
	}
	k.AddWord(init, word("initPanel"), init)
	each(out, func(r vec.R, m vec.Mem) { k.ISA.Store(r, m) })
	k.AddImm(out, 4*block*blocks)
}
