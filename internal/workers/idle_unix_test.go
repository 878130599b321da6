//go:build unix

package workers

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdle: the pool takes no processor time while nobody calls.
func TestIdle(t *testing.T) {
	procs(t, 4)
	NewTeam(4).Run(Member.Wait, true)
	requireParked(t)
	used := func() time.Duration {
		var u syscall.Rusage
		require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	const nap = 20 * time.Millisecond
	least := time.Hour
	for range 5 { // the runtime may have something to do in one of them
		before := used()
		time.Sleep(nap)
		least = min(least, used()-before)
	}
	require.Less(t, least, nap/4)
}
