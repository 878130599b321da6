// Command rtneural compares networks as audio plug-ins have them, run sample by
// sample, with RTNeural, a C++ library for real-time audio:
//
//	git clone https://github.com/jatinchowdhury18/RTNeural
//	git -C RTNeural submodule update --init modules/xsimd
//	go -C bench/peers run ./rtneural -source $PWD/RTNeural -cxx g++,clang++
//
// A network is an LSTM or GRU with one input and H units, and a dense layer from H
// to one output; for us layer.LSTM or layer.GRU and layer.Linear. All have the same
// weights, PyTorch's initialisation, and the same 2048 samples of N(0,1). Who
// differs from our outputs by more than 1e-5 from a zero state takes no part.
// simdrnn computes them in blocks, by a Stream.Forward and a Linear.Forward for all
// 2048, and one at a time, by a Stream.StepLinear each. RTNeural has
// one way, a call of forward for each sample, of a model whose sizes the compiler
// knows (ModelT), with its accurate functions, which are the default.
//
// RTNeural is compiled for each compiler of -cxx, each of its backends with SIMD,
// Eigen and xsimd, and each choice of -isa, with the options of its build for speed:
// -O3 -DNDEBUG and, native, -march=native or, avx2, -mavx2 -mfma. -isa avx2 alone
// holds us to AVX2 as well; -xsimd is for a checkout of xsimd elsewhere. Programs
// are kept in the user's cache directory, as compiling takes minutes; -build only
// makes them. A compiler or backend that is not there is reported as absent.
//
// Each contender is a process that stays, simdrnn this one; all share one CPU, but for
// the threads of Go's runtime that compute nothing. In each round all have a sample of
// some milliseconds of each network in turn, after a block that is not timed. The table,
// in Markdown, has the time of a sample of audio: the median of all rounds and, in
// parentheses, the 10th percentile, which says what it takes while nothing else disturbs
// the machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/kernels"
)

const leastRounds = 15

func main() {
	log.SetFlags(0)
	var c config
	cxx := flag.String("cxx", "g++,clang++", "`compilers`, separated by commas")
	isa := flag.String("isa", "native", "`targets` of the compilers: native, avx2 or both, separated by a comma")
	flag.StringVar(&c.source, "source", "", "the `directory` of RTNeural")
	flag.StringVar(&c.xsimd, "xsimd", "", "the `directory` of xsimd (default modules/xsimd of -source)")
	flag.IntVar(&c.rounds, "rounds", 61, fmt.Sprintf("samples of each contender and network, at least %d", leastRounds))
	flag.DurationVar(&c.sample, "sample", 3*time.Millisecond, "the `time` of a sample")
	only := flag.Bool("build", false, "compile, and measure nothing")
	flag.Parse()
	c.compilers, c.isas = list(*cxx), list(*isa)
	if err := c.check(); err != nil || flag.NArg() > 0 {
		log.Println(err, flag.Args())
		flag.Usage()
		os.Exit(2)
	}
	if err := c.run(*only); err != nil {
		log.Fatal(err)
	}
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

type config struct {
	source, xsimd   string
	compilers, isas []string
	rounds          int
	sample          time.Duration
}

func (c *config) check() error {
	if c.source == "" {
		return errors.New("-source is missing: git clone https://github.com/jatinchowdhury18/RTNeural")
	}
	if _, err := os.Stat(filepath.Join(c.source, "RTNeural", "RTNeural.h")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-source %s: no RTNeural/RTNeural.h there", c.source)
	} else if err != nil {
		return err
	}
	for _, isa := range c.isas {
		if _, ok := isaOptions[isa]; !ok {
			return fmt.Errorf("-isa %q, want native or avx2", isa)
		}
	}
	if len(c.isas) == 0 || len(c.compilers) == 0 {
		return errors.New("-isa or -cxx is empty")
	}
	if c.rounds < leastRounds {
		return fmt.Errorf("-rounds %d, want at least %d", c.rounds, leastRounds)
	}
	if c.sample <= 0 {
		return fmt.Errorf("-sample %v, want more", c.sample)
	}
	return nil
}

// run compiles and measures, and writes the table.
func (c *config) run(onlyBuild bool) error {
	if !slices.Contains(c.isas, "native") {
		if err := kernels.Use(kernels.AVX2); err != nil {
			return err
		}
	}
	isa, err := kernels.Active()
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	builds := c.builds(filepath.Join(cache, "simdrnn-peers", "rtneural"))
	for _, b := range builds {
		if err := b.compile(); err != nil {
			b.absent = err.Error()
			log.Printf("%s is absent: %v", b.name, err)
		}
	}
	if !slices.ContainsFunc(builds, func(b *build) bool { return b.absent == "" }) {
		return errors.New("RTNeural could not be compiled")
	}
	if onlyBuild {
		return nil
	}
	undo, err := timing.PinThread(timing.LastCPU())
	if err != nil {
		return err
	}
	defer undo()
	r := &report{isa: isa.String(), version: c.version(), isas: c.isas, rounds: c.rounds, sample: c.sample, before: timing.LoadAverage()}
	all := []contender{new(blocks), new(steps)}
	for _, b := range builds {
		d := &driver{build: b}
		d.start()
		defer d.close()
		all = append(all, d)
	}
	if err := r.measure(networks(), all); err != nil {
		return err
	}
	r.after = timing.LoadAverage()
	r.write(os.Stdout)
	return nil
}
