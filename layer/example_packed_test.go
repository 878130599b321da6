package layer_test

import (
	"fmt"
	"log"

	"github.com/simdrnn/simdrnn/layer"
)

// Sentences of different lengths become one batch: padded ids, then the rows of
// an Embedding, the input x [T,B,I] of a recurrent layer.
func ExamplePadSequence() {
	const N, E, padding = 10, 2, 0
	embedding, err := layer.NewEmbedding(layer.EmbeddingConfig{Num: N, Dim: E, PaddingIdx: padding}, layer.NewRand(0))
	if err != nil {
		log.Fatal(err)
	}
	ids, lengths, err := layer.PadSequence([][]int{{4, 2, 7}, {5}}, 1, padding, layer.PadConfig{}) // [T,B]
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ids, lengths)
	x := make([]float32, len(ids)*E)
	if err := embedding.Forward(x, ids); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", x)

	// Output:
	// [4 5 2 0 7 0] [3 1]
	// [0.47 -0.16 1.44 0.27 0.60 -1.56 0.00 0.00 0.95 -0.84 0.00 0.00]
}

// Three sequences of one feature, packed as PyTorch packs them with
// enforce_sorted=False, and padded again.
func ExamplePackSequence() {
	seqs := [][]float32{{10}, {20, 21, 22}, {30, 31}}
	p, err := layer.PackSequence(seqs, 1, layer.PackConfig{AnyOrder: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Data, p.BatchSizes, p.SortedIndices, p.UnsortedIndices)
	x, lengths, err := layer.PadPacked(p, 0, layer.PadConfig{BatchFirst: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(x, lengths)

	// Output:
	// [20 30 10 21 31 22] [3 2 1] [1 2 0] [2 0 1]
	// [10 0 0 20 21 22 30 31 0] [1 3 2]
}

// Gradients of the rows that ids name add up. The padding row, 0, gets none.
func ExampleEmbeddingTape() {
	embedding, err := layer.NewEmbedding(layer.EmbeddingConfig{Num: 4, Dim: 2, PaddingIdx: 0}, nil)
	if err != nil {
		log.Fatal(err)
	}
	tape := embedding.NewTape(5)
	if _, err := tape.Forward([]int{3, 1, 3, 0, 0}); err != nil {
		log.Fatal(err)
	}
	tape.Backward([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	fmt.Println(tape.Params()[0].Grad)

	_, err = tape.Forward([]int{1, 4})
	fmt.Println(err)

	// Output:
	// [0 0 3 4 0 0 6 8]
	// layer: EmbeddingTape.Forward: ids[1] = 4, want 0 to 3
}

// The two starts of an LSTM that are wanted most beside PyTorch's.
func ExampleOrthogonal() {
	r := layer.NewRand(0)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: 3, Hidden: 2}, r)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range lstm.Params() {
		if p.Name == "weight_hh_l0" {
			if err := layer.Orthogonal(p, 4, r); err != nil { // i, f, g, o
				log.Fatal(err)
			}
			fmt.Printf("%.3f\n", p.Data[:4])
		}
	}
	if err := layer.ForgetBias(lstm, 1); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f\n", lstm.Params()[2].Data)

	// Output:
	// [-0.040 -0.999 0.999 -0.040]
	// [0.037 -0.363 1.000 1.000 -0.511 -0.365 0.446 0.415]
}
