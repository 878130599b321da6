// Command asm writes the assembly of package kernels, and the Go code that
// declares and calls it, into the folder of that package, which its argument
// names.
//
// Each kernel is described once, in the file of its family, and emitted for all
// instruction sets of [targets].
package main

import (
	"bytes"
	"fmt"
	"go/types"
	"log"
	"os"
	"path/filepath"

	"github.com/simdrnn/simdrnn/asm/neon"
	"github.com/simdrnn/simdrnn/asm/vec"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// A target is an instruction set and what suits it.
type target struct {
	arch       string
	isa        func(*vec.Gen) vec.ISA
	unroll     int   // registers of a value in simple kernels
	gateUnroll int   // and in gates
	blocks     []int // by rows of a tile: the blocks of 16 columns that fit into the registers
	steps      func(rows int) int
}

// An fma every half cycle with a latency of 4 wants 8 accumulators at least, on
// the largest arm64 cores 16; AVX2 has 16 registers, the others 32.
var targets = []target{
	{
		arch: "amd64", isa: vec.AVX2, unroll: 2, gateUnroll: 1, blocks: []int{0, 4, 2, 2, 1, 1, 1},
		steps: func(rows int) int { return 2 },
	},
	{
		arch: "amd64", isa: vec.AVX512, unroll: 2, gateUnroll: 1, blocks: []int{0, 4, 4, 4, 4, 4, 4},
		steps: func(rows int) int { return 2 },
	},
	{
		arch: "arm64", isa: vec.NEON, unroll: 3, gateUnroll: 2, blocks: []int{0, 4, 2, 1, 1},
		steps: func(rows int) int { return 4 },
	},
}

// A family is the kernels of a file.
type family struct {
	name string
	emit func(*vec.Gen, target)
}

var families = []family{
	{"activation", activations},
	{"vector", vectors},
	{"gates", allGates},
	{"gemm", gemms},
	{"reduce", reductions},
	{"optim", optimizers},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: asm FOLDER")
	}
	files, err := generate(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// generate returns the files by name. The types of parameters are those of the
// package in folder.
func generate(folder string) (map[string][]byte, error) {
	pkg, err := parameterTypes(folder)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, arch := range []string{"amd64", "arm64"} {
		var kernels []*kernel
		var stubs bytes.Buffer
		fmt.Fprintf(&stubs, "%s\npackage kernels\n", header(arch))
		for _, f := range families {
			text, funcs, err := assemble(arch, f, pkg)
			if err != nil {
				return nil, fmt.Errorf("%s_%s: %w", f.name, arch, err)
			}
			files[f.name+"_"+arch+".s"] = text
			for _, fn := range funcs {
				writeStub(&stubs, fn)
				kernels = addKernel(kernels, fn)
			}
		}
		files["stubs_"+arch+".go"] = stubs.Bytes()
		if files["dispatch_"+arch+".go"], err = dispatch(arch, kernels); err != nil {
			return nil, err
		}
		if arch == "amd64" {
			if files["dispatch_other.go"], err = dispatch("", kernels); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// assemble emits a family for the instruction sets of an architecture.
func assemble(arch string, f family, pkg *types.Package) (text []byte, funcs []*vec.Func, err error) {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	for _, t := range targets {
		if t.arch == arch {
			g := vec.New(c, t.isa, pkg)
			f.emit(g, t)
			if err := g.Finish(); err != nil {
				return nil, nil, err
			}
			funcs = append(funcs, g.Funcs...)
		}
	}
	file, err := c.Result()
	if err != nil {
		return nil, nil, err
	}
	compile := neon.Compile
	if arch == "amd64" {
		compile = pass.Concat(pass.Compile, pass.FunctionPass(vec.Check))
	}
	if err := compile.Execute(file); err != nil {
		return nil, nil, err
	}
	text, err = printer.NewGoAsm(printer.Config{Argv: []string{"go generate"}, Pkg: "kernels"}).Print(file)
	return text, funcs, err
}
