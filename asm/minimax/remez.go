package main

import (
	"errors"
	"math"
)

// A problem is the search for coefficients c of a family of functions y, such
// that y comes closest to f between lo and hi: the largest error |w·(y-f)| is to
// be least.
type problem struct {
	lo, hi num
	target func(x num) (f, w num)
	family func(x num, c []num) (y num, dy []num) // and the derivatives by c
}

// A sample is a point with the values of f and w.
type sample struct{ x, f, w num }

// points is the number of samples to begin with. It is even, because 0 in the
// middle of an interval says nothing about coefficients other than C0.
const points = 200

// samples returns n samples, which lie denser towards the ends as the extrema of
// a Chebyshev polynomial do.
func (p *problem) samples(n int) []sample {
	s := make([]sample, n)
	for i := range s {
		part := number((1 - math.Cos(math.Pi*float64(i)/float64(n-1))) / 2)
		x := add(p.lo, mul(part, sub(p.hi, p.lo)))
		s[i] = p.sample(x)
	}
	return s
}

func (p *problem) sample(x num) sample {
	f, w := p.target(x)
	return sample{x, f, w}
}

func (p *problem) errors(at []sample, c []num) []num {
	e := make([]num, len(at))
	for i, s := range at {
		y, _ := p.family(s.x, c)
		e[i] = mul(s.w, sub(y, s.f))
	}
	return e
}

// largest returns the largest error of c, at some samples or between.
func (p *problem) largest(at []sample, c []num) float64 {
	most := zero
	for _, e := range p.errors(p.refine(at, c), c) {
		if abs(e).Cmp(most) > 0 {
			most = abs(e)
		}
	}
	return float64Of(most)
}

// minimax changes the free ones of the coefficients c to the best ones. It
// returns the samples it used: it adds the extrema between them twice; then
// these lie closer to those of the error than to each other by far.
func (p *problem) minimax(c []num, free []int) ([]sample, error) {
	at := p.samples(points)
	for range 2 {
		if err := p.newton(at, c, free); err != nil {
			return nil, err
		}
		at = p.refine(at, c)
	}
	return at, p.newton(at, c, free)
}

// refine adds samples at extrema of the error, each the vertex of the parabola
// through three samples.
func (p *problem) refine(at []sample, c []num) []sample {
	e := p.errors(at, c)
	var fine []sample
	for i := range at {
		fine = append(fine, at[i])
		if i == 0 || i == len(at)-1 {
			continue
		}
		left := quo(sub(e[i], e[i-1]), sub(at[i].x, at[i-1].x)) // slopes
		right := quo(sub(e[i+1], e[i]), sub(at[i+1].x, at[i].x))
		if left.Sign() == 0 || left.Sign() == right.Sign() {
			continue
		}
		// The slope goes from left to right in half the way from i-1 to i+1.
		middle := scale(add(at[i-1].x, at[i].x), -1)
		way := scale(sub(at[i+1].x, at[i-1].x), -1)
		x := add(middle, mul(way, quo(left, sub(left, right))))
		switch {
		case x.Cmp(at[i-1].x) <= 0 || x.Cmp(at[i].x) == 0 || x.Cmp(at[i+1].x) >= 0: // it is a sample
		case x.Cmp(at[i].x) < 0:
			fine = append(fine[:len(fine)-1], p.sample(x), at[i])
		default:
			fine = append(fine, p.sample(x))
		}
	}
	return fine
}

// newton changes the free coefficients to those whose largest error at some
// samples is least. It takes one step if y is linear in c, and one to see that.
func (p *problem) newton(at []sample, c []num, free []int) error {
	var r reference
	for range 50 {
		l := make(linear, len(at))
		for i, s := range at {
			y, dy := p.family(s.x, c)
			for _, k := range free {
				l[i] = append(l[i], mul(s.w, dy[k]))
			}
			l[i] = append(l[i], mul(s.w, sub(y, s.f)))
		}
		step, err := l.exchange(&r)
		if err != nil {
			return err
		}
		settled := true
		for i, k := range free {
			settled = settled && (step[i].Sign() == 0 || step[i].MantExp(nil) < c[k].MantExp(nil)-prec/4)
			c[k] = add(c[k], step[i])
		}
		if settled {
			return nil
		}
	}
	return errors.New("newton: the steps do not settle")
}

// linear is a problem with linear errors: at sample i they are
//
//	l[i][0]*x[0] + ... + l[i][n-1]*x[n-1] + l[i][n]
type linear [][]num

func (l linear) error(i int, x []num) num {
	n := len(x)
	e := l[i][n]
	for k := range n {
		e = add(e, mul(l[i][k], x[k]))
	}
	return e
}

// A reference is n+1 samples of a linear problem and the signs of the numbers λ
// that make Σ λ[i]*l[i] = 0 there, or their opposites.
type reference struct {
	points []int
	signs  []num
}

