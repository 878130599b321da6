package main

import (
	"fmt"
	"slices"
)

// A mode is what one timed call does.
type mode string

const (
	forward mode = "forward" // a sequence from a zero state
	step    mode = "step"    // one time step that carries the state on
	train   mode = "train"   // forward and backward with a gradient for each output, and packing
	last    mode = "last"    // the same with a gradient for the last step alone
)

func (m mode) training() bool { return m == train || m == last }

// A row is a network and what is computed with it.
type row struct {
	group              *group
	mode               mode
	cell               string
	T, B, I, H         int
	layers, directions int

	panel, label string // where it stands in a chart
	goal
	quick bool // also measured in a quick run
	brief bool // also in the short table
}

// name tells rows apart; -rows matches it.
func (r *row) name() string {
	n := r.group.name
	if r.group == groupGo { // which has rows of several modes
		n += "/" + string(r.mode)
	}
	n += fmt.Sprintf("/%s/T=%d/B=%d/I=%d/H=%d", r.cell, r.T, r.B, r.I, r.H)
	if r.layers > 1 {
		n += fmt.Sprintf("/L=%d", r.layers)
	}
	if r.directions > 1 {
		n += "/bidirectional"
	}
	return n
}

// gates is how many the cell has.
func (r *row) gates() int { return map[string]int{"LSTM": 4, "GRU": 3, "RNN": 1}[r.cell] }

// flops are the floating-point operations in the products of a call.
func (r *row) flops() float64 {
	n, in := 0, r.I
	for range r.layers {
		n += r.directions * r.gates() * r.H * (in + r.H)
		in = r.directions * r.H
	}
	work := 2 * float64(n) * float64(r.B)
	if r.mode != step {
		work *= float64(r.T)
	}
	if r.mode.training() {
		work *= 3
	}
	return work
}

// hasShare says whether its share of the peak is of interest.
func (r *row) hasShare() bool { return r.mode == forward && r.B >= 16 && !r.group.library }

// hasPause says so of our time after a pause.
func (r *row) hasPause() bool { return r.mode == step && !r.group.library }

// per is the number of time steps that the time in a table is divided by.
func (r *row) per() float64 {
	if r.group.perStep && r.mode != step {
		return float64(r.T)
	}
	return 1
}

// A group is a table and a chart.
type group struct {
	name, title, note string
	short             string // of the title
	perStep           bool   // times are those of one time step
	library           bool   // of Go's neural-network libraries beside us, on one thread
}

var (
	groupForward = &group{name: "forward", short: "Forward", title: "LSTM, forward", note: "T = 64, I = H, from a zero state."}
	groupCells   = &group{name: "cells", short: "Forward", title: "GRU and RNN, forward", note: "T = 64, I = H = 256, from a zero state."}
	groupBi      = &group{name: "bidirectional", short: "Forward", title: "Bidirectional LSTM of two layers, forward", note: "T = 64, I = H = 256, from a zero state."}
	groupStep    = &group{name: "step", short: "Streaming, a step", title: "LSTM, sample by sample", note: "B = 1, one call a time step, which carries the state on. Calls follow each other, but for the column of those after 30 µs of other work.", perStep: true}
	groupBlock   = &group{name: "block", short: "Streaming, a step", title: "LSTM, blocks of 2048 samples", note: "B = 1, one call for 2048 time steps; time of a step.", perStep: true}
	groupTrain   = &group{name: "train", short: "Training", title: "Training step",
		note: "Forward and backward with a gradient for each output, T = 64, I = H; gradients of all parameters, none of the input, which a first layer does not need. simdrnn also packs the weights anew, as an optimizer would; peers need not."}
	groupLast = &group{name: "last", short: "Training", title: "Training step, loss on the last step",
		note: "LSTM, I = H = 128, B = 16: sequence classification. Gradients become subnormal on their way back. The target is about PyTorch as it is; “torch, flushing” is PyTorch after set_flush_denormal(True)."}
	groupDeep = &group{name: "deepbench", short: "Forward", title: "DeepBench's shapes, forward", note: "I = H."}
	groupGo   = &group{name: "go", title: "Neural-network libraries in Go", library: true,
		note: "Rows of their own, for these libraries are far behind: T = 64, I = H; a step is one call that carries the state on. spago has no batches and takes one sequence after another; its GRU is not PyTorch's. gomlx, with its backend in Go, has LSTM only, and that backend lacks an operation of its gradient. gonnx runs ONNX models and does not train. gorgonia has operations and gradients but no layers, so its networks are put together gate by gate. The target includes that our calls allocate nothing."}

	groups = []*group{groupForward, groupCells, groupBi, groupStep, groupBlock, groupTrain, groupLast, groupDeep, groupGo}
)

var (
	sizes   = []int{64, 128, 256, 512}
	batches = []int{1, 2, 4, 8, 16, 64}
)

// rows are all rows, in the order of the tables.
func rows() []*row {
	var l rowList
	l.addForward()
	l.addStreaming()
	l.addTraining()
	l.addDeepBench()
	l.addLibraries()
	return l
}

// A rowList is rows in the making.
type rowList []*row

// add adds a row, with what follows from the rest of it.
func (l *rowList) add(r row) {
	r.layers, r.directions = max(r.layers, 1), max(r.directions, 1)
	if r.I == 0 {
		r.I = r.H
	}
	r.goal = goalOf(&r)
	*l = append(*l, &r)
}

