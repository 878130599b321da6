package main

import "github.com/simdrnn/simdrnn/asm/vec"

// What measures a machine rather than works on it: a loop that only multiplies
// and adds, and one that only reads.
const (
	fmasPerRound  = 24 // of each lane
	bytesPerRound = 512
)

func limits(g *vec.Gen, _ target) {
	fma(g)
	read(g)
}

// fma emits chains of fused multiply-adds that need no memory: as many as it
// takes to keep all units of a core busy at the latency of 4 cycles, 8 with two
// units and 16 with four.
func fma(g *vec.Gen) {
	chains := fmasPerRound
	if g.Name() == "AVX2" {
		chains /= 2 // it has 16 registers
	}
	k := g.Func("fma", "x float32, rounds int", "adds x*x to sums in registers: 24 fused multiply-adds a round in each lane.")
	rounds, x := k.Arg("rounds"), splat(k, k.Param("x"))
	acc := g.Zeros(chains)
	k.While(rounds, 1, func() {
		for range fmasPerRound / chains {
			for _, c := range acc {
				g.ISA.FMA(x, x, c)
			}
		}
		k.AddImm(rounds, -1)
	})
	k.End()
}

// read emits loads of consecutive vectors, over and over.
func read(g *vec.Gen) {
	k := g.Func("read", "p *float32, rounds, passes int", "loads rounds times 512 bytes from p on, and all that passes times.")
	passes := k.Arg("passes")
	p, rounds := k.GP64(), k.GP64()
	k.While(passes, 1, func() {
		k.Word(k.Param("p"), p)
		k.Word(k.Param("rounds"), rounds)
		k.While(rounds, 1, func() {
			for at := 0; at < bytesPerRound; at += 4 * g.Lanes() {
				g.ISA.Load(vec.Mem{Base: p, Disp: at}, g.ISA.Vec())
			}
			k.AddImm(p, bytesPerRound)
			k.AddImm(rounds, -1)
		})
		k.AddImm(passes, -1)
	})
	k.End()
}
