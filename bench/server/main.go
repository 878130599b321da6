// Command server measures how the library behaves in a server: many goroutines, each
// with a Stream of its own on one LSTM. It writes Markdown tables:
//
//	go run ./bench/server
//	go run ./bench/server -hidden 128 -goroutines 1000 -steps 8
//
// Throughput is that of goroutines that call without a pause, on one processor and on
// all, in turn. Latency is that of calls which come at random at a part of that rate,
// from when a call is due until it returns, without and with a goroutine that makes
// garbage and collects it. Pauses are how long these collections stop the world. Loops
// of plain Go, which take as long and can be stopped anywhere, show what of both is the
// runtime's and the machine's.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

func main() {
	log.SetFlags(0)
	var c config
	hidden := flag.String("hidden", "128,512", "`units` of a layer, and inputs; separated by commas")
	flag.IntVar(&c.layers, "layers", 2, "layers")
	flag.IntVar(&c.goroutines, "goroutines", 200, "goroutines, each with a Stream")
	flag.IntVar(&c.steps, "steps", 1, "time steps of a call: Step for 1, else Forward")
	flag.IntVar(&c.threads, "threads", 2, "SetThreads of the Streams that use several threads")
	flag.IntVar(&c.rounds, "rounds", 3, "samples of each row, in turn; the tables have medians")
	flag.Float64Var(&c.share, "load", .5, "for latency, calls come at this `part` of the throughput")
	flag.DurationVar(&c.sample, "sample", 500*time.Millisecond, "`time` of a sample of throughput; one of latency takes twice as long")
	flag.Parse()
	err := c.parse(*hidden)
	if err == nil && flag.NArg() > 0 {
		err = fmt.Errorf("unknown arguments: %v", flag.Args())
	}
	if err == nil {
		c.isa, err = kernels.Active()
	}
	if err != nil {
		log.Println(err)
		os.Exit(2)
	}
	if err := c.report(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

type config struct {
	isa                                        kernels.ISA
	hidden                                     []int
	layers, goroutines, steps, threads, rounds int
	share                                      float64
	sample                                     time.Duration
}

// parse sets hidden and checks the rest.
func (c *config) parse(hidden string) error {
	for _, s := range strings.Split(hidden, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return fmt.Errorf("-hidden %q, want numbers of at least 1, separated by commas", hidden)
		}
		c.hidden = append(c.hidden, n)
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"layers", c.layers}, {"goroutines", c.goroutines}, {"steps", c.steps}, {"threads", c.threads}, {"rounds", c.rounds}} {
		if f.v < 1 {
			return fmt.Errorf("-%s %d, want at least 1", f.name, f.v)
		}
	}
	switch {
	case !(c.share > 0 && c.share < 1):
		return fmt.Errorf("-load %g, want more than 0 and less than 1", c.share)
	case c.sample <= 0:
		return fmt.Errorf("-sample %v, want more than 0", c.sample)
	}
	return nil
}

func newLSTM(hidden, layers int) (*layer.LSTM, error) {
	return layer.NewLSTM(layer.LSTMConfig{Input: hidden, Hidden: hidden, Layers: layers}, layer.NewRand(1))
}

// input is N(0,1).
func (c *config) input(hidden int) []float32 {
	x := make([]float32, c.steps*hidden)
	layer.NewRand(2).Normal(x, 0, 1)
	return x
}

// streams returns a load of Streams with so many threads each.
func (c *config) streams(lstm *layer.LSTM, x []float32, threads int) *load {
	l := &load{}
	for range c.goroutines {
		s, y := lstm.NewStream(1), make([]float32, len(x))
		s.SetThreads(threads)
		if c.steps == 1 {
			l.calls = append(l.calls, func() { s.Step(y, x) })
		} else {
			l.calls = append(l.calls, func() { s.Forward(y, x) })
		}
	}
	return l
}

