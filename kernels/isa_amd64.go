//go:build !purego

package kernels

import "golang.org/x/sys/cpu"

// detect builds a hierarchy: the flags of x/sys/cpu are independent, so that
// GODEBUG=cpu.avx=off leaves AVX2 set.
func detect() (have []ISA) {
	x := &cpu.X86
	if !(x.HasAVX && x.HasAVX2 && x.HasFMA) {
		return nil
	}
	have = append(have, AVX2)
	if x.HasAVX512F && x.HasAVX512VL && x.HasAVX512BW && x.HasAVX512DQ && x.HasBMI2 {
		have = append(have, AVX512)
	}
	return have
}
