package kernels

import "unsafe"

const ( // bytes
	align      = 64
	hugePage   = 2 << 20      // of amd64, and of arm64 with pages of 4 KiB
	largeSlice = 2 * hugePage // smaller ones gain nothing, and would waste as much as they take
)

// alignedSlice returns n zeros that start at a multiple of 64 bytes. A large slice
// is made of huge pages if the system has them: a step that reads all weights
// would otherwise wait for a table of their small pages, which is larger than what
// a processor keeps of it.
func alignedSlice(n int) []float32 {
	to, room := align, n
	large := 4*n >= largeSlice
	if large {
		to, room = hugePage, (n+hugePage/4-1)/(hugePage/4)*(hugePage/4)
	}
	s := make([]float32, room+to/4-1)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(s))) % uintptr(to) / 4
	s = s[skip:][:room:room]
	if large {
		useHugePages(s)
	}
	return s[:n:n]
}
