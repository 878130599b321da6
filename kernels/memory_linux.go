package kernels

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// useHugePages asks for s, zeros in whole huge pages, to be mapped by them. It is
// advice: without it, s is as good, but slower.
func useHugePages(s []float32) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 4*len(s))
	if unix.Madvise(b, unix.MADV_HUGEPAGE) != nil {
		return
	}
	for i := 0; i < len(s); i += hugePage / 4 {
		s[i] = 0 // memory that is new to the process is mapped now
	}
	_ = unix.Madvise(b, unix.MADV_COLLAPSE) // memory that was in use before
}
