// Command coldstart compares how long it takes until an LSTM of two layers of 512
// units has answered for the first time, here and in ONNX Runtime, PyTorch and
// OpenVINO:
//
//	go -C bench/peers run ./coldstart
//
// Each sample is a process of its own, in turn, one thread each. It reads the weights
// from a file of the library's own format, which the page cache has; makes all that
// later calls need; and computes one step of one sequence from a zero state. The clock
// starts when the library is loaded; the last column is the whole process, with the
// start of Python or Go and of the library. Results that differ are an error.
//
// Python is that of the virtual environment that ../layers keeps, or -python. A library
// that it lacks is reported as absent.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/layer"
)

const (
	ours      = "simdrnn"
	tolerance = 1e-5 // of results
	patience  = 2 * time.Minute
)

func main() {
	log.SetFlags(0)
	c := config{script: filepath.Join("python", "coldstart.py")}
	peers := flag.String("peers", "onnxruntime,torch,openvino", "the Python `libraries`, separated by commas")
	flag.StringVar(&c.python, "python", venv(), "the `interpreter` that has them")
	flag.IntVar(&c.hidden, "hidden", 512, "units of a layer, and inputs")
	flag.IntVar(&c.layers, "layers", 2, "layers")
	flag.IntVar(&c.rounds, "rounds", 15, "samples of each library")
	child := flag.String("child", "", "be a sample: answer from this `directory`")
	flag.Parse()
	if *child != "" {
		if err := answerFrom(*child, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	c.peers = strings.FieldsFunc(*peers, func(r rune) bool { return r == ',' || r == ' ' })
	if err := c.check(); err != nil || flag.NArg() > 0 {
		log.Println(err, flag.Args())
		flag.Usage()
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "coldstart")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, err := c.measure(dir)
	if err != nil {
		os.RemoveAll(dir)
		log.Fatal(err)
	}
	r.table(os.Stdout)
}

// venv returns the interpreter of the virtual environment of ../layers.
func venv() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "python3"
	}
	bin := []string{"bin", "python"}
	if runtime.GOOS == "windows" {
		bin = []string{"Scripts", "python.exe"}
	}
	return filepath.Join(cache, "simdrnn-peers", "venv", bin[0], bin[1])
}

type config struct {
	peers                  []string
	python, script         string
	hidden, layers, rounds int
}

func (c *config) check() error {
	for _, n := range []struct {
		name string
		v    int
	}{{"-hidden", c.hidden}, {"-layers", c.layers}, {"-rounds", c.rounds}} {
		if n.v < 1 {
			return fmt.Errorf("%s %d, want at least 1", n.name, n.v)
		}
	}
	return nil
}

// An answer is what a sample prints, in one line: versions, seconds, and y.
type answer struct {
	Version string    `json:"version"`
	Load    float64   `json:"load"`  // from the file until calls are possible
	First   float64   `json:"first"` // call
	Y       []float32 `json:"y"`
	process float64
}

func (a answer) total() float64 { return a.Load + a.First }

// files of a directory for answerFrom and the script.
const weightsFile, inputFile = "weights.safetensors", "input.safetensors"

// answerFrom is a sample of simdrnn.
func answerFrom(dir string, w io.Writer) error {
	input, err := layer.ReadSafetensors(filepath.Join(dir, inputFile))
	if err != nil {
		return err
	}
	x := input["x"].Data
	y := make([]float32, len(x))

	start := time.Now()
	weights, err := layer.ReadSafetensors(filepath.Join(dir, weightsFile))
	if err != nil {
		return err
	}
	lstm, err := layer.LoadLSTM(weights, "", layer.LSTMConfig{})
	if err != nil {
		return err
	}
	stream := lstm.NewStream(1)
	loaded := time.Now()
	stream.Step(y, x)
	end := time.Now()
	return json.NewEncoder(w).Encode(answer{runtime.Version(), loaded.Sub(start).Seconds(), end.Sub(loaded).Seconds(), y, 0})
}

// A contender is a library, and how to start a process that uses it.
type contender struct {
	name    string
	command func() *exec.Cmd
	samples []answer
	absent  string // why
}

