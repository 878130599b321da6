package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())

	reductions = []Reduction{Mean, Sum, None}
)

// lossGolden holds losses by PyTorch.
type lossGolden struct {
	CE struct {
		Logits, Probs, Weight []float64
		Targets               []int
		Cases                 []struct {
			Reduction     string
			Smoothing     float64 `json:"label_smoothing"`
			Weighted      bool
			Target        string // index or prob
			Loss, DLogits []float64
		}
	} `json:"cross_entropy"`
	Elementwise struct {
		X, Target, Labels []float64
		Cases             []struct {
			Loss         string
			Param, Value float64
			DX           []float64
		}
	}
}

func loadLossGolden(t *testing.T) (g lossGolden) {
	b, err := os.ReadFile("../internal/reference/testdata/loss_cases.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	require.Len(t, g.CE.Cases, 24)
	require.Len(t, g.Elementwise.Cases, 7)
	return g
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// lossData is what rows of x are compared with.
type lossData struct {
	width          int
	x, target      []float32 // [N,width], the target between 0 and 1
	targets        []int     // [N], below width
	weight, posits []float32 // [width]
}

func newLossData(N, width int) *lossData {
	r := kerneltest.NewRand(uint64(N*100000 + width))
	d := &lossData{width: width, x: kerneltest.Random(r, N*width, 2), target: kerneltest.Random(r, N*width, 1)}
	for i, v := range d.target {
		d.target[i] = abs(v) / 2
	}
	for range N {
		d.targets = append(d.targets, r.IntN(width))
	}
	d.weight, d.posits = kerneltest.Random(r, width, 1), kerneltest.Random(r, width, 1)
	for i := range width {
		d.weight[i], d.posits[i] = abs(d.weight[i]), abs(d.posits[i])
	}
	return d
}

// rows returns the data of these rows.
func (d *lossData) rows(rows []int) *lossData {
	e := &lossData{width: d.width, weight: d.weight, posits: d.posits}
	for _, i := range rows {
		e.x = append(e.x, d.x[i*d.width:][:d.width]...)
		e.target = append(e.target, d.target[i*d.width:][:d.width]...)
		e.targets = append(e.targets, d.targets[i])
	}
	return e
}

// A lossRun is a loss of rows as both packages compute it.
type lossRun struct {
	name      string
	each      bool // it has a loss for each element, not each row
	forward   func(r Reduction, d *lossData) func(dx, x []float32, seq Seq) (float32, int)
	reference func(r reference.Reduction, d *lossData) (loss, dx []float64)
}

func (l *lossRun) width(d *lossData) int {
	if l.each {
		return d.width
	}
	return 1
}

func crossEntropyRun(smoothing float64, weighted, probs bool) lossRun {
	weights := func(d *lossData) []float32 {
		if weighted {
			return d.weight
		}
		return nil
	}
	return lossRun{
		name: fmt.Sprintf("CrossEntropy e=%g weighted=%v probs=%v", smoothing, weighted, probs),
		forward: func(r Reduction, d *lossData) func(dx, x []float32, seq Seq) (float32, int) {
			ce := must(NewCrossEntropy(CrossEntropyConfig{Classes: d.width, Weight: weights(d), LabelSmoothing: smoothing, Reduction: r}))
			return func(dx, x []float32, seq Seq) (loss float32, n int) {
				var err error
				if probs {
					loss, n, err = ce.ForwardProbs(dx, x, d.target, seq)
				} else {
					loss, n, err = ce.ForwardSeq(dx, x, d.targets, seq)
				}
				return must(loss, err), n
			}
		},
		reference: func(r reference.Reduction, d *lossData) (loss, dx []float64) {
			l := reference.CrossEntropyLoss{Classes: d.width, Ignore: -100, Smoothing: smoothing, Reduction: r}
			if weighted {
				l.Weight = kerneltest.Float64s(d.weight)
			}
			if probs {
				return l.Probs(kerneltest.Float64s(d.x), kerneltest.Float64s(d.target))
			}
			return l.Indices(kerneltest.Float64s(d.x), d.targets)
		},
	}
}

func elementwiseRun(name string, f func(features int, r Reduction) (*Elementwise, error), ref reference.ElementLoss) lossRun {
	return lossRun{
		name: name,
		each: true,
		forward: func(r Reduction, d *lossData) func(dx, x []float32, seq Seq) (float32, int) {
			e := must(f(d.width, r))
			return func(dx, x []float32, seq Seq) (float32, int) { return e.ForwardSeq(dx, x, d.target, seq) }
		},
		reference: func(r reference.Reduction, d *lossData) (loss, dx []float64) {
			return reference.Elementwise(ref, r, kerneltest.Float64s(d.x), kerneltest.Float64s(d.target))
		},
	}
}

var lossRuns = []lossRun{
	crossEntropyRun(0, false, false), crossEntropyRun(0, true, false), crossEntropyRun(.1, false, false), crossEntropyRun(.1, true, false),
	crossEntropyRun(0, false, true), crossEntropyRun(0, true, true), crossEntropyRun(1, false, true), crossEntropyRun(.1, true, true),
	{
		name: "NLL",
		forward: func(r Reduction, d *lossData) func(dx, x []float32, seq Seq) (float32, int) {
			l := must(NewNLL(NLLConfig{Classes: d.width, Weight: d.weight, Reduction: r}))
			return func(dx, x []float32, seq Seq) (float32, int) {
				loss, n, err := l.ForwardSeq(dx, x, d.targets, seq)
				return must(loss, err), n
			}
		},
		reference: func(r reference.Reduction, d *lossData) (loss, dx []float64) {
			l := reference.CrossEntropyLoss{Classes: d.width, Weight: kerneltest.Float64s(d.weight), Ignore: -100, Reduction: r}
			return l.NLL(kerneltest.Float64s(d.x), d.targets)
		},
	},
	elementwiseRun("MSE", func(F int, r Reduction) (*Elementwise, error) { return NewMSE(MSEConfig{F, r}) }, reference.MSE),
	elementwiseRun("L1", func(F int, r Reduction) (*Elementwise, error) { return NewL1(L1Config{F, r}) }, reference.L1),
	elementwiseRun("SmoothL1", func(F int, r Reduction) (*Elementwise, error) {
		return NewSmoothL1(SmoothL1Config{Beta: .75, Features: F, Reduction: r})
	}, reference.SmoothL1(.75)),
	elementwiseRun("Huber", func(F int, r Reduction) (*Elementwise, error) {
		return NewHuber(HuberConfig{Delta: .75, Features: F, Reduction: r})
	}, reference.Huber(.75)),
	{
		name: "BCEWithLogits",
		each: true,
		forward: func(r Reduction, d *lossData) func(dx, x []float32, seq Seq) (float32, int) {
			e := must(NewBCEWithLogits(BCEWithLogitsConfig{Features: d.width, Weight: d.weight, PosWeight: d.posits, Reduction: r}))
			return func(dx, x []float32, seq Seq) (float32, int) { return e.ForwardSeq(dx, x, d.target, seq) }
		},
		reference: func(r reference.Reduction, d *lossData) (loss, dx []float64) {
			if r == reference.None {
				loss, dx = make([]float64, len(d.x)), make([]float64, len(d.x))
				for i, v := range d.x {
					f := reference.BCEWithLogits(float64(d.weight[i%d.width]), float64(d.posits[i%d.width]))
					loss[i], dx[i] = f(float64(v), float64(d.target[i]))
				}
				return loss, dx
			}
			panic("not needed")
		},
	},
}

// want returns the loss of each row or element of d, the loss and the gradient.
func (l *lossRun) want(r Reduction, d *lossData) (losses []float64, loss float64, dx []float64) {
	losses, dx = l.reference(reference.None, d)
	if r == Mean && l.name != "BCEWithLogits" {
		var mean []float64
		mean, dx = l.reference(reference.Mean, d)
		return losses, mean[0], dx
	}
	for _, v := range losses {
		loss += v
	}
	if r == Mean {
		loss /= float64(len(losses))
		for i := range dx {
			dx[i] /= float64(len(losses))
		}
	}
	return losses, loss, dx
}

// spread is the inverse of lossData.rows for what has width elements a row.
func spread(x []float64, rows []int, N, width int) []float64 {
	y := make([]float64, N*width)
	for j, i := range rows {
		copy(y[i*width:], x[j*width:][:width])
	}
	return y
}

// fill returns n elements that nobody should read.
func fill(n int, v float32) []float32 { return slices.Repeat([]float32{v}, n) }

func eachLoss(t *testing.T, f func(t *testing.T, l *lossRun)) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for i := range lossRuns {
			t.Run(lossRuns[i].name, func(t *testing.T) { f(t, &lossRuns[i]) })
		}
	})
}

