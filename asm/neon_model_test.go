package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mca returns the newest llvm-mca there is, or "".
func mca() string {
	for _, name := range []string{"llvm-mca-21", "llvm-mca-20", "llvm-mca-19", "llvm-mca-18", "llvm-mca-17", "llvm-mca"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// TestNEONModel asks LLVM's models of arm64 cores how fast the inner loops of the
// products are: nobody has measured NEON. It fails if tiles of several rows stay
// below 90 % of the model's fused multiply-adds.
func TestNEONModel(t *testing.T) {
	tool := mca()
	if tool == "" {
		t.Skip("NOT MODELLED: there is no llvm-mca")
	}
	version, err := exec.Command(tool, "--version").Output()
	require.NoError(t, err)
	if m := regexp.MustCompile(`version (\d+)`).FindSubmatch(version); m == nil || len(m[1]) < 2 || string(m[1]) < "17" {
		t.Skipf("NOT MODELLED: %s is older than LLVM 17, which has models of these cores", tool)
	}
	text, err := os.ReadFile(filepath.Join(root, kernelsFolder, "gemm_arm64.s"))
	require.NoError(t, err)
	for _, core := range []struct {
		name string
		fmas int // a cycle
	}{{"neoverse-n1", 2}, {"neoverse-v1", 4}, {"neoverse-v2", 4}} {
		for _, tile := range []string{"1x64", "2x32", "3x32", "4x16"} {
			loop := innerLoop(t, string(text), "gemm"+tile+"NEON")
			const turns = 100
			c := exec.Command(tool, "-mtriple=aarch64", "-mcpu="+core.name, fmt.Sprintf("-iterations=%d", turns))
			c.Stdin = strings.NewReader(strings.Join(loop, "\n"))
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s: %s", tile, out)
			m := regexp.MustCompile(`Total Cycles: +(\d+)`).FindSubmatch(out)
			require.NotNil(t, m, string(out))
			cycles, err := strconv.Atoi(string(m[1]))
			require.NoError(t, err)
			fmas := 0
			for _, i := range loop {
				if strings.HasPrefix(i, "fmla") {
					fmas++
				}
			}
			share := float64(100*fmas*turns) / float64(core.fmas*cycles)
			t.Logf("%s gemm%s: %.0f %% of the modelled fused multiply-adds", core.name, tile, share)
			if tile != "1x64" { // a row by itself is bound by its loads
				require.GreaterOrEqual(t, share, 90.0)
			}
		}
	}
}

// goSyntax turns the instructions of inner loops from Go's syntax to GNU's.
var goSyntax = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`^WORD +\S+ // (.*)$`), "$1"},
	{regexp.MustCompile(`^FMOVQ +(-?\d*)\(R(\d+)\), F(\d+)$`), "ldr q$3, [x$2, #$1]"},
	{regexp.MustCompile(`^FMOVD +(-?\d*)\(R(\d+)\), F(\d+)$`), "ldr d$3, [x$2, #$1]"},
	{regexp.MustCompile(`^FMOVS +(-?\d*)\(R(\d+)\), F(\d+)$`), "ldr s$3, [x$2, #$1]"},
	{regexp.MustCompile(`^FLDPQ +(-?\d*)\(R(\d+)\), \(F(\d+), F(\d+)\)$`), "ldp q$3, q$4, [x$2, #$1]"},
	{regexp.MustCompile(`^ADD +\$(-?\d+), R(\d+), R(\d+)$`), "add x$3, x$2, #$1"},
	{regexp.MustCompile(`^CMP +\$(\d+), R(\d+)$`), "cmp x$2, #$1"},
	{regexp.MustCompile(`^BGE +\w+$`), "b.ge 0"},
}

// innerLoop returns the first loop of a function that multiplies, in GNU's syntax.
func innerLoop(t *testing.T, text, function string) (loop []string) {
	_, text, found := strings.Cut(text, "TEXT ·"+function+"(SB)")
	require.True(t, found, function)
	text, _, _ = strings.Cut(text, "\nTEXT ")
	lines := strings.Split(text, "\n")
	first := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, "FMLA") })
	require.Positive(t, first, function)
	for !strings.HasSuffix(lines[first-1], ":") {
		first--
	}
	for _, line := range lines[first:] {
		line = strings.ReplaceAll(strings.TrimSpace(line), " (R", " 0(R")
		i := slices.IndexFunc(goSyntax, func(r struct {
			from *regexp.Regexp
			to   string
		}) bool {
			return r.from.MatchString(line)
		})
		require.GreaterOrEqual(t, i, 0, "%s: %s", function, line)
		loop = append(loop, strings.ToLower(goSyntax[i].from.ReplaceAllString(line, goSyntax[i].to)))
		if strings.HasPrefix(line, "BGE") {
			return loop
		}
	}
	require.Fail(t, "no end of the loop", function)
	return nil
}
