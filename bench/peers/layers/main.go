// Command layers compares the recurrent layers with those of PyTorch, ONNX
// Runtime, OpenVINO and JAX, and with networks put together from the kernels of Go
// libraries:
//
//	go -C bench/peers run ./layers -quick
//	go -C bench/peers run ./layers -peers onnxruntime,openvino -rows 'forward/.*/B=1/'
//
// as make bench-peers does. It keeps a virtual environment of Python in the
// user's cache directory, some 7 GB with all of them: PyTorch alone is 5.6 GB. A
// library that cannot be had, or whose results differ, is reported as absent.
//
// All libraries compute the same rows from the same weights and inputs, in turn,
// each in a process that stays; simdrnn and the Go libraries in this one. A
// sample of a row is as many calls as take 50 ms, after one that is not timed;
// the tables show medians. On one thread all share one CPU.
//
// SIMDRNN_ISA=avx2 holds both sides to AVX2, where a library has a switch for it,
// and leaves out those that have none.
//
// It writes README.md with the tables, results.json with all samples, and a chart
// for each table to the directory of -o. An interrupt ends the run after the row
// at hand.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
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
		rounds   = flag.Int("rounds", 9, fmt.Sprintf("samples of each library and row, at least %d", leastRounds))
		quick    = flag.Bool("quick", false, "few rows, short samples")
		threads  = flag.String("threads", "both", "one, all or both")
		out      = flag.String("o", "results", "write to this `directory`")
		list     = flag.Bool("list", false, "list the rows and exit")
		from     = flag.String("from", "", "write the tables and charts of an earlier `results.json` and measure nothing")
		scripts  = flag.String("scripts", "python", "the `directory` of the peers' scripts")
	)
	flag.Parse()
	p := plan{rounds: *rounds, sample: 50 * time.Millisecond, log: os.Stderr}
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
	if *from != "" {
		r, err := readReport(*from)
		if err == nil {
			err = r.write(*out)
		}
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "simdrnn-peers")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	p.dir = dir
	e := &environment{dir: filepath.Join(cache, "simdrnn-peers", "venv"), scripts: *scripts, failed: map[string]error{}}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt does not wait for the row
	r, err := p.measure(ctx, e)
	if err == nil {
		r.Quick = *quick
		err = r.write(*out)
	}
	if err != nil {
		os.RemoveAll(dir)
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stderr, "written:", filepath.Join(*out, "README.md"))
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
	if quick {
		p.sample = 5 * time.Millisecond
	}
	p.rows = slices.DeleteFunc(rows(), func(r *row) bool { return !name.MatchString(r.name()) || quick && !r.quick })
	if len(p.rows) == 0 {
		return fmt.Errorf("no row matches")
	}
	return nil
}

// write writes all files to dir.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	file := func(name string, f func(io.Writer) error) error {
		w, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer w.Close()
		if err := f(w); err != nil {
			return err
		}
		return w.Close()
	}
	for _, p := range r.parts() {
		if err := file(p.file(), func(w io.Writer) error { return p.chart(w, r.about()) }); err != nil {
			return err
		}
	}
	if err := file("README.md", r.markdown); err != nil {
		return err
	}
	return file("results.json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "\t")
		return e.Encode(r)
	})
}

// readReport reads what write has written, with the rows of today.
func readReport(file string) (*report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	known := map[string]*row{}
	for _, row := range rows() {
		known[row.name()] = row
	}
	for _, m := range r.Rows {
		if m.row = known[m.Name]; m.row == nil || m.of(ours) == nil {
			return nil, fmt.Errorf("%s: row %q is unknown, or has no result of %s", file, m.Name, ours)
		}
		m.Target = m.row.targetFor(m.Threads)
	}
	return r, nil
}
