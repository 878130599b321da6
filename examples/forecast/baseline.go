package main

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// A forecaster forecasts all columns of the K rows after each origin, which is
// the last row that it may read: y [len(origins),K,C], in the units of the table.
type forecaster interface {
	name() string
	forecast(y []float64, origins []int, K int)
}

// persistence says that everything stays as it is.
type persistence struct{ *data }

func (p persistence) name() string { return "persistence" }

func (p persistence) forecast(y []float64, origins []int, K int) {
	for i, o := range origins {
		for k := range K {
			copy(y[(i*K+k)*p.C:][:p.C], p.row(o))
		}
	}
}

// seasonal says that everything will be as it was a season before.
type seasonal struct{ *data }

func (s seasonal) name() string { return "seasonal" }

func (s seasonal) forecast(y []float64, origins []int, K int) {
	for i, o := range origins {
		for k := range K {
			copy(y[(i*K+k)*s.C:][:s.C], s.row(o+1+k%s.period-s.period))
		}
	}
}

// autoregression is a linear function of the last p rows and the time in the
// season, fitted by least squares to the change of all columns:
//
//	x[t+1] - x[t] = A·(1, x[t], x[t-1], to x[t-p+1], calendar[t+1])
//
// A little is added to the diagonal of the normal equations, so that constant and
// dependent columns do no harm.
type autoregression struct {
	*data
	p int
	a *mat.Dense // [1+p*C+calendar,C]
}

// ridge is that little, in units of the features' variance.
const ridge = 1e-6

func newAutoregression(d *data, p int) (*autoregression, error) {
	r := &autoregression{data: d, p: p}
	origins := d.origins(0, d.trainEnd, p, 1)
	n := r.size()
	var xx mat.SymDense
	xy := mat.NewDense(n, d.C, nil)
	// In blocks, so that the matrix of all rows is never there.
	for block := range slices.Chunk(origins, 1024) {
		x, y := mat.NewDense(len(block), n, nil), mat.NewDense(len(block), d.C, nil)
		for i, o := range block {
			row := x.RawRowView(i)
			for k := range p {
				r.put(row, k, d.features(o-k))
			}
			r.finish(row, o+1)
			for j := range d.C {
				y.Set(i, j, float64(d.features(o + 1)[j])-float64(d.features(o)[j]))
			}
		}
		var sum mat.Dense
		sum.Mul(x.T(), y)
		xy.Add(xy, &sum)
		if xx.IsEmpty() {
			xx.SymOuterK(1, x.T())
		} else {
			var s mat.SymDense
			s.SymOuterK(1, x.T())
			xx.AddSym(&xx, &s)
		}
	}
	for i := range n {
		xx.SetSym(i, i, xx.At(i, i)+ridge*float64(len(origins)))
	}
	var chol mat.Cholesky
	if !chol.Factorize(&xx) {
		return nil, fmt.Errorf("the least squares of %d lags have no solution", p)
	}
	r.a = mat.NewDense(n, d.C, nil)
	if err := chol.SolveTo(r.a, xy); err != nil {
		if _, poor := err.(mat.Condition); !poor {
			return nil, err
		}
	}
	return r, nil
}

func (r *autoregression) name() string { return fmt.Sprintf("linear, %d lags", r.p) }

// size is the number of regressors.
func (r *autoregression) size() int { return 1 + r.p*r.C + r.F - r.C }

// put sets the regressors of lag k.
func (r *autoregression) put(row []float64, k int, x []float32) {
	for j, v := range x[:r.C] {
		row[1+k*r.C+j] = float64(v)
	}
}

// finish sets those that are no lags; next is the row that is forecast.
func (r *autoregression) finish(row []float64, next int) {
	row[0] = 1
	calendar := make([]float32, r.F-r.C)
	r.calendar(calendar, next)
	for j, v := range calendar {
		row[1+r.p*r.C+j] = float64(v)
	}
}

func (r *autoregression) forecast(y []float64, origins []int, K int) {
	C := r.C
	row := make([]float64, r.size())
	lags := row[1:][:r.p*C]
	dx := mat.NewVecDense(C, nil)
	for i, o := range origins {
		for k := range r.p {
			r.put(row, k, r.features(o-k))
		}
		for k := range K {
			r.finish(row, o+1+k)
			dx.MulVec(r.a.T(), mat.NewVecDense(len(row), row))
			copy(lags[C:], lags[:(r.p-1)*C])
			for j := range C {
				if r.p > 1 {
					lags[j] = lags[C+j]
				}
				lags[j] += dx.AtVec(j)
				y[(i*K+k)*C+j] = r.mean[j] + r.std[j]*lags[j]
			}
		}
	}
}
