package kernels

// gemm is Gemm, or GemmAdd if add, on the path isa.
func gemm(isa ISA, c, a Mat, n int, w *Panels, bias []float32, add bool) {
	gemmGeneric(c, a, n, w, bias, add)
}

// gemmTN is GemmTN on the path isa.
func gemmTN(isa ISA, c, a Mat, m int, b *Panels, add bool) {
	gemmTNGeneric(c, a, m, b, add)
}
