package workers

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

// procs sets GOMAXPROCS for the test.
func procs(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// A scan is a recurrence that members compute together:
//
//	x[t][j] = x[t-1][j] + 3*x[t-1][j+1]        x[0][j] = j
//
// Its result is wrong if one member is a step ahead or behind.
type scan struct {
	steps   int
	x       [2][]uint32
	members atomic.Int32
}

func newScan(units, steps int) *scan {
	return &scan{steps: steps, x: [2][]uint32{make([]uint32, units), make([]uint32, units)}}
}

func (s *scan) begin() {
	for j := range s.x[0] {
		s.x[0][j] = uint32(j)
	}
}

func (s *scan) job(m Member) {
	s.members.Store(int32(m.Members))
	from, to := m.Share(len(s.x[0]))
	for t := range s.steps {
		old, x := s.x[t%2], s.x[(t+1)%2]
		for j := from; j < to; j++ {
			x[j] = old[j] + 3*old[(j+1)%len(x)]
		}
		m.Wait()
	}
}

// want computes the result alone.
func (s *scan) want() []uint32 {
	w := newScan(len(s.x[0]), s.steps)
	w.begin()
	NewTeam(1).Run(w.job, true)
	return w.x[s.steps%2]
}

func TestRun(t *testing.T) {
	for _, c := range []struct{ procs, n, members int }{
		{1, 1, 1},
		{1, 4, 1},
		{2, 1, 1},
		{2, 2, 2},
		{2, 16, 2},
		{3, 2, 2},
		{8, 5, 5}, // more than the processors of most machines
		{2, 5, 2}, // after more
		{1, 5, 1},
	} {
		t.Run(fmt.Sprintf("procs=%d/n=%d", c.procs, c.n), func(t *testing.T) {
			procs(t, c.procs)
			team := NewTeam(c.n)
			steps := kerneltest.Pick(3000, 1000, 100)
			if c.members > runtime.NumCPU() {
				steps /= 20 // each barrier takes naps
			}
			s := newScan(37, steps)
			want := s.want()
			for range 5 {
				s.begin()
				team.Run(s.job, true)
				require.Equal(t, want, s.x[s.steps%2])
				require.EqualValues(t, c.members, s.members.Load())
			}
			require.Zero(t, pool.active.Load())
		})
	}
}

// TestAllMembers: a caller that is alone gets a whole team each time.
func TestAllMembers(t *testing.T) {
	procs(t, 3)
	team := NewTeam(3)
	var sum atomic.Int64
	job := func(m Member) { sum.Add(int64(m.Members)) }
	calls := kerneltest.Pick(3000, 1000, 100)
	for range calls {
		team.Run(job, true)
	}
	require.EqualValues(t, 9*calls, sum.Load())
}

func TestShare(t *testing.T) {
	for members := 1; members < 6; members++ {
		for n := range 20 {
			next := 0
			for i := range members {
				from, to := Member{Index: i, Members: members}.Share(n)
				require.Equal(t, next, from)
				require.Contains(t, []int{n / members, (n + members - 1) / members}, to-from)
				next = to
			}
			require.Equal(t, n, next)
		}
	}
}

func TestEach(t *testing.T) {
	for _, p := range []int{1, 2, 4} {
		procs(t, p)
		team := NewTeam(4)
		for _, wake := range []bool{true, false} {
			for _, n := range []int{0, 1, 2, 3, 100} {
				for range kerneltest.Pick(200, 50, 10) {
					count := make([]int, n) // each element has one writer
					team.Each(n, func(i int) { count[i]++ }, wake)
					for i := range count {
						require.Equal(t, 1, count[i], "n=%d i=%d", n, i)
					}
				}
			}
		}
	}
	require.Zero(t, pool.active.Load())
}

// TestCallers: of several callers at the same time none waits for the others,
// and all compute the same.
func TestCallers(t *testing.T) {
	procs(t, 3)
	want := newScan(16, 50).want()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			team, s := NewTeam(3), newScan(16, 50)
			for i := range kerneltest.Pick(300, 100, 10) {
				s.begin()
				team.Run(s.job, i%3 != 0)
				for j := range want {
					if want[j] != s.x[0][j] {
						t.Errorf("unit %d is %d, want %d", j, s.x[0][j], want[j])
						return
					}
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, pool.active.Load())
	require.LessOrEqual(t, len(all()), 7) // of TestRun
}

// TestBusy: while one caller has all workers another one works alone, even one
// inside its job.
func TestBusy(t *testing.T) {
	procs(t, 2)
	team, other := NewTeam(2), NewTeam(2)
	members := 0
	team.Run(func(m Member) {
		if m.Index == 0 {
			other.Run(func(m Member) { members = m.Members }, true)
			other.Each(3, func(int) { members += 10 }, true)
		}
		m.Wait()
	}, true)
	require.Equal(t, 31, members)
}

// TestWarm: without wake a team does not get parked workers, but a loop of calls
// warms them.
func TestWarm(t *testing.T) {
	procs(t, 2)
	team := NewTeam(2)
	members := 0
	job := func(m Member) {
		if m.Index == 0 {
			members = m.Members
		}
	}
	requireParked(t)
	team.Run(job, false)
	require.Equal(t, 1, members)
	requireParked(t)
	require.Eventually(t, func() bool {
		for range 1000 {
			if team.Run(job, false); members == 2 {
				return true
			}
		}
		return false
	}, time.Minute, time.Millisecond)
}

// requireParked waits until all workers are parked: blocked in a receive.
func requireParked(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, w := range all() {
			if w.state.Load() != parked {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)
}

func TestPanic(t *testing.T) {
	procs(t, 3)
	team := NewTeam(3)
	errTest := errors.New("test")
	phases := func(m Member, who int, fail func()) {
		for i := range 10 {
			if i == 5 && m.Index == who {
				fail()
			}
			m.Wait()
		}
	}
	run := func(who int, fail func()) func() {
		return func() { team.Run(func(m Member) { phases(m, who, fail) }, true) }
	}
	const last = 2
	for name, c := range map[string]struct {
		f     func()
		check func(v any)
	}{
		"caller": {run(0, func() { panic(errTest) }), func(v any) {
			require.Equal(t, errTest, v)
		}},
		"worker": {run(last, func() { panic(errTest) }), func(v any) {
			require.ErrorIs(t, v.(*Panic), errTest)
			require.Contains(t, v.(error).Error(), "TestPanic")
		}},
		"Goexit": {run(last, runtime.Goexit), func(v any) {
			require.Nil(t, v.(*Panic).Value)
		}},
		"caller without barrier": {func() {
			team.Run(func(m Member) {
				if m.Index == 0 {
					panic([]int{1})
				}
			}, true)
		}, func(v any) { require.Equal(t, []int{1}, v) }},
		"piece": {func() { team.Each(100, func(i int) { panic(errTest) }, true) }, func(v any) {
			require.ErrorIs(t, v.(error), errTest)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				func() {
					defer func() { c.check(recover()) }()
					c.f()
					t.Error("no panic")
				}()
				require.Zero(t, pool.active.Load())
				s := newScan(8, 10) // the team is as good as before
				want := s.want()
				s.begin()
				team.Run(s.job, true)
				require.Equal(t, want, s.x[0])
				require.EqualValues(t, last+1, s.members.Load())
			}
		})
	}
	t.Run("caller's Goexit", func(t *testing.T) {
		var wg sync.WaitGroup
		wg.Go(run(0, runtime.Goexit))
		wg.Wait()
		require.Zero(t, pool.active.Load())
		team.Run(func(m Member) { phases(m, -1, nil) }, true)
	})
	require.PanicsWithValue(t, "workers: NewTeam: n = 0, want at least 1", func() { NewTeam(0) })
}

// TestStopTheWorld: garbage is collected while members wait at a barrier and
// workers for work.
func TestStopTheWorld(t *testing.T) {
	procs(t, 4)
	team := NewTeam(3)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for range kerneltest.Pick(20, 20, 3) {
			runtime.GC()
		}
	}()
	team.Run(func(m Member) {
		if m.Index == m.Members-1 {
			<-collected
		}
		m.Wait()
	}, true)
}

// TestGoroutines: a team that is dropped leaves no goroutine behind, nor is it
// kept by the worker that it had.
func TestGoroutines(t *testing.T) {
	procs(t, 2)
	collected := make(chan struct{})
	func() {
		team := NewTeam(2)
		team.Run(Member.Wait, true)
		runtime.AddCleanup(team, func(c chan struct{}) { close(c) }, collected)
	}()
	before := runtime.NumGoroutine()
	for range 100 {
		NewTeam(1000).Run(Member.Wait, true)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
	for range 1000 {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Error("the team is still in use")
}

// TestAllocs: calls do not allocate. testing.AllocsPerRun would set GOMAXPROCS
// to 1.
func TestAllocs(t *testing.T) {
	procs(t, 3)
	team := NewTeam(3)
	piece := func(int) {}
	const calls = 1000
	for _, wake := range []bool{true, false} {
		for name, f := range map[string]func(){
			"Run":  func() { team.Run(Member.Wait, wake) },
			"Each": func() { team.Each(3, piece, wake) },
		} {
			f()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range calls {
				f()
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.Mallocs-before.Mallocs, uint64(calls), "%s wake=%v", name, wake)
		}
	}
}
