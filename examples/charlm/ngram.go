package main

import "math"

// ngramBits returns the bits per character that a model of the last order
// characters needs for valid[1:], with the counts of train and the smoothing of
// Witten and Bell (IEEE Trans. Inf. Theory 37(4), 1991). In a context that has
// been seen N times, before K different characters,
//
//	p(c | context) = (count(context c) + K*p(c | shorter context)) / (N + K)
//
// A context that is new backs off to the shorter one. The shortest, of no
// character, is mixed with 1/V. An order below 0 is 1/V alone, log2 V bits.
func ngramBits(train, valid []byte, V, order int) float64 {
	levels := make([]*contexts, order+1)
	for n := range levels {
		levels[n] = countContexts(train, valid, V, n)
	}
	var bits float64
	for i := 1; i < len(valid); i++ {
		p := 1 / float64(V)
		for n := 0; n <= order && n <= i; n++ {
			if c := levels[n].at(valid[i-n : i]); c != nil && c.total > 0 {
				p = (float64(c.count[valid[i]]) + float64(c.kinds)*p) / float64(c.total+c.kinds)
			}
		}
		bits -= math.Log2(p)
	}
	return bits / float64(len(valid)-1)
}

// contexts are counts of what follows the contexts of n characters that valid
// has; no others are needed.
type contexts struct {
	index []int32 // of a context's number in of, or -1
	of    []follow
	V     int
}

type follow struct {
	count        []uint32 // [V]
	total, kinds uint64
}

func (c *contexts) at(chars []byte) *follow {
	i := 0
	for _, b := range chars {
		i = i*c.V + int(b)
	}
	if c.index[i] < 0 {
		return nil
	}
	return &c.of[c.index[i]]
}

func countContexts(train, valid []byte, V, n int) *contexts {
	size := 1
	for range n {
		size *= V
	}
	c := &contexts{index: make([]int32, size), V: V}
	for i := range c.index {
		c.index[i] = -1
	}
	each := func(text []byte, f func(context int, next byte)) {
		k := 0
		for i, next := range text {
			if i >= n {
				f(k, next)
			}
			k = (k*V + int(next)) % size
		}
	}
	each(valid, func(k int, _ byte) {
		if c.index[k] < 0 {
			c.index[k] = int32(len(c.of))
			c.of = append(c.of, follow{count: make([]uint32, V)})
		}
	})
	each(train, func(k int, next byte) {
		if c.index[k] < 0 {
			return
		}
		x := &c.of[c.index[k]]
		if x.count[next] == 0 {
			x.kinds++
		}
		x.count[next]++
		x.total++
	})
	return c
}

// A baseline is what a simple model needs for the text that is held out.
type baseline struct {
	name string
	bits float64
}

// baselines measures models that a network must be better than.
func baselines(train, valid []byte, V int) []baseline {
	return []baseline{
		{"uniform", ngramBits(train, valid, V, -1)},
		{"unigram", ngramBits(train, valid, V, 0)},
		{"order 3", ngramBits(train, valid, V, 3)},
	}
}
