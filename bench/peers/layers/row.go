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

	panel, label string  // where it stands in a chart
	target       float64 // what the best peer's time is to be divided by ours, or 0
	against      string  // the peer that target is about, if not the best
	quick        bool    // also measured in a quick run
}

// name tells rows apart; -rows matches it.
func (r *row) name() string {
	n := fmt.Sprintf("%s/%s/T=%d/B=%d/I=%d/H=%d", r.group.name, r.cell, r.T, r.B, r.I, r.H)
	if r.layers > 1 {
		n += fmt.Sprintf("/L=%d", r.layers)
	}
	if r.directions > 1 {
		n += "/bidirectional"
	}
	return n
}

// targetFor is the target on so many threads: all are about one.
func (r *row) targetFor(threads int) float64 {
	if threads == 1 {
		return r.target
	}
	return 0
}

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
	perStep           bool // times are those of one time step
}

var (
	groupForward = &group{name: "forward", title: "LSTM, forward", note: "T = 64, I = H, from a zero state."}
	groupCells   = &group{name: "cells", title: "GRU and RNN, forward", note: "T = 64, I = H = 256, from a zero state."}
	groupBi      = &group{name: "bidirectional", title: "Bidirectional LSTM of two layers, forward", note: "T = 64, I = H = 256, from a zero state."}
	groupStep    = &group{name: "step", title: "LSTM, sample by sample", note: "B = 1, one call a time step, which carries the state on.", perStep: true}
	groupBlock   = &group{name: "block", title: "LSTM, blocks of 2048 samples", note: "B = 1, one call for 2048 time steps; time of a step.", perStep: true}
	groupTrain   = &group{name: "train", title: "Training step",
		note: "Forward and backward with a gradient for each output, T = 64, I = H; gradients of all parameters, none of the input, which a first layer does not need. simdrnn also packs the weights anew, as an optimizer would; peers need not."}
	groupLast = &group{name: "last", title: "Training step, loss on the last step",
		note: "LSTM, I = H = 128, B = 16: sequence classification. Gradients become subnormal on their way back. The target is about PyTorch as it is; “torch, flushing” is PyTorch after set_flush_denormal(True)."}
	groupDeep = &group{name: "deepbench", title: "DeepBench's shapes, forward", note: "I = H."}

	groups = []*group{groupForward, groupCells, groupBi, groupStep, groupBlock, groupTrain, groupLast, groupDeep}
)

// targets of LSTM's forward pass, for a batch of 1, 2, 4, 8, 16 and 64.
var (
	batches = []int{1, 2, 4, 8, 16, 64}
	targets = map[int][]float64{
		64:  {1.35, 1.5, 1.5, 1.3, 1.3, 1.25},
		128: {1.35, 1.5, 1.5, 1.3, 1.2, 1.2},
		256: {1.4, 1.7, 1.5, 1.35, 1.25, 1.2},
		512: {1.4, 1.6, 1.6, 1.35, 1.2, 1.12},
	}
)

// rows are all rows, in the order of the tables.
func rows() (all []*row) {
	add := func(r row) {
		r.layers, r.directions = max(r.layers, 1), max(r.directions, 1)
		if r.I == 0 {
			r.I = r.H
		}
		all = append(all, &r)
	}
	batch := func(B int) string { return fmt.Sprintf("B %d", B) }
	units := func(H int) string { return fmt.Sprintf("H = %d", H) }
	sizes := []int{64, 128, 256, 512}

	for _, H := range sizes {
		for i, B := range batches {
			add(row{group: groupForward, mode: forward, cell: "LSTM", T: 64, B: B, H: H, target: targets[H][i],
				panel: units(H), label: batch(B), quick: H <= 256 && H != 128 && slices.Contains([]int{1, 4, 16}, B)})
		}
	}
	for _, cell := range []string{"GRU", "RNN"} {
		for _, B := range batches {
			add(row{group: groupCells, mode: forward, cell: cell, T: 64, B: B, H: 256, target: 1.2,
				panel: cell, label: batch(B), quick: B == 1 || B == 16})
		}
	}
	for _, B := range batches {
		add(row{group: groupBi, mode: forward, cell: "LSTM", T: 64, B: B, H: 256, layers: 2, directions: 2, target: 1.3,
			panel: units(256), label: batch(B), quick: B == 1 || B == 16})
	}
	for _, s := range []struct {
		group *group
		mode  mode
		T     int
	}{{groupStep, step, 16}, {groupBlock, forward, 2048}} {
		for _, H := range []int{8, 16, 20, 24, 32, 40, 64} {
			add(row{group: s.group, mode: s.mode, cell: "LSTM", T: s.T, B: 1, I: 1, H: H,
				panel: "I = 1", label: fmt.Sprint("H ", H), quick: H == 16 || H == 40})
		}
		for _, H := range sizes {
			add(row{group: s.group, mode: s.mode, cell: "LSTM", T: s.T, B: 1, H: H,
				panel: "I = H", label: fmt.Sprint("H ", H), quick: H == 128})
		}
	}
	some := []int{1, 16, 64}
	for _, H := range sizes {
		for _, B := range some {
			r := row{group: groupTrain, mode: train, cell: "LSTM", T: 64, B: B, H: H, target: 1.15,
				panel: "LSTM, " + units(H), label: batch(B), quick: H == 64 && B < 64}
			switch {
			case B == 1:
				r.target = 1.5
			case H == 64:
				r.target = 1.3
			}
			add(r)
		}
	}
	for _, cell := range []string{"GRU", "RNN"} {
		for _, B := range some {
			add(row{group: groupTrain, mode: train, cell: cell, T: 64, B: B, H: 256,
				panel: cell + ", " + units(256), label: batch(B), quick: cell == "GRU" && B == 1})
		}
	}
	for _, B := range some {
		add(row{group: groupTrain, mode: train, cell: "LSTM", T: 64, B: B, H: 256, layers: 2, directions: 2,
			panel: "2 layers, bidirectional", label: batch(B), quick: B == 1})
	}
	for _, T := range []int{256, 512} {
		add(row{group: groupLast, mode: last, cell: "LSTM", T: T, B: 16, H: 128, target: 10, against: "torch",
			panel: units(128), label: fmt.Sprint("T ", T), quick: T == 256})
	}
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
			add(row{group: groupDeep, mode: forward, cell: d.cell, T: d.T, B: B, H: d.H,
				panel: fmt.Sprintf("%s, H = %d, T = %d", d.cell, d.H, d.T), label: batch(B), quick: B == d.quick})
		}
	}
	return all
}
