package main

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
	"github.com/simdrnn/simdrnn/kernels"
)

//go:embed cpp/driver.cpp
var driverSource []byte

// isaOptions are those of the compiler, by the name that -isa has.
var isaOptions = map[string][]string{"native": {"-march=native"}, "avx2": {"-mavx2", "-mfma"}}

// A build is RTNeural with one backend, from one compiler.
type build struct {
	name     string
	compiler string
	options  []string
	headers  []string // directories
	needs    string   // a file that is missing if the backend is
	program  string   // of compile
	cache    string
	absent   string // why
}

// builds are all that the flags ask for. Programs are kept in cache.
func (c *config) builds(cache string) (all []*build) {
	xsimd := c.xsimd
	if xsimd == "" {
		xsimd = filepath.Join(c.source, "modules", "xsimd")
	}
	for _, backend := range []struct{ name, define, include, needs string }{
		{"Eigen", "RTNEURAL_USE_EIGEN", filepath.Join(c.source, "modules", "Eigen"), "Eigen/Dense"},
		{"xsimd", "RTNEURAL_USE_XSIMD", filepath.Join(xsimd, "include"), "xsimd/xsimd.hpp"},
	} {
		for _, compiler := range c.compilers {
			for _, isa := range c.isas {
				b := &build{
					name:     fmt.Sprintf("%s, %s", backend.name, filepath.Base(compiler)),
					compiler: compiler,
					headers:  []string{filepath.Join(c.source, "RTNeural"), filepath.Join(c.source, "modules", "json"), backend.include},
					needs:    filepath.Join(backend.include, filepath.FromSlash(backend.needs)),
					cache:    cache,
				}
				if len(c.isas) > 1 {
					b.name += ", " + isa
				}
				b.options = slices.Concat(
					[]string{"-std=c++17", "-O3", "-DNDEBUG"}, isaOptions[isa],
					[]string{fmt.Sprint("-DRTNEURAL_DEFAULT_ALIGNMENT=", alignment(backend.name, isa)), "-D" + backend.define + "=1",
						"-DHIDDEN=" + strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", ","), "[]"),
						"-I", c.source, "-I", backend.include})
				all = append(all, b)
			}
		}
	}
	return all
}

// alignment is what RTNeural's build has, but for xsimd with AVX-512, which moves
// 64 bytes.
func alignment(backend, isa string) int {
	switch {
	case runtime.GOARCH != "amd64":
		return 16
	case backend == "xsimd" && isa == "native" && slices.Contains(kernels.Available(), kernels.AVX512):
		return 64
	}
	return 32
}

// compile makes the program, unless there is one of the same sources, compiler and
// options.
func (b *build) compile() error {
	if _, err := exec.LookPath(b.compiler); err != nil {
		return err
	}
	if _, err := os.Stat(b.needs); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no %s", b.needs)
	}
	key, err := b.key()
	if err != nil {
		return err
	}
	b.program = filepath.Join(b.cache, key)
	if _, err := os.Stat(b.program); err == nil {
		return nil
	}
	log.Printf("compiling %s, once", b.name)
	if err := os.MkdirAll(b.cache, 0o777); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.cache, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source, program := filepath.Join(dir, "driver.cpp"), filepath.Join(dir, "driver")
	if err := os.WriteFile(source, driverSource, 0o666); err != nil {
		return err
	}
	if text, err := exec.Command(b.compiler, append(b.options, "-o", program, source)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", b.compiler, err, complaint(string(text)))
	}
	return os.Rename(program, b.program)
}

// complaint is the first line of a compiler's output that tells of an error.
func complaint(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[max(0, slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, "error") }))]
}

// key tells programs apart.
func (b *build) key() (string, error) {
	sum := sha256.New()
	version, err := exec.Command(b.compiler, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", b.compiler, err)
	}
	fmt.Fprintf(sum, "%s\n%s\n%q\n%s", timing.CPUModel(), version, b.options, driverSource)
	for _, dir := range b.headers {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			fmt.Fprintf(sum, "\n%s\n", name)
			_, err = io.Copy(sum, f)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:16]), nil
}

// version is the commit of RTNeural.
func (c *config) version() string {
	commit, err := exec.Command("git", "-C", c.source, "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "of an unknown version"
	}
	return strings.TrimSpace(string(commit))
}
