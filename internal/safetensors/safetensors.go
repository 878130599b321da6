// Package safetensors reads and writes the file format of that name, which is
//
//	8 bytes   N, little-endian
//	N bytes   header: a JSON object, padded with spaces
//	the rest  data: the elements of all tensors, little-endian, row-major
//
// The header maps each name to {"dtype": "F32", "shape": [2, 3], "data_offsets":
// [begin, end]}, counted from the start of the data, and "__metadata__" to an
// object of strings.
//
// Open accepts what the reference reader (huggingface/safetensors) accepts, but
// for headers that break the text of the format or can only be mistakes: those
// that do not start with '{', that have a name or a field twice, a field that is
// unknown, a list for an object, null for metadata, or more than [maxTensors],
// [maxName] or [maxRank]. The tensors cover the data without gap or overlap, and
// no size in a file takes more memory than the file justifies.
//
// Errors are for callers to wrap with what they read or wrote.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/simdrnn/simdrnn/internal/memory"
)

// What the reference reader allows, and what nobody needs.
const (
	maxHeader  = 100_000_000 // bytes; the reference's limit
	maxTensors = 1 << 16
	maxName    = 4096 // bytes
	maxRank    = 64   // PyTorch's limit
)

const metadataName = "__metadata__"

// A DType is the type of elements, by its name in files.
type DType string

// The types that this module reads as numbers or writes. Files may have others.
const (
	Bool DType = "BOOL"
	U8   DType = "U8"
	I64  DType = "I64"
	F16  DType = "F16"
	BF16 DType = "BF16"
	F32  DType = "F32"
	F64  DType = "F64"
)

