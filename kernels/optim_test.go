package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSGDFirstStep: the numbers of the first step make buf = g.
func TestSGDFirstStep(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		g := random(newRand(30), 37)
		for _, nesterov := range []float64{0, 0.5} {
			p, buf := make([]float32, 37), make([]float32, 37)
			SGD(p, g, buf, SGDScalars{LR: 0.25, OneMinusDampening: 1, NesterovMomentum: nesterov, Sign: 1})
			requireSame(t, g, buf, "buf")
			for i, v := range g {
				require.InDelta(t, -0.25*(1+nesterov)*float64(v), p[i], 1e-7)
			}
		}
	})
}

// TestRMSpropVariance: a variance below 0 counts as 0.
func TestRMSpropVariance(t *testing.T) {
	forEachISA(t, func(t *testing.T, _ ISA) {
		p, g, v, m := filled(37, 1), filled(37, 0.5), filled(37, 0.25), filled(37, 0.625)
		RMSprop(p, g, v, m, nil, RMSpropScalars{LR: 1, Alpha: 1, Eps: 0.5, Sign: 1})
		requireSame(t, filled(37, 0), p, "p = 1 - 0.5/0.5")
	})
}
