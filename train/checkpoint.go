package train

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/simdrnn/simdrnn/internal/safetensors"
	"github.com/simdrnn/simdrnn/layer"
)

// A Checkpoint names all that a run of training consists of, to keep it in one
// file and to go on from there, bit for bit as if it had never stopped:
//
//	run := train.Checkpoint{
//		Params:    map[string]layer.Params{"rnn.": lstm.Params(), "head.": linear.Params()},
//		Optimizer: opt,
//		Schedule:  schedule,
//		Rand:      rand,
//		State:     map[string]any{"h": tape.H0(), "c": tape.C0(), "position": &position},
//	}
//	if err := run.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
//		log.Fatal(err)
//	}
//	for run.Step < steps {
//		...
//		opt.Step()
//		schedule.Step()
//		run.Step++
//		if run.Step%1000 == 0 {
//			if err := run.Save(path); err != nil {
//				log.Fatal(err)
//			}
//		}
//	}
//
// Fields that are nil are no part of the run. Nobody else may use what the others
// name while Save reads it or Load writes it.
//
// The file is of the format safetensors. It holds the parameters as the state
// dict that [layer.ReadSafetensors] reads, under the prefix "model.", so that
// layer.LoadLSTM(weights, "model.rnn.", cfg) is the LSTM above, and PyTorch can
// load them too. A SHA-256 in its metadata covers all other bytes.
type Checkpoint struct {
	// Params are the parameters of the layers by prefix, as in a
	// [layer.StateDict]: with its dot, or empty.
	Params    map[string]layer.Params
	Optimizer Optimizer
	Schedule  *Schedule
	Plateau   *ReduceLROnPlateau
	// Rand is the generator of dropout and of the order of data.
	Rand *layer.Rand
	// Step is the number of steps made. Load sets it.
	Step int
	// State is what else changes, by name: a pointer to an int or float64; a slice
	// of float32, float64 or int, whose length must be that in the file; or
	// something with MarshalBinary and UnmarshalBinary, such as a [layer.Rand], a
	// [layer.Stream] or the caller's.
	State map[string]any
	// Meta are texts about the run, such as its settings. Load sets it.
	Meta map[string]string
	// Previous makes Save keep the file that it replaces under its name and
	// ".previous", as a hard link, which the file system must have.
	Previous bool
}

// binaryState is what State may hold beside numbers.
type binaryState interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

const (
	// The checksum is that of the file with zeros in place of its digits. Their
	// key is the first one of the metadata, and thus their place is fixed.
	checksumKey    = "checksum"
	checksumMethod = "sha256:"
	checksumBefore = `{"__metadata__":{"` + checksumKey + `":"` + checksumMethod
	checksumAt     = 8 + len(checksumBefore)

	versionKey = "simdrnn.checkpoint"
	version    = "1"

	modelPrefix     = "model."
	statePrefix     = "state."
	metaPrefix      = "meta."
	optimizerPrefix = "optimizer."
	previousSuffix  = ".previous"
)

// Save writes the file. It appears under its name at once, when it is whole and on
// the disk, and takes the place of an older one: whenever the process or the
// machine stops, one of the two is there. (What was not whole yet may be left
// beside it, as .NAME.*.tmp.) On an error the older one is untouched, but if only
// the last step failed, to make the new name durable, the new file is there.
func (c *Checkpoint) Save(path string) error {
	fail := func(err error) error { return fmt.Errorf("train: Checkpoint.Save: %w", err) }
	w := checkpointWriter{metadata: map[string]string{"format": "pt", versionKey: version}}
	c.write(&w)
	if w.err != nil {
		return fail(w.err)
	}
	if err := w.sign(); err != nil {
		return fail(err)
	}
	if c.Previous {
		if err := keep(path); err != nil {
			return fail(err)
		}
	}
	if err := safetensors.WriteFile(path, w.metadata, w.tensors); err != nil {
		return fail(err)
	}
	return nil
}

// keep links the file to its name as the previous one, if there is one.
func keep(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	dir, base := filepath.Split(path)
	temp := filepath.Join(dir, fmt.Sprintf(".%s%s.%016x.tmp", base, previousSuffix, rand.Uint64()))
	if err := os.Link(path, temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path+previousSuffix); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	os.Remove(temp) // Rename leaves it if both names were links of one file
	return nil
}

