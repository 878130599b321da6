package reference

// EmbeddingForward returns y [N,E], the rows ids [N] of W [V,E]:
//
//	y_n = W[ids_n]
func EmbeddingForward(ids []int, W []float64, E int) (y []float64) {
	for _, id := range ids {
		y = append(y, W[id*E:(id+1)*E]...)
	}
	return y
}

// EmbeddingBackward adds the rows of dy [N,E] to the rows ids [N] of dW [V,E],
//
//	dW[ids_n] += dy_n,
//
// but none to row padding, which is read like any other. A negative padding
// means that there is no such row.
func EmbeddingBackward(dW, dy []float64, ids []int, E, padding int) {
	for n, id := range ids {
		if id != padding {
			add(dW[id*E:(id+1)*E], dy[n*E:(n+1)*E])
		}
	}
}