// Padded sequences and whole ones against the reference, which has only the rows
// that count. What is left out is NaN or outside the classes.
func TestLossReference(t *testing.T) {
	var worstLoss, worstGrad float64
	eachLoss(t, func(t *testing.T, l *lossRun) {
		for _, s := range []struct {
			width, T, B int
			lengths     []int
			batchFirst  bool
		}{
			{width: 1, T: 1, B: 1}, {width: 2, T: 3, B: 5}, {width: 9, T: 1, B: 6}, {width: 70, T: 2, B: 3},
			{width: 1, T: kerneltest.Pick(30, 2, 2), B: 200}, {width: kerneltest.Pick(5000, 1500, 1500), T: 1, B: 3},
			{width: 3, T: 4, B: 3, lengths: []int{4, 0, 2}},
			{width: 3, T: 4, B: 3, lengths: []int{4, 0, 2}, batchFirst: true},
			{width: 1, T: 2, B: 3, lengths: []int{1, 0, 2}},
			{width: 700, T: 5, B: 3, lengths: []int{1, 5, 3}},
			{width: 4, T: 3, B: 2, lengths: []int{0, 0}},
			{width: 4, T: 0, B: 2, lengths: []int{0, 0}},
			{width: 4, T: 3, B: 0, lengths: []int{}},
		} {
			N := s.T * s.B
			d := newLossData(N, s.width)
			var rows []int
			for i := range N {
				if step, b := i/s.B, i%s.B; s.lengths == nil || !s.batchFirst && step < s.lengths[b] {
					rows = append(rows, i)
				} else if step, b := i%s.T, i/s.T; s.batchFirst && step < s.lengths[b] {
					rows = append(rows, i)
				}
			}
			for _, r := range reductions {
				msg := fmt.Sprintf("%+v %v", s, r)
				var losses, dx []float64
				var loss float64
				if len(rows) > 0 {
					losses, loss, dx = l.want(r, d.rows(rows))
				}
				bad := *d
				bad.x, bad.target, bad.targets = fill(len(d.x), nan), fill(len(d.x), nan), slices.Repeat([]int{-1}, N)
				for _, i := range rows {
					copy(bad.x[i*s.width:], d.x[i*s.width:][:s.width])
					copy(bad.target[i*s.width:], d.target[i*s.width:][:s.width])
					bad.targets[i] = d.targets[i]
				}
				before := slices.Clone(bad.x)

				forward := l.forward(r, &bad)
				width := l.width(d)
				got, each := fill(len(d.x), nan), fill(N*width, nan)
				seq := Seq{Lengths: s.lengths, BatchFirst: s.batchFirst, Losses: each}
				gotLoss, n := forward(got, bad.x, seq)
				require.Equal(t, len(rows)*width, n, msg)
				worstLoss = max(worstLoss, kerneltest.RequireClose(t, []float64{loss}, []float32{gotLoss}, 1e-6, 1e-6, msg+": loss")/max(1, math.Abs(loss)))
				kerneltest.RequireClose(t, spread(losses, rows, N, width), each, 1e-6, 1e-6, msg+": losses")
				largest := 0.0
				for _, v := range dx {
					largest = max(largest, math.Abs(v))
				}
				if s.width == 1 && !l.each { // 1-1 is no better than 1
					largest = 3
					if r == Mean {
						largest /= float64(N)
					}
				}
				e := kerneltest.RequireClose(t, spread(dx, rows, N, s.width), got, 4e-7*largest, 0, msg+": dx")
				if largest > 0 {
					worstGrad = max(worstGrad, e/largest)
				}

				// Loss only and in place: the same bits.
				seq.Losses = nil
				again, _ := forward(nil, bad.x, seq)
				require.Equal(t, gotLoss, again, msg)
				require.Equal(t, kerneltest.Hash(before), kerneltest.Hash(bad.x), msg+": x was written")
				again, _ = forward(bad.x, bad.x, seq)
				require.Equal(t, gotLoss, again, msg)
				require.Equal(t, got, bad.x, msg)

				if r != None {
					continue
				}
				seq.DLosses = fill(N*width, nan)
				for j, i := range rows {
					for k := range width {
						seq.DLosses[i*width+k] = float32(j%7+k%3) - 2
					}
				}
				for j := range dx {
					dx[j] *= float64(seq.DLosses[rows[j/s.width]*width+j%s.width%width])
				}
				copy(bad.x, before)
				again, _ = forward(got, bad.x, seq)
				require.Equal(t, gotLoss, again, msg)
				kerneltest.RequireClose(t, spread(dx, rows, N, s.width), got, 4e-6*largest, 0, msg+": dx of DLosses")
			}
		}
	})
	t.Logf("largest relative errors: loss %.1e, gradient %.1e of its largest element", worstLoss, worstGrad)
}

