// Package kernels holds the inner loops of recurrent networks: activations,
// vector operations, sums, softmax, layer norm, products with packed weights, the
// gates of RNN, LSTM and GRU, and the updates of SGD, RMSprop, Adagrad, Adadelta,
// Adam, NAdam and RAdam. Each has a path for AVX2, AVX-512 and NEON and a portable one.
//
// # Data
//
// Everything is float32; the updates of optimizers take float64 too. Matrices
// are row-major; a [Mat] names its stride. Weights are packed once in [Panels],
// in a layout that all paths share. Gates stand in PyTorch's order: i,f,g,o for
// LSTM and r,z,n for GRU. The output of a product with the weights of several
// gates is in packed order: 16 units of one gate, the same 16 of the next one,
// and so on (see [PackedIndex]).
//
// The destination comes first. Arguments must not overlap unless a function
// says that two of them may be the same memory, from the same element on and
// with the same stride. Empty arguments are legal.
//
// Functions check the sizes of their arguments and panic before they write
// anything. They never allocate, and any number of goroutines may call them.
//
// # Products
//
// A product takes one of its matrices packed, in memory of the caller, and the
// other one as it is. Of plain row-major matrices there are
//
//	C = A·B     w.SetRows(b); Gemm(c, a, n, w, nil)
//	C = A·Bᵀ    w.Pack(b); Gemm(c, a, n, w, nil)
//	C = Aᵀ·B    w.SetRows(b); GemmTN(c, a, 1, n, w, false)
//	C = Aᵀ·Bᵀ   w.Pack(b); GemmTN(c, a, 1, n, w, false)
//
// with w := NewPanels(1, columns of C, K). [GemmAdd] and GemmTN also add to C, and
// [Gemv] is the product of one row. Panels that are made for the longest K serve
// shorter ones after [Panels.Resize]. Weights beyond the caches are best gone
// through back and forth: see [Panels.Reversed].
//
// # Gates
//
// RNNTanhForward and the like, LSTMForward, GRUForward and what belongs to them are
// the gates of recurrent networks: what happens between the products of a step. Their
// matrices have n rows. Plain ones have a column for each unit. Packed ones have a
// column for each gate of each unit, in packed order (see [PackedIndex]), as Gemm
// leaves them, with the padding, which is neither read nor written. Gates are packed
// unless their function says otherwise. All panic if n or units is negative, if units
// do not fit in memory, or if a matrix is too small.
//
// In their equations e(x) stands for exp(-x), by a polynomial of degree 5 or 6, and
// T(x) for M, K with tanh(x) = 2M/K, by a doubled rational function. Fused so, c' and
// h' are within 5e-7 of the exact ones, in units of max(1, |c'|).
//
// # Layout
//
// A panel of [Panels] is what a kernel works on at once: 64 outputs, for several
// gates the blocks of 16 units of each. In a panel the inputs come in k blocks of
// 128, and in a k block the 16 weights of a block of outputs for one input are
// neighbours, those for the next input follow:
//
//	[panel][k block][block of outputs][input][16]
//
// AVX-512 reads 16 weights as one register, AVX2 as two, NEON as four, so all share
// the layout, and a pack outlives a call of [Use]. Panels are wide so that the
// chains of fused multiply-adds are many: one needs 8 to 16 in flight, and gets
// them from outputs, never by splitting a sum. A k block, gate by gate, is read in
// the order it lies in; 64-byte lines are whole and never shared by two gates.
//
// A chain is 256 products, two k blocks; the first begins with the bias or zero,
// later ones with zero, and finished chains are added in order. Tiles of several
// rows share the weights they load: 6 rows by 64 columns on AVX-512, 6 by 16 on
// AVX2, 4 by 16 on NEON, rows split evenly so that no tile is left with one.
// Products of many rows go through the panels there and back. If the second cache
// does not hold all weights (on AVX2 beyond 256 KiB, on AVX-512 1.5 MiB), each tile
// fetches a part of those that come next into it, a single row beyond 12 MiB all of them.
// On Linux large weights lie in huge pages.
//
// The output of a product with several gates has 16 units of a gate beside 16 of
// the next, so the gates of a unit are near, and the kernels of gates need no
// other view.
//
// Package vec of the generator, asm/vec, says how a kernel is described, how one
// is added, and how to read the assembly.
//
// # Numbers
//
// Each sum has one order, which its function states, and each formula one
// sequence of operations. So AVX2, AVX-512 and NEON give the same bits, and a
// row's bits do not depend on the number of rows beside it. Any NaN equals any
// NaN, and a result within half an ulp below 2^-126 may be zero on one
// architecture and 2^-126 on another. The portable path computes the same
// formulas within the tolerance that a function states, and its bits are the
// same on all machines.
//
// NaN in an element makes NaN of what is computed from it and of nothing else.
// Subnormal inputs count as zero, and subnormal results become zero of their
// sign (the sums inside a product of the portable path excepted), so that
// values that fade never slow anything. The flag for that is set inside each
// assembly call only, and so is rounding to nearest, whatever C code may have
// left; Go code is not affected.
//
// # Paths
//
// The fastest path that the machine can run is chosen when the program starts.
// The speed of NEON is what models of its processors say, and was not measured.
// The environment variable SIMDRNN_ISA (generic, neon, avx2 or avx512) and [Use]
// choose another. A step that stands alone takes AVX2 where AVX-512 is the path, see
// [ISA], and so do steps of one row with up to 8 units, which a register of AVX2 holds.
// If SIMDRNN_ISA is wrong, [Active] returns the error and
// kernels panic with it. The build tag purego leaves only the portable path.
//
// No call of assembly runs for more than some 50 us, so that a garbage
// collection never waits long for a kernel. The race detector is told what the
// assembly reads and writes.
package kernels
