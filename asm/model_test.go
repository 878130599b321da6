package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/build"
	"github.com/simdrnn/simdrnn/asm/vec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A core is a processor that LLVM models.
type core struct {
	name, cpu string
	fmas      float64 // vectors of fused multiply-adds a cycle, as its maker says
	peak      float64 // percent of them that tiles reach at least
	slack     float64 // most cycles of pointwise kernels by those of the busiest unit
}

// models are the cores for each path, and what must hold on them. LLVM's Ice Lake
// and Sapphire Rapids are not among them: they multiply 512 bits in one of the two
// units, and the latter divides in two cycles. Its Zen 4 keeps a multiplying unit
// busy with each broadcast of 512 bits, though with none of 256.
var models = map[string]struct {
	few   int // rows of tiles that have too few chains, or are bound by loads
	cores []core
}{
	"AVX512": {2, []core{
		{"Skylake-X", "skylake-avx512", 2, 90, 1.25}, // a window of 224 instructions
		{"Zen 4", "znver4", 1, 79, 1.1},
	}},
	"AVX2": {1, []core{
		{"Skylake-X", "skylake-avx512", 2, 90, 1.3},
		{"Zen 3", "znver3", 2, 90, 1.3},
		{"Zen 4", "znver4", 2, 90, 1.3},
	}},
	"NEON": {1, []core{
		{"Neoverse N1", "neoverse-n1", 2, 90, 1.1},
		{"Neoverse V1", "neoverse-v1", 4, 90, 1.1},
		{"Neoverse V2", "neoverse-v2", 4, 90, 1.1},
	}},
}

const (
	leastPeak = 49   // percent, of tiles of few rows
	clock     = 3.74 // GHz, of the machine that targets were set for
)

var pointwise = []string{"tanh", "sigmoid", "exp", "rnnTanhForward", "lstmForward", "lstmForwardTrain", "lstmBackward", "gruForward", "gruBackward"}

// TestModel asks LLVM's models of processors how fast the main loops of products
// and of pointwise kernels are, on processors that nobody has measured. It fails
// where products stay below the peak of multiply-adds, or where other loops wait
// for results instead of keeping a unit busy.
func TestModel(t *testing.T) {
	tools := findLLVM(t)
	goals := targetsAVX512(t)
	for _, target := range targets {
		path := vec.New(build.NewContext(), target.isa, nil).Name()
		m := models[path]
		var tiles []string
		for rows := 1; rows < len(target.blocks); rows++ {
			tiles = append(tiles, fmt.Sprintf("gemm%dx%d", rows, block*target.blocks[rows]))
		}
		loops := map[string]loop{}
		for name, code := range tools.disassemble(t, target.arch, path, slices.Concat(tiles, pointwise)) {
			loops[name] = mainLoop(t, name, code)
		}
		results := map[string]map[string]result{} // by core
		head, rule := "", ""
		for _, c := range m.cores {
			results[c.name] = tools.simulate(t, target.arch, c.cpu, loops)
			head, rule = head+" "+c.name+" |", rule+" ---: |"
		}

		var table strings.Builder
		fmt.Fprintf(&table, "LLVM %s, %s, percent of the peak:\n\n| Tile |%s\n| --- |%s\n", tools.version, path, head, rule)
		for i, tile := range tiles {
			fmt.Fprintf(&table, "| %s |", strings.TrimPrefix(tile, "gemm"))
			for _, c := range m.cores {
				share := 100 * float64(loops[tile].fmas) / c.fmas / results[c.name][tile].cycles
				fmt.Fprintf(&table, " %.0f |", share)
				least := c.peak
				if i < m.few {
					least = leastPeak
				}
				assert.GreaterOrEqual(t, share, least, "%s %s %s", path, tile, c.name)
			}
			table.WriteByte('\n')
		}

		withGoals := path == "AVX512"
		if withGoals {
			head, rule = head+fmt.Sprintf(" %s, %g GHz | Target |", m.cores[0].name, clock), rule+" ---: | ---: |"
		}
		fmt.Fprintf(&table, "\n%s, cycles an element or unit (of the busiest unit alone):\n\n| Kernel | Instructions |%s\n| --- | ---: |%s\n", path, head, rule)
		for _, name := range pointwise {
			l := loops[name]
			n := float64(l.elements)
			fmt.Fprintf(&table, "| %s | %.2f |", name, float64(len(l.code))/n)
			for _, c := range m.cores {
				r := results[c.name][name]
				fmt.Fprintf(&table, " %.2f (%.2f) |", r.cycles/n, r.busiest/n)
				assert.LessOrEqual(t, r.cycles/r.busiest, c.slack, "%s %s %s: %.1f cycles", path, name, c.name, r.cycles)
			}
			if withGoals {
				goal := "–"
				if ns, ok := goals[strings.ToLower(name)]; ok {
					goal = ns + " ns"
				}
				fmt.Fprintf(&table, " %.2f ns | %s |", results[m.cores[0].name][name].cycles/n/clock, goal)
			}
			table.WriteByte('\n')
		}
		t.Log("\n" + table.String())
	}
}

