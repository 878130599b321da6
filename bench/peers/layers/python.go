package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/simdrnn/simdrnn/bench/peers/internal/timing"
)

// A python is a library behind the protocol of python/common.py. It is the other
// end's process, or anything that answers likewise.
type python struct {
	*timing.Process
	version map[string]string
}

// settings are the argument of a peer's script.
type settings struct {
	Threads int      `json:"threads"`
	CPU     int      `json:"cpu"` // the one to run on, or -1 for all
	Options []string `json:"options"`
}

type request struct {
	Op   string   `json:"op"`
	N    int      `json:"n,omitempty"`
	Task *message `json:"task,omitempty"`
}

// message is a task.
type message struct {
	Mode       mode    `json:"mode"`
	Cell       string  `json:"cell"`
	T          int     `json:"T"`
	B          int     `json:"B"`
	I          int     `json:"I"`
	H          int     `json:"H"`
	Layers     int     `json:"layers"`
	Directions int     `json:"directions"`
	Params     []param `json:"params"`
	Data       string  `json:"data"`
	Results    string  `json:"results"`
}

type param struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

type answer struct {
	Versions    map[string]string `json:"versions"`
	CPUs        int               `json:"cpus"` // that it may use, 0 if it cannot tell
	Seconds     float64           `json:"seconds"`
	Busy        float64           `json:"busy"` // seconds of processors
	Unsupported string            `json:"unsupported"`
	Error       string            `json:"error"`
}

// startPython starts a script and waits until its library is loaded.
func startPython(interpreter, script string, set settings, env []string) (*python, error) {
	arg, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(interpreter, script, string(arg))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", fmt.Sprint("OMP_NUM_THREADS=", set.Threads))
	cmd.Env = append(cmd.Env, env...)
	process, err := timing.Start(cmd)
	if err != nil {
		return nil, err
	}
	p := &python{Process: process}
	a, err := p.ask(request{Op: "hello"})
	if err != nil {
		p.Close()
		return nil, err
	}
	p.version = a.Versions
	if a.CPUs > 0 && (a.CPUs < set.Threads || set.CPU >= 0 && a.CPUs > 1) {
		p.Close()
		return nil, fmt.Errorf("it may use %d CPUs for %d threads", a.CPUs, set.Threads)
	}
	return p, nil
}

// ask sends a request and returns the answer.
func (p *python) ask(r request) (a answer, err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	err = p.Ask(append(line, '\n'), func(out *bufio.Reader) error {
		line, err := out.ReadBytes('\n')
		if err != nil {
			return err
		}
		return json.Unmarshal(line, &a)
	})
	if err != nil {
		return a, err
	}
	switch {
	case a.Unsupported != "":
		return a, unsupported(a.Unsupported)
	case a.Error != "":
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (p *python) prepare(t *task) ([]float32, error) {
	m := &message{
		Mode: t.mode, Cell: t.cell, T: t.T, B: t.B, I: t.I, H: t.H, Layers: t.layers, Directions: t.directions,
		Data: filepath.Join(t.dir, "data"), Results: filepath.Join(t.dir, "results"),
	}
	var data [][]float32
	for _, p := range t.params {
		m.Params = append(m.Params, param{p.Name, p.Shape})
		data = append(data, p.Data)
	}
	if err := writeFloats(m.Data, append(data, t.x, t.dy)...); err != nil {
		return nil, err
	}
	if _, err := p.ask(request{Op: "prepare", Task: m}); err != nil {
		return nil, err
	}
	return readFloats(m.Results)
}

func (p *python) run(n int) (d, busy time.Duration, err error) {
	a, err := p.ask(request{Op: "run", N: n})
	return time.Duration(a.Seconds * 1e9), time.Duration(a.Busy * 1e9), err
}

func (p *python) release() { p.ask(request{Op: "release"}) }
