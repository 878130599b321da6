package safetensors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// ReadFile calls read with the file of this name, which is closed afterwards. As
// with WriteFile, errors name the file.
func ReadFile(path string, read func(*File) error) error {
	// Open would wait for the writer of a pipe.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return errNotRegular(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	f, err := Open(file, info.Size())
	if err == nil {
		err = read(f)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func errNotRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }

// WriteFile is Write to a file that replaces the one of this name, if any, at
// once and only when it is whole and on the disk. On an error the old file is
// untouched, and no other is left; but if only the last step failed, to make the
// new name durable, the new file is there.
func WriteFile(path string, metadata map[string]string, tensors []Tensor) error {
	return replace(path, func(w io.Writer) error { return Write(w, metadata, tensors) })
}

// replace writes under a temporary name in the same folder, and renames.
func replace(path string, write func(io.Writer) error) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	old, err := os.Stat(path)
	switch {
	case err == nil && !old.Mode().IsRegular():
		return errNotRegular(path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	dir, base := filepath.Split(path)
	temp := filepath.Join(dir, fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // not os.CreateTemp, which makes it private
	if err != nil {
		return err
	}
	if old != nil {
		err = file.Chmod(old.Mode().Perm())
	}
	if err == nil {
		buf := bufio.NewWriterSize(file, chunk)
		if err = write(buf); err == nil {
			err = buf.Flush()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a folder durable, where folders can be synced.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
