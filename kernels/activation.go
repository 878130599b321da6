package kernels

// Tanh sets dst[i] = tanh(src[i]), to 2 ulp. It is odd, and 1 from 9.02 on.
// dst may be src. It panics if the lengths differ.
//
// The method: (1-exp(-2|x|))/(1+exp(-2|x|)), with exp(-2|x|) = s(1-2t), s a power of
// two and t a polynomial without a constant, so that small x lose nothing:
//
//	tanh(|x|) = (1-s+2st)/(1+s-2st)
func Tanh(dst, src []float32) {
	const fn = "Tanh"
	writes(fn, "dst", dst, len(src))
	reads(fn, "src", src, len(src))
	isa := use()
	if isa == Generic {
		tanhGeneric(dst, src)
		return
	}
	for i := 0; i < len(dst); i += maxWork {
		tanh(isa, &dst[i], &src[i], min(maxWork, len(dst)-i))
	}
}

// Sigmoid sets dst[i] = 1/(1+exp(-src[i])), to 2 ulp.
// dst may be src. It panics if the lengths differ.
//
// The method: exp(-x) = 2^n exp(r) with n a whole number and |r| <= ln(2)/2,
// a polynomial for exp(r)-1, and one division.
func Sigmoid(dst, src []float32) {
	const fn = "Sigmoid"
	writes(fn, "dst", dst, len(src))
	reads(fn, "src", src, len(src))
	isa := use()
	if isa == Generic {
		sigmoidGeneric(dst, src)
		return
	}
	for i := 0; i < len(dst); i += maxWork {
		sigmoid(isa, &dst[i], &src[i], min(maxWork, len(dst)-i))
	}
}

// Exp sets dst[i] = exp(src[i]), to 2 ulp: +Inf from 88.73 on, 0 below -87.34.
// dst may be src. It panics if the lengths differ.
//
// The method is that of Sigmoid.
func Exp(dst, src []float32) {
	const fn = "Exp"
	writes(fn, "dst", dst, len(src))
	reads(fn, "src", src, len(src))
	isa := use()
	if isa == Generic {
		expGeneric(dst, src)
		return
	}
	for i := 0; i < len(dst); i += maxWork {
		exp(isa, &dst[i], &src[i], min(maxWork, len(dst)-i))
	}
}
