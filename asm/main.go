// Command asm writes the assembly of packages kernels and bench/limits, the Go
// code that declares and calls it, and the coefficients that the portable path
// shares with it:
//
//	asm [-o FOLDER] ROOT
//
// reads the types that kernels take from the module in ROOT, and writes below
// ROOT, or below FOLDER.
//
// Each kernel is described once, in the file of its family, and emitted for all
// instruction sets of [targets].
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/types"
	"log"
	"os"
	"path"
	"path/filepath"

	"github.com/simdrnn/simdrnn/asm/approx"
	"github.com/simdrnn/simdrnn/asm/neon"
	"github.com/simdrnn/simdrnn/asm/vec"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// A target is an instruction set and what suits it.
type target struct {
	arch          string
	isa           func(*vec.Gen) vec.ISA
	unroll        int   // registers of a value in simple kernels
	chains        int   // and of the functions that are one long chain
	gateUnroll    int   // and in gates
	backUnroll    int   // and on the way back through them
	gateStages    int   // most stages of gates, each some units ahead of the next
	gateRegisters int   // that the gates of LSTM and GRU need, beside constants
	stepRegisters int   // and whole steps
	blocks        []int // by rows of a tile: the blocks of 16 columns that fit into the registers
	pairs         pairs // of panels, in the products of steps
}

// pairs says which panels of LSTM and GRU a row is multiplied by together, if the task
// allows it: where one is too few chains for the latency of a multiply-add.
type pairs int

const (
	noPairs  pairs = iota
	lastPair       // the last half of a panel with the whole one before
	allPairs
)

// An fma every half cycle with a latency of 4 wants 8 accumulators at least, on
// the largest arm64 cores 16; AVX2 has 16 registers, the others 32.
var targets = []target{
	{arch: "amd64", isa: vec.AVX2, unroll: 2, chains: 3, gateUnroll: 1, backUnroll: 2, gateStages: 3, gateRegisters: 13, stepRegisters: 14, blocks: []int{0, 4, 2, 2, 1, 1, 1}, pairs: lastPair},
	{arch: "amd64", isa: vec.AVX512, unroll: 2, chains: 4, gateUnroll: 1, backUnroll: 1, gateStages: 2, gateRegisters: 14, stepRegisters: 16, blocks: []int{0, 4, 4, 4, 4, 4, 4}, pairs: allPairs},
	{arch: "arm64", isa: vec.NEON, unroll: 3, chains: 3, gateUnroll: 2, backUnroll: 2, gateStages: 3, gateRegisters: 27, stepRegisters: 28, blocks: []int{0, 4, 2, 2, 1}},
}

// kernelsFolder and limitsFolder are those of the packages, below the root of
// the module.
const (
	kernelsFolder = "kernels"
	limitsFolder  = "bench/limits"
)

// A family is the kernels of a file.
type family struct {
	folder, name string
	emit         func(*vec.Gen, target)
}

var families = []family{
	{kernelsFolder, "activation", activations},
	{kernelsFolder, "vector", vectors},
	{kernelsFolder, "gates", allGates},
	{kernelsFolder, "gemm", gemms},
	{kernelsFolder, "step", steps},
	{kernelsFolder, "reduce", reductions},
	{kernelsFolder, "norm", norms},
	{kernelsFolder, "optim", optimizers},
	{limitsFolder, "limits", limits},
}

func main() {
	log.SetFlags(0)
	out := flag.String("o", "", "the folder to write below, instead of ROOT")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: asm [-o FOLDER] ROOT")
	}
	files, err := generate(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	if *out == "" {
		*out = flag.Arg(0)
	}
	for name, text := range files {
		name = filepath.Join(*out, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// generate returns the files of all packages by their names below root, the
// folder of the module.
func generate(root string) (map[string][]byte, error) {
	types, err := parameterTypes(filepath.Join(root, kernelsFolder))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if files[kernelsFolder+"/coefficients.go"], err = approx.Source(generated, approx.Fits); err != nil {
		return nil, err
	}
	for _, folder := range []string{kernelsFolder, limitsFolder} {
		if err := generatePackage(files, folder, types); err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
	}
	return files, nil
}

// generatePackage adds the files of a package.
func generatePackage(files map[string][]byte, folder string, types *types.Package) (err error) {
	for _, arch := range []string{"amd64", "arm64"} {
		var kernels []*kernel
		var stubs bytes.Buffer
		fmt.Fprintf(&stubs, "%s\npackage %s\n", header(arch), path.Base(folder))
		for _, f := range families {
			if f.folder != folder {
				continue
			}
			text, funcs, err := assemble(arch, f, types)
			if err != nil {
				return fmt.Errorf("%s_%s: %w", f.name, arch, err)
			}
			files[folder+"/"+f.name+"_"+arch+".s"] = text
			for _, fn := range funcs {
				writeStub(&stubs, fn)
				kernels = addKernel(kernels, fn)
			}
		}
		files[folder+"/stubs_"+arch+".go"] = stubs.Bytes()
		if files[folder+"/dispatch_"+arch+".go"], err = dispatch(folder, arch, kernels); err != nil {
			return err
		}
		if arch == "amd64" {
			if files[folder+"/dispatch_other.go"], err = dispatch(folder, "", kernels); err != nil {
				return err
			}
		}
	}
	return nil
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
	text, err = printer.NewGoAsm(printer.Config{Argv: []string{"go generate"}, Pkg: path.Base(f.folder)}).Print(file)
	return text, funcs, err
}
