// Package neon teaches avo to write arm64.
//
// An [Asm] appends arm64 instructions to an ordinary avo build context: virtual
// registers, labels, comments and function parameters are avo's own. The
// [Compile] pass then runs avo's liveness analysis and register allocator, and
// rewrites every instruction into the syntax of Go's arm64 assembler, so that
// avo's printer can print the file.
//
// avo's 16 general registers AX to R15, without SP, are R0 to R3 and R5 to R15
// here, and X0 to X31 are V0 to V31: registers that Go reserves never appear.
//
// Go's assembler has names for few of the floating-point vector instructions.
// The others are written as WORD with the A64 mnemonic in a comment.
package neon

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Asm emits arm64 instructions into an avo context. Operands are in the order
// of Go's assembler: sources first, destination last.
type Asm struct{ *build.Context }

// Vector arithmetic, four float32 lanes: d = n op m.

func (a Asm) FADD(m, n, d reg.Register)        { a.vec("FADD", m, n, d) }
func (a Asm) FSUB(m, n, d reg.Register)        { a.vec("FSUB", m, n, d) }
func (a Asm) FMUL(m, n, d reg.Register)        { a.vec("FMUL", m, n, d) }
func (a Asm) FDIV(m, n, d reg.Register)        { a.vec("FDIV", m, n, d) }
func (a Asm) FMAX(m, n, d reg.Register)        { a.vec("FMAX", m, n, d) }
func (a Asm) FMIN(m, n, d reg.Register)        { a.vec("FMIN", m, n, d) }
func (a Asm) FCMGT(m, n, d reg.Register)       { a.vec("FCMGT", m, n, d) } // d = all ones where n > m
func (a Asm) FSQRT(n, d reg.Register)          { a.vec("FSQRT", n, d) }
func (a Asm) FCVTDS(n, d reg.Register)         { a.vec("FCVTDS", n, d) } // lane 0, a float64, to float32
func (a Asm) VAND(m, n, d reg.Register)        { a.vec("VAND", m, n, d) }
func (a Asm) VUMAX(m, n, d reg.Register)       { a.vec("VUMAX", m, n, d) }
func (a Asm) VORR(m, n, d reg.Register)        { a.vec("VORR", m, n, d) }
func (a Asm) VDUP(n, d reg.Register)           { a.vec("VDUP", n, d) } // from lane 0
func (a Asm) VZERO(d reg.Register)             { a.vec("VMOVI", d) }
func (a Asm) VFMLA(m, n, d reg.Register)       { a.acc("VFMLA", m, n, d) } // d += n·m
func (a Asm) VFMLS(m, n, d reg.Register)       { a.acc("VFMLS", m, n, d) } // d -= n·m
func (a Asm) VMOV(n, d reg.Register)           { a.vec("VMOV", n, d) }
func (a Asm) VSHL(k uint64, n, d reg.Register) { a.op("VSHL", ops(operand.Imm(k), n), ops(d)) }

// VTRN1 and VTRN2 take the even and the odd lanes of n and m by turns, VZIP1 and
// VZIP2 the first and the second halves.

func (a Asm) VTRN1(m, n, d reg.Register) { a.vec("VTRN1", m, n, d) }
func (a Asm) VTRN2(m, n, d reg.Register) { a.vec("VTRN2", m, n, d) }
func (a Asm) VZIP1(m, n, d reg.Register) { a.vec("VZIP1", m, n, d) }
func (a Asm) VZIP2(m, n, d reg.Register) { a.vec("VZIP2", m, n, d) }

// VEXT takes 16 bytes from byte k on of n followed by m.
func (a Asm) VEXT(k uint64, m, n, d reg.Register) { a.op("VEXT", ops(operand.Imm(k), m, n), ops(d)) }

// FMLA is the multiply-add by element, d += n·m[lane].
func (a Asm) FMLA(m reg.Register, lane int, n, d reg.Register) {
	i := a.op("FMLA", ops(m, operand.U8(lane), n), ops(d))
	i.Inputs = append(i.Inputs, d)
}

// Loads and stores.

