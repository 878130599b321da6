package cell_test

import (
	"fmt"
	"math"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// Steps of an LSTM on slices of one's own, with the weights of nn.LSTM(2, 3) after
// torch.manual_seed(0). Package layer does all this.
func ExampleLSTM() {
	const B, I, H, G = 1, 2, 3, 4
	rand := layer.NewRand(0)
	uniform := func(n int) []float32 {
		x := make([]float32, n)
		rand.Uniform(x, -1/math.Sqrt(H), 1/math.Sqrt(H))
		return x
	}
	wih, whh := kernels.NewPanels(G, H, I), kernels.NewPanels(G, H, H)
	wih.Pack(uniform(G * H * I))
	whh.Pack(uniform(G * H * H))
	lstm, width := cell.LSTM{}, whh.Width()
	bias := make([]float32, width)
	lstm.PackBias(bias, nil, uniform(G*H), uniform(G*H), H)

	plain := func() kernels.Mat { return kernels.Mat{Data: make([]float32, B*H), Stride: H} }
	h, c := plain(), plain()
	s := cell.Step{
		Rows: B, Units: H,
		X: kernels.Mat{Data: []float32{1, 1}, Stride: I}, WX: wih, Bias: bias, W: whh,
		Gates: kernels.Mat{Data: make([]float32, B*width), Stride: width},
		HPrev: h, CPrev: c, H: h, C: c, // in place
	}
	for range 3 {
		lstm.Forward(&s)
		fmt.Printf("%.4f\n", h.Data)
	}

	// Output:
	// [-0.2693 -0.1240 0.0744]
	// [-0.3889 -0.1919 0.1183]
	// [-0.4425 -0.2314 0.1386]
}
