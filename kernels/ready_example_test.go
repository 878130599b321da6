package kernels_test

import (
	"fmt"

	"github.com/simdrnn/simdrnn/kernels"
)

// An LSTM of two units takes one sample after the other.
func ExampleNewLSTMStep() {
	wih, whh := kernels.NewPanels(4, 2, 1), kernels.NewPanels(4, 2, 2)
	wih.Pack([]float32{1, 1, 0, 0, 1, -1, 0, 0}) // [4*2][1], gates in the order i,f,g,o
	bias := make([]float32, whh.Width())
	h, c := make([]float32, 2), make([]float32, 2)
	step := kernels.NewLSTMStep(kernels.Seq{
		T: 1,
		H: kernels.Mat{Data: h, Stride: 2}, H0: h, // in place
		C: kernels.Mat{Data: c, Stride: 2}, C0: c,
		Gates: kernels.Mat{Data: make([]float32, whh.Width()), Stride: whh.Width()},
		WIH:   wih, BIH: bias, WHH: whh,
	})
	for _, sample := range []float32{1, 0.5, 0} {
		step.Run([]float32{sample})
		fmt.Printf("%.3f\n", h)
	}
	// Output:
	// [0.253 -0.253]
	// [0.256 -0.256]
	// [0.138 -0.138]
}
