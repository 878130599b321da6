// Command peers compares package kernels with other Go libraries for float32:
// gonum, viterin/vek and tphakala/simd. It runs them in turn on one thread and
// prints a Markdown table of medians:
//
//	go -C bench/peers run .
//
// as make bench-peers does. The benchmarks of this module time the same calls.
package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tphakala/simd/f32"
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/simdrnn/simdrnn/kernels"
)

// A contender is what one library offers for a task.
type contender struct {
	name   string // of the library
	run    func()
	result func(i int) float32 // element i of what run computed
}

// A task is a computation at a shape.
type task struct {
	name       string // as in the name of a benchmark
	work       float64
	unit       string // gflops, or perElement if work is elements
	want       []float64
	contenders []contender // ours is the first
}

const (
	ours       = "simdrnn"
	gflops     = "GFLOP/s"
	perElement = "ns/element"
)

// value returns in the task's unit what one run of some nanoseconds means.
func (t *task) value(ns float64) float64 {
	if t.unit == perElement {
		return ns / t.work
	}
	return t.work / ns
}

func random(r *rand.Rand, n int, size float32) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32((2*r.Float32() - 1) * size)
	}
	return s
}

func at(s []float32) func(int) float32 { return func(i int) float32 { return s[i] } }

// tasks returns all tasks.
func tasks() (all []task) {
	for _, h := range []int{64, 128, 256, 512, 1024} {
		all = append(all, gemv(4*h, h))
	}
	for _, s := range [][2]int{{256, 16}, {256, 64}, {512, 16}, {512, 64}} {
		all = append(all, gemm(4*s[0], s[0], s[1]))
	}
	for _, n := range []int{128, 1024, 4096} {
		all = append(all, axpy(n), dot(n))
	}
	const n = 4096
	all = append(all,
		activation("Tanh", n, math.Tanh, kernels.Tanh, f32.Tanh, vekTanh),
		activation("Sigmoid", n, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, kernels.Sigmoid, f32.Sigmoid, vekSigmoid),
		activation("Exp", n, math.Exp, kernels.Exp, f32.Exp, func(dst, src []float32) { vek32.Exp_Into(dst, src) }))
	return all
}

// gemv is y = W·x with W [m][k], row-major for the others and packed for us: a
// recurrent network packs its weights once.
func gemv(m, k int) task {
	r := rand.New(rand.NewPCG(1, uint64(k)))
	w, x := random(r, m*k, 1), random(r, k, 1)
	t := task{name: fmt.Sprintf("Gemv/H=%d", k), work: 2 * float64(m*k), unit: gflops, want: product(w, x, m, k, 1)}

	panels, y := kernels.NewPanels(1, m, k), make([]float32, m)
	panels.Pack(w)
	t.add(ours, func() { kernels.Gemv(y, x, panels, nil) }, at(y))

	gonumY := make([]float32, m)
	a := blas32.General{Rows: m, Cols: k, Stride: k, Data: w}
	t.add("gonum", func() {
		blas32.Gemv(blas.NoTrans, 1, a, blas32.Vector{N: k, Data: x, Inc: 1}, 0, blas32.Vector{N: m, Data: gonumY, Inc: 1})
	}, at(gonumY))

	vekY := make([]float32, m)
	t.add("vek", func() {
		for i := range vekY {
			vekY[i] = vek32.Dot(w[i*k:][:k], x)
		}
	}, at(vekY))

	simdY := make([]float32, m)
	t.add("tphakala/simd", func() { f32.DotProductStrided(simdY, w, x, m, k, k) }, at(simdY))
	return t
}

// gemm is Y = X·Wᵀ with X [n][k] and W [m][k]. vek has no transposes and so gets
// Y's transpose from X's; tphakala/simd has no product of matrices and makes one
// of a vector for each row.
func gemm(m, k, n int) task {
	r := rand.New(rand.NewPCG(2, uint64(k)))
	w, x := random(r, m*k, 1), random(r, n*k, 1)
	t := task{name: fmt.Sprintf("Gemm/H=%d/N=%d", k, n), work: 2 * float64(m*k*n), unit: gflops, want: product(w, x, m, k, n)}

	panels, y := kernels.NewPanels(1, m, k), make([]float32, n*m)
	panels.Pack(w)
	t.add(ours, func() {
		kernels.Gemm(kernels.Mat{Data: y, Stride: m}, kernels.Mat{Data: x, Stride: k}, n, panels, nil)
	}, at(y))

	gonumY := make([]float32, n*m)
	a, b := blas32.General{Rows: n, Cols: k, Stride: k, Data: x}, blas32.General{Rows: m, Cols: k, Stride: k, Data: w}
	c := blas32.General{Rows: n, Cols: m, Stride: m, Data: gonumY}
	t.add("gonum", func() { blas32.Gemm(blas.NoTrans, blas.Trans, 1, a, b, 0, c) }, at(gonumY))

	xT, vekY := make([]float32, k*n), make([]float32, m*n)
	for i := range n {
		for j := range k {
			xT[j*n+i] = x[i*k+j]
		}
	}
	t.add("vek", func() { vek32.MatMul_Into(vekY, w, xT, k) }, func(i int) float32 { return vekY[i%m*n+i/m] })

	simdY := make([]float32, n*m)
	t.add("tphakala/simd", func() {
		for i := range n {
			f32.DotProductStrided(simdY[i*m:][:m], w, x[i*k:][:k], m, k, k)
		}
	}, at(simdY))
	return t
}

