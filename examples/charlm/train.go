package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/simdrnn/simdrnn/train"
)

// trainOptions are what a run may do otherwise without computing something else.
type trainOptions struct {
	data, match string
	checkpoint  string
	plot        string
	resume      bool
	force       bool
	log         int // steps between lines
	stopAfter   int // steps of this process; 0: all
	threads     int
}

// history is what the curve shows, and the loss since its last point. It is part
// of the checkpoint.
type history struct {
	Chars []int     `json:"chars"` // trained on, at each point
	Train []float64 `json:"train"` // bits per character, the mean since the point before
	Valid []float64 `json:"valid"`
	Sum   float64   `json:"sum"` // of the loss in nats since the last point
	Steps int       `json:"steps"`
}

func (h *history) MarshalBinary() ([]byte, error) { return json.Marshal(h) }
func (h *history) UnmarshalBinary(b []byte) error {
	var n history
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if len(n.Train) != len(n.Chars) || len(n.Valid) != len(n.Chars) {
		return fmt.Errorf("history has %d, %d and %d points", len(n.Chars), len(n.Train), len(n.Valid))
	}
	*h = n
	return nil
}

// settings are the texts that a checkpoint has beside numbers.
type settings struct {
	Config config `json:"config"`
	Vocab  vocab  `json:"vocab"`
	Data   string `json:"data"` // where it was read
	Match  string `json:"match"`
	Hash   string `json:"hash"` // of the text
}

const settingsKey = "charlm"

func (s settings) meta() (map[string]string, error) {
	b, err := json.Marshal(s)
	return map[string]string{settingsKey: string(b)}, err
}

func (s *settings) read(meta map[string]string) error {
	text, ok := meta[settingsKey]
	if !ok {
		return errors.New("a checkpoint of another program")
	}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return err
	}
	if !slices.IsSorted(s.Vocab) || len(s.Vocab) > 0 && s.Vocab[len(s.Vocab)-1] >= utf8.RuneSelf {
		return errors.New("the vocabulary is not ASCII in order")
	}
	return s.Config.check()
}

// errInterrupted says that a run was stopped by the user, after saving it.
var errInterrupted = errors.New("interrupted")

// runTrain trains a network, or goes on with it.
func runTrain(cfg config, opt trainOptions, w io.Writer) error {
	s := settings{Config: cfg, Data: opt.data, Match: opt.match}
	_, err := os.Stat(opt.checkpoint)
	switch {
	case opt.resume:
		if s, err = readSettings(opt, w); err != nil {
			return err
		}
		if opt.data != "" {
			s.Data = opt.data
		}
		cfg = s.Config
	case err == nil && !opt.force:
		return fmt.Errorf("%s exists: -resume goes on with it, -force replaces it", opt.checkpoint)
	}
	if s.Data == "" {
		if s.Data, err = goSource(); err != nil {
			return err
		}
	}
	text, err := readCorpus(s.Data, s.Match, cfg.Seed)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, text.about)
	hash := text.hash()
	if opt.resume && s.Hash != hash {
		return fmt.Errorf("%s is not the text that the checkpoint was trained on", s.Data)
	}
	s.Vocab, s.Hash = text.vocab, hash

	r, err := newRun(cfg, text)
	if err != nil {
		return err
	}
	r.setThreads(opt.threads)
	r.eval.stream.SetThreads(opt.threads)
	if r.Meta, err = s.meta(); err != nil {
		return err
	}
	if opt.resume {
		if err := r.load(opt.checkpoint); err != nil {
			return err
		}
		fmt.Fprintf(w, "going on after step %d\n", r.Step)
	}
	return r.train(opt, w)
}

// readSettings finds the checkpoint to go on with. If the newest one is broken it
// says so and takes the one before.
func readSettings(opt trainOptions, w io.Writer) (s settings, err error) {
	_, meta, err := train.ReadCheckpoint(usable(opt.checkpoint, w))
	if err != nil {
		return s, err
	}
	if err := s.read(meta); err != nil {
		return s, fmt.Errorf("%s: %w", opt.checkpoint, err)
	}
	return s, nil
}

// usable returns the name of a checkpoint, or of the one before if that is whole
// and this is not.
func usable(path string, w io.Writer) string {
	_, _, err := train.ReadCheckpoint(path)
	if err == nil {
		return path
	}
	previous := path + ".previous"
	if _, _, e := train.ReadCheckpoint(previous); e != nil {
		return path
	}
	fmt.Fprintf(w, "%v; taking %s\n", err, previous)
	return previous
}

// A run is a trainer on its way through a text.
type run struct {
	train.Checkpoint
	*trainer
	text      *reader
	eval      *evaluator
	history   history
	baselines []baseline
	corpus    *corpus
}

