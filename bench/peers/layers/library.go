package main

// A library is a Go library with recurrent layers of its own.
type library struct {
	called
	// build makes what prepare makes, and the call to time. Both panic if the
	// library fails.
	build func(*task) (results []float32, call func(), err error)
}

func (l *library) prepare(t *task) (results []float32, err error) {
	defer asError(&err)
	results, l.call, err = l.build(t)
	return results, err
}

// onlyPlain is an error unless a row is of one layer and one direction.
func onlyPlain(t *task) error {
	if t.layers > 1 || t.directions > 1 {
		return unsupported("layers of one direction, one at a time")
	}
	return nil
}

// reorder copies the gates of a parameter in another order.
func reorder(p []float32, order []int) (q []float32) {
	n := len(p) / len(order)
	for _, gate := range order {
		q = append(q, p[gate*n:][:n]...)
	}
	return q
}

// onnxGates is ONNX's order of gates by their places in PyTorch's.
var onnxGates = map[string][]int{"LSTM": {0, 3, 1, 2}, "GRU": {1, 0, 2}, "RNN": {0}}

// must returns what a call returns that may fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
