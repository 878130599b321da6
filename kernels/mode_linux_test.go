//go:build amd64 && !purego

package kernels

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestModeSwitches: each kernel sets the floating-point mode and restores it in the 32
// bytes in which it begins, for a reason that asm/vec gives where it emits them. The
// assembler and the linker of another version of Go may place them otherwise.
func TestModeSwitches(t *testing.T) {
	path, err := os.Executable()
	require.NoError(t, err)
	file, err := elf.Open(path)
	require.NoError(t, err)
	defer file.Close()
	section := func(name string) *elf.Section {
		s := file.Section(name)
		if s == nil {
			t.Skipf("NOT COVERED: no section %s", name)
		}
		return s
	}
	text := section(".text")
	code, err := text.Data()
	require.NoError(t, err)
	lines, err := section(".gopclntab").Data()
	require.NoError(t, err)
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, text.Addr))
	require.NoError(t, err)

	name := regexp.MustCompile(`kernels\.\w+AVX(2|512)(\.abi0)?$`)
	kernels := 0
	for _, f := range table.Funcs {
		if !name.MatchString(f.Name) || f.Entry < text.Addr || f.End > text.Addr+uint64(len(code)) {
			continue
		}
		body := code[f.Entry-text.Addr : f.End-text.Addr]
		var loads []int // where VLDMXCSR is
		for i := range len(body) - 4 {
			if op := body[i:]; bytes.HasPrefix(op, []byte{0xc5, 0xf8, 0xae}) && op[3]>>3&7 == 2 && op[4] == 0x24 {
				loads = append(loads, i)
			}
		}
		if loads == nil { // as in wrappers
			continue
		}
		kernels++
		require.Len(t, loads, 2, f.Name)
		require.Zero(t, f.Entry%32, f.Name)
		require.Less(t, loads[1], 32, f.Name)
	}
	require.Greater(t, kernels, 50)
}
