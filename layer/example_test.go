package layer_test

import (
	"fmt"
	"log"
	"slices"
	"sync"

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

// An audio effect: a small network that makes one sample of one sample.
func ExampleStream_StepLinear() {
	r := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 1, Hidden: 8}, r)
	if err != nil {
		log.Fatal(err)
	}
	dense, err := layer.NewLinear(layer.LinearConfig{Input: 8, Output: 1}, r)
	if err != nil {
		log.Fatal(err)
	}
	s := lstm.NewStream(1)
	samples := []float32{1, 0.5, 0, -0.5}
	for i := range samples {
		in, out := samples[i], samples[i:i+1]
		s.StepLinear(out, []float32{in}, dense) // dense.Forward of what Step gives
	}
	fmt.Printf("%.4f\n", samples)

	// PyTorch prints the same after torch.manual_seed(0).

	// Output:
	// [-0.2046 -0.1975 -0.2055 -0.2209]
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

// Two threads for one caller, with the bits of one thread.
func ExampleStream_SetThreads() {
	const T, B, I, H = 20, 32, 64, 128
	r := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: I, Hidden: H}, r)
	if err != nil {
		log.Fatal(err)
	}
	x := make([]float32, T*B*I)
	r.Normal(x, 0, 1)
	one, two := make([]float32, T*B*H), make([]float32, T*B*H)
	lstm.NewStream(B).Forward(one, x)
	s := lstm.NewStream(B)
	s.SetThreads(2)
	s.Forward(two, x)
	fmt.Println(slices.Equal(one, two))

	// Output: true
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

// Truncated back-propagation through time: a long sequence in pieces, each of which
// begins with the state that the one before has left, and passes no gradient to it.
func ExampleTape_Carry() {
	const T, B, I, H = 2, 1, 2, 3
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: I, Hidden: H}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	tape := lstm.NewTape(T, B)
	dy := []float32{1, 1, 1, 1, 1, 1} // of the sum of all outputs
	for _, x := range [][]float32{{1, 1, 1, 1}, {1, 0, 0, 0}} {
		y := tape.Forward(x)
		tape.Backward(nil, dy) // adds to the gradients
		tape.Carry()
		fmt.Printf("%.4f\n", y)
	}

	s := lstm.NewStream(B) // in one piece
	y := make([]float32, 2*T*B*H)
	s.Forward(y, []float32{1, 1, 1, 1, 1, 0, 0, 0})
	fmt.Printf("%.4f\n", y)

	// Output:
	// [-0.2693 -0.1240 0.0744 -0.3889 -0.1919 0.1183]
	// [-0.4203 -0.2070 0.0578 -0.3313 -0.1683 0.0121]
	// [-0.2693 -0.1240 0.0744 -0.3889 -0.1919 0.1183 -0.4203 -0.2070 0.0578 -0.3313 -0.1683 0.0121]
}

// A session that is put away, and goes on elsewhere with the same bits.
func ExampleStream_MarshalBinary() {
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 2, Hidden: 3}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	frame, y := []float32{1, 1}, make([]float32, 3)
	s := lstm.NewStream(1)
	s.Step(y, frame)
	state, _ := s.MarshalBinary() // the error is always nil

	other := lstm.NewStream(1) // of the same weights, perhaps in another process
	if err := other.UnmarshalBinary(state); err != nil {
		log.Fatal(err)
	}
	other.Step(y, frame)
	fmt.Printf("%.4f\n", y)

	state[40] ^= 1
	fmt.Println("altered bytes are an error:", other.UnmarshalBinary(state) != nil)

	// Output:
	// [-0.3889 -0.1919 0.1183]
	// altered bytes are an error: true
}

// Sequences of different lengths in one batch: padding is never read.
func ExampleStream_ForwardSeq() {
	const T, B, I, H = 4, 2, 1, 2
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: I, Hidden: H}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	x := []float32{1, 5, 2, 6, 0, 7, 0, 8} // [T,B,I]: 1 2 and 5 6 7 8
	y, last := make([]float32, T*B*H), make([]float32, B*H)
	s := lstm.NewStream(B)
	s.ForwardSeq(y, x, layer.Seq{Lengths: []int{2, 4}, Last: last})
	fmt.Printf("y of the shorter: %.3f %.3f %.3f %.3f\n", y[0:2], y[4:6], y[8:10], y[12:14])
	fmt.Printf("last outputs: %.3f\n", last)

	// Output:
	// y of the shorter: [-0.144 0.233] [-0.201 0.375] [0.000 0.000] [0.000 0.000]
	// last outputs: [-0.201 0.375 -0.209 0.712]
}