func (a Asm) FMOVQ(m operand.Mem, d reg.Register)      { a.op("FMOVQ", ops(m), ops(d)) }
func (a Asm) FMOVS(m operand.Mem, d reg.Register)      { a.op("FMOVS", ops(m), ops(d)) }
func (a Asm) FMOVD(m operand.Mem, d reg.Register)      { a.op("FMOVD", ops(m), ops(d)) }
func (a Asm) FMOVQstore(s reg.Register, m operand.Mem) { a.op("FMOVQ", ops(s), ops(m)) }
func (a Asm) FMOVSstore(s reg.Register, m operand.Mem) { a.op("FMOVS", ops(s), ops(m)) }
func (a Asm) FMOVDstore(s reg.Register, m operand.Mem) { a.op("FMOVD", ops(s), ops(m)) }
func (a Asm) FLDPQ(m operand.Mem, d, e reg.Register)   { a.op("FLDPQ", ops(m), ops(d, e)) }
func (a Asm) MOVD(m operand.Mem, d reg.Register)       { a.op("MOVD", ops(m), ops(d)) }
func (a Asm) MOVDstore(s reg.Register, m operand.Mem)  { a.op("MOVD", ops(s), ops(m)) }
func (a Asm) MOVDaddr(m operand.Mem, d reg.Register)   { a.op("MOVD$", ops(m), ops(d)) }
func (a Asm) MOVDreg(s, d reg.Register)                { a.op("MOVD", ops(s), ops(d)) }
func (a Asm) MOVDimm(k uint64, d reg.Register)         { a.op("MOVD", ops(operand.U64(k)), ops(d)) }
func (a Asm) MRS(d reg.Register)                       { a.op("MRS", nil, ops(d)) } // d = FPCR
func (a Asm) MSR(s reg.Register)                       { a.op("MSR", ops(s), nil) } // FPCR = s

// Integer arithmetic and control flow.

func (a Asm) ADD(m, n, d reg.Register)        { a.op("ADD", ops(m, n), ops(d)) }
func (a Asm) SUB(m, n, d reg.Register)        { a.op("SUB", ops(m, n), ops(d)) } // d = n - m
func (a Asm) ADDimm(k int, n, d reg.Register) { a.op("ADD", ops(operand.I32(k), n), ops(d)) }
func (a Asm) SUBS(k int, n, d reg.Register)   { a.op("SUBS", ops(operand.I32(k), n), ops(d)) } // d = n - k, and flags
func (a Asm) LSL(k uint64, n, d reg.Register) { a.op("LSL", ops(operand.Imm(k), n), ops(d)) }
func (a Asm) CMP(k int, n reg.Register)       { a.op("CMP", ops(operand.I32(k), n), nil) }
func (a Asm) RET()                            { a.op("RET", nil, nil).IsTerminal = true }
func (a Asm) JMP(label string)                { a.branch("JMP", label, false) }
func (a Asm) Branch(condition, label string)  { a.branch("B"+condition, label, true) }

func (a Asm) branch(opcode, label string, conditional bool) {
	i := a.op(opcode, ops(operand.LabelRef(label)), nil)
	i.IsBranch, i.IsConditional = true, conditional
}

// vec emits an instruction whose last operand is its only output.
func (a Asm) vec(opcode string, r ...reg.Register) *ir.Instruction {
	var in []operand.Op
	for _, r := range r[:len(r)-1] {
		in = append(in, r)
	}
	return a.op(opcode, in, ops(r[len(r)-1]))
}

// acc emits an instruction that also reads its destination.
func (a Asm) acc(opcode string, m, n, d reg.Register) {
	i := a.vec(opcode, m, n, d)
	i.Inputs = append(i.Inputs, d)
}

func (a Asm) op(opcode string, in, out []operand.Op) *ir.Instruction {
	i := &ir.Instruction{
		Opcode:   opcode,
		Operands: append(append([]operand.Op{}, in...), out...),
		Inputs:   append([]operand.Op{}, in...),
		Outputs:  out,
	}
	a.Instruction(i)
	return i
}

func ops(o ...operand.Op) []operand.Op { return o }
