//go:build !linux

package main

import (
	"runtime"
	"time"
)

// lastCPU returns -1: no CPU can be chosen here.
func lastCPU() int { return -1 }

// pin does nothing but set how many goroutines run at a time.
func pin(cpu int) error {
	runtime.GOMAXPROCS(runtime.NumCPU())
	return nil
}

// processTime returns 0: not known here.
func processTime() time.Duration { return 0 }