// Load sets all that c names to what Save wrote. The file must be whole and
// unaltered and hold the same names, shapes and types, no more and no less, and
// the optimizer and the schedules must be of the same type as those saved. The
// error lists all that is wrong, and nothing is written then. It is a
// [fs.ErrNotExist] if there is no such file.
//
// Settings of the optimizer come from the file; what is computed from those of a
// schedule does not, so make it as it was.
func (c *Checkpoint) Load(path string) error {
	err := readCheckpoint(path, func(f *safetensors.File) error {
		r := newCheckpointReader(f)
		c.read(r)
		if err := r.done(); err != nil {
			return err
		}
		if err := r.tryAll(); err != nil {
			return err
		}
		for _, set := range r.sets {
			set()
		}
		for _, prefix := range slices.Sorted(maps.Keys(c.Params)) {
			c.Params[prefix].Pack()
		}
		c.Meta = metaOf(f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("train: Checkpoint.Load: %w", err)
	}
	return nil
}

// ReadCheckpoint returns what can be used of a checkpoint without the run: the
// parameters, under the prefixes of [Checkpoint].Params, and Meta. The file must
// be whole and unaltered.
func ReadCheckpoint(path string) (weights layer.StateDict, meta map[string]string, err error) {
	err = readCheckpoint(path, func(f *safetensors.File) error {
		weights, meta = layer.StateDict{}, metaOf(f)
		for i := range f.Tensors {
			e := &f.Tensors[i]
			name, ok := strings.CutPrefix(e.Name, modelPrefix)
			if !ok {
				continue
			}
			data, err := e.Float32s()
			if err != nil {
				return err
			}
			weights[name] = layer.Tensor{Shape: e.Shape, Data: data}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("train: ReadCheckpoint: %w", err)
	}
	return weights, meta, nil
}

func metaOf(f *safetensors.File) map[string]string {
	meta := map[string]string{}
	for key, text := range f.Metadata {
		if key, ok := strings.CutPrefix(key, metaPrefix); ok {
			meta[key] = text
		}
	}
	return meta
}

// write puts the parts of the run into w.
func (c *Checkpoint) write(w *checkpointWriter) {
	w.put("step", &c.Step)
	for prefix, params := range c.Params {
		for _, p := range params {
			w.put(modelPrefix+prefix+p.Name, layer.Tensor{Shape: p.Shape, Data: p.Data})
		}
	}
	if c.Optimizer != nil {
		c.writeOptimizer(w)
	}
	if c.Schedule != nil {
		s := c.Schedule.State()
		w.metadata["schedule"] = s.Schedule
		w.put("schedule.last_epoch", &s.LastEpoch)
		w.put("schedule.base_lrs", s.BaseLRs)
	}
	if c.Plateau != nil {
		s := c.Plateau.State()
		ints := plateauInts(&s)
		w.put("plateau.best", &s.Best)
		w.put("plateau.state", ints)
	}
	if c.Rand != nil {
		w.put("rand", c.Rand)
	}
	for name, v := range c.State {
		w.put(statePrefix+name, v)
	}
	for key, text := range c.Meta {
		w.metadata[metaPrefix+key] = text
	}
}

// read takes the parts of the run from r.
func (c *Checkpoint) read(r *checkpointReader) {
	r.value("step", &c.Step)
	for _, prefix := range slices.Sorted(maps.Keys(c.Params)) {
		for _, p := range c.Params[prefix] {
			r.value(modelPrefix+prefix+p.Name, layer.Tensor{Shape: p.Shape, Data: p.Data})
		}
	}
	if s := c.Schedule; s != nil {
		state := ScheduleState{Schedule: r.text("schedule")}
		if epoch := r.ints("schedule.last_epoch", []int{}); epoch != nil {
			state.LastEpoch = epoch[0]
		}
		state.BaseLRs = r.float64s("schedule.base_lrs", anyVector)
		old := s.State()
		r.try(func() error { return s.LoadState(state) }, func() error { return s.LoadState(old) })
	}
	if p := c.Plateau; p != nil {
		var state PlateauState
		if best := r.float64s("plateau.best", []int{}); best != nil {
			state.Best = best[0]
		}
		setPlateau(&state, r.ints("plateau.state", []int{len(plateauInts(&state))}))
		old := p.State()
		r.try(func() error { return p.LoadState(state) }, func() error { return p.LoadState(old) })
	}
	if c.Rand != nil {
		r.value("rand", c.Rand)
	}
	for _, name := range slices.Sorted(maps.Keys(c.State)) {
		r.value(statePrefix+name, c.State[name])
	}
	if o := c.Optimizer; o != nil {
		state := readOptimizer(r)
		c.checkSettings(r, state)
		// Comes last: an error of it changes nothing, and needs no way back.
		r.try(func() error { return o.LoadState(state) }, nil)
	}
}

// plateauInts are the whole numbers of s.
func plateauInts(s *PlateauState) []int {
	improved := 0
	if s.Improved {
		improved = 1
	}
	return []int{s.LastEpoch, improved, s.NumBadEpochs, s.CooldownCounter}
}

func setPlateau(s *PlateauState, ints []int) {
	if ints != nil {
		s.LastEpoch, s.Improved, s.NumBadEpochs, s.CooldownCounter = ints[0], ints[1] != 0, ints[2], ints[3]
	}
}

// writeOptimizer writes, with G for the index of a group and I for that of a
// parameter in it,
//
//	optimizer.G.SETTING       F64 []
//	optimizer.G.steps         I64 [number of parameters]
//	optimizer.G.I.NAME.TENSOR F32, shaped as the parameter if it has its size
//
// NAME is that of the parameter; several may have the same.
func (c *Checkpoint) writeOptimizer(w *checkpointWriter) {
	s := c.Optimizer.State()
	groups := c.Optimizer.Groups()
	w.metadata["optimizer"] = s.Optimizer
	for g, group := range s.Groups {
		prefix := optimizerPrefix + strconv.Itoa(g) + "."
		for _, v := range group.Settings {
			w.put(prefix+v.Name, &v.Value)
		}
		steps := make([]int, len(group.Params))
		for i, p := range group.Params {
			steps[i] = p.Step
			name := prefix + strconv.Itoa(i) + "." + p.Name + "."
			for _, t := range p.Tensors {
				shape := []int{len(t.Data)}
				if param := groups[g].Params()[i]; len(param.Data) == len(t.Data) {
					shape = param.Shape
				}
				w.put(name+t.Name, layer.Tensor{Shape: shape, Data: t.Data})
			}
		}
		w.put(prefix+stepsName, steps)
	}
}

const stepsName = "steps"

// readOptimizer takes what writeOptimizer has written. LoadState compares it with
// the optimizer.
func readOptimizer(r *checkpointReader) OptimizerState {
	s := OptimizerState{Optimizer: r.text("optimizer")}
	for {
		name := optimizerPrefix + strconv.Itoa(len(s.Groups)) + "." + stepsName
		if r.entries[name] == nil {
			break
		}
		g := GroupState{}
		for _, n := range r.ints(name, anyVector) {
			g.Params = append(g.Params, ParamState{Step: n})
		}
		s.Groups = append(s.Groups, g)
	}
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		rest, ok := strings.CutPrefix(name, optimizerPrefix)
		if !ok {
			continue
		}
		number, rest, _ := strings.Cut(rest, ".")
		g, err := strconv.Atoi(number)
		if err != nil || g < 0 || g >= len(s.Groups) {
			continue // it stays, and is unexpected
		}
		group := &s.Groups[g]
		if index, rest, ok := strings.Cut(rest, "."); ok {
			i, err := strconv.Atoi(index)
			last := strings.LastIndex(rest, ".")
			if err != nil || i < 0 || i >= len(group.Params) || last < 0 {
				continue
			}
			p := &group.Params[i]
			p.Name = rest[:last]
			p.Tensors = append(p.Tensors, StateTensor{rest[last+1:], r.float32s(name, nil)})
			continue
		}
		if v := r.float64s(name, []int{}); v != nil {
			group.Settings = append(group.Settings, Setting{rest, v[0]})
		}
	}
	return s
}

// checkSettings misses the settings that the optimizer has and s has not. That s
// is of another optimizer is for LoadState to say.
func (c *Checkpoint) checkSettings(r *checkpointReader, s OptimizerState) {
	now := c.Optimizer.State()
	if now.Optimizer != s.Optimizer {
		return
	}
	for g, group := range now.Groups {
		for _, want := range group.Settings {
			same := func(v Setting) bool { return v.Name == want.Name }
			if g < len(s.Groups) && !slices.ContainsFunc(s.Groups[g].Settings, same) && (want.Name != initialLR || c.Schedule != nil) {
				r.missing = append(r.missing, optimizerPrefix+strconv.Itoa(g)+"."+want.Name)
			}
		}
	}
}

// typed says whether v is one of the types that State may hold, and not nil.
func typed(v any) error {
	switch v.(type) {
	case []float32, []float64, []int:
		return nil
	case *int, *float64, binaryState:
		if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && r.IsNil() {
			return fmt.Errorf("%T is nil", v)
		}
		return nil
	}
	return fmt.Errorf("%T is none of *int, *float64, []float32, []float64, []int, and has no MarshalBinary and UnmarshalBinary", v)
}

// checkpointWriter collects a file. The first error stays.
type checkpointWriter struct {
	metadata map[string]string
	tensors  []safetensors.Tensor
	err      error
}

// put adds a value of [Checkpoint].State or a tensor.
func (w *checkpointWriter) put(name string, v any) {
	t := safetensors.Tensor{Name: name}
	switch v := v.(type) {
	case layer.Tensor:
		t.DType, t.Shape, t.Floats = safetensors.F32, v.Shape, v.Data
	case []float32:
		t.DType, t.Shape, t.Floats = safetensors.F32, []int{len(v)}, v
	case []float64:
		t.DType, t.Shape, t.Bytes = safetensors.F64, []int{len(v)}, bytes64(v, math.Float64bits)
	case []int:
		t.DType, t.Shape, t.Bytes = safetensors.I64, []int{len(v)}, bytes64(v, fromInt)
	default:
		err := typed(v)
		if err == nil {
			switch v := v.(type) {
			case *float64:
				t.DType, t.Bytes = safetensors.F64, bytes64([]float64{*v}, math.Float64bits)
			case *int:
				t.DType, t.Bytes = safetensors.I64, bytes64([]int{*v}, fromInt)
			case binaryState:
				t.Bytes, err = v.MarshalBinary()
				t.DType, t.Shape = safetensors.U8, []int{len(t.Bytes)}
			}
		}
		if err != nil {
			w.err = cmp.Or(w.err, fmt.Errorf("%s: %w", name, err))
			return
		}
	}
	w.tensors = append(w.tensors, t)
}

// A checkpointReader takes tensors of a file and collects all that is wrong with
// them. Nothing is written before sets are called.
type checkpointReader struct {
	metadata map[string]string
	entries  map[string]*safetensors.Entry // not taken yet
	missing  []string
	wrong    []string
	err      error // of reading
	tries    []attempt
	sets     []func()
}

// An attempt may fail, and is taken back if a later one does.
type attempt struct{ do, undo func() error }

func newCheckpointReader(f *safetensors.File) *checkpointReader {
	r := &checkpointReader{metadata: f.Metadata, entries: map[string]*safetensors.Entry{}}
	for i := range f.Tensors {
		r.entries[f.Tensors[i].Name] = &f.Tensors[i]
	}
	return r
}

// anyVector is the shape of a vector of any length; a nil shape is any shape.
var anyVector = []int{-1}

// take returns a tensor, or nil if something is wrong with it.
func (r *checkpointReader) take(name string, t safetensors.DType, shape []int) *safetensors.Entry {
	e := r.entries[name]
	delete(r.entries, name)
	fits := e != nil && (shape == nil || slices.Equal(e.Shape, shape) ||
		slices.Equal(shape, anyVector) && len(e.Shape) == 1)
	switch {
	case e == nil:
		r.missing = append(r.missing, name)
	case e.DType != t:
		r.wrong = append(r.wrong, fmt.Sprintf("%s has type %s, want %s", name, e.DType, t))
	case !fits:
		r.wrong = append(r.wrong, fmt.Sprintf("%s has shape %v, want %v", name, e.Shape, shape))
	default:
		return e
	}
	return nil
}

// text returns a metadata entry.
func (r *checkpointReader) text(key string) string {
	v, ok := r.metadata[key]
	if !ok {
		r.missing = append(r.missing, key)
	}
	return v
}

// bytes, float32s, float64s and ints return the elements of a tensor, or nil if
// something is wrong with it.
func (r *checkpointReader) bytes(name string, t safetensors.DType, shape []int) []byte {
	e := r.take(name, t, shape)
	if e == nil {
		return nil
	}
	b, err := e.Bytes()
	r.err = cmp.Or(r.err, err)
	return b
}

func (r *checkpointReader) float32s(name string, shape []int) []float32 {
	e := r.take(name, safetensors.F32, shape)
	if e == nil {
		return nil
	}
	x, err := e.Float32s()
	r.err = cmp.Or(r.err, err)
	return x
}

func (r *checkpointReader) float64s(name string, shape []int) []float64 {
	return slice64(r.bytes(name, safetensors.F64, shape), math.Float64frombits)
}

func (r *checkpointReader) ints(name string, shape []int) []int {
	x := slice64(r.bytes(name, safetensors.I64, shape), func(u uint64) int64 { return int64(u) })
	if x == nil {
		return nil
	}
	ints := make([]int, len(x))
	for i, v := range x {
		ints[i] = int(v)
		if int64(ints[i]) != v {
			r.wrong = append(r.wrong, fmt.Sprintf("%s is %d, want an int of this platform", name, v))
			return nil
		}
	}
	return ints
}

// value prepares to set a value of [Checkpoint].State or a tensor.
func (r *checkpointReader) value(name string, v any) {
	set := func(f func()) { r.sets = append(r.sets, f) }
	switch v := v.(type) {
	case layer.Tensor:
		x := r.float32s(name, v.Shape)
		if x != nil && len(v.Data) != len(x) {
			r.wrong = append(r.wrong, fmt.Sprintf("%s has %d elements, want %d", name, len(x), len(v.Data)))
		}
		set(func() { copy(v.Data, x) })
	case []float32:
		x := r.float32s(name, []int{len(v)})
		set(func() { copy(v, x) })
	case []float64:
		x := r.float64s(name, []int{len(v)})
		set(func() { copy(v, x) })
	case []int:
		x := r.ints(name, []int{len(v)})
		set(func() { copy(v, x) })
	default:
		if err := typed(v); err != nil {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: %v", name, err))
			return
		}
		switch v := v.(type) {
		case *float64:
			if x := r.float64s(name, []int{}); x != nil {
				set(func() { *v = x[0] })
			}
		case *int:
			if x := r.ints(name, []int{}); x != nil {
				set(func() { *v = x[0] })
			}
		case binaryState:
			x := r.bytes(name, safetensors.U8, anyVector)
			old, err := v.MarshalBinary()
			if err != nil {
				r.wrong = append(r.wrong, fmt.Sprintf("%s: %v", name, err))
			}
			r.try(func() error {
				if err := v.UnmarshalBinary(x); err != nil {
					return errors.Join(fmt.Errorf("%s: %w", name, err), v.UnmarshalBinary(old))
				}
				return nil
			}, func() error { return v.UnmarshalBinary(old) })
		}
	}
}

func (r *checkpointReader) try(do, undo func() error) { r.tries = append(r.tries, attempt{do, undo}) }

// tryAll makes the attempts, or none.
func (r *checkpointReader) tryAll() error {
	for i, a := range r.tries {
		err := a.do()
		if err == nil {
			continue
		}
		for _, a := range slices.Backward(r.tries[:i]) {
			err = errors.Join(err, a.undo())
		}
		return err
	}
	return nil
}

// done returns what is wrong with the tensors taken, or not taken.
func (r *checkpointReader) done() error {
	if r.err != nil {
		return r.err
	}
	all := r.wrong
	list := func(what string, names []string) {
		if n := len(names); n > 0 {
			slices.Sort(names)
			all = append([]string{what + " " + strings.Join(names[:min(n, 10)], ", ")}, all...)
			if n > 10 {
				all[0] += fmt.Sprintf(" and %d more", n-10)
			}
		}
	}
	list("unexpected", slices.Collect(maps.Keys(r.entries)))
	list("missing", r.missing)
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "; "))
}
