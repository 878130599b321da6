package main

import "github.com/simdrnn/simdrnn/asm/vec"

// steps emits whole steps of one sequence: what small networks need is done in
// one call, their products one after the other and then the gates.
func steps(g *vec.Gen, t target) {
	k := g.Func("lstmStep", "products *[2]gemmTask, count int, h, c, gates, cPrev *float32, units int",
		"computes count products of one row and 64 columns a panel, and then lstmForward.")
	k.Over("units", lstmOperands()...)
	products(k, 4)
	lstmGates(k, t, false)

	k = g.Func("gruStep", "products *[2]gemmTask, count int, h, gx, gh, hPrev *float32, units int",
		"computes count products of one row and 48 columns a panel, and then gruForward.")
	k.Over("units", gruOperands()...)
	products(k, 3)
	gruGates(k, t, false)
}

// products works through an array of tasks.
func products(k *vec.Func, blocks int) {
	task, count := k.Arg("products"), k.GP64()
	k.Word(k.Param("count"), count)
	k.While(count, 1, func() {
		product(k, task, 1, blocks)
		k.AddImm(task, k.SizeOf("gemmTask"))
		k.Word(k.Param("count"), count)
		k.AddImm(count, -1)
		k.StoreWord(count, k.Param("count"))
	})
}
