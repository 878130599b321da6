package kernels

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// An ISA names the instruction set of a path. A later one is a faster one, with an
// exception: processors lower their clock for arithmetic on 512 bits, and halt for
// one to three microseconds to do so. A sequence or a batch is worth that; a small
// step amid other work is not. So where AVX512 is the active path, one that is said
// to be isolated (see [Seq] and [StepPath]) takes the kernels of AVX2: if it has one row, which reads
// its weights about as fast with either, or at most 2^18 multiply-adds, some five
// microseconds.
type ISA uint8

const (
	Generic ISA = iota // portable Go: the reference and the fallback
	NEON               // arm64 Advanced SIMD
	AVX2               // amd64 AVX, AVX2 and FMA
	AVX512             // AVX2 and AVX-512 F, VL, BW, DQ

	badISA // SIMDRNN_ISA names none of Available
)

var isaNames = [...]string{"generic", "neon", "avx2", "avx512"}

// String returns the name that SIMDRNN_ISA takes.
func (i ISA) String() string {
	if int(i) < len(isaNames) {
		return isaNames[i]
	}
	return fmt.Sprintf("ISA(%d)", uint8(i))
}

const isaEnv = "SIMDRNN_ISA"

var (
	available = append([]ISA{Generic}, detect()...)
	active    atomic.Uint32 // an ISA
	envErr    error         // not nil if active starts as badISA
)

func init() {
	isa, err := choose(os.Getenv(isaEnv), available)
	active.Store(uint32(isa))
	envErr = err
}

// choose returns the path that the value of SIMDRNN_ISA asks for: the fastest
// if it is empty.
func choose(env string, have []ISA) (ISA, error) {
	if env == "" {
		return have[len(have)-1], nil
	}
	for _, isa := range have {
		if isa.String() == env {
			return isa, nil
		}
	}
	return badISA, fmt.Errorf("kernels: %s=%s is not available, want %s", isaEnv, env, names(have))
}

func names(have []ISA) string {
	var s []string
	for _, isa := range have {
		s = append(s, isa.String())
	}
	return strings.Join(s, " or ")
}

// Available lists the paths that this machine can run, slowest first. The last
// one is chosen unless the environment variable SIMDRNN_ISA names another.
func Available() []ISA { return slices.Clone(available) }

// Active returns the path that kernels take. The error says that SIMDRNN_ISA
// is not the name of an available path; kernels then panic with that error
// until Use has chosen a path.
func Active() (ISA, error) {
	if isa := ISA(active.Load()); isa != badISA {
		return isa, nil
	}
	return Generic, envErr
}

// Use makes all kernels take the path isa. It may be called between any two
// calls, and beside running ones: a call takes one path to its end, and packed
// weights serve every path.
func Use(isa ISA) error {
	if !slices.Contains(available, isa) {
		return fmt.Errorf("kernels: Use: %v is not available, want %s", isa, names(available))
	}
	active.Store(uint32(isa))
	return nil
}

// now reads the active path, once for each exported call.
func now() Path { return Path{ISA(active.Load())} }

// use is now for a call that takes no Path.
func use() ISA { return now().use() }

// use returns the path for a call, if there is one.
func (on Path) use() ISA {
	if on.isa == badISA {
		panic(envErr)
	}
	return on.isa
}

// assembly says whether the path is there, and is not Generic.
func (on Path) assembly() bool { return on.isa-1 < badISA-1 }
