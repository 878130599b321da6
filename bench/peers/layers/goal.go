package main

import "slices"

// A goal is what a row is to reach on one thread, and what a second thread is to
// bring. Ratios are those of the best peer's time to ours. The times were set for
// a core of 4 GHz with AVX-512.
type goal struct {
	target  float64 // least ratio
	against string  // the peer that target is about, if not the best
	share   float64 // of the peak of multiply-adds; whoever reaches it needs no ratio above 1
	limit   float64 // longest time of a step in ns, instead of a target
	paused  float64 // most time of a step after a pause by that of one after another
	speedup float64 // least time on one thread by that on two
}

// forwardGoals are those of LSTM's forward pass by H: the ratios for a batch of
// 1, 2, 4, 8, 16 and 64, and the share from 16 on.
var forwardGoals = map[int]struct {
	targets map[int]float64
	share   float64
}{
	64:  {map[int]float64{1: 1.35, 2: 1.5, 4: 1.5, 8: 1.3, 16: 1.3, 64: 1.25}, .72},
	128: {map[int]float64{1: 1.35, 2: 1.5, 4: 1.5, 8: 1.3, 16: 1.2, 64: 1.2}, .80},
	256: {map[int]float64{1: 1.4, 2: 1.7, 4: 1.5, 8: 1.35, 16: 1.25, 64: 1.2}, .84},
	512: {map[int]float64{1: 1.4, 2: 1.6, 4: 1.6, 8: 1.35, 16: 1.2, 64: 1.12}, .78},
}

// goTarget is the least ratio to Go libraries. Beside those of neural networks, we
// are to allocate nothing as well.
const goTarget = 8

// noSlower is the least speed-up where there is no gain to be had.
const noSlower = .95

// Limits of a step by H.
var (
	stepLimits    = map[int]float64{64: 1e3, 128: 3.66e3, 256: 22e3, 512: 250e3} // I = H
	blockLimits   = map[int]float64{64: .72e3, 128: 2.5e3, 256: 9.8e3, 512: 114e3}
	audioLimits   = map[int]float64{8: 42, 16: 51, 20: 78, 24: 77, 32: 98, 40: 168, 64: 428} // blocks, I = 1
	unitsSpeedups = map[int]float64{256: 1.5, 512: 2.5}                                      // of a batch of 1
)

// goalOf is the goal of a row of the tables.
func goalOf(r *row) goal {
	g := goal{target: 1, speedup: noSlower}
	switch r.group {
	case groupForward:
		g.target = forwardGoals[r.H].targets[r.B]
		if r.B >= 16 {
			g.share = forwardGoals[r.H].share
		}
	case groupCells:
		g.target = 1.2
	case groupBi:
		g.target = 1.3
	case groupStep:
		if r.I == r.H {
			g.limit, g.paused = stepLimits[r.H], 1.3
		}
	case groupBlock:
		g.limit = blockLimits[r.H]
		if r.I == 1 {
			g.limit = audioLimits[r.H]
		}
	case groupTrain:
		switch {
		case r.B == 1:
			g.target = 1.5
		case r.H == 64:
			g.target = 1.3
		default:
			g.target = 1.15
		}
	case groupLast:
		g.target, g.against = 10, "torch"
	case groupGo:
		g.target = goTarget
	}
	switch {
	case slices.Contains([]mode{forward, train}, r.mode) && r.B >= 16 && r.H >= 256:
		g.speedup = 1.8
	case r.group == groupForward && r.B == 1 && unitsSpeedups[r.H] > 0:
		g.speedup = unitsSpeedups[r.H]
	}
	return g
}

// forced is the goal if both sides are held to AVX2.
func (g goal) forced(B int) goal {
	f := goal{target: 1, speedup: g.speedup}
	if B <= 16 {
		f.target = 1.15
	}
	return f
}

// A verdict says whether a goal is reached.
type verdict string

const (
	met   verdict = "met"
	short verdict = "short"
	below verdict = "below 1" // a peer is faster than we are
)

// judge compares m with its goal. It is empty if there is nothing to compare with.
func (m *measured) judge(g goal) verdict {
	if m.Ratio == 0 {
		return ""
	}
	reached := m.speedup() >= g.speedup
	if m.Threads == 1 {
		ratio := m.Ratio
		if g.against != "" {
			ratio = m.ratio(g.against)
		}
		reached = ratio >= g.target || g.share > 0 && m.share() >= g.share
		if g.limit > 0 {
			reached = m.of(ours).Median/m.row.per() <= g.limit
		}
		if g.paused > 0 {
			reached = reached && m.Paused <= g.paused*m.of(ours).Median
		}
		if a := m.of(ours).Allocated; a != nil {
			reached = reached && a.Count == 0
		}
	}
	switch {
	case m.Ratio < 1:
		return below
	case reached:
		return met
	}
	return short
}

// speedup is our time on one thread by that on several, or 0.
func (m *measured) speedup() float64 { return m.ratio(alone) }

// share is what our products take of the peak of multiply-adds, or 0.
func (m *measured) share() float64 {
	if m.Peak == 0 {
		return 0
	}
	return m.row.flops() / (m.of(ours).Median / 1e9) / m.Peak
}
