// Package approx holds the numbers that the activations and gates are made of:
// minimax polynomials, a rational function, and ln 2. Command
// minimax derives them and says how.
package approx

// A Poly is a polynomial.
type Poly struct {
	Name  string    // of its coefficients in package kernels
	Power int       // the highest
	Step  int       // from one power to the next lower one
	C     []float32 // coefficients as Horner's rule takes them, the highest power's first
}

// A Fit is an approximation whose largest relative error on an interval is least.
type Fit struct {
	Formula string
	Lo, Hi  float64
	Error   float64 // the largest, when the formula is evaluated exactly
	Poly    Poly
	Den     Poly // the denominator of a rational function
}

// Fits holds all of them.
var Fits = []*Fit{&Tanh, &Exp, &ExpNeg5, &ExpNeg6, &TanhRatio}

// Tanh is what the function tanh takes exp(-2|x|) from. The interval is a little
// more than ±ln(2)/4.
var Tanh = Fit{
	Formula: "(1-exp(-2x))/2 = x + C2*x² + ... + C6*x⁶",
	Lo:      -0.17334, Hi: 0.17334, Error: 1.37e-8,
	Poly: Poly{"tanh", 6, 1, []float32{-0x1.6b9a38p-5, 0x1.12254p-3, -0x1.5556f4p-2, 0x1.5554b4p-1, -0x1.fffffep-1}},
}

// Exp is exp in the functions exp and sigmoid. The interval is a little more
// than ±ln(2)/2, as for the gates.
var Exp = Fit{
	Formula: "exp(x) = 1 + x + C2*x² + ... + C6*x⁶",
	Lo:      -0.34664, Hi: 0.34664, Error: 3.13e-9,
	Poly: Poly{"exp", 6, 1, []float32{0x1.6a515p-10, 0x1.12397ep-7, 0x1.5558acp-5, 0x1.555492p-3, 0x1.fffffcp-2}},
}

// ExpNeg5 is exp in gates that are multiplied once.
var ExpNeg5 = Fit{
	Formula: "exp(-x) = 1 + C1*x + C2*x² + ... + C5*x⁵",
	Lo:      -0.34668, Hi: 0.34668, Error: 9.2e-8,
	Poly: Poly{"expNeg5", 5, 1, []float32{-0x1.0fa350p-7, 0x1.573a32p-5, -0x1.555a7ap-3, 0x1.fffdc6p-2, -0x1.fffff6p-1, 1}},
}

// ExpNeg6 is exp in the forget gate, which is multiplied many times.
var ExpNeg6 = Fit{
	Formula: "exp(-x) = 1 - x + C2*x² + ... + C6*x⁶",
	Lo:      -0.34668, Hi: 0.34668, Error: 3.13e-9,
	Poly: Poly{"expNeg6", 6, 1, []float32{0x1.6a5052p-10, -0x1.123976p-7, 0x1.5558acp-5, -0x1.555492p-3, 0x1.fffffcp-2, -1, 1}},
}

// TanhRatio is tanh in gates.
var TanhRatio = Fit{
	Formula: "tanh(x) = 2nq/(n²+q²), n = x/2 + NumC3*x³ + NumC5*x⁵, q = 1 + DenC2*x² + ... + DenC6*x⁶",
	Lo:      0, Hi: float64(TanhEnd), Error: 7.72e-9,
	Poly: Poly{"tanhNum", 5, 2, []float32{0x1.df48ccp-15, 0x1.e7d398p-7, 0.5}},
	Den:  Poly{"tanhDen", 6, 2, []float32{0x1.49ffdap-20, 0x1.3c4f84p-10, 0x1.cf4a32p-4, 1}},
}

// TanhEnd is the magnitude from which on both forms of tanh are exactly 1.
const TanhEnd float32 = 9.02

// 1/ln 2, ln 2, and ln 2 in two parts (W. J. Cody and W. Waite, Software Manual
// for the Elementary Functions, 1980): the first has 16 bits, so that a whole
// number of 8 bits times it is exact.
const (
	Log2E float32 = 0x1.715476p0
	Ln2   float32 = 0x1.62e43p-1
	Ln2Hi float32 = 0x1.62e4p-1
	Ln2Lo float32 = 1.42860677e-6
)
