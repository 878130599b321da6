package kernels

import "testing"

func BenchmarkZAdd(b *testing.B) {
	x := make([]float32, 8)
	y := make([]float32, 8)
	for b.Loop() {
		Add(x, x, y)
	}
}
func BenchmarkZAddT(b *testing.B) {
	x := make([]float32, 8)
	y := make([]float32, 8)
	isa := use()
	for b.Loop() {
		add(isa, &x[0], &x[0], &y[0], 8)
	}
}
func BenchmarkZTanh(b *testing.B) {
	x := make([]float32, 8)
	for b.Loop() {
		Tanh(x, x)
	}
}
func BenchmarkZTanh2(b *testing.B) {
	x := make([]float32, 8)
	y := make([]float32, 8)
	for b.Loop() {
		Tanh(x, y)
	}
}
func BenchmarkZTanhD(b *testing.B) {
	x := make([]float32, 8)
	y := make([]float32, 8)
	isa := use()
	for b.Loop() {
		tanh(isa, &x[0], &y[0], 8)
	}
}