func TestLossBits(t *testing.T) {
	kerneltest.RequireHash(t, 0x88bb4aed86a486d8, func() (bits []float32) {
		for i := range lossRuns {
			for _, width := range []int{1, 9, 70, 4099} {
				const T, B = 3, 2
				d := newLossData(T*B, width)
				dx := make([]float32, len(d.x))
				loss, _ := lossRuns[i].forward(Mean, d)(dx, d.x, Seq{Lengths: []int{2, 3}})
				bits = append(append(bits, loss), dx...)
			}
		}
		return bits
	})
}

func TestLossAllocs(t *testing.T) {
	eachLoss(t, func(t *testing.T, l *lossRun) {
		const T, B = 3, 2
		for _, width := range []int{9, kerneltest.Pick(5000, 300, 300)} {
			d := newLossData(T*B, width)
			dx, losses := make([]float32, len(d.x)), make([]float32, T*B*l.width(d))
			forward := l.forward(None, d)
			seq := Seq{Lengths: []int{2, 3}, Losses: losses, DLosses: fill(len(losses), 1)}
			require.Zero(t, testing.AllocsPerRun(10, func() {
				forward(dx, d.x, seq)
				forward(nil, d.x, Seq{})
			}))
		}
	})
}

// Every wrong length panics, before anything is written.
func TestLossPanics(t *testing.T) {
	const T, B, width = 3, 2, 4
	for i := range lossRuns {
		l := &lossRuns[i]
		d := newLossData(T*B, width)
		n := T * B * l.width(d)
		dx := fill(len(d.x), 7)
		for name, f := range map[string]func(){
			"x":         func() { l.forward(Sum, d)(dx, d.x[1:], Seq{}) },
			"rows of x": func() { l.forward(Sum, d)(dx, d.x[width:], Seq{}) },
			"dx":        func() { l.forward(Sum, d)(dx[1:], d.x, Seq{}) },
			"Losses":    func() { l.forward(Sum, d)(dx, d.x, Seq{Losses: fill(n+1, 0)}) },
			"DLosses":   func() { l.forward(None, d)(dx, d.x, Seq{DLosses: fill(n+1, 0)}) },
			"mean":      func() { l.forward(Mean, d)(dx, d.x, Seq{DLosses: fill(n, 0)}) },
			"sum":       func() { l.forward(Sum, d)(dx, d.x, Seq{DLosses: fill(n, 0)}) },
			"B":         func() { l.forward(Sum, d)(dx, d.x, Seq{Lengths: []int{1, 1, 1, 1}}) },
			"B=0":       func() { l.forward(Sum, d)(dx, d.x, Seq{Lengths: []int{}}) },
			"above T":   func() { l.forward(Sum, d)(dx, d.x, Seq{Lengths: []int{1, T + 1}}) },
			"negative":  func() { l.forward(Sum, d)(dx, d.x, Seq{Lengths: []int{-1, 1}}) },
		} {
			require.Panics(t, f, "%s: %s", l.name, name)
		}
		require.Equal(t, fill(len(d.x), 7), dx, l.name)
	}

	ce := must(NewCrossEntropy(CrossEntropyConfig{Classes: 3}))
	mse := must(NewMSE(MSEConfig{Features: 2}))
	x := make([]float32, 12)
	for want, f := range map[string]func(){
		"train: CrossEntropy.ForwardSeq: Lengths[1] = 3, want 0 to T = 2": func() {
			ce.ForwardSeq(nil, x, []int{0, 0, 0, 0}, Seq{Lengths: []int{1, 3}})
		},
		"train: CrossEntropy.ForwardSeq: len(Lengths) = 3, want B, a divisor of T*B = 4": func() {
			ce.ForwardSeq(nil, x, []int{0, 0, 0, 0}, Seq{Lengths: []int{1, 1, 1}})
		},
		"train: CrossEntropy.ForwardSeq: len(DLosses) = 4, want nil with the reduction mean": func() {
			ce.ForwardSeq(nil, x, []int{0, 0, 0, 0}, Seq{DLosses: x[:4]})
		},
		"train: CrossEntropy.ForwardProbs: len(probs) = 11, want N*C = 12": func() { ce.ForwardProbs(nil, x, x[1:], Seq{}) },
		"train: MSE.Forward: len(x) = 11, want N*F, a multiple of F = 2":   func() { mse.Forward(nil, x[1:], x[1:]) },
		"train: MSE.Forward: len(target) = 11, want len(x) = 12":           func() { mse.Forward(nil, x, x[1:]) },

		"train: CrossEntropy.ForwardProbs: dlogits and probs overlap, want memory of their own": func() { ce.ForwardProbs(x[:9], x[:9], x[3:], Seq{}) },
		"train: MSE.Forward: dx and target overlap, want memory of their own":                   func() { mse.Forward(x[:8], x[:8], x[4:]) },
		"train: LogSoftmaxBackward: dx and dy overlap, want memory of their own":                func() { LogSoftmaxBackward(x, x, make([]float32, 12), 3) },
		"train: MSE.ForwardSeq: len(Losses) = 6, want len(x) = 12":                              func() { mse.ForwardSeq(nil, x, x, Seq{Losses: x[:6]}) },
		"train: LogSoftmax: C = 0, want at least 1":                                             func() { LogSoftmax(x, x, 0) },
		"train: LogSoftmax: len(dst) = 11, want N*C = 12":                                       func() { LogSoftmax(x[1:], x, 3) },
		"train: LogSoftmaxBackward: len(logp) = 11, want N*C = 12":                              func() { LogSoftmaxBackward(x, x, x[1:], 3) },
	} {
		require.PanicsWithValue(t, want, f)
	}
}

