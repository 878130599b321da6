// Package bench compares the paths of the library with each other and with a
// plain Go implementation of the same computation:
//
//	go test -bench . ./bench
//	go test -bench TrainEpoch ./bench
//
// Benchmarks are named by their shape: T steps, B batch, H hidden and input
// units. impl is a path of package kernels or plain.
//
// Kernels alone are compared with the limits of the machine by make
// bench-kernels (packages limits and kernels below this one), and with other Go
// libraries by make bench-peers (the module in peers).
package bench