func batchLabel(B int) string { return fmt.Sprintf("B %d", B) }

func panelOf(what string, H int) string { return fmt.Sprintf("%s, H = %d", what, H) }

func (l *rowList) addForward() {
	for _, H := range sizes {
		for _, B := range batches {
			l.add(row{group: groupForward, mode: forward, cell: "LSTM", T: 64, B: B, H: H,
				panel: panelOf("LSTM", H), label: batchLabel(B), quick: H <= 256 && H != 128 && slices.Contains([]int{1, 4, 16}, B),
				brief: B == 1 || B == 16})
		}
	}
	for _, cell := range []string{"GRU", "RNN"} {
		for _, B := range batches {
			l.add(row{group: groupCells, mode: forward, cell: cell, T: 64, B: B, H: 256,
				panel: panelOf(cell, 256), label: batchLabel(B), quick: B == 1 || B == 16, brief: B == 16})
		}
	}
	for _, B := range batches {
		l.add(row{group: groupBi, mode: forward, cell: "LSTM", T: 64, B: B, H: 256, layers: 2, directions: 2,
			panel: "two bidirectional layers, H = 256", label: batchLabel(B), quick: B == 1 || B == 16, brief: B == 16})
	}
}

func (l *rowList) addStreaming() {
	for _, s := range []struct {
		group *group
		mode  mode
		T     int
		panel string
	}{{groupStep, step, 16, "a call a step"}, {groupBlock, forward, 2048, "one call"}} {
		for _, H := range []int{8, 16, 20, 24, 32, 40, 64} {
			l.add(row{group: s.group, mode: s.mode, cell: "LSTM", T: s.T, B: 1, I: 1, H: H,
				panel: s.panel + ", I = 1", label: fmt.Sprint("H ", H), quick: H == 16 || H == 40, brief: H == 40})
		}
		for _, H := range sizes {
			l.add(row{group: s.group, mode: s.mode, cell: "LSTM", T: s.T, B: 1, H: H,
				panel: s.panel + ", I = H", label: fmt.Sprint("H ", H), quick: H == 128, brief: H == 128})
		}
	}
}

func (l *rowList) addTraining() {
	batches := []int{1, 16, 64}
	for _, H := range sizes {
		for _, B := range batches {
			l.add(row{group: groupTrain, mode: train, cell: "LSTM", T: 64, B: B, H: H,
				panel: panelOf("LSTM", H), label: batchLabel(B), quick: H == 64 && B < 64, brief: B == 16 && (H == 128 || H == 512)})
		}
	}
	for _, cell := range []string{"GRU", "RNN"} {
		for _, B := range batches {
			l.add(row{group: groupTrain, mode: train, cell: cell, T: 64, B: B, H: 256,
				panel: panelOf(cell, 256), label: batchLabel(B), quick: cell == "GRU" && B == 1})
		}
	}
	for _, B := range batches {
		l.add(row{group: groupTrain, mode: train, cell: "LSTM", T: 64, B: B, H: 256, layers: 2, directions: 2,
			panel: "two bidirectional layers, H = 256", label: batchLabel(B), quick: B == 1})
	}
	for _, T := range []int{256, 512} {
		l.add(row{group: groupLast, mode: last, cell: "LSTM", T: T, B: 16, H: 128,
			panel: "last step, H = 128", label: fmt.Sprint("T ", T), quick: T == 256})
	}
}

func (l *rowList) addDeepBench() {
	for _, d := range []struct {
		cell    string
		H, T    int
		batches []int
		quick   int
	}{
		{"LSTM", 256, 150, []int{1, 2, 4}, 2},
		{"LSTM", 512, 25, []int{1, 2, 4, 8, 16, 32, 64}, 4},
		{"LSTM", 1024, 25, []int{1, 4}, 0},
		{"LSTM", 1536, 50, []int{1, 4}, 0},
		{"GRU", 1536, 187, []int{1, 4}, 0},
		{"RNN", 32, 672, []int{1}, 1},
	} {
		for _, B := range d.batches {
			l.add(row{group: groupDeep, mode: forward, cell: d.cell, T: d.T, B: B, H: d.H,
				panel: fmt.Sprintf("%s, H = %d, T = %d", d.cell, d.H, d.T), label: batchLabel(B), quick: B == d.quick})
		}
	}
}

// addLibraries adds the rows beside Go's neural-network libraries.
func (l *rowList) addLibraries() {
	for _, g := range []struct {
		mode    mode
		cell    string
		T       int
		sizes   []int
		batches []int
		title   string
	}{
		{forward, "LSTM", 64, []int{128, 256}, []int{1, 16}, "LSTM forward"},
		{forward, "GRU", 64, []int{256}, []int{1, 16}, "GRU forward"},
		{forward, "RNN", 64, []int{256}, []int{1, 16}, "RNN forward"},
		{step, "LSTM", 16, []int{128, 256}, []int{1}, "LSTM step"},
		{train, "LSTM", 64, []int{128, 256}, []int{1, 16}, "LSTM training step"},
	} {
		for _, H := range g.sizes {
			for _, B := range g.batches {
				l.add(row{group: groupGo, mode: g.mode, cell: g.cell, T: g.T, B: B, H: H,
					panel: panelOf(g.title, H), label: batchLabel(B), quick: g.cell == "LSTM" && g.mode != train && B == 1 && H == 128})
			}
		}
	}
}