func TestLossConfigErrors(t *testing.T) {
	ce := func(cfg CrossEntropyConfig) error { _, err := NewCrossEntropy(cfg); return err }
	bce := func(cfg BCEWithLogitsConfig) error { _, err := NewBCEWithLogits(cfg); return err }
	huber := func(delta float64) error { _, err := NewHuber(HuberConfig{Delta: delta}); return err }
	smooth := func(beta float64) error { _, err := NewSmoothL1(SmoothL1Config{Beta: beta}); return err }
	_, nll := NewNLL(NLLConfig{})
	_, mse := NewMSE(MSEConfig{Features: -1})
	_, l1 := NewL1(L1Config{Reduction: 3})
	for want, err := range map[string]error{
		"train: NewCrossEntropy: Classes = 0, want at least 1":                                            ce(CrossEntropyConfig{}),
		"train: NewCrossEntropy: Classes = -1, want at least 1":                                           ce(CrossEntropyConfig{Classes: -1}),
		"train: NewCrossEntropy: Reduction = -1, want Mean, Sum or None":                                  ce(CrossEntropyConfig{Classes: 2, Reduction: -1}),
		"train: NewCrossEntropy: len(Weight) = 1, want 2 or nil":                                          ce(CrossEntropyConfig{Classes: 2, Weight: []float32{1}}),
		"train: NewCrossEntropy: Weight[1] = -1, want at least 0 and finite":                              ce(CrossEntropyConfig{Classes: 2, Weight: []float32{1, -1}}),
		"train: NewCrossEntropy: Weight[0] = NaN, want at least 0 and finite":                             ce(CrossEntropyConfig{Classes: 1, Weight: []float32{nan}}),
		"train: NewCrossEntropy: LabelSmoothing = 1.5, want 0 to 1":                                       ce(CrossEntropyConfig{Classes: 2, LabelSmoothing: 1.5}),
		"train: NewCrossEntropy: LabelSmoothing = NaN, want 0 to 1":                                       ce(CrossEntropyConfig{Classes: 2, LabelSmoothing: math.NaN()}),
		"train: NewNLL: Classes = 0, want at least 1":                                                     nll,
		"train: NewMSE: Features = -1, want at least 0":                                                   mse,
		"train: NewL1: Reduction = 3, want Mean, Sum or None":                                             l1,
		"train: NewBCEWithLogits: len(PosWeight) = 2, want 1 or nil":                                      bce(BCEWithLogitsConfig{PosWeight: []float32{1, 1}}),
		"train: NewBCEWithLogits: Weight[0] = +Inf, want at least 0 and finite":                           bce(BCEWithLogitsConfig{Weight: []float32{inf}}),
		"train: NewHuber: Delta = 0, want above 0 and finite":                                             huber(0),
		"train: NewHuber: Delta = NaN, want above 0 and finite":                                           huber(math.NaN()),
		"train: NewSmoothL1: Beta = -1, want at least 0 and finite":                                       smooth(-1),
		"train: NewSmoothL1: Beta = +Inf, want at least 0 and finite":                                     smooth(math.Inf(1)),
		fmt.Sprintf("train: NewCrossEntropy: Classes = %d, want a size that fits in memory", math.MaxInt): ce(CrossEntropyConfig{Classes: math.MaxInt}),
	} {
		require.EqualError(t, err, want)
	}
	require.NoError(t, smooth(0))
	require.Equal(t, "mean sum none Reduction(3)", fmt.Sprint(Mean, " ", Sum, " ", None, " ", Reduction(3)))
}

