// Package vec describes kernels once for several instruction sets.
//
// A [Gen] holds an avo context and an [ISA], the operations of an instruction
// set on single registers. A kernel is written on values [V], which are several
// registers that are worked on side by side, on constants [K] and polynomials
// [Poly], inside the loops of a [Func]. One float32 of one element goes through
// the same sequence of IEEE operations on every instruction set, and so gets
// the same bits.
//
// # A kernel
//
// This is all of y += alpha*x, for AVX2, AVX-512 and NEON:
//
//	k := g.Flat("axpy", "sets dst[i] = fma(alpha, x[i], dst[i]).", []string{"dst", "x"}, ", alpha float32")
//	alpha := k.ISA.Vec()
//	k.Splat(k.Param("alpha"), alpha)
//	k.Keep(alpha)
//	k.Map(2, func() {
//		k.Store("dst", 0, g.FMA(k.Load("x", 0), k.All(alpha), k.Load("dst", 0)))
//	})
//
// Flat begins a function of slices of n elements; Rows one of matrices, whose
// operands may have several gates; Func any other. Map emits the loops: values of
// two registers, then of one, then the tail, for which Load and Store mask or
// shorten what they do. Stages is Map for a body in parts, the last of which works beside
// the part before it of the next elements, and so on. Both put the instructions of a body in an
// order in which long chains start early (see [Gen.Schedule]). After [Func.Halves] the
// tail takes half a register where that is enough, and after [Func.Fetch] the loops of
// Stages fetch what is needed next beside what they compute. Map also sets
// flush-to-zero at the start and restores the caller's mode at the end.
//
// What a loop reads but does not change is announced by Keep. Constants live in
// registers as long as there are some, and in memory after that; Reserve says how
// many registers the body needs for itself.
//
// # To add one
//
//  1. Describe it in the file of its family in package main of this module, with
//     its loop in plain Go as the comment.
//  2. Write the Go twin in kernels/<family>_generic.go, and the exported function
//     in kernels/<family>.go: checks first, then the twin on Generic, then a call
//     for each of tiles, which bounds the time in assembly.
//  3. Add a row to the table in kernels/pointwise_test.go. It brings all lengths,
//     alignments, guard pages, aliases, special values, equal bits and the
//     benchmark.
//  4. go generate, go test ./kernels, and -record for the hash of its bits.
//
// The stubs, and the switch that calls the right one for an ISA, are generated.
//
// A fourth instruction set is a file like avx512.go with an implementation of ISA,
// a line in targets, and its name in kernels/isa.go.
//
// # To read the assembly
//
// Each function states its Go signature and the features that it needs. It goes
// on by phases: flags, pointers, constants, loops of falling width and the tail, each
// under a comment, and ends near its beginning, where the caller's flags come back.
// Comments of a body come from its calls of Comment, joined where the order of
// instructions mixes them. Virtual registers have become the lowest that are free,
// so names say nothing across phases. On arm64 what Go's assembler cannot spell is a WORD with the instruction
// in its comment; a test decodes them all. VZEROUPPER ends each function that
// touched wide registers, and functions for AVX2 stay below register 16: [Check]
// refuses others.
package vec
