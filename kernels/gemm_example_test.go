package kernels_test

import (
	"fmt"

	"github.com/simdrnn/simdrnn/kernels"
)

// The products of plain row-major matrices: one operand is packed, once for as
// many products as there are, and the other one taken as it is.

// C = A·Bᵀ, as for a weight B of PyTorch: Pack.
func ExampleGemm() {
	a := kernels.Mat{Data: []float32{1, 2, 3, 4, 5, 6}, Stride: 3} // [2][3]
	b := []float32{1, 0, 1, 0, 1, 0}                               // [2][3]
	c := kernels.Mat{Data: make([]float32, 2*2), Stride: 2}

	w := kernels.NewPanels(1, 2, 3)
	w.Pack(b)
	kernels.Gemm(c, a, 2, w, nil)
	fmt.Println(c.Data)
	// Output: [4 2 10 5]
}

// C = A·B: SetRows packs a matrix whose rows are the inputs.
func ExamplePanels_SetRows() {
	a := kernels.Mat{Data: []float32{1, 2, 3, 4, 5, 6}, Stride: 3} // [2][3]
	b := kernels.Mat{Data: []float32{1, 0, 0, 1, 1, 0}, Stride: 2} // [3][2]
	c := kernels.Mat{Data: make([]float32, 2*2), Stride: 2}

	w := kernels.NewPanels(1, 2, 3)
	w.SetRows(b)
	kernels.Gemm(c, a, 2, w, nil)
	kernels.GemmAdd(c, a, 2, w) // and C = C + A·B
	fmt.Println(c.Data)
	// Output: [8 4 20 10]
}

// C = Aᵀ·B, as for the gradient of a weight.
func ExampleGemmTN() {
	a := kernels.Mat{Data: []float32{1, 2, 3, 4, 5, 6}, Stride: 2} // [3][2]
	b := kernels.Mat{Data: []float32{1, 0, 0, 1, 1, 0}, Stride: 2} // [3][2]
	c := kernels.Mat{Data: make([]float32, 2*2), Stride: 2}

	w := kernels.NewPanels(1, 2, 3)
	w.SetRows(b)
	kernels.GemmTN(c, a, 1, 2, w, false)
	fmt.Println(c.Data)
	// Output: [6 3 8 4]
}

// Weights beyond the cache, gone through back and forth, are there in part when
// the next step begins.
func ExamplePanels_Reversed() {
	w := kernels.NewPanels(1, 2, 2)
	w.Pack([]float32{0, 1, 1, 0})
	order := [2]*kernels.Panels{w, w.Reversed()}
	h, next := []float32{1, 2}, make([]float32, 2)
	for t := range 3 {
		kernels.Gemv(next, h, order[t%2], nil)
		h, next = next, h
	}
	fmt.Println(h)
	// Output: [2 1]
}
