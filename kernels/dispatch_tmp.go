package kernels

// Until the generated dispatch is here, Generic is the only path.
func init() { available = []ISA{Generic} }

//go:noinline
func tanh(isa ISA, dst, src *float32, n int) { panic("unreachable") }

//go:noinline
func sigmoid(isa ISA, dst, src *float32, n int) { panic("unreachable") }

//go:noinline
func add(isa ISA, dst, x, y *float32, n int) { panic("unreachable") }

//go:noinline
func mul(isa ISA, dst, x, y *float32, n int) { panic("unreachable") }

//go:noinline
func scale(isa ISA, dst, x *float32, n int, alpha float32) { panic("unreachable") }

//go:noinline
func axpy(isa ISA, dst, x *float32, n int, alpha float32) { panic("unreachable") }

//go:noinline
func sumRows(isa ISA, sum, a *float32, stride, rows, cols, add int) { panic("unreachable") }

//go:noinline
func adam(isa ISA, p, g, m, v *float32, n int, s *AdamScalars) { panic("unreachable") }

//go:noinline
func rnnTanhForward(isa ISA, h, gates *float32, hStride, gatesStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func rnnReLUForward(isa ISA, h, gates *float32, hStride, gatesStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func rnnTanhBackward(isa ISA, dGates, dh, h *float32, dGatesStride, dhStride, hStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func rnnReLUBackward(isa ISA, dGates, dh, h *float32, dGatesStride, dhStride, hStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func lstmForward(isa ISA, h, c, gates, cPrev *float32, hStride, cStride, gatesStride, cPrevStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func lstmForwardTrain(isa ISA, h, c, gates, cPrev *float32, hStride, cStride, gatesStride, cPrevStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func lstmBackward(isa ISA, gates, dc, dh, h, c, cPrev *float32, gatesStride, dcStride, dhStride, hStride, cStride, cPrevStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func gruForward(isa ISA, h, gx, gh, hPrev *float32, hStride, gxStride, ghStride, hPrevStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func gruForwardTrain(isa ISA, h, gx, gh, hPrev *float32, hStride, gxStride, ghStride, hPrevStride, rows, units int) {
	panic("unreachable")
}

//go:noinline
func gruBackward(isa ISA, gx, gh, dhPrev, dh, hPrev *float32, gxStride, ghStride, dhPrevStride, dhStride, hPrevStride, rows, units int) {
	panic("unreachable")
}
