package vec

import (
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Schedule emits parts, and puts what they emit in an order in which long chains
// start early and run side by side: a processor looks ahead by some hundred
// instructions only. Parts use different elements of memory. keep, unless it is
// nil, holds after them the values that are read later.
//
// Instructions on general registers, which set flags, stay in their order.
//
// It is list scheduling: of the instructions whose operands are there, the one
// with the longest way to the end goes first, if registers remain.
func (g *Gen) Schedule(keep *[]V, parts ...func()) {
	nodes := g.nodes()
	if nodes == nil {
		return
	}
	start := len(*nodes)
	var part []int
	for i, emit := range parts {
		emit()
		for len(part) < len(*nodes)-start {
			part = append(part, i)
		}
	}
	kept := map[reg.ID]bool{}
	if keep != nil {
		for _, v := range *keep {
			for _, r := range v {
				kept[r.ID()] = true
			}
		}
	}
	emitted := slices.Clone((*nodes)[start:])
	*nodes = (*nodes)[:start]

	var comments []string
	s := newScheduler()
	flush := func() {
		if len(comments) > 0 {
			g.Comment(strings.Join(comments, " "))
			comments = nil
		}
		*nodes = append(*nodes, g.mingle(s.run(kept, g.kept, g.Registers()-len(g.kept)-g.slack))...)
		s = newScheduler()
	}
	for i, n := range emitted {
		switch n := n.(type) {
		case *ir.Comment:
			for _, c := range n.Lines {
				if !slices.Contains(comments, c) {
					comments = append(comments, c)
				}
			}
		case *ir.Instruction:
			if n.IsBranch {
				flush()
				*nodes = append(*nodes, n)
			} else {
				s.add(n, part[i])
			}
		default:
			flush()
			*nodes = append(*nodes, n)
		}
	}
	flush()
}

// A fetch is a pointer to memory that is needed next.
type fetch struct {
	from  GP
	lines int // fetched so far
}

// fetchEvery is the number of instructions from one fetch of a cache line to the next,
// so that they come no faster than the second cache.
const fetchEvery = 3

// mingle returns nodes with fetches among them.
func (g *Gen) mingle(nodes []ir.Node) []ir.Node {
	if g.fetch == nil {
		return nodes
	}
	all := g.nodes()
	var mixed []ir.Node
	for i, n := range nodes {
		mixed = append(mixed, n)
		if i%fetchEvery == fetchEvery-1 {
			start := len(*all)
			g.ISA.(Prefetcher).Prefetch(Mem{Base: g.fetch.from, Disp: 64 * g.fetch.lines})
			g.fetch.lines++
			mixed = append(mixed, (*all)[start:]...)
			*all = (*all)[:start]
		}
	}
	return mixed
}

// Keep says that r stays what it is to the end of the function.
func (g *Gen) Keep(r R) { g.kept[r.ID()] = true }

// nodes returns the nodes of the current function.
func (g *Gen) nodes() *[]ir.Node {
	file, _ := g.Context.Result()
	f := file.Functions()
	if len(f) == 0 {
		return nil
	}
	return &f[len(f)-1].Nodes
}

// A slot is an instruction to be scheduled.
type slot struct {
	*ir.Instruction
	part     int
	latency  int   // cycles
	in, out  []int // vector registers, numbered
	after    []wait
	height   int  // cycles to the end
	touches  bool // memory other than constants
	isStore  bool
	isVector bool // computes
}

// A wait says that an instruction may start some cycles after another one.
type wait struct{ slot, cycles int }

type scheduler struct {
	slots     []*slot
	writer    map[reg.ID]int   // the last one so far
	readers   map[reg.ID][]int // since then
	registers map[reg.ID]int   // numbers of vector registers
	general   int              // the last slot without those, or -1
}

func newScheduler() *scheduler {
	return &scheduler{writer: map[reg.ID]int{}, readers: map[reg.ID][]int{}, registers: map[reg.ID]int{}, general: -1}
}

// latencies are those of common processors, in cycles, by the beginning of the
// mnemonic.
var latencies = []struct {
	prefix string
	cycles int
}{
	{"VDIV", 11}, {"FDIV", 11}, {"VSQRT", 15}, {"FSQRT", 15},
	{"VFM", 4}, {"VFNM", 4}, {"FML", 4}, {"VMULPS", 4}, {"FMUL", 4},
	{"VADDPS", 3}, {"VSUBPS", 3}, {"FADD", 3}, {"FSUB", 3},
	{"VMAX", 2}, {"VMIN", 2}, {"FMAX", 2}, {"FMIN", 2},
	{"VMOVUPS", 5}, {"VBROADCAST", 5}, {"VPBROADCAST", 5}, {"VMASKMOV", 6}, {"FMOV", 5}, {"FLDP", 5},
}

func (s *scheduler) add(i *ir.Instruction, part int) {
	n := &slot{Instruction: i, part: part, latency: 1}
	for _, l := range latencies {
		if strings.HasPrefix(i.Opcode, l.prefix) {
			n.latency = l.cycles
			break
		}
	}
	moves := strings.Contains(i.Opcode, "MOV") || strings.Contains(i.Opcode, "BROADCAST") || strings.HasPrefix(i.Opcode, "FLDP")
	n.isVector = !moves
	for _, op := range i.Inputs {
		n.touches = n.touches || isData(op)
	}
	for _, op := range i.Outputs {
		if isData(op) {
			n.touches, n.isStore = true, true
			n.latency = 1
		}
	}
	me := len(s.slots)
	after := func(slot, cycles int) { n.after = append(n.after, wait{slot, cycles}) }
	in, out := i.InputRegisters(), i.OutputRegisters()
	for _, r := range in {
		if w, ok := s.writer[r.ID()]; ok {
			after(w, s.slots[w].latency)
		}
	}
	for _, r := range out {
		id := r.ID()
		if w, ok := s.writer[id]; ok {
			after(w, 1)
		}
		for _, b := range s.readers[id] {
			after(b, 0)
		}
		s.writer[id], s.readers[id] = me, nil
	}
	for _, r := range in {
		if id := r.ID(); s.writer[id] != me {
			s.readers[id] = append(s.readers[id], me)
		}
	}
	for j, b := range s.slots {
		if b.part == part && n.touches && b.touches && (n.isStore || b.isStore) {
			after(j, 0)
		}
	}
	n.in, n.out = s.numbers(in), s.numbers(out)
	if len(n.in)+len(n.out) == 0 {
		if s.general >= 0 {
			after(s.general, 0)
		}
		s.general = me
	}
	s.slots = append(s.slots, n)
}

// numbers returns the vector registers among list, each once.
func (s *scheduler) numbers(list []reg.Register) (numbers []int) {
	for _, r := range list {
		if r.Kind() != reg.KindVector {
			continue
		}
		number, ok := s.registers[r.ID()]
		if !ok {
			number = len(s.registers)
			s.registers[r.ID()] = number
		}
		if !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// isData says whether op is memory other than the constants.
func isData(op operand.Op) bool {
	m, ok := op.(operand.Mem)
	return ok && !strings.HasPrefix(m.Symbol.Name, "constants")
}

// run returns the instructions in the best order found: looking ahead less far
// takes fewer registers. kept are registers that are read later, constants those
// that do not change.
func (s *scheduler) run(kept, constants map[reg.ID]bool, registers int) (best []ir.Node) {
	for _, n := range slices.Backward(s.slots) {
		n.height = max(n.height, n.latency)
		for _, w := range n.after {
			s.slots[w.slot].height = max(s.slots[w.slot].height, n.height+w.cycles)
		}
	}
	// Registers are free again after their last read, unless they are kept.
	reads := make([]int, len(s.registers))
	live := make([]bool, len(s.registers))
	written := make([]bool, len(s.registers))
	for _, n := range s.slots {
		for _, r := range n.in {
			reads[r]++
			live[r] = live[r] || !written[r]
		}
		for _, r := range n.out {
			written[r] = true
		}
	}
	for id, r := range s.registers {
		switch {
		case constants[id]:
			reads[r], live[r] = always, false
		case kept[id]:
			reads[r] += later
		}
	}
	for id := range kept { // what only passes by
		if _, ok := s.registers[id]; !ok {
			registers--
		}
	}
	fastest := 0
	for window := len(s.slots); window > 0; window = window * 2 / 3 {
		order, cycles := s.try(window, registers, slices.Clone(reads), slices.Clone(live))
		if order != nil && (best == nil || cycles < fastest) {
			best, fastest = order, cycles
		}
	}
	if best == nil {
		for _, n := range s.slots {
			best = append(best, n.Instruction)
		}
	}
	return best
}

const (
	later  = 1 << 20 // reads of what is read later
	always = 1 << 30 // and of constants

	startAny    = 4 // instructions that start in a cycle
	startVector = 2 // and how many of them compute
)

// try schedules within a window of the original order. It fails if more
// registers would be live than there are.
func (s *scheduler) try(window, registers int, reads []int, live []bool) (order []ir.Node, cycle int) {
	done := make([]bool, len(s.slots))
	ready := make([]int, len(s.slots))   // the first cycle
	waiting := make([]int, len(s.slots)) // for how many others
	followers := make([][]wait, len(s.slots))
	for i, n := range s.slots {
		waiting[i] = len(n.after)
		for _, w := range n.after {
			followers[w.slot] = append(followers[w.slot], wait{i, w.cycles})
		}
	}
	used := 0
	for _, l := range live {
		if l {
			used++
		}
	}
	// grow returns how many more registers are live after n.
	grow := func(n *slot) (d int) {
		for _, r := range n.out {
			if !live[r] && reads[r] < always/2 {
				d++
			}
		}
		for _, r := range n.in {
			if live[r] && reads[r] == 1 && !slices.Contains(n.out, r) {
				d--
			}
		}
		return d
	}
	oldest, any, vector := 0, 0, 0
	for len(order) < len(s.slots) {
		pick, wait := -1, false
		for i := oldest; i < min(oldest+window, len(s.slots)); i++ {
			n := s.slots[i]
			if done[i] || waiting[i] > 0 || used+grow(n) > registers {
				continue
			}
			if ready[i] > cycle || any == startAny || n.isVector && vector == startVector {
				wait = true
			} else if pick < 0 || n.height > s.slots[pick].height {
				pick = i
			}
		}
		if pick < 0 {
			if !wait {
				return nil, 0
			}
			cycle, any, vector = cycle+1, 0, 0
			continue
		}
		n := s.slots[pick]
		used += grow(n)
		done[pick] = true
		order = append(order, n.Instruction)
		any++
		if n.isVector {
			vector++
		}
		for _, r := range n.in {
			if reads[r]--; reads[r] == 0 {
				live[r] = false
			}
		}
		for _, r := range n.out {
			live[r] = reads[r] > 0
		}
		for _, w := range followers[pick] {
			waiting[w.slot]--
			ready[w.slot] = max(ready[w.slot], cycle+w.cycles)
		}
		for oldest < len(done) && done[oldest] {
			oldest++
		}
	}
	return order, cycle
}
