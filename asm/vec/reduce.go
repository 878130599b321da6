package vec

// partials is the number of lanes of a reduction.
const partials = 64

// Reduce emits a kernel that makes one number of its operands and stores it at
// the parameter out. Lanes start at start; step takes the current elements into
// their lanes, element j into lane j mod 64, in order of j; then join takes lane
// i+32 into lane i, and i+16, 8, 4, 2, 1. No start is +0.
//
// Values have as many registers as unroll says. If it is 0, they have one, and
// the lanes stay in registers while all 64 are worked on; otherwise lanes are in
// memory.
func (f *Func) Reduce(unroll int, out string, start *K, step func(lane V), join func(lane, other V)) {
	const lane = "lane"
	n, frame := f.newPointers(), f.GP64()
	f.start(n, f.Param)
	f.Local(4*partials, frame)
	at := func(i int) Mem { return Mem{Base: frame, Disp: 4 * i * f.Lanes()} }
	acc := f.Zeros(partials / f.Lanes())
	if start != nil {
		acc = f.Fill(start, len(acc))
	}
	spill := func() {
		for i, r := range acc {
			f.ISA.Store(r, at(i))
		}
		f.ptr[lane] = f.GP64()
		f.CopyWord(frame, f.ptr[lane])
		f.operands = append(f.operands, Operand{lane, 1})
	}
	reload := func() {
		for i, r := range acc {
			f.ISA.Load(at(i), r)
		}
	}
	body := func() {
		if f.tail {
			f.UpdateTail(f.at(lane, 0, 0), func(r R) { step(V{r}) })
			return
		}
		v := f.Load(lane, 0)
		step(v)
		f.Store(lane, 0, v)
	}

	stage := func([]V) []V { body(); return nil }

	f.Comment("64 elements at a time.")
	if unroll == 0 {
		f.While(n, partials, func() {
			f.n = 1
			for i := range acc {
				f.first = i
				step(acc[i : i+1])
			}
			f.first = 0
			f.advance(partials)
			f.AddImm(n, -partials)
		})
		f.If(n, func() {
			spill()
			f.columns(1, n, []Stage{stage})
			reload()
		})
	} else {
		chunk := unroll * f.Lanes()
		spill()
		f.While(n, partials, func() {
			f.Times(partials/chunk, func() {
				f.n = unroll
				body()
				f.advance(chunk)
			})
			f.AddImm(f.ptr[lane], -4*partials)
			f.AddImm(n, -partials)
		})
		f.columns(unroll, n, []Stage{stage})
		reload()
	}

	f.Comment("Join the lanes.")
	for len(acc) > 1 {
		h := len(acc) / 2
		join(acc[:h], acc[h:])
		acc = acc[:h]
	}
	for k := f.Lanes() / 2; k > 0; k /= 2 {
		t := f.New(1)
		f.Down(acc[0], k, t[0])
		join(acc, t)
	}
	f.StoreFirst(acc[0], Mem{Base: f.Arg(out)})
	f.End()
}
