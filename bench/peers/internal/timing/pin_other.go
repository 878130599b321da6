//go:build !linux

package timing

import (
	"runtime"
	"time"
)

// LastCPU returns -1: no CPU can be chosen here.
func LastCPU() int { return -1 }

// PinThread makes one goroutine run at a time. undo ends it.
func PinThread(cpu int) (undo func(), err error) {
	runtime.GOMAXPROCS(1)
	return func() { runtime.GOMAXPROCS(runtime.NumCPU()) }, nil
}

// ProcessTime returns 0: not known here.
func ProcessTime() time.Duration { return 0 }
