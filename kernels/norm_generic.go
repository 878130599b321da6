package kernels

func squaresAroundGeneric(x []float32, mean float32) float32 {
	var l lanes
	for j, v := range x {
		d := flush(flush(v) - mean)
		l[j%len(l)] += float32(d * d)
	}
	return l.sum()
}

func dot3Generic(x, y, z []float32) float32 {
	var l lanes
	for j, v := range x {
		l[j%len(l)] += float32(flush(flush(v)*flush(y[j])) * flush(z[j]))
	}
	return l.sum()
}

func layerNormGeneric(y, hat, x, gain, shift []float32, mean, rstd float32) {
	for j, v := range x {
		s := flush(shift[j])
		h := flush(flush(flush(v)-mean) * rstd)
		hat[j] = h
		y[j] = flush(float32(flush(gain[j])*h) + s)
	}
}

func layerNormBackwardGeneric(dx, dy, hat, gain []float32, mean, meanHat, rstd float32) {
	for j, v := range dy {
		e := flush(flush(v)*flush(gain[j])) - mean
		dx[j] = flush(flush(e-float32(flush(hat[j])*meanHat)) * flush(rstd))
	}
}
