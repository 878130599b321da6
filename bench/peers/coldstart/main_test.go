package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/layer"
)

// TestMain also is what the command is as a sample.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-child" {
		if err := answerFrom(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestMeasure(t *testing.T) {
	c := config{peers: []string{"a", "b"}, python: filepath.Join(t.TempDir(), "no-python"), hidden: 20, layers: 2, rounds: 3}
	require.NoError(t, c.check())
	dir := t.TempDir()
	r, err := c.measure(dir)
	require.NoError(t, err)
	require.Len(t, r.all[0].samples, 3)
	for _, a := range r.all[0].samples {
		require.Positive(t, a.Load)
		require.Positive(t, a.First)
		require.Greater(t, a.process, a.total())
	}
	require.Contains(t, r.all[1].absent, "no-python")

	want := r.all[0].samples[0].Y
	want[3] += 2e-5
	_, err = r.all[0].sample(want)
	require.ErrorContains(t, err, "result 3 differs by 2e-05")
	_, err = r.all[0].sample(want[1:])
	require.ErrorContains(t, err, "20 results, want 19")

	var w strings.Builder
	r.all[1].absent, r.all[1].samples = "", []answer{{"1.2", .5, .25, nil, 2}, {"1.2", .5, .25, nil, 2}}
	r.all[0].samples = []answer{{"go", .05, .025, nil, .1}}
	r.table(&w)
	lines := strings.Split(strings.TrimSpace(w.String()), "\n")
	require.Contains(t, lines, "| simdrnn | go | 50.0 ms | 25.00 ms | 75.0 ms | 1.0 | 100 ms |")
	require.Contains(t, lines, "| a | 1.2 | 500.0 ms | 250.00 ms | 750.0 ms | 10.0 | 2000 ms |")
	require.Contains(t, lines[len(lines)-1], "| b | absent: ")
	for _, l := range lines[3:] {
		require.Equal(t, strings.Count(lines[2], "|"), strings.Count(l, "|"), l)
	}
}

// What goes wrong in a sample says so.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	require.Error(t, answerFrom(dir, os.Stdout))
	require.NoError(t, layer.WriteSafetensors(filepath.Join(dir, inputFile), layer.StateDict{"x": {Shape: []int{1}, Data: []float32{1}}}))
	require.NoError(t, layer.WriteSafetensors(filepath.Join(dir, weightsFile), layer.StateDict{"y": {Shape: []int{1}, Data: []float32{1}}}))
	require.ErrorContains(t, answerFrom(dir, os.Stdout), "missing weight_ih_l0")
	for _, c := range []config{{hidden: 0, layers: 1, rounds: 1}, {hidden: 1, layers: 0, rounds: 1}, {hidden: 1, layers: 1}} {
		require.ErrorContains(t, c.check(), "want at least 1")
	}
}
