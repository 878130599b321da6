package train

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// threadsParams returns parameters of some sizes and of a network, and sets their
// gradients.
func threadsParams(t *testing.T) (layer.Params, func()) {
	r := kerneltest.NewRand(1)
	var params layer.Params
	for _, n := range []int{1, 0, 100, shareLen, kerneltest.Pick(2*shareLen+5, 2*shareLen+5, shareLen+5)} {
		params = append(params, param("p", kerneltest.Random(r, n, 1), make([]float32, n)))
	}
	params = append(params, param("untrained", kerneltest.Random(r, 3, 1), nil))
	m, err := layer.NewGRU(layer.GRUConfig{Input: 3, Hidden: 20, Layers: 2}, layer.NewRand(1))
	require.NoError(t, err)
	params = append(params, m.NewTape(1, 1).Params()...)
	return params, func() {
		for _, p := range params {
			copy(p.Grad, kerneltest.Random(r, len(p.Grad), 1))
		}
	}
}

// TestOptimThreads: an optimizer gives the same bits with any number of threads,
// also after its state was loaded.
func TestOptimThreads(t *testing.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		n := 0
		for name, run := range runs(t) {
			if n++; kerneltest.Emulated() && n%8 > 0 {
				continue
			}
			var want [][]float32
			for _, threads := range []int{1, 2, 4} {
				params, grads := threadsParams(t)
				opt := open(t, run.algorithm, params, run.args)
				opt.SetThreads(threads)
				for step := range 3 {
					grads()
					opt.Step()
					if step == 1 {
						state := opt.State()
						opt = open(t, run.algorithm, params, run.args)
						require.NoError(t, opt.LoadState(state))
						opt.SetThreads(threads)
					}
				}
				for i, p := range params {
					if threads == 1 {
						want = append(want, p.Data)
					} else {
						require.Equal(t, want[i], p.Data, "%s, threads=%d, parameter %d", name, threads, i)
					}
				}
				require.Equal(t, 3, opt.State().Groups[0].Params[0].Step)
			}
		}
	})
}

// TestOptimThreadsAllocs: Step does not allocate, and panics for nonsense.
func TestOptimThreadsAllocs(t *testing.T) {
	old := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(old)
	params, grads := threadsParams(t)
	opt, err := NewNAdam(params, DefaultNAdam())
	require.NoError(t, err)
	opt.SetThreads(3)
	grads()
	opt.Step()
	const steps = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range steps {
		opt.Step()
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(steps))
	require.PanicsWithValue(t, "train: NAdam.SetThreads: n = 0, want at least 1", func() { opt.SetThreads(0) })
}
