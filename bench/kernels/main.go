// Command kernels runs the benchmarks of package kernels, some rounds one after
// the other, and writes a Markdown table: for each kernel and path what it should
// reach, the median of what was measured, and the limit of the machine that was
// measured beside it:
//
//	go run ./bench/kernels -rounds=7
//
// Without -rounds it reads what such a benchmark has printed:
//
//	go test -run='^$' -bench=. -count=7 -benchtime=30ms ./kernels | go run ./bench/kernels
//
// Targets in nanoseconds were set on one machine, a server core of 3.7 GHz with
// AVX-512 and 2 MiB of L2; those in percent hold on any. Lines that are no results
// go to the standard error.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const least = 7 // samples of a median

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 0, "`n` rounds of benchmarks to run; 0 reads the standard input")
	flag.Parse()
	if *rounds < 0 || *rounds > 0 && *rounds < least {
		log.Fatalf("%d rounds, want at least %d", *rounds, least)
	}
	in := io.Reader(os.Stdin)
	if *rounds > 0 {
		var err error
		if in, err = run(*rounds); err != nil {
			log.Fatal(err)
		}
	}
	r, err := read(in, os.Stderr)
	if err != nil {
		log.Fatal(err)
	}
	if err := r.table(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run returns what the benchmarks print in some rounds. All of a round come
// before those of the next one, so that the samples of each lie apart in time.
func run(rounds int) (io.Reader, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "kernels.test")
	if text, err := exec.Command("go", "test", "-c", "-o", binary, "./kernels").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go test -c ./kernels: %w\n%s", err, text)
	}
	var out bytes.Buffer
	for range rounds {
		c := exec.Command(binary, "-test.run=^$", "-test.bench=.", "-test.benchtime=30ms",
			"-test.skip=/isa=generic|//isa=generic|///isa=generic")
		c.Dir, c.Stdout, c.Stderr = "kernels", &out, os.Stderr
		if err := c.Run(); err != nil {
			return nil, fmt.Errorf("benchmarks of ./kernels: %w\n%s", err, out.Bytes())
		}
	}
	return &out, nil
}

// results are the metrics of each benchmark, by name and unit, in the order of
// the samples.
type results struct {
	about  []string // goos, goarch and cpu
	bench  map[string]map[string][]float64
	failed bool
}

// procs is the end of a name that tells GOMAXPROCS.
var procs = regexp.MustCompile(`-\d+$`)

func read(in io.Reader, rest io.Writer) (*results, error) {
	r := &results{bench: map[string]map[string][]float64{}}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		f := strings.Fields(line)
		switch {
		case len(f) >= 4 && strings.HasPrefix(f[0], "Benchmark"):
			name := procs.ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), "")
			if r.bench[name] == nil {
				r.bench[name] = map[string][]float64{}
			}
			for i := 2; i+1 < len(f); i += 2 {
				v, err := strconv.ParseFloat(f[i], 64)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", line, err)
				}
				r.bench[name][f[i+1]] = append(r.bench[name][f[i+1]], v)
			}
		case strings.HasPrefix(line, "goos:"), strings.HasPrefix(line, "goarch:"), strings.HasPrefix(line, "cpu:"):
			if !slices.Contains(r.about, line) { // as each round says again
				r.about = append(r.about, line)
			}
		case strings.HasPrefix(line, "pkg:"), line == "PASS", strings.HasPrefix(line, "ok "):
		default:
			r.failed = r.failed || strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL")
			fmt.Fprintln(rest, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if r.failed {
		return nil, fmt.Errorf("the benchmarks failed")
	}
	if len(r.bench) == 0 {
		return nil, fmt.Errorf("no results")
	}
	return r, nil
}

// A row is a kernel at some size. Targets are percent of a limit if the row has
// one, at least so many, else nanoseconds, at most so many. 0 is no target.
type row struct {
	what          string
	bench         string // its name without the path
	unit, percent string // metrics
	avx512, avx2  float64
	shown         string // the unit in the table
	decimals      int
}

func product(what, bench string, avx512, avx2 float64) row {
	return row{what: what, bench: bench, unit: "GFLOP/s", percent: "%peak", avx512: avx512, avx2: avx2, decimals: 1, shown: "GFLOP/s"}
}

// gemv is of calls that go back and forth over the weights, as layers' do.
func gemv(h int, avx512, avx2 float64) row {
	return row{what: fmt.Sprintf("Gemv, H = %d, back and forth", h), bench: fmt.Sprintf("Gemv/H=%d", h), unit: "GB/s", percent: "%read",
		avx512: avx512, avx2: avx2, decimals: 1, shown: "GB/s"}
}

func perElement(kernel string, avx512, avx2 float64) row {
	return row{what: kernel + ", n = 4096, an element", bench: fmt.Sprintf("Activation/kernel=%s/n=4096", kernel), unit: "ns/element",
		avx512: avx512, avx2: avx2, decimals: 3, shown: "ns"}
}

// perUnit is of 1024 units, which the first cache holds, as it did for the targets.
func perUnit(kernel string, avx512, avx2 float64) row {
	return row{what: kernel + ", 1024 units, a unit", bench: fmt.Sprintf("Pointwise/kernel=%s/units=1024", kernel), unit: "ns/unit",
		avx512: avx512, avx2: avx2, decimals: 3, shown: "ns"}
}

