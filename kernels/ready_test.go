package kernels

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// readyFuncs make a Step of the functions in stepFuncs.
var readyFuncs = map[string]func(s Seq) *Step{
	"LSTMSteps": NewLSTMStep, "GRUSteps": NewGRUStep, "RNNTanhSteps": NewRNNTanhStep, "RNNReLUSteps": NewRNNReLUStep,
}

// TestReadySteps: steps that are ready have the bits of steps that are not, one
// after the other, also when weights and biases change meanwhile, and allocate
// nothing.
func TestReadySteps(t *testing.T) {
	forEachISA(t, func(t *testing.T, isa ISA) {
		seed := uint64(0)
		for _, f := range stepFuncs {
			ready := readyFuncs[f.name]
			if ready == nil {
				continue
			}
			for _, units := range pick([]int{0, 1, 5, 16, 24, 37, 64, 65, 100, 130, 257, 300}, []int{0, 5, 24, 65, 100, 257}, []int{5, 24, 65}) {
				for _, inputs := range []int{-1, 0, 1, 19, units} {
					for _, inPlace := range []bool{false, true} {
						seed++
						c := stepCase{stepFunc: f, units: units, inputs: inputs, proj: -1, T: 1, bias: seed%3 > 0}
						if f.gates == 4 && seed%2 == 0 {
							c.proj = units / 2
						}
						want, s := c.newSeq(seed), c.newSeq(seed)
						if f.gates == 4 && seed%5 == 0 {
							want.Peephole = random(newRand(9), packedWidth(3, units))
							s.Peephole = want.Peephole
						}
						s.Isolated = seed%2 == 0
						for _, s := range []*Seq{want, s} {
							if inPlace {
								copy(s.H.Data, s.H0)
								copy(s.C.Data, s.C0)
								s.H0, s.C0 = s.H.Data, s.C.Data
							}
						}
						x := s.X.Data
						step := ready(*s)
						task := step.task
						for n := range 4 {
							what := fmt.Sprintf("%s units=%d inputs=%d proj=%d in place=%v, step %d", f.name, units, inputs, c.proj, inPlace, n)
							if inputs < 0 { // the x part is used up
								copy(want.Gates.Data, random(newRand(seed), len(want.Gates.Data)))
								copy(s.Gates.Data, want.Gates.Data)
							}
							f.run(want)
							if n%2 == 0 {
								step.Run(x)
							} else {
								checkRunLinear(t, step, want.H.row(0, want.WHH.k), x, seed+uint64(n), what)
							}
							requireFPState(t, what)
							step.task.steps, step.task.left = task.steps, task.left
							if n%2 == 1 || task.back == 0 { // forth and back
								require.True(t, task == step.task, "%s: the kernel used up more than steps", what)
							}
							requireSame(t, want.H.Data, s.H.Data, "%s", what)
							requireSame(t, want.C.Data, s.C.Data, "%s", what)
							for i, w := range []*Panels{want.WHH, want.WIH} {
								if w == nil {
									continue
								}
								k := []int{want.WHH.k, inputs}[i]
								weight := random(newRand(seed+uint64(n)), c.gates*units*k)
								w.Pack(weight)
								[]*Panels{s.WHH, s.WIH}[i].Pack(weight)
							}
							for i, bias := range [][]float32{want.BIH, want.BHH} {
								if bias != nil && units > 0 {
									bias[0]++
									[][]float32{s.BIH, s.BHH}[i][0]++
								}
							}
						}
						require.Zero(t, testing.AllocsPerRun(3, func() { step.Run(x) }))
						w, y := NewPanels(1, 3, s.WHH.k), make([]float32, 3)
						require.Zero(t, testing.AllocsPerRun(3, func() { step.RunLinear(y, x, &Linear{W: w}) }))
						if inputs >= 0 {
							for _, T := range []int{0, 1, 5, stepsPerCall(s.WHH, s.WIH) + 2} {
								if T < 6 || units < 25 && !emulated {
									checkRunSteps(t, f, s, step, T, seed, inPlace)
								}
							}
						}
					}
				}
			}
		}
	})
}

// checkRunLinear compares y of RunLinear with the product of h, which the step must
// come to, for some number of outputs.
func checkRunLinear(t *testing.T, step *Step, h, x []float32, seed uint64, what string) {
	outputs := 1 + int(seed)%(block+2)
	w := NewPanels(1, outputs, len(h))
	w.Pack(random(newRand(seed), outputs*len(h)))
	var bias []float32
	if seed%4 > 0 {
		bias = random(newRand(seed+1), outputs)
	}
	want := random(newRand(seed+2), outputs+4)
	y := slices.Clone(want)
	Gemv(want[:outputs], h, w, bias)
	step.RunLinear(y[:outputs], x, &Linear{w, bias})
	requireSame(t, want, y, "%s: %d outputs", what, outputs)
}

// TestRunLinearPanics: nothing is written before.
func TestRunLinearPanics(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		s := stepCase{stepFunc: stepFuncs[0], units: 5, inputs: 2, proj: -1, T: 1, bias: true}.newSeq(1)
		h := slices.Clone(s.H.Data)
		step := readyFuncs[stepFuncs[0].name](*s)
		y, x, w := make([]float32, 3), make([]float32, 2), NewPanels(1, 3, 5)
		require.PanicsWithValue(t, "kernels: Step.RunLinear: len(y) = 2, want 3", func() { step.RunLinear(y[:2], x, &Linear{W: w}) })
		require.PanicsWithValue(t, "kernels: Step.RunLinear: len(Bias) = 2, want 3", func() { step.RunLinear(y, x, &Linear{w, y[:2]}) })
		require.PanicsWithValue(t, "kernels: Step.RunLinear: W.K() = 4, want 5", func() { step.RunLinear(y, x, &Linear{W: NewPanels(1, 3, 4)}) })
		require.PanicsWithValue(t, "kernels: Step.RunLinear: len(x) = 1, want 2", func() { step.RunLinear(y, x[:1], &Linear{W: w}) })
		requireSame(t, h, s.H.Data, "h")
		requireSame(t, make([]float32, 3), y, "y")
	})
}

