package main

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// all are the CPUs that this process may use.
var all = func() (s unix.CPUSet) {
	unix.SchedGetaffinity(0, &s)
	return s
}()

// lastCPU returns the last CPU that this process may use, for one on the machine
// is likely to serve interrupts, and that is the first; or -1.
func lastCPU() int {
	for i := len(all)*64 - 1; i >= 0; i-- {
		if all.IsSet(i) {
			return i
		}
	}
	return -1
}

// pin makes all threads of this process run on one CPU, or on all if cpu is -1,
// and as many goroutines at a time.
func pin(cpu int) error {
	set := all
	if cpu >= 0 {
		set.Zero()
		set.Set(cpu)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	runtime.GOMAXPROCS(set.Count())
	return nil
}
