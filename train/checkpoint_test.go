package train

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/internal/safetensors"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
)

// A trial is a small run of training: two layers with dropout, and a head.
type trial struct {
	Checkpoint
	tape     *layer.Tape
	head     *layer.LinearTape
	params   layer.Params
	position int
	best     float64
	x, dh    []float32
	targets  []int
	dlogits  []float32
	ce       *CrossEntropy
	data     *layer.Rand
}

const (
	trialT, trialB, trialI, trialH, trialC = 3, 2, 3, 4, 5
)

type trialConfig struct {
	name      string
	optimizer func(layer.Params) (Optimizer, error)
	schedule  func(Optimizer) (*Schedule, error)
}

var trialConfigs = []trialConfig{
	{"adamw", func(ps layer.Params) (Optimizer, error) {
		cfg := DefaultAdamW()
		cfg.AMSGrad = true
		return NewAdam(ps, cfg)
	}, func(o Optimizer) (*Schedule, error) { return NewCosineAnnealingLR(o, 20, 1e-5) }},
	{"sgd in two groups", func(ps layer.Params) (Optimizer, error) {
		o, err := NewSGD(ps[:3], SGDConfig{LR: .1, Momentum: .9, Nesterov: true})
		if err == nil {
			err = o.AddGroup(ps[3:], SGDConfig{LR: .2})
		}
		return o, err
	}, func(o Optimizer) (*Schedule, error) { return NewStepLR(o, 3, .5) }},
	{"nadam", func(ps layer.Params) (Optimizer, error) { return NewNAdam(ps, DefaultNAdam()) },
		func(o Optimizer) (*Schedule, error) {
			cfg := DefaultOneCycleLR()
			cfg.MaxLR, cfg.TotalSteps = []float64{.1}, 20
			return NewOneCycleLR(o, cfg)
		}},
	{"rmsprop", func(ps layer.Params) (Optimizer, error) { return NewRMSprop(ps, DefaultRMSprop()) },
		func(o Optimizer) (*Schedule, error) { return NewExponentialLR(o, .9) }},
}

func newTrial(t testing.TB, cfg trialConfig, seed int64) *trial {
	t.Helper()
	rnd := layer.NewRand(seed)
	lstm, err := layer.NewLSTM(layer.LSTMConfig{Input: trialI, Hidden: trialH, Layers: 2, Dropout: .5}, rnd)
	require.NoError(t, err)
	linear, err := layer.NewLinear(layer.LinearConfig{Input: trialH, Output: trialC}, rnd)
	require.NoError(t, err)
	r := &trial{
		tape: lstm.NewTape(trialT, trialB), head: linear.NewTape(trialT * trialB),
		x: make([]float32, trialT*trialB*trialI), dh: make([]float32, trialT*trialB*trialH),
		targets: make([]int, trialT*trialB), dlogits: make([]float32, trialT*trialB*trialC),
		data: layer.NewRand(seed + 1),
	}
	r.tape.SetRand(rnd)
	r.params = slices.Concat(r.tape.Params(), r.head.Params())
	opt, err := cfg.optimizer(r.params)
	require.NoError(t, err)
	schedule, err := cfg.schedule(opt)
	require.NoError(t, err)
	plateau, err := NewReduceLROnPlateau(opt, PlateauConfig{Factor: .7, Cooldown: 1, Eps: 1e-8})
	require.NoError(t, err)
	r.ce, err = NewCrossEntropy(CrossEntropyConfig{Classes: trialC})
	require.NoError(t, err)
	r.Checkpoint = Checkpoint{
		Params:    map[string]layer.Params{"rnn.": lstm.Params(), "head.": linear.Params()},
		Optimizer: opt, Schedule: schedule, Plateau: plateau, Rand: rnd,
		State: map[string]any{"h": r.tape.H0(), "c": r.tape.C0(), "position": &r.position, "best": &r.best, "data": r.data},
		Meta:  map[string]string{"config": cfg.name, "": "§\"\n"},
	}
	return r
}

// train makes steps and returns the losses.
func (r *trial) train(t testing.TB, steps int) (losses []float32) {
	for range steps {
		r.data.Uniform(r.x, -1, 1)
		for i := range r.targets {
			r.targets[i] = (r.position + i) % trialC
		}
		r.position++
		logits := r.head.Forward(r.tape.Forward(r.x))
		loss, _, err := r.ce.Forward(r.dlogits, logits, r.targets)
		require.NoError(t, err)
		r.params.ZeroGrad()
		r.head.Backward(r.dh, r.dlogits)
		r.tape.Backward(nil, r.dh)
		r.tape.Carry()
		r.Optimizer.Step()
		r.Schedule.Step()
		r.Plateau.Step(float64(loss))
		r.best = min(r.best, float64(loss))
		r.Step++
		losses = append(losses, loss)
	}
	return losses
}