// rows are those of the table, in its order.
func rows() (all []row) {
	for _, h := range []int{128, 256, 512} {
		for _, n := range []int{2, 4, 8, 16, 64} {
			t := [2]float64{}
			switch {
			case h < 512 && n >= 16:
				t = [2]float64{88, 92}
			case h < 512 && n == 8:
				t = [2]float64{85, 87}
			case h < 512 && n == 4:
				t = [2]float64{82, 80}
			case h == 128:
				t = [2]float64{65, 70}
			case h == 512 && n == 16:
				t = [2]float64{68, 80}
			case h == 512 && n == 64:
				t = [2]float64{82, 88}
			}
			all = append(all, product(fmt.Sprintf("Gemm, H = %d, N = %d", h, n), fmt.Sprintf("Gemm/H=%d/N=%d", h, n), t[0], t[1]))
		}
	}
	all = append(all, gemv(64, 92, 92), gemv(128, 92, 92), gemv(256, 92, 92), gemv(384, 160, 92), gemv(512, 0, 92))
	for _, s := range [][2]int{{128, 1024}, {128, 4096}, {256, 1024}, {256, 4096}, {512, 1024}} {
		for _, name := range []string{"DW", "DX"} {
			all = append(all, product(fmt.Sprintf("d%s with packing, H = %d, N = %d", name[1:], s[0], s[1]), fmt.Sprintf("%s/H=%d/N=%d", name, s[0], s[1]), 82, 82))
		}
	}
	all = append(all,
		perElement("Tanh", 0.22, 0.30),
		perElement("Sigmoid", 0.21, 0.28))
	for _, kernel := range []string{"Tanh", "Sigmoid"} {
		for _, n := range []int{8, 16, 32} {
			all = append(all, row{what: fmt.Sprintf("%s, n = %d, a call", kernel, n), bench: fmt.Sprintf("Activation/kernel=%s/n=%d", kernel, n),
				unit: "ns/op", avx512: 16, avx2: 16, decimals: 1, shown: "ns"})
		}
	}
	all = append(all,
		perUnit("LSTMForward", 0.82, 1.35),
		perUnit("LSTMForwardTrain", 0.97, 1.45),
		perUnit("LSTMBackward", 0.28, 0.33),
		perUnit("GRUForward", 0.60, 0.85))
	for _, s := range []struct { // for the fastest path
		h  int
		ns float64
	}{{8, 42}, {16, 51}, {20, 78}, {24, 77}, {32, 98}, {40, 168}, {64, 428}, {128, 1600}, {256, 6300}} {
		all = append(all, row{what: fmt.Sprintf("LSTM step, I = 1, H = %d", s.h), bench: fmt.Sprintf("LSTMSteps/H=%d/I=1/T=64", s.h),
			unit: "ns/step", avx512: s.ns, decimals: 0, shown: "ns"})
	}
	return all
}

// table writes a line for each row and path: AVX-512 and AVX2 on amd64, also
// where they are missing, NEON on arm64.
func (r *results) table(w io.Writer) error {
	fewest := r.fewest()
	if fewest < least {
		return fmt.Errorf("%d samples of some benchmark, want at least %d", fewest, least)
	}
	fmt.Fprintf(w, "%s; medians of %d samples or more\n\n", strings.Join(r.about, ", "), fewest)
	fmt.Fprintln(w, "| Kernel | Path | Target | Measured | Limit | Of the limit | Of a tile | |\n| --- | --- | --- | ---: | ---: | ---: | ---: | --- |")
	paths := []string{"avx512", "avx2"}
	if slices.Contains(r.about, "goarch: arm64") {
		paths = []string{"neon"}
	}
	for _, row := range rows() {
		for _, path := range paths {
			fmt.Fprintf(w, "| %s | %s | %s |\n", row.what, path, strings.Join(r.cells(row, path), " | "))
		}
	}
	return nil
}

func (r *results) fewest() int {
	n := -1
	for _, row := range rows() {
		for name, metrics := range r.bench {
			if strings.HasPrefix(name, row.bench+"/") && (n < 0 || len(metrics["ns/op"]) < n) {
				n = len(metrics["ns/op"])
			}
		}
	}
	return n
}

// cells returns target, measured, limit, part of the limit and of the best that a
// tile reached beside it, and the verdict.
func (r *results) cells(row row, path string) []string {
	const none = "–"
	target, want := none, map[string]float64{"avx512": row.avx512, "avx2": row.avx2}[path]
	if want > 0 && row.percent != "" {
		target = fmt.Sprintf("≥ %g %%", want)
	} else if want > 0 {
		target = fmt.Sprintf("≤ %g %s", want, row.shown)
	}
	metrics, ok := r.bench[row.bench+"/isa="+path]
	if !ok {
		return []string{target, r.missing(path), none, none, none, none}
	}
	median := func(unit string) float64 {
		s := slices.Sorted(slices.Values(metrics[unit]))
		return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
	}
	number := func(v float64) string { return fmt.Sprintf("%.*f %s", row.decimals, v, row.shown) }
	measured := median(row.unit)
	met, limit, part, tile := measured <= want, none, none, none
	if row.percent != "" {
		percent := median(row.percent)
		met, limit, part = percent >= want, number(median("limit-"+row.unit)), fmt.Sprintf("%.0f %%", percent)
	}
	if len(metrics["%tile"]) > 0 {
		tile = fmt.Sprintf("%.0f %%", median("%tile"))
	}
	verdict := none
	if want > 0 && met {
		verdict = "met"
	} else if want > 0 {
		verdict = "short"
	}
	return []string{target, number(measured), limit, part, tile, verdict}
}

// missing says why there is no result: the machine has no such path if no
// benchmark has.
func (r *results) missing(path string) string {
	for name := range r.bench {
		if strings.HasSuffix(name, "/isa="+path) {
			return "not measured"
		}
	}
	return "not available here"
}
