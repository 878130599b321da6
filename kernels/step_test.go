package kernels

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A stepCase is the arguments of a step and of the functions it stands for.
type stepCase struct {
	gates, units, inputs int // without an x part if inputs < 0
	whh, wih             *Panels
	bias, biasH          []float32
	hPrev, cPrev, x      []float32
	gx, gh               []float32 // what they hold before
}

func newStepCase(seed uint64, gates, units, inputs int, bias bool) *stepCase {
	r := newRand(seed)
	s := &stepCase{gates: gates, units: units, inputs: inputs, whh: NewPanels(gates, units, units)}
	s.whh.Pack(random(r, gates*units*units))
	width := s.whh.Width()
	if inputs >= 0 {
		s.wih = NewPanels(gates, units, inputs)
		s.wih.Pack(random(r, gates*units*inputs))
		s.x = random(r, inputs)
		if bias {
			s.bias = make([]float32, width)
			PackBias(s.bias, random(r, gates*units), nil, gates, units)
		}
	}
	if bias {
		s.biasH = make([]float32, width)
		PackBias(s.biasH, random(r, gates*units), nil, gates, units)
	}
	s.hPrev, s.cPrev, s.gx, s.gh = random(r, units), random(r, units), random(r, width), random(r, width)
	return s
}

// separate returns h and c of the functions that a step stands for.
func (s *stepCase) separate() (h, c []float32) {
	h, c = make([]float32, s.units), make([]float32, s.units)
	gx, gh, u := slices.Clone(s.gx), slices.Clone(s.gh), s.units
	if s.wih != nil {
		Gemv(gx, s.x, s.wih, s.bias)
	}
	if s.gates == 4 {
		GemmAdd(rowMat(gx), rowMat(s.hPrev), 1, s.whh)
		LSTMForward(Mat{h, u}, Mat{c, u}, rowMat(gx), rowMat(s.cPrev), 1, u)
	} else {
		Gemv(gh, s.hPrev, s.whh, s.biasH)
		GRUForward(Mat{h, u}, rowMat(gx), rowMat(gh), rowMat(s.hPrev), 1, u)
	}
	return h, c
}

// check runs the step at a place and compares it, with new states or over the
// old ones.
func (s *stepCase) check(t *testing.T, where place, inPlace bool) {
	t.Helper()
	put := func(x []float32) []float32 {
		if x == nil {
			return nil
		}
		v := where.make(t, 1, len(x), len(x))
		t.Cleanup(func() { where.release(v) })
		copy(v.all, filled(len(v.all), canary))
		copy(v.Data, x)
		return v.Data
	}
	wantH, wantC := s.separate()
	hPrev, cPrev := put(s.hPrev), put(s.cPrev)
	h, c := hPrev, cPrev
	if !inPlace {
		h, c = put(make([]float32, s.units)), put(make([]float32, s.units))
	}
	x := put(s.x)
	if s.gates == 4 {
		LSTMStep(h, c, put(s.gx), hPrev, cPrev, s.whh, x, s.wih, put(s.bias))
		requireSame(t, wantC, c, "c")
	} else {
		GRUStep(h, put(s.gx), put(s.gh), hPrev, s.whh, put(s.biasH), x, s.wih, put(s.bias))
	}
	requireSame(t, wantH, h, "h")
	requireFPState(t, "step")
}

// TestSteps: a step has the bits of the functions it stands for.
func TestSteps(t *testing.T) {
	for _, gates := range []int{3, 4} {
		t.Run(fmt.Sprintf("gates=%d", gates), func(t *testing.T) {
			forEachISA(t, func(t *testing.T, _ ISA) {
				for units := range pick(50, 35, 20) {
					for _, inputs := range []int{-1, 0, 1, 3, 17} {
						newStepCase(uint64(units), gates, units, inputs, units%2 == 0).check(t, beforeGuard, units%3 == 0)
					}
				}
				for _, size := range pick([][2]int{{64, 128}, {130, 129}, {129, 257}, {257, 5}, {256, 256}}, [][2]int{{64, 129}, {140, 5}, {257, 1}}, [][2]int{{24, 130}}) {
					newStepCase(1, gates, size[0], size[1], true).check(t, afterGuard, true)
					newStepCase(2, gates, size[0], -1, true).check(t, at(3), false)
				}
			})
		})
	}
}

func TestStepPanics(t *testing.T) {
	l, g := newStepCase(1, 4, 5, 3, true), newStepCase(1, 3, 5, 3, true)
	h, c := filled(5, 0.25), filled(5, 0.25)
	lstm := func(l stepCase) { LSTMStep(h, c, l.gx, l.hPrev, l.cPrev, l.whh, l.x, l.wih, l.bias) }
	gru := func(g stepCase) { GRUStep(h, g.gx, g.gh, g.hPrev, g.whh, g.biasH, g.x, g.wih, g.bias) }
	for message, f := range map[string]func(l, g stepCase){
		"LSTMStep: len(gates) = 63, want 64": func(l, _ stepCase) { l.gx = l.gx[:63]; lstm(l) },
		"LSTMStep: len(hPrev) = 4, want 5":   func(l, _ stepCase) { l.hPrev = l.hPrev[:4]; lstm(l) },
		"LSTMStep: len(cPrev) = 4, want 5":   func(l, _ stepCase) { l.cPrev = l.cPrev[:4]; lstm(l) },
		"LSTMStep: len(x) = 2, want 3":       func(l, _ stepCase) { l.x = l.x[:2]; lstm(l) },
		"LSTMStep: len(bias) = 63, want 64":  func(l, _ stepCase) { l.bias = l.bias[:63]; lstm(l) },
		"LSTMStep: whh.Gates() = 3, want 4":  func(l, g stepCase) { l.whh = g.whh; lstm(l) },
		"LSTMStep: wih.Gates() = 3, want 4":  func(l, g stepCase) { l.wih = g.wih; lstm(l) },
		"LSTMStep: whh.K() = 3, want 5":      func(l, _ stepCase) { l.whh = l.wih; lstm(l) },
		"LSTMStep: wih.Units() = 6, want 5":  func(l, _ stepCase) { l.wih = NewPanels(4, 6, 3); lstm(l) },
		"GRUStep: len(gx) = 47, want 48":     func(_, g stepCase) { g.gx = g.gx[:47]; gru(g) },
		"GRUStep: len(gh) = 47, want 48":     func(_, g stepCase) { g.gh = g.gh[:47]; gru(g) },
		"GRUStep: len(bhh) = 47, want 48":    func(_, g stepCase) { g.biasH = g.biasH[:47]; gru(g) },
		"GRUStep: whh.Gates() = 4, want 3":   func(l, g stepCase) { g.whh = l.whh; gru(g) },
	} {
		require.PanicsWithValue(t, "kernels: "+message, func() { f(*l, *g) })
	}
	requireSame(t, filled(5, 0.25), h, "h was written")
	requireSame(t, filled(5, 0.25), c, "c was written")
}

func TestStepAllocs(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		for _, units := range []int{20, 260} {
			l, g := newStepCase(1, 4, units, 3, true), newStepCase(1, 3, units, 3, true)
			require.Zero(t, testing.AllocsPerRun(10, func() {
				LSTMStep(l.hPrev, l.cPrev, l.gx, l.hPrev, l.cPrev, l.whh, l.x, l.wih, l.bias)
				GRUStep(g.hPrev, g.gx, g.gh, g.hPrev, g.whh, g.biasH, g.x, g.wih, g.bias)
			}))
		}
	})
}
