package train_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// The usual recipe: AdamW, gradients limited to a norm of 1, and a learning
// rate that warms up and then falls along a cosine.
func ExampleNewSequentialLR() {
	const T, B, I, H, steps = 5, 4, 2, 6, 60
	rand := layer.NewRand(0)
	rnn, err := layer.NewRNN(layer.RNNConfig{Input: I, Hidden: H}, rand)
	if err != nil {
		log.Fatal(err)
	}
	x, target := make([]float32, T*B*I), make([]float32, T*B*H)
	rand.Uniform(x, -1, 1)
	rand.Uniform(target, -.5, .5)

	tape := rnn.NewTape(T, B)
	cfg := train.DefaultAdamW()
	cfg.LR = .02
	opt, err := train.NewAdam(tape.Params(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	warmup, err := train.NewLinearLR(opt, .1, 1, 10)
	if err != nil {
		log.Fatal(err)
	}
	decay, err := train.NewCosineAnnealingLR(opt, steps-10, 0)
	if err != nil {
		log.Fatal(err)
	}
	schedule, err := train.NewSequentialLR(opt, []*train.Schedule{warmup, decay}, []int{10})
	if err != nil {
		log.Fatal(err)
	}

	dy := make([]float32, len(target))
	for step := range steps {
		y := tape.Forward(x)
		loss := float32(0) // half the mean square
		for i, v := range y {
			d := v - target[i]
			loss += float32(d*d) / float32(2*len(y))
			dy[i] = d / float32(len(y))
		}
		opt.ZeroGrad()
		tape.Backward(nil, dy)
		norm, err := train.ClipGradNorm(opt.Params(), 1)
		if err != nil {
			log.Fatal(err)
		}
		if step%20 == 0 {
			fmt.Printf("step %2d: loss %.3f, norm %.2f, learning rate %.4f\n", step, loss, norm, opt.LR())
		}
		opt.Step()
		schedule.Step()
	}
	fmt.Printf("learning rate %.4f\n", opt.LR())
	// Output:
	// step  0: loss 0.096, norm 0.21, learning rate 0.0020
	// step 20: loss 0.037, norm 0.03, learning rate 0.0181
	// step 40: loss 0.032, norm 0.02, learning rate 0.0069
	// learning rate 0.0000
}

// Weights decay, biases do not, and a layer that was trained before moves slowly.
func ExampleAdam_AddGroup() {
	rand := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 3, Hidden: 4}, rand)
	if err != nil {
		log.Fatal(err)
	}
	linear, err := layer.NewLinear(layer.LinearConfig{Input: 4, Output: 2}, rand)
	if err != nil {
		log.Fatal(err)
	}
	tape, head := lstm.NewTape(10, 1), linear.NewTape(1)

	biases := func(p layer.Param) bool { return len(p.Shape) == 1 }
	weights := slices.DeleteFunc(slices.Clone(head.Params()), biases)
	opt, err := train.NewAdam(weights, train.DefaultAdamW())
	if err != nil {
		log.Fatal(err)
	}
	plain := train.DefaultAdam()
	if err := opt.AddGroup(slices.DeleteFunc(slices.Clone(head.Params()), func(p layer.Param) bool { return !biases(p) }), plain); err != nil {
		log.Fatal(err)
	}
	slow := train.DefaultAdamW()
	slow.LR = 1e-4
	if err := opt.AddGroup(tape.Params(), slow); err != nil {
		log.Fatal(err)
	}
	for _, g := range opt.Groups() {
		fmt.Println(g.LR(), len(g.Params()))
	}
	// Output:
	// 0.001 1
	// 0.001 1
	// 0.0001 4
}

// A metric that no longer falls halves the learning rate.
func ExampleReduceLROnPlateau() {
	p := layer.Param{Name: "w", Shape: []int{1}, Data: make([]float32, 1), Grad: make([]float32, 1)}
	opt, err := train.NewSGD(layer.Params{p}, train.SGDConfig{LR: .1, Momentum: .9})
	if err != nil {
		log.Fatal(err)
	}
	cfg := train.DefaultPlateau()
	cfg.Factor, cfg.Patience = .5, 1
	schedule, err := train.NewReduceLROnPlateau(opt, cfg)
	if err != nil {
		log.Fatal(err)
	}
	for _, loss := range []float64{1, .8, .8, .8, .7} {
		schedule.Step(loss)
		fmt.Println(loss, opt.LR())
	}
	// Output:
	// 1 0.1
	// 0.8 0.1
	// 0.8 0.1
	// 0.8 0.05
	// 0.7 0.05
}
