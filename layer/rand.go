package layer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A Rand is PyTorch's CPU generator: after the same seed it gives the same
// bits as torch.manual_seed with AVX2 or AVX-512, on every architecture.
//
// It is the Mersenne Twister MT19937 of Matsumoto and Nishimura (ACM TOMACS
// 8(1), 1998), 32 bits a word. A Rand must not be used by two goroutines at
// once; two Rands share nothing.
type Rand struct {
	seed  int64
	state [mtN]uint32
	next  int // index in state of the next word; mtN: none left

	// The scalar normal makes two values at a time and keeps the second one.
	cached    float64
	hasCached bool
}

// Constants of MT19937.
const (
	mtN = 624
	mtM = 397
)

// NewRand returns a generator in the state after torch.manual_seed(seed). As
// in PyTorch only seed modulo 2^32 counts, also for a negative seed.
func NewRand(seed int64) *Rand {
	r := &Rand{seed: seed, next: mtN}
	r.state[0] = uint32(seed)
	for i := 1; i < mtN; i++ {
		prev := r.state[i-1]
		r.state[i] = 1812433253*(prev^prev>>30) + uint32(i)
	}
	return r
}

// The form of a marshalled Rand is that of torch.get_rng_state(), 5056 bytes,
// little-endian:
//
//	0     seed                      int64
//	8     left = 625 - next         int32; 1 if no word is left
//	12    1                         int32
//	16    next                      uint64; 0 if no word is left
//	24    state                     [624]uint64
//	5024  second normal value       float64
//	5040  1 if there is one         int32
//
// The other bytes are 0.
const (
	randNext   = 16
	randState  = 24
	randNormal = randState + 8*mtN + 8
	randCached = randNormal + 16
	randSize   = randCached + 16
)

// AppendBinary appends what MarshalBinary returns to b.
func (r *Rand) AppendBinary(b []byte) ([]byte, error) {
	var state [randSize]byte
	le := binary.LittleEndian
	next := r.next % mtN
	left := mtN + 1 - next
	if next == 0 {
		left = 1
	}
	le.PutUint64(state[:], uint64(r.seed))
	le.PutUint32(state[8:], uint32(left))
	le.PutUint32(state[12:], 1)
	le.PutUint64(state[randNext:], uint64(next))
	for i, word := range r.state {
		le.PutUint64(state[randState+8*i:], uint64(word))
	}
	if r.hasCached {
		le.PutUint64(state[randNormal:], math.Float64bits(r.cached))
		state[randCached] = 1
	}
	return append(b, state[:]...), nil
}

// MarshalBinary returns the state, for UnmarshalBinary here or for PyTorch:
//
//	torch.set_rng_state(torch.frombuffer(bytearray(data), dtype=torch.uint8))
//
// The error is always nil.
func (r *Rand) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// UnmarshalBinary sets the state to one that MarshalBinary returned, or the bytes
// of torch.get_rng_state(). If data is something else, it is an error and the
// state stays as it is.
func (r *Rand) UnmarshalBinary(data []byte) error {
	if err := r.unmarshal(data); err != nil {
		return fmt.Errorf("layer: Rand.UnmarshalBinary: %w", err)
	}
	return nil
}

func (r *Rand) unmarshal(data []byte) error {
	if len(data) != randSize {
		return fmt.Errorf("%d bytes, want %d", len(data), randSize)
	}
	le := binary.LittleEndian
	left, next := le.Uint32(data[8:]), le.Uint64(data[randNext:])
	n := Rand{seed: int64(le.Uint64(data)), next: mtN}
	switch {
	case le.Uint32(data[12:]) != 1:
		return errors.New("a generator that has no seed")
	case left == 1 && (next == 0 || next == mtN): // PyTorch has both
	case left > 1 && left <= mtN && next == uint64(mtN+1-left):
		n.next = int(next)
	default:
		return fmt.Errorf("next = %d and left = %d, want %d in all, or that nothing is left", next, left, mtN+1)
	}
	for i := range n.state {
		word := le.Uint64(data[randState+8*i:])
		if word > math.MaxUint32 {
			return fmt.Errorf("word %d is %d, want 32 bits", i, word)
		}
		n.state[i] = uint32(word)
	}
	switch has := le.Uint32(data[randCached:]); has {
	case 0:
	case 1:
		n.cached, n.hasCached = math.Float64frombits(le.Uint64(data[randNormal:])), true
	default:
		return fmt.Errorf("normal_is_valid = %d, want 0 or 1", has)
	}
	*r = n
	return nil
}

