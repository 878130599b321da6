package layer_test

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"

	"github.com/simdrnn/simdrnn/layer"
)

// A PyTorch model, saved by safetensors.torch.save_file(model.state_dict(), ...):
//
//	torch.manual_seed(0)
//	self.rnn = nn.LSTM(2, 3)
//	self.head = nn.Linear(3, 1)
//
// All sizes are read from the tensors.
func ExampleLoadLSTM() {
	weights, err := layer.ReadSafetensors("testdata/model.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	lstm, err := layer.LoadLSTM(weights, "rnn.", layer.LSTMConfig{})
	if err != nil {
		log.Fatal(err)
	}
	head, err := layer.LoadLinear(weights, "head.", layer.LinearConfig{})
	if err != nil {
		log.Fatal(err)
	}
	s := lstm.NewStream(1)
	h, y := make([]float32, 3), make([]float32, 1)
	for range 2 {
		s.Step(h, []float32{1, 1})
		head.Forward(y, h)
		fmt.Printf("%.4f %.4f\n", h, y)
	}

	_, err = layer.LoadLSTM(weights, "", layer.LSTMConfig{})
	fmt.Println(err)

	// Output:
	// [-0.2693 -0.1240 0.0744] [-0.2884]
	// [-0.3889 -0.1919 0.1183] [-0.2989]
	// layer: load LSTM: missing weight_ih_l0, weight_hh_l0; did you mean prefix "rnn."?
}

// A model of two layers, saved and loaded.
func ExampleWriteSafetensors() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 2, Hidden: 3}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	head, err := layer.NewLinear(layer.LinearConfig{Input: 3, Output: 1}, layer.NewRand(1))
	if err != nil {
		log.Fatal(err)
	}
	weights := lstm.Params().StateDict("rnn.")
	maps.Copy(weights, head.Params().StateDict("head."))
	path := filepath.Join(dir, "model.safetensors")
	if err := layer.WriteSafetensors(path, weights); err != nil {
		log.Fatal(err)
	}

	weights, err = layer.ReadSafetensors(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := lstm.LoadStateDict(weights, "rnn."); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(weights), weights["head.weight"].Shape)

	// Output:
	// 6 [1 3]
}
