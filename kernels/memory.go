package kernels

import (
	"unsafe"

	"github.com/simdrnn/simdrnn/internal/memory"
)

const align = 64 // bytes

// alignedSlice returns n zeros that start at a multiple of 64 bytes.
func alignedSlice(n int) []float32 {
	s := memory.Floats(n + align/4 - 1)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(s))) % align / 4
	return s[skip:][:n:n]
}
