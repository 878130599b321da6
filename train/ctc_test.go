package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/reference"
	"github.com/simdrnn/simdrnn/kernels"
)

// A ctcCase is a batch.
type ctcCase struct {
	T, B, C, S int
	blank      int
	logp       []float32 // [T,B,C]
	targets    []int     // [B,S], padded with -7
	lengths    []int     // of targets
	steps      []int     // nil: T
}

// newCTCCase draws labels with many repeats if C is small.
func newCTCCase(T, B, C, S, blank int, padded bool) *ctcCase {
	r := kerneltest.NewRand(uint64(T*1000000 + B*10000 + C*100 + S))
	k := &ctcCase{T: T, B: B, C: C, S: S, blank: blank, logp: kerneltest.Random(r, T*B*C, 2)}
	LogSoftmax(k.logp, k.logp, C)
	for range B {
		n := S
		if padded {
			n = r.IntN(S + 1)
			k.steps = append(k.steps, r.IntN(T+1))
		}
		for i := range S {
			y := -7
			if i < n {
				y = (blank + 1 + r.IntN(C-1)) % C
			}
			k.targets = append(k.targets, y)
		}
		k.lengths = append(k.lengths, n)
	}
	return k
}

func (k *ctcCase) labels(b int) []int { return k.targets[b*k.S:][:k.lengths[b]] }

func (k *ctcCase) new(r Reduction, zeroInfinity bool) *CTC {
	return must(NewCTC(CTCConfig{Classes: k.C, Blank: k.blank, ZeroInfinity: zeroInfinity, Reduction: r, MaxT: max(1, k.T), MaxTarget: k.S}))
}

// want returns the loss of each sequence, the loss and the gradient [T,B,C].
func (k *ctcCase) want(r Reduction, zeroInfinity bool, dlosses []float32) (losses []float64, loss float64, dlogp []float64) {
	dlogp = make([]float64, len(k.logp))
	for b := range k.B {
		steps := k.T
		if k.steps != nil {
			steps = k.steps[b]
		}
		var logp []float64
		for t := range steps {
			logp = append(logp, kerneltest.Float64s(k.logp[(t*k.B+b)*k.C:][:k.C])...)
		}
		l, d := reference.CTC(logp, k.C, k.blank, k.labels(b))
		if math.IsInf(l, 1) && zeroInfinity {
			l = 0
			clear(d)
		}
		losses = append(losses, l)
		scale := 1.0
		if r == Mean {
			scale /= float64(k.B * max(1, k.lengths[b]))
		}
		loss += l * scale
		if dlosses != nil {
			scale = float64(dlosses[b])
		}
		for t := range steps {
			for c, v := range d[t*k.C:][:k.C] {
				dlogp[(t*k.B+b)*k.C+c] = v * scale
			}
		}
	}
	return losses, loss, dlogp
}

// requireSame is RequireClose where NaN and infinities are what they are.
func requireSame(t *testing.T, want []float64, got []float32, abs, rel float64, what string) (worst float64) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i, w := range want {
		if w != w || math.IsInf(w, 0) {
			if g := float64(got[i]); g != w && (g == g || w == w) {
				t.Fatalf("%s: element %d is %g, want %g", what, i, g, w)
			}
			continue
		}
		worst = max(worst, kerneltest.RequireClose(t, []float64{w}, got[i:i+1], abs, rel, fmt.Sprintf("%s: element %d", what, i)))
	}
	return worst
}

var ctcShapes = []struct{ T, B, C, S, blank int }{
	{1, 1, 2, 1, 0}, {5, 2, 3, 2, 2}, {6, 7, 4, 3, 1}, {0, 2, 3, 1, 0}, {4, 3, 2, 0, 1}, {3, 2, 2, 3, 0},
	{9, 3, 70, 4, 5}, {30, 2, 29, 12, 28}, {4, 0, 3, 2, 0}, {3, 1, 1, 0, 0},
}