// The slices of a config belong to the caller.
func TestLossConfigCopied(t *testing.T) {
	w, ignore := []float32{1, 2}, []int{0}
	ce := must(NewCrossEntropy(CrossEntropyConfig{Classes: 2, Weight: w, IgnoreIndex: ignore}))
	x, y := []float32{1, 2, 3, 4}, []int{0, 1}
	want, _, err := ce.Forward(nil, x, y)
	require.NoError(t, err)
	w[1], ignore[0] = 7, 1
	got, n, err := ce.Forward(nil, x, y)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, want, got)
}

func TestElementwiseGolden(t *testing.T) {
	g := loadLossGolden(t).Elementwise
	x, target, labels := kerneltest.Float32s(g.X), kerneltest.Float32s(g.Target), kerneltest.Float32s(g.Labels)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, c := range g.Cases {
			var e *Elementwise
			target := target
			switch c.Loss {
			case "MSE":
				e = must(NewMSE(MSEConfig{}))
			case "L1":
				e = must(NewL1(L1Config{}))
			case "SmoothL1":
				e = must(NewSmoothL1(SmoothL1Config{Beta: c.Param}))
			case "Huber":
				e = must(NewHuber(HuberConfig{Delta: c.Param}))
			case "BCEWithLogits":
				e, target = must(NewBCEWithLogits(BCEWithLogitsConfig{PosWeight: []float32{float32(c.Param)}})), labels
			}
			dx := make([]float32, len(x))
			loss, n := e.Forward(dx, x, target)
			require.Equal(t, len(x), n)
			kerneltest.RequireClose(t, []float64{c.Value}, []float32{loss}, 2e-7, 2e-7, c.Loss)
			kerneltest.RequireClose(t, c.DX, dx, 1e-7, 1e-7, c.Loss+" dx")
		}
	})
	require.Equal(t, SmoothL1Config{Beta: 1}, DefaultSmoothL1())
	require.Equal(t, HuberConfig{Delta: 1}, DefaultHuber())
}

