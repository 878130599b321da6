package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func output(samples int) string {
	var s strings.Builder
	s.WriteString("goos: linux\ngoarch: amd64\npkg: x\ncpu: Some CPU\n")
	for i := range samples {
		fmt.Fprintf(&s, "BenchmarkGemm/H=128/N=16/isa=avx2-2 \t 100\t 10 ns/op\t %d.5 %%peak\t %d GFLOP/s\t 100 limit-GFLOP/s\t %d %%tile\n", 90+i, 90+i, 94+i)
		fmt.Fprintf(&s, "BenchmarkActivation/kernel=Tanh/n=4096/isa=avx2 \t 100\t 10 ns/op\t 0.%d ns/element\n", 300+i)
	}
	return s.String() + "PASS\nok  \tx\t1s\n"
}

func TestTable(t *testing.T) {
	var rest, table strings.Builder
	r, err := read(strings.NewReader(output(7)+"a note\n"), &rest)
	require.NoError(t, err)
	require.Equal(t, "a note\n", rest.String())
	require.NoError(t, r.table(&table))
	lines := strings.Split(table.String(), "\n")
	require.Equal(t, "goos: linux, goarch: amd64, cpu: Some CPU; medians of 7 samples or more", lines[0])
	for _, want := range []string{
		"| Gemm, H = 128, N = 16 | avx512 | ≥ 88 % | not available here | – | – | – | – |",
		"| Gemm, H = 128, N = 16 | avx2 | ≥ 92 % | 93.0 GFLOP/s | 100.0 GFLOP/s | 94 % | 97 % | met |",
		"| Gemm, H = 128, N = 2 | avx2 | ≥ 70 % | not measured | – | – | – | – |",
		"| Tanh, n = 4096, an element | avx2 | ≤ 0.3 ns | 0.303 ns | – | – | – | short |",
	} {
		require.Contains(t, lines, want)
	}
	require.Len(t, lines, 4+2*len(rows())+1)

	r, err = read(strings.NewReader(output(6)), &rest)
	require.NoError(t, err)
	require.EqualError(t, r.table(&table), "6 samples of some benchmark, want at least 7")
	for text, want := range map[string]string{
		"":               "no results",
		"FAIL\tx\t1s\n":  "the benchmarks failed",
		"BenchmarkX 1 a": "no results",
	} {
		_, err = read(strings.NewReader(text), &rest)
		require.EqualError(t, err, want)
	}
	_, err = read(strings.NewReader("BenchmarkX 1 a ns/op\n"), &rest)
	require.ErrorContains(t, err, "BenchmarkX 1 a ns/op: ")
}
