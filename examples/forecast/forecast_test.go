package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "FORECAST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	kerneltest.Main(m)
}

// program runs the program and requires that it succeeds.
func program(t *testing.T, args ...string) (stdout string) {
	var out, errs bytes.Buffer
	require.Zero(t, run(args, &out, &errs), errs.String())
	require.Empty(t, errs.String())
	return out.String()
}

// wave is an easy case: a cosine and a sine. With gaps some rows are missing.
func wave(rows int, gaps bool) string {
	var b strings.Builder
	b.WriteString("other,wave\n")
	for i := range rows {
		angle := 2 * math.Pi * float64(i) / 20
		switch {
		case gaps && i%70 == 69:
			b.WriteString("NA,\n")
		default:
			fmt.Fprintf(&b, "%.6f,%.6f\n", math.Cos(angle), 5+3*math.Sin(angle))
		}
	}
	return b.String()
}

func write(t *testing.T, text string) (file string) {
	file = filepath.Join(t.TempDir(), "data.csv")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

// tiny are the arguments of a training that takes a moment.
func tiny(file string, more ...string) []string {
	return append([]string{"-csv", file, "-hidden", "8", "-window", "24", "-batch", "8", "-batches", "25", "-epochs", "3",
		"-horizon", "10", "-lags", "4", "-lr", "0.02", "-plot", ""}, more...)
}

// epochs returns the losses that the program reported.
func epochs(t *testing.T, out string) (loss, valid []float64) {
	for line := range strings.Lines(out) {
		var e int
		var l, v float64
		if n, _ := fmt.Sscanf(line, "epoch %d: loss %f, validation RMSE %f", &e, &l, &v); n == 3 {
			loss, valid = append(loss, l), append(valid, v)
			require.Len(t, loss, e)
		}
	}
	require.NotEmpty(t, loss)
	return loss, valid
}

// rmse returns the numbers of a line of the table.
func rmse(t *testing.T, out, method string) (e []float64) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, method+"  "); ok {
			for _, f := range strings.Fields(rest) {
				var v float64
				_, err := fmt.Sscan(f, &v)
				require.NoError(t, err)
				e = append(e, v)
			}
		}
	}
	require.NotEmpty(t, e, method)
	return e
}

// Training lowers the loss, beats persistence, and says the same twice, on every
// path and with windows of different lengths.
func TestTraining(t *testing.T) {
	file := write(t, wave(700, true))
	for _, cell := range []string{"lstm", "gru"} {
		out := map[kernels.ISA]string{}
		kerneltest.Each(t, func(t *testing.T, isa kernels.ISA) {
			args := tiny(file, "-cell", cell)
			out[isa] = program(t, args...)
			require.Equal(t, out[isa], program(t, args...))
			require.Contains(t, out[isa], "windows of 8 to 24 rows")
			loss, valid := epochs(t, out[isa])
			last := len(loss) - 1
			require.Less(t, loss[last], loss[0]/3)
			require.Less(t, valid[last], valid[0])
			persistence, net := rmse(t, out[isa], "persistence"), rmse(t, out[isa], strings.ToUpper(cell))
			for i := range net {
				require.Less(t, net[i], persistence[i]/2, "column %d", i)
			}
			for other, text := range out {
				if isa != kernels.Generic && other != kernels.Generic {
					require.Equal(t, text, out[isa], "%v and %v", other, isa)
				}
			}
		})
	}
}

// The autoregression finds a linear recursion: a sine is one of two lags.
func TestAutoregression(t *testing.T) {
	tab, err := parseCSV(strings.NewReader(wave(400, true)), []string{"wave"})
	require.NoError(t, err)
	d := newData(tab, .7, .15)
	ar, err := newAutoregression(d, 2)
	require.NoError(t, err)
	const K = 15
	origins := d.origins(d.validEnd, d.rows(), 2, K)
	require.NotEmpty(t, origins)
	y := make([]float64, len(origins)*K)
	ar.forecast(y, origins, K)
	for i, o := range origins {
		for k := range K {
			require.InDelta(t, d.row(o + 1 + k)[0], y[i*K+k], .01)
		}
	}
}

