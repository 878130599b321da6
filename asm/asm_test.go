package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
	"github.com/simdrnn/simdrnn/asm/neon"
	"github.com/simdrnn/simdrnn/asm/vec"
	"github.com/stretchr/testify/require"
	"golang.org/x/arch/arm64/arm64asm"
)

const root = ".." // of the module

// TestFresh compares what is generated with what is there: neither more nor
// less, and twice the same.
func TestFresh(t *testing.T) {
	files, err := generate(root)
	require.NoError(t, err)
	again, err := generate(root)
	require.NoError(t, err)
	for name, text := range files {
		require.True(t, bytes.Equal(text, again[name]), "%s differs from run to run", name)
		have, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, have), "%s is stale: run go generate", name)
	}
	for _, folder := range []string{kernelsFolder, limitsFolder} {
		have, err := os.ReadDir(filepath.Join(root, folder))
		require.NoError(t, err)
		for _, e := range have {
			text, err := os.ReadFile(filepath.Join(root, folder, e.Name()))
			if err == nil && bytes.HasPrefix(text, []byte("// Code generated")) {
				require.Contains(t, files, folder+"/"+e.Name(), "it is generated no more")
			}
		}
	}
}

// assembly lists the generated files of an architecture.
func assembly(t *testing.T, arch string) (files []string) {
	for _, folder := range []string{kernelsFolder, limitsFolder} {
		more, err := filepath.Glob(filepath.Join(root, folder, "*_"+arch+".s"))
		require.NoError(t, err)
		require.NotEmpty(t, more, folder)
		files = append(files, more...)
	}
	return files
}

// TestWords disassembles every instruction that arm64 files write as a word and
// compares it with the mnemonic in its comment.
func TestWords(t *testing.T) {
	word := regexp.MustCompile(`^\tWORD +\$0x([0-9a-f]{8}) // (.*)$`)
	words := 0
	seen := map[string]bool{}
	for _, file := range assembly(t, "arm64") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, line := range strings.Split(string(text), "\n") {
			m := word.FindStringSubmatch(line)
			if m == nil {
				require.NotContains(t, line, "WORD", "%s: no comment", file)
				continue
			}
			w, err := strconv.ParseUint(m[1], 16, 32)
			require.NoError(t, err)
			i, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, uint32(w)))
			require.NoError(t, err, line)
			require.Equal(t, strings.ToLower(m[2]), arm64asm.GNUSyntax(i), line)
			seen[strings.Fields(m[2])[0]] = true
			words++
		}
	}
	require.Len(t, seen, 9, "kinds of words")
	t.Log(words, "words")
}

// TestAMD64Text reads the generated files again: what Check saw in avo's
// instructions must hold in the text.
func TestAMD64Text(t *testing.T) {
	highRegister := regexp.MustCompile(`\b([XY](1[6-9]|2[0-9]|3[01])|Z[0-9]+|K[0-7])\b`)
	legacy := regexp.MustCompile(`^(MOV[UA]PS|MOVSS|ADD[PS]S|MUL[PS]S|LDMXCSR|STMXCSR|XORPS|SHUFPS)\b`)
	begin := []string{"VSTMXCSR", "MOVL", "VLDMXCSR", "JMP", "restore:", "VLDMXCSR", "RET", "start:"} // see vec's Begin
	returns := 0
	for _, file := range assembly(t, "amd64") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		function, before := "", []string{}
		for _, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line)
			switch {
			case strings.HasPrefix(line, "TEXT"):
				function, before = line, nil
			case len(fields) == 0 || strings.HasPrefix(fields[0], "//"):
			default:
				require.NotRegexp(t, legacy, fields[0], "%s: %s", file, function)
				if strings.Contains(function, "AVX2(") {
					require.NotRegexp(t, highRegister, line, "%s: %s", file, function)
				}
				if fields[0] == "RET" {
					require.Equal(t, begin[:6], before, "%s: %s", file, function)
					returns++
				}
				if slices.Equal(fields, []string{"JMP", "restore"}) {
					require.Equal(t, begin, before[:len(begin)], "%s: %s", file, function)
					require.Equal(t, "VZEROUPPER", before[len(before)-1], "%s: %s", file, function)
				}
				before = append(before, fields[0])
			}
		}
	}
	require.Positive(t, returns)
}

