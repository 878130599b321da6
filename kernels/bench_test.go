package kernels

import (
	"fmt"
	"strings"
	"testing"
)

// Benchmarks are named key=value, the path last, and tell the limit of this
// machine that they measured just before and after: of multiply-adds for
// products, of reading a buffer of the same size for what is bound by memory.
// make bench-kernels compares them with what they should reach.

// FMAPeak, TilePeak and ReadBandwidth are those of package bench/limits.
var (
	FMAPeak       func(isa ISA) (flops float64)
	TilePeak      func(isa ISA) (flops float64)
	ReadBandwidth func(isa ISA, bytes int) float64
)

// onPaths runs f as a sub-benchmark for each path of this machine.
func onPaths(b *testing.B, name string, f func(b *testing.B, isa ISA)) {
	for _, isa := range paths() {
		b.Run(fmt.Sprintf("%s/isa=%v", name, isa), func(b *testing.B) {
			onISA(isa, func() { f(b, isa) })
		})
	}
}

// against times op, which does some work, and reports the work a nanosecond in
// unit, the limit of it, and what part of the limit that is.
func against(b *testing.B, work float64, unit, percent string, limit func() float64, op func()) {
	most := limit()
	for b.Loop() {
		op()
	}
	most = max(most, limit()) / 1e9
	rate := work * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(rate, unit)
	if most > 0 {
		b.ReportMetric(most, "limit-"+unit)
		b.ReportMetric(100*rate/most, percent)
	}
}

func againstFMA(b *testing.B, isa ISA, flops int, op func()) {
	before := TilePeak(isa)
	against(b, float64(flops), "GFLOP/s", "%peak", func() float64 { return FMAPeak(isa) }, op)
	if tile := (before + TilePeak(isa)) / 2; tile > 0 {
		b.ReportMetric(100*float64(flops)*float64(b.N)/b.Elapsed().Seconds()/tile, "%tile")
	}
}

func againstRead(b *testing.B, isa ISA, bytes int, op func()) {
	against(b, float64(bytes), "GB/s", "%read", func() float64 { return ReadBandwidth(isa, bytes) }, op)
}

// packed returns panels of random weights.
func packed(gates, units, k int) *Panels {
	w := NewPanels(gates, units, k)
	w.Pack(random(newRand(1), gates*units*k))
	return w
}

// backAndForth returns f for a panels and its reversed view in turn, as a
// recurrent network uses them from step to step.
func backAndForth(w *Panels, f func(w *Panels)) func() {
	next, last := w, w.Reversed()
	return func() {
		f(next)
		next, last = last, next
	}
}

func randomMat(rows, cols int) Mat { return Mat{random(newRand(2), rows*cols), cols} }

// BenchmarkGemm multiplies N rows by the weights of an LSTM of H units.
func BenchmarkGemm(b *testing.B) {
	for _, h := range []int{64, 128, 256, 512} {
		for _, n := range []int{2, 4, 8, 16, 64} {
			onPaths(b, fmt.Sprintf("H=%d/N=%d", h, n), func(b *testing.B, isa ISA) {
				w, a := packed(4, h, h), randomMat(n, h)
				c, bias := randomMat(n, w.Width()), random(newRand(3), w.Width())
				againstFMA(b, isa, 2*n*4*h*h, backAndForth(w, func(w *Panels) { Gemm(c, a, n, w, bias) }))
			})
		}
	}
}

// BenchmarkGemv multiplies one row.
func BenchmarkGemv(b *testing.B) {
	for _, h := range []int{16, 64, 128, 256, 384, 512, 1024} {
		onPaths(b, fmt.Sprintf("H=%d", h), func(b *testing.B, isa ISA) {
			w, x := packed(4, h, h), random(newRand(2), h)
			y, bias := make([]float32, w.Width()), random(newRand(3), w.Width())
			againstRead(b, isa, w.Bytes(), backAndForth(w, func(w *Panels) { Gemv(y, x, w, bias) }))
		})
	}
}