func saved(t testing.TB, c *Checkpoint) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved")
	require.NoError(t, c.Save(path))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// A run that is loaded goes on as if it had not stopped: losses and the whole
// next file have the same bits.
func TestCheckpointResume(t *testing.T) {
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, cfg := range trialConfigs {
			for _, steps := range []int{0, 1, 5} {
				path := filepath.Join(t.TempDir(), "run.safetensors")
				a := newTrial(t, cfg, 1)
				a.train(t, steps)
				require.NoError(t, a.Save(path))
				want := a.train(t, 5)

				b := newTrial(t, cfg, 7)
				b.train(t, 2)
				require.NoError(t, b.Load(path), cfg.name)
				require.Equal(t, steps, b.Step)
				require.Equal(t, want, b.train(t, 5), "%s after %d steps", cfg.name, steps)
				require.True(t, bytes.Equal(saved(t, &a.Checkpoint), saved(t, &b.Checkpoint)), cfg.name)
			}
		}
	})
}

// Any reader of safetensors finds the model in a checkpoint.
func TestCheckpointModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.safetensors")
	r := newTrial(t, trialConfigs[0], 1)
	r.train(t, 2)
	require.NoError(t, r.Save(path))

	sd, err := layer.ReadSafetensors(path)
	require.NoError(t, err)
	lstm, err := layer.LoadLSTM(sd, "model.rnn.", layer.LSTMConfig{})
	require.NoError(t, err)
	requireSameData(t, r.Params["rnn."], lstm.Params())

	weights, meta, err := ReadCheckpoint(path)
	require.NoError(t, err)
	require.Equal(t, r.Meta, meta)
	require.Len(t, weights, 10)
	head, err := layer.LoadLinear(weights, "head.", layer.LinearConfig{})
	require.NoError(t, err)
	requireSameData(t, r.Params["head."], head.Params())
	require.Equal(t, []int{trialC, trialH}, weights["head.weight"].Shape)
}

func requireSameData(t testing.TB, want, got layer.Params) {
	t.Helper()
	for i, p := range want {
		require.Equal(t, p.Data, got[i].Data, p.Name)
	}
}

// Each kind of State comes back, with all bits.
func TestCheckpointState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	n, x := -5, math.Inf(-1)
	nan := math.Float64frombits(0x7ff8000000000123)
	f32, f64, ints := []float32{1, -0, math.MaxFloat32}, []float64{nan, math.Copysign(0, -1)}, []int{math.MinInt, math.MaxInt}
	pcg := rand.NewPCG(1, 2)
	c := Checkpoint{Step: 9, State: map[string]any{
		"int": &n, "float64": &x, "float32s": f32, "float64s": f64, "ints": ints, "pcg": pcg, "none": []float32{}, "": []int{}, "nil": []float64(nil),
	}}
	require.NoError(t, c.Save(path))
	want := pcg.Uint64()
	wantBits := math.Float64bits(f64[0])
	n, x, *pcg, c.Step = 0, 0, rand.PCG{}, 0
	clear(f32)
	clear(f64)
	clear(ints)
	require.NoError(t, c.Load(path))
	require.Equal(t, []any{-5, math.Inf(-1), 9, want}, []any{n, x, c.Step, pcg.Uint64()})
	require.Equal(t, []float32{1, -0, math.MaxFloat32}, f32)
	require.Equal(t, wantBits, math.Float64bits(f64[0]))
	require.True(t, math.Signbit(f64[1]))
	require.Equal(t, []int{math.MinInt, math.MaxInt}, ints)
	require.Equal(t, map[string]string{}, c.Meta)
}

// stubborn takes nothing back.
type stubborn struct{ unmarshal error }

func (s *stubborn) MarshalBinary() ([]byte, error) { return []byte{1}, nil }
func (s *stubborn) UnmarshalBinary([]byte) error   { return s.unmarshal }

type mute struct{ stubborn }

func (mute) MarshalBinary() ([]byte, error) { return nil, errors.New("cannot") }

func TestCheckpointBadSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	good := newTrial(t, trialConfigs[0], 1)
	require.NoError(t, good.Save(path))
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, c := range []struct {
		change func(*trial)
		want   string
	}{
		{func(r *trial) { r.State["a"] = 3 }, "state.a: int is none of *int, "},
		{func(r *trial) { r.State["a"] = nil }, "state.a: <nil> is none of"},
		{func(r *trial) { r.State["a"] = (*int)(nil) }, "state.a: *int is nil"},
		{func(r *trial) { r.State["a"] = (*layer.Rand)(nil) }, "state.a: *layer.Rand is nil"},
		{func(r *trial) { r.State["a"] = &mute{} }, "state.a: cannot"},
		{func(r *trial) { r.State["\xff"] = &r.best }, "the name is not UTF-8"},
		{func(r *trial) { r.Meta["a"] = "\xff" }, "is not UTF-8"},
		{func(r *trial) { r.Params["x."] = slices.Concat(r.Params["rnn."], r.Params["rnn."]) }, "the name is there twice"},
		{func(r *trial) { r.Params["rnn."][1].Data = r.Params["rnn."][1].Data[1:] }, "bytes of data, want"},
	} {
		r := newTrial(t, trialConfigs[0], 1)
		c.change(r)
		require.ErrorContains(t, r.Save(path), "train: Checkpoint.Save: ")
		require.ErrorContains(t, r.Save(path), c.want)
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, old, now)
	}
	require.ErrorContains(t, good.Save(filepath.Join(path, "x")), "not a directory")
	require.Error(t, good.Save(t.TempDir()))
	require.Len(t, list(t, filepath.Dir(path)), 1)
}

// A run that does not fit the file is refused, and stays as it is.
func TestCheckpointBadLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run")
	file := newTrial(t, trialConfigs[0], 1)
	file.train(t, 3)
	file.State["stubborn"] = &stubborn{}
	require.NoError(t, file.Save(path))

	for _, c := range []struct {
		config int
		change func(*trial)
		want   string
	}{
		{0, func(r *trial) { delete(r.State, "h") }, "unexpected state.h"},
		{0, func(r *trial) { delete(r.State, "h"); r.State["g"] = &r.best }, "missing state.g; unexpected state.h"},
		{0, func(r *trial) { r.State["h"] = []float32{1} }, "state.h has shape [16], want [1]"},
		{0, func(r *trial) { r.State["best"] = &r.position }, "state.best has type F64, want I64"},
		{0, func(r *trial) { r.State["data"] = rand.NewPCG(1, 2) }, "state.data: "},
		{0, func(r *trial) { r.State["a"] = 3 }, "state.a: int is none of"},
		{0, func(r *trial) { r.State["stubborn"] = &stubborn{errors.New("will not")} }, "state.stubborn: will not"},
		{0, func(r *trial) { r.Params["rnn."][1].Shape = []int{1, 2} }, "model.rnn.weight_hh_l0 has shape [16 4], want [1 2]"},
		{0, func(r *trial) { delete(r.Params, "head.") }, "unexpected model.head.bias, model.head.weight"},
		{0, func(r *trial) { r.Params["x."] = r.Params["head."] }, "missing model.x.bias, model.x.weight"},
		{0, func(r *trial) { r.Rand = nil }, "unexpected rand"},
		{0, func(r *trial) { r.Plateau = nil }, "unexpected plateau.best, plateau.state"},
		{0, func(r *trial) { r.Schedule = nil }, "unexpected schedule.base_lrs, schedule.last_epoch"},
		{0, func(r *trial) { r.Optimizer = nil }, "unexpected optimizer.0.0.weight_ih_l0.exp_avg, optimizer.0.0.weight_ih_l0.exp_avg_sq, optimizer.0.0.weight_ih_l0.max_exp_avg_sq, optimizer.0.1"},
		{0, func(r *trial) { r.Optimizer = nil }, " and 30 more"},
		{1, func(r *trial) {}, "train: StepLR.LoadState: state is of CosineAnnealingLR, want StepLR"},
		{1, func(r *trial) { s, _ := NewCosineAnnealingLR(r.Optimizer, 20, 0); r.Schedule = s }, "state has 1 groups, want 2"},
		{3, func(r *trial) { s, _ := NewCosineAnnealingLR(r.Optimizer, 20, 0); r.Schedule = s }, "train: RMSprop.LoadState: state is of Adam, want RMSprop"},
		{0, func(r *trial) {
			ps := slices.Clone(r.params)
			slices.Reverse(ps)
			r.Optimizer, _ = NewAdam(ps, DefaultAdam())
		}, "train: Adam.LoadState: group 0: parameter 0 is weight_ih_l0, want bias"},
	} {
		r := newTrial(t, trialConfigs[c.config], 2)
		r.State["stubborn"] = &stubborn{}
		c.change(r)
		before, unwritten := r.snapshot(t), r.Meta
		err := r.Load(path)
		require.ErrorContains(t, err, "train: Checkpoint.Load: "+path+": ")
		require.ErrorContains(t, err, c.want)
		require.Equal(t, before, r.snapshot(t), c.want)
		require.Equal(t, unwritten, r.Meta)
	}

	r := newTrial(t, trialConfigs[0], 2)
	require.ErrorIs(t, r.Load(filepath.Join(dir, "none")), fs.ErrNotExist)
	require.ErrorContains(t, r.Load(dir), "is not a regular file")
	plain := filepath.Join(dir, "plain")
	require.NoError(t, layer.WriteSafetensors(plain, r.params[:2].StateDict("rnn.")))
	require.EqualError(t, r.Load(plain), "train: Checkpoint.Load: "+plain+": not a checkpoint: no checksum at its beginning")
	require.NoError(t, layer.WriteSafetensors(plain, nil))
	_, _, err := ReadCheckpoint(plain)
	require.EqualError(t, err, "train: ReadCheckpoint: "+plain+": not a checkpoint: no checksum at its beginning")

	w := checkpointWriter{metadata: map[string]string{versionKey: "2"}}
	require.NoError(t, w.sign())
	require.NoError(t, safetensors.WriteFile(plain, w.metadata, w.tensors))
	require.ErrorContains(t, r.Load(plain), `a checkpoint of version "2", want 1`)
}