func TestCTC(t *testing.T) {
	var worst, worstGrad float64
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, s := range ctcShapes {
			for _, padded := range []bool{false, true} {
				k := newCTCCase(s.T, s.B, s.C, s.S, s.blank, padded)
				for _, r := range reductions {
					for _, zero := range []bool{false, true} {
						msg := fmt.Sprintf("%+v padded=%v %v zero=%v", s, padded, r, zero)
						var dlosses []float32
						if r == None {
							dlosses = []float32{2, -1, .5, 0, 3, 1, 1}[:s.B]
						}
						losses, loss, dwant := k.want(r, zero, dlosses)
						logp := slices.Clone(k.logp)
						for i := range logp { // NaN where nobody may look
							if row := i / s.C; k.steps != nil && row/s.B >= k.steps[row%s.B] {
								logp[i] = nan
							}
						}
						ctc := k.new(r, zero)
						d, each := fill(len(logp), nan), fill(s.B, nan)
						seq := Seq{Lengths: k.steps, Losses: each, DLosses: dlosses}
						got, n, err := ctc.ForwardSeq(d, logp, k.targets, k.lengths, seq)
						require.NoError(t, err)
						require.Equal(t, s.B, n)
						requireSame(t, losses, each, 1e-6, 3e-7, msg+": losses")
						worst = max(worst, requireSame(t, []float64{loss}, []float32{got}, 1e-6, 3e-7, msg+": loss")/max(1, math.Abs(loss)))
						worstGrad = max(worstGrad, requireSame(t, dwant, d, 2e-6, 0, msg+": dlogp"))

						// The same labels one sequence after the other, the other order of rows, loss only, in place.
						var concat []int
						for b := range s.B {
							concat = append(concat, k.labels(b)...)
						}
						first := kerneltest.Hash(d)
						for range 2 {
							again, _, err := ctc.ForwardSeq(d, logp, concat, k.lengths, seq)
							require.NoError(t, err)
							require.Equal(t, math.Float32bits(got), math.Float32bits(again), msg)
							require.Equal(t, first, kerneltest.Hash(d), msg)
						}
						again, _, err := ctc.ForwardSeq(nil, logp, k.targets, k.lengths, seq)
						require.NoError(t, err)
						require.Equal(t, math.Float32bits(got), math.Float32bits(again), msg)
						seq.BatchFirst = true
						_, _, err = ctc.ForwardSeq(logp, swapped(logp, s.T, s.B, s.C), k.targets, k.lengths, seq)
						require.NoError(t, err)
						require.Equal(t, first, kerneltest.Hash(swapped(logp, s.B, s.T, s.C)), msg)
					}
				}
			}
		}
	})
	t.Logf("largest errors: loss %.1e relative, gradient %.1e", worst, worstGrad)
}

// swapped returns x [T,B,C] as [B,T,C].
func swapped(x []float32, T, B, C int) []float32 {
	y := make([]float32, len(x))
	for t := range T {
		for b := range B {
			copy(y[(b*T+t)*C:], x[(t*B+b)*C:][:C])
		}
	}
	return y
}

// Logarithms in float64 keep the gradient of long sequences.
func TestCTCLong(t *testing.T) {
	T, S := kerneltest.Pick(1000, 300, 60), kerneltest.Pick(100, 30, 10)
	k := newCTCCase(T, 1, 40, S, 0, false)
	losses, _, dwant := k.want(Sum, false, nil)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		d := make([]float32, len(k.logp))
		loss, _, err := k.new(Sum, false).Forward(d, k.logp, k.targets, k.lengths)
		require.NoError(t, err)
		worst := kerneltest.RequireClose(t, losses, []float32{loss}, 0, 3e-7, "loss")
		worstGrad := kerneltest.RequireClose(t, dwant, d, 2e-5, 0, "dlogp")
		t.Logf("loss %g with an error of %.1e, largest error of the gradient %.1e", losses[0], worst, worstGrad)
	})
}

// -Inf is a legal logarithm; NaN shows if it matters.
func TestCTCExtremes(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		ctc := must(NewCTC(CTCConfig{Classes: 3, MaxT: 3, MaxTarget: 2, Reduction: Sum}))
		half := float32(math.Log(.5))
		d := make([]float32, 6)
		// Blank and 1 are even at each of two steps, class 2 is impossible.
		loss, _, err := ctc.Forward(d, []float32{half, half, -inf, half, half, -inf}, []int{1}, []int{1})
		require.NoError(t, err)
		require.InDelta(t, -math.Log(.75), loss, 1e-7)
		kerneltest.RequireClose(t, []float64{.5 - 1./3, .5 - 2./3, 0, .5 - 1./3, .5 - 2./3, 0}, d, 3e-7, 0, "dlogp")

		loss, _, err = ctc.Forward(d, []float32{half, half, -inf, half, half, -inf}, []int{2}, []int{1})
		require.NoError(t, err)
		require.Equal(t, inf, loss)
		for _, v := range d {
			require.True(t, v != v)
		}

		loss, _, err = ctc.Forward(d, []float32{half, half, nan, half, half, -inf}, []int{1}, []int{1})
		require.NoError(t, err)
		require.InDelta(t, -math.Log(.75), loss, 1e-7)
		require.True(t, d[2] != d[2])
		kerneltest.RequireClose(t, []float64{.5 - 1./3, .5 - 2./3, 0}, d[3:], 3e-7, 0, "dlogp")

		for i := range 4 {
			logp := []float32{half, half, -inf, half, half, -inf}
			logp[i/2*3+i%2] = nan
			loss, _, err = ctc.Forward(d, logp, []int{1}, []int{1})
			require.NoError(t, err)
			require.True(t, loss != loss)
		}
		// Nothing of it is left.
		loss, _, err = ctc.Forward(d, []float32{0, -inf, -inf, 0, -inf, -inf}, nil, []int{0})
		require.NoError(t, err)
		require.Equal(t, uint32(0), math.Float32bits(loss))
		require.Equal(t, fill(6, 0), d)
	})
}