// targetsAVX512 reads the nanoseconds an element or unit that kernels should take
// out of the program that measures them.
func targetsAVX512(t *testing.T) map[string]string {
	text, err := os.ReadFile(filepath.Join(root, "bench", "kernels", "main.go"))
	require.NoError(t, err)
	goals := map[string]string{}
	for _, m := range regexp.MustCompile(`per(?:Unit|Element)\("(\w+)", ([\d.]+), `).FindAllStringSubmatch(string(text), -1) {
		goals[strings.ToLower(m[1])] = m[2]
	}
	require.Len(t, goals, 6)
	return goals
}

// llvmTools are programs of LLVM.
type llvmTools struct{ version, mca, objdump string }

// findLLVM takes one version only, for the models differ: that of LLVM 22 lets a
// Neoverse N1 start three micro-operations a cycle, not eight.
func findLLVM(t *testing.T) llvmTools {
	const want = "19"
	for _, suffix := range []string{"-" + want, ""} {
		tools := llvmTools{mca: "llvm-mca" + suffix, objdump: "llvm-objdump" + suffix}
		out, err := exec.Command(tools.mca, "--version").Output()
		if err != nil || exec.Command(tools.objdump, "--version").Run() != nil {
			continue
		}
		m := regexp.MustCompile(`version ((\d+)[\d.]*)`).FindStringSubmatch(string(out))
		require.NotNil(t, m, string(out))
		if m[2] == want {
			tools.version = m[1]
			return tools
		}
	}
	t.Skipf("NOT MODELLED: there are no llvm-mca and llvm-objdump of LLVM %s (Debian's llvm-%s)", want, want)
	return llvmTools{}
}

// command runs a program and returns what it prints.
func command(t *testing.T, c *exec.Cmd) []byte {
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(t, err, "%v: %s", c.Args, stderr.String())
	return out
}

// disassemble returns the code of kernels of a path.
func (l llvmTools) disassemble(t *testing.T, arch, path string, kernels []string) map[string]string {
	binary := filepath.Join(t.TempDir(), "kernels.test")
	c := exec.Command("go", "test", "-c", "-vet=off", "-o", binary, "./"+kernelsFolder)
	c.Dir = root
	c.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	command(t, c)
	symbol := func(kernel string) string {
		return "github.com/simdrnn/simdrnn/" + kernelsFolder + "." + kernel + path + ".abi0"
	}
	var symbols []string
	for _, k := range kernels {
		symbols = append(symbols, symbol(k))
	}
	out := command(t, exec.Command(l.objdump, "-d", "--no-show-raw-insn", "--disassemble-symbols="+strings.Join(symbols, ","), binary))
	code := map[string]string{}
	for _, k := range kernels {
		_, text, found := strings.Cut(string(out), " <"+symbol(k)+">:\n")
		require.True(t, found, symbol(k))
		code[k], _, _ = strings.Cut(text, "\n\n")
	}
	return code
}

