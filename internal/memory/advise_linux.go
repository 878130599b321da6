package memory

import "golang.org/x/sys/unix"

// advise asks for large pages, also for what is in small ones already. Without them
// all goes on as before, so nobody hears of an error.
func advise(b []byte) {
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	_ = unix.Madvise(b, unix.MADV_COLLAPSE)
}