func TestElementwiseExtremes(t *testing.T) {
	const big = math.MaxFloat32
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		bce := must(NewBCEWithLogits(BCEWithLogitsConfig{Reduction: Sum}))
		l1, mse := must(NewL1(L1Config{Reduction: Sum})), must(NewMSE(MSEConfig{Reduction: Sum}))
		smooth, huber := must(NewSmoothL1(DefaultSmoothL1())), must(NewHuber(DefaultHuber()))
		for _, c := range []struct {
			e                   *Elementwise
			x, target, loss, dx float32
		}{
			{bce, 0, 1, math.Ln2, -.5}, {bce, 0, 0, math.Ln2, .5},
			{bce, 200, 1, 0, 0}, {bce, 200, 0, 200, 1}, {bce, -200, 1, 200, -1}, {bce, -200, 0, 0, 0},
			{bce, big, 1, 0, 0}, {bce, big, 0, big, 1},
			{bce, inf, 1, 0, 0}, {bce, -inf, 0, 0, 0}, {bce, inf, 0, inf, 1}, {bce, -inf, 1, inf, -1},
			{bce, -20, 0, 2.0611537e-09, 2.0611537e-09}, // not lost beside 20
			{bce, nan, 1, nan, nan}, {bce, nan, 0, nan, nan}, {bce, 0, nan, nan, nan},
			{l1, 2, 2, 0, 0}, {l1, nan, 0, nan, nan}, {l1, 0, nan, nan, nan}, {l1, -inf, 0, inf, -1}, {l1, big, 0, big, 1},
			{mse, 2, 2, 0, 0}, {mse, nan, 0, nan, nan}, {mse, 1e30, 0, inf, 2e30},
			{smooth, nan, 0, nan, nan}, {smooth, 3, 3, 0, 0}, {smooth, 1, 0, .5, 1}, {smooth, -inf, 0, inf, -1}, {smooth, big, 0, big, 1},
			{huber, nan, 0, nan, nan}, {huber, 3, 3, 0, 0}, {huber, -1, 0, .5, -1}, {huber, inf, 0, inf, 1}, {huber, -big, 0, big, -1},
		} {
			dx := []float32{7}
			loss, _ := c.e.Forward(dx, []float32{c.x}, []float32{c.target})
			msg := fmt.Sprintf("%s(%g, %g)", c.e.name, c.x, c.target)
			if c.loss != c.loss {
				require.True(t, loss != loss && dx[0] != dx[0], "%s: %g, %g", msg, loss, dx[0])
				continue
			}
			require.InDelta(t, 1, ratio(loss, c.loss), 1e-6, msg)
			require.InDelta(t, 1, ratio(dx[0], c.dx), 1e-6, msg)
		}
	})
}

