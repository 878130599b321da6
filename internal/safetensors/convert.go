package safetensors

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// converters read little-endian elements of a type into float32.
var converters = map[DType]func(dst []float32, src []byte){
	F32: func(dst []float32, src []byte) {
		each(dst, src, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	},
	F64: func(dst []float32, src []byte) {
		each(dst, src, 8, func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) })
	},
	F16: func(dst []float32, src []byte) {
		each(dst, src, 2, func(b []byte) float32 { return float16Bits(le.Uint16(b)) })
	},
	BF16: func(dst []float32, src []byte) {
		each(dst, src, 2, func(b []byte) float32 { return bfloat16Bits(le.Uint16(b)) })
	},
	I64: func(dst []float32, src []byte) {
		each(dst, src, 8, func(b []byte) float32 { return float32(int64(le.Uint64(b))) })
	},
	"U64": func(dst []float32, src []byte) {
		each(dst, src, 8, func(b []byte) float32 { return float32(le.Uint64(b)) })
	},
	"I32": func(dst []float32, src []byte) {
		each(dst, src, 4, func(b []byte) float32 { return float32(int32(le.Uint32(b))) })
	},
	"U32": func(dst []float32, src []byte) {
		each(dst, src, 4, func(b []byte) float32 { return float32(le.Uint32(b)) })
	},
	"I16": func(dst []float32, src []byte) {
		each(dst, src, 2, func(b []byte) float32 { return float32(int16(le.Uint16(b))) })
	},
	"U16": func(dst []float32, src []byte) {
		each(dst, src, 2, func(b []byte) float32 { return float32(le.Uint16(b)) })
	},
	"I8": func(dst []float32, src []byte) {
		each(dst, src, 1, func(b []byte) float32 { return float32(int8(b[0])) })
	},
	U8:   func(dst []float32, src []byte) { each(dst, src, 1, func(b []byte) float32 { return float32(b[0]) }) },
	Bool: func(dst []float32, src []byte) { each(dst, src, 1, func(b []byte) float32 { return truth(b[0]) }) },
}

var le = binary.LittleEndian

// each sets dst[i] = value(src[i*width:]). The compiler makes a loop without calls
// of it and a function literal.
func each(dst []float32, src []byte, width int, value func([]byte) float32) {
	for i := range dst {
		dst[i] = value(src[i*width:][:width])
	}
}

func truth(b byte) float32 {
	if b != 0 {
		return 1
	}
	return 0
}

// bfloat16Bits: a bfloat16 is the upper half of a float32.
func bfloat16Bits(u uint16) float32 { return math.Float32frombits(uint32(u) << 16) }

// float16Bits: a float16 has 1 bit sign, 5 bits exponent with bias 15 and 10
// bits fraction; a float32 has 8 with bias 127, and 23.
func float16Bits(u uint16) float32 {
	sign, exp, frac := uint32(u>>15)<<31, uint32(u>>10)&31, uint32(u)&1023
	switch {
	case exp == 31: // infinity, NaN
		exp = 255
	case exp != 0:
		exp += 127 - 15
	case frac != 0: // subnormal: frac * 2^-24, normal as a float32
		shift := uint32(bits.LeadingZeros32(frac)) - 21 // makes bit 10 the highest
		exp, frac = 127-15+1-shift, frac<<shift&1023
	}
	return math.Float32frombits(sign | exp<<23 | frac<<13)
}
