package main

import (
	"time"

	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/layer"
)

// network is what layers of all cells have.
type network interface {
	Params() layer.Params
	NewStream(batch int) *layer.Stream
	NewTape(maxT, batch int) *layer.Tape
}

// constructors make the network of a row, by cell.
var constructors = map[string]func(*row, *layer.Rand) (network, error){
	"LSTM": func(r *row, random *layer.Rand) (network, error) {
		return layer.NewLSTM(layer.LSTMConfig{Input: r.I, Hidden: r.H, Layers: r.layers, Bidirectional: r.directions == 2}, random)
	},
	"GRU": func(r *row, random *layer.Rand) (network, error) {
		return layer.NewGRU(layer.GRUConfig{Input: r.I, Hidden: r.H, Layers: r.layers, Bidirectional: r.directions == 2}, random)
	},
	"RNN": func(r *row, random *layer.Rand) (network, error) {
		return layer.NewRNN(layer.RNNConfig{Input: r.I, Hidden: r.H, Layers: r.layers, Bidirectional: r.directions == 2}, random)
	},
}

func newNetwork(r *row, random *layer.Rand) (network, error) { return constructors[r.cell](r, random) }

// Names of this library; alone runs beside a run on several threads.
const (
	ours  = "simdrnn"
	alone = "simdrnn, one thread"
)

// simdrnn is this library as a contender.
type simdrnn struct {
	called
	threads int
}

func (s *simdrnn) prepare(t *task) ([]float32, error) {
	net, err := newNetwork(t.row, nil)
	if err != nil {
		return nil, err
	}
	for i, p := range net.Params() {
		copy(p.Data, t.params[i].Data)
	}
	net.Params().Pack()
	y := make([]float32, t.outputs())
	switch t.mode {
	case forward:
		stream := net.NewStream(t.B)
		stream.Grow(t.T)
		stream.SetThreads(s.threads)
		s.call = func() {
			stream.Reset()
			stream.Forward(y, t.x)
		}
		s.call()
		return y, nil
	case step:
		stream := net.NewStream(t.B)
		stream.SetThreads(s.threads)
		stream.Forward(y, t.x)
		x, out := t.x[:t.B*t.I], make([]float32, t.B*t.H)
		s.call = func() { stream.Step(out, x) }
		return y, nil
	}
	tape := net.NewTape(t.T, t.B)
	tape.SetThreads(s.threads)
	params := tape.Params()
	pack := params.Pack
	if s.threads > 1 { // as train's optimizers do
		team, packer := workers.NewTeam(s.threads), net.(layer.PartPacker)
		part := packer.PackPart
		pack = func() { team.Each(packer.PackParts(), part, false) }
	}
	s.call = func() {
		params.ZeroGrad()
		y = tape.Forward(t.x)
		tape.Backward(nil, t.dy)
		pack()
	}
	s.call()
	results := append([]float32{}, y...)
	for _, p := range params {
		results = append(results, p.Grad...)
	}
	return results, nil
}

// pause is between two single calls of paused.
const pause = 30 * time.Microsecond

// paused returns the time of one call after a pause, on average of n. The
// processor stays awake in it, as that of a server that has other work.
func (s *simdrnn) paused(n int) time.Duration {
	return afterPauses(s.call, n) - afterPauses(func() {}, n)
}

// afterPauses is the same with what it takes to read the clock.
func afterPauses(call func(), n int) (sum time.Duration) {
	for range n {
		start := time.Now()
		for time.Since(start) < pause {
		}
		start = time.Now()
		call()
		sum += time.Since(start)
	}
	return sum / time.Duration(n)
}
