package layer_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// An LSTM that hears one frame at a time. Step never allocates.
func ExampleStream_Step() {
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 2, Hidden: 3}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	s := lstm.NewStream(1) // of one sequence
	frame, y := []float32{1, 1}, make([]float32, 3)
	for range 3 {
		s.Step(y, frame)
		fmt.Printf("%.4f\n", y)
	}
	// PyTorch prints the same after torch.manual_seed(0).

	// Output:
	// [-0.2693 -0.1240 0.0744]
	// [-0.3889 -0.1919 0.1183]
	// [-0.4425 -0.2314 0.1386]
}

// A batch of whole sequences. The state carries over to the next call.
func ExampleStream_Forward() {
	const T, B, I, H = 3, 2, 2, 3
	rnn, err := layer.NewRNN(layer.RNNConfig{Input: I, Hidden: H}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	x, y := make([]float32, T*B*I), make([]float32, T*B*H) // [T,B,I] and [T,B,H]
	for i := range x {
		x[i] = 1
	}
	s := rnn.NewStream(B)
	s.Forward(y, x)
	fmt.Printf("%.4f\n", y[len(y)-H:]) // last step of the last sequence
	fmt.Printf("%.4f\n", s.H()[H:])    // h_n of that sequence

	// Output:
	// [-0.3877 -0.7310 0.6806]
	// [-0.3877 -0.7310 0.6806]
}

// An LSTM and a Linear learn, by gradient descent, to tell the first of three
// numbers after they have heard the last one.
func ExampleTape() {
	const T, B, H = 3, 8, 8
	r := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 1, Hidden: H}, r)
	if err != nil {
		log.Fatal(err)
	}
	linear, err := layer.NewLinear(layer.LinearConfig{Input: H, Output: 1}, r)
	if err != nil {
		log.Fatal(err)
	}
	tape, head := lstm.NewTape(T, B), linear.NewTape(B)
	params := slices.Concat(tape.Params(), head.Params())

	x := make([]float32, T*B) // [T,B,1]
	r.Uniform(x, -1, 1)
	dh, dy := make([]float32, T*B*H), make([]float32, B)
	last := func(s []float32) []float32 { return s[(T-1)*B*H:] }
	for step := range 301 {
		y := head.Forward(last(tape.Forward(x)))
		var loss float32
		for b := range y {
			d := y[b] - x[b]
			loss += d * d / B
			dy[b] = 2 * d / B
		}
		if step%100 == 0 {
			fmt.Printf("step %3d: loss %.2f\n", step, loss)
		}
		params.ZeroGrad()
		head.Backward(last(dh), dy)
		tape.Backward(nil, dh) // dh is zero but for the last step
		for _, p := range params {
			kernels.Axpy(p.Data, -0.1, p.Grad)
		}
		params.Pack()
	}

	// Output:
	// step   0: loss 0.69
	// step 100: loss 0.31
	// step 200: loss 0.01
	// step 300: loss 0.00
}
