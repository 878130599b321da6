package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/simdrnn/simdrnn/layer"
)

type compareOptions struct {
	data, match    string
	python, script string
	tolerance      float64
	block          int
	threads        int
}

// A peer makes the same steps in another process. It is started with a folder,
// in which are
//
//	config.json           the settings, vocab, the number of symbols, and threads
//	init.safetensors      the weights before the first step
//	batches.bin           for each step x [T,B] and y [T,B], a byte a symbol
//
// and answers each line on its standard input, a number of steps, with a line of
// JSON: {"loss": [...], "seconds": s}.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

type answer struct {
	Loss    []float64 `json:"loss"`
	Seconds float64   `json:"seconds"`
}

func startPeer(opt compareOptions, dir string, stderr io.Writer) (*peer, error) {
	cmd := exec.Command(opt.python, opt.script, dir)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &peer{cmd, in, bufio.NewReader(out)}, nil
}

func (p *peer) steps(n int) (a answer, err error) {
	if _, err := fmt.Fprintln(p.in, n); err != nil {
		return a, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("the other process has ended: %w", err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if len(a.Loss) != n {
		return a, fmt.Errorf("%d losses from the other process, want %d", len(a.Loss), n)
	}
	return a, nil
}

// stop lets the process end, or ends it.
func (p *peer) stop() error {
	p.in.Close()
	done := time.AfterFunc(time.Minute, func() { p.cmd.Process.Kill() })
	defer done.Stop()
	return p.cmd.Wait()
}

// runCompare trains the same network on the same text here and in PyTorch, by
// turns and with as many threads, and compares losses and speed. A difference above the
// tolerance is an error.
func runCompare(cfg config, opt compareOptions, w, stderr io.Writer) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(opt.threads))
	var err error
	if opt.data == "" {
		if opt.data, err = goSource(); err != nil {
			return err
		}
	}
	text, err := readCorpus(opt.data, opt.match, cfg.Seed)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, text.about)
	r, err := newRun(cfg, text)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "charlm")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r.setThreads(opt.threads)
	if err := export(dir, r, opt.threads); err != nil {
		return err
	}
	p, err := startPeer(opt, dir, stderr)
	if err != nil {
		return err
	}
	var c comparison
	for err == nil && r.Step < cfg.Steps {
		if err = c.block(r, p, min(opt.block, cfg.Steps-r.Step)); err == nil && r.Step%(10*opt.block) == 0 {
			fmt.Fprintf(w, "step %d: loss %.6f here, %.6f there; largest difference %.1e at step %d\n",
				r.Step, c.last[0], c.last[1], c.worst, c.at)
		}
	}
	if e := p.stop(); e != nil {
		err = fmt.Errorf("the other process: %w", e)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d steps, first loss %.6f there, last %.6f here and %.6f there\n", r.Step, c.first, c.last[0], c.last[1])
	fmt.Fprintf(w, "largest difference of a loss: %.2e nats, at step %d\n", c.worst, c.at)
	m0, b0 := c.speed(0)
	m1, b1 := c.speed(1)
	fmt.Fprintf(w, "characters a second, threads = %d: median %.0f here, %.0f there (%.2f times); best %.0f and %.0f (%.2f times)\n",
		opt.threads, m0, m1, m0/m1, b0, b1, b0/b1)
	if !(c.worst <= opt.tolerance) {
		return fmt.Errorf("losses differ by %.2e, want at most %.2e", c.worst, opt.tolerance)
	}
	return nil
}

// A comparison is what both have done so far, here and there.
type comparison struct {
	first float64      // loss there
	last  [2]float64   // losses
	worst float64      // difference of losses
	at    int          // its step
	rates [][2]float64 // characters a second of each block
}

// block makes n steps here, and then there.
func (c *comparison) block(r *run, p *peer, n int) error {
	ours := answer{}
	began := time.Now()
	for range n {
		loss, err := r.step()
		if err != nil {
			return err
		}
		ours.Loss = append(ours.Loss, float64(loss))
	}
	ours.Seconds = time.Since(began).Seconds()
	theirs, err := p.steps(n)
	if err != nil {
		return err
	}
	for i, l := range ours.Loss {
		if d := math.Abs(l - theirs.Loss[i]); !(d <= c.worst) {
			c.worst, c.at = d, r.Step-n+i+1
		}
	}
	if r.Step == n {
		c.first = theirs.Loss[0]
	}
	c.last = [2]float64{ours.Loss[n-1], theirs.Loss[n-1]}
	chars := float64(n * r.cfg.Batch * r.cfg.Unroll)
	c.rates = append(c.rates, [2]float64{chars / ours.Seconds, chars / theirs.Seconds})
	return nil
}

// speed returns rates here, for i = 0, or there.
func (c *comparison) speed(i int) (median, best float64) {
	var v []float64
	for _, r := range c.rates {
		v = append(v, r[i])
	}
	slices.Sort(v)
	return v[len(v)/2], v[len(v)-1]
}

// export writes what a peer reads, and leaves the run at its beginning.
func export(dir string, r *run, threads int) error {
	b, err := json.Marshal(struct {
		config
		Vocab   int `json:"vocab"`
		Threads int `json:"threads"`
	}{r.cfg, r.V, threads})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o666); err != nil {
		return err
	}
	weights := layer.StateDict{}
	for prefix, params := range r.network.params() {
		maps.Copy(weights, params.StateDict(prefix))
	}
	if err := layer.WriteSafetensors(filepath.Join(dir, "init.safetensors"), weights); err != nil {
		return err
	}
	text, err := newReader(r.text.text, r.cfg.Groups, r.cfg.Batch, r.cfg.Unroll)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "batches.bin"))
	if err != nil {
		return err
	}
	defer file.Close()
	buf := bufio.NewWriter(file)
	for range r.cfg.Steps {
		x, y := text.next(true)
		if x == nil {
			x, y = text.next(true)
		}
		for _, symbols := range [][]int{x, y} {
			for _, s := range symbols {
				buf.WriteByte(byte(s))
			}
		}
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return file.Close()
}
