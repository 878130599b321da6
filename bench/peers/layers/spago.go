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
	n, err := newSpago(t)
	if err != nil {
		return nil, nil, err
	}
	if t.mode == step {
		return n.steps()
	}
	n.call()
	return n.results(), n.call, nil
}

// spago is a network and its inputs.
type spago struct {
	*task
	net interface {
		nn.Model
		Forward(xs ...mat.Tensor) []mat.Tensor
	}
	wIH, wHH, bias []*nn.Param    // in PyTorch's order of gates
	xs, dys, ys    [][]mat.Tensor // of each step, by row of the batch
}

func newSpago(t *task) (*spago, error) {
	s := &spago{task: t, xs: vectors(t.x, t.B, t.I), dys: vectors(t.dy, t.B, t.H), ys: make([][]mat.Tensor, t.B)}
	switch t.cell {
	case "LSTM":
		m := lstm.New[float32](t.I, t.H)
		s.net = m
		s.wIH = []*nn.Param{m.WIn, m.WFor, m.WCand, m.WOut}
		s.wHH = []*nn.Param{m.WInRec, m.WForRec, m.WCandRec, m.WOutRec}
		s.bias = []*nn.Param{m.BIn, m.BFor, m.BCand, m.BOut}
	case "RNN":
		m := srn.New[float32](t.I, t.H)
		s.net, s.wIH, s.wHH, s.bias = m, []*nn.Param{m.W}, []*nn.Param{m.WRec}, []*nn.Param{m.B}
	default:
		return nil, unsupported("its GRU is not PyTorch's")
	}
	sum := make([]float32, len(t.params[2].Data))
	for i := range sum {
		sum[i] = t.params[2].Data[i] + t.params[3].Data[i]
	}
	for i, data := range [][]float32{t.params[0].Data, t.params[1].Data, sum} {
		params := [][]*nn.Param{s.wIH, s.wHH, s.bias}[i]
		n := len(data) / len(params)
		for gate, p := range params {
			mat.SetData[float32](p, data[gate*n:][:n])
			p.SetRequiresGrad(t.mode.training())
		}
	}
	return s, nil
}

// steps makes the steps of the only row, and returns their outputs and a call of
// one more.
func (s *spago) steps() ([]float32, func(), error) {
	cell, ok := s.net.(*lstm.Model)
	if !ok || s.B > 1 {
		return nil, nil, unsupported("no steps of RNN, no batches")
	}
	var y []float32
	var state *lstm.State
	next := func(x mat.Tensor) {
		state = cell.Next(state, x)
		state.Y, state.Cell = state.Y.Value(), state.Cell.Value() // without their history
	}
	for _, x := range s.xs[0] {
		next(x)
		y = append(y, mat.Data[float32](state.Y)...)
	}
	return y, func() { next(s.xs[0][0]) }, nil
}

// call is forward, and backward in training.
func (s *spago) call() {
	if s.mode.training() {
		nn.ZeroGrad(s.net)
	}
	for b, x := range s.xs {
		s.ys[b] = s.net.Forward(x...)
		s.ys[b][s.T-1].Value() // waits for goroutines
		if s.mode.training() {
			for t, y := range s.ys[b] {
				y.AccGrad(s.dys[b][t])
			}
			if err := ag.Backward(s.ys[b]...); err != nil {
				panic(err)
			}
		}
	}
}

// results are the outputs of the last call, and its gradients in training.
func (s *spago) results() []float32 {
	results := make([]float32, s.outputs())
	for b := range s.ys {
		for t, y := range s.ys[b] {
			copy(results[(t*s.B+b)*s.H:], mat.Data[float32](y.Value()))
		}
	}
	if s.mode.training() {
		for _, params := range [][]*nn.Param{s.wIH, s.wHH, s.bias, s.bias} { // both biases have the gradient of their sum
			for _, p := range params {
				results = append(results, mat.Data[float32](p.Grad())...)
			}
		}
	}
	return results
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
