// Package simdrnn is the root of a module for recurrent neural networks on the
// CPU, with PyTorch's semantics, in Go with generated SIMD assembly and without
// cgo. The root itself exports nothing:
//
//   - layer has the networks: weights, streams for inference, tapes for
//     training. Start there.
//   - train has losses and optimizers.
//   - cell has one time step of each network, forward and backward, on slices.
//   - kernels has the inner loops and chooses the instruction set.
//
// The assembly in kernels, and that in bench/limits which measures what a
// machine can do, is written by the program in asm, a module of its own, so that
// what it needs stays out of the module graphs of users.
package simdrnn

//go:generate go -C asm run . ..
