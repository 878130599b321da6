// Nextword trains a small network to say the third word of six sentences, first
// with an RNN, then with an LSTM, or with the cells that -cell names. It prints
// the costs that the same program on PyTorch prints after torch.manual_seed(seed).
//
//	go run ./examples/nextword
//	go run ./examples/nextword -cell gru -hidden 16 -seed 7
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/examples/nextword/model"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program. Wrong arguments, or a wrong SIMDRNN_ISA, give one line on
// stderr and exit code 2.
func run(args []string, stdout, stderr io.Writer) int {
	opt, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = opt.train(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "nextword:", strings.ReplaceAll(err.Error(), "\n", `\n`))
		return 2
	}
	return 0
}

type options struct {
	cells  []string
	epochs int
	model.Config
}

// maxHidden keeps an LSTM and its training within 2 GB.
const maxHidden = 4096

// parse reads the flags. It prints the usage to stdout if they ask for it.
func parse(args []string, stdout io.Writer) (options, error) {
	var opt options
	fs := flag.NewFlagSet("nextword", flag.ContinueOnError)
	cells := fs.String("cell", "rnn,lstm", "`cells` to train in turn: rnn, lstm, gru")
	fs.IntVar(&opt.epochs, "epochs", 500, "training `steps`")
	fs.IntVar(&opt.Hidden, "hidden", 5, "hidden `units`")
	fs.Float64Var(&opt.LR, "lr", .01, "learning `rate` of Adam")
	fs.Int64Var(&opt.Seed, "seed", 0, "`seed` of the parameters")
	fs.SetOutput(io.Discard) // no usage after an error
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stdout, "usage: nextword [flags]")
			fs.SetOutput(stdout)
			fs.PrintDefaults()
		}
		return opt, err
	}
	opt.cells = strings.Split(*cells, ",")
	for _, cell := range opt.cells {
		if !slices.Contains(model.Cells, cell) {
			return opt, fmt.Errorf("-cell has %q, want one of %s, or several with commas", cell, strings.Join(model.Cells, ", "))
		}
	}
	switch {
	case fs.NArg() > 0:
		return opt, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case opt.epochs < 1:
		return opt, fmt.Errorf("-epochs is %d, want at least 1", opt.epochs)
	case opt.Hidden < 1 || opt.Hidden > maxHidden:
		return opt, fmt.Errorf("-hidden is %d, want 1 to %d", opt.Hidden, maxHidden)
	case !(opt.LR > 0) || math.IsInf(opt.LR, 0):
		return opt, fmt.Errorf("-lr is %v, want a finite number above 0", opt.LR)
	}
	return opt, nil
}

// train trains and reports one model of each cell.
func (opt options) train(w io.Writer) error {
	for _, cell := range opt.cells {
		opt.Cell = cell
		m, err := model.New(opt.Config)
		if err != nil {
			return err
		}
		if len(opt.cells) > 1 {
			fmt.Fprintln(w, strings.ToUpper(cell))
		}
		for epoch := 1; epoch <= opt.epochs; epoch++ {
			cost, err := m.Epoch()
			if err != nil {
				return err
			}
			if epoch%100 == 0 {
				fmt.Fprintf(w, "Epoch: %04d cost = %.6f\n", epoch, cost)
			}
		}
		var inputs []string
		for _, s := range model.Sentences {
			inputs = append(inputs, list(strings.Fields(s)[:model.T]))
		}
		if _, err := fmt.Fprintf(w, "[%s] -> %s\n", strings.Join(inputs, ", "), list(m.Predict())); err != nil {
			return err
		}
	}
	return nil
}

// list writes words as Python does: ['i', 'like'].
func list(words []string) string { return "['" + strings.Join(words, "', '") + "']" }