// snapshot is all that Load could write.
func (r *trial) snapshot(t testing.TB) []any {
	rnd, err := r.data.MarshalBinary()
	require.NoError(t, err)
	all := []any{r.Step, r.position, r.best, rnd, slices.Clone(r.tape.H0()), slices.Clone(r.tape.C0())}
	for _, p := range r.params {
		all = append(all, slices.Clone(p.Data))
	}
	if r.Rand != nil {
		b, err := r.Rand.MarshalBinary()
		require.NoError(t, err)
		all = append(all, b)
	}
	if r.Schedule != nil {
		all = append(all, r.Schedule.State())
	}
	if r.Optimizer != nil {
		all = append(all, fmt.Sprint(r.Optimizer.State()))
	}
	if r.Plateau != nil {
		all = append(all, r.Plateau.State())
	}
	return all
}

// No byte of a file can be changed, and none can be missing.
func TestCheckpointAltered(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run")
	n, x := 1, []float32{1, 2, 3}
	c := Checkpoint{Step: 4, Meta: map[string]string{"a": "b"}, State: map[string]any{"n": &n, "x": x}}
	require.NoError(t, c.Save(path))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	n, x[0], c.Step = 5, 6, 7
	refused := func(b []byte, what string, i int) {
		require.NoError(t, os.WriteFile(path, b, 0o666))
		err := c.Load(path)
		require.Error(t, err, "%s %d", what, i)
		require.ErrorContains(t, err, "train: Checkpoint.Load: "+path+": ")
		_, _, err = ReadCheckpoint(path)
		require.Error(t, err)
	}
	rnd := kerneltest.NewRand(1)
	every := kerneltest.Pick(2, 5, 50)
	for i := 0; i < len(good); i += every {
		b := slices.Clone(good)
		b[i] ^= byte(1 + rnd.IntN(255))
		refused(b, "byte", i)
		b[i] = good[i] ^ 1<<rnd.IntN(8)
		refused(b, "bit of byte", i)
		refused(good[:i], "length", i)
	}
	for i := range 9 {
		refused(append(slices.Clone(good), make([]byte, i+1)...), "more", i)
	}
	require.Equal(t, []any{5, float32(6), 7}, []any{n, x[0], c.Step})
	require.NoError(t, os.WriteFile(path, good, 0o666))
	require.NoError(t, c.Load(path))
	require.Equal(t, []any{1, float32(1), 4}, []any{n, x[0], c.Step})
}