// group returns a load of one goroutine that steps all sequences as one batch.
func (c *config) group(lstm *layer.LSTM, x []float32) *load {
	g := lstm.NewGroup(c.goroutines)
	for range c.goroutines {
		g.Join(nil)
	}
	I := len(x) / c.steps
	return &load{calls: []func(){func() {
		for t := range c.steps {
			for row := range c.goroutines {
				copy(g.X(row), x[t*I:])
			}
			g.Step()
		}
	}}}
}

// A variant is a way to serve all sequences. A call of its load is calls of so many.
type variant struct {
	name  string
	load  *load
	calls int
}

// report measures all, and writes the tables.
func (c *config) report(w io.Writer) error {
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	fmt.Fprintf(w, "%s/%s, %s, path %v, %d processors; LSTM of %d layers, I = H, %d sequences, steps of a call: %d, load averages %s\n",
		runtime.GOOS, runtime.GOARCH, runtime.Version(), c.isa, procs, c.layers, c.goroutines, c.steps, loadAverages())
	var throughput, latency strings.Builder
	for _, H := range c.hidden {
		lstm, err := newLSTM(H, c.layers)
		if err != nil {
			return err
		}
		x := c.input(H)
		single := c.streams(lstm, x, 1)
		variants := []variant{
			{"Streams", single, 1},
			{fmt.Sprintf("Streams, SetThreads(%d)", c.threads), c.streams(lstm, x, c.threads), 1},
			{"one Group", c.group(lstm, x), c.goroutines},
		}
		perSecond, call := c.throughput(&throughput, H, variants, procs)
		c.latency(&latency, H, single, c.share*perSecond, call)
	}
	fmt.Fprintf(w, "\n| H | Sequences in | Calls a second, one processor | %d processors | Scaling | Time of a call, p50 | p99 | Calls of a goroutine | Allocations a call | Waits for locks |\n"+
		"| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n%s", procs, throughput.String())
	fmt.Fprintf(w, "\n| H | Goroutines in | Calls a second | Latency, p50 | p99 | longest | Collections a second | Pauses, p50 | p99 | longest |\n"+
		"| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n%s", latency.String())
	return c.memory(w)
}

// A series is the samples of one thing, taken in turn with those of others.
type series []*result

