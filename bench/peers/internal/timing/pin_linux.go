package timing

import (
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// all are the CPUs that this process may use.
var all = func() (s unix.CPUSet) {
	unix.SchedGetaffinity(0, &s)
	return s
}()

// LastCPU returns the last CPU that this process may use, for one on the machine
// is likely to serve interrupts, and that is the first; or -1.
func LastCPU() int {
	for i := len(all)*64 - 1; i >= 0; i-- {
		if all.IsSet(i) {
			return i
		}
	}
	return -1
}

// Pin makes all threads of this process run on one CPU, or on all if cpu is -1,
// and as many goroutines at a time.
func Pin(cpu int) error {
	set := all
	if cpu >= 0 {
		set.Zero()
		set.Set(cpu)
	}
	for changed := true; changed; { // until there is no new thread of one that was not pinned yet
		changed = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			var old unix.CPUSet
			if err := unix.SchedGetaffinity(id, &old); err != nil || old == set {
				continue // it has ended, or is right
			}
			changed = true
			if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
				return err
			}
		}
	}
	runtime.GOMAXPROCS(set.Count())
	return nil
}

// PinThread makes the calling goroutine run on one CPU, on a thread of its own, and one
// goroutine at a time. Other threads of this process stay free, above all that of the
// runtime's monitor, which wakes up every 20 µs at first. What a goroutine waits for in
// others takes longer. undo ends it.
func PinThread(cpu int) (undo func(), err error) {
	if err := Pin(-1); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	set := all
	if cpu >= 0 {
		set.Zero()
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	runtime.GOMAXPROCS(1)
	return func() {
		unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
		runtime.GOMAXPROCS(all.Count())
	}, nil
}

// ProcessTime is the time of processors that this process has taken.
func ProcessTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