// Two layers that read in both directions. The output has the forward half and
// the reverse half side by side.
func ExampleStream_bidirectional() {
	const T, B, I, H = 3, 1, 2, 3
	rnn, err := layer.NewRNN(layer.RNNConfig{Input: I, Hidden: H, Layers: 2, Bidirectional: true}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	x := []float32{1, 1, 1, 1, 1, 1}
	y := make([]float32, T*B*2*H)
	s := rnn.NewStream(B)
	s.Forward(y, x)
	fmt.Printf("forward half of the last step:  %.4f\n", y[(T-1)*2*H:][:H])
	fmt.Printf("h_n of the forward direction:   %.4f\n", s.H()[2*H:][:H])
	fmt.Printf("reverse half of the first step: %.4f\n", y[H:][:H])
	fmt.Printf("h_n of the reverse direction:   %.4f\n", s.H()[3*H:])

	// Output:
	// forward half of the last step:  [0.8967 0.8001 0.1263]
	// h_n of the forward direction:   [0.8967 0.8001 0.1263]
	// reverse half of the first step: [-0.3058 -0.8086 -0.9190]
	// h_n of the reverse direction:   [-0.3058 -0.8086 -0.9190]
}

// A server steps the sequences of its callers as one batch.
func ExampleGroup() {
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 1, Hidden: 2}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	g := lstm.NewGroup(64)
	alice, _ := g.Join(nil) // from zero
	bob, _ := g.Join(lstm.NewStream(1))

	g.X(alice)[0] = 1
	g.X(bob)[0] = 2
	g.Step()
	fmt.Printf("alice %.3f, bob %.3f\n", g.Y(alice), g.Y(bob))

	g.X(bob)[0] = 2 // alice pauses
	g.Step()
	fmt.Printf("bob %.3f\n", g.Y(bob))

	s := lstm.NewStream(1)
	g.Leave(bob, s) // and goes on alone
	y := make([]float32, 2)
	s.Step(y, []float32{2})
	fmt.Printf("bob %.3f\n", y)

	// Output:
	// alice [-0.144 0.233], bob [-0.154 0.351]
	// bob [-0.209 0.376]
	// bob [-0.221 0.385]
}

// A loop over time of one's own. Each Backward goes one step back.
func ExampleLSTMCell() {
	const T, B, I, H = 3, 1, 2, 3
	cell, err := layer.NewLSTMCell(layer.CellConfig{Input: I, Hidden: H}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	tape := cell.NewTape(T, B)
	h, c := make([]float32, B*H), make([]float32, B*H)
	for range T {
		tape.Forward(h, c, []float32{1, 1}, h, c)
	}
	fmt.Printf("%.4f\n", h)

	dh, dhPrev, dc := []float32{1, 1, 1}, make([]float32, B*H), make([]float32, B*H)
	for range T {
		clear(dhPrev) // no other use of that h
		tape.Backward(nil, dhPrev, dc, dh, dc)
		dh, dhPrev = dhPrev, dh
	}
	fmt.Printf("%.4f\n", dh)

	// Output:
	// [-0.4425 -0.2314 0.1386]
	// [-0.0232 0.0439 0.0372]
}

// A server whose sessions, of which most sleep, share a few Streams: a session keeps
// but its state.
func Example_server() {
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 2, Hidden: 3}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	streams := sync.Pool{New: func() any { return lstm.NewStream(1) }}

	type session struct{ h, c []float32 }
	newSession := func() *session { return &session{make([]float32, 3), make([]float32, 3)} }
	handle := func(s *session, y, x []float32) {
		stream := streams.Get().(*layer.Stream)
		defer streams.Put(stream)
		copy(stream.H(), s.h)
		copy(stream.C(), s.c)
		stream.Step(y, x)
		copy(s.h, stream.H())
		copy(s.c, stream.C())
	}

	// Requests of two sessions, in any order and from any goroutine.
	a, b := newSession(), newSession()
	y := make([]float32, 3)
	for range 2 {
		handle(a, y, []float32{1, -1})
		handle(b, y, []float32{0, 1})
	}
	fmt.Printf("%.4f\n", y)

	// The second session alone, in a Stream of its own.
	stream := lstm.NewStream(1)
	for range 2 {
		stream.Step(y, []float32{0, 1})
	}
	fmt.Printf("%.4f\n", y)

	// Output:
	// [-0.2320 -0.1081 0.0660]
	// [-0.2320 -0.1081 0.0660]
}