func TestBaselines(t *testing.T) {
	tab := &table{columns: []string{"a", "b"}, period: 3}
	for i := range 20 {
		tab.data = append(tab.data, float64(i%3), float64(i))
	}
	d := newData(tab, .5, .2)
	y := make([]float64, 2*4*2)
	persistence{d}.forecast(y, []int{5, 9}, 4)
	require.Equal(t, []float64{2, 5, 2, 5, 2, 5, 2, 5, 0, 9, 0, 9, 0, 9, 0, 9}, y)
	seasonal{d}.forecast(y, []int{5, 9}, 4)
	require.Equal(t, []float64{0, 3, 1, 4, 2, 5, 0, 3, 1, 7, 2, 8, 0, 9, 1, 7}, y)
}

// Normalising looks at the part for training only.
func TestNormalise(t *testing.T) {
	tab := &table{columns: []string{"a", "constant"}}
	for i := range 100 {
		tab.data = append(tab.data, float64(i%2*4), 7)
	}
	tab.data[2*30] = math.NaN()
	want := newData(tab, .6, .2)
	require.InDelta(t, 2, want.mean[0], .05)
	require.InDelta(t, 2, want.std[0], .05)
	require.Equal(t, []float64{7, 1}, []float64{want.mean[1], want.std[1]})
	require.Equal(t, float32(0), want.features(3)[1])
	for i := 2 * 60; i < len(tab.data); i++ {
		tab.data[i] += 1000
	}
	got := newData(tab, .6, .2)
	require.Equal(t, want.mean, got.mean)
	require.Equal(t, want.std, got.std)
	require.Equal(t, want.deltaStd, got.deltaStd)
}

// Windows and forecasts do not reach across a missing row, nor between the parts.
func TestOrigins(t *testing.T) {
	tab := &table{columns: []string{"a"}}
	for i := range 20 {
		tab.data = append(tab.data, float64(i))
	}
	tab.data[7] = math.NaN()
	d := newData(tab, .7, .15)
	require.Equal(t, []int{14, 17}, []int{d.trainEnd, d.validEnd})
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 0, 1, 2}, d.run[:10])
	require.Equal(t, []int{2, 3, 4, 10, 11}, d.origins(0, d.trainEnd, 3, 2))
	require.Equal(t, []int{17, 18}, d.origins(d.validEnd, d.rows(), 3, 1))

	n, err := newNetwork(d, config{cell: "gru", hidden: 2, layers: 1, window: 4, batch: 3})
	require.NoError(t, err)
	w := n.newWindows()
	n.fill(w, []int{1, 10})
	require.Equal(t, []int{2, 3, 0}, w.lengths)
	for b, rows := range [][]int{{0, 1}, {8, 9, 10}} {
		for i, r := range rows {
			require.Equal(t, d.features(r)[0], w.x[i*3+b])
		}
	}
}

// A gap changes nothing but the windows: padding is never read.
func TestPadding(t *testing.T) {
	tab, err := parseCSV(strings.NewReader(wave(200, true)), nil)
	require.NoError(t, err)
	d := newData(tab, .7, .15)
	n, err := newNetwork(d, config{cell: "lstm", hidden: 4, layers: 1, window: 64, batch: 4})
	require.NoError(t, err)
	for _, p := range n.linear.Params() {
		for i := range p.Data {
			p.Data[i] = .1
		}
	}
	n.linear.Pack()
	together, alone := make([]float64, 3*5*2), make([]float64, 5*2)
	origins := []int{100, 75, 130}
	n.forecast(together, origins, 5)
	for i, o := range origins {
		n.forecast(alone, []int{o}, 5)
		require.Equal(t, alone, together[i*10:][:10])
	}
}

