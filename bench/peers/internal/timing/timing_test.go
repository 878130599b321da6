package timing

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain also is a process that repeats what it is told, line by line, until
// "die".
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "-repeat" {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if in.Text() == "die" {
				io.WriteString(os.Stderr, "first\nlast words\n")
				os.Exit(3)
			}
			io.WriteString(os.Stdout, in.Text()+"\n")
		}
		return
	}
	os.Exit(m.Run())
}

func TestStatistics(t *testing.T) {
	require.InDelta(t, 2, Median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, Median([]float64{4, 1, 3, 2}), 0)
	ten := []float64{10, 3, 1, 2, 4, 7, 5, 9, 8, 6, 0}
	for q, want := range map[float64]float64{0: 0, .1: 1, .19: 1, .5: 5, 1: 10} {
		require.InDelta(t, want, Quantile(ten, q), 0)
	}
	require.InDelta(t, 10, ten[0], 0, "samples keep their order")
}

func TestProcess(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	start := func() *Process {
		p, err := Start(exec.Command(self, "-repeat"))
		require.NoError(t, err)
		return p
	}
	var line string
	read := func(out *bufio.Reader) (err error) {
		line, err = out.ReadString('\n')
		return err
	}
	p := start()
	for _, s := range []string{"a\n", "b\n"} {
		require.NoError(t, p.Ask([]byte(s), read))
		require.Equal(t, s, line)
	}
	for range 2 {
		require.ErrorContains(t, p.Ask([]byte("die\n"), read), "its last words: last words")
	}
	p.Close()

	p = start()
	require.ErrorContains(t, p.Ask([]byte("a\n"), func(*bufio.Reader) error { return errors.New("nonsense") }), "nonsense")
	require.ErrorContains(t, p.Ask([]byte("a\n"), read), "nonsense")

	p = start()
	p.Close()
	require.EqualError(t, p.Ask([]byte("a\n"), read), "closed")
	_, err = Start(exec.Command(self + "-that-is-not-there"))
	require.Error(t, err)
}
