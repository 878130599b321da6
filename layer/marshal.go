package layer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// The form of a marshalled Stream, little-endian:
//
//	"simdrnnS", version
//	gates, L, D, B, Ho, H of c        uint32 each
//	h, c, and if D = 2 h_0, c_0       float32 each
//	CRC-32 (IEEE) of all before
const (
	streamMagic   = "simdrnnS"
	streamVersion = 1
)

// header returns the sizes that a marshalled Stream must have.
func (s *Stream) header() [7]uint32 {
	r := s.r
	return [7]uint32{streamVersion, uint32(r.cell.Gates()), uint32(r.layers), uint32(r.directions()),
		uint32(s.batch), uint32(r.hUnits()), uint32(r.cUnits())}
}

var headerFields = [7]string{"version", "gates", "layers", "directions", "batch", "units of h", "units of c"}

// state returns all memory that carries the state.
func (s *Stream) state() [][]float32 {
	if s.r.bidirectional {
		return [][]float32{s.h, s.c, s.h0, s.c0}
	}
	return [][]float32{s.h, s.c}
}

// AppendBinary appends what MarshalBinary returns to b.
func (s *Stream) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, streamMagic...)
	for _, v := range s.header() {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, x := range s.state() {
		for _, v := range x {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:])), nil
}

// MarshalBinary returns the state of the Stream, but not the weights, for
// UnmarshalBinary of a Stream with the same sizes. The error is always nil.
func (s *Stream) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// UnmarshalBinary sets the state to one that MarshalBinary returned. It is an
// error, and the state stays as it is, if data is something else, is cut, was
// altered, or comes from a Stream with other sizes.
func (s *Stream) UnmarshalBinary(data []byte) error {
	if err := s.unmarshal(data); err != nil {
		return fmt.Errorf("layer: Stream.UnmarshalBinary: %w", err)
	}
	return nil
}

func (s *Stream) unmarshal(data []byte) error {
	want := s.header()
	n := len(streamMagic)
	if len(data) < n || string(data[:n]) != streamMagic {
		return errors.New("not the state of a Stream")
	}
	size := n + 4*len(want) + 4
	for _, x := range s.state() {
		size += 4 * len(x)
	}
	rest := data[n:]
	for i, w := range want {
		if len(rest) < 4 {
			return fmt.Errorf("%d bytes, want %d", len(data), size)
		}
		if got := binary.LittleEndian.Uint32(rest); got != w {
			return fmt.Errorf("%s = %d, want %d", headerFields[i], got, w)
		}
		rest = rest[4:]
	}
	if len(data) != size {
		return fmt.Errorf("%d bytes, want %d", len(data), size)
	}
	if got, want := crc32.ChecksumIEEE(data[:size-4]), binary.LittleEndian.Uint32(data[size-4:]); got != want {
		return fmt.Errorf("checksum %08x, want %08x: altered data", got, want)
	}
	for _, x := range s.state() {
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(rest))
			rest = rest[4:]
		}
	}
	return nil
}
