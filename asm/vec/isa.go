package vec

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

type (
	// R is a vector register, GP a general one.
	R  = reg.VecVirtual
	GP = reg.GPVirtual
	// Mem is an address.
	Mem = operand.Mem
)

// An ISA emits the operations of one instruction set on single registers.
//
// d is the destination; it may be one of the sources. An operand b may be what
// Source returned, which on amd64 is an address. FMA and FNMA change c in place.
type ISA interface {
	Name() string                   // suffix of its functions
	Lanes() int                     // float32 of a register
	Vec() R                         // a new register
	Begin()                         // a function starts: subnormals are flushed
	End()                           // and ends: as the caller had it
	Registers() int                 // vector registers that there are
	UsePool(m Mem)                  // constants are read from here on; m is one of them
	PoolWidth() int                 // copies of a constant in memory
	Source(k *K) operand.Op         // k as the operand b of an operation
	LoadConst(k *K, d R)            // d = k, from memory
	Copy(a, d R)                    // d = a
	Load(m Mem, d R)                // Lanes floats
	Store(s R, m Mem)               //
	Splat(m Mem, d R)               // one float to all lanes
	SplatDouble(m Mem, d R)         // one float64, rounded, to all lanes
	Zero(d R)                       //
	Add(a R, b operand.Op, d R)     // d = a + b
	AddFrom(m Mem, d R)             // d += Lanes floats at m
	Sub(a R, b operand.Op, d R)     // d = a - b
	Mul(a R, b operand.Op, d R)     // d = a·b
	Div(a R, b operand.Op, d R)     // d = a / b
	Sqrt(a, d R)                    // d = √a
	Max(x, bound, d R)              // NaN in x stays NaN
	Min(x, bound, d R)              //
	FMA(a R, b operand.Op, c R)     // c += a·b
	FMAFrom(a R, m Mem, c R)        // c += a·(Lanes floats at m)
	FNMA(a R, b operand.Op, c R)    // c -= a·b
	FMAConst(a, b R, k *K) R        // a·b + k; may overwrite a
	And(a R, b operand.Op, d R)     // bits
	Or(a, b, d R)                   //
	Shl(a R, n uint64, d R)         // bits of each lane
	Positive(a, b, d R)             // d = b where a > 0, else +0
	Greater(a, b, d R)              // the larger, NaN if one is NaN; of two zeros any
	MaxBits(a, b, d R)              // the larger as unsigned numbers
	Down(a R, k int, d R)           // lane i of d = lane i+k of a, for i < k; k = Lanes/2, /4, ... 1
	Tail(n GP, p []GP, body func()) // body for the last n < Lanes elements; p are pointers to them
	LoadTail(m Mem, d R)            // within Tail; other lanes are zero
	StoreTail(s R, m Mem)           //
	UpdateTail(m Mem, f func(d R))  // within Tail, f on what is at m, where a whole register may be read and rewritten
	StoreFirst(s R, m Mem)          // lane 0
	Local(bytes int, d GP)          // d = the address of new memory in the frame

	// Outer adds to the tile acc [rows][vectors] the products of steps inputs:
	// input k multiplies scalar k at a(row) with the vectors that follow
	// w[block] + k·64 bytes, the first of 16 floats of each block if the vectors
	// are too few for all.
	Outer(acc [][]R, a func(row int) Mem, w []Mem, steps int)

	// Transpose changes Lanes rows to columns, in new registers.
	Transpose(r []R)

	Reach() int                                  // addresses that Indexed takes from one pointer
	Indexed(base, stride GP, i int) Mem          // base + i·stride, i < Reach
	Word(m Mem, d GP)                            // d = the 64-bit word at m
	StoreWord(s GP, m Mem)                       //
	AddWord(a GP, b, d GP)                       // d = a + b
	AddTwice(r, b GP)                            // r += 2b
	SubWord(a GP, b, d GP)                       // d = a - b
	AddImm(r GP, k int)                          // r += k
	CopyWord(a, d GP)                            //
	ShlWord(r GP, n uint64)                      // r <<= n
	SetWord(k int, d GP)                         // d = k
	Jump(label string)                           //
	Branch(r GP, c Cond, k int, label string)    // jumps if r c k, signed
	SubBranch(r GP, k int, c Cond, label string) // r -= k, and jumps if r c 0

	LoadSome(m Mem, n GP, d R)  // the first n >= 1 lanes, zeros in the others
	StoreSome(s R, m Mem, n GP) // the first n >= 1 lanes

	// Columns loads steps = 4 or 1 floats at each of Lanes addresses: lane i of
	// register k is the float k at row(i).
	Columns(row func(i int) Mem, steps int) []R
}

// A Prefetcher is an ISA that can fetch the cache line at m, if there is memory,
// before it is used: into the first cache, or only into the second.
type Prefetcher interface {
	Prefetch(m Mem)
	PrefetchSecond(m Mem)
}

// A Halver is an ISA whose instructions also take the lower halves of its registers.
type Halver interface {
	Half(body func()) // within body new registers are halves, of half as many lanes
	View(r R) R       // r, or its half within the body of Half
}

// A Cond compares a register with a number.
type Cond int

const (
	LT Cond = iota
	GE
	EQ
	NE
)

// A K is a constant, the same in every lane.
type K struct {
	mem Mem // where it lies in memory
	reg R   // a register that holds it throughout, or nil
}