func TestCTCBits(t *testing.T) {
	kerneltest.RequireHash(t, 0xc645df5d5070526, func() (bits []float32) {
		for _, s := range ctcShapes {
			k := newCTCCase(s.T, s.B, s.C, s.S, s.blank, true)
			d := make([]float32, len(k.logp))
			loss, _, err := k.new(Mean, true).ForwardSeq(d, k.logp, k.targets, k.lengths, Seq{Lengths: k.steps})
			require.NoError(t, err)
			bits = append(append(bits, loss), d...)
		}
		return bits
	})
}

func TestCTCErrors(t *testing.T) {
	const C, T, B = 3, 2, 2
	ctc := must(NewCTC(CTCConfig{Classes: C, Blank: 1, MaxT: T, MaxTarget: 2}))
	logp, d := make([]float32, T*B*C), fill(T*B*C, 7)
	for want, f := range map[string]func() error{
		"train: CTC.Forward: targets[2] = 1, want 0 to 2 and not the blank, 1": func() error {
			_, _, err := ctc.Forward(d, logp, []int{0, 2, 1}, []int{1, 2})
			return err
		},
		"train: CTC.Forward: targets[2] = 3, want 0 to 2 and not the blank, 1": func() error {
			_, _, err := ctc.Forward(d, logp, []int{0, 9, 3, 2}, []int{1, 2})
			return err
		},
		"train: CTC.Forward: targets[0] = -1, want 0 to 2 and not the blank, 1": func() error {
			_, _, err := ctc.Forward(d, logp, []int{-1, 0}, []int{1, 1})
			return err
		},
		"train: CTC.Forward: targetLengths[1] = 3, want 0 to MaxTarget = 2": func() error {
			_, _, err := ctc.Forward(d, logp, []int{0, 0, 0, 0}, []int{1, 3})
			return err
		},
		"train: CTC.ForwardSeq: targetLengths[0] = -1, want 0 to MaxTarget = 2": func() error {
			_, _, err := ctc.ForwardSeq(d, logp, []int{0, 0, 0, 0}, []int{-1, 1}, Seq{})
			return err
		},
	} {
		require.EqualError(t, f(), want)
	}
	for want, f := range map[string]func(){
		"train: CTC.Forward: len(logp) = 11, want T*B*C, a multiple of B*C = 6": func() { ctc.Forward(d[:11], logp[:11], nil, []int{0, 0}) },
		"train: CTC.Forward: len(logp) = 9, want T*B*C, a multiple of B*C = 6":  func() { ctc.Forward(d[:9], logp[:9], nil, []int{0, 0}) },
		"train: CTC.Forward: len(logp) = 12, want T*B*C, a multiple of B*C = 0": func() { ctc.Forward(d, logp, nil, nil) },
		"train: CTC.Forward: len(dlogp) = 11, want len(logp) = 12":              func() { ctc.Forward(d[:11], logp, nil, []int{0, 0}) },
		"train: CTC.Forward: T = 4, want at most MaxT = 2":                      func() { ctc.Forward(d, logp, nil, []int{0}) },
		"train: CTC.Forward: len(targets) = 3, want the sum of targetLengths = 2 or B*S with S at least 1": func() {
			ctc.Forward(d, logp, []int{0, 0, 0}, []int{1, 1})
		},
		"train: CTC.Forward: len(targets) = 2, want the sum of targetLengths = 3 or B*S with S at least 2": func() {
			ctc.Forward(d, logp, []int{0, 0}, []int{1, 2})
		},
		"train: CTC.ForwardSeq: len(Lengths) = 1, want B = 2": func() { ctc.ForwardSeq(d, logp, nil, []int{0, 0}, Seq{Lengths: []int{2}}) },
		"train: CTC.ForwardSeq: Lengths[1] = 3, want 0 to T = 2": func() {
			ctc.ForwardSeq(d, logp, nil, []int{0, 0}, Seq{Lengths: []int{2, 3}})
		},
		"train: CTC.ForwardSeq: len(Losses) = 1, want B = 2": func() { ctc.ForwardSeq(d, logp, nil, []int{0, 0}, Seq{Losses: d[:1]}) },
		"train: CTC.ForwardSeq: len(DLosses) = 2, want nil with the reduction mean": func() {
			ctc.ForwardSeq(d, logp, nil, []int{0, 0}, Seq{DLosses: logp[:2]})
		},
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.Equal(t, fill(T*B*C, 7), d, "written before an error")

	for want, cfg := range map[string]CTCConfig{
		"train: NewCTC: Classes = 0, want at least 1":                                              {MaxT: 1},
		"train: NewCTC: Blank = 3, want 0 to Classes-1 = 2":                                        {Classes: 3, Blank: 3, MaxT: 1},
		"train: NewCTC: Blank = -1, want 0 to Classes-1 = 2":                                       {Classes: 3, Blank: -1, MaxT: 1},
		"train: NewCTC: MaxT = 0, want at least 1":                                                 {Classes: 3},
		"train: NewCTC: MaxTarget = -1, want at least 0":                                           {Classes: 3, MaxT: 1, MaxTarget: -1},
		"train: NewCTC: Reduction = 9, want Mean, Sum or None":                                     {Classes: 3, MaxT: 1, Reduction: 9},
		fmt.Sprintf("train: NewCTC: MaxTarget = %d, want a size that fits in memory", math.MaxInt): {Classes: 3, MaxT: 1, MaxTarget: math.MaxInt},
		fmt.Sprintf("train: NewCTC: MaxT = %d, want a size that fits in memory", math.MaxInt/4):    {Classes: 3, MaxT: math.MaxInt / 4, MaxTarget: 100},
	} {
		_, err := NewCTC(cfg)
		require.EqualError(t, err, want)
	}
}

func TestCTCAllocs(t *testing.T) {
	k := newCTCCase(9, 3, 70, 4, 5, true)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		ctc := k.new(None, false)
		d, losses := make([]float32, len(k.logp)), make([]float32, k.B)
		seq := Seq{Lengths: k.steps, Losses: losses, DLosses: fill(k.B, 1)}
		require.Zero(t, testing.AllocsPerRun(10, func() {
			ctc.ForwardSeq(d, k.logp, k.targets, k.lengths, seq)
			ctc.Forward(nil, k.logp, k.targets, k.lengths)
		}))
	})
}

