//go:build !purego

package kernels

import "golang.org/x/sys/cpu"

// detect reads the flag, though every arm64 has NEON, so that
// GODEBUG=cpu.asimd=off reaches Generic.
func detect() []ISA {
	if !cpu.ARM64.HasASIMD {
		return nil
	}
	return []ISA{NEON}
}