// The house is the same for a seed, has a season, and stays a house.
func TestHouse(t *testing.T) {
	a, b := house(40, 3), house(40, 3)
	require.Equal(t, fmt.Sprint(a.data), fmt.Sprint(b.data)) // NaN too
	require.NotEqual(t, fmt.Sprint(a.data), fmt.Sprint(house(40, 4).data))
	require.Equal(t, 40*rowsPerDay, a.rows())
	missing, on := 0, 0
	for i, n := range a.runs() {
		row := a.row(i)
		if n == 0 {
			missing++
			continue
		}
		if row[2] > 0 {
			on++
		}
		for j, limits := range [][2]float64{{-25, 30}, {0, 1000}, {0, boilerKW + 1e-9}, {8, 28}, {15, 28}} {
			require.GreaterOrEqual(t, row[j], limits[0], "row %d, %s", i, a.columns[j])
			require.LessOrEqual(t, row[j], limits[1], "row %d, %s", i, a.columns[j])
		}
	}
	require.Positive(t, missing)
	require.Less(t, missing, a.rows()/10)
	require.Positive(t, on)
	require.NotZero(t, a.runs()[a.rows()-1])
}

// The simulated house goes through, in a format each.
func TestPlot(t *testing.T) {
	dir := t.TempDir()
	args := []string{"-days", "30", "-hidden", "2", "-window", "16", "-batch", "4", "-batches", "2", "-epochs", "1", "-horizon", "12"}
	for _, ext := range formats {
		file := filepath.Join(dir, "a"+ext)
		out := program(t, append(args, "-plot", file)...)
		for _, method := range []string{"persistence ", "seasonal ", "linear, ", "LSTM "} {
			require.Len(t, strings.Split(out, "\n"+method), 2, method)
		}
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		switch ext {
		case ".svg":
			texts := map[string]bool{}
			dec := xml.NewDecoder(bytes.NewReader(b))
			for {
				tok, err := dec.Token()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				if c, ok := tok.(xml.CharData); ok {
					texts[strings.TrimSpace(string(c))] = true
				}
			}
			for _, want := range []string{"truth", "persistence", "seasonal", "LSTM", "living_C", "RMSE of living_C", "rows ahead"} {
				require.True(t, texts[want], want)
			}
			require.NotContains(t, string(b), "NaN")
			program(t, append(args, "-plot", file)...)
			again, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, b, again)
		case ".png":
			im, err := png.Decode(bytes.NewReader(b))
			require.NoError(t, err)
			require.Greater(t, im.Bounds().Dx(), 400)
		case ".pdf":
			require.True(t, bytes.HasPrefix(b, []byte("%PDF-")))
		}
	}
}

// The forecast after the end goes on with the series.
func TestOut(t *testing.T) {
	file := write(t, wave(700, false))
	out := filepath.Join(t.TempDir(), "out.csv")
	program(t, tiny(file, "-out", out, "-epochs", "8")...)
	tab, err := readCSV(out, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"other", "wave"}, tab.columns)
	require.Equal(t, 10, tab.rows())
	truth, err := parseCSV(strings.NewReader(wave(710, false)), nil)
	require.NoError(t, err)
	for i := range 10 {
		require.InDelta(t, truth.row(700 + i)[1], tab.row(i)[1], 1, "row %d", i)
	}
}

func TestReadCSV(t *testing.T) {
	tab, err := readCSV(write(t, "\ufefftime, a ,\"b,c\"\r\n2024-01-01,1, 2e1\r\n2024-01-02,,na\r\n2024-01-03,NaN,-3\r\n"), []string{"b,c", "a"})
	require.NoError(t, err)
	require.Equal(t, []string{"b,c", "a"}, tab.columns)
	require.Equal(t, "[20 1 NaN NaN -3 NaN]", fmt.Sprint(tab.data))
	require.Equal(t, []int{1, 0, 0}, tab.runs())
	require.Equal(t, 1, tab.target)

	tab, err = readCSV(write(t, "a\n1\n\n\n2\nNA\n3\n"), nil)
	require.NoError(t, err)
	require.Equal(t, "[1 NaN NaN 2 NaN 3]", fmt.Sprint(tab.data)) // an empty line of one column is an empty cell
}

