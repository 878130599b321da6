package main

import (
	"slices"

	"github.com/advancedclimatesystems/gonnx"
	"github.com/advancedclimatesystems/gonnx/onnx"
	"gorgonia.org/tensor"
)

// buildGonnx runs a model of one node.
func buildGonnx(t *task) ([]float32, func(), error) {
	if err := onlyPlain(t); err != nil {
		return nil, nil, err
	}
	if t.mode.training() {
		return nil, nil, unsupported("forward only")
	}
	if t.mode == step && t.cell != "LSTM" {
		return nil, nil, unsupported("steps of LSTM only")
	}
	order := onnxGates[t.cell]
	weights := [][]float32{
		reorder(t.params[0].Data, order), reorder(t.params[1].Data, order),
		append(reorder(t.params[2].Data, order), reorder(t.params[3].Data, order)...),
	}
	G := len(order) * t.H
	integer := func(name string, v int64) *onnx.AttributeProto {
		return &onnx.AttributeProto{Name: name, Type: onnx.AttributeProto_INT, I: v}
	}
	node := &onnx.NodeProto{
		OpType: t.cell, Input: []string{"X", "W", "R", "B"}, Output: []string{"Y", "Y_h"},
		Attribute: []*onnx.AttributeProto{integer("hidden_size", int64(t.H))},
	}
	switch t.cell {
	case "LSTM":
		node.Output = append(node.Output, "Y_c")
	case "GRU":
		node.Attribute = append(node.Attribute, integer("linear_before_reset", 1))
	}
	net := &onnx.GraphProto{Node: []*onnx.NodeProto{node}, Input: []*onnx.ValueInfoProto{{Name: "X"}}}
	for i, dims := range [][]int64{{1, int64(G), int64(t.I)}, {1, int64(G), int64(t.H)}, {1, int64(2 * G)}} {
		net.Initializer = append(net.Initializer, &onnx.TensorProto{
			Name: node.Input[1+i], DataType: int32(onnx.TensorProto_FLOAT), Dims: dims, FloatData: weights[i],
		})
	}
	for _, name := range node.Output {
		net.Output = append(net.Output, &onnx.ValueInfoProto{Name: name})
	}
	if t.mode == step {
		node.Input = append(node.Input, "", "initial_h", "initial_c")
		net.Input = append(net.Input, &onnx.ValueInfoProto{Name: "initial_h"}, &onnx.ValueInfoProto{Name: "initial_c"})
	}
	model := must(gonnx.NewModel(&onnx.ModelProto{Graph: net, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 13}}}))
	dense := func(data []float32, shape ...int) tensor.Tensor {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	}
	values := func(t tensor.Tensor) []float32 { return t.Data().([]float32) }

	if t.mode == step {
		zero := func() tensor.Tensor { return dense(make([]float32, t.B*t.H), 1, t.B, t.H) }
		h, c := zero(), zero()
		next := func(x tensor.Tensor) {
			out := must(model.Run(gonnx.Tensors{"X": x, "initial_h": h, "initial_c": c}))
			h, c = out["Y_h"], out["Y_c"]
		}
		var y []float32
		var xs []tensor.Tensor
		for x := range slices.Chunk(t.x, t.B*t.I) {
			xs = append(xs, dense(x, 1, t.B, t.I))
			next(xs[len(xs)-1])
			y = append(y, values(h)...)
		}
		return y, func() { next(xs[0]) }, nil
	}
	x := gonnx.Tensors{"X": dense(t.x, t.T, t.B, t.I)}
	y := values(must(model.Run(x))["Y"])
	return y, func() { must(model.Run(x)) }, nil
}
