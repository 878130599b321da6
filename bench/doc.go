// Package bench compares the paths of the library with each other and with a
// plain Go implementation of the same computation:
//
//	go test -bench . ./bench
//	go test -bench TrainEpoch ./bench
//
// Benchmarks are named by their shape: T steps, B batch, I inputs, H hidden
// units; deep is two layers of both directions. impl is a path of package kernels
// or plain. Generic and plain are left out where they would take seconds.
//
// Kernels alone are compared with the limits of the machine by make
// bench-kernels (packages limits and kernels below this one). Many streams in one
// process, as in a server, are measured by make bench-server. Layers and kernels
// are compared with other libraries, in Go and Python, by make bench-peers, and the
// time from a file of weights to the first step by make bench-coldstart (the module
// in peers). peers/rtneural compares streams with RTNeural, of which it needs a
// checkout.
package bench
