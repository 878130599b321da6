package kernels

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/fpstate"
)

// fpStates are values of the control register by architecture, without the
// flags that any operation may raise.
var fpStates = map[string]struct {
	mask   uint32
	states map[string]uint32 // bits that differ from what a thread starts with
}{
	"amd64": {0xffc0, map[string]uint32{"default": 0, "ftz": 1 << 15, "daz": 1 << 6, "ftz and daz": 1<<15 | 1<<6,
		"down": 1 << 13, "up": 2 << 13, "to zero": 3 << 13, "all": 3<<13 | 1<<15 | 1<<6}},
	"arm64": {0xffffffff, map[string]uint32{"default": 0, "fz": 1 << 24, "default nan": 1 << 25,
		"up": 1 << 22, "down": 2 << 22, "to zero": 3 << 22, "all": 3<<22 | 1<<24 | 1<<25}},
}

// TestFPState reads the control register itself, where requireFPState, which
// other tests call, sees what it does to numbers: each kernel leaves it as the
// caller had it, whatever that was.
func TestFPState(t *testing.T) {
	if !fpstate.Supported {
		t.Skip("NOT COVERED: no assembly here")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	type call struct {
		name string
		f    func()
	}
	var calls []call
	for i := range pointwiseKernels {
		k := &pointwiseKernels[i]
		for _, units := range []int{16, 37} {
			const n = 2
			m := make([]Mat, len(k.operands))
			for i := range m {
				w := k.width(i, units)
				m[i] = Mat{filled(n*w, 0.25), w}
			}
			calls = append(calls, call{fmt.Sprintf("%s units=%d", k.name, units), func() { k.run(m, n, units) }})
		}
	}
	for _, form := range forms() {
		for rows := 1; rows <= 7; rows++ {
			p := newProduct(1, form.gates, 37, 130, rows, form.trans)
			a, c := p.operands(t, at(0), rows, 0)
			name := fmt.Sprintf("gates=%d rows=%d", p.gates, rows)
			if p.trans {
				calls = append(calls, call{"GemmTN " + name, func() { GemmTN(c.Mat, a.Mat, 1, rows, p.w, true) }})
				continue
			}
			calls = append(calls, call{"Gemm " + name, func() { Gemm(c.Mat, a.Mat, rows, p.w, p.bias) }},
				call{"GemmAdd " + name, func() { GemmAdd(c.Mat, a.Mat, rows, p.w) }})
		}
	}
	for _, f := range stepFuncs {
		for _, units := range []int{5, 37} {
			s := stepCase{stepFunc: f, units: units, inputs: -1, proj: -1, T: 2, bias: true}.newSeq(1)
			calls = append(calls, call{fmt.Sprintf("%s units=%d", f.name, units), func() { f.run(s) }})
		}
	}
	sum, rows := make([]float32, 37), Mat{make([]float32, 3*37), 37}
	calls = append(calls, call{"AddRows", func() { AddRows(sum, rows, 3) }},
		call{"AddRowProducts", func() { AddRowProducts(sum, rows, rows, 3) }},
		call{"LayerNormRows", func() { LayerNormRows(rows, rows, Mat{sum, 1}, rows, sum, rows, 1, 3, 37) }},
		call{"LayerNormRowsBackward", func() { LayerNormRowsBackward(rows, rows, rows, rows, sum, 3, 37) }})

	known := fpStates[runtime.GOARCH]
	initial := fpstate.Get()
	defer fpstate.Set(initial)
	forEachISA(t, func(t *testing.T, _ ISA) {
		runtime.LockOSThread() // a subtest has a goroutine of its own
		defer runtime.UnlockOSThread()
		for name, bits := range known.states {
			want := (initial ^ bits) & known.mask
			for _, c := range calls {
				fpstate.Set(want)
				set := fpstate.Get() & known.mask
				c.f()
				got := fpstate.Get() & known.mask
				fpstate.Set(initial)
				if set != want {
					t.Fatalf("this machine has no state %#x (%s)", want, name)
				}
				if got != want {
					t.Fatalf("%s: state %#x, want %#x (%s)", c.name, got, want, name)
				}
			}
		}
	})
	require.Equal(t, initial&known.mask, fpstate.Get()&known.mask)
}

// TestFPStateBits has the same results whatever the caller rounds to: kernels set their
// own state, they do not change the caller's.
func TestFPStateBits(t *testing.T) {
	if !fpstate.Supported {
		t.Skip("NOT COVERED: no assembly here")
	}
	x := filled(3*panelColumns, 0.25)
	w := NewPanels(1, len(x), 1)
	w.Pack(x)
	known := fpStates[runtime.GOARCH]
	initial := fpstate.Get()
	forEachISA(t, func(t *testing.T, isa ISA) {
		if isa == Generic {
			t.Skip("NOT COVERED: Go code rounds as its caller does")
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		results := func(state uint32) (tanh, product []float32) {
			tanh, product = make([]float32, len(x)), make([]float32, len(x))
			fpstate.Set(state)
			Tanh(tanh, x)
			Gemm(rowMat(product), rowMat([]float32{1.0 / 3}), 1, w, x)
			fpstate.Set(initial)
			return tanh, product
		}
		tanh, product := results(initial)
		for name, bits := range known.states {
			gotTanh, gotProduct := results((initial ^ bits) & known.mask)
			requireSame(t, tanh, gotTanh, "Tanh, %s", name)
			requireSame(t, product, gotProduct, "Gemm, %s", name)
		}
	})
}
