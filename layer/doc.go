// Package layer holds recurrent networks, [RNN], [LSTM] and [GRU], and what stands
// around them, [Embedding] and [Linear]. They compute what the modules of PyTorch
// with the same names compute, and name and shape their parameters alike.
//
// # Three roles
//
//   - Weights ([RNN], [LSTM], [GRU], [Linear], [Embedding]) are read by any number of
//     goroutines.
//   - A [Stream] runs inference: it is the state and the scratch memory of one
//     caller. A [Group] steps many sequences of as many callers as one batch.
//   - A [Tape] (a [LinearTape], an [EmbeddingTape]) trains: it is the activations
//     and the gradients of one caller.
//
// A Stream carries its state from call to call. A Tape does not: Forward starts
// from H0 and C0.
//
// Who writes the loop over time himself takes [RNNCell], [LSTMCell] or [GRUCell], whose
// [CellStream] and [CellTape] compute a step each.
//
// Kernels read packed copies of the weights. Whoever writes to Data of a [Param]
// calls [Params.Pack] afterwards; optimizers and loaders do it themselves.
// Writing and packing need exclusive access, as with a map: no Stream or Tape of
// the model may run meanwhile. NewTape only reads.
//
// # Data
//
// Everything is float32, row-major. Shapes have the letters
//
//	T steps, B batch, I input, H hidden, P projection, L layers, D directions, G gates
//
// and Ho, the size of h: P, or H without projection. Sequences are x [T,B,I] and
// y [T,B,D*Ho], or with BatchFirst x [B,T,I] and y [B,T,D*Ho]. States are h
// [L*D,B,Ho] and c [L*D,B,H], that of direction d of layer k at index k*D+d,
// whatever BatchFirst says. PyTorch's unbatched form x [T,I] is B = 1. T is read
// from the length of x, and T = 0 is legal: y is empty and h_n is h_0. The
// destination comes first, and no argument may overlap one that is written, unless a
// function says so.
//
// Sequences of different lengths stand in one batch with padding; a [Seq] tells
// the lengths. [PackPadded] and its like convert from and to PyTorch's
// PackedSequence.
//
// Constructors of models return errors. All other methods panic if an argument
// has the wrong length, before they write anything. After construction nothing
// allocates.
//
// # Threads
//
// Different callers run at the same time, each with a Stream or a Tape of its own,
// and so use all processors. A single caller has [Stream.SetThreads],
// [Tape.SetThreads] and [LinearTape.SetThreads], 1 at first: a call then borrows
// idle goroutines of one pool, and shares with them the rows of its batch, its
// directions, or the units of each step, whichever pays. If none does, or the pool
// is busy, the caller works alone. An [EmbeddingTape] has no threads: it copies and
// adds rows, which takes less than a hundredth of the time of what reads them.
// A training loop that cuts its batch itself adds up with [AddGrads].
//
// # Servers
//
// A server loads the weights once and has a [Stream] of one row for each session, whose
// state it is: what comes next in the session is one [Stream.Step], or a
// [Stream.Forward] of several steps. These take no lock and allocate nothing, so
// goroutines with a Stream each scale with the processors. Leave SetThreads at 1: the
// other sessions have work for all of them.
//
// Most of a Stream is scratch memory: of 0.7 MiB for an LSTM of two layers of 512 only
// 8 KiB are H and C. If many sessions sleep, copy these two from and to a few Streams
// that the sessions take in turn, for example from a sync.Pool, or keep what
// [Stream.MarshalBinary] returns. If sessions may wait for each other a little, a
// [Group] steps those that have an input as one batch. It reads the weights once for
// all, which takes a fraction of the time, and has one scratch memory.
//
// # Samples
//
// What makes one sample of one sample, as an effect of audio does, is a network and a
// Linear: [Stream.StepLinear] computes both in one call. Where samples come in blocks,
// [Stream.Forward] and [Linear.Forward] of a block take less: .7 to .9 of the time for
// 8 to 32 units.
//
// # Beyond PyTorch
//
// A Seq also resets the state of rows at any step, and gives the states of all
// layers at all steps, and the last output of each row. A learned initial state
// is an [InitialState]. The configurations have, * standing for products by
// element,
//
//   - InputDropout and RecurrentDropout, variational dropout: each Forward of a
//     Tape draws one mask for each row of what a layer reads, and for each
//     direction one of hPrev, which all steps share. W_ih multiplies mask*x and
//     W_hh mask*hPrev; the h in z*h of a GRU stays whole. Kept elements are
//     scaled by 1/(1-p). Source: Gal and Ghahramani 2016, "A Theoretically
//     Grounded Application of Dropout in Recurrent Neural Networks".
//   - ZoneoutH and ZoneoutC: in training each element of h (of c) of each step
//     keeps its old value with that probability, in a Stream h is p*hPrev +
//     (1-p)*h. The h that is mixed comes from the c before it is. Source:
//     Krueger et al. 2017, "Zoneout".
//   - LayerNorm and Peephole of an LSTM; [cell.Variant] has the equations. The
//     parameters of a layer and direction go on with the gains weight_ln_ih,
//     weight_ln_hh [4H] and weight_ln_c [H], in form B the shifts bias_ln_ih and
//     bias_ln_hh [4H], which replace bias_ih and bias_hh (in form A those are the
//     shifts), the shift bias_ln_c [H], and weight_peephole [3H] in the order i,
//     f, o. Gains begin as 1 and shifts as 0. Sums over 4H elements are in
//     PyTorch's order of rows.
//
// [Orthogonal] and [ForgetBias] initialise otherwise than PyTorch.
//
// # Numbers
//
// Every sum has one order. So AVX2, AVX-512 and NEON give the same bits, and
// the bits of a sequence depend neither on the batch around it, nor on its
// padding, nor on how it is cut into calls, nor on whether a Stream, a Tape, a
// Group or a cell computes it, nor on the number of threads:
//
//   - W·x takes the inputs in order, by fused multiply-adds, in chains of 256
//     that are added in order.
//   - A gate is (bias + W_ih·x) + W_hh·h, with bias = b_ih + b_hh; the n of a GRU
//     has b_in in its first part and begins its second one with b_hn.
//   - dh of a step is dy + W_hhᵀ·dGates, for a GRU plus dh*z of the step after it,
//     fused; dx is W_ihᵀ·dGates, where the sums run
//     over dGates in packed order (see [kernels.PackedIndex]); dx of two
//     directions is that of the forward one plus that of the reverse one.
//   - Gradients of weights are sums over the index t*B+b, added to what the
//     gradient was. Rows without that step count in the index and add nothing.
//
// Package kernels states the accuracy, the treatment of NaN and of subnormal
// numbers, and how a path is chosen.
package layer