// median returns the median of what of returns.
func (s series) median(of func(*result) float64) float64 {
	var v []float64
	for _, r := range s {
		v = append(v, of(r))
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// quantile returns the median of the quantiles of the times of a call.
func (s series) quantile(q float64) time.Duration {
	return time.Duration(s.median(func(r *result) float64 { return float64(r.times.quantile(q)) }))
}

// throughput writes a row for each variant. It returns calls a second on all
// processors, and the median time of a call, both of the first variant.
func (c *config) throughput(w io.Writer, H int, variants []variant, procs int) (perSecond float64, call time.Duration) {
	one, all := make([]series, len(variants)), make([]series, len(variants))
	for range c.rounds {
		for i, v := range variants {
			runtime.GOMAXPROCS(1)
			one[i] = append(one[i], v.load.runFor(c.sample))
			runtime.GOMAXPROCS(procs)
			all[i] = append(all[i], v.load.runFor(c.sample))
		}
	}
	for i, v := range variants {
		runtime.SetMutexProfileFraction(1)
		audit := v.load.runFor(c.sample)
		runtime.SetMutexProfileFraction(0)
		rate := func(s series) float64 { return s.median((*result).perSecond) * float64(v.calls) }
		last := all[i][c.rounds-1]
		scaling := "–" // of one goroutine
		if len(v.load.calls) > 1 {
			scaling = fmt.Sprintf("%.2f", rate(all[i])/rate(one[i]))
		}
		fmt.Fprintf(w, "| %d | %s | %.0f | %.0f | %s | %s | %s | %d to %d | %.4f | %d |\n", H, v.name, rate(one[i]), rate(all[i]), scaling,
			short(all[i].quantile(.5)), short(all[i].quantile(.99)), last.least, last.most,
			float64(audit.mallocs)/float64(audit.calls), audit.waits)
	}
	return all[0].median((*result).perSecond), all[0].quantile(.5)
}

// latency writes rows without and with collections, for calls that come at a rate: of
// Streams, and of loops of Go that take as long.
func (c *config) latency(w io.Writer, H int, l *load, rate float64, call time.Duration) {
	rows := []struct {
		name string
		load load
		of   series
	}{{name: "Streams", load: *l}, {name: "loops of Go", load: *spins(c.goroutines, call)}, {name: "Streams", load: *l}, {name: "loops of Go", load: *spins(c.goroutines, call)}}
	for round := range c.rounds {
		for i := range rows {
			row := &rows[(i+round)%len(rows)]
			row.load.rate, row.load.garbage = rate, (i+round)%len(rows) >= 2
			row.of = append(row.of, row.load.runFor(2*c.sample))
		}
	}
	for _, row := range rows {
		longest, collections, pauses := time.Duration(0), 0., pauses{}
		for _, r := range row.of {
			longest = max(longest, r.times.most)
			collections += float64(r.collections) / r.elapsed.Seconds() / float64(c.rounds)
			pauses = pauses.with(r.pauses)
		}
		stopped := "– | – | –"
		if row.load.garbage {
			stopped = fmt.Sprintf("%s | %s | %s", short(pauses.quantile(.5)), short(pauses.quantile(.99)), short(pauses.quantile(1)))
		}
		fmt.Fprintf(w, "| %d | %s | %.0f | %s | %s | %s | %.0f | %s |\n", H, row.name, rate,
			short(row.of.quantile(.5)), short(row.of.quantile(.99)), short(longest), collections, stopped)
	}
}

// memory writes a table of what a sequence takes.
func (c *config) memory(w io.Writer) error {
	fmt.Fprint(w, "\n| LSTM, I = H | Weights | and packed | A Stream, computed | measured | A sequence in a Group |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, s := range [][2]int{{64, 1}, {128, 1}, {128, 2}, {256, 2}, {512, 2}} {
		H, L := s[0], s[1]
		lstm, err := newLSTM(H, L)
		if err != nil {
			return err
		}
		weights := 0
		for _, p := range lstm.Params() {
			weights += 4 * len(p.Data)
		}
		stream := heap(c.goroutines, func() any { return lstm.NewStream(1) })
		group := heap(1, func() any { return lstm.NewGroup(c.goroutines) }) / float64(c.goroutines)
		fmt.Fprintf(w, "| H = %d, %s | %s | %s | %s | %s | %s |\n", H, plural(L, "layer"), bytes(float64(weights)), bytes(float64(packed(H, L))),
			bytes(float64(streamBytes(H, L))), bytes(stream), bytes(group))
	}
	return nil
}

// streamBytes is the formula of package layer's README for an LSTM with I = H, in one
// direction, and B = 1.
func streamBytes(H, L int) int {
	H = (H + 15) / 16 * 16
	n := L * (32*(4*H+H) + 3*2*H)
	if L > 1 {
		n += 32 * H
	}
	return 4 * n
}

// packed is the size of the copy of the weights that kernels read.
func packed(H, L int) int {
	H16 := (H + 15) / 16 * 16
	return 4 * L * 4 * H16 * (2*H + 1)
}

// heap returns the bytes that one of n things takes that are alive.
func heap(n int, thing func() any) float64 {
	var before, after runtime.MemStats
	things := make([]any, n)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range things {
		things[i] = thing()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(things)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(n)
}

// short writes d with three digits.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit).String()
}

func bytes(n float64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.2f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", n/(1<<10))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// loadAverages returns Linux's, of 1, 5 and 15 minutes.
func loadAverages() string {
	s, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(s)); len(f) >= 3 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}