// BenchmarkNarrow multiplies N rows of H inputs, as the last layer of a model of a signal
// does.
func BenchmarkNarrow(b *testing.B) {
	for _, outputs := range []int{1, 2, 4, 10} {
		for _, h := range []int{8, 20, 32, 40, 64} {
			for _, n := range []int{1, 2048} {
				onPaths(b, fmt.Sprintf("O=%d/H=%d/N=%d", outputs, h, n), func(b *testing.B, _ ISA) {
					w, a := packed(1, outputs, h), randomMat(n, h)
					c, bias := randomMat(n, outputs), random(newRand(3), outputs)
					for b.Loop() {
						if n == 1 {
							Gemv(c.Data, a.Data, w, bias)
						} else {
							Gemm(c, a, n, w, bias)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
				})
			}
		}
	}
}

// BenchmarkPack packs the weights of an LSTM of H units, as they are and
// transposed. Its bytes are those that it reads and those that it writes.
func BenchmarkPack(b *testing.B) {
	for _, h := range []int{128, 256, 512} {
		w, weight := NewPanels(4, h, h), randomMat(4*h, h)
		t := NewPanels(1, h, 4*h)
		onPaths(b, fmt.Sprintf("form=Pack/H=%d", h), func(b *testing.B, isa ISA) {
			againstRead(b, isa, 2*w.Bytes(), func() { w.Pack(weight.Data) })
		})
		onPaths(b, fmt.Sprintf("form=SetRows/H=%d", h), func(b *testing.B, isa ISA) {
			againstRead(b, isa, 2*t.Bytes(), func() { t.SetRows(weight) })
		})
	}
}

// BenchmarkDW adds the gradient of an LSTM's weight [4H][H] over N rows, and
// packs one of the two matrices for it.
func BenchmarkDW(b *testing.B) {
	for _, s := range [][2]int{{128, 1024}, {128, 4096}, {256, 1024}, {256, 4096}, {512, 1024}} {
		h, n := s[0], s[1]
		onPaths(b, fmt.Sprintf("H=%d/N=%d", h, n), func(b *testing.B, isa ISA) {
			dw, dGates, x := randomMat(4*h, h), randomMat(n, 4*h), randomMat(n, h)
			w := NewPanels(1, h, n)
			againstFMA(b, isa, 2*n*4*h*h, func() {
				w.SetRows(x)
				GemmTN(dw, dGates, 4, h, w, true)
			})
		})
	}
}

// BenchmarkDX computes the gradient of the input of an LSTM's weight [4H][H]
// for N rows, and packs the weight for it.
func BenchmarkDX(b *testing.B) {
	for _, s := range [][2]int{{128, 1024}, {128, 4096}, {256, 1024}, {256, 4096}, {512, 1024}} {
		h, n := s[0], s[1]
		onPaths(b, fmt.Sprintf("H=%d/N=%d", h, n), func(b *testing.B, isa ISA) {
			dx, dGates, weight := randomMat(n, h), randomMat(n, 4*h), randomMat(4*h, h)
			w := NewPanels(1, h, 4*h)
			againstFMA(b, isa, 2*n*4*h*h, func() {
				w.SetRows(weight)
				Gemm(dx, dGates, n, w, nil)
			})
		})
	}
}

// BenchmarkLSTMSteps makes steps of an LSTM with I = 1 input: T in one call, the
// x part computed in it, or before it, all at once.
func BenchmarkLSTMSteps(b *testing.B) {
	for _, h := range []int{8, 16, 20, 24, 32, 40, 64, 128, 256} {
		for _, T := range []int{1, 64} {
			benchSteps(b, fmt.Sprintf("H=%d/I=1/T=%d", h, T), stepCase{stepFunc: stepFuncs[0], units: h, inputs: 1, T: T})
		}
		benchSteps(b, fmt.Sprintf("H=%d/I=0/T=64", h), stepCase{stepFunc: stepFuncs[0], units: h, inputs: -1, T: 64})
	}
}

func BenchmarkGRUSteps(b *testing.B) {
	for _, h := range []int{8, 16, 24, 32, 40, 64, 128, 256} {
		benchSteps(b, fmt.Sprintf("H=%d/I=1/T=64", h), stepCase{stepFunc: stepFuncs[2], units: h, inputs: 1, T: 64})
	}
}

func BenchmarkRNNTanhSteps(b *testing.B) {
	for _, h := range []int{8, 16, 24, 32, 40, 64, 128, 256} {
		benchSteps(b, fmt.Sprintf("H=%d/I=1/T=64", h), stepCase{stepFunc: stepFuncs[4], units: h, inputs: 1, T: 64})
	}
}

// benchSteps reports the time of a step.
func benchSteps(b *testing.B, name string, c stepCase) {
	c.proj, c.bias = -1, true
	onPaths(b, name, func(b *testing.B, isa ISA) {
		s := c.newSeq(1)
		scratch := []*Mat{&s.C, &s.GatesH}
		if s.WIH != nil {
			scratch = append(scratch, &s.Gates)
		}
		for _, m := range scratch {
			m.Stride = 0
		}
		for b.Loop() {
			c.run(s)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.T), "ns/step")
	})
}

// BenchmarkActivation calls a function as a program does: BenchmarkPointwise also takes the
// time of what tests call all kernels through.
func BenchmarkActivation(b *testing.B) {
	for _, k := range []struct {
		name string
		f    func(dst, src []float32)
	}{{"Tanh", Tanh}, {"Sigmoid", Sigmoid}, {"Exp", Exp}} {
		for _, n := range []int{8, 16, 32, 256, 4096} {
			onPaths(b, fmt.Sprintf("kernel=%s/n=%d", k.name, n), func(b *testing.B, _ ISA) {
				dst, src := alignedSlice(n), random(newRand(1), n)
				for b.Loop() {
					k.f(dst, src)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
			})
		}
	}
}

// BenchmarkPointwise takes one row of units. Its bytes are those that the kernel
// reads and those that it writes.
func BenchmarkPointwise(b *testing.B) {
	for i := range pointwiseKernels {
		k := &pointwiseKernels[i]
		for _, units := range []int{8, 16, 32, 256, 1024, 4096} {
			onPaths(b, fmt.Sprintf("kernel=%s/units=%d", k.name, units), func(b *testing.B, isa ISA) {
				in := k.random(12, units)
				m := make([]Mat, len(in))
				bytes := 0
				for i, o := range k.operands {
					w := k.width(i, units)
					m[i] = Mat{alignedSlice(w), w}
					bytes += 4 * units * (len(o.in) - strings.Count(o.in, "-") + strings.Count(o.out, "w"))
					for u := range units {
						k.put(m[i], i, 0, u, in, u)
						for g, letter := range o.in {
							if letter == '-' {
								*m[i].at(0, PackedIndex(len(o.in), u, g)) = 0
							}
						}
					}
				}
				againstRead(b, isa, bytes, func() { k.run(m, 1, units) })
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(units), "ns/unit")
			})
		}
	}
}