// ratio returns a/b, 1 if they are equal.
func ratio(a, b float32) float32 {
	if a == b {
		return 1
	}
	return a / b
}

func TestLogSoftmax(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, s := range ceShapes {
			x, targets := ceCase(s.N, s.C, 4)
			logp := make([]float32, len(x))
			LogSoftmax(logp, x, s.C)
			for i := range s.N {
				want := reference.LogSoftmax(kerneltest.Float64s(x[i*s.C:][:s.C]))
				kerneltest.RequireClose(t, want, logp[i*s.C:][:s.C], 1e-6, 2e-7, "logp")
			}

			// With NLL it is the cross entropy.
			ce, nll := newCE(t, s.C), must(NewNLL(NLLConfig{Classes: s.C}))
			want, dwant := make([]float32, len(x)), make([]float32, len(x))
			loss, _, err := ce.Forward(want, x, targets)
			require.NoError(t, err)
			got, n, err := nll.Forward(dwant, logp, targets)
			require.NoError(t, err)
			require.Equal(t, s.N, n)
			kerneltest.RequireClose(t, []float64{float64(loss)}, []float32{got}, 1e-6, 1e-6, "loss")
			dx := slices.Clone(logp)
			LogSoftmaxBackward(dx, dwant, dx, s.C)
			kerneltest.RequireClose(t, kerneltest.Float64s(want), dx, 2e-6/float64(s.N), 2e-6, "dx")
			LogSoftmaxBackward(x, dwant, logp, s.C)
			require.Equal(t, dx, x)
			x, _ = ceCase(s.N, s.C, 4)
			LogSoftmax(x, x, s.C)
			require.Equal(t, logp, x)
		}
		x := []float32{1e4, 1e4 + 1, -inf, nan, 0, 0, -inf, -inf, -inf}
		LogSoftmax(x, x, 3)
		kerneltest.RequireClose(t, []float64{-math.Log1p(math.E), -math.Log1p(1 / math.E)}, x[:2], 1e-7, 1e-7, "logp")
		require.Equal(t, -inf, x[2])
		for _, v := range x[3:] {
			require.True(t, v != v)
		}
		y := slices.Clone(x)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			LogSoftmax(x, x, 3)
			LogSoftmaxBackward(x, y, x, 3)
		}))
	})
}

