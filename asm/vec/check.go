package vec

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Check fails if a function for amd64 would be wrong or slow in a way that no
// test on this machine need show: avo's allocator gives registers above 15 to
// AVX2 functions, which the assembler then encodes with EVEX, and upper halves
// left in use slow down the code that follows.
func Check(fn *ir.Function) error {
	avx2 := strings.HasSuffix(fn.Name, "AVX2")
	var last string
	restores := false // after the label where the mode is restored
	for _, n := range fn.Nodes {
		if l, ok := n.(ir.Label); ok {
			restores = l == restore
		}
		i, ok := n.(*ir.Instruction)
		if !ok {
			continue
		}
		if avx2 {
			for _, r := range i.Registers() {
				p, ok := r.(reg.Physical)
				if !ok {
					return fmt.Errorf("%s: %s: register %s was not allocated", fn.Name, i.Opcode, r.Asm())
				}
				if p.Kind() == reg.KindVector && p.PhysicalIndex() > 15 || p.Kind() == reg.KindOpmask || p.Size() == 64 {
					return fmt.Errorf("%s: %s uses %s, which AVX2 lacks", fn.Name, i.Opcode, p.Asm())
				}
			}
			for _, isa := range i.ISA {
				if strings.HasPrefix(isa, "AVX512") {
					return fmt.Errorf("%s: %s needs %s", fn.Name, i.Opcode, isa)
				}
			}
		}
		leaves := i.Opcode == "RET" && !restores || i.Opcode == "JMP" && i.Operands[0] == operand.LabelRef(restore)
		if leaves && last != "VZEROUPPER" {
			return fmt.Errorf("%s: no VZEROUPPER before %s", fn.Name, i.Opcode)
		}
		last = i.Opcode
	}
	return nil
}
