package main

import (
	"math/big"
	"sync"
)

// A num is a number of prec bits, which nobody changes.
type num = *big.Float

const prec = 192

func number(x float64) num   { return new(big.Float).SetPrec(prec).SetFloat64(x) }
func add(x, y num) num       { return new(big.Float).SetPrec(prec).Add(x, y) }
func sub(x, y num) num       { return new(big.Float).SetPrec(prec).Sub(x, y) }
func mul(x, y num) num       { return new(big.Float).SetPrec(prec).Mul(x, y) }
func quo(x, y num) num       { return new(big.Float).SetPrec(prec).Quo(x, y) }
func neg(x num) num          { return new(big.Float).Neg(x) }
func abs(x num) num          { return new(big.Float).Abs(x) }
func scale(x num, e int) num { return new(big.Float).SetMantExp(x, e) }

func float64Of(x num) float64 {
	f, _ := x.Float64()
	return f
}

func float32Of(x num) float32 {
	f, _ := x.Float32()
	return f
}

// rounded returns the float32 next to x.
func rounded(x num) num { return number(float64(float32Of(x))) }

var (
	zero = number(0)
	one  = number(1)
)

// ln2 is 2·artanh(1/3).
var ln2 = sync.OnceValue(func() num {
	sum := zero
	power := quo(number(2), number(3))
	for k := 1; power.MantExp(nil) > -prec; k += 2 {
		sum = add(sum, quo(power, number(float64(k))))
		power = quo(power, number(9))
	}
	return sum
})

// reciprocals holds 1/n.
var reciprocals = sync.OnceValue(func() (r [16]num) {
	for n := 1; n < len(r); n++ {
		r[n] = quo(one, number(float64(n)))
	}
	return r
})

// exp takes the series of x/2^k, below 2^-12, and squares it k times. Its last
// term is below 2^-(12*15)/15!, or 2^-220.
func exp(x num) num {
	k := max(0, x.MantExp(nil)+12)
	x = scale(x, -k)
	sum := one
	r := reciprocals()
	for n := len(r) - 1; n > 0; n-- {
		sum = add(one, mul(mul(x, sum), r[n]))
	}
	for range k {
		sum = mul(sum, sum)
	}
	return sum
}

func tanh(x num) num {
	e := exp(scale(x, 1))
	return quo(sub(e, one), add(e, one))
}
