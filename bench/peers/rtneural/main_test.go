package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// TestMain also is a compiler whose programs are this one, and what cpp/driver.cpp
// would be: the name that it is called by says which.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); {
	case name == "compiler":
		os.Exit(compiler(os.Args[1:]))
	case os.Getenv(behaviour) != "" && len(os.Args) == 1:
		if err := serve(os.Getenv(behaviour), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if _, err := kernels.Active(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

const behaviour = "RTNEURAL_TEST_DRIVER" // how the driver behaves

// compiler makes a program that is a link to this one, but for xsimd, which fails.
func compiler(args []string) int {
	if slices.Equal(args, []string{"--version"}) {
		fmt.Println("compiler 1")
		return 0
	}
	if slices.Contains(args, "-DRTNEURAL_USE_XSIMD=1") {
		fmt.Fprintln(os.Stderr, "In file included from driver.cpp:\nx.h:1: error: no such thing\n1 error generated.")
		return 1
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, args[slices.Index(args, "-o")+1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// serve is the other end of a driver: right, wrong in GRUs, or one that dies when
// it is to take the time of LSTMs.
func serve(how string, r io.Reader, w io.Writer) error {
	in := bufio.NewReader(r)
	networks := map[network]*blocks{}
	for {
		var op string
		var n network
		var arg int
		if _, err := fmt.Fscanf(in, "%s %s %d %d\n", &op, &n.cell, &n.H, &arg); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case op == "load" && n.H == 24:
			task, err := newTask(n)
			if err != nil {
				return err
			}
			io.CopyN(io.Discard, in, int64(4*len(floatsOf(task))))
			fmt.Fprintln(w, "there is no such network")
		case op == "load":
			task, err := newTask(n)
			if err != nil {
				return err
			}
			for _, p := range slices.Concat(task.recurrent.Params(), task.dense.Params()) {
				clear(p.Data)
				if err := binary.Read(in, binary.NativeEndian, p.Data); err != nil {
					return err
				}
			}
			if err := binary.Read(in, binary.NativeEndian, task.x); err != nil {
				return err
			}
			task.recurrent.(layer.Packer).Pack()
			task.dense.Pack()
			networks[n] = new(blocks)
			y, err := networks[n].load(task)
			if err != nil {
				return err
			}
			if how == "wrong" && n.cell == "GRU" {
				y[T-1] += 2e-5
			}
			fmt.Fprintln(w, "ok")
			if err := binary.Write(w, binary.NativeEndian, y); err != nil {
				return err
			}
		case how == "dies" && n.cell == "LSTM":
			return errors.New("out of breath")
		default:
			ns, err := networks[n].time(n, time.Duration(arg))
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%d %d\n", int64(ns*T), T)
		}
	}
}

// floatsOf are all that a task sends.
func floatsOf(t *task) (all []float32) {
	for _, p := range slices.Concat(t.recurrent.Params(), t.dense.Params()) {
		all = append(all, p.Data...)
	}
	return append(all, t.x...)
}

// checkout makes directories that have what RTNeural and xsimd are known by.
func checkout(t *testing.T) config {
	dir := t.TempDir()
	for _, name := range []string{"RTNeural/RTNeural.h", "modules/json/json.hpp", "modules/Eigen/Eigen/Dense", "xsimd/include/xsimd/xsimd.hpp"} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, []byte("//"), 0o666))
	}
	return config{source: dir, compilers: []string{"g++"}, isas: []string{"native"}, rounds: leastRounds, sample: time.Microsecond}
}

func TestCheck(t *testing.T) {
	good := checkout(t)
	require.NoError(t, good.check())
	for want, change := range map[string]func(*config){
		"git clone":               func(c *config) { c.source = "" },
		"no RTNeural/RTNeural.h":  func(c *config) { c.source = t.TempDir() },
		`-isa "sse", want native`: func(c *config) { c.isas = []string{"avx2", "sse"} },
		"-isa or -cxx is empty":   func(c *config) { c.compilers = nil },
		"-rounds 14, want at":     func(c *config) { c.rounds = 14 },
		"-sample 0s, want more":   func(c *config) { c.sample = 0 },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.check(), want)
	}
	require.Equal(t, []string{"g++", "clang++-16"}, list("g++,clang++-16"))
}

