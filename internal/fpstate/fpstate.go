//go:build !purego && (amd64 || arm64)

// Package fpstate reads and writes the floating-point control register of the
// thread, for tests of what kernels leave in it. It is a package of its own
// because assembly cannot be in a test file; programs must not import it, for
// Go code expects the state that a thread starts with.
package fpstate

// Supported tells whether Get and Set work here.
const Supported = true

// Get returns MXCSR on amd64 and FPCR on arm64.
//
//go:noescape
func Get() uint32

// Set writes that register. The caller has locked its goroutine to its thread
// and sets the register back before it unlocks it.
//
//go:noescape
func Set(state uint32)
