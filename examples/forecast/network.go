package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// recurrent is what LSTM and GRU have in common.
type recurrent interface {
	fmt.Stringer
	NewStream(batch int) *layer.Stream
	NewTape(maxT, batch int) *layer.Tape
	Params() layer.Params
}

// A network reads a window of rows and says at its end how the columns change
// until the next row:
//
//	h = the last output of LSTM or GRU
//	x[t+1] - x[t] = deltaStd * (W·h + b)
//
// W and b begin as zero, which is persistence.
type network struct {
	*data
	cfg    config
	rnn    recurrent
	linear *layer.Linear
}

// config is what can be chosen about a network and its training.
type config struct {
	cell           string // lstm or gru
	hidden, layers int
	window         int // the longest
	batch          int
	batches        int // of an epoch
	epochs         int
	lr             float64
	noise          float64 // of the windows, in deviations of the columns
	seed           int64
}

func newNetwork(d *data, cfg config) (*network, error) {
	n := &network{data: d, cfg: cfg}
	rnd := layer.NewRand(cfg.seed)
	switch cfg.cell {
	case "lstm":
		lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: d.F, Hidden: cfg.hidden, Layers: cfg.layers}, rnd)
		if err != nil {
			return nil, err
		}
		if err := layer.ForgetBias(lstm, 1); err != nil {
			return nil, err
		}
		n.rnn = lstm
	case "gru":
		gru, err := layer.NewGRU(layer.GRUConfig{Input: d.F, Hidden: cfg.hidden, Layers: cfg.layers}, rnd)
		if err != nil {
			return nil, err
		}
		n.rnn = gru
	}
	var err error
	n.linear, err = layer.NewLinear(layer.LinearConfig{Input: cfg.hidden, Output: d.C}, nil)
	return n, err
}

func (n *network) name() string { return strings.ToUpper(n.cfg.cell) }

// describe says in a line what the network is and reads.
func (n *network) describe(origins []int) string {
	sum, shortest, longest := 0, n.cfg.window, 0
	for _, o := range origins {
		T := min(n.run[o], n.cfg.window)
		sum, shortest, longest = sum+T, min(shortest, T), max(longest, T)
	}
	return fmt.Sprintf("%v; windows of %d to %d rows, mean %d", n.rnn, shortest, longest, sum/len(origins))
}

// windows are a batch: the rows up to and including each origin, of different
// lengths where the history is shorter than the window.
type windows struct {
	x       []float32 // [T,B,F]; what stands behind a window's end is never read
	lengths []int     // [B]
	target  []float32 // [B,C], the changes to the rows after
	last    []float32 // [B,H], gets the last outputs
}

func (n *network) newWindows() *windows {
	B := n.cfg.batch
	return &windows{
		x:       make([]float32, n.cfg.window*B*n.F),
		lengths: make([]int, B),
		target:  make([]float32, B*n.C),
		last:    make([]float32, B*n.cfg.hidden),
	}
}

// fill makes the windows that end with the origins, at most B. Rows that are left
// have length 0.
func (n *network) fill(w *windows, origins []int) {
	B, F := n.cfg.batch, n.F
	clear(w.lengths)
	for b, o := range origins {
		T := min(n.run[o], n.cfg.window)
		w.lengths[b] = T
		for t := range T {
			copy(w.x[(t*B+b)*F:][:F], n.features(o-T+1+t))
		}
	}
}

// addNoise adds normal noise to the columns of the windows: what the network goes
// on from in a forecast is its own, and a little wrong, too. Source:
// Sanchez-Gonzalez et al. 2020, "Learning to Simulate Complex Physics with Graph
// Networks".
func (n *network) addNoise(w *windows, rnd *rand.Rand) {
	for b, T := range w.lengths {
		for t := range T {
			for j := range n.C {
				w.x[(t*n.cfg.batch+b)*n.F+j] += float32(n.cfg.noise * rnd.NormFloat64())
			}
		}
	}
}

// fillTargets sets what the network should say at the ends of the windows.
func (n *network) fillTargets(w *windows, origins []int) {
	for b, o := range origins {
		last := w.x[((w.lengths[b]-1)*n.cfg.batch+b)*n.F:]
		for j := range n.C {
			w.target[b*n.C+j] = (n.features(o + 1)[j] - last[j]) / float32(n.deltaStd[j])
		}
	}
}

