package main

import (
	"fmt"

	"github.com/simdrnn/simdrnn/asm/vec"
)

// What measures a machine rather than works on it: a loop that only multiplies
// and adds, one that also loads what it multiplies, and one that only reads.
const (
	fmasPerRound  = 24 // of each lane
	tileStride    = 160
	bytesPerRound = 512
)

func limits(g *vec.Gen, t target) {
	fma(g)
	largestTile(g, t)
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

// largestTile emits the inner loop of the tallest tile of a product, with the same
// few inputs over and over.
func largestTile(g *vec.Gen, t target) {
	rows := len(t.blocks) - 1
	k := g.Func("tile", "a, w *float32, rounds int", fmt.Sprintf("multiplies %d rows of 8 inputs, %d bytes apart, by %d columns.", rows, tileStride, block*t.blocks[rows]))
	a, w, rounds, stride, wStride := k.Arg("a"), k.Arg("w"), k.Arg("rounds"), k.GP64(), k.GP64()
	k.SetWord(tileStride, stride)
	k.SetWord(4*block*2*inputs, wStride)
	at, blocks := k.Strided(a, stride, rows), k.Strided(w, wStride, t.blocks[rows])
	acc := make([][]vec.R, rows)
	for i := range acc {
		acc[i] = g.Zeros(t.blocks[rows] * block / g.Lanes())
	}
	k.Turns(rounds, 1, func() {
		for first := 0; first < 2*inputs; first += inputs {
			var from []vec.Mem
			for b := range t.blocks[rows] {
				from = append(from, blocks.At(b).Offset(4*block*first))
			}
			g.Outer(acc, func(row int) vec.Mem { return at.At(row).Offset(4 * first) }, from, inputs)
		}
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
