package layer

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

func orthogonalParam(rows, cols int) Param {
	return Param{Name: "w", Shape: []int{rows, cols}, Data: make([]float32, rows*cols)}
}

// TestOrthogonal: each block has orthonormal columns, or rows, and is the factor
// of what the generator drew that has a positive diagonal.
func TestOrthogonal(t *testing.T) {
	for _, s := range []struct{ gates, rows, cols int }{
		{1, 1, 1}, {1, 1, 5}, {1, 5, 1}, {4, 2, 2}, {3, 17, 17}, {4, 16, 6}, {2, 6, 16}, {1, kerneltest.Pick(128, 128, 20), kerneltest.Pick(128, 128, 20)},
	} {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			p := orthogonalParam(s.gates*s.rows, s.cols)
			require.NoError(t, Orthogonal(p, s.gates, NewRand(5)))
			draws := NewRand(5)
			for g := range s.gates {
				a, q := normal(draws, s.rows*s.cols), p.Data[g*s.rows*s.cols:][:s.rows*s.cols]
				column := func(m []float32, i int) (c []float64) {
					if s.rows < s.cols {
						return kerneltest.Float64s(m[i*s.cols:][:s.cols])
					}
					for j := range s.rows {
						c = append(c, float64(m[j*s.cols+i]))
					}
					return c
				}
				for i := range min(s.rows, s.cols) {
					qi := column(q, i)
					left := column(a, i)
					for j := range i + 1 {
						qj := column(q, j)
						want := 0.0
						if i == j {
							want = 1
						}
						require.InDelta(t, want, dot64(qi, qj), 1e-6)

						// R[j,i] = q_j·a_i; a_i is a sum of q_0 to q_i.
						r := dot64(qj, column(a, i))
						if i == j {
							require.Positive(t, r)
						}
						for k := range left {
							left[k] -= r * qj[k]
						}
					}
					require.InDelta(t, 0, math.Sqrt(dot64(left, left)), 1e-5)
				}
			}
		})
	}
}

// One hash for all architectures and paths.
func TestOrthogonalHash(t *testing.T) {
	p := orthogonalParam(2*33, 33)
	require.NoError(t, Orthogonal(p, 2, NewRand(6)))
	require.Equal(t, uint64(0x6e7f81a98f2ae3), kerneltest.Hash(p.Data))
}

// A reflection of a zero column is none.
func TestOrthonormalizeZero(t *testing.T) {
	a := [][]float64{{0, 0}, {0, 0}}
	orthonormalize(a)
	require.Equal(t, 1.0, a[0][0]*a[0][0])
	require.Equal(t, 1.0, a[1][1]*a[1][1])
	require.Zero(t, dot64(a[0], a[1]))
}

// TestInitPacks: a Stream sees the new weights.
func TestInitPacks(t *testing.T) {
	cfg := LSTMConfig{Input: 2, Hidden: 3}
	l, err := NewLSTM(cfg, NewRand(1))
	require.NoError(t, err)
	fresh, err := NewLSTM(cfg, nil)
	require.NoError(t, err)
	x, y, want := []float32{1, -1, 2, 1}, make([]float32, 6), make([]float32, 6)
	check := func() {
		for i, p := range l.Params() {
			copy(fresh.Params()[i].Data, p.Data)
		}
		fresh.Pack()
		fresh.NewStream(1).Forward(want, x)
		l.NewStream(1).Forward(y, x)
		requireBits(t, want, y, "y")
	}
	check()
	require.NoError(t, Orthogonal(l.Params()[1], 4, NewRand(2)))
	check()
	require.NoError(t, ForgetBias(l, 1.5))
	check()
}

func TestForgetBias(t *testing.T) {
	const H = 3
	l, err := NewLSTM(LSTMConfig{Input: 2, Hidden: H}, NewRand(1))
	require.NoError(t, err)
	want := map[string]float32{"bias_ih_l0": 1.5, "bias_hh_l0": 0}
	before := map[string][]float32{}
	for _, p := range l.Params() {
		before[p.Name] = append([]float32(nil), p.Data...)
	}
	require.NoError(t, ForgetBias(l, 1.5))
	for _, p := range l.Params() {
		w := before[p.Name]
		if v, ok := want[p.Name]; ok {
			copy(w[H:], []float32{v, v, v})
		}
		requireBits(t, w, p.Data, p.Name)
	}

	l, err = NewLSTM(LSTMConfig{Input: 2, Hidden: H, NoBias: true}, NewRand(1))
	require.NoError(t, err)
	require.EqualError(t, ForgetBias(l, 1), "layer: ForgetBias: the LSTM has no biases")
}

func TestOrthogonalErrors(t *testing.T) {
	data := []float32{1, 2, 3, 4}
	r := NewRand(0)
	for want, err := range map[string]error{
		"gates = 0, want at least 1":                                               Orthogonal(orthogonalParam(2, 2), 0, r),
		"b has shape [4], want a matrix":                                           Orthogonal(Param{Name: "b", Shape: []int{4}, Data: data}, 1, r),
		"b has shape [0 3], want a matrix":                                         Orthogonal(Param{Name: "b", Shape: []int{0, 3}}, 1, r),
		"w has 4 rows, want a multiple of gates = 3":                               Orthogonal(orthogonalParam(4, 1), 3, r),
		"w has 4 elements, want those of shape [2 3]":                              Orthogonal(Param{Name: "w", Shape: []int{2, 3}, Data: data}, 1, r),
		fmt.Sprintf("w has 4 elements, want those of shape [%d 8]", math.MaxInt/2): Orthogonal(Param{Name: "w", Shape: []int{math.MaxInt / 2, 8}, Data: data}, 1, r),
		"no Rand": Orthogonal(Param{Name: "w", Shape: []int{2, 2}, Data: data}, 1, nil),
	} {
		require.EqualError(t, err, "layer: Orthogonal: "+want)
	}
	require.Equal(t, []float32{1, 2, 3, 4}, data)
	require.Equal(t, NewRand(0), r)
}

func BenchmarkOrthogonal(b *testing.B) {
	p, r := orthogonalParam(256, 256), NewRand(0)
	for b.Loop() {
		if err := Orthogonal(p, 1, r); err != nil {
			b.Fatal(err)
		}
	}
}
