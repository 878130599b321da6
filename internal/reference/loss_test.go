package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// lossGolden holds losses by PyTorch.
type lossGolden struct {
	CE struct {
		Logits, Probs, Weight []float64
		Targets               []int
		Cases                 []struct {
			Reduction     Reduction
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

func TestCrossEntropyGolden(t *testing.T) {
	var golden lossGolden
	readJSON(t, "loss_cases.json", &golden)
	g := golden.CE
	require.Len(t, g.Cases, 24)
	c := comparison{t: t, tol: 1e-12}
	for _, k := range g.Cases {
		name := fmt.Sprintf("%s e=%g weighted=%v %s: ", k.Reduction, k.Smoothing, k.Weighted, k.Target)
		l := CrossEntropyLoss{Classes: 4, Ignore: -100, Smoothing: k.Smoothing, Reduction: k.Reduction}
		if k.Weighted {
			l.Weight = g.Weight
		}
		var loss, d []float64
		if k.Target == "prob" {
			loss, d = l.Probs(g.Logits, g.Probs)
		} else {
			loss, d = l.Indices(g.Logits, g.Targets)
		}
		c.check(name+"loss", k.Loss, loss)
		c.check(name+"dlogits", k.DLogits, d)
	}
	t.Logf("largest relative error %.1e", c.worst)

	loss, dlogits := CrossEntropy(g.Logits[:8], []int{-100, -100})
	require.Zero(t, loss)
	require.Equal(t, make([]float64, 8), dlogits)
}

func TestElementwiseGolden(t *testing.T) {
	var golden lossGolden
	readJSON(t, "loss_cases.json", &golden)
	g := golden.Elementwise
	require.Len(t, g.Cases, 7)
	c := comparison{t: t, tol: 1e-12}
	for _, k := range g.Cases {
		target := g.Target
		var f ElementLoss
		switch k.Loss {
		case "MSE":
			f = MSE
		case "L1":
			f = L1
		case "SmoothL1":
			f = SmoothL1(k.Param)
		case "Huber":
			f = Huber(k.Param)
		case "BCEWithLogits":
			f, target = BCEWithLogits(1, k.Param), g.Labels
		}
		loss, dx := Elementwise(f, Mean, g.X, target)
		name := fmt.Sprintf("%s %g: ", k.Loss, k.Param)
		c.check(name+"loss", []float64{k.Value}, loss)
		c.check(name+"dx", k.DX, dx)
	}
	t.Logf("largest relative error %.1e", c.worst)
}

func TestLossNumericGradients(t *testing.T) {
	const N, C = 3, 4
	rnd := rand.New(rand.NewPCG(2, 2))
	x, q, weight := normals(rnd, N*C, 2), normals(rnd, N*C, 1), []float64{.5, 1, 2, .25}
	targets := []int{1, -100, 2}
	first := func(loss, _ []float64) float64 { return loss[0] }
	c := comparison{t: t, tol: 1e-8}
	for _, r := range []Reduction{Mean, Sum} {
		l := CrossEntropyLoss{C, weight, -100, .1, r}
		for name, f := range map[string]func() (loss, dx []float64){
			"Indices": func() (loss, dx []float64) { return l.Indices(x, targets) },
			"Probs":   func() (loss, dx []float64) { return l.Probs(x, q) },
			"NLL":     func() (loss, dx []float64) { return l.NLL(x, targets) },
			"MSE":     func() (loss, dx []float64) { return Elementwise(MSE, r, x, q) },
			"L1":      func() (loss, dx []float64) { return Elementwise(L1, r, x, q) },
			"Smooth":  func() (loss, dx []float64) { return Elementwise(SmoothL1(.7), r, x, q) },
			"Huber":   func() (loss, dx []float64) { return Elementwise(Huber(.7), r, x, q) },
			"BCE":     func() (loss, dx []float64) { return Elementwise(BCEWithLogits(3, 2), r, x, q) },
		} {
			_, d := f()
			c.check(string(r)+" "+name, numeric(func() float64 { return first(f()) }, x), d)
		}
	}

	// NLL of log softmax is the cross entropy.
	l := CrossEntropyLoss{Classes: C, Weight: weight, Ignore: -100, Reduction: Mean}
	want, _ := l.Indices(x, targets)
	got, _ := l.NLL(logSoftmaxRows(x, C), targets)
	c.check("NLL of log softmax", want, got)
}

func logSoftmaxRows(x []float64, C int) (lp []float64) {
	for i := range len(x) / C {
		lp = append(lp, LogSoftmax(row(x, len(x)/C, i))...)
	}
	return lp
}

// enumerate adds the probabilities of all alignments that spell y.
func enumerate(logp []float64, C, blank int, y []int) (loss float64) {
	T := len(logp) / C
	total := 0.0
	path := make([]int, T)
	var walk func(t int, lp float64)
	walk = func(t int, lp float64) {
		if t < T {
			for c := range C {
				path[t] = c
				walk(t+1, lp+logp[t*C+c])
			}
			return
		}
		var spelled []int
		for i, c := range path {
			if c != blank && (i == 0 || c != path[i-1]) {
				spelled = append(spelled, c)
			}
		}
		if slices.Equal(spelled, y) {
			total += math.Exp(lp)
		}
	}
	walk(0, 0)
	return -math.Log(total)
}

func TestCTC(t *testing.T) {
	const C = 3
	rnd := rand.New(rand.NewPCG(4, 4))
	c := comparison{t: t, tol: 1e-8}
	impossible := 0
	for blank := range C {
		a, b := (blank+1)%C, (blank+2)%C
		for _, y := range [][]int{{}, {a}, {a, b}, {a, a}, {b, a, b}, {a, a, a}, {a, b, b, a}} {
			for T := range 6 {
				x := normals(rnd, T*C, 1)
				logp := logSoftmaxRows(x, C)
				loss, d := CTC(logp, C, blank, y)
				want := enumerate(logp, C, blank, y)
				name := fmt.Sprintf("blank=%d y=%v T=%d", blank, y, T)
				if math.IsInf(want, 1) {
					impossible++
					require.Equal(t, want, loss, name)
					for _, v := range d {
						require.True(t, math.IsNaN(v), name)
					}
					continue
				}
				require.InDelta(t, want, loss, 1e-12, name)
				if testing.Short() && T > 3 {
					continue
				}
				// As a row of d adds up to 0, d is the gradient by the logits.
				c.check(name, numeric(func() float64 { return enumerate(logSoftmaxRows(x, C), C, blank, y) }, x), d)
			}
		}
	}
	require.Equal(t, 3*(1+2+3+3+5+5), impossible)
	t.Logf("largest relative error of the gradient %.1e", c.worst)
}
