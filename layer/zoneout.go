package layer

import (
	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/kernels"
)

// zoneout keeps a share of the old state in each step of a scan:
//
//	h = z*hPrev + (1-z)*h of the cell, and so c
//
// In inference z is a probability, in training 1 where it is drawn and else 0.
type zoneout struct {
	h, c   series // of the cell, [steps,B,·], which training keeps
	zh, zc series // z, [T,B,·] or, the same in all steps, one row
	dh, dc []float32
}

func newZoneout(r *recurrent, steps, batch int, train bool) *zoneout {
	Ho, cUnits := r.hUnits(), r.cUnits()
	z := new(zoneout)
	if !train {
		z.h, z.c = inPlace(make([]float32, batch*Ho), Ho), inPlace(make([]float32, batch*cUnits), cUnits)
		constant := func(p float64, cols int) series {
			row := make([]float32, cols)
			for i := range row {
				row[i] = float32(p)
			}
			return series{row, 0, 0, cols}
		}
		z.zh, z.zc = constant(r.zoneoutH, Ho), constant(r.zoneoutC, cUnits)
		return z
	}
	kept := func(cols int) series {
		return newSeries(make([]float32, steps*batch*cols), steps, batch, cols, false)
	}
	z.h, z.c, z.zh, z.zc = kept(Ho), kept(cUnits), kept(Ho), kept(cUnits)
	z.dh, z.dc = make([]float32, batch*Ho), make([]float32, batch*cUnits)
	return z
}

// draw draws the z of a call, first all of h and then all of c, each for the rows
// of a step in the plan's order.
func (z *zoneout) draw(r *Rand, p *plan, ph, pc float64) {
	for _, s := range [...]struct {
		z series
		p float64
	}{{z.zh, ph}, {z.zc, pc}} {
		for t := range p.steps {
			d := s.z.at(t).Data[:p.rows(t)*s.z.cols]
			for i := range d {
				d[i] = 0
				if s.p == 1 || s.p > 0 && r.Float64() < s.p {
					d[i] = 1
				}
			}
		}
	}
}

// view sets z to the rows of a greater batch from row lo on.
func (z *zoneout) view(of *zoneout, lo int) {
	*z = zoneout{of.h.rows(lo), of.c.rows(lo), of.zh.rows(lo), of.zc.rows(lo), rowsFrom(of.dh, lo, of.h.cols), rowsFrom(of.dc, lo, of.c.cols)}
}

// before makes the cell write step t aside.
func (z *zoneout) before(st *cell.Step, t int) { st.H, st.C = z.h.at(t), z.c.at(t) }

// after sets h and c, the states after step t, from what the cell wrote.
func (z *zoneout) after(st *cell.Step, h, c kernels.Mat, t int) {
	for b := range st.Rows {
		mix(row(h, b, z.h.cols), z.zh.rowAt(t, b), row(st.HPrev, b, z.h.cols), row(st.H, b, z.h.cols))
		mix(row(c, b, z.c.cols), z.zc.rowAt(t, b), row(st.CPrev, b, z.c.cols), row(st.C, b, z.c.cols))
	}
	st.H, st.C = h, c
}

// mix sets dst = z*x + (1-z)*y.
func mix(dst, z, x, y []float32) {
	for i, z := range z {
		dst[i] = float32(z*x[i]) + float32((1-z)*y[i])
	}
}

// split takes the share of the gradients of a step's states that goes past the
// cell, of n rows.
func (z *zoneout) split(dh, dc []float32, t, n int) {
	for _, s := range [...]struct {
		z    series
		d, o []float32
	}{{z.zh, dh, z.dh}, {z.zc, dc, z.dc}} {
		for b := range n {
			d, past := s.d[b*s.z.cols:], s.o[b*s.z.cols:]
			for i, z := range s.z.rowAt(t, b) {
				past[i] = z * d[i]
				d[i] *= 1 - z
			}
		}
	}
}

// join adds that share to the gradients of the state before the step.
func (z *zoneout) join(dhPrev, dcPrev []float32, n int) {
	addTo(dhPrev[:n*z.h.cols], z.dh)
	addTo(dcPrev[:n*z.c.cols], z.dc)
}
