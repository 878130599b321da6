package train

import (
	"fmt"

	"github.com/simdrnn/simdrnn/internal/workers"
	"github.com/simdrnn/simdrnn/layer"
)

const (
	// shareLen is the number of elements of a parameter that a worker takes at
	// once: some 10 us of work.
	shareLen = 16384

	// wakeElements is the number of elements from which on it pays to wake workers,
	// as elements take about a nanosecond each and a wake-up 0.1 ms.
	wakeElements = 300e3
)

// optimThreads is what an optimizer has for several threads.
type optimThreads struct {
	team     *workers.Team // nil for one thread
	elements int           // that are trained
	step     func(i int)
	pack     func(i int)
	packer   layer.PartPacker // that pack works for
}

// A share is the elements of a tensor that one goroutine updates, which depend on
// no others.
type share[C any] struct {
	g      *group[C]
	of     int // index of the tensor in the group
	lo, hi int
	x      tensor[float32] // while Step runs
	scalar [1]float32      // of x.state
	memo   memo            // of x
}

// SetThreads sets the number of threads that Step may use, the caller included; it
// is 1 at first. They are borrowed as by [layer.Stream.SetThreads], and bits do
// not depend on them. It allocates. It panics if n is less than 1.
func (o *optimizer[C, P]) SetThreads(n int) {
	if n < 1 {
		panic(fmt.Sprintf("train: %s.SetThreads: n = %d, want at least 1", o.name, n))
	}
	t := &o.threads
	t.team = nil
	if team := workers.NewTeam(n); team.Size() > 1 {
		t.team, t.step = team, o.stepShare
		t.pack = func(i int) { t.packer.PackPart(i) }
	}
	o.cut()
}

// cut cuts the tensors of all groups, if there is a team.
func (o *optimizer[C, P]) cut() {
	o.shares, o.threads.elements = nil, 0
	if o.threads.team == nil {
		return
	}
	for _, g := range o.groups {
		slots := P(&g.cfg).slots()
		for i, x := range g.tensors {
			if x.g == nil {
				continue
			}
			o.threads.elements += len(x.p)
			for lo := 0; lo < len(x.p) || lo == 0; lo += shareLen {
				o.shares = append(o.shares, share[C]{g: g, of: i, lo: lo, hi: min(lo+shareLen, len(x.p)), x: tensor[float32]{state: make([][]float32, len(slots))}})
			}
		}
	}
}

// stepThreads is Step for a team.
func (o *optimizer[C, P]) stepThreads() {
	t := &o.threads
	for _, g := range o.groups {
		for i := range g.tensors {
			if x := &g.tensors[i]; x.g != nil {
				x.t++
			}
		}
	}
	wake := t.elements >= wakeElements
	t.team.Each(len(o.shares), t.step, wake)
	for i := range o.shares {
		if v := &o.shares[i]; v.lo == 0 {
			x := &v.g.tensors[v.of]
			x.begun = v.x.begun
			for k, s := range v.x.state {
				if len(s) > 0 && &s[0] == &v.scalar[0] {
					x.state[k][0] = s[0]
				}
			}
		}
	}
	for _, p := range o.owners {
		packer, ok := p.Owner.(layer.PartPacker)
		if !ok {
			layer.Params{p}.Pack()
			continue
		}
		t.packer = packer
		t.team.Each(packer.PackParts(), t.pack, wake)
	}
	t.packer = nil
}

// stepShare updates the elements of one share.
func (o *optimizer[C, P]) stepShare(i int) {
	v := &o.shares[i]
	c, x := P(&v.g.cfg), &v.g.tensors[v.of]
	v.x.p, v.x.g, v.x.t, v.x.begun, v.x.memo = x.p[v.lo:v.hi], x.g[v.lo:v.hi], x.t, x.begun, &v.memo
	for k, s := range x.state {
		switch {
		case s == nil:
			v.x.state[k] = nil
		case len(s) == len(x.p):
			v.x.state[k] = s[v.lo:v.hi]
		default:
			copy(v.scalar[:], s)
			v.x.state[k] = v.scalar[:]
		}
	}
	c.step(&v.x)
}