// exchange returns the n unknowns whose largest error is least. Their errors
// have the signs of a reference and one magnitude h there, and are nowhere larger
// (Chebyshev, de la Vallée Poussin). Remez' algorithm starts from any reference
// and solves for the unknowns and h. It takes the sample with the largest error
// in exchange for that point of the reference which leaves the signs right, so
// that h grows, and goes on until no error is larger than h. (In this form it is
// the simplex method for the dual linear program, and works where errors do not
// alternate, as with polynomials whose odd coefficients are fixed.)
//
// E. Remez, "Sur la détermination des polynômes d'approximation de degré
// donnée", Comm. Soc. Math. Kharkov 10 (1934) 41-63;
// E. Stiefel, "Über diskrete und lineare Tschebyscheff-Approximationen",
// Numer. Math. 1 (1959) 1-28.
func (l linear) exchange(r *reference) ([]num, error) {
	n := len(l[0]) - 1
	if r.points == nil {
		if err := l.begin(r); err != nil {
			return nil, err
		}
	}
	for range 1000 {
		rows := make([][]num, n+1) // Σ l[i][k]*x[k] - sign*h = -l[i][n]
		for j, i := range r.points {
			rows[j] = append(rows[j], l[i][:n]...)
			rows[j] = append(rows[j], neg(r.signs[j]), neg(l[i][n]))
		}
		x, err := gauss(rows)
		if err != nil {
			return nil, err
		}
		x, h := x[:n], x[n]
		if h.Sign() < 0 { // at the beginning only
			h = neg(h)
			for j := range r.signs {
				r.signs[j] = neg(r.signs[j])
			}
		}
		worst, most := 0, zero
		for i := range l {
			if e := l.error(i, x); abs(e).Cmp(abs(most)) > 0 {
				worst, most = i, e
			}
		}
		if abs(most).Cmp(mul(h, number(1+1e-12))) <= 0 {
			return x, nil
		}
		sign := number(float64(most.Sign()))

		// With t of the new point in it, the sum of zero has λ-t*μ of the others:
		// the first that vanishes is the one to go.
		none := make([]num, n)
		for k := range none {
			none[k] = zero
		}
		lambda, err := l.combine(r, none, one)
		if err != nil {
			return nil, err
		}
		mu, err := l.combine(r, l[worst][:n], sign)
		if err != nil {
			return nil, err
		}
		out, least := -1, zero
		for j := range mu {
			if mu[j].Sign() > 0 {
				if t := quo(lambda[j], mu[j]); out < 0 || t.Cmp(least) < 0 {
					out, least = j, t
				}
			}
		}
		if out < 0 {
			return nil, errors.New("exchange: no point to go")
		}
		r.points[out], r.signs[out] = worst, sign
	}
	return nil, errors.New("exchange: no end")
}

// begin sets r to points that lie evenly among the samples.
func (l linear) begin(r *reference) error {
	n := len(l[0]) - 1
	for j := range n + 1 {
		r.points = append(r.points, (2*j+1)*len(l)/(2*n+2))
	}
	rows := make([][]num, n) // λ of the last is -1
	for k := range rows {
		for _, i := range r.points {
			rows[k] = append(rows[k], l[i][k])
		}
	}
	lambda, err := gauss(rows)
	for _, v := range append(lambda, neg(one)) {
		r.signs = append(r.signs, number(float64(v.Sign())))
	}
	return err
}

// combine returns μ with Σ μ*sign*l = sign*row over r, and Σ μ = 1.
func (l linear) combine(r *reference, row []num, sign num) ([]num, error) {
	rows := make([][]num, len(row)+1)
	for k := range row {
		for j, i := range r.points {
			rows[k] = append(rows[k], mul(r.signs[j], l[i][k]))
		}
		rows[k] = append(rows[k], mul(sign, row[k]))
	}
	for range len(row) + 2 {
		rows[len(row)] = append(rows[len(row)], one)
	}
	return gauss(rows)
}

// gauss returns the solution of linear equations by elimination. A row holds the
// factors and the right side; rows are overwritten.
func gauss(rows [][]num) ([]num, error) {
	n := len(rows)
	for i := range n {
		for j := i + 1; j < n; j++ {
			if abs(rows[j][i]).Cmp(abs(rows[i][i])) > 0 {
				rows[i], rows[j] = rows[j], rows[i]
			}
		}
		if rows[i][i].Sign() == 0 {
			return nil, errors.New("minimax: singular equations")
		}
		for j := range n {
			if j == i {
				continue
			}
			f := quo(rows[j][i], rows[i][i])
			for k := i; k <= n; k++ {
				rows[j][k] = sub(rows[j][k], mul(f, rows[i][k]))
			}
		}
	}
	x := make([]num, n)
	for i := range x {
		x[i] = quo(rows[i][n], rows[i][i])
	}
	return x, nil
}