// A loop is the code of an innermost loop.
type loop struct {
	code     []string
	fmas     int
	elements int // by which the slowest pointer advances
}

var (
	instruction = regexp.MustCompile(`(?m)^ *([0-9a-f]+):\s+(.*?)(?:\s+(?:# |//).*)?$`)
	branch      = regexp.MustCompile(`^(?:j\w+|b|b\.\w+|cbn?z|tbn?z)\s.*\b0x([0-9a-f]+)(?: <.*)?$`)
	multiplyAdd = regexp.MustCompile(`^(?:vfn?m(?:add|sub)|fml[as])`)
	step        = regexp.MustCompile(`^add(?:q\s+\$0x([0-9a-f]+), %\w+|\s+x\d+, x\d+, #0x([0-9a-f]+))$`)
)

// mainLoop returns the innermost loop that does most in a turn. Of two versions it
// takes the shorter, which fetches nothing ahead.
func mainLoop(t *testing.T, name, text string) (best loop) {
	type span struct{ first, last int }
	var code []string
	var loops []span
	index := map[string]int{} // by address
	for _, m := range instruction.FindAllStringSubmatch(text, -1) {
		index[m[1]] = len(code)
		if to := branch.FindStringSubmatch(m[2]); to != nil {
			if first, ok := index[to[1]]; ok {
				loops = append(loops, span{first, len(code)})
			}
			m[2] = strings.Fields(m[2])[0] + " 0" // whereto does not matter to the model
		}
		code = append(code, m[2])
	}
	for _, s := range loops {
		if slices.ContainsFunc(loops, func(in span) bool { return in != s && in.first >= s.first && in.last <= s.last }) {
			continue
		}
		l := loop{code: code[s.first : s.last+1]}
		for _, i := range l.code {
			if multiplyAdd.MatchString(i) {
				l.fmas++
			}
			if m := step.FindStringSubmatch(i); m != nil {
				bytes, err := strconv.ParseInt(m[1]+m[2], 16, 0)
				require.NoError(t, err)
				if n := int(bytes / 4); l.elements == 0 || n < l.elements {
					l.elements = n
				}
			}
		}
		if l.elements > best.elements || l.elements == best.elements &&
			(l.fmas > best.fmas || l.fmas == best.fmas && len(l.code) < len(best.code)) {
			best = l
		}
	}
	require.Positive(t, best.elements, name)
	return best
}

// A result is cycles of a turn of a loop: all, and those that the busiest unit, or
// the decoders, need alone.
type result struct{ cycles, busiest float64 }

// simulate runs loops in the model of a processor.
func (l llvmTools) simulate(t *testing.T, arch, cpu string, loops map[string]loop) map[string]result {
	var in bytes.Buffer
	for name, l := range loops {
		fmt.Fprintf(&in, "# LLVM-MCA-BEGIN %s\n%s\n# LLVM-MCA-END\n", name, strings.Join(l.code, "\n"))
	}
	triple := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
	c := exec.Command(l.mca, "-mtriple="+triple, "-mcpu="+cpu, "-iterations=200", "-json", "-instruction-info=false")
	c.Stdin = &in
	var report struct {
		CodeRegions []struct {
			Name         string
			Instructions []string
			SummaryView  struct {
				Iterations, TotalCycles, TotaluOps, DispatchWidth float64
			}
			ResourcePressureView struct {
				ResourcePressureInfo []struct {
					InstructionIndex int // the number of instructions stands for their sum
					ResourceUsage    float64
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(command(t, c), &report))
	results := map[string]result{}
	for _, r := range report.CodeRegions {
		s := r.SummaryView
		busiest := s.TotaluOps / s.Iterations / s.DispatchWidth
		require.Len(t, r.Instructions, len(loops[r.Name].code), r.Name)
		for _, p := range r.ResourcePressureView.ResourcePressureInfo {
			if p.InstructionIndex == len(r.Instructions) {
				busiest = max(busiest, p.ResourceUsage)
			}
		}
		results[r.Name] = result{s.TotalCycles / s.Iterations, busiest}
	}
	require.Len(t, results, len(loops))
	return results
}
