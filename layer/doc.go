// Package layer holds recurrent layers: RNN and LSTM, and the Linear layer that
// usually follows them. They compute what the modules of PyTorch with the same
// names compute, and name and shape their parameters alike.
//
// # Three roles
//
//   - Weights ([RNN], [LSTM], [Linear]) are read by any number of goroutines.
//   - A [Stream] runs inference: it is the state and the scratch memory of one
//     caller.
//   - A [Tape] (a [LinearTape]) trains: it is the activations and the gradients
//     of one caller.
//
// A Stream carries its state from call to call. A Tape does not: Forward starts
// from H0 and C0.
//
// Kernels read packed copies of the weights. Whoever writes to Data of a [Param]
// calls [Params.Pack] afterwards; optimizers do it themselves. Writing and
// packing need exclusive access, as with a map: no Stream or Tape of the model
// may run meanwhile. NewTape only reads.
//
// # Data
//
// Everything is float32, row-major. Shapes have the letters
//
//	T steps, B batch, I input, H hidden, L layers, D directions, G gates
//
// Sequences are x [T,B,I] and y [T,B,H], states h and c are [L*D,B,H], L*D being
// 1 so far. T is read from the length of x, and T = 0 is legal. The destination
// comes first, and no two arguments may overlap.
//
// Constructors of models return errors. All other methods panic if an argument
// has the wrong length, before they write anything. After construction nothing
// allocates.
//
// # Numbers
//
// Every sum has one order. So AVX2, AVX-512 and NEON give the same bits, and
// the bits of a sequence depend neither on the batch around it, nor on how it is
// cut into calls, nor on whether a Stream or a Tape computes it:
//
//   - W·x takes the inputs in order, by fused multiply-adds, in chains of 256
//     that are added in order.
//   - A gate is (bias + W_ih·x) + W_hh·h, with bias = b_ih + b_hh.
//   - dh of a step is dy + W_hhᵀ·dGates, dx is W_ihᵀ·dGates, where the sums run
//     over dGates in packed order (see [kernels.PackedIndex]).
//   - Gradients of weights are sums over the index t*B+b, added to what the
//     gradient was.
//
// Package kernels states the accuracy, the treatment of NaN and of subnormal
// numbers, and how a path is chosen.
package layer
