// Package memory allocates large slices, and says where slices are.
package memory

import "unsafe"

// Overlap says whether x and y have an element in common.
func Overlap(x, y []float32) bool {
	if len(x) == 0 || len(y) == 0 {
		return false
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(x))), uintptr(unsafe.Pointer(unsafe.SliceData(y)))
	return a < b+4*uintptr(len(y)) && b < a+4*uintptr(len(x))
}

// Shifted says whether x and y have an element in common, but not their first one.
func Shifted(x, y []float32) bool {
	return unsafe.SliceData(x) != unsafe.SliceData(y) && Overlap(x, y)
}

// large is the size in bytes of the large pages of amd64 and arm64.
const large = 2 << 20

// Floats is make([]float32, n), but if that is 4 MiB or more it begins where a page of
// 2 MiB can, and is memory that the system may give in such pages, instead of those of
// 4 KiB: Linux does so for every program or, as most distributions set it, for memory
// that asks for it. To touch 16 MiB for the first time then takes 3 ms instead of 15,
// and who reads it later needs fewer entries of the processor's table of pages. It is
// for what lives long, as weights do: the range keeps that property when the garbage
// collector has it back.
func Floats(n int) []float32 {
	if n < 2*large/4 {
		return make([]float32, n)
	}
	x := make([]float32, n+large/4) // what is skipped is never touched, so it takes no memory
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) % large / 4)
	x = x[skip:][:n:n]
	advise(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*n/large*large))
	return x
}
