package train_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// A run that is saved after two steps goes on, in what could be another process,
// with the losses of one that never stopped.
func ExampleCheckpoint() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const T, B, I, H = 4, 2, 3, 5
	run := func(path string, steps int) {
		rand := layer.NewRand(0)
		lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: I, Hidden: H}, rand)
		if err != nil {
			log.Fatal(err)
		}
		tape := lstm.NewTape(T, B)
		params := tape.Params()
		opt, err := train.NewAdam(params, train.AdamConfig{LR: .1, Beta1: .9, Beta2: .99, Eps: 1e-8})
		if err != nil {
			log.Fatal(err)
		}
		schedule, err := train.NewExponentialLR(opt, .9)
		if err != nil {
			log.Fatal(err)
		}
		mse, err := train.NewMSE(train.MSEConfig{})
		if err != nil {
			log.Fatal(err)
		}

		c := train.Checkpoint{
			Params:    map[string]layer.Params{"rnn.": lstm.Params()},
			Optimizer: opt,
			Schedule:  schedule,
			Rand:      rand,
			State:     map[string]any{"h": tape.H0(), "c": tape.C0()},
		}
		if err := c.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Fatal(err)
		}
		x, dy, zero := make([]float32, T*B*I), make([]float32, T*B*H), make([]float32, T*B*H)
		for c.Step < steps {
			rand.Normal(x, 0, 1)
			loss, _ := mse.Forward(dy, tape.Forward(x), zero)
			params.ZeroGrad()
			tape.Backward(nil, dy)
			tape.Carry()
			opt.Step()
			schedule.Step()
			c.Step++
			fmt.Printf("step %d: loss %.4f\n", c.Step, loss)
		}
		if err := c.Save(path); err != nil {
			log.Fatal(err)
		}
	}
	run(filepath.Join(dir, "a.safetensors"), 2)
	run(filepath.Join(dir, "a.safetensors"), 4)
	fmt.Println("without a stop")
	run(filepath.Join(dir, "b.safetensors"), 4)
	// Output:
	// step 1: loss 0.0229
	// step 2: loss 0.0191
	// step 3: loss 0.0042
	// step 4: loss 0.0033
	// without a stop
	// step 1: loss 0.0229
	// step 2: loss 0.0191
	// step 3: loss 0.0042
	// step 4: loss 0.0033
}
