package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// file makes a file of a header and n bytes of data that count up.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

// one makes the header of a tensor "a".
func one(dtype, shape string, begin, end uint64) string {
	return fmt.Sprintf(`{"a":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}}`, dtype, shape, begin, end)
}

// ones is a shape of n ones.
func ones(n int) string { return "[1" + strings.Repeat(",1", n-1) + "]" }

const (
	f32x2 = `{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	none  = `{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`
)

// files are in the order in which the reference reader checks. An empty error
// means that the file is good.
var files = []struct {
	name string
	file []byte
	err  string
}{
	{"no bytes", nil, "file has 0 bytes, want at least 8"},
	{"7 bytes", make([]byte, 7), "file has 7 bytes, want at least 8"},
	{"N over the limit", append([]byte{0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0}, "{}"...), "header has 100000001 bytes, want at most 100000000"},
	{"N of 64 bits", append(bytes.Repeat([]byte{255}, 8), "{}"...), "header has 18446744073709551615 bytes, want at most"},
	{"N at the limit, beyond the file", append([]byte{0x00, 0xe1, 0xf5, 0x05, 0, 0, 0, 0}, "{}"...), "header has 100000000 bytes, the file only 2 more"},
	{"N one beyond the file", append([]byte{3, 0, 0, 0, 0, 0, 0, 0}, "{}"...), "header has 3 bytes, the file only 2 more"},

	{"not UTF-8 in a name", file("{\"\xff\":"+f32x2+"}", 8), "not UTF-8"},
	{"surrogate in UTF-8", file("{\"\xed\xa0\x80\":"+f32x2+"}", 8), "not UTF-8"},
	{"overlong UTF-8", file("{\"\xc0\xaf\":"+f32x2+"}", 8), "not UTF-8"},
	{"not UTF-8 in the padding", file("{}\xff", 0), "not UTF-8"},

	{"no header", file("", 0), "want '{'"},
	{"space before the header", file(" {}", 0), "want '{'"},
	{"byte order mark", file("\ufeff{}", 0), "want '{'"},
	{"header is a list", file("[]", 0), "want '{'"},
	{"header is null", file("null", 0), "want '{'"},
	{"header does not end", file("{", 0), `want '"'`},
	{"header ends in a name", file(`{"a`, 0), "does not end"},
	{"header ends in an escape", file(`{"a\`, 0), "does not end"},
	{"something after the header", file("{}{}", 0), "want the end"},
	{"zero after the header", file("{}\x00", 0), "want the end"},
	{"comma at the start", file("{,}", 0), `want '"'`},
	{"comma at the end", file(`{"a":`+f32x2+`,}`, 8), `want '"'`},
	{"no comma", file(`{"a":`+none+` "b":`+none+`}`, 0), "want ','"},
	{"no colon", file(`{"a"`+none+`}`, 0), "want ':'"},
	{"name without quotes", file(`{a:`+none+`}`, 0), `want '"'`},
	{"comment", file(`{/**/}`, 0), `want '"'`},
	{"control character in a name", file("{\"a\n\":"+none+"}", 0), "does not end"},
	{"unknown escape", file(`{"\a":`+none+`}`, 0), "unknown escape"},
	{"short escape", file(`{"\u12":`+none+`}`, 0), "four hexadecimal digits"},
	{"signed escape", file(`{"\u+123":`+none+`}`, 0), "four hexadecimal digits"},
	{"upper half alone", file(`{"\ud83d":`+none+`}`, 0), "surrogate pair"},
	{"lower half alone", file(`{"\ude00":`+none+`}`, 0), "surrogate pair"},
	{"two upper halves", file(`{"\ud83d\ud83d":`+none+`}`, 0), "surrogate pair"},
	{"deep", file(`{"a":`+strings.Repeat(`{"a":`, 1<<20), 0), `unknown field "a"`},
	{"deep in a shape", file(one("F32", strings.Repeat("[", 1<<20), 0, 0), 0), "unsigned integer"},
	{"deep in metadata", file(`{"__metadata__":{"a":`+strings.Repeat("[", 1<<20), 0), `want '"'`},
	{"long name", file(`{"`+strings.Repeat("n", maxName+1)+`":`+none+`}`, 0), "name of 4097 bytes, want at most 4096"},
	{"longest name", file(`{"`+strings.Repeat("n", maxName)+`":`+none+`}`, 0), ""},

	{"tensor is null", file(`{"a":null}`, 0), "want '{'"},
	{"tensor is a list", file(`{"a":["F32",[2],[0,8]]}`, 8), "want '{'"},
	{"no fields", file(`{"a":{}}`, 0), "want dtype, shape and data_offsets"},
	{"no dtype", file(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8), "want dtype, shape and data_offsets"},
	{"no shape", file(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8), "want dtype, shape and data_offsets"},
	{"no data_offsets", file(`{"a":{"dtype":"F32","shape":[2]}}`, 8), "want dtype, shape and data_offsets"},
	{"field twice", file(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `key "dtype" is there twice`},
	{"field twice, once escaped", file(`{"a":{"dtype":"F32","d\u0074ype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `key "dtype" is there twice`},
	{"field in other case", file(`{"a":{"DType":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `unknown field "DType"`},
	{"unknown field", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"stride":[1]}}`, 8), `unknown field "stride"`},
	{"name twice", file(`{"a":`+none+`,"a":`+f32x2+`}`, 8), `key "a" is there twice`},
	{"name twice, once escaped", file(`{"a":`+none+`,"\u0061":`+f32x2+`}`, 8), `key "a" is there twice`},
	{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), `key "__metadata__" is there twice`},
	{"metadata key twice", file(`{"__metadata__":{"k":"1","k":"2"}}`, 0), `key "k" is there twice`},
	{"metadata is null", file(`{"__metadata__":null}`, 0), "want '{'"},
	{"metadata is a tensor", file(`{"__metadata__":`+f32x2+`}`, 8), `want '"'`},
	{"metadata with a number", file(`{"__metadata__":{"epoch":3}}`, 0), `want '"'`},
	{"metadata in other case", file(`{"__METADATA__":{"k":"v"}}`, 0), `unknown field "k"`},
	{"dtype is a number", file(`{"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}}`, 8), `want '"'`},
	{"dtype unknown", file(one("F128", "[2]", 0, 32), 32), `dtype "F128" is unknown`},
	{"dtype in other case", file(one("f32", "[2]", 0, 8), 8), `dtype "f32" is unknown`},
	{"shape is a number", file(one("F32", "2", 0, 8), 8), "want '['"},
	{"negative dimension", file(one("F32", "[-2]", 0, 8), 8), "unsigned integer"},
	{"minus zero", file(one("F32", "[-0]", 0, 0), 0), "unsigned integer"},
	{"fraction", file(one("F32", "[2.0]", 0, 8), 8), "want ','"},
	{"exponent", file(one("F32", "[2e0]", 0, 8), 8), "want ','"},
	{"leading zero", file(one("F32", "[02]", 0, 8), 8), "unsigned integer"},
	{"dimension of 2^64", file(one("F32", "[18446744073709551616]", 0, 8), 8), "unsigned integer of 64 bits"},
	{"dimension of 2^63", file(one("F32", "[0,9223372036854775808]", 0, 0), 0), "dimension 9223372036854775808 overflows"},
	{"65 dimensions", file(one("F32", ones(65), 0, 4), 4), "more than 64 dimensions"},
	{"64 dimensions", file(one("F32", ones(64), 0, 4), 4), ""},
	{"one offset", file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}}`, 0), "data_offsets has 1 numbers, want 2"},
	{"three offsets", file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0,0]}}`, 0), "data_offsets has 3 numbers, want 2"},
	{"offset is a string", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":["0","8"]}}`, 8), "unsigned integer"},

	{"first begin", file(one("F32", "[2]", 4, 12), 12), `tensor "a" has the data [4, 12), want it to begin at 0`},
	{"gap", file(`{"a":`+f32x2+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16), `tensor "b" has the data [12, 16), want it to begin at 8`},
	{"overlap", file(`{"a":`+f32x2+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `tensor "b" has the data [4, 8), want it to begin at 8`},
	{"same data", file(`{"a":`+f32x2+`,"b":`+f32x2+`}`, 8), `has the data [0, 8), want it to begin at 8`},
	{"end before begin", file(`{"a":`+f32x2+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`, 8), `tensor "b" has the data [8, 4)`},
	{"end at 2^64", file(one("F32", "[2]", 0, math.MaxUint64), 8), "18446744073709551615 bytes of data, want 8"},
	{"shape overflows", file(one("F32", "[2147483647,2147483647,2147483647]", 0, 0), 0), "shape [2147483647 2147483647 2147483647] overflows"},
	{"shape overflows before a zero", file(one("F32", "[2147483647,2147483647,2147483647,0]", 0, 0), 0), "shape [2147483647 2147483647 2147483647 0] overflows"},
	{"size in bits overflows", file(one("F32", "[1073741824,1073741824]", 0, 0), 0), "shape [1073741824 1073741824] overflows"},
	{"half a byte", file(one("F4", "[3]", 0, 2), 2), "F4 [3] has 12 bits, want a multiple of 8"},
	{"6 bits", file(one("F6_E2M3", "[2]", 0, 2), 2), "12 bits, want a multiple of 8"},
	{"size too small", file(one("F32", "[3]", 0, 8), 8), `tensor "a" has 8 bytes of data, want 12 for F32 [3]`},
	{"size too large", file(one("F32", "[]", 0, 8), 8), `tensor "a" has 8 bytes of data, want 4 for F32 []`},
	{"far beyond the file", file(one("F32", "[16777216,16777216]", 0, 1<<50), 0), "tensors have 1125899906842624 bytes, the file has 0"},
	{"data cut", file(one("F32", "[2]", 0, 8), 7), "tensors have 8 bytes, the file has 7"},
	{"data left", file(one("F32", "[2]", 0, 8), 9), "tensors have 8 bytes, the file has 9"},
	{"data without tensors", file("{}", 1), "tensors have 0 bytes, the file has 1"},

	{"no tensors", file("{}", 0), ""},
	{"padding", file("{}      ", 0), ""},
	{"white space", file("{ \"a\" :\n{\t\"shape\" : [ 1 , 2 ] ,\r\"data_offsets\":[0,8], \"dtype\":\"F32\" } } \n", 8), ""},
	{"empty names", file(`{"":`+none+`,"__metadata__":{"":""}}`, 0), ""},
	{"scalar", file(one("F32", "[]", 0, 4), 4), ""},
	{"zero before an overflow", file(one("F32", "[0,2147483647,2147483647,2147483647]", 0, 0), 0), ""},
	{"names out of order", file(`{"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},"e":{"dtype":"U8","shape":[0],"data_offsets":[8,8]},"a":`+f32x2+`}`, 9), ""},
	{"escapes", file(`{"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00":`+f32x2+`}`, 8), ""},
	{"sub-byte", file(one("F4", "[2,2]", 0, 2), 2), ""},
}

func open(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func TestOpen(t *testing.T) {
	for _, c := range files {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(c.file)
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.err)
			require.Less(t, len(err.Error()), 1000)
		})
	}
}

// TestMemory: a file that says it is large costs what it has.
func TestMemory(t *testing.T) {
	for _, c := range files {
		if n := allocated(func() { _, _ = open(c.file) }); n > uint64(8*len(c.file)+1<<16) {
			t.Errorf("%s: %d bytes for a file of %d", c.name, n, len(c.file))
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestTensorLimit(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"__metadata__":{}`)
	for i := range maxTensors + 1 {
		b.WriteString(`,"` + strconv.Itoa(i) + `":` + none)
	}
	_, err := open(file(b.String()+"}", 0))
	require.ErrorContains(t, err, "more than 65536 tensors")
	require.ErrorContains(t, Write(io.Discard, nil, make([]Tensor, maxTensors+1)), "65537 tensors, want at most 65536")
}

func TestEntries(t *testing.T) {
	f, err := open(file(`{"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]},"__metadata__":{"k":"v\u0000"},"a":`+f32x2+`}`, 9))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "v\x00"}, f.Metadata)
	require.Len(t, f.Tensors, 2)
	a, b := f.Tensors[0], f.Tensors[1]
	require.Equal(t, []any{"a", F32, []int{2}}, []any{a.Name, a.DType, a.Shape})
	require.Equal(t, []any{"b", U8, []int{}}, []any{b.Name, b.DType, b.Shape})
	raw, err := a.Bytes()
	require.NoError(t, err)
	require.Equal(t, []byte{0, 1, 2, 3, 4, 5, 6, 7}, raw)
	x, err := b.Float32s()
	require.NoError(t, err)
	require.Equal(t, []float32{8}, x)
}

// TestShortReads: a file that became shorter is an error, not zeros.
func TestShortReads(t *testing.T) {
	b := file(one("F32", "[2]", 0, 8), 8)
	for _, n := range []int{3, 20, len(b) - 1} {
		f, err := Open(bytes.NewReader(b[:n]), int64(len(b)))
		if err == nil {
			_, err = f.Tensors[0].Float32s()
			_, rawErr := f.Tensors[0].Bytes()
			require.ErrorIs(t, rawErr, io.ErrUnexpectedEOF)
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
	}
}

// convert reads elements of a type through a file.
func convert(t *testing.T, d DType, elements any) []float32 {
	t.Helper()
	data, err := binary.Append(nil, binary.LittleEndian, elements)
	require.NoError(t, err)
	n := len(data) * 8 / int(dtypes[d.rank()].bits)
	f, err := open(append(file(one(string(d), fmt.Sprintf("[%d]", n), 0, uint64(len(data))), 0), data...))
	require.NoError(t, err)
	x, err := f.Tensors[0].Float32s()
	require.NoError(t, err)
	return x
}

func TestConvert(t *testing.T) {
	inf := float32(math.Inf(1))
	require.Equal(t, []float32{1.5, -inf, 0x1p-149}, convert(t, F32, []float32{1.5, -inf, 0x1p-149}))
	require.Equal(t, []uint32{0x7fa00001}, bitsOf(convert(t, F32, []uint32{0x7fa00001})), "NaN")
	require.Equal(t, []float32{
		1, 1, 1 + 0x1p-22, // ties to even
		1 + 0x1p-23,                                      // just above a tie
		math.MaxFloat32, inf, -inf, inf, 0, -0x1p-149, 0, // overflow and underflow
	}, convert(t, F64, []float64{
		1, 1 + 0x1p-24, 1 + 0x3p-24,
		1 + 0x1p-24 + 0x1p-52,
		0x1.fffffefffffffp127, 0x1.ffffffp127, -1e300, math.Inf(1), 0x1p-150, -0x1.0000000000001p-150, 1e-300,
	}))
	require.True(t, convert(t, F64, []float64{math.NaN()})[0] != convert(t, F64, []float64{math.NaN()})[0])
	require.Equal(t, []float32{0, 1, -1, 1 << 24, 1 << 24, 1<<24 + 4, -1 << 63}, convert(t, I64, []int64{0, 1, -1, 1 << 24, 1<<24 + 1, 1<<24 + 3, math.MinInt64}))
	require.Equal(t, []float32{1 << 63, 1 << 64, 1<<63 + 1<<40}, convert(t, "U64", []uint64{1 << 63, math.MaxUint64, 1<<63 + 1<<39 + 1}))
	require.Equal(t, []float32{-1, 1 << 31}, convert(t, "I32", []int32{-1, math.MaxInt32}))
	require.Equal(t, []float32{1 << 32}, convert(t, "U32", []uint32{math.MaxUint32}))
	require.Equal(t, []float32{-1}, convert(t, "I16", []int16{-1}))
	require.Equal(t, []float32{65535}, convert(t, "U16", []uint16{65535}))
	require.Equal(t, []float32{-128}, convert(t, "I8", []int8{-128}))
	require.Equal(t, []float32{128}, convert(t, U8, []uint8{128}))
	require.Equal(t, []float32{0, 1, 1}, convert(t, Bool, []uint8{0, 1, 2}))

	for _, d := range dtypes {
		f, err := open(file(one(string(d.name), "[8]", 0, d.bits), int(d.bits)))
		require.NoError(t, err)
		_, err = f.Tensors[0].Float32s()
		if converters[d.name] == nil {
			require.ErrorContains(t, err, fmt.Sprintf(`tensor "a" has the type %s, which cannot be read`, d.name))
		} else {
			require.NoError(t, err, d.name)
		}
	}
}

func bitsOf(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i := range x {
		b[i] = math.Float32bits(x[i])
	}
	return b
}

// TestHalves converts every float16 and bfloat16, in more than one chunk, and
// compares with the value that sign, exponent and fraction say.
func TestHalves(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	for _, c := range []struct {
		dtype          DType
		exponent, frac uint
	}{{F16, 5, 10}, {BF16, 8, 7}} {
		got := convert(t, c.dtype, all)
		bias := 1<<(c.exponent-1) - 1
		for i, x := range got {
			exp, frac := i>>c.frac&(1<<c.exponent-1), float64(i&(1<<c.frac-1))
			var want float64
			switch {
			case exp == 0:
				want = math.Ldexp(frac, 1-bias-int(c.frac))
			case exp < 1<<c.exponent-1:
				want = math.Ldexp(frac+float64(int(1)<<c.frac), exp-bias-int(c.frac))
			case frac == 0:
				want = math.Inf(1)
			default:
				want = math.NaN()
			}
			if i>>15 == 1 {
				want = -want
			}
			if math.Float32bits(x) != math.Float32bits(float32(want)) && !(x != x && want != want) {
				t.Fatalf("%s %#04x is %v, want %v", c.dtype, i, x, want)
			}
		}
	}
}

func write(t testing.TB, metadata map[string]string, tensors ...Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, metadata, tensors))
	return b.Bytes()
}

// TestWrite compares with the bytes that the format wants.
func TestWrite(t *testing.T) {
	got := write(t, map[string]string{"b": "1\n", "a": "é\x01\"\\<\u2028\x7f"},
		Tensor{Name: "bytes", DType: U8, Shape: []int{3}, Bytes: []byte{1, 2, 3}},
		Tensor{Name: "y", DType: F32, Shape: []int{1, 2}, Floats: []float32{1, -2}},
		Tensor{Name: "step", DType: I64, Shape: []int{}, Bytes: binary.LittleEndian.AppendUint64(nil, 7)},
		Tensor{Name: "x", DType: F32, Shape: []int{0, 3}},
		Tensor{Name: "half", DType: BF16, Shape: []int{1}, Bytes: []byte{0x80, 0x3f}},
	)
	header := `{"__metadata__":{"a":"é\u0001\"\\<` + "\u2028\x7f" + `","b":"1\n"},` +
		`"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"x":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]},` +
		`"y":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},` +
		`"half":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},` +
		`"bytes":{"dtype":"U8","shape":[3],"data_offsets":[18,21]}}`
	header += strings.Repeat(" ", -len(header)&7)
	want := append(file(header, 0), 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x80, 0x3f, 1, 2, 3)
	require.Equal(t, string(want), string(got))

	require.Equal(t, string(file("{}      ", 0)), string(write(t, nil)))
	require.Equal(t, string(file(`{"__metadata__":{}}     `, 0)), string(write(t, map[string]string{})))

	big := make([]float32, 3*chunk/4+5)
	for i := range big {
		big[i] = float32(i)
	}
	f, err := open(write(t, nil, Tensor{Name: "a", DType: F32, Shape: []int{len(big)}, Floats: big}))
	require.NoError(t, err)
	x, err := f.Tensors[0].Float32s()
	require.NoError(t, err)
	require.Equal(t, big, x)
}

// TestReference reads a file of the reference writer (safetensors 0.8.0) and
// writes the same bytes, whatever the order of the tensors. It has every type
// that this writer makes, names in need of escapes, a scalar and an empty tensor.
func TestReference(t *testing.T) {
	want, err := os.ReadFile("testdata/reference.safetensors")
	require.NoError(t, err)
	f, err := open(want)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k\n": "vé\x1f"}, f.Metadata)
	require.Len(t, f.Tensors, 24)
	require.Equal(t, "é€😀 \"\\/<\b\f\n\r\t\x01\x7f\u2028", f.Tensors[21].Name)
	tensors := all(t, f)
	require.Equal(t, string(want), string(write(t, f.Metadata, tensors...)))
	slices.Reverse(tensors)
	require.Equal(t, string(want), string(write(t, f.Metadata, tensors...)))
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []struct {
		tensor Tensor
		err    string
	}{
		{Tensor{DType: "F33"}, `tensor "": dtype "F33" is unknown`},
		{Tensor{DType: F32}, "0 bytes of data, want 4 for F32 []"},
		{Tensor{DType: F32, Shape: []int{2}, Floats: []float32{1}}, "4 bytes of data, want 8 for F32 [2]"},
		{Tensor{DType: F32, Shape: []int{-1}}, "shape [-1] has a negative dimension"},
		{Tensor{DType: F32, Shape: []int{math.MaxInt, math.MaxInt}}, "overflows"},
		{Tensor{DType: F64, Shape: []int{}, Floats: []float32{1, 1}}, "F64 and 0 bytes beside Floats, want F32 and none"},
		{Tensor{DType: F32, Shape: []int{2}, Floats: []float32{1}, Bytes: make([]byte, 4)}, "F32 and 4 bytes beside Floats, want F32 and none"},
		{Tensor{Name: "__metadata__", DType: U8, Shape: []int{0}}, "reserved"},
		{Tensor{Name: "\xff", DType: U8, Shape: []int{0}}, "not UTF-8"},
		{Tensor{Name: strings.Repeat("n", maxName+1), DType: U8, Shape: []int{0}}, "4097 bytes, want at most 4096"},
		{Tensor{DType: U8, Shape: make([]int, maxRank+1)}, "65 dimensions, want at most 64"},
		{Tensor{Name: "good", DType: U8, Shape: []int{0}}, `tensor "good": the name is there twice`},
	} {
		var b bytes.Buffer
		err := Write(&b, nil, []Tensor{{Name: "good", DType: U8, Shape: []int{0}}, c.tensor})
		require.ErrorContains(t, err, c.err)
		require.Zero(t, b.Len(), c.err)
	}
	require.ErrorContains(t, Write(io.Discard, map[string]string{"k": "\xff"}, nil), `metadata "k"`)
	require.ErrorContains(t, Write(io.Discard, map[string]string{"k": strings.Repeat("v", maxHeader)}, nil), "header has more than 100000000 bytes")
	if testing.Short() {
		return
	}
	long := make([]Tensor, 5000)
	for i := range long {
		long[i] = Tensor{Name: fmt.Sprintf("%04d", i) + strings.Repeat("\x01", maxName-4), DType: U8, Shape: []int{0}}
	}
	require.ErrorContains(t, Write(io.Discard, nil, long), "header has more than 100000000 bytes")
}

// A disk is full after n bytes.
type disk struct{ n int }

var errFull = errors.New("full")

func (d *disk) Write(b []byte) (int, error) {
	if d.n -= len(b); d.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	tensors := []Tensor{
		{Name: "f", DType: F32, Shape: []int{2}, Floats: []float32{1, 2}},
		{Name: "b", DType: U8, Shape: []int{2}, Bytes: []byte{1, 2}},
	}
	for n := range len(write(t, nil, tensors...)) {
		require.ErrorIs(t, Write(&disk{n}, nil, tensors), errFull, "%d", n)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	tensor := func(b byte) []Tensor {
		return []Tensor{{Name: "a", DType: U8, Shape: []int{1}, Bytes: []byte{b}}}
	}
	requireFile := func(want byte) {
		t.Helper()
		require.NoError(t, ReadFile(path, func(f *File) error {
			b, err := f.Tensors[0].Bytes()
			require.Equal(t, []byte{want}, b)
			return err
		}))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "files left")
	}
	require.NoError(t, WriteFile(path, nil, tensor(1)))
	requireFile(1)
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, WriteFile(path, nil, tensor(2)))
	requireFile(2)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}

	// An error leaves the old file: of the tensors, of the disk at the start or
	// after some megabytes.
	require.ErrorContains(t, WriteFile(path, nil, []Tensor{{Name: "a", DType: U8}}), "bytes of data")
	requireFile(2)
	for _, n := range []int{0, 1 << 20} {
		require.ErrorIs(t, replace(path, func(w io.Writer) error {
			_, err := w.Write(make([]byte, n))
			require.NoError(t, err)
			return errFull
		}), errFull)
		requireFile(2)
	}

	// Neither a folder nor a device is replaced, nor a folder made.
	require.ErrorContains(t, WriteFile(dir, nil, nil), "not a regular file")
	require.ErrorContains(t, ReadFile(dir, nil), "not a regular file")
	require.ErrorIs(t, WriteFile(filepath.Join(dir, "none", "m"), nil, nil), os.ErrNotExist)
	require.ErrorIs(t, ReadFile(filepath.Join(dir, "none"), nil), os.ErrNotExist)
	if runtime.GOOS == "linux" {
		require.ErrorContains(t, WriteFile(os.DevNull, nil, nil), "not a regular file")
	}

	// A link stays one.
	link := filepath.Join(t.TempDir(), "link")
	if os.Symlink(path, link) == nil {
		require.NoError(t, WriteFile(link, nil, tensor(3)))
		requireFile(3)
		info, err := os.Lstat(link)
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&os.ModeSymlink)
	}

	// A plain name is one in the working folder.
	t.Chdir(dir)
	require.NoError(t, WriteFile("m.safetensors", nil, tensor(4)))
	requireFile(4)
}

// FuzzSafetensors: no file makes Open panic or take much memory, and one that it
// accepts is the same after Write.
func FuzzSafetensors(f *testing.F) {
	for _, c := range files {
		if len(c.file) < 1<<10 {
			f.Add(c.file)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var file *File
		var err error
		if n := allocated(func() { file, err = open(b) }); n > uint64(64*len(b)+1<<20) {
			t.Fatalf("%d bytes for a file of %d", n, len(b))
		}
		if err != nil {
			return
		}
		tensors := all(t, file)
		again, err := open(write(t, file.Metadata, tensors...))
		require.NoError(t, err)
		require.Equal(t, file.Metadata, again.Metadata)
		require.ElementsMatch(t, tensors, all(t, again))
		require.Equal(t, write(t, file.Metadata, tensors...), write(t, again.Metadata, all(t, again)...))
	})
}

// all reads the tensors of a file, and converts them where that is possible.
func all(t *testing.T, f *File) (tensors []Tensor) {
	for _, e := range f.Tensors {
		b, err := e.Bytes()
		require.NoError(t, err)
		x, err := e.Float32s()
		require.Equal(t, converters[e.DType] == nil, err != nil)
		if err == nil {
			n := 1
			for _, dim := range e.Shape {
				n *= dim
			}
			require.Len(t, x, n)
		}
		tensors = append(tensors, Tensor{Name: e.Name, DType: e.DType, Shape: e.Shape, Bytes: b})
	}
	return tensors
}
