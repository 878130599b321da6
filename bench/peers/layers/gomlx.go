package main

import (
	"slices"

	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/layers/lstm"
)

// buildGomlx compiles a graph for the backend in Go. Weights stand as in ONNX,
// batches first in x alone.
func buildGomlx(t *task) ([]float32, func(), error) {
	if err := onlyPlain(t); err != nil {
		return nil, nil, err
	}
	if t.cell != "LSTM" || t.mode.training() {
		return nil, nil, unsupported("LSTM only, and no gradients: that of Slice is Pad, which the backend lacks")
	}
	order := onnxGates[t.cell]
	tensor := tensors.FromFlatDataAndDimensions[float32]
	wIH := tensor(reorder(t.params[0].Data, order), 1, 4, t.H, t.I)
	wHH := tensor(reorder(t.params[1].Data, order), 1, 4, t.H, t.H)
	bias := tensor(append(reorder(t.params[2].Data, order), reorder(t.params[3].Data, order)...), 1, 8, t.H)
	backend := must(simplego.New("ops_sequential")) // faster on one core

	if t.mode == step {
		next := must(graph.NewExec(backend, func(in []*graph.Node) []*graph.Node {
			_, h, c := lstm.NewWithWeights(in[0], in[1], in[2], in[3], nil).InitialStates(in[4], in[5]).Done()
			return []*graph.Node{h, c}
		}))
		zero := func() *tensors.Tensor { return tensor(make([]float32, t.B*t.H), 1, t.B, t.H) }
		h, c := zero(), zero()
		step := func(x *tensors.Tensor) {
			out := must(next.Exec(x, wIH, wHH, bias, h, c))
			h.MustFinalizeAll()
			c.MustFinalizeAll()
			h, c = out[0], out[1]
		}
		var y []float32
		var xs []*tensors.Tensor
		for x := range slices.Chunk(t.x, t.B*t.I) {
			xs = append(xs, tensor(x, t.B, 1, t.I))
			step(xs[len(xs)-1])
			y = append(y, tensors.MustCopyFlatData[float32](h)...)
		}
		return y, func() { step(xs[0]) }, nil
	}

	batchFirst := make([]float32, 0, len(t.x))
	for b := range t.B {
		for s := range t.T {
			batchFirst = append(batchFirst, t.x[(s*t.B+b)*t.I:][:t.I]...)
		}
	}
	in := []any{tensor(batchFirst, t.B, t.T, t.I), wIH, wHH, bias}
	exec := must(graph.NewExec(backend, func(in []*graph.Node) *graph.Node {
		y, _, _ := lstm.NewWithWeights(in[0], in[1], in[2], in[3], nil).Done()
		return y
	}))
	call := func() *tensors.Tensor { return must(exec.Exec(in...))[0] }
	y := tensors.MustCopyFlatData[float32](call())
	return y, func() { call().MustFinalizeAll() }, nil
}
