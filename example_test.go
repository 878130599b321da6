package simdrnn_test

import (
	"fmt"
	"log"

	"github.com/simdrnn/simdrnn/layer"
)

// README.md shows the body of this example; TestReadme compares them.
func Example() {
	// nn.LSTM(3, 4) as PyTorch initialises it after torch.manual_seed(0).
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 3, Hidden: 4}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}

	// A stream is the state of one sequence. Any number of them share the weights.
	s := lstm.NewStream(1)
	x, y := []float32{1, 0, -1}, make([]float32, 4)
	for range 3 {
		s.Step(y, x) // allocates nothing
		fmt.Printf("%.4f\n", y)
	}

	// Output:
	// [-0.0557 -0.0814 -0.0053 0.0929]
	// [-0.0818 -0.1131 0.0062 0.1335]
	// [-0.0927 -0.1255 0.0181 0.1503]
}
