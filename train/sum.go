package train

import "github.com/simdrnn/simdrnn/kernels"

const (
	piece = 4096 // elements that a sum takes at once
	lanes = 64
)

// laneSum returns the sum of a piece. Element j goes to lane j mod 64 in order
// of j; then lane i takes lane i+32, i+16, i+8, i+4, i+2 and i+1. No element may
// be -0. lane is scratch memory.
func laneSum(lane *[lanes]float32, x []float32) float32 {
	clear(lane[:])
	full := len(x) / lanes
	if full > 0 {
		kernels.AddRows(lane[:], kernels.Mat{Data: x, Stride: lanes}, full)
	}
	for j, v := range x[full*lanes:] {
		lane[j] += v
	}
	for w := lanes / 2; w > 0; w /= 2 {
		if w >= len(x) {
			continue // these lanes are zero
		}
		for i, v := range lane[w : 2*w] {
			lane[i] += v
		}
	}
	return lane[0]
}
