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
	valid := n.spread(n.origins(n.trainEnd, n.validEnd, minHistory, K), 256)
	t, err := n.newTrainer()
	if err != nil {
		return err
	}
	best, bestData := math.Inf(1), make([][]float32, len(t.params))
	for epoch := 1; epoch <= n.cfg.epochs; epoch++ {
		loss, err := t.epoch()
		if err != nil {
			return err
		}
		v := compare(n.data, []forecaster{n}, valid, K).total(0)
		mark := ""
		if v < best {
			best, mark = v, " *"
			for i, p := range t.params {
				bestData[i] = append(bestData[i][:0], p.Data...)
			}
		}
		if _, err := fmt.Fprintf(out, "epoch %2d: loss %.4f, validation RMSE %.4g%s\n", epoch, loss, v, mark); err != nil {
			return err
		}
	}
	if math.IsInf(best, 1) {
		return fmt.Errorf("the loss is not a number: try a smaller -lr than %v", n.cfg.lr)
	}
	for i, p := range t.params {
		copy(p.Data, bestData[i])
	}
	t.params.Pack()
	return nil
}

// A trainer is what the training of a network needs.
type trainer struct {
	*network
	tape     *layer.Tape
	head     *layer.LinearTape
	params   layer.Params
	opt      train.Optimizer
	schedule *train.Schedule
	loss     *train.Elementwise

	rnd     *rand.Rand
	origins []int // of all windows
	batch   []int // of those of a step
	w       *windows
	dy      []float32 // [B,C]
	dlast   []float32 // [B,H]
	dh      []float32 // [T,B,H], zero but for the last step of each window
}

func (n *network) newTrainer() (*trainer, error) {
	cfg, B := n.cfg, n.cfg.batch
	t := &trainer{
		network: n,
		tape:    n.rnn.NewTape(cfg.window, B),
		head:    n.linear.NewTape(B),
		rnd:     rand.New(rand.NewPCG(uint64(cfg.seed), 1)),
		origins: n.origins(0, n.trainEnd, minHistory, 1),
		batch:   make([]int, B),
		w:       n.newWindows(),
		dy:      make([]float32, B*n.C),
		dlast:   make([]float32, B*cfg.hidden),
		dh:      make([]float32, cfg.window*B*cfg.hidden),
	}
	t.params = slices.Concat(t.tape.Params(), t.head.Params())
	adam := train.DefaultAdam()
	adam.LR = cfg.lr
	var err error
	if t.opt, err = train.NewAdam(t.params, adam); err != nil {
		return nil, err
	}
	cycle := train.DefaultOneCycleLR()
	cycle.MaxLR, cycle.TotalSteps = []float64{cfg.lr}, cfg.epochs*cfg.batches
	if t.schedule, err = train.NewOneCycleLR(t.opt, cycle); err != nil {
		return nil, err
	}
	huber := train.DefaultHuber()
	huber.Features = n.C
	t.loss, err = train.NewHuber(huber)
	return t, err
}

// epoch trains with some batches of windows, and returns their mean loss.
func (t *trainer) epoch() (float64, error) {
	sum := 0.
	for range t.cfg.batches {
		loss, err := t.step()
		if err != nil {
			return 0, err
		}
		sum += loss
	}
	return sum / float64(t.cfg.batches), nil
}

// step trains with one batch, and returns its loss.
func (t *trainer) step() (float64, error) {
	for b := range t.batch {
		t.batch[b] = t.origins[t.rnd.IntN(len(t.origins))]
	}
	w := t.w
	t.fill(w, t.batch)
	t.addNoise(w, t.rnd)
	t.fillTargets(w, t.batch)
	t.tape.ForwardSeq(w.x, layer.Seq{Lengths: w.lengths, Last: w.last})
	loss, _ := t.loss.Forward(t.dy, t.head.Forward(w.last), w.target)
	t.params.ZeroGrad()
	t.head.Backward(t.dlast, t.dy)
	clear(t.dh)
	t.tape.AddLast(t.dh, t.dlast)
	t.tape.Backward(nil, t.dh)
	if _, err := train.ClipGradNorm(t.params, 1); err != nil {
		return 0, err
	}
	t.opt.Step()
	t.schedule.Step()
	return float64(loss), nil
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