// axpy is y += alpha·x. Its alpha is small, so that y stays in bounds.
func axpy(n int) task {
	const alpha = 1e-9
	r := rand.New(rand.NewPCG(3, uint64(n)))
	x, start := random(r, n, 1), random(r, n, 1)
	t := task{name: fmt.Sprintf("Axpy/n=%d", n), work: 2 * float64(n), unit: gflops}
	for i := range x {
		t.want = append(t.want, float64(start[i])+alpha*float64(x[i]))
	}
	for _, c := range []struct {
		name string
		f    func(y []float32)
	}{
		{ours, func(y []float32) { kernels.Axpy(y, alpha, x) }},
		{"gonum", func(y []float32) {
			blas32.Axpy(alpha, blas32.Vector{N: n, Data: x, Inc: 1}, blas32.Vector{N: n, Data: y, Inc: 1})
		}},
		{"tphakala/simd", func(y []float32) { f32.AddScaled(y, alpha, x) }},
	} {
		y := append([]float32{}, start...)
		t.add(c.name, func() { c.f(y) }, at(y))
	}
	return t
}

// dot is Σ x·y. Ours adds pieces of 4096 in float64.
func dot(n int) task {
	r := rand.New(rand.NewPCG(5, uint64(n)))
	x, y := random(r, n, 1), random(r, n, 1)
	t := task{name: fmt.Sprintf("Dot/n=%d", n), work: 2 * float64(n), unit: gflops, want: product(x, y, 1, n, 1)}
	for _, c := range []struct {
		name string
		f    func() float32
	}{
		{ours, func() float32 { return float32(kernels.Dot(x, y)) }},
		{"gonum", func() float32 {
			return blas32.Dot(blas32.Vector{N: n, Data: x, Inc: 1}, blas32.Vector{N: n, Data: y, Inc: 1})
		}},
		{"vek", func() float32 { return vek32.Dot(x, y) }},
		{"tphakala/simd", func() float32 { return f32.DotProduct(x, y) }},
	} {
		sum := make([]float32, 1)
		t.add(c.name, func() { sum[0] = c.f() }, at(sum))
	}
	return t
}

// activation is dst[i] = f(src[i]) for src in ±8.
func activation(name string, n int, f func(float64) float64, our, simd, vek func(dst, src []float32)) task {
	src := random(rand.New(rand.NewPCG(4, 1)), n, 8)
	t := task{name: fmt.Sprintf("%s/n=%d", name, n), work: float64(n), unit: perElement}
	for _, x := range src {
		t.want = append(t.want, f(float64(x)))
	}
	for _, c := range []struct {
		name string
		f    func(dst, src []float32)
	}{{ours, our}, {"vek", vek}, {"tphakala/simd", simd}} {
		if c.f != nil {
			dst := make([]float32, n)
			t.add(c.name, func() { c.f(dst, src) }, at(dst))
		}
	}
	return t
}

// vekSigmoid is 1/(1+exp(-x)) and vekTanh is 1-2/(exp(2x)+1), for vek has only
// exp.
func vekSigmoid(dst, src []float32) {
	vek32.MulNumber_Into(dst, src, -1)
	vek32.Exp_Inplace(dst)
	vek32.AddNumber_Inplace(dst, 1)
	vek32.Inv_Inplace(dst)
}

func vekTanh(dst, src []float32) {
	vek32.MulNumber_Into(dst, src, 2)
	vek32.Exp_Inplace(dst)
	vek32.AddNumber_Inplace(dst, 1)
	vek32.Inv_Inplace(dst)
	vek32.MulNumber_Inplace(dst, -2)
	vek32.AddNumber_Inplace(dst, 1)
}

func (t *task) add(name string, run func(), result func(int) float32) {
	t.contenders = append(t.contenders, contender{name, run, result})
}

// product returns X·Wᵀ.
func product(w, x []float32, m, k, n int) []float64 {
	y := make([]float64, 0, n*m)
	for i := range n {
		for o := range m {
			var sum float64
			for j, v := range x[i*k:][:k] {
				sum += float64(v) * float64(w[o*k+j])
			}
			y = append(y, sum)
		}
	}
	return y
}