func TestBuilds(t *testing.T) {
	c := checkout(t)
	c.compilers, c.isas = []string{"g++", "/opt/clang++-16"}, []string{"native", "avx2"}
	var names []string
	for _, b := range c.builds("cache") {
		names = append(names, b.name)
		line := strings.Join(b.options, " ")
		require.Equal(t, strings.HasPrefix(b.name, "Eigen"), strings.Contains(line, "-DRTNEURAL_USE_EIGEN=1"), line)
		require.Equal(t, strings.HasPrefix(b.name, "xsimd"), strings.Contains(line, "-DRTNEURAL_USE_XSIMD=1"), line)
		require.Equal(t, strings.HasSuffix(b.name, "native"), strings.Contains(line, "-march=native"), line)
		require.Equal(t, strings.HasSuffix(b.name, "avx2"), strings.Contains(line, "-mavx2 -mfma"), line)
		require.Contains(t, line, "-O3 -DNDEBUG")
		require.Contains(t, line, "-DHIDDEN=8,16,20,24,32,40,64 -I "+c.source)
	}
	require.Equal(t, []string{
		"Eigen, g++, native", "Eigen, g++, avx2", "Eigen, clang++-16, native", "Eigen, clang++-16, avx2",
		"xsimd, g++, native", "xsimd, g++, avx2", "xsimd, clang++-16, native", "xsimd, clang++-16, avx2",
	}, names)
}

// A program is compiled once, and again if a header changes; what cannot be
// compiled says why.
func TestCompile(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	c, cache := checkout(t), t.TempDir()
	c.compilers = []string{filepath.Join(t.TempDir(), "compiler")}
	require.NoError(t, os.Symlink(self, c.compilers[0]))

	first := c.builds(cache)[0]
	require.NoError(t, first.compile())
	same := c.builds(cache)[0]
	require.NoError(t, os.Remove(first.program))
	require.NoError(t, os.WriteFile(first.program, nil, 0o777))
	require.NoError(t, same.compile())
	require.Equal(t, first.program, same.program)
	info, err := os.Stat(same.program)
	require.NoError(t, err)
	require.Zero(t, info.Size(), "it was not compiled again")
	require.NoError(t, os.WriteFile(filepath.Join(c.source, "RTNeural", "RTNeural.h"), []byte("// other"), 0o666))
	other := c.builds(cache)[0]
	require.NoError(t, other.compile())
	require.NotEqual(t, first.program, other.program)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 2, "nothing but programs is left")

	xsimd := func() *build { return c.builds(cache)[1] }
	require.ErrorContains(t, xsimd().compile(), "no "+filepath.Join(c.source, "modules", "xsimd", "include", "xsimd", "xsimd.hpp"))
	c.xsimd = filepath.Join(c.source, "xsimd")
	err = xsimd().compile()
	require.ErrorContains(t, err, "x.h:1: error: no such thing")
	require.NotContains(t, err.Error(), "generated")
	require.Equal(t, "killed", complaint("killed\n"))

	c.compilers = []string{"compiler-that-is-not-there"}
	require.ErrorContains(t, c.builds(cache)[0].compile(), "compiler-that-is-not-there")
	require.EqualError(t, c.run(true), "RTNeural could not be compiled")
}

// started is a driver whose other end is serve.
func started(t *testing.T, how string) *driver {
	self, err := os.Executable()
	require.NoError(t, err)
	t.Setenv(behaviour, how)
	d := &driver{build: &build{name: how, program: self}}
	d.start()
	t.Cleanup(d.close)
	require.Empty(t, d.absent)
	return d
}

// All contenders compute the same, or take no part.
func TestMeasure(t *testing.T) {
	gone := &driver{build: &build{name: "gone", absent: "no compiler"}}
	gone.start()
	unknown := &driver{build: &build{name: "unknown", program: filepath.Join(t.TempDir(), "none")}}
	unknown.start()
	require.NotEmpty(t, unknown.absent)
	all := []contender{new(blocks), new(steps), started(t, "right"), started(t, "wrong"), started(t, "dies"), gone, unknown}
	r := &report{rounds: 3, sample: time.Microsecond}
	lstm, gru, missing := network{"LSTM", 8}, network{"GRU", 20}, network{"GRU", 24}
	require.NoError(t, r.measure([]network{lstm, gru, missing}, all))
	for _, row := range r.rows {
		for i, res := range row.results {
			if res.absent == "" {
				require.Len(t, res.samples, 3, "%v, %s", row.network, r.titles[i])
				require.Positive(t, slices.Min(res.samples))
				require.Zero(t, res.difference)
			} else {
				require.Empty(t, res.samples)
			}
		}
	}
	require.Zero(t, r.worst())
	reasons := r.reasons()
	require.Len(t, reasons, 7)
	for i, want := range []string{
		"RTNeural right is absent at GRU, H = 24: there is no such network",
		"RTNeural wrong is absent at GRU, H = 20: wrong: its outputs differ by 2e-05",
		"RTNeural wrong is absent at GRU, H = 24: there is no such network",
		"RTNeural dies is absent at LSTM, H = 8; GRU, H = 20: ended: EOF; its last words: out of breath",
		"RTNeural dies is absent at GRU, H = 24: there is no such network",
		"RTNeural gone is absent: no compiler",
	} {
		require.Equal(t, want, reasons[i])
	}

	// Ours must be right.
	require.Error(t, r.measure([]network{{"LSTM", 0}}, all))
	_, err := enter(lstm, []contender{new(blocks), all[3]})
	require.NoError(t, err)
	_, err = enter(gru, []contender{new(blocks), all[3]})
	require.ErrorContains(t, err, "GRU, H = 20: RTNeural wrong differs by 2e-05")
}

