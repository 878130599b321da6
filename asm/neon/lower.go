package neon

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// Compile turns a file built with [Asm] into one that avo's printer can print.
// Lowering comes last, because avo's passes know avo's operands only.
var Compile = pass.Concat(
	pass.Verify,
	pass.FunctionPass(pass.PruneJumpToFollowingLabel),
	pass.FunctionPass(pass.PruneDanglingLabels),
	pass.FunctionPass(pass.LabelTarget),
	pass.FunctionPass(pass.CFG),
	pass.FunctionPass(pass.Liveness),
	pass.FunctionPass(func(f *ir.Function) error {
		if err := pass.AllocateRegisters(f); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		return nil
	}),
	pass.FunctionPass(pass.BindRegisters),
	pass.FunctionPass(pass.VerifyAllocation),
	pass.Func(pass.IncludeTextFlagHeader),
	pass.InstructionPass(lower),
)

// words holds the encodings of the instructions that Go's assembler cannot
// name: Vm goes to bit 16, Vn to bit 5 and Vd to bit 0.
var words = map[string]uint32{
	"FADD":  0x4e20d400,
	"FSUB":  0x4ea0d400,
	"FMUL":  0x6e20dc00,
	"FDIV":  0x6e20fc00,
	"FMAX":  0x4e20f400,
	"FMIN":  0x4ea0f400,
	"FCMGT": 0x6ea0e400,
	"FSQRT": 0x6ea1f800,
	"FMLA":  0x4f801000, // by element
}

// lower rewrites an instruction with allocated registers into Go's syntax.
func lower(i *ir.Instruction) error {
	if w, ok := words[i.Opcode]; ok {
		return word(i, w)
	}
	o := make([]string, len(i.Operands))
	for j, op := range i.Operands {
		if err := reach(i.Opcode, op); err != nil {
			return err
		}
		o[j] = syntax(i.Opcode, op)
	}
	switch i.Opcode {
	case "MOVD$":
		i.Opcode, o[0] = "MOVD", "$"+o[0]
	case "VMOVI":
		o = append([]string{"$0"}, o...)
	case "VDUP":
		o[0] = strings.TrimSuffix(o[0], ".S4") + ".S[0]"
	case "FLDPQ":
		o = []string{o[0], "(" + o[1] + ", " + o[2] + ")"}
	case "MRS":
		o = []string{"FPCR", o[0]}
	case "MSR":
		o = append(o, "FPCR")
	}
	i.Operands = nil
	for _, s := range o {
		i.Operands = append(i.Operands, text(s))
	}
	return nil
}

// reach fails where a number does not fit the instruction: Go's assembler would
// compute it in R27, at the cost of an instruction.
func reach(opcode string, op operand.Op) error {
	switch op := op.(type) {
	case operand.I32:
		if op < -4095 || op > 4095 {
			return fmt.Errorf("%s: %d is out of reach", opcode, op)
		}
	case operand.Mem:
		if op.Symbol.Name != "" {
			break
		}
		size, lo, hi := 16, -1024, 1008 // FLDPQ
		if n := map[string]int{"FMOVS": 4, "FMOVD": 8, "MOVD": 8, "FMOVQ": 16}[opcode]; n > 0 {
			size, lo, hi = n, 0, 4095*n
		}
		if op.Disp%size != 0 || op.Disp < lo || op.Disp > hi {
			return fmt.Errorf("%s: offset %d is out of reach", opcode, op.Disp)
		}
	}
	return nil
}

// word encodes an instruction of the form "op Vd.4S, Vn.4S[, Vm.4S|Vm.S[lane]]".
func word(i *ir.Instruction, w uint32) error {
	var v []uint32
	lane := -1
	for _, op := range i.Operands {
		switch op := op.(type) {
		case reg.Physical:
			v = append(v, uint32(op.PhysicalIndex()))
		case operand.U8:
			lane = int(op)
		default:
			return fmt.Errorf("%s: unexpected operand %s", i.Opcode, op.Asm())
		}
	}
	n, d := v[len(v)-2], v[len(v)-1]
	w |= n<<5 | d
	comment := fmt.Sprintf("%s V%d.4S, V%d.4S", i.Opcode, d, n)
	if len(v) == 3 {
		w |= v[0] << 16
		if lane < 0 {
			comment += fmt.Sprintf(", V%d.4S", v[0])
		} else {
			w |= uint32(lane&1)<<21 | uint32(lane>>1)<<11
			comment += fmt.Sprintf(", V%d.S[%d]", v[0], lane)
		}
	}
	i.Opcode = "WORD"
	i.Operands = []operand.Op{text(fmt.Sprintf("$0x%08x // %s", w, comment))}
	return nil
}

// syntax formats an operand for Go's arm64 assembler.
func syntax(opcode string, op operand.Op) string {
	switch op := op.(type) {
	case reg.Physical:
		switch {
		case op.Kind() == reg.KindGP:
			return fmt.Sprintf("R%d", op.PhysicalIndex())
		case opcode[0] == 'F':
			return fmt.Sprintf("F%d", op.PhysicalIndex())
		case opcode == "VAND", opcode == "VORR", opcode == "VMOV", opcode == "VMOVI", opcode == "VEXT":
			return fmt.Sprintf("V%d.B16", op.PhysicalIndex())
		case opcode == "VZIP1", opcode == "VZIP2":
			return fmt.Sprintf("V%d.D2", op.PhysicalIndex())
		}
		return fmt.Sprintf("V%d.S4", op.PhysicalIndex())
	case operand.Mem:
		if op.Base == reg.StackPointer {
			return fmt.Sprintf("%d(RSP)", 8+op.Disp) // above the link register
		}
		if p, ok := op.Base.(reg.Physical); ok && p.Kind() == reg.KindGP {
			s := fmt.Sprintf("(R%d)", p.PhysicalIndex())
			if op.Disp != 0 {
				s = fmt.Sprint(op.Disp) + s
			}
			return s
		}
		return op.Asm() // a parameter or a symbol
	case operand.Constant:
		return fmt.Sprintf("$%d", op)
	}
	return op.Asm()
}

// text is an operand that has been formatted.
type text string

func (t text) Asm() string { return string(t) }
