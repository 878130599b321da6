//go:build unix && !solaris && !aix

package safetensors

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// To open a pipe that nobody writes would never return.
func TestReadFilePipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.ErrorContains(t, ReadFile(pipe, nil), "not a regular file")
}
