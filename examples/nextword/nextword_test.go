package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/examples/nextword/model"
	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "NEXTWORD_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	kerneltest.Main(m)
}

// A golden run is what PyTorch 1.13.1 does in float32.
type golden struct {
	Cell string
	Seed int64
	Init map[string][]float32 // parameters after torch.manual_seed(Seed); W is [H,words]
	// Costs of the first 5 epochs, and of epochs 100, 200, to 500.
	First, Cost []float64
}

func loadGolden(t *testing.T) (runs []golden) {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &runs))
	require.Len(t, runs, 9)
	return runs
}

func newModel(t *testing.T, cell string, seed int64) *model.Model {
	m, err := model.New(model.Config{Cell: cell, Hidden: 5, LR: .01, Seed: seed})
	require.NoError(t, err)
	return m
}

// The initial parameters are PyTorch's, bit for bit.
func TestParameters(t *testing.T) {
	for _, g := range loadGolden(t) {
		if g.Init == nil {
			continue
		}
		params := newModel(t, g.Cell, g.Seed).Params()
		require.Len(t, params, len(g.Init))
		for _, p := range params[:4] {
			require.Equal(t, g.Init[p.Name], p.Data, "%s: %s", g.Cell, p.Name)
		}
		weight, bias := params[4], params[5]
		words, H := weight.Shape[0], weight.Shape[1]
		require.Len(t, g.Init["W"], words*H)
		for i, v := range g.Init["W"] {
			require.Equal(t, v, weight.Data[i%words*H+i/words], "%s: W[%d]", g.Cell, i)
		}
		require.Equal(t, g.Init["b"], bias.Data, g.Cell)
	}
}

// Training costs what it costs in PyTorch, and learns the words.
func TestTraining(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, g := range loadGolden(t) {
			if kerneltest.Emulated() && g.Seed > 0 {
				continue
			}
			m := newModel(t, g.Cell, g.Seed)
			for epoch := 1; epoch <= 500; epoch++ {
				cost, err := m.Epoch()
				require.NoError(t, err)
				if epoch <= len(g.First) {
					require.InDelta(t, g.First[epoch-1], cost, 2e-6, "%s, seed %d, epoch %d", g.Cell, g.Seed, epoch)
				}
				if epoch%100 == 0 {
					require.InDelta(t, g.Cost[epoch/100-1], cost, 1e-5, "%s, seed %d, epoch %d", g.Cell, g.Seed, epoch)
				}
			}
			require.Equal(t, []string{"dog", "coffee", "milk", "cat", "milk", "coffee"}, m.Predict(), "%s, seed %d", g.Cell, g.Seed)
		}
	})
}

// A training step allocates nothing.
func TestAllocs(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, cell := range model.Cells {
			m := newModel(t, cell, 0)
			require.Zero(t, testing.AllocsPerRun(20, func() {
				if _, err := m.Epoch(); err != nil {
					t.Fatal(err)
				}
			}), cell)
		}
	})
}

var record = flag.Bool("record", false, "record testdata/stdout.txt, on the path avx2")

// SIMD paths print the recorded text byte for byte.
func TestOutput(t *testing.T) {
	const file = "testdata/stdout.txt"
	kerneltest.Each(t, func(t *testing.T, isa kernels.ISA) {
		var out, errs bytes.Buffer
		require.Zero(t, run(nil, &out, &errs), errs.String())
		require.Empty(t, errs.String())
		if *record && isa == kernels.AVX2 {
			require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
		}
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		if isa != kernels.Generic {
			require.Equal(t, string(b), out.String())
			return
		}
		want, got := strings.Split(string(b), "\n"), strings.Split(out.String(), "\n")
		require.Len(t, got, len(want))
		for i := range want {
			var epoch, epoch2 int
			var cost, cost2 float64
			if n, _ := fmt.Sscanf(want[i], "Epoch: %d cost = %g", &epoch, &cost); n < 2 {
				require.Equal(t, want[i], got[i])
				continue
			}
			_, err := fmt.Sscanf(got[i], "Epoch: %d cost = %g", &epoch2, &cost2)
			require.NoError(t, err, got[i])
			require.Equal(t, epoch, epoch2)
			require.InDelta(t, cost, cost2, 1e-5)
		}
	})
}

func TestFlags(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run([]string{"-cell", "lstm", "-hidden", "3", "-lr", ".1", "-epochs", "100", "-seed", "-1"}, &out, &errs))
	require.Empty(t, errs.String())
	require.Regexp(t, `^Epoch: 0100 cost = \d\.\d{6}\n\[\['i', 'like'\], .*, \['you', 'hate'\]\] -> \['.*'\]\n$`, out.String())

	out.Reset()
	require.Zero(t, run([]string{"-cell", "gru,rnn", "-epochs", "1"}, &out, &errs))
	require.Empty(t, errs.String())
	require.Regexp(t, `(?s)^GRU\n\[.*\nRNN\n\[`, out.String())

	out.Reset()
	require.Zero(t, run([]string{"-h"}, &out, &errs))
	require.Empty(t, errs.String())
	for _, name := range []string{"usage: nextword", "-cell", "-seed", "-epochs", "-hidden", "-lr"} {
		require.Contains(t, out.String(), name)
	}
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-cell mlp", `-cell has "mlp", want one of rnn, lstm, gru, or several with commas`},
		{"-cell=", `-cell has "", want one of rnn, lstm, gru, or several with commas`},
		{"-cell gru,", `-cell has "", want one of rnn, lstm, gru, or several with commas`},
		{"-epochs 0", "-epochs is 0, want at least 1"},
		{"-hidden 0", "-hidden is 0, want 1 to 4096"},
		{"-hidden 5000", "-hidden is 5000, want 1 to 4096"},
		{"-lr 0", "-lr is 0, want a finite number above 0"},
		{"-lr -0.1", "-lr is -0.1, want a finite number above 0"},
		{"-lr NaN", "-lr is NaN, want a finite number above 0"},
		{"-lr +Inf", "-lr is +Inf, want a finite number above 0"},
		{"-lr x", `invalid value "x" for flag -lr: parse error`},
		{"-epochs 1.5", `invalid value "1.5" for flag -epochs: parse error`},
		{"-epochs", "flag needs an argument: -epochs"},
		{"-depth 3", "flag provided but not defined: -depth"},
		{"-de\nep", `flag provided but not defined: -de\nep`},
		{"100", `unexpected argument "100"`},
		{"-seed 1 2", `unexpected argument "2"`},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(strings.Split(c.args, " "), &out, &errs), c.args)
		require.Empty(t, out.String())
		require.Equal(t, "nextword: "+c.want+"\n", errs.String())
	}
}

// A wrong SIMDRNN_ISA is one line as well.
func TestBadISA(t *testing.T) {
	if kerneltest.Emulated() {
		t.Skip("starts a process")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asProgram+"=1", "SIMDRNN_ISA=mmx")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.Error(t, cmd.Run())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Empty(t, out.String())
	require.Regexp(t, `^nextword: .*SIMDRNN_ISA=mmx is not available, want generic.*\n$`, errs.String())
}