// dtypes are all types, in the order in which the reference writer puts them
// last to first.
var dtypes = []struct {
	name DType
	bits uint64
}{
	{Bool, 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {U8, 8}, {"I8", 8},
	{"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
	{"I16", 16}, {"U16", 16}, {F16, 16}, {BF16, 16}, {"I32", 32}, {"U32", 32}, {F32, 32},
	{"C64", 64}, {F64, 64}, {I64, 64}, {"U64", 64},
}

// rank is the index in dtypes, or -1.
func (d DType) rank() int {
	for i := range dtypes {
		if dtypes[i].name == d {
			return i
		}
	}
	return -1
}

// bytes returns the size of a tensor, or what is wrong with it.
func (d DType) bytes(shape []int) (uint64, error) {
	rank := d.rank()
	if rank < 0 {
		return 0, fmt.Errorf("dtype %.40q is unknown", d)
	}
	n := uint64(1)
	for _, dim := range shape {
		if dim < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		n = lo
	}
	hi, n := bits.Mul64(n, dtypes[rank].bits)
	if hi != 0 {
		return 0, fmt.Errorf("shape %v overflows", shape)
	}
	if n%8 != 0 {
		return 0, fmt.Errorf("%s %v has %d bits, want a multiple of 8", d, shape, n)
	}
	return n / 8, nil
}

// A File is an open file: its header, read and checked. Tensors are in the order
// of their data.
type File struct {
	Metadata map[string]string // nil if there is none
	Tensors  []Entry
	file     io.ReaderAt
	size     int64
}

// Raw returns the file as it is, header included.
func (f *File) Raw() *io.SectionReader { return io.NewSectionReader(f.file, 0, f.size) }

// An Entry is a tensor in a File. Its data is read on demand; entries may be
// read at the same time if the file may.
type Entry struct {
	Name       string
	DType      DType
	Shape      []int // not nil
	begin, end uint64
	file       io.ReaderAt
	data       int64 // where data starts in file
}

// Open reads the header of a file of size bytes. The file must stay open while
// entries are read.
func Open(file io.ReaderAt, size int64) (*File, error) {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return nil, fmt.Errorf("file has %d bytes, want at least %d", size, len(prefix))
	}
	if err := readAt(file, prefix[:], 0); err != nil {
		return nil, err
	}
	n, rest := binary.LittleEndian.Uint64(prefix[:]), uint64(size)-uint64(len(prefix))
	switch {
	case n > maxHeader:
		return nil, fmt.Errorf("header has %d bytes, want at most %d", n, maxHeader)
	case n > rest:
		return nil, fmt.Errorf("header has %d bytes, the file only %d more", n, rest)
	}
	header := make([]byte, n)
	if err := readAt(file, header, int64(len(prefix))); err != nil {
		return nil, err
	}
	if !utf8.Valid(header) {
		return nil, fmt.Errorf("header is not UTF-8")
	}
	f, err := parse(header)
	if err != nil {
		return nil, err
	}
	if err := f.check(rest - n); err != nil {
		return nil, err
	}
	f.file, f.size = file, size
	for i := range f.Tensors {
		f.Tensors[i].file, f.Tensors[i].data = file, int64(len(prefix))+int64(n)
	}
	return f, nil
}

// check sorts the tensors by their offsets and compares these with shapes and
// with the size of the data.
func (f *File) check(size uint64) error {
	slices.SortStableFunc(f.Tensors, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := uint64(0)
	for _, e := range f.Tensors {
		if e.begin != at || e.end < e.begin {
			return fmt.Errorf("tensor %.200q has the data [%d, %d), want it to begin at %d", e.Name, e.begin, e.end, at)
		}
		n, err := e.DType.bytes(e.Shape)
		if err != nil {
			return fmt.Errorf("tensor %.200q: %w", e.Name, err)
		}
		if e.end-e.begin != n {
			return fmt.Errorf("tensor %.200q has %d bytes of data, want %d for %s %v", e.Name, e.end-e.begin, n, e.DType, e.Shape)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("tensors have %d bytes, the file has %d", at, size)
	}
	return nil
}

// Bytes returns the data as it is in the file.
func (e *Entry) Bytes() ([]byte, error) {
	if err := e.fits(e.end - e.begin); err != nil {
		return nil, err
	}
	b := make([]byte, e.end-e.begin)
	if err := readAt(e.file, b, e.data+int64(e.begin)); err != nil {
		return nil, fmt.Errorf("tensor %.200q: %w", e.Name, err)
	}
	return b, nil
}

// Float32s returns the elements, rounded to nearest even as Tensor.float() does.
// It is an error if the type is neither real floating-point of at least 16 bits
// nor an integer nor bool.
func (e *Entry) Float32s() ([]float32, error) {
	convert := converters[e.DType]
	if convert == nil {
		return nil, fmt.Errorf("tensor %.200q has the type %s, which cannot be read as float32", e.Name, e.DType)
	}
	width := dtypes[e.DType.rank()].bits / 8
	n := (e.end - e.begin) / width
	if err := e.fits(n); err != nil {
		return nil, err
	}
	x := memory.Floats(int(n))
	at := e.data + int64(e.begin)
	if e.DType == F32 { // elements are in memory what they are in the file, but for their order of bytes
		b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), width*n)
		if err := readAt(e.file, b, at); err != nil {
			return nil, fmt.Errorf("tensor %.200q: %w", e.Name, err)
		}
		if !littleEndian {
			convert(x, b)
		}
		return x, nil
	}
	buf := make([]byte, min(width*n, chunk))
	for rest := x; len(rest) > 0; {
		k := min(len(rest), len(buf)/int(width))
		b := buf[:k*int(width)]
		if err := readAt(e.file, b, at); err != nil {
			return nil, fmt.Errorf("tensor %.200q: %w", e.Name, err)
		}
		convert(rest[:k], b)
		rest, at = rest[k:], at+int64(len(b))
	}
	return x, nil
}

// littleEndian says whether this machine has the lowest byte first.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// chunk is how many bytes are converted at once; all widths divide it.
const chunk = 1 << 16

// fits refuses what a slice cannot hold on this platform.
func (e *Entry) fits(n uint64) error {
	if n > math.MaxInt/8 {
		return fmt.Errorf("tensor %.200q of %s %v does not fit in memory", e.Name, e.DType, e.Shape)
	}
	return nil
}

// readAt fills b; a file that ends before that is an error.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}
