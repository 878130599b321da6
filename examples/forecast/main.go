// Forecast learns to forecast a multivariate time series, and compares what it
// learned with simple methods: an LSTM or a GRU reads windows of hundreds of
// steps, of different lengths, and its loss is taken at the last one.
//
//	go run .
//	go run . -cell gru -target bedroom_C -plot bedroom.png
//	go run . -csv data.csv -target load -period 24 -out tomorrow.csv
//
// Without -csv the series is that of a simulated house; see house.go.
//
// # The file
//
// A CSV file has a header and a row for each step, at equal distances in time. The
// columns, or those that -columns names, are numbers; the last one is the target
// unless -target says otherwise. An empty cell, NA or NaN is missing, and with it
// the whole row: no window reaches across it, so that windows are shorter after a
// gap, as they are at the beginning. A row that was not recorded must stand in the
// file, with empty cells.
//
// # What is done
//
// The first 70 % of the rows are for training, the next 15 % for validation, and
// the last 15 % for the test. Columns are normalised by mean and deviation of the
// rows for training. The network learns the change of all columns until the next
// row, by Huber's loss on windows that end anywhere, with Adam, whose learning
// rate goes up and down once. To forecast, it reads a window as a Stream and goes
// on alone: each forecast is the input of the next step. The parameters that
// forecast the target best on the validation part, after whichever epoch, are
// those of the test.
//
// The table has the root mean square error of the target in the test part, after
// the same rows for all methods: persistence (as now), seasonal (as a season ago,
// with -period) and a linear autoregression of all columns, fitted by least
// squares. The plot shows the forecasts after a row where that of the network is
// as good as it usually is, and the errors at all distances.
//
// The same arguments give the same output. AVX2 and AVX-512 agree, too; on other
// architectures the float64 sums of the series and of least squares may differ in
// their last bits.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program. Wrong arguments, a bad file, or a wrong SIMDRNN_ISA, give
// one line on stderr and exit code 2.
func run(args []string, stdout, stderr io.Writer) int {
	opt, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = opt.forecast(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "forecast:", strings.ReplaceAll(err.Error(), "\n", `\n`))
		return 2
	}
	return 0
}

type options struct {
	csv, columns, target string
	days, period         int
	horizon, lags        int
	plot, out            string
	config
}

const (
	maxLags       = 96      // chosen by -lags 0
	maxRegressors = 4096    // of the autoregression
	maxSize       = 1 << 26 // numbers of an activation of a batch: some 2 GB in all
)

// formats are the plots that can be drawn, by the end of the file's name.
var formats = []string{".svg", ".png", ".pdf"}

// parse reads the flags. It prints the usage to stdout if they ask for it.
func parse(args []string, stdout io.Writer) (options, error) {
	var opt options
	fs := flag.NewFlagSet("forecast", flag.ContinueOnError)
	fs.StringVar(&opt.csv, "csv", "", "`file` with the series; none: a simulated house")
	fs.StringVar(&opt.columns, "columns", "", "`names` of the columns to take, with commas; none: all")
	fs.StringVar(&opt.target, "target", "", "`name` of the column to compare; none: the last")
	fs.IntVar(&opt.period, "period", -1, "`rows` of a season, 0: none; -1: 96 for the house, none for a file")
	fs.IntVar(&opt.days, "days", 160, "`days` of the house")
	fs.IntVar(&opt.horizon, "horizon", 48, "`rows` to forecast")
	fs.IntVar(&opt.lags, "lags", 0, "`rows` that the autoregression reads; 0: at most 96, as the data allow")
	fs.StringVar(&opt.plot, "plot", "forecast.svg", "`file` to draw to, by its end .svg, .png or .pdf; none: no plot")
	fs.StringVar(&opt.out, "out", "", "CSV `file` to write the forecast after the end of the series to; none: not wanted")
	fs.StringVar(&opt.cell, "cell", "lstm", "`lstm` or gru")
	fs.IntVar(&opt.hidden, "hidden", 32, "hidden `units` of a layer")
	fs.IntVar(&opt.layers, "layers", 1, "`layers`")
	fs.IntVar(&opt.window, "window", 256, "`rows` of the longest window")
	fs.IntVar(&opt.batch, "batch", 32, "`windows` of a training step")
	fs.IntVar(&opt.batches, "batches", 100, "training `steps` of an epoch")
	fs.IntVar(&opt.epochs, "epochs", 20, "`epochs`")
	fs.Float64Var(&opt.lr, "lr", 1e-2, "largest learning `rate` of Adam")
	fs.Float64Var(&opt.noise, "noise", .03, "`noise` of the windows in training, in deviations of the columns")
	fs.Int64Var(&opt.seed, "seed", 0, "`seed` of the parameters, the windows and the house")
	fs.SetOutput(io.Discard) // no usage after an error
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stdout, "usage: forecast [flags]")
			fs.SetOutput(stdout)
			fs.PrintDefaults()
		}
		return opt, err
	}
	if fs.NArg() > 0 {
		return opt, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	for _, n := range []struct {
		name          string
		v, least, top int
	}{
		{"period", opt.period, -1, 1e6}, {"days", opt.days, 30, 10000}, {"horizon", opt.horizon, 1, 1e5}, {"lags", opt.lags, 0, 10000},
		{"hidden", opt.hidden, 1, 4096}, {"layers", opt.layers, 1, 100}, {"window", opt.window, minHistory, 1e6},
		{"batch", opt.batch, 1, 1e5}, {"batches", opt.batches, 1, 1e6}, {"epochs", opt.epochs, 1, 1e6},
	} {
		if n.v < n.least || n.v > n.top {
			return opt, fmt.Errorf("-%s is %d, want %d to %d", n.name, n.v, n.least, n.top)
		}
	}
	switch {
	case !(opt.lr > 0) || math.IsInf(opt.lr, 0):
		return opt, fmt.Errorf("-lr is %v, want a finite number above 0", opt.lr)
	case !(opt.noise >= 0 && opt.noise <= 10):
		return opt, fmt.Errorf("-noise is %v, want 0 to 10", opt.noise)
	case opt.cell != "lstm" && opt.cell != "gru":
		return opt, fmt.Errorf("-cell is %q, want lstm or gru", opt.cell)
	case opt.plot != "" && !slices.Contains(formats, filepath.Ext(opt.plot)):
		return opt, fmt.Errorf("-plot is %q, want a name that ends with %s", opt.plot, strings.Join(formats, ", "))
	}
	return opt, nil
}

