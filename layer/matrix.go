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
	other  *kernels.Panels // panels in the other direction, see kernels.Panels.Reversed

	// For products with the transposed weight, which not every tape makes: memory
	// for it comes with the first tape, weights when they are used for the first time.
	reserved, used sync.Once
	t              *kernels.Panels // the transposed panels
	otherT         *kernels.Panels // t in the other direction
	inUse          bool            // t has weights
}

func newMatrix(weight []float32, gates, units, inputs int) *matrix {
	panels := kernels.NewPanels(gates, units, inputs)
	return &matrix{weight: weight, panels: panels, other: panels.Reversed()}
}

// pack copies the weight into the panels that exist.
func (m *matrix) pack() {
	m.packPanels()
	m.packTransposed()
}

func (m *matrix) packPanels() { m.panels.Pack(m.weight) }

// reserve makes room for the transposed panels.
func (m *matrix) reserve() {
	m.reserved.Do(func() {
		m.t = kernels.NewPanels(1, m.panels.K(), m.panels.Width())
		m.otherT = m.t.Reversed()
	})
}

// transposed returns the transposed panels, packed by the first call. It may run
// beside readers, which must get them from here.
func (m *matrix) transposed() *kernels.Panels {
	m.reserve()
	m.used.Do(func() {
		m.inUse = true
		m.packTransposed()
	})
	return m.t
}

// packTransposed copies the weight into the transposed panels, if they are in use.
func (m *matrix) packTransposed() {
	if m.inUse {
		m.t.PackTransposed(m.weight, m.panels.Gates(), m.panels.Units())
	}
}

// addGrad adds dyᵀ·x to dW, for panels x [rows] of one gate and dy [rows][Width]:
// the rows of units lo to hi, of which lo is a multiple of blockUnits.
func (m *matrix) addGrad(dW []float32, dy kernels.Mat, x *kernels.Panels, lo, hi int) {
	inputs := m.panels.K()
	kernels.GemmTNPart(kernels.Mat{Data: dW, Stride: inputs}, dy, m.panels.Gates(), m.panels.Units(), lo, hi, x, true)
}

// addBiasGrad adds the rows of dy [rows][Width], in packed order, to each of the
// biases' gradients db, in units lo to hi as addGrad does. sum is scratch memory
// of Width elements.
func addBiasGrad(sum []float32, dy kernels.Mat, rows, gates, units, lo, hi int, db ...[]float32) {
	if lo == hi || rows == 0 {
		return
	}
	from, to := kernels.PackedIndex(gates, lo, 0), kernels.PackedIndex(gates, hi-1, gates-1)+1
	dy.Data, sum = dy.Data[from:], sum[:to-from]
	clear(sum)
	kernels.AddRows(sum, dy, rows)
	for _, d := range db {
		for g := range gates {
			for u := lo; u < hi; u++ {
				d[g*units+u] += sum[kernels.PackedIndex(gates, u, g)-from]
			}
		}
	}
}