// Weights and inputs go to RTNeural in the order of cpp/driver.cpp.
func TestTask(t *testing.T) {
	for cell, gates := range map[string]int{"LSTM": 4, "GRU": 3} {
		task, err := newTask(network{cell, 20})
		require.NoError(t, err)
		var shapes [][]int
		for _, p := range slices.Concat(task.recurrent.Params(), task.dense.Params()) {
			shapes = append(shapes, p.Shape)
		}
		require.Equal(t, [][]int{{gates * 20, 1}, {gates * 20, 20}, {gates * 20}, {gates * 20}, {1, 20}, {1}}, shapes)
	}
	require.Len(t, networks(), 14)
}

func TestPerSample(t *testing.T) {
	ns, err := perSample("4096 2048")
	require.NoError(t, err)
	require.InDelta(t, 2, ns, 0)
	for _, bad := range []string{"", "1", "1 x", "1 0", "0 1", "there is no LSTM of 3 units for 1"} {
		_, err := perSample(bad)
		require.EqualError(t, err, bad)
	}
}

func TestDifference(t *testing.T) {
	require.InDelta(t, .5, difference([]float32{1, 2.5, 3}, []float32{1, 2, 3}), 0)
	nan := float32(math.NaN())
	require.True(t, math.IsInf(difference([]float32{nan, 1}, []float32{0, 0}), 1))
	require.True(t, math.IsInf(difference([]float32{1, nan}, []float32{0, 0}), 1))
}

func TestTable(t *testing.T) {
	of := func(samples ...float64) *result { return &result{samples: samples, difference: 3e-7} }
	gone := &result{absent: "no compiler", difference: 1}
	r := &report{
		isa: "avx2", version: "1234567", isas: []string{"native", "avx2"}, rounds: 15, sample: 3 * time.Millisecond, before: "1 2 3", after: "4 5 6",
		titles: []string{"simdrnn, blocks", "simdrnn, steps", "RTNeural a", "RTNeural b"},
		rows: []*row{
			{network{"LSTM", 8}, []*result{of(30, 20, 10), of(50), of(99.96), of(40.04)}},
			{network{"GRU", 16}, []*result{of(20), of(100), gone, of(1234)}},
			{network{"GRU", 64}, []*result{of(20), of(100), gone, gone}},
		},
	}
	var w strings.Builder
	r.write(&w)
	head, rest, ok := strings.Cut(w.String(), "\n\n")
	require.True(t, ok)
	require.Contains(t, head, "simdrnn on avx2, RTNeural 1234567 with -O3 -march=native or -mavx2 -mfma; one thread; ns a sample: medians of 15 samples of 3ms in turn")
	require.Contains(t, head, "load averages 1 2 3 before, 4 5 6 after")
	require.Equal(t, `| Network, I = 1 | simdrnn, blocks | simdrnn, steps | RTNeural a | RTNeural b | Blocks ahead of the best RTNeural | Steps ahead |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| LSTM, H = 8 | 20.0 (10.0) | 50.0 (50.0) | 100 (100) | 40.0 (40.0) | 2.00 | 0.80 |
| GRU, H = 16 | 20.0 (20.0) | 100 (100) | – | 1234 (1234) | 61.70 | 12.34 |
| GRU, H = 64 | 20.0 (20.0) | 100 (100) | – | – | – | – |

Largest difference of an output from ours: 3e-07.
RTNeural a is absent at GRU, H = 16; GRU, H = 64: no compiler
RTNeural b is absent at GRU, H = 64: no compiler
`, rest)
}