// load returns the series.
func (opt options) load() (*table, error) {
	var columns []string
	if opt.columns != "" {
		columns = strings.Split(opt.columns, ",")
	}
	var t *table
	if opt.csv != "" {
		var err error
		if t, err = readCSV(opt.csv, columns); err != nil {
			return nil, err
		}
	} else {
		t = house(opt.days, opt.seed)
		if columns != nil {
			var err error
			if t, err = t.choose(columns); err != nil {
				return nil, err
			}
		}
	}
	if opt.period >= 0 {
		t.period = opt.period
	}
	if opt.target != "" {
		if t.target = slices.Index(t.columns, opt.target); t.target < 0 {
			return nil, fmt.Errorf("-target is %q, want one of %s", opt.target, strings.Join(t.columns, ", "))
		}
	}
	return t, nil
}

// forecast does it all and reports to w.
func (opt options) forecast(w io.Writer) error {
	t, err := opt.load()
	if err != nil {
		return err
	}
	d := newData(t, .7, .15)
	lags := opt.lags
	if lags == 0 { // 10 rows for each regressor
		lags = min(maxLags, max(1, d.trainEnd/10/d.C))
	}
	history := max(minHistory, lags, d.period) // of what is compared
	test := d.spread(d.origins(d.validEnd, d.rows(), history, opt.horizon), 256)
	windows := d.origins(0, d.trainEnd, minHistory, 1)
	tooShort := func(part string, from, to, history int) error {
		return fmt.Errorf("%s is too short: no row of the %s part, rows %d to %d, has %d complete ones up to it (-period, -lags) and %d after it (-horizon)",
			d.name, part, from+1, to, history, opt.horizon)
	}
	switch {
	case float64(opt.window)*float64(opt.batch)*float64(opt.layers)*float64(max(opt.hidden, d.F)) > maxSize:
		return fmt.Errorf("-window times -batch times -layers times -hidden (or %d features) is more than %d", d.F, maxSize)
	case lags*d.C > maxRegressors:
		return fmt.Errorf("-lags is %d: %d numbers of %d columns, want at most %d", lags, lags*d.C, d.C, maxRegressors)
	case len(windows) < minWindows:
		return fmt.Errorf("%s is too short: %d windows of %d complete rows in the part for training, want at least %d",
			d.name, len(windows), minHistory, minWindows)
	case len(d.origins(d.trainEnd, d.validEnd, minHistory, opt.horizon)) == 0:
		return tooShort("validation", d.trainEnd, d.validEnd, minHistory)
	case len(d.origins(0, d.trainEnd, lags, 1)) == 0:
		return fmt.Errorf("%s is too short: no %d complete rows for -lags in the part for training", d.name, lags)
	case len(test) == 0:
		return tooShort("test", d.validEnd, d.rows(), history)
	case opt.out != "" && d.run[d.rows()-1] == 0:
		return fmt.Errorf("-out: the last row of %s has a missing number", d.name)
	}
	// Files are opened first: who has waited for a minute shall not lose it.
	var files [2]*os.File
	for i, name := range []string{opt.plot, opt.out} {
		if name == "" {
			continue
		}
		if files[i], err = os.Create(name); err != nil {
			return err
		}
		defer files[i].Close()
	}

	fmt.Fprintln(w, d.describe())
	net, err := newNetwork(d, opt.config)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, net.describe(windows))
	if err := net.train(w, opt.horizon); err != nil {
		return err
	}
	methods := []forecaster{persistence{d}}
	if d.period > 0 {
		methods = append(methods, seasonal{d})
	}
	linear, err := newAutoregression(d, lags)
	if err != nil {
		return err
	}
	c := compare(d, append(methods, linear, net), test, opt.horizon)
	if err := c.print(w); err != nil {
		return err
	}
	if f := files[0]; f != nil {
		if err := errors.Join(c.draw(f, filepath.Ext(opt.plot)[1:]), f.Close()); err != nil {
			return err
		}
	}
	if f := files[1]; f != nil {
		y := make([]float64, opt.horizon*d.C)
		net.forecast(y, []int{d.rows() - 1}, opt.horizon)
		return errors.Join(d.writeCSV(f, y), f.Close())
	}
	return nil
}

// minWindows is the least number of windows that training is worth while with.
const minWindows = 32
