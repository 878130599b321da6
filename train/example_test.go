package train_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// An LSTM learns to say at the end of a sequence which of three symbols stood at
// its beginning.
func Example() {
	const T, B, I, H, classes = 6, 3, 3, 8, 3
	rand := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: I, Hidden: H}, rand)
	if err != nil {
		log.Fatal(err)
	}
	linear, err := layer.NewLinear(layer.LinearConfig{Input: H, Output: classes}, rand)
	if err != nil {
		log.Fatal(err)
	}
	x := make([]float32, T*B*I) // [T,B,I]: one-hot symbols at t = 0
	targets := make([]int, B)
	for b := range B {
		x[b*I+b] = 1
		targets[b] = b
	}

	tape, head := lstm.NewTape(T, B), linear.NewTape(B)
	params := slices.Concat(tape.Params(), head.Params())
	ce, err := train.NewCrossEntropy(train.CrossEntropyConfig{Classes: classes})
	if err != nil {
		log.Fatal(err)
	}
	cfg := train.DefaultAdam()
	cfg.LR = .05
	opt, err := train.NewAdam(params, cfg)
	if err != nil {
		log.Fatal(err)
	}

	dlogits := make([]float32, B*classes)
	dh := make([]float32, T*B*H) // zero but for the last step
	last := (T - 1) * B * H
	for epoch := 1; epoch <= 20; epoch++ {
		h := tape.Forward(x)
		logits := head.Forward(h[last:])
		loss, _, err := ce.Forward(dlogits, logits, targets)
		if err != nil {
			log.Fatal(err)
		}
		params.ZeroGrad()
		head.Backward(dh[last:], dlogits)
		tape.Backward(nil, dh)
		opt.Step()
		if epoch%5 == 0 {
			fmt.Printf("epoch %d: loss %.2f\n", epoch, loss)
		}
	}
	// Output:
	// epoch 5: loss 1.06
	// epoch 10: loss 0.36
	// epoch 15: loss 0.05
	// epoch 20: loss 0.01
}