// What is wrong with a file is said in a line.
func TestBadCSV(t *testing.T) {
	rows := func(header string, n int, row string) string { return header + "\n" + strings.Repeat(row+"\n", n) }
	for _, c := range []struct{ text, args, want string }{
		{"", "", "FILE: the file is empty, want a header and rows of numbers"},
		{"\n\n", "", "FILE: the file is empty, want a header and rows of numbers"},
		{"a,b\n", "", "FILE is too short: 0 windows of 8 complete rows in the part for training, want at least 32"},
		{"a,b\n1,2\n3\n", "", "FILE: line 3 has not as many cells as the header"},
		{"a,b\n1,2\n\n3,4,5\n", "", "FILE: line 4 has not as many cells as the header"},
		{"a,b\n1,2\n3,x\n", "", `FILE: line 3, column "b": "x" is not a number`},
		{"a,b\n1,2\n3,0x\n", "", `FILE: line 3, column "b": "0x" is not a number`},
		{"a,b\n1,\"2\n", "", `FILE: line 2: extraneous or missing " in quoted-field`},
		{"a,b\n1,2\n3,1e99\n", "", `FILE: line 3, column "b": "1e99" is out of range`},
		{"a,b\n1,2\n3,1e999\n", "", `FILE: line 3, column "b": "1e999" is out of range`},
		{"a,b\n1,2\n3,Inf\n", "", `FILE: line 3, column "b": "Inf" is out of range`},
		{"1,2\n3,4\n", "", `FILE: column "1" is a number, want a header with names`},
		{"a,,c\n", "", "FILE: column 2 has no name"},
		{"a,a\n", "", `FILE: there are two columns "a"`},
		{"a,b\n", "-columns a,c", `FILE: there is no column "c", want some of a, b`},
		{"a,b\n", "-columns a,a", `FILE: there are two columns "a"`},
		{"a,b\n1,2\n", "-target c", `-target is "c", want one of a, b`},
		{rows("a", 50, "1"), "", "FILE is too short: 27 windows of 8 complete rows in the part for training, want at least 32"},
		{rows("a", 500, ""), "", "FILE is too short: 0 windows of 8 complete rows in the part for training, want at least 32"},
		{rows("a,b", 500, "1,"), "", "FILE is too short: 0 windows of 8 complete rows in the part for training, want at least 32"},
		{rows("a", 60, "1") + strings.Repeat("NA\n", 20) + strings.Repeat("1\n", 20), "", "FILE is too short: no row of the validation part, rows 71 to 85, has 8 complete ones up to it (-period, -lags) and 48 after it (-horizon)"},
		{rows("a", 100, "1"), "-horizon 5 -lags 90", "FILE is too short: no 90 complete rows for -lags in the part for training"},
		{rows("a", 90, "1") + "NA\n" + strings.Repeat("1\n", 9), "-horizon 5 -lags 20", "FILE is too short: no row of the test part, rows 86 to 100, has 20 complete ones up to it (-period, -lags) and 5 after it (-horizon)"},
		{rows("a", 100, "1"), "-horizon 5 -period 99", "FILE is too short: no row of the test part, rows 86 to 100, has 99 complete ones up to it (-period, -lags) and 5 after it (-horizon)"},
		{rows("a", 400, "1") + "NA\n", "-out x.csv", "-out: the last row of FILE has a missing number"},
	} {
		t.Run(fmt.Sprintf("%.20q%s", c.text, c.args), func(t *testing.T) {
			file := write(t, c.text)
			var out, errs bytes.Buffer
			require.Equal(t, 2, run(append([]string{"-csv", file, "-plot", ""}, strings.Fields(c.args)...), &out, &errs))
			require.Empty(t, out.String())
			require.Equal(t, "forecast: "+strings.ReplaceAll(c.want, "FILE", file)+"\n", errs.String())
		})
	}
	var out, errs bytes.Buffer
	require.Equal(t, 2, run([]string{"-csv", filepath.Join(t.TempDir(), "none.csv")}, &out, &errs))
	require.Regexp(t, `^forecast: open .*none.csv: .*\n$`, errs.String())
}

