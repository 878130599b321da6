package kernels

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mapGuarded returns memory between two pages that can be neither read nor
// written. It is never unmapped.
func mapGuarded(t testing.TB, bytes int) []float32 {
	page := unix.Getpagesize()
	m, err := unix.Mmap(-1, 0, bytes+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	require.NoError(t, unix.Mprotect(m[:page], unix.PROT_NONE))
	require.NoError(t, unix.Mprotect(m[page+bytes:], unix.PROT_NONE))
	return unsafe.Slice((*float32)(unsafe.Pointer(&m[page])), bytes/4)
}