type report struct {
	config
	all []*contender
}

// measure takes all samples, round by round in turn.
func (c *config) measure(dir string) (*report, error) {
	random := layer.NewRand(1)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: c.hidden, Hidden: c.hidden, Layers: c.layers}, random)
	if err != nil {
		return nil, err
	}
	x := layer.Tensor{Shape: []int{1, 1, c.hidden}, Data: make([]float32, c.hidden)}
	random.Normal(x.Data, 0, 1)
	want := make([]float32, c.hidden)
	lstm.NewStream(1).Step(want, x.Data)
	for name, sd := range map[string]layer.StateDict{weightsFile: lstm.Params().StateDict(""), inputFile: {"x": x}} {
		if err := layer.WriteSafetensors(filepath.Join(dir, name), sd); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &report{config: *c}
	add := func(name string, prepare bool, program string, args ...string) {
		command := func(args ...string) *exec.Cmd {
			cmd := exec.Command(program, args...)
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "OMP_NUM_THREADS=1")
			return cmd
		}
		l := &contender{name: name, command: func() *exec.Cmd { return command(args...) }}
		if prepare {
			if _, err := run(command(append(args, "save")...)); err != nil {
				l.absent = err.Error()
			}
		}
		r.all = append(r.all, l)
	}
	add(ours, false, self, "-child", dir)
	for _, p := range c.peers {
		add(p, true, c.python, c.script, p, dir)
	}
	for round := range c.rounds {
		for i := range r.all {
			l := r.all[(i+round)%len(r.all)]
			if l.absent != "" {
				continue
			}
			a, err := l.sample(want)
			if err != nil && l.name == ours {
				return nil, fmt.Errorf("%s: %w", ours, err)
			}
			if err != nil {
				l.absent = err.Error()
				continue
			}
			l.samples = append(l.samples, a)
		}
	}
	return r, nil
}

// run returns what a command prints, or an error with what it says last.
func run(cmd *exec.Cmd) ([]byte, error) {
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return []byte(out.String()), nil
}

// sample runs one process.
func (l *contender) sample(want []float32) (a answer, err error) {
	start := time.Now()
	out, err := run(l.command())
	a.process = time.Since(start).Seconds()
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(out, &a); err != nil {
		return a, err
	}
	if len(a.Y) != len(want) {
		return a, fmt.Errorf("%d results, want %d", len(a.Y), len(want))
	}
	for i, v := range a.Y {
		if d := math.Abs(float64(v) - float64(want[i])); !(d <= tolerance) {
			return a, fmt.Errorf("result %d differs by %.2g", i, d)
		}
	}
	if a.Load <= 0 || a.First <= 0 {
		return a, errors.New("no times")
	}
	return a, nil
}

// median of what of returns for the samples, in milliseconds.
func (l *contender) median(of func(answer) float64) float64 {
	var s []float64
	for _, a := range l.samples {
		s = append(s, 1e3*of(a))
	}
	return timing.Median(s)
}

// table writes the medians.
func (r *report) table(w io.Writer) {
	fmt.Fprintf(w, "%s/%s, LSTM, I = H = %d, %d layers, one thread; medians of %d processes each, in turn\n\n",
		runtime.GOOS, runtime.GOARCH, r.hidden, r.layers, r.rounds)
	fmt.Fprintln(w, "| | Version | Load | First step | Together | By ours | Whole process |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |")
	base := r.all[0].median(answer.total)
	for _, l := range r.all {
		if l.absent != "" {
			fmt.Fprintf(w, "| %s | absent: %s | – | – | – | – | – |\n", l.name, strings.ReplaceAll(l.absent, "|", " "))
			continue
		}
		total := l.median(answer.total)
		fmt.Fprintf(w, "| %s | %s | %.1f ms | %.2f ms | %.1f ms | %.1f | %.0f ms |\n", l.name, cmp.Or(l.samples[0].Version, "–"),
			l.median(func(a answer) float64 { return a.Load }), l.median(func(a answer) float64 { return a.First }),
			total, total/base, l.median(func(a answer) float64 { return a.process }))
	}
}