func newRun(cfg config, text *corpus) (*run, error) {
	V := text.vocab.size()
	cfg.Groups = max(1, min(cfg.Groups, (len(text.train)-1)/(cfg.Batch*cfg.Unroll))) // fewer for little text
	t, err := newTrainer(cfg, V)
	if err != nil {
		return nil, err
	}
	r := &run{trainer: t, corpus: text}
	if r.text, err = newReader(text.train, cfg.Groups, cfg.Batch, cfg.Unroll); err != nil {
		return nil, err
	}
	if r.eval, err = newEvaluator(t.network, text.valid); err != nil {
		return nil, err
	}
	r.Checkpoint = train.Checkpoint{
		Params:    t.network.params(),
		Optimizer: t.opt,
		Schedule:  t.sched,
		Rand:      t.rand,
		State: map[string]any{
			"h": t.h, "c": t.c, "position": &r.text.position, "history": &r.history,
		},
		Previous: true,
	}
	return r, nil
}

func (r *run) load(path string) error {
	if err := r.Load(usable(path, io.Discard)); err != nil {
		return err
	}
	if n := r.text.length() / r.cfg.Unroll * r.cfg.Groups; r.text.position < 0 || r.text.position > n {
		return fmt.Errorf("%s: position %d, want 0 to %d", path, r.text.position, n)
	}
	r.group = r.text.group()
	return nil
}

// step makes the next step.
func (r *run) step() (loss float32, err error) {
	x, y := r.text.next(true)
	if x == nil {
		x, y = r.text.next(true) // from the beginning
	}
	loss, err = r.trainer.step(x, y)
	if err == nil && (math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0)) {
		err = fmt.Errorf("loss is %v at step %d: want a smaller -lr", loss, r.Step)
	}
	if err != nil {
		return 0, err
	}
	r.history.Sum += float64(loss)
	r.history.Steps++
	r.Step++
	return loss, nil
}

// measure adds a point to the curve.
func (r *run) measure() error {
	bits, err := r.eval.bits()
	if err != nil {
		return err
	}
	h := &r.history
	h.Chars = append(h.Chars, r.Step*r.cfg.Batch*r.cfg.Unroll)
	h.Train = append(h.Train, h.Sum/float64(max(1, h.Steps))/math.Ln2)
	h.Valid = append(h.Valid, bits)
	h.Sum, h.Steps = 0, 0
	return nil
}

// train makes the steps that are left. It measures and saves every so many
// steps, saves if the process is told to stop, and draws the curve at the end.
func (r *run) train(opt trainOptions, w io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	r.baselines = baselines(r.corpus.train, r.eval.measured(), r.V)
	fmt.Fprintf(w, "bits per character of %d held out:", len(r.eval.measured())-1)
	for _, b := range r.baselines {
		fmt.Fprintf(w, " %s %.3f", b.name, b.bits)
	}
	fmt.Fprintf(w, " (%.1f s)\n", time.Since(began).Seconds())

	p := newProgress(w, r.cfg, r.Step, opt.log)
	defer p.close()
	for made := 0; r.Step < r.cfg.Steps; made++ {
		if opt.stopAfter > 0 && made == opt.stopAfter || ctx.Err() != nil {
			stop() // the next signal ends the process
			p.close()
			if err := r.Save(opt.checkpoint); err != nil {
				return err
			}
			fmt.Fprintf(w, "stopped after step %d of %d; -resume goes on\n", r.Step, r.cfg.Steps)
			if opt.stopAfter > 0 && made == opt.stopAfter {
				return nil
			}
			return errInterrupted
		}
		loss, err := r.step()
		if err != nil {
			return err
		}
		p.step(r.Step, loss, r.opt.LR())
		if r.Step%r.cfg.Every != 0 && r.Step < r.cfg.Steps {
			continue
		}
		if err := r.measure(); err != nil {
			return err
		}
		if err := r.Save(opt.checkpoint); err != nil {
			return err
		}
		last := len(r.history.Valid) - 1
		p.line(fmt.Sprintf("step %d: %.3f bits per character held out, %.3f in training; saved %s",
			r.Step, r.history.Valid[last], r.history.Train[last], opt.checkpoint))
	}
	p.close()
	if opt.plot != "" {
		if err := drawCurve(opt.plot, r.history, r.baselines); err != nil {
			return err
		}
		fmt.Fprintf(w, "loss curve: %s\n", opt.plot)
	}
	fmt.Fprintln(w, "a sample at temperature 0.8:")
	if err := sample(w, newSampler(r.network, .8, 1), r.corpus.vocab, nil, 400); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
