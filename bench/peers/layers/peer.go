package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/kernels"
)

// A peer is another library, in Go or in Python.
type peer struct {
	name string
	in   func() contender // in Go

	// In Python.
	requires []string // as pip takes them
	size     string   // on the disk
	script   string
	options  []string
	needs    string // the peer that it is a variant of
	avx2     string // the variable that holds it to AVX2, empty if there is none
	modes    []mode // nil is all
	module   string // of a peer in Go
	library  bool   // in Go, of neural networks
}

// takes says whether the peer is asked to compute a row.
func (p *peer) takes(r *row) bool {
	return p.library == r.group.library && (len(p.modes) == 0 || slices.Contains(p.modes, r.mode))
}

var torch = []string{"torch==2.15.0", "numpy"}

// peers are all that there are, in the order of columns. Another one in Python is
// a line here and a script beside python/peer_torch.py; common.py there tells the
// protocol.
func peers() []peer {
	return []peer{
		{name: "torch", requires: torch, size: "5.6 GB, for it brings CUDA", script: "peer_torch.py",
			avx2: "ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2"},
		{name: "torch, flushing", needs: "torch", requires: torch, script: "peer_torch.py", options: []string{"flush"}, modes: []mode{last},
			avx2: "ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2"},
		{name: "onnxruntime", requires: []string{"onnxruntime==1.32.0", "onnx==1.23.2", "numpy"}, size: "0.2 GB", script: "peer_onnxruntime.py"},
		{name: "openvino", requires: []string{"openvino==2026.4.1", "onnx==1.23.2", "numpy"}, size: "0.3 GB", script: "peer_openvino.py",
			avx2: "ONEDNN_MAX_CPU_ISA=AVX2"},
		{name: "jax", requires: []string{"jax[cpu]==0.10.2", "numpy"}, size: "0.4 GB", script: "peer_jax.py",
			avx2: "XLA_FLAGS=--xla_cpu_max_isa=AVX2"},
		{name: "gonum", in: func() contender { return newGonum() }, module: "gonum.org/v1/gonum", modes: []mode{forward, step}},
		{name: "tphakala/simd", in: func() contender { return newTphakala() }, module: "github.com/tphakala/simd", modes: []mode{forward, step}},
		{name: "spago", in: func() contender { return &library{build: buildSpago} }, module: "github.com/nlpodyssey/spago", library: true},
		{name: "gomlx", in: func() contender { return &library{build: buildGomlx} }, module: "github.com/gomlx/gomlx", library: true},
		{name: "gonnx", in: func() contender { return &library{build: buildGonnx} }, module: "github.com/advancedclimatesystems/gonnx", library: true},
		{name: "gorgonia", in: func() contender { return &library{build: buildGorgonia} }, module: "gorgonia.org/gorgonia", library: true},
	}
}

// chosen are the peers that list names, separated by commas: those in Go are
// always among them, and variants with what they are variants of.
func chosen(list string) ([]peer, error) {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	var known []string
	all := peers()
	for _, p := range all {
		if p.in == nil && p.needs == "" {
			known = append(known, p.name)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("peer %q, want some of %s", n, strings.Join(known, ","))
		}
	}
	return slices.DeleteFunc(all, func(p peer) bool {
		return p.in == nil && !slices.Contains(names, p.name) && !slices.Contains(names, p.needs)
	}), nil
}

// held returns the environment that holds the peer to our path. Only AVX2 is
// forced, and only where the machine has more.
func (p *peer) held(active kernels.ISA, available []kernels.ISA) (env []string, err error) {
	if active != kernels.AVX2 || !slices.Contains(available, kernels.AVX512) {
		return nil, nil
	}
	if p.avx2 == "" {
		return nil, fmt.Errorf("it has no switch that holds it to AVX2")
	}
	return strings.Fields(p.avx2), nil
}

// start makes the peer ready for work on so many threads, on CPU cpu alone
// unless that is -1.
func (p *peer) start(e *environment, set settings) (contender, map[string]string, error) {
	active, err := kernels.Active()
	if err != nil {
		return nil, nil, err
	}
	env, err := p.held(active, kernels.Available())
	if err != nil {
		return nil, nil, err
	}
	if p.in != nil {
		return p.in(), map[string]string{p.name: moduleVersion(p.module)}, nil
	}
	interpreter, err := e.install(p)
	if err != nil {
		return nil, nil, err
	}
	set.Options = append([]string{}, p.options...)
	python, err := startPython(interpreter, filepath.Join(e.scripts, p.script), set, env)
	if err != nil {
		return nil, nil, err
	}
	return python, python.version, nil
}

// An environment is a virtual environment of Python that is kept from run to
// run.
type environment struct {
	dir     string
	scripts string // where the scripts of peers are
	failed  map[string]error
}

// stamp is the file that lists what is installed.
func (e *environment) stamp() string { return filepath.Join(e.dir, "installed.txt") }

// install sees to it that the peer's packages are there, and returns the
// interpreter that finds them. A package of another version is better than none.
func (e *environment) install(p *peer) (interpreter string, err error) {
	interpreter = filepath.Join(e.dir, "bin", "python")
	if runtime.GOOS == "windows" {
		interpreter = filepath.Join(e.dir, "Scripts", "python.exe")
	}
	key := strings.Join(p.requires, " ")
	if err, ok := e.failed[key]; ok {
		return "", err
	}
	defer func() {
		if err != nil {
			e.failed[key] = err
		}
	}()
	done, _ := os.ReadFile(e.stamp())
	if slices.Contains(strings.Split(string(done), "\n"), key) {
		return interpreter, nil
	}
	if _, err := os.Stat(interpreter); err != nil {
		python := os.Getenv("PYTHON")
		if python == "" {
			python = "python3"
		}
		if err := tell(exec.Command(python, "-m", "venv", e.dir)); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(os.Stderr, "installing %s (%s) in %s, once\n", key, p.size, e.dir)
	pip := func(packages []string) error {
		return tell(exec.Command(interpreter, append([]string{"-m", "pip", "install", "--quiet", "--no-cache-dir"}, packages...)...))
	}
	if err := pip(p.requires); err != nil {
		fmt.Fprintf(os.Stderr, "%v; the newest version instead\n", err)
		var any []string
		for _, r := range p.requires {
			name, _, _ := strings.Cut(r, "==")
			any = append(any, name)
		}
		if err := pip(any); err != nil {
			return "", err
		}
	}
	return interpreter, os.WriteFile(e.stamp(), append(done, key+"\n"...), 0o666)
}

// tell runs a command that tells the user what it does.
func tell(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}