// A file with the right checksum but the wrong tensors is refused, and never more
// than that.
func TestCheckpointCrafted(t *testing.T) {
	if kerneltest.Emulated() {
		t.Skip("nothing here depends on the processor")
	}
	path := filepath.Join(t.TempDir(), "run")
	file, r := newTrial(t, trialConfigs[0], 1), newTrial(t, trialConfigs[0], 2)
	file.train(t, 3)
	whole := checkpointWriter{metadata: map[string]string{"format": "pt", versionKey: version}}
	file.write(&whole)
	before := r.snapshot(t)
	refused := func(w checkpointWriter, what string) {
		t.Helper()
		w.metadata = maps.Clone(w.metadata)
		require.NoError(t, w.sign())
		require.NoError(t, safetensors.WriteFile(path, w.metadata, w.tensors))
		require.ErrorContains(t, r.Load(path), "train: Checkpoint.Load: "+path+": ", what)
		require.Equal(t, before, r.snapshot(t), what)
	}
	for i, x := range whole.tensors {
		w := whole
		w.tensors = slices.Delete(slices.Clone(whole.tensors), i, i+1)
		refused(w, "without "+x.Name)

		w.tensors = slices.Clone(whole.tensors)
		w.tensors[i].Name += ".x"
		refused(w, x.Name+".x")

		w.tensors[i] = x
		w.tensors = append(w.tensors, safetensors.Tensor{Name: "optimizer." + strconv.Itoa(i) + "." + x.Name, DType: safetensors.Bool, Shape: []int{0}})
		refused(w, "more than "+x.Name)
	}
	require.NoError(t, file.Save(path))
	require.NoError(t, r.Load(path))
}

// With Previous the file before stays, whatever happens to the new one.
func TestCheckpointPrevious(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run")
	c := Checkpoint{Previous: true}
	for i := range 4 {
		c.Step = i
		require.NoError(t, c.Save(path))
	}
	require.Equal(t, []string{"run", "run.previous"}, list(t, dir))
	require.NoError(t, os.WriteFile(path, []byte("broken"), 0o666))
	require.Error(t, c.Load(path))
	require.NoError(t, c.Load(path+".previous"))
	require.Equal(t, 2, c.Step)

	// A run that stopped between the link and the file leaves two names of one file.
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Link(path+".previous", path))
	require.NoError(t, c.Save(path))
	require.Equal(t, []string{"run", "run.previous"}, list(t, dir))
}

func list(t testing.TB, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// saveForever in the environment makes the test binary save checkpoints there
// until it is killed.
const saveForever = "SIMDRNN_TEST_SAVE"

// killed is a checkpoint whose contents follow from Step.
func killed() (c *Checkpoint, x []float32) {
	x = make([]float32, 1<<16)
	return &Checkpoint{State: map[string]any{"x": x}, Previous: true}, x
}

func saveUntilKilled(path string) {
	c, x := killed()
	if err := c.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		c.Step++
		for i := range x {
			x[i] = float32(c.Step)
		}
		if err := c.Save(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(c.Step)
	}
}

// A process that is killed at any moment while it saves leaves a whole file, not
// older than the last one it has told of, and so does the next process.
func TestCheckpointKill(t *testing.T) {
	if testing.Short() || kerneltest.Emulated() {
		t.Skip("starts processes")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "run")
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	told, kills := 0, 0
	for range 15 {
		cmd := exec.Command(self, "-test.run=^$")
		cmd.Env = append(os.Environ(), saveForever+"="+path)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(rnd.IntN(80)) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		require.Empty(t, errs.String())
		if lines := bytes.Fields(out.Bytes()); len(lines) > 0 {
			told, err = strconv.Atoi(string(lines[len(lines)-1]))
			require.NoError(t, err)
		}
		c, x := killed()
		err := c.Load(path)
		if told == 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		kills++
		require.GreaterOrEqual(t, c.Step, told)
		require.Equal(t, slices.Repeat([]float32{float32(c.Step)}, len(x)), x)
		if _, err := os.Stat(path + ".previous"); c.Step > 1 || err == nil {
			require.NoError(t, c.Load(path+".previous"))
		}
	}
	require.NotZero(t, kills, "no process was left the time to save")
}

func TestCheckpointOptimizerNames(t *testing.T) {
	r := newTrial(t, trialConfigs[1], 1)
	r.train(t, 1)
	w := checkpointWriter{metadata: map[string]string{}}
	r.Checkpoint.writeOptimizer(&w)
	names := map[string][]int{}
	for _, x := range w.tensors {
		names[x.Name] = x.Shape
	}
	require.Equal(t, []int{16, 4}, names["optimizer.0.1.weight_hh_l0.momentum_buffer"])
	require.Equal(t, []int{3}, names["optimizer.0.steps"])
	require.Contains(t, slices.Collect(maps.Keys(names)), "optimizer.1.initial_lr")
	require.Equal(t, "SGD", w.metadata["optimizer"])
}