// function compiles a function that emit fills.
func function(name string, compile pass.Interface, emit func(c *build.Context)) error {
	c := build.NewContext()
	c.Function(name)
	c.SignatureExpr("func(p *float32)")
	emit(c)
	f, err := c.Result()
	if err != nil {
		return err
	}
	return compile.Execute(f)
}

// TestCheck: generation fails where a function would be wrong without a test
// noticing it on this machine.
func TestCheck(t *testing.T) {
	amd64 := pass.Concat(pass.Compile, pass.FunctionPass(vec.Check))
	for _, c := range []struct {
		name, want string
		emit       func(c *build.Context)
	}{
		{"goodAVX2", "", func(c *build.Context) {
			y := c.YMM()
			c.VXORPS(y, y, y)
			c.VZEROUPPER()
			c.RET()
		}},
		{"manyAVX2", "manyAVX2: VMOVUPS uses Y16, which AVX2 lacks", func(c *build.Context) {
			p := c.Load(c.Param("p"), c.GP64())
			var live []reg.VecVirtual
			for i := range 17 {
				live = append(live, c.YMM())
				c.VMOVUPS(operand.Mem{Base: p, Disp: 32 * i}, live[i])
			}
			for _, y := range live {
				c.VMOVUPS(y, operand.Mem{Base: p})
			}
			c.VZEROUPPER()
			c.RET()
		}},
		{"wideAVX2", "wideAVX2: VMOVUPS uses Z0, which AVX2 lacks", func(c *build.Context) {
			p := c.Load(c.Param("p"), c.GP64())
			z := c.ZMM()
			c.VMOVUPS(operand.Mem{Base: p}, z)
			c.VMOVUPS(z, operand.Mem{Base: p})
			c.VZEROUPPER()
			c.RET()
		}},
		{"evexAVX2", "evexAVX2: VRNDSCALEPS needs AVX512", func(c *build.Context) {
			y := c.YMM()
			c.VXORPS(y, y, y)
			c.VRNDSCALEPS(operand.U8(0), y, y)
			c.VZEROUPPER()
			c.RET()
		}},
		{"upperAVX512", "upperAVX512: no VZEROUPPER before RET", func(c *build.Context) {
			y := c.YMM()
			c.VXORPS(y, y, y)
			c.RET()
		}},
		{"jumpAVX512", "jumpAVX512: no VZEROUPPER before JMP", func(c *build.Context) {
			c.JMP(operand.LabelRef("start"))
			c.Label("restore")
			c.RET()
			c.Label("start")
			y := c.YMM()
			c.VXORPS(y, y, y)
			c.JMP(operand.LabelRef("restore"))
		}},
	} {
		err := function(c.name, amd64, c.emit)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.want)
		}
	}
	for _, c := range []struct {
		want string
		emit func(a neon.Asm)
	}{
		{"FMOVQ: offset 65536 is out of reach", func(a neon.Asm) {
			p := a.GP64()
			a.MOVDimm(0, p)
			a.FMOVQ(operand.Mem{Base: p, Disp: 65536}, a.XMM())
		}},
		{"FLDPQ: offset 1024 is out of reach", func(a neon.Asm) {
			p := a.GP64()
			a.MOVDimm(0, p)
			a.FLDPQ(operand.Mem{Base: p, Disp: 1024}, a.XMM(), a.XMM())
		}},
		{"FMOVQ: offset 8 is out of reach", func(a neon.Asm) {
			p := a.GP64()
			a.MOVDimm(0, p)
			a.FMOVQ(operand.Mem{Base: p, Disp: 8}, a.XMM())
		}},
		{"ADD: 4096 is out of reach", func(a neon.Asm) {
			p := a.GP64()
			a.MOVDimm(0, p)
			a.ADDimm(4096, p, p)
		}},
	} {
		require.ErrorContains(t, function("offsetNEON", neon.Compile, func(context *build.Context) {
			a := neon.Asm{Context: context}
			c.emit(a)
			a.RET()
		}), c.want)
	}
}
