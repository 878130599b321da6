package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/layer"
)

// bePeer does with simdrnn what compare.py does with PyTorch, and adds to the
// losses what off says.
func bePeer(dir, off string) {
	fatal := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var add float64
	_, err := fmt.Sscan(off, &add)
	fatal(err)
	var cfg struct {
		config
		Vocab int `json:"vocab"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	fatal(err)
	fatal(json.Unmarshal(b, &cfg))
	batches, err := os.ReadFile(filepath.Join(dir, "batches.bin"))
	fatal(err)
	weights, err := layer.ReadSafetensors(filepath.Join(dir, "init.safetensors"))
	fatal(err)
	seed := cfg.Seed
	cfg.Seed++ // the weights must come from the file
	t, err := newTrainer(cfg.config, cfg.Vocab)
	fatal(err)
	fatal(t.load(weights))
	t.tape.SetRand(layer.NewRand(seed))
	symbols := func() (s []int) {
		n := cfg.Batch * cfg.Unroll
		for _, c := range batches[:n] {
			s = append(s, int(c))
		}
		batches = batches[n:]
		return s
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		_, err := fmt.Sscan(in.Text(), &n)
		fatal(err)
		a := answer{Seconds: 1}
		for range n {
			loss, err := t.step(symbols(), symbols())
			fatal(err)
			a.Loss = append(a.Loss, float64(loss)+add)
		}
		line, err := json.Marshal(a)
		fatal(err)
		fmt.Println(string(line))
	}
}

// The exported weights and batches are those of the run, which another process
// repeats; a difference is an error.
func TestCompare(t *testing.T) {
	if testing.Short() || kerneltest.Emulated() {
		t.Skip("starts processes")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	args := []string{"compare", "-data", source(t), "-python", self, "-script", "compare.py", "-embed=4", "-hidden=8",
		"-groups=2", "-batch=3", "-unroll=25", "-steps=25", "-warmup=4", "-block=3", "-valid=100"}
	t.Setenv(asPeer, "0")
	require.Regexp(t, `(?s)\n25 steps, .*largest difference of a loss: 0\.00e\+00 nats, at step 0\ncharacters a second, threads = 1: median `, must(t, args...))
	t.Setenv(asPeer, "1e-3")
	code, _, errs := try(args...)
	require.Equal(t, 2, code)
	require.Equal(t, "charlm: losses differ by 1.00e-03, want at most 5.00e-05\n", errs)
	t.Setenv(asPeer, "nonsense")
	code, _, errs = try(args...)
	require.Equal(t, 2, code)
	require.Contains(t, errs, "the other process")
}
