// Charlm trains a network that writes text, character by character, on Go's own
// source or on other text, and lets it write.
//
//	go -C examples/charlm run .
//	go -C examples/charlm run . -data book.txt -cell gru -hidden 384
//	go -C examples/charlm run . -resume
//	go -C examples/charlm run . sample -temperature .7 -prompt 'func '
//	go -C examples/charlm run . compare -python python3
//
// A checkpoint is written again and again, and when the process is told to stop.
// With -resume a run goes on bit for bit as if it had not stopped.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/kernels"
)

func main() { os.Exit(program(os.Args[1:], os.Stdout, os.Stderr)) }

// program is what main does. What cannot be done gives one line on stderr and exit
// code 2, and an interrupt exit code 130.
func program(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errInterrupted):
		return 130
	}
	fmt.Fprintln(stderr, "charlm:", strings.ReplaceAll(err.Error(), "\n", `\n`))
	return 2
}

func dispatch(args []string, stdout, stderr io.Writer) error {
	if _, err := kernels.Active(); err != nil {
		return err
	}
	command := "train"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet("charlm "+command, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // no usage after an error
	checkpoint := fs.String("checkpoint", "charlm.safetensors", "`file` of the run")
	var do func() error
	switch command {
	case "train":
		do = trainFlags(fs, checkpoint, stdout)
	case "sample":
		do = sampleFlags(fs, checkpoint, stdout, stderr)
	case "compare":
		do = compareFlags(fs, stdout, stderr)
	default:
		return fmt.Errorf("unknown command %q, want train, sample or compare", command)
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stdout, "usage: charlm [train] [flags] | charlm sample [flags] | charlm compare [flags]\n\ncharlm %s:\n", command)
			fs.SetOutput(stdout)
			fs.PrintDefaults()
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return do()
}

// trainFlags defines the flags of train, which do runs after they are parsed.
func trainFlags(fs *flag.FlagSet, checkpoint *string, stdout io.Writer) (do func() error) {
	cfg, opt := defaults, trainOptions{}
	cfg.flags(fs)
	dataFlags(fs, &opt.data, &opt.match)
	fs.StringVar(&opt.plot, "plot", "charlm.svg", "`file` of the loss curve at the end: SVG, PNG or PDF by its name; empty for none")
	fs.BoolVar(&opt.resume, "resume", false, "go on with the run of -checkpoint")
	fs.BoolVar(&opt.force, "force", false, "replace an old checkpoint by a new run")
	fs.IntVar(&opt.log, "log", 100, "`steps` between lines where there is no terminal")
	fs.IntVar(&opt.stopAfter, "stop-after", 0, "save and stop after so many `steps`; 0 for none")
	fs.IntVar(&opt.threads, "threads", runtime.GOMAXPROCS(0), "`processors` of a step, whose results do not depend on it")
	return func() error {
		opt.checkpoint = *checkpoint
		if err := opt.check(fs); err != nil {
			return err
		}
		if err := cfg.check(); err != nil {
			return err
		}
		return runTrain(cfg, opt, stdout)
	}
}

func sampleFlags(fs *flag.FlagSet, checkpoint *string, stdout, stderr io.Writer) (do func() error) {
	opt := sampleOptions{}
	fs.IntVar(&opt.n, "n", 1000, "`characters` to write")
	fs.Float64Var(&opt.temperature, "temperature", .8, "0 takes the most likely character, 1 what was learnt")
	fs.Int64Var(&opt.seed, "seed", 1, "`seed` of the choices")
	fs.StringVar(&opt.prompt, "prompt", "", "`text` to go on after")
	return func() error {
		opt.checkpoint = *checkpoint
		switch {
		case opt.n < 0:
			return fmt.Errorf("-n is %d, want at least 0", opt.n)
		case !(opt.temperature >= 0) || math.IsInf(opt.temperature, 0):
			return fmt.Errorf("-temperature is %v, want a finite number of at least 0", opt.temperature)
		}
		return runSample(opt, stdout, stderr)
	}
}

func compareFlags(fs *flag.FlagSet, stdout, stderr io.Writer) (do func() error) {
	cfg, opt := defaults, compareOptions{}
	cfg.Steps = 300
	cfg.flags(fs)
	dataFlags(fs, &opt.data, &opt.match)
	fs.StringVar(&opt.python, "python", "python3", "`program` that has torch")
	fs.StringVar(&opt.script, "script", filepath.Join("compare", "compare.py"), "the `file` that it runs")
	fs.Float64Var(&opt.tolerance, "tolerance", 5e-5, "largest difference of a loss, in `nats`")
	fs.IntVar(&opt.block, "block", 10, "`steps` that each makes in turn")
	fs.IntVar(&opt.threads, "threads", 1, "`processors` that each may use")
	return func() error {
		if err := cfg.check(); err != nil {
			return err
		}
		if opt.block < 1 {
			return fmt.Errorf("-block is %d, want at least 1", opt.block)
		}
		if opt.threads < 1 {
			return fmt.Errorf("-threads is %d, want at least 1", opt.threads)
		}
		return runCompare(cfg, opt, stdout, stderr)
	}
}

func dataFlags(fs *flag.FlagSet, data, match *string) {
	fs.StringVar(data, "data", "", "`file` or folder of text (default Go's own source)")
	fs.StringVar(match, "match", "*.go", "`pattern` of the names of files in a folder")
}

// flags binds the settings of a run.
func (c *config) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Cell, "cell", c.Cell, "lstm or gru")
	fs.IntVar(&c.Embed, "embed", c.Embed, "`size` of the vector of a character")
	fs.IntVar(&c.Hidden, "hidden", c.Hidden, "hidden `units`")
	fs.IntVar(&c.Layers, "layers", c.Layers, "recurrent `layers`")
	fs.Float64Var(&c.Dropout, "dropout", c.Dropout, "`probability` between layers")
	fs.IntVar(&c.Groups, "groups", c.Groups, "`groups` of streams of text that take turns, fewer for little text")
	fs.IntVar(&c.Batch, "batch", c.Batch, "parallel `streams` of a group")
	fs.IntVar(&c.Unroll, "unroll", c.Unroll, "`steps` that gradients go back")
	fs.IntVar(&c.Steps, "steps", c.Steps, "training `steps`")
	fs.IntVar(&c.Warmup, "warmup", c.Warmup, "`steps` in which the learning rate rises; then it falls as a cosine")
	fs.Float64Var(&c.LR, "lr", c.LR, "highest learning `rate` of Adam")
	fs.Float64Var(&c.Beta2, "beta2", c.Beta2, "`decay` of Adam's second moment")
	fs.Float64Var(&c.Clip, "clip", c.Clip, "largest `norm` of the gradient")
	fs.IntVar(&c.Every, "every", c.Every, "`steps` between measurements and checkpoints")
	fs.IntVar(&c.Valid, "valid", c.Valid, "held-out `characters` of a measurement")
	fs.Int64Var(&c.Seed, "seed", c.Seed, "`seed` of the weights and of the split of files")
}