// train trains the network, and reports to out. It keeps the parameters that
// forecast K rows of the target best on the validation part.
func (n *network) train(out io.Writer, K int) error {
	cfg, H, C, B := n.cfg, n.cfg.hidden, n.C, n.cfg.batch
	origins := n.origins(0, n.trainEnd, minHistory, 1)
	valid := n.spread(n.origins(n.trainEnd, n.validEnd, minHistory, K), 256)

	tape, head := n.rnn.NewTape(cfg.window, B), n.linear.NewTape(B)
	params := slices.Concat(tape.Params(), head.Params())
	adam := train.DefaultAdam()
	adam.LR = cfg.lr
	opt, err := train.NewAdam(params, adam)
	if err != nil {
		return err
	}
	cycle := train.DefaultOneCycleLR()
	cycle.MaxLR, cycle.TotalSteps = []float64{cfg.lr}, cfg.epochs*cfg.batches
	schedule, err := train.NewOneCycleLR(opt, cycle)
	if err != nil {
		return err
	}
	huber := train.DefaultHuber()
	huber.Features = C
	loss, err := train.NewHuber(huber)
	if err != nil {
		return err
	}

	w := n.newWindows()
	dy := make([]float32, B*C)
	dlast := make([]float32, B*H)
	dh := make([]float32, cfg.window*B*H) // zero but for the last step of each window
	rnd := rand.New(rand.NewPCG(uint64(cfg.seed), 1))
	batch := make([]int, B)
	step := func() (float64, error) {
		for b := range batch {
			batch[b] = origins[rnd.IntN(len(origins))]
		}
		n.fill(w, batch)
		n.addNoise(w, rnd)
		n.fillTargets(w, batch)
		tape.ForwardSeq(w.x, layer.Seq{Lengths: w.lengths, Last: w.last})
		l, _ := loss.Forward(dy, head.Forward(w.last), w.target)
		params.ZeroGrad()
		head.Backward(dlast, dy)
		clear(dh)
		tape.AddLast(dh, dlast)
		tape.Backward(nil, dh)
		if _, err := train.ClipGradNorm(params, 1); err != nil {
			return 0, err
		}
		opt.Step()
		schedule.Step()
		return float64(l), nil
	}

	best, bestData := math.Inf(1), make([][]float32, len(params))
	for epoch := 1; epoch <= cfg.epochs; epoch++ {
		sum := 0.
		for range cfg.batches {
			l, err := step()
			if err != nil {
				return err
			}
			sum += l
		}
		v := compare(n.data, []forecaster{n}, valid, K).total(0)
		mark := ""
		if v < best {
			best, mark = v, " *"
			for i, p := range params {
				bestData[i] = append(bestData[i][:0], p.Data...)
			}
		}
		if _, err := fmt.Fprintf(out, "epoch %2d: loss %.4f, validation RMSE %.4g%s\n", epoch, sum/float64(cfg.batches), v, mark); err != nil {
			return err
		}
	}
	if math.IsInf(best, 1) {
		return fmt.Errorf("the loss is not a number: try a smaller -lr than %v", cfg.lr)
	}
	for i, p := range params {
		copy(p.Data, bestData[i])
	}
	params.Pack()
	return nil
}

// forecast warms a Stream up with the window of each origin, and lets it go on
// alone, each forecast being its next input.
func (n *network) forecast(y []float64, origins []int, K int) {
	B, F, C := n.cfg.batch, n.F, n.C
	w := n.newWindows()
	stream := n.rnn.NewStream(B)
	hs := make([]float32, n.cfg.window*B*n.cfg.hidden)
	x, dx := make([]float32, B*F), make([]float32, B*C)
	for i := 0; i < len(origins); i += B {
		some := origins[i:min(i+B, len(origins))]
		n.fill(w, some)
		for b, o := range some {
			copy(x[b*F:][:F], n.features(o))
		}
		stream.Reset()
		stream.ForwardSeq(hs, w.x, layer.Seq{Lengths: w.lengths, Last: w.last})
		for k := range K {
			n.linear.Forward(dx, w.last)
			for b, o := range some {
				row := x[b*F:][:F]
				for j := range C {
					row[j] += float32(dx[b*C+j] * float32(n.deltaStd[j]))
					y[((i+b)*K+k)*C+j] = n.mean[j] + n.std[j]*float64(row[j])
				}
				n.calendar(row[C:], o+1+k)
			}
			stream.Step(w.last, x)
		}
	}
}
