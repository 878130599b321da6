package safetensors

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Tensor is what Write writes. Its elements are Floats if that is not nil, and
// the type F32 then, and else Bytes, little-endian.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int
	Floats []float32
	Bytes  []byte
}

// size returns the number of bytes of data, or what is wrong with the tensor.
func (t *Tensor) size() (uint64, error) {
	want, err := t.DType.bytes(t.Shape)
	got := uint64(len(t.Bytes)) + 4*uint64(len(t.Floats))
	switch {
	case err != nil:
		return 0, err
	case t.Floats != nil && (t.DType != F32 || t.Bytes != nil):
		return 0, fmt.Errorf("%s and %d bytes beside Floats, want F32 and none", t.DType, len(t.Bytes))
	case got != want:
		return 0, fmt.Errorf("%d bytes of data, want %d for %s %v", got, want, t.DType, t.Shape)
	case t.Name == metadataName:
		return 0, errors.New("the name is reserved")
	case !utf8.ValidString(t.Name):
		return 0, errors.New("the name is not UTF-8")
	case len(t.Name) > maxName:
		return 0, fmt.Errorf("the name has %d bytes, want at most %d", len(t.Name), maxName)
	case len(t.Shape) > maxRank:
		return 0, fmt.Errorf("%d dimensions, want at most %d", len(t.Shape), maxRank)
	}
	return want, nil
}

// Write writes a file as the reference writer does: tensors by descending
// alignment of their type, then by name; metadata, which may be nil, by key. What
// Open would not accept is an error, before anything is written.
func Write(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.rank(), a.DType.rank()), strings.Compare(a.Name, b.Name))
	})
	header, err := newHeader(metadata, tensors)
	if err != nil {
		return err
	}
	buf := le.AppendUint64(make([]byte, 0, chunk), uint64(len(header)))
	for _, b := range [][]byte{buf, header} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Bytes); err != nil {
			return err
		}
		for part := range slices.Chunk(t.Floats, chunk/4) {
			buf = buf[:0]
			for _, x := range part {
				buf = le.AppendUint32(buf, math.Float32bits(x))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// newHeader returns the padded header of tensors in this order.
func newHeader(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	if len(tensors) > maxTensors {
		return nil, fmt.Errorf("%d tensors, want at most %d", len(tensors), maxTensors)
	}
	b := []byte{'{'}
	// key starts a field of the object that is open.
	key := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
	}
	if metadata != nil {
		key(metadataName)
		b = append(b, '{')
		for _, name := range slices.Sorted(maps.Keys(metadata)) {
			value := metadata[name]
			switch {
			case len(b)+len(name)+len(value) > maxHeader:
				return nil, errLarge
			case !utf8.ValidString(name) || !utf8.ValidString(value):
				return nil, fmt.Errorf("metadata %.200q: %.200q is not UTF-8", name, value)
			}
			key(name)
			b = appendString(b, value)
		}
		b = append(b, '}')
	}
	seen := make(map[string]bool, len(tensors))
	at := uint64(0)
	for _, t := range tensors {
		n, err := t.size()
		if err == nil && seen[t.Name] {
			err = errors.New("the name is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %.200q: %w", t.Name, err)
		}
		seen[t.Name] = true
		key(t.Name)
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(t.Shape), "[]"), " ", ",")
		b = fmt.Appendf(b, `{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}`, t.DType, shape, at, at+n)
		at += n
		if len(b) > maxHeader {
			return nil, errLarge
		}
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b) > maxHeader {
		return nil, errLarge
	}
	return b, nil
}

var errLarge = fmt.Errorf("header has more than %d bytes", maxHeader)

// appendString appends valid UTF-8 as JSON. Like the reference writer, and
// unlike encoding/json, it escapes only what must be.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		const short = "\b\f\n\r\t\"\\"
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			b = append(b, c)
		} else if j := strings.IndexByte(short, c); j >= 0 {
			b = append(b, '\\', `bfnrt"\`[j])
		} else {
			b = append(b, '\\', 'u', '0', '0', '0'+c>>4, "0123456789abcdef"[c&15])
		}
	}
	return append(b, '"')
}