// check returns the first setting that is wrong, by the name of its flag.
func (c *config) check() error {
	if c.Cell != "lstm" && c.Cell != "gru" {
		return fmt.Errorf("-cell is %q, want lstm or gru", c.Cell)
	}
	for _, f := range []struct {
		name         string
		v, low, high int
	}{
		{"embed", c.Embed, 1, 4096}, {"hidden", c.Hidden, 1, 4096}, {"layers", c.Layers, 1, 16},
		{"groups", c.Groups, 1, 4096}, {"batch", c.Batch, 1, 4096}, {"unroll", c.Unroll, 1, 4096}, {"steps", c.Steps, 1, math.MaxInt32},
		{"warmup", c.Warmup, 0, math.MaxInt32}, {"every", c.Every, 1, math.MaxInt32}, {"valid", c.Valid, 2, math.MaxInt32},
	} {
		if f.v < f.low || f.v > f.high {
			return fmt.Errorf("-%s is %d, want %d to %d", f.name, f.v, f.low, f.high)
		}
	}
	for _, f := range []struct {
		name string
		v    float64
	}{{"lr", c.LR}, {"clip", c.Clip}} {
		if !(f.v > 0) || math.IsInf(f.v, 0) {
			return fmt.Errorf("-%s is %v, want a finite number above 0", f.name, f.v)
		}
	}
	for _, f := range []struct {
		name string
		v    float64
	}{{"dropout", c.Dropout}, {"beta2", c.Beta2}} {
		if !(f.v >= 0 && f.v < 1) {
			return fmt.Errorf("-%s is %v, want at least 0 and below 1", f.name, f.v)
		}
	}
	return nil
}

// check refuses what is out of range, and what a run that goes on cannot change.
func (o *trainOptions) check(fs *flag.FlagSet) (err error) {
	switch {
	case o.log < 0:
		return fmt.Errorf("-log is %d, want at least 0", o.log)
	case o.stopAfter < 0:
		return fmt.Errorf("-stop-after is %d, want at least 0", o.stopAfter)
	case o.threads < 1:
		return fmt.Errorf("-threads is %d, want at least 1", o.threads)
	case !o.resume:
		return nil
	}
	free := []string{"resume", "checkpoint", "data", "plot", "log", "stop-after", "threads"}
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains(free, f.Name) {
			err = fmt.Errorf("-%s is fixed by the checkpoint, want none with -resume", f.Name)
		}
	})
	return err
}
