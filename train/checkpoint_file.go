package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/simdrnn/simdrnn/internal/safetensors"
)

// sign sets the checksum of what will be written.
func (w *checkpointWriter) sign() error {
	w.metadata[checksumKey] = checksumMethod + zeroDigits
	h := sha256.New()
	if err := safetensors.Write(h, w.metadata, w.tensors); err != nil {
		return err
	}
	w.metadata[checksumKey] = checksumMethod + hex.EncodeToString(h.Sum(nil))
	return nil
}

var zeroDigits = strings.Repeat("0", 2*sha256.Size)

// readCheckpoint calls read with the file of this name after it is checked.
func readCheckpoint(path string, read func(*safetensors.File) error) error {
	return safetensors.ReadFile(path, func(f *safetensors.File) error {
		if err := checkFile(f); err != nil {
			return err
		}
		return read(f)
	})
}

// checkFile compares the version and the checksum.
func checkFile(f *safetensors.File) error {
	file := f.Raw()
	head := make([]byte, checksumAt+len(zeroDigits))
	if file.Size() < int64(len(head)) {
		return errNoCheckpoint
	}
	if _, err := io.ReadFull(file, head); err != nil {
		return err
	}
	if string(head[8:checksumAt]) != checksumBefore {
		return errNoCheckpoint
	}
	digits := string(head[checksumAt:])
	copy(head[checksumAt:], zeroDigits)
	h := sha256.New()
	h.Write(head)
	if _, err := io.Copy(h, file); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != digits {
		return errors.New("the checksum is not that of the contents: the file was altered")
	}
	if v := f.Metadata[versionKey]; v != version {
		return fmt.Errorf("a checkpoint of version %.20q, want %s", v, version)
	}
	return nil
}

var errNoCheckpoint = errors.New("not a checkpoint: no checksum at its beginning")

// bytes64 returns x as 8 bytes each, little-endian, and slice64 what bytes64 was
// given. Both return nil for nil.
func bytes64[T any](x []T, bits func(T) uint64) []byte {
	if x == nil {
		return nil
	}
	b := make([]byte, 0, 8*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint64(b, bits(v))
	}
	return b
}

func slice64[T any](b []byte, value func(uint64) T) []T {
	if b == nil {
		return nil
	}
	x := make([]T, len(b)/8)
	for i := range x {
		x[i] = value(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return x
}

func fromInt(v int) uint64 { return uint64(int64(v)) }
