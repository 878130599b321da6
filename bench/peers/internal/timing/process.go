package timing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// patience is how long an answer may take.
const patience = 10 * time.Minute

// A Process answers requests: another library, or anything that answers likewise.
type Process struct {
	In     io.WriteCloser
	Out    *bufio.Reader
	Kill   func()        // ends it
	Wait   func() string // for its end, and returns what it said last
	broken error
}

// Start starts a process. It takes the standard input and outputs of cmd.
func Start(cmd *exec.Cmd) (*Process, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{
		In:   in,
		Out:  bufio.NewReader(out),
		Kill: func() { cmd.Process.Kill() },
		Wait: func() string {
			cmd.Wait()
			lines := strings.Split(strings.TrimSpace(said.String()), "\n")
			return lines[len(lines)-1]
		},
	}, nil
}

// Ask sends a request and lets answer read what comes back. After an error of
// either, or an end that was not asked for, all requests fail.
func (p *Process) Ask(request []byte, answer func(*bufio.Reader) error) error {
	if p.broken != nil {
		return p.broken
	}
	late := time.AfterFunc(patience, p.Kill)
	defer late.Stop()
	_, err := p.In.Write(request)
	if err == nil {
		err = answer(p.Out)
	}
	if err != nil {
		p.Kill()
		p.broken = fmt.Errorf("ended: %w; its last words: %s", err, p.Wait())
	}
	return p.broken
}

// Close ends the process.
func (p *Process) Close() {
	if p.broken == nil {
		p.In.Close()
		p.Wait()
		p.broken = errors.New("closed")
	}
}
