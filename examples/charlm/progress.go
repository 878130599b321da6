package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress shows how far training is: a bar on a terminal, else a line now and
// then.
type progress struct {
	w            io.Writer
	bar          *progressbar.ProgressBar // nil if w is no terminal
	cfg          config
	first, every int
	began        time.Time
	loss         float64 // mean, the last steps count most
	closed       bool
}

func newProgress(w io.Writer, cfg config, step, every int) *progress {
	p := &progress{w: w, cfg: cfg, first: step, every: every, began: time.Now(), loss: math.NaN()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(cfg.Steps,
			progressbar.OptionSetWriter(w), progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowCount(),
			progressbar.OptionShowDescriptionAtLineEnd())
		p.bar.Set(step)
	}
	return p
}

// step tells of a step that was made.
func (p *progress) step(step int, loss float32, lr float64) {
	const memory = .98
	if math.IsNaN(p.loss) {
		p.loss = float64(loss)
	}
	p.loss = memory*p.loss + (1-memory)*float64(loss)
	made := step - p.first
	elapsed := time.Since(p.began)
	rate := float64(made*p.cfg.Batch*p.cfg.Unroll) / elapsed.Seconds()
	left := time.Duration(float64(elapsed) / float64(made) * float64(p.cfg.Steps-step)).Round(time.Second)
	switch {
	case p.bar != nil:
		p.bar.Describe(fmt.Sprintf("loss %.3f, %.3f bits, lr %.1e, %.0f char/s, ETA %v", p.loss, p.loss/math.Ln2, lr, rate, left))
		p.bar.Set(step)
	case p.every > 0 && step%p.every == 0:
		fmt.Fprintf(p.w, "step %d/%d: loss %.3f, %.3f bits, lr %.1e, %.0f char/s, ETA %v\n",
			step, p.cfg.Steps, p.loss, p.loss/math.Ln2, lr, rate, left)
	}
}

// line prints a line, above the bar.
func (p *progress) line(text string) {
	if p.bar == nil {
		fmt.Fprintln(p.w, text)
		return
	}
	p.bar.Clear()
	fmt.Fprintln(p.w, text)
	p.bar.RenderBlank()
}

// close ends the bar.
func (p *progress) close() {
	if p.bar != nil && !p.closed {
		p.bar.Exit()
		fmt.Fprintln(p.w)
	}
	p.closed = true
}
