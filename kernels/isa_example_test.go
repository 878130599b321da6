package kernels_test

import (
	"fmt"
	"log"

	"github.com/simdrnn/simdrnn/kernels"
)

// Every path that this machine has, in turn.
func ExampleUse() {
	before, err := kernels.Active() // an error if SIMDRNN_ISA names none
	if err != nil {
		log.Fatal(err)
	}
	x, y := []float32{-1, 0, 1}, make([]float32, 3)
	for _, isa := range append(kernels.Available(), before) {
		if err := kernels.Use(isa); err != nil {
			log.Fatal(err)
		}
		kernels.Tanh(y, x)
	}
	isa, _ := kernels.Active()
	fmt.Printf("%.4f %v\n", y, isa == before)

	// Output: [-0.7616 0.0000 0.7616] true
}