// A constant series, and columns that are copies of each other, do no harm.
func TestDegenerate(t *testing.T) {
	var b strings.Builder
	b.WriteString("one,copy,a\n")
	for i := range 500 {
		fmt.Fprintf(&b, "1,%d,%d\n", i%7, i%7)
	}
	out := program(t, tiny(write(t, b.String()))...)
	require.NotContains(t, out, "NaN")
	require.Less(t, rmse(t, out, "linear, 4 lags")[0], 2.)
}

func TestFlags(t *testing.T) {
	out := program(t, "-h")
	for _, name := range []string{"usage: forecast", "-csv", "-target", "-cell", "-window", "-horizon", "-plot", "-seed"} {
		require.Contains(t, out, name)
	}
	file := write(t, wave(700, false))
	out = program(t, tiny(file, "-target", "other", "-period", "20", "-lags", "0")...)
	require.Contains(t, out, "RMSE of other after ")
	require.Contains(t, out, "\nseasonal ")
	require.Contains(t, out, "\nlinear, 24 lags ")
	require.Less(t, rmse(t, out, "seasonal")[0], 1e-6)
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-cell rnn", `-cell is "rnn", want lstm or gru`},
		{"-horizon 0", "-horizon is 0, want 1 to 100000"},
		{"-days 3", "-days is 3, want 30 to 10000"},
		{"-window 7", "-window is 7, want 8 to 1000000"},
		{"-hidden 0", "-hidden is 0, want 1 to 4096"},
		{"-layers -1", "-layers is -1, want 1 to 100"},
		{"-batch 0", "-batch is 0, want 1 to 100000"},
		{"-period -2", "-period is -2, want -1 to 1000000"},
		{"-window 100000 -batch 1000", "-window times -batch times -layers times -hidden (or 11 features) is more than 67108864"},
		{"-noise -1", "-noise is -1, want 0 to 10"},
		{"-lags 1000", "-lags is 1000: 5000 numbers of 5 columns, want at most 4096"},
		{"-lr 0", "-lr is 0, want a finite number above 0"},
		{"-lr NaN", "-lr is NaN, want a finite number above 0"},
		{"-plot a.gif", `-plot is "a.gif", want a name that ends with .svg, .png, .pdf`},
		{"-plot /nowhere/a.svg -days 30", "open /nowhere/a.svg: no such file or directory"},
		{"-columns cellar_C", `house: there is no column "cellar_C", want some of outdoor_C, sun_W_m2, boiler_kW, bedroom_C, living_C`},
		{"-epochs x", `invalid value "x" for flag -epochs: parse error`},
		{"-depth 3", "flag provided but not defined: -depth"},
		{"data.csv", `unexpected argument "data.csv"`},
		{"-de\np", `flag provided but not defined: -de\np`},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(strings.Split(c.args, " "), &out, &errs), c.args)
		require.Empty(t, out.String())
		require.Equal(t, "forecast: "+c.want+"\n", errs.String())
	}
}

// A wrong SIMDRNN_ISA is one line as well.
func TestBadISA(t *testing.T) {
	if kerneltest.Emulated() {
		t.Skip("starts a process")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-days", "30", "-plot", "")
	cmd.Env = append(os.Environ(), asProgram+"=1", "SIMDRNN_ISA=mmx")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.Error(t, cmd.Run())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Regexp(t, `^forecast: .*SIMDRNN_ISA=mmx is not available, want generic.*\n$`, errs.String())
}
