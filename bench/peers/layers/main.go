// Command layers compares the recurrent layers with those of PyTorch, ONNX
// Runtime, OpenVINO and JAX, with networks put together from the kernels of Go
// libraries, and with Go's neural-network libraries:
//
//	go -C bench/peers run ./layers -quick -o quick
//	go -C bench/peers run ./layers -peers onnxruntime,openvino -rows 'forward/.*/B=1/' -o some
//
//	go -C bench/peers run ./layers -threads one -rows '^go/' -o some
//
// as make bench-peers does; the last line needs no Python. It keeps a virtual environment of Python in the
// user's cache directory, some 7 GB with all of them: PyTorch alone is 5.6 GB. A
// library that cannot be had, or whose results differ, is reported as absent.
//
// All libraries compute the same rows from the same weights and inputs, in turn,
// each in a process that stays; simdrnn and the Go libraries in this one. A
// sample of a row is as many calls as take 50 ms, after one that is not timed if
// there are several; the tables show medians. On one thread all share one CPU, of
// this process the thread that computes; other Go libraries have any, one goroutine at a
// time. A library far behind the others has fewer and shorter samples, which the tables
// say.
//
// SIMDRNN_ISA=avx2 holds both sides to AVX2, where a library has a switch for it,
// and leaves out those that have none. Give it a directory of its own.
//
// After each row it saves results.json in the directory of -o, from which -resume
// goes on. At the end it draws charts beside it, and writes tables to the standard
// output or, with -pages, between the marks of README.md and PERFORMANCE.md. An
// interrupt ends the run after the row at hand.
//
// Do not use -again to choose between results: a row that is measured until it
// pleases, beside others that are not, says nothing. The tables tell of every run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"
)

func main() {
	log.SetFlags(0)
	var (
		peerList = flag.String("peers", "torch,onnxruntime,openvino,jax", "the Python `libraries`, separated by commas")
		pattern  = flag.String("rows", "", "only rows whose name matches the `regexp`")
		rounds   = flag.Int("rounds", leastRounds, fmt.Sprintf("samples of each library and row, at least %d", leastRounds))
		quick    = flag.Bool("quick", false, "few rows, short samples")
		threads  = flag.String("threads", "both", "one, all or both")
		out      = flag.String("o", "results", "write to this `directory`")
		list     = flag.Bool("list", false, "list the rows and exit")
		resume   = flag.Bool("resume", false, "measure the rows that the saved results lack")
		again    = flag.Bool("again", false, "measure rows again, say after a change of their code, and keep the other saved results")
		saved    = flag.Bool("saved", false, "measure nothing, write charts and tables of the saved results")
		pages    = flag.String("pages", "", "write tables into README.md and PERFORMANCE.md of this `directory`")
		scripts  = flag.String("scripts", "python", "the `directory` of the peers' scripts")
	)
	flag.Parse()
	p := plan{rounds: *rounds, sample: 50 * time.Millisecond, again: *again, log: os.Stderr}
	if err := p.configure(*peerList, *pattern, *threads, *quick); err != nil || flag.NArg() > 0 {
		log.Println(err, flag.Args())
		flag.Usage()
		os.Exit(2)
	}
	if *list {
		for _, r := range p.rows {
			fmt.Println(r.name())
		}
		return
	}
	r := new(report)
	var err error
	if *resume || *again || *saved {
		if r, err = load(*out); errors.Is(err, fs.ErrNotExist) && *resume {
			r, err = new(report), nil
		}
	}
	if err == nil && !*saved {
		p.save = func(r *report) error { return r.save(*out) }
		err = p.run(r, *scripts)
	}
	if err == nil {
		err = r.write(*out, *pages, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run measures into r until an interrupt.
func (p *plan) run(r *report, scripts string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "simdrnn-peers"); err != nil {
		return err
	}
	defer os.RemoveAll(p.dir)
	e := &environment{dir: filepath.Join(cache, "simdrnn-peers", "venv"), scripts: scripts, failed: map[string]error{}}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt does not wait for the row
	defer stop()
	return p.measure(ctx, e, r)
}

// configure sets what flags say.
func (p *plan) configure(peerList, pattern, threads string, quick bool) (err error) {
	if p.peers, err = chosen(peerList); err != nil {
		return err
	}
	name, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	if p.rounds < leastRounds {
		return fmt.Errorf("%d rounds, want at least %d", p.rounds, leastRounds)
	}
	var known bool
	if p.threads, known = map[string][]int{"one": {1}, "all": {runtime.NumCPU()}, "both": {1, runtime.NumCPU()}}[threads]; !known {
		return fmt.Errorf("-threads %q, want one, all or both", threads)
	}
	p.threads = slices.Compact(p.threads)
	if p.quick = quick; quick {
		p.sample = 5 * time.Millisecond
	}
	p.rows = slices.DeleteFunc(rows(), func(r *row) bool { return !name.MatchString(r.name()) || quick && !r.quick })
	if len(p.rows) == 0 {
		return fmt.Errorf("no row matches")
	}
	return nil
}
