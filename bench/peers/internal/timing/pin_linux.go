package timing

import (
	"runtime"
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

// PinThread makes the calling goroutine run on one CPU, on a thread of its own, and one
// goroutine at a time. Other threads of this process stay free, above all that of the
// runtime's monitor, which wakes up every 20 µs at first. What a goroutine waits for in
// others takes longer. undo ends it.
func PinThread(cpu int) (undo func(), err error) {
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