// checkRunSteps compares T steps of a step that is ready with those that f makes of s,
// of which it is.
func checkRunSteps(t *testing.T, f stepFunc, s *Seq, step *Step, T int, seed uint64, inPlace bool) {
	what := fmt.Sprintf("%s units=%d inputs=%d in place=%v, %d steps", f.name, s.WHH.units, s.WIH.k, inPlace, T)
	const gap = 3
	rows := func(cols int) Mat { return Mat{random(newRand(seed), T*(cols+gap)), cols + gap} }
	want, out := *s, s.WHH.k
	want.T, want.H0, want.C0 = T, slices.Clone(s.H0), slices.Clone(s.C0)
	want.H, want.X, want.M = rows(out), rows(s.WIH.k), Mat{make([]float32, s.WHH.units), 0}
	h, x := rows(out), rows(s.WIH.k)
	if out == s.WIH.k {
		h = x
		copy(want.H.Data, x.Data)
	}
	for m, cols := range map[*Mat]int{&want.Gates: s.WHH.Width(), &want.GatesH: s.WHH.Width(), &want.C: s.WHH.units} {
		*m = Mat{make([]float32, cols), 0}
	}
	f.run(&want)
	before := slices.Clone(s.H.Data)
	step.RunSteps(h, x, T)
	requireFPState(t, what)
	requireSame(t, want.H.Data, h.Data, "%s", what)
	if T == 0 {
		requireSame(t, before, s.H.Data, "%s", what)
		return
	}
	if s.WHH.units > 0 {
		requireSame(t, want.H.row(T-1, out), s.H.Data, "%s: H", what)
	}
	if s.C0 != nil {
		requireSame(t, want.C.Data, s.C.Data, "%s: C", what)
	}
	require.Zero(t, testing.AllocsPerRun(2, func() { step.RunSteps(h, x, T) }))
}

// TestReadyIsolated: see TestIsolated.
func TestReadyIsolated(t *testing.T) {
	if !slices.Contains(Available(), AVX2) {
		t.Skip("NOT COVERED: no AVX2 here")
	}
	for _, f := range stepFuncs {
		ready := readyFuncs[f.name]
		if ready == nil {
			continue
		}
		for _, units := range []int{5, 64, 257} {
			c := stepCase{stepFunc: f, units: units, inputs: 1, proj: -1, T: 1, bias: true}
			want, got := c.newSeq(2), c.newSeq(2)
			got.Isolated = true
			onISA(AVX2, func() {
				f.run(want)
				step := ready(*got)
				active.Store(uint32(AVX512))
				step.Run(got.X.Data)
			})
			requireSame(t, want.H.Data, got.H.Data, "%s units=%d", f.name, units)
		}
	}
}

func TestReadyPanics(t *testing.T) {
	c := stepCase{stepFunc: stepFuncs[0], units: 5, inputs: 3, proj: -1, T: 1, bias: true}
	for want, change := range map[string]func(s *Seq){
		"T = 2, want 1":              func(s *Seq) { s.T = 2 },
		"T = 0, want 1":              func(s *Seq) { s.T = 0 },
		"Rows = 2, want at most 1":   func(s *Seq) { s.Rows = 2 },
		"Rows = -1, want at least 0": func(s *Seq) { s.Rows = -1 },
		"len(H0) = 4, want 5":        func(s *Seq) { s.H0 = s.H0[:4] },
		"WHH.Gates() = 3, want 4":    func(s *Seq) { s.WHH = NewPanels(3, 5, 5) },
	} {
		s := c.newSeq(1)
		change(s)
		require.PanicsWithValue(t, "kernels: NewLSTMStep: "+want, func() { NewLSTMStep(*s) })
	}
	s := c.newSeq(1)
	step := NewLSTMStep(*s)
	require.PanicsWithValue(t, "kernels: Step.Run: len(x) = 2, want 3", func() { step.Run(make([]float32, 2)) })
	require.PanicsWithValue(t, "kernels: Step.Run: len(x) = 0, want 3", func() { step.Run(nil) })
	h := Mat{make([]float32, 10), 5}
	for want, f := range map[string]func(){
		"T = -1, want at least 0":                                func() { step.RunSteps(h, s.X, -1) },
		"len(h.Data) = 10, want 3 rows of 5 columns at stride 5": func() { step.RunSteps(h, s.X, 3) },
		"len(x.Data) = 3, want 2 rows of 3 columns at stride 3":  func() { step.RunSteps(h, s.X, 2) },
	} {
		require.PanicsWithValue(t, "kernels: Step.RunSteps: "+want, f)
	}
	requireSame(t, make([]float32, 5), s.H.Data, "h was written")
	c.inputs = -1
	step = NewLSTMStep(*c.newSeq(1))
	require.PanicsWithValue(t, "kernels: Step.Run: len(x) = 3, want 0", func() { step.Run(make([]float32, 3)) })
	require.PanicsWithValue(t, "kernels: Step.RunSteps: WIH.K() = 0, want a WIH", func() { step.RunSteps(h, Mat{}, 1) })
}