// FuzzCTC compares shapes and labels with the reference.
func FuzzCTC(f *testing.F) {
	f.Add(uint8(5), uint8(2), uint8(3), uint8(2), uint8(1), true)
	f.Add(uint8(0), uint8(1), uint8(1), uint8(0), uint8(0), false)
	f.Add(uint8(12), uint8(3), uint8(20), uint8(6), uint8(4), true)
	f.Fuzz(func(t *testing.T, T, B, C, S, blank uint8, padded bool) {
		steps, classes, labels := int(T%16), 1+int(C%32), int(S%8)
		if classes == 1 {
			labels = 0
		}
		k := newCTCCase(steps, int(B%4), classes, labels, int(blank)%classes, padded)
		_, loss, dwant := k.want(Mean, false, nil)
		d := fill(len(k.logp), nan)
		got, _, err := k.new(Mean, false).ForwardSeq(d, k.logp, k.targets, k.lengths, Seq{Lengths: k.steps})
		require.NoError(t, err)
		requireSame(t, []float64{loss}, []float32{got}, 1e-6, 5e-7, "loss")
		requireSame(t, dwant, d, 3e-6, 0, "dlogp")
	})
}

func BenchmarkCTC(b *testing.B) {
	for _, s := range []struct{ T, B, C, S int }{{100, 1, 30, 20}, {500, 1, 1000, 50}} {
		b.Run(fmt.Sprintf("T=%d/B=%d/C=%d/S=%d", s.T, s.B, s.C, s.S), func(b *testing.B) {
			k := newCTCCase(s.T, s.B, s.C, s.S, 0, false)
			d := make([]float32, len(k.logp))
			kerneltest.Each(b, func(b *testing.B, _ kernels.ISA) {
				ctc := k.new(Mean, false)
				for b.Loop() {
					ctc.Forward(d, k.logp, k.targets, k.lengths)
				}
			})
		})
	}
}
