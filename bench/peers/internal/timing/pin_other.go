//go:build !linux

package timing

import (
	"runtime"
	"time"
)

// LastCPU returns -1: no CPU can be chosen here.
func LastCPU() int { return -1 }

// Pin does nothing but set how many goroutines run at a time.
func Pin(cpu int) error {
	runtime.GOMAXPROCS(runtime.NumCPU())
	return nil
}

// ProcessTime returns 0: not known here.
func ProcessTime() time.Duration { return 0 }
