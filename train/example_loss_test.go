package train_test

import (
	"fmt"
	"log"
	"math"

	"github.com/simdrnn/simdrnn/train"
)

// Two sequences are classified by the logits of their last step.
func ExampleCrossEntropy_Forward() {
	const T, B, classes = 2, 2, 3
	ce, err := train.NewCrossEntropy(train.CrossEntropyConfig{Classes: classes})
	if err != nil {
		log.Fatal(err)
	}
	logits := []float32{ // [T,B,classes]
		9, 9, 9, 9, 9, 9,
		2, 0, 0, 0, 1, 0,
	}
	dlogits := make([]float32, len(logits)) // zero but for the last step
	last := (T - 1) * B * classes
	loss, n, err := ce.Forward(dlogits[last:], logits[last:], []int{0, 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.4f of %d rows\n", loss, n)
	fmt.Printf("%.3f\n", dlogits)

	// A target that is not a class is an error.
	_, _, err = ce.Forward(nil, logits[last:], []int{0, 3})
	fmt.Println(err)
	// Output:
	// loss 0.8955 of 2 rows
	// [0.000 0.000 0.000 0.000 0.000 0.000 -0.107 0.053 0.053 0.106 0.288 -0.394]
	// train: CrossEntropy.Forward: targets[1] = 3, want 0 to 2
}

// Sequences of two lengths are padded to T steps, with a target at each step.
func ExampleCrossEntropy_ForwardSeq() {
	const T, B, classes = 3, 2, 2
	ce, err := train.NewCrossEntropy(train.CrossEntropyConfig{Classes: classes})
	if err != nil {
		log.Fatal(err)
	}
	nan := float32(math.NaN())
	logits := []float32{ // [T,B,classes]; the second sequence has one step
		1, 0, 0, 1,
		1, 0, nan, nan,
		0, 2, nan, nan,
	}
	targets := []int{ // [T,B]
		0, 1,
		0, 0,
		1, 0,
	}
	losses := make([]float32, T*B)
	loss, n, err := ce.ForwardSeq(logits, logits, targets, train.Seq{Lengths: []int{3, 1}, Losses: losses})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.4f of %d rows\n", loss, n)
	fmt.Printf("%.4f\n", losses)
	fmt.Printf("%.3f\n", logits) // now the gradient
	// Output:
	// loss 0.2667 of 4 rows
	// [0.3133 0.3133 0.3133 0.0000 0.1269 0.0000]
	// [-0.067 0.067 0.067 -0.067 -0.067 0.067 0.000 0.000 0.030 -0.030 0.000 0.000]
}

// Rows of two independent labels; positives of the second one are rare and count
// three times.
func ExampleNewBCEWithLogits() {
	bce, err := train.NewBCEWithLogits(train.BCEWithLogitsConfig{Features: 2, PosWeight: []float32{1, 3}})
	if err != nil {
		log.Fatal(err)
	}
	logits := []float32{2, -1, 0, 1}
	labels := []float32{1, 0, 0, 1}
	dlogits := make([]float32, len(logits))
	loss, n := bce.Forward(dlogits, logits, labels)
	fmt.Printf("loss %.4f of %d labels\n", loss, n)
	fmt.Printf("%.3f\n", dlogits)
	// Output:
	// loss 0.5183 of 4 labels
	// [-0.030 0.067 0.125 -0.202]
}

// Forecasts of two values at each step, whose outliers should not dominate.
func ExampleNewHuber() {
	huber, err := train.NewHuber(train.DefaultHuber())
	if err != nil {
		log.Fatal(err)
	}
	dx := make([]float32, 4)
	loss, n := huber.Forward(dx, []float32{1, 2, 3, 4}, []float32{1, 2.5, 3, 14})
	fmt.Printf("loss %.4f of %d elements\n", loss, n)
	fmt.Println(dx)
	// Output:
	// loss 2.4062 of 4 elements
	// [0 -0.125 0 -0.25]
}

// A sequence of two labels in three steps: nobody says at which steps they are.
func ExampleCTC() {
	const T, B, C = 3, 1, 3 // class 0 is the blank
	ctc, err := train.NewCTC(train.CTCConfig{Classes: C, MaxT: T, MaxTarget: 2})
	if err != nil {
		log.Fatal(err)
	}
	logits := []float32{ // [T,B,C]
		0, 2, 0,
		2, 0, 0,
		0, 0, 2,
	}
	logp, dlogits := make([]float32, len(logits)), make([]float32, len(logits))
	train.LogSoftmax(logp, logits, C)
	targets, targetLengths := []int{1, 2}, []int{2}
	loss, _, err := ctc.Forward(dlogits, logp, targets, targetLengths)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.4f\n", loss)
	fmt.Printf("%.3f\n", dlogits) // as logp is the LogSoftmax of logits
	// Output:
	// loss 0.2253
	// [0.046 -0.100 0.053 0.011 -0.006 -0.006 0.046 0.053 -0.100]
}
