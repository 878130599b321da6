package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/simdrnn/simdrnn/train"
)

type sampleOptions struct {
	checkpoint  string
	n           int
	temperature float64
	seed        int64
	prompt      string
}

// loadNetwork returns the network of a checkpoint.
func loadNetwork(path string, w io.Writer) (*network, vocab, error) {
	path = usable(path, w)
	weights, meta, err := train.ReadCheckpoint(path)
	if err != nil {
		return nil, nil, err
	}
	var s settings
	if err := s.read(meta); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	net, err := newNetwork(s.Config, s.Vocab.size(), nil)
	if err != nil {
		return nil, nil, err
	}
	if err := net.load(weights); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return net, s.Vocab, nil
}

// runSample writes text as the network of a checkpoint would go on after the
// prompt.
func runSample(opt sampleOptions, w, warnings io.Writer) error {
	net, v, err := loadNetwork(opt.checkpoint, warnings)
	if err != nil {
		return err
	}
	s := newSampler(net, opt.temperature, opt.seed)
	err = sample(w, s, v, []byte(opt.prompt), opt.n)
	if errors.Is(err, syscall.EPIPE) {
		return nil // the reader has had enough
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

// sample writes the prompt and n characters after it, each as soon as it is
// there.
func sample(w io.Writer, s *sampler, v vocab, prompt []byte, n int) error {
	if _, err := w.Write(prompt); err != nil {
		return err
	}
	for _, symbol := range v.encode(nil, prompt) {
		s.read(symbol)
	}
	for range n {
		if _, err := io.WriteString(w, v.text(s.next())); err != nil {
			return err
		}
	}
	return nil
}