// FuzzLosses compares shapes, lengths and reductions with the reference.
func FuzzLosses(f *testing.F) {
	f.Add(uint8(0), uint8(3), uint8(2), uint8(4), uint8(0), uint64(5))
	f.Add(uint8(9), uint8(5), uint8(3), uint8(70), uint8(1), uint64(77))
	f.Add(uint8(13), uint8(1), uint8(1), uint8(255), uint8(2), uint64(0))
	f.Fuzz(func(t *testing.T, which, T, B, width, r uint8, seed uint64) {
		l := &lossRuns[int(which)%len(lossRuns)]
		steps, batch := int(T%8), 1+int(B%8)
		d := newLossData(steps*batch, 1+int(width))
		rnd := kerneltest.NewRand(seed)
		seq := Seq{Lengths: make([]int, batch)}
		var rows []int
		for b := range batch {
			seq.Lengths[b] = rnd.IntN(steps + 1)
		}
		for i := range steps * batch {
			if i/batch < seq.Lengths[i%batch] {
				rows = append(rows, i)
			}
		}
		reduction := reductions[int(r)%len(reductions)]
		dx := fill(len(d.x), nan)
		loss, _ := l.forward(reduction, d)(dx, d.x, seq)
		var want float64
		var dwant []float64
		if len(rows) > 0 {
			_, want, dwant = l.want(reduction, d.rows(rows))
		}
		kerneltest.RequireClose(t, []float64{want}, []float32{loss}, 3e-6, 2e-6, l.name)
		kerneltest.RequireClose(t, spread(dwant, rows, steps*batch, d.width), dx, 4e-6, 2e-6, l.name)
	})
}

// FuzzLossArguments: whatever the lengths of arguments, the targets and the
// lengths are, a loss works, or nothing is written and an error or a panic of its
// own says why.
func FuzzLossArguments(f *testing.F) {
	f.Add(uint8(0), uint8(12), uint8(12), uint8(12), uint8(3), []byte{0, 1, 2, 2}, []byte{2, 1}, []byte{})
	f.Add(uint8(2), uint8(12), uint8(12), uint8(12), uint8(3), []byte{0, 1, 2, 2}, []byte{2, 1}, []byte{12})
	f.Add(uint8(4), uint8(12), uint8(12), uint8(0), uint8(3), []byte{1, 2, 2}, []byte{2, 2}, []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, which, nx, ndx, ntarget, width uint8, targets, lengths, more []byte) {
		ints := func(b []byte) []int {
			if len(b) == 0 {
				return nil
			}
			s := make([]int, len(b))
			for i, v := range b {
				s[i] = int(int8(v))
			}
			return s
		}
		C, r := 1+int(width%8), reductions[int(which/8)%len(reductions)]
		x, dx, target := fill(int(nx), 1), fill(int(ndx), 7), fill(int(ntarget), 1)
		seq := Seq{Lengths: ints(lengths), BatchFirst: which&128 != 0}
		if len(more) > 0 {
			seq.Losses = fill(int(more[0]), 7)
		}
		if len(more) > 1 {
			seq.DLosses = fill(int(more[1]), 1)
		}
		if len(more) > 2 {
			dx = nil
		}
		before := slices.Concat(dx, seq.Losses)
		failed := func() (failed bool) {
			defer func() {
				if p := recover(); p != nil {
					s, ours := p.(string)
					require.True(t, ours, "%v", p)
					require.Regexp(t, `^train: [\w.]+: .* = -?\d+, want `, s)
					failed = true
				}
			}()
			var err error
			switch which % 5 {
			case 0:
				_, _, err = must(NewCrossEntropy(CrossEntropyConfig{Classes: C, Reduction: r})).ForwardSeq(dx, x, ints(targets), seq)
			case 1:
				_, _, err = must(NewCrossEntropy(CrossEntropyConfig{Classes: C, Reduction: r})).ForwardProbs(dx, x, target, seq)
			case 2:
				must(NewMSE(MSEConfig{Features: C, Reduction: r})).ForwardSeq(dx, x, target, seq)
			case 3:
				_, _, err = must(NewNLL(NLLConfig{Classes: C, Reduction: r})).ForwardSeq(dx, x, ints(targets), seq)
			case 4:
				ctc := must(NewCTC(CTCConfig{Classes: C, MaxT: 5, MaxTarget: 4, Reduction: r}))
				_, _, err = ctc.ForwardSeq(dx, x, ints(targets), ints(more), seq)
			}
			return err != nil
		}()
		if failed {
			require.Equal(t, before, slices.Concat(dx, seq.Losses))
		}
	})
}

func BenchmarkElementwise(b *testing.B) {
	const n = 16384
	d := newLossData(n, 1)
	dx := make([]float32, n)
	for i := range lossRuns {
		l := &lossRuns[i]
		if !l.each {
			continue
		}
		b.Run("loss="+l.name, func(b *testing.B) {
			kerneltest.Each(b, func(b *testing.B, _ kernels.ISA) {
				forward := l.forward(Mean, d)
				for b.Loop() {
					forward(dx, d.x, Seq{})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		})
	}
}
