package memory

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestOverlap(t *testing.T) {
	x := make([]float32, 8)
	for _, c := range []struct {
		a, b, c, d int
		want       bool
	}{{0, 4, 4, 8, false}, {0, 5, 4, 8, true}, {0, 8, 3, 4, true}, {0, 8, 0, 8, true}, {0, 8, 4, 4, false}, {2, 2, 2, 2, false}} {
		require.Equal(t, c.want, Overlap(x[c.a:c.b], x[c.c:c.d]))
		require.Equal(t, c.want, Overlap(x[c.c:c.d], x[c.a:c.b]))
		require.Equal(t, c.want && c.a != c.c, Shifted(x[c.a:c.b], x[c.c:c.d]))
	}
	require.False(t, Overlap(x, nil))
	require.False(t, Overlap(x, make([]float32, 8)))
}

// Floats are zeros, as many as asked for and no more, at a large page if they fill two.
func TestFloats(t *testing.T) {
	const least = 2 * large / 4
	for _, n := range []int{0, 1, least - 1, least, least + 1, 3*least + 17} {
		for range 3 { // also in memory that had others in it
			x := Floats(n)
			require.Len(t, x, n)
			if n >= least {
				require.Equal(t, n, cap(x))
				require.Zero(t, uintptr(unsafe.Pointer(&x[0]))%large)
			}
			for i, v := range x {
				if v != 0 {
					t.Fatalf("n = %d: element %d is %g", n, i, v)
				}
				x[i] = 1
			}
		}
	}
}
