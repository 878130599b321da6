package kernels_test

import (
	"github.com/simdrnn/simdrnn/bench/limits"
	"github.com/simdrnn/simdrnn/kernels"
)

// Package limits imports kernels, so that only an external test may import both.
func init() {
	kernels.FMAPeak, kernels.TilePeak, kernels.ReadBandwidth = limits.FMAPeak, limits.TilePeak, limits.ReadBandwidth
}
