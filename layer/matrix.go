package layer

import (
	"sync"

	"github.com/simdrnn/simdrnn/kernels"
)

// blockUnits is the number of units whose outputs for one gate are neighbours in
// packed order (see kernels.PackedIndex).
const blockUnits = 16

// matrix is a weight W [gates*units][inputs], packed for the products with it:
//
//	y = W·x             Gemm with panels
//	dx = Wᵀ·dy          Gemm with transposed()
//	dW += dyᵀ·x         addGrad
//
// y and dy are in packed order.
type matrix struct {
	weight []float32 // of the parameter, in PyTorch's order
	panels *kernels.Panels

	once sync.Once
	t    *kernels.Panels // the transposed panels, nil before the first tape
}

func newMatrix(weight []float32, gates, units, inputs int) *matrix {
	return &matrix{weight: weight, panels: kernels.NewPanels(gates, units, inputs)}
}

// pack copies the weight into the panels that exist.
func (m *matrix) pack() {
	m.panels.Pack(m.weight)
	if m.t != nil {
		m.packTransposed()
	}
}

// transposed returns the transposed panels, made by the first call. It may run
// beside readers, which must get them from here.
func (m *matrix) transposed() *kernels.Panels {
	m.once.Do(func() {
		m.t = kernels.NewPanels(1, m.panels.K(), m.panels.Width())
		m.packTransposed()
	})
	return m.t
}

// packTransposed sets all inputs but those of the padding, which stay zero.
func (m *matrix) packTransposed() {
	gates, units, inputs := m.panels.Gates(), m.panels.Units(), m.panels.K()
	for g := range gates {
		for u := range units {
			m.t.SetRow(kernels.PackedIndex(gates, u, g), m.weight[(g*units+u)*inputs:][:inputs])
		}
	}
}

// addGrad adds dyᵀ·x to dW, for panels x [rows] of one gate and dy [rows][Width].
func (m *matrix) addGrad(dW []float32, dy kernels.Mat, x *kernels.Panels) {
	inputs := m.panels.K()
	kernels.GemmTN(kernels.Mat{Data: dW, Stride: inputs}, dy, m.panels.Gates(), m.panels.Units(), x, true)
}

// addBiasGrad adds the rows of dy [rows][len(sum)], in packed order, to each of
// the biases' gradients db. sum is scratch memory.
func addBiasGrad(sum []float32, dy kernels.Mat, rows, gates, units int, db ...[]float32) {
	clear(sum)
	kernels.AddRows(sum, dy, rows)
	for _, d := range db {
		for i := range d {
			d[i] += sum[kernels.PackedIndex(gates, i%units, i/units)]
		}
	}
}

// packRows sets p, panels of one gate, to the rows of x.
func packRows(p *kernels.Panels, x kernels.Mat, rows int) {
	p.Resize(rows)
	p.SetRows(x)
}