// Uint32 returns the next word of MT19937.
func (r *Rand) Uint32() uint32 {
	if r.next == mtN {
		r.twist()
	}
	y := r.state[r.next]
	r.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// twist replaces the state by the next mtN words.
func (r *Rand) twist() {
	s := &r.state
	for i := range s {
		y := s[i]&0x80000000 | s[(i+1)%mtN]&0x7fffffff
		s[i] = s[(i+mtM)%mtN] ^ y>>1 ^ -(y&1)&0x9908b0df
	}
	r.next = 0
}

// Float64 returns a multiple of 2^-53 in [0, 1), torch.rand with dtype
// float64. It takes two words, the high one first.
func (r *Rand) Float64() float64 {
	hi := uint64(r.Uint32())
	return float64((hi<<32|uint64(r.Uint32()))&(1<<53-1)) * 0x1p-53
}

// float32 returns a multiple of 2^-24 in [0, 1), torch.rand. It takes one word.
func (r *Rand) float32() float32 {
	return float32(r.Uint32()&(1<<24-1)) * 0x1p-24
}

// Uniform is Tensor.uniform_(lo, hi) on float32:
//
//	dst[i] = fma(u, hi-lo, lo), u in [0, 1)
//
// with lo and hi rounded to float32 first. It takes one word a value.
func (r *Rand) Uniform(dst []float32, lo, hi float64) {
	a := float32(lo)
	d := float32(hi) - a
	for i := range dst {
		dst[i] = fma32(r.float32(), d, a)
	}
}

// Dropout fills dst with PyTorch's dropout mask: 1/(1-p) with probability 1-p
// and 0 else, in the order of dst. It takes two words a value; p = 0 and p = 1
// take none. It panics unless p is 0 to 1.
func (r *Rand) Dropout(dst []float32, p float64) {
	switch {
	case !(0 <= p && p <= 1):
		panic(fmt.Sprintf("layer: Rand.Dropout: p = %v, want 0 to 1", p))
	case p == 1:
		clear(dst)
		return
	}
	scale := float32(1 / (1 - p))
	for i := range dst {
		if p == 0 || r.Float64() < 1-p {
			dst[i] = scale
		} else {
			dst[i] = 0
		}
	}
}

// Normal is Tensor.normal_(mean, std) on a contiguous float32 tensor of
// len(dst) elements. As in PyTorch the algorithm depends on the length: fewer
// than 16 values are made one by one, more in blocks of 16, so one call for 32
// values differs from two calls for 16, and a call for 15 from both.
func (r *Rand) Normal(dst []float32, mean, std float64) {
	if len(dst) < 16 {
		for i := range dst {
			dst[i] = float32(math.FMA(r.normal(), std, mean))
		}
		return
	}
	m, s := float32(mean), float32(std)
	r.fill(dst)
	for i := 0; i+16 <= len(dst); i += 16 {
		boxMuller16((*[16]float32)(dst[i:]), m, s)
	}
	if len(dst)%16 != 0 {
		last := (*[16]float32)(dst[len(dst)-16:])
		r.fill(last[:]) // overlaps the last whole block and replaces its values
		boxMuller16(last, m, s)
	}
}

// fill sets dst to uniform values in [0, 1).
func (r *Rand) fill(dst []float32) {
	for i := range dst {
		dst[i] = r.float32()
	}
}

// normal returns a value of N(0, 1) by Box and Muller's method in float64.
// From u1, u2 in [0, 1) come
//
//	sqrt(-2 log(1-u2)) cos(2 pi u1) and sqrt(-2 log(1-u2)) sin(2 pi u1);
//
// the second is kept for the next call.
func (r *Rand) normal() float64 {
	if r.hasCached {
		r.hasCached = false
		return r.cached
	}
	u1 := r.Float64()
	u2 := r.Float64()
	rad := math.Sqrt(-2 * math.Log1p(-u2))
	ang := 2 * math.Pi * u1
	r.cached, r.hasCached = rad*math.Sin(ang), true
	return rad * math.Cos(ang)
}

// boxMuller16 turns 16 uniform values in [0, 1) into N(mean, std^2), pairing
// d[j] with d[j+8], with the float32 operations of PyTorch's vector code.
func boxMuller16(d *[16]float32, mean, std float32) {
	for j := range 8 {
		u1, u2 := 1-d[j], d[j+8]
		rad := float32(math.Sqrt(float64(-2 * log32(u1))))
		sin, cos := sincos32(float32(2*math.Pi) * u2)
		d[j] = fma32(rad*cos, std, mean)
		d[j+8] = fma32(rad*sin, std, mean)
	}
}

// log32 is logf of the Cephes library (S. Moshier) with fused multiply-adds,
// for normal x > 0.
func log32(x float32) float32 {
	b := math.Float32bits(x)
	e := float32(int32(b>>23) - 126)                 // x = m * 2^e,
	m := math.Float32frombits(b&(1<<23-1) | 126<<23) // m in [0.5, 1)
	if m < 0.707106781186547524 {
		e--
		m += m
	}
	x = m - 1
	z := x * x
	y := fma32(7.0376836292e-2, x, -1.1514610310e-1)
	y = fma32(y, x, 1.1676998740e-1)
	y = fma32(y, x, -1.2420140846e-1)
	y = fma32(y, x, 1.4249322787e-1)
	y = fma32(y, x, -1.6668057665e-1)
	y = fma32(y, x, 2.0000714765e-1)
	y = fma32(y, x, -2.4999993993e-1)
	y = fma32(y, x, 3.3333331174e-1)
	y = float32(y * x)
	y = fma32(y, z, float32(e*-2.12194440e-4)) // log 2 in two parts
	y = fma32(-z, 0.5, y)
	return fma32(e, 0.693359375, x+y)
}

// sincos32 is sinf and cosf of the Cephes library with fused multiply-adds,
// for 0 <= x < 8192.
func sincos32(x float32) (sin, cos float32) {
	octant := (int32(x*(4/math.Pi)) + 1) &^ 1
	i := float32(octant)
	x = fma32(i, -0.78515625, x) // pi/4 in three parts
	x = fma32(i, -2.4187564849853515625e-4, x)
	x = fma32(i, -3.77489497744594108e-8, x)
	z := x * x
	c := fma32(2.443315711809948e-5, z, -1.388731625493765e-3)
	c = fma32(c, z, 4.166664568298827e-2)
	c = float32(c * z)
	c = fma32(c, z, -float32(z*0.5)) + 1
	s := fma32(-1.9515295891e-4, z, 8.3321608736e-3)
	s = fma32(s, z, -1.6666654611e-1)
	s = float32(s * z)
	s = fma32(s, x, x)
	sin, cos = s, c
	if octant&2 != 0 {
		sin, cos = c, s
	}
	if octant&4 != 0 {
		sin = -sin
	}
	if (octant-2)&4 == 0 {
		cos = -cos
	}
	return sin, cos
}

// fma32 returns x*y + z with one rounding. In float64 the product is exact;
// rounding the sum twice is wrong only where the float64 sum is half way
// between two float32. There it is rounded to odd instead, which makes the
// second rounding harmless (Boldo and Melquiond, IEEE TC 57(4), 2008).
func fma32(x, y, z float32) float32 {
	p, c := float64(float64(x)*float64(y)), float64(z)
	s := p + c
	if math.Float64bits(s)&(1<<29-1) != 1<<28 && math.Abs(s) >= 0x1p-126 {
		return float32(s)
	}
	return float32(roundToOdd(p, c, s))
}

// roundToOdd returns p+c rounded to odd, given s = p+c rounded to nearest.
func roundToOdd(p, c, s float64) float64 {
	d := s - p
	e := (p - (s - d)) + (c - d) // p + c = s + e exactly
	b := math.Float64bits(s)
	switch {
	case e == 0 || b&1 == 1:
		return s
	case (e > 0) == (s > 0):
		return math.Float64frombits(b + 1)
	default:
		return math.Float64frombits(b - 1)
	}
}
