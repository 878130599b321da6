package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/layer"
)

const T = 2048 // samples of a block

var (
	cells = []string{"LSTM", "GRU"}
	sizes = []int{8, 16, 20, 24, 32, 40, 64}
)

// A network is what is computed.
type network struct {
	cell string
	H    int
}

func (n network) String() string { return fmt.Sprintf("%s, H = %d", n.cell, n.H) }

func networks() (all []network) {
	for _, cell := range cells {
		for _, H := range sizes {
			all = append(all, network{cell, H})
		}
	}
	return all
}

// A task is a network with its weights and its input, the same for all contenders.
type task struct {
	network
	recurrent interface {
		Params() layer.Params
		NewStream(batch int) *layer.Stream
	}
	dense *layer.Linear
	x     []float32 // [T]
}

func newTask(n network) (*task, error) {
	random := layer.NewRand(1)
	t := &task{network: n, x: make([]float32, T)}
	var err error
	if n.cell == "LSTM" {
		t.recurrent, err = layer.NewLSTM(layer.LSTMConfig{Input: 1, Hidden: n.H}, random)
	} else {
		t.recurrent, err = layer.NewGRU(layer.GRUConfig{Input: 1, Hidden: n.H}, random)
	}
	if err != nil {
		return nil, err
	}
	if t.dense, err = layer.NewLinear(layer.LinearConfig{Input: n.H, Output: 1}, random); err != nil {
		return nil, err
	}
	random.Normal(t.x, 0, 1)
	return t, nil
}

// A contender computes all networks.
type contender interface {
	// load prepares a network, and returns its outputs [T] from a zero state. Samples
	// go on from there.
	load(t *task) (y []float32, err error)
	// time returns the time of one sample of audio in nanoseconds, measured for so long.
	time(n network, sample time.Duration) (float64, error)
	title() string
}

// run is a network of ours: a call computes a block.
type run map[network]func()

func (r run) time(n network, sample time.Duration) (float64, error) {
	block := r[n]
	block() // what others left in the caches is not its fault
	var taken time.Duration
	blocks := 0
	for start := time.Now(); taken < sample; taken = time.Since(start) {
		block()
		blocks++
	}
	return float64(taken.Nanoseconds()) / float64(blocks*T), nil
}

// blocks is simdrnn with one call of each layer for a block.
type blocks struct{ run }

func (b *blocks) title() string { return "simdrnn, blocks" }

func (b *blocks) load(t *task) ([]float32, error) {
	stream := t.recurrent.NewStream(1)
	h, y := make([]float32, T*t.H), make([]float32, T)
	b.add(t, func() {
		stream.Forward(h, t.x)
		t.dense.Forward(y, h)
	})
	return y, nil
}

// steps is simdrnn with one call for a sample.
type steps struct{ run }

func (s *steps) title() string { return "simdrnn, steps" }

func (s *steps) load(t *task) ([]float32, error) {
	stream := t.recurrent.NewStream(1)
	y := make([]float32, T)
	s.add(t, func() {
		for i := range y {
			stream.StepLinear(y[i:i+1], t.x[i:i+1], t.dense)
		}
	})
	return y, nil
}

// add makes a network's first block.
func (r *run) add(t *task, block func()) {
	if *r == nil {
		*r = run{}
	}
	(*r)[t.network] = block
	block()
}

// A driver is a build of RTNeural behind the protocol of cpp/driver.cpp.
type driver struct {
	*build
	process *timing.Process
}

func (d *driver) title() string { return "RTNeural " + d.name }

// start starts the program, if there is one.
func (d *driver) start() {
	if d.absent != "" {
		return
	}
	var err error
	if d.process, err = timing.Start(exec.Command(d.program)); err != nil {
		d.absent = err.Error()
	}
}

func (d *driver) close() {
	if d.process != nil {
		d.process.Close()
	}
}

// ask sends a line and floats, and returns the line that is answered and n floats
// after a line that says ok.
func (d *driver) ask(n int, line string, floats ...[]float32) (answer string, y []float32, err error) {
	if d.absent != "" {
		return "", nil, errors.New(d.absent)
	}
	var request bytes.Buffer
	fmt.Fprintln(&request, line)
	for _, f := range floats {
		binary.Write(&request, binary.NativeEndian, f)
	}
	err = d.process.Ask(request.Bytes(), func(out *bufio.Reader) (err error) {
		if answer, err = out.ReadString('\n'); err != nil {
			return err
		}
		if answer = strings.TrimSpace(answer); answer == "ok" {
			y = make([]float32, n)
			return binary.Read(out, binary.NativeEndian, y)
		}
		return nil
	})
	return answer, y, err
}

func (d *driver) load(t *task) ([]float32, error) {
	var floats [][]float32
	for _, params := range []layer.Params{t.recurrent.Params(), t.dense.Params()} {
		for _, p := range params {
			floats = append(floats, p.Data)
		}
	}
	answer, y, err := d.ask(T, fmt.Sprintf("load %s %d %d", t.cell, t.H, T), append(floats, t.x)...)
	if err == nil && answer != "ok" {
		err = errors.New(answer)
	}
	return y, err
}

func (d *driver) time(n network, sample time.Duration) (float64, error) {
	answer, _, err := d.ask(0, fmt.Sprintf("time %s %d %d", n.cell, n.H, sample.Nanoseconds()))
	if err != nil {
		return 0, err
	}
	return perSample(answer)
}

// perSample reads an answer of nanoseconds and samples.
func perSample(answer string) (float64, error) {
	taken, samples, _ := strings.Cut(answer, " ")
	ns, err := strconv.ParseInt(taken, 10, 64)
	if err != nil {
		return 0, errors.New(answer)
	}
	n, err := strconv.ParseInt(samples, 10, 64)
	if err != nil || ns < 1 || n < 1 {
		return 0, errors.New(answer)
	}
	return float64(ns) / float64(n), nil
}
