package main

import (
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/recurrent/lstm"
	"github.com/nlpodyssey/spago/nn/recurrent/srn"
)

// buildSpago takes the sequences of a batch one after another.
func buildSpago(t *task) ([]float32, func(), error) {
	if err := onlyPlain(t); err != nil {
		return nil, nil, err
	}
	var net interface {
		nn.Model
		Forward(xs ...mat.Tensor) []mat.Tensor
	}
	var wIH, wHH, bias []*nn.Param // in PyTorch's order of gates
	cell := lstm.New[float32](t.I, t.H)
	switch t.cell {
	case "LSTM":
		net = cell
		wIH = []*nn.Param{cell.WIn, cell.WFor, cell.WCand, cell.WOut}
		wHH = []*nn.Param{cell.WInRec, cell.WForRec, cell.WCandRec, cell.WOutRec}
		bias = []*nn.Param{cell.BIn, cell.BFor, cell.BCand, cell.BOut}
	case "RNN":
		m := srn.New[float32](t.I, t.H)
		net, wIH, wHH, bias = m, []*nn.Param{m.W}, []*nn.Param{m.WRec}, []*nn.Param{m.B}
	default:
		return nil, nil, unsupported("its GRU is not PyTorch's")
	}
	sum := make([]float32, len(t.params[2].Data))
	for i := range sum {
		sum[i] = t.params[2].Data[i] + t.params[3].Data[i]
	}
	for i, data := range [][]float32{t.params[0].Data, t.params[1].Data, sum} {
		params := [][]*nn.Param{wIH, wHH, bias}[i]
		n := len(data) / len(params)
		for gate, p := range params {
			mat.SetData[float32](p, data[gate*n:][:n])
			p.SetRequiresGrad(t.mode.training())
		}
	}
	x, dy := vectors(t.x, t.B, t.I), vectors(t.dy, t.B, t.H)

	if t.mode == step {
		if t.cell != "LSTM" || t.B > 1 {
			return nil, nil, unsupported("no steps of RNN, no batches")
		}
		var y []float32
		var state *lstm.State
		next := func(x mat.Tensor) {
			state = cell.Next(state, x)
			state.Y, state.Cell = state.Y.Value(), state.Cell.Value() // without their history
		}
		for _, x := range x[0] {
			next(x)
			y = append(y, mat.Data[float32](state.Y)...)
		}
		return y, func() { next(x[0][0]) }, nil
	}

	ys := make([][]mat.Tensor, t.B)
	call := func() {
		if t.mode.training() {
			nn.ZeroGrad(net)
		}
		for b, x := range x {
			ys[b] = net.Forward(x...)
			ys[b][t.T-1].Value() // waits for goroutines
			if t.mode.training() {
				for s, y := range ys[b] {
					y.AccGrad(dy[b][s])
				}
				if err := ag.Backward(ys[b]...); err != nil {
					panic(err)
				}
			}
		}
	}
	call()
	results := make([]float32, t.outputs())
	for b := range ys {
		for s, y := range ys[b] {
			copy(results[(s*t.B+b)*t.H:], mat.Data[float32](y.Value()))
		}
	}
	if t.mode.training() {
		for _, params := range [][]*nn.Param{wIH, wHH, bias, bias} { // both biases have the gradient of their sum
			for _, p := range params {
				results = append(results, mat.Data[float32](p.Grad())...)
			}
		}
	}
	return results, call, nil
}

// vectors are the n elements of each step of a sequence [T,B,n], by row of the
// batch.
func vectors(seq []float32, B, n int) [][]mat.Tensor {
	rows := make([][]mat.Tensor, B)
	for i := 0; i < len(seq); i += n {
		b := i / n % B
		rows[b] = append(rows[b], mat.NewDense[float32](mat.WithBacking(seq[i:][:n])))
	}
	return rows
}
