package layer

import "github.com/simdrnn/simdrnn/kernels"

// series is a sequence of matrices, one a step, of which a row is cols
// neighbours. With step = 0 all are in one place.
type series struct {
	data            []float32
	step, row, cols int // from step to step and from row to row; elements of a row
}

// newSeries returns data [T,B,cols], or [B,T,cols] if batchFirst, as a series.
func newSeries(data []float32, T, B, cols int, batchFirst bool) series {
	if batchFirst {
		return series{data, cols, T * cols, cols}
	}
	return series{data, B * cols, cols, cols}
}

// inPlace returns the series whose steps are all the matrix data [B,cols].
func inPlace(data []float32, cols int) series { return series{data, 0, cols, cols} }

// from returns the series from step t on.
func (s series) from(t int) series {
	s.data = s.data[min(t*s.step, len(s.data)):]
	return s
}

// part returns columns i*cols to (i+1)*cols of the series.
func (s series) part(i, cols int) series { return s.columns(i*cols, cols) }

// rows returns the series from row b on.
func (s series) rows(b int) series {
	s.data = s.data[min(b*s.row, len(s.data)):]
	return s
}

// columns returns cols columns of the series from column j on.
func (s series) columns(j, cols int) series {
	s.data, s.cols = s.data[min(j, len(s.data)):], cols
	return s
}

// at returns the matrix of step t.
func (s series) at(t int) kernels.Mat { return kernels.Mat{Data: s.data[t*s.step:], Stride: s.row} }

// ofRow returns the matrix of row b, whose rows are its steps.
func (s series) ofRow(b int) kernels.Mat {
	return kernels.Mat{Data: s.data[min(b*s.row, len(s.data)):], Stride: s.step}
}

// rowAt returns row b of step t.
func (s series) rowAt(t, b int) []float32 { return s.data[t*s.step+b*s.row:][:s.cols:s.cols] }

// row returns row b of m, of that many columns.
func row(m kernels.Mat, b, cols int) []float32 { return m.Data[b*m.Stride:][:cols:cols] }

// copyRows copies rows of cols columns.
func copyRows(dst, src kernels.Mat, rows, cols int) {
	if dst.Stride == cols && src.Stride == cols {
		copy(dst.Data[:rows*cols], src.Data)
		return
	}
	for b := range rows {
		copy(row(dst, b, cols), row(src, b, cols))
	}
}
