package safetensors

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// converters read little-endian elements of a type into float32.
var converters = map[DType]func(dst []float32, src []byte){
	F32:   func(dst []float32, src []byte) { each(dst, src, 4, le.Uint32, math.Float32frombits) },
	F64:   func(dst []float32, src []byte) { each(dst, src, 8, le.Uint64, float64Bits) },
	F16:   func(dst []float32, src []byte) { each(dst, src, 2, le.Uint16, float16Bits) },
	BF16:  func(dst []float32, src []byte) { each(dst, src, 2, le.Uint16, bfloat16Bits) },
	I64:   func(dst []float32, src []byte) { each(dst, src, 8, le.Uint64, number[int64]) },
	"U64": func(dst []float32, src []byte) { each(dst, src, 8, le.Uint64, number[uint64]) },
	"I32": func(dst []float32, src []byte) { each(dst, src, 4, le.Uint32, number[int32]) },
	"U32": func(dst []float32, src []byte) { each(dst, src, 4, le.Uint32, number[uint32]) },
	"I16": func(dst []float32, src []byte) { each(dst, src, 2, le.Uint16, number[int16]) },
	"U16": func(dst []float32, src []byte) { each(dst, src, 2, le.Uint16, number[uint16]) },
	"I8":  func(dst []float32, src []byte) { each(dst, src, 1, first, number[int8]) },
	U8:    func(dst []float32, src []byte) { each(dst, src, 1, first, number[uint8]) },
	Bool:  func(dst []float32, src []byte) { each(dst, src, 1, first, truth) },
}

var le = binary.LittleEndian

func first(b []byte) byte { return b[0] }

// each sets dst[i] = value(load(src[i*width:])).
func each[U uint8 | uint16 | uint32 | uint64](dst []float32, src []byte, width int, load func([]byte) U, value func(U) float32) {
	for i := range dst {
		dst[i] = value(load(src[i*width:]))
	}
}

func number[I int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64, U uint8 | uint16 | uint32 | uint64](u U) float32 {
	return float32(I(u))
}

func truth(b byte) float32 {
	if b != 0 {
		return 1
	}
	return 0
}

func float64Bits(u uint64) float32 { return float32(math.Float64frombits(u)) }

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
