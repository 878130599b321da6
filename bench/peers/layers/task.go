package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/layer"
)

// A contender is a library that computes rows.
type contender interface {
	// prepare makes what t needs and returns the results of one call: y, and for
	// training the gradients of the parameters in order. An error is of type
	// unsupported if the library lacks what t asks for.
	prepare(t *task) (results []float32, err error)
	// run returns the time of n calls and that of processors in them, all threads
	// together. If n > 1, a call that is not timed comes first.
	run(n int) (d, busy time.Duration, err error)
	release()
}

// unsupported says what a library does not have.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// A task is a row with its data, the same for all contenders: PyTorch's
// initialisation, and inputs and gradients of N(0,1).
type task struct {
	*row
	params layer.Params
	x, dy  []float32 // [T,B,I], [T,B,D*H]
	dir    string    // for files
}

func newTask(r *row, dir string) (*task, error) {
	random := layer.NewRand(0)
	net, err := newNetwork(r, random)
	if err != nil {
		return nil, err
	}
	t := &task{row: r, params: net.Params(), dir: dir}
	t.x = make([]float32, r.T*r.B*r.I)
	random.Normal(t.x, 0, 1)
	if r.mode.training() {
		t.dy = make([]float32, r.outputs())
		random.Normal(t.dy, 0, 1)
		if r.mode == last {
			clear(t.dy[:(r.T-1)*r.B*r.H*r.directions])
		}
	}
	return t, nil
}

// outputs is the number of elements of y.
func (r *row) outputs() int { return r.T * r.B * r.H * r.directions }

// compare returns how far results are from those of a reference: the largest
// difference in y or, of a gradient, the norm of the difference by the norm.
func (t *task) compare(results, want []float32) (float64, error) {
	if len(results) != len(want) {
		return 0, fmt.Errorf("%d results, want %d", len(results), len(want))
	}
	y := t.outputs()
	worst := 0.
	for i, v := range want[:y] {
		worst = larger(worst, math.Abs(float64(results[i])-float64(v)))
	}
	if t.mode.training() {
		results, want = results[y:], want[y:]
		for _, p := range t.params {
			n := len(p.Data)
			var diff, norm float64
			for i, v := range want[:n] {
				d := float64(results[i]) - float64(v)
				diff += d * d
				norm += float64(v) * float64(v)
			}
			worst = larger(worst, math.Sqrt(diff/norm))
			results, want = results[n:], want[n:]
		}
	}
	return worst, nil
}

// larger is the maximum, to which a NaN counts as infinite.
func larger(a, b float64) float64 {
	if math.IsNaN(b) {
		return math.Inf(1)
	}
	return max(a, b)
}

// writeFloats and readFloats are a file's elements in the machine's byte order.
func writeFloats(name string, all ...[]float32) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, s := range all {
		if err := binary.Write(f, binary.NativeEndian, s); err != nil {
			return err
		}
	}
	return f.Close()
}

func readFloats(name string) ([]float32, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := make([]float32, info.Size()/4)
	if err := binary.Read(f, binary.NativeEndian, s); err != nil && err != io.EOF {
		return nil, err
	}
	return s, nil
}

// called is what contenders in this process have in common.
type called struct{ call func() }

func (c *called) run(n int) (d, busy time.Duration, err error) {
	defer asError(&err)
	runtime.GC() // of what others have left
	if n > 1 {
		c.call()
	}
	before, start := timing.ProcessTime(), time.Now()
	for range n {
		c.call()
	}
	d = time.Since(start)
	return d, timing.ProcessTime() - before, nil
}

func (c *called) release() { c.call = nil }

// allocated returns what n calls allocate, after one that is not counted.
func (c *called) allocated(n int) (a *allocations, err error) {
	defer asError(&err)
	c.call()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		c.call()
	}
	runtime.ReadMemStats(&after)
	// As testing.AllocsPerRun does, whole numbers: the runtime allocates now and then.
	each := func(before, after uint64) float64 { return float64((after - before) / uint64(n)) }
	return &allocations{Count: each(before.Mallocs, after.Mallocs), Bytes: each(before.TotalAlloc, after.TotalAlloc)}, nil
}

// asError makes an error of a panic, which is how some libraries tell of one.
func asError(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = r
	default:
		*err = fmt.Errorf("%v", r)
	}
}
