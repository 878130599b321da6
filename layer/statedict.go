package layer

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/internal/safetensors"
)

// A Tensor is values in row-major order, as many as the product of Shape.
type Tensor struct {
	Shape []int
	Data  []float32
}

// A StateDict is tensors by name, as PyTorch's state_dict(). The parameters of a
// layer have its path as a prefix: those of self.rnn are "rnn.weight_ih_l0" and
// so on. Prefixes are given with their dot, or empty. PyTorch's wrappers add
// some in front: DataParallel "module.", torch.compile "_orig_mod.".
type StateDict map[string]Tensor

// ReadSafetensors reads a file of the format safetensors. Elements of all
// floating-point types of at least 16 bits, of integer types and bool become
// float32, rounded to nearest even; others are an error. Files are checked
// before anything is made of them, at least as strictly as by the reference
// implementation (huggingface/safetensors).
func ReadSafetensors(path string) (StateDict, error) {
	var sd StateDict
	err := safetensors.ReadFile(path, func(f *safetensors.File) (err error) {
		sd, err = newStateDict(f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("layer: ReadSafetensors: %w", err)
	}
	return sd, nil
}

// DecodeSafetensors is ReadSafetensors for size bytes in memory or elsewhere,
// for example in a bytes.Reader.
func DecodeSafetensors(r io.ReaderAt, size int64) (StateDict, error) {
	f, err := safetensors.Open(r, size)
	if err == nil {
		var sd StateDict
		if sd, err = newStateDict(f); err == nil {
			return sd, nil
		}
	}
	return nil, fmt.Errorf("layer: DecodeSafetensors: %w", err)
}

func newStateDict(f *safetensors.File) (StateDict, error) {
	sd := make(StateDict, len(f.Tensors))
	for _, e := range f.Tensors {
		data, err := e.Float32s()
		if err != nil {
			return nil, err
		}
		sd[e.Name] = Tensor{e.Shape, data}
	}
	return sd, nil
}

// WriteSafetensors writes a file of the format safetensors, of type F32. The
// file appears under its name at once, when it is whole and on the disk, and
// takes the place of an older one. It is an error if a tensor has not as many
// values as its shape says, and before anything is written. On an error the older
// file is untouched, and no other is left; but if only the last step failed, to
// make the new name durable, the new file is there.
func WriteSafetensors(path string, sd StateDict) error {
	if err := safetensors.WriteFile(path, metadata, sd.tensors()); err != nil {
		return fmt.Errorf("layer: WriteSafetensors: %w", err)
	}
	return nil
}

// EncodeSafetensors writes to w what WriteSafetensors writes to a file.
func EncodeSafetensors(w io.Writer, sd StateDict) error {
	if err := safetensors.Write(w, metadata, sd.tensors()); err != nil {
		return fmt.Errorf("layer: EncodeSafetensors: %w", err)
	}
	return nil
}

// metadata tells readers that names and layouts are PyTorch's; some insist.
var metadata = map[string]string{"format": "pt"}

func (sd StateDict) tensors() []safetensors.Tensor {
	var ts []safetensors.Tensor
	for name, t := range sd {
		ts = append(ts, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: t.Shape, Floats: t.Data})
	}
	return ts
}

// StateDict returns copies of the parameters, named prefix + Name. maps.Copy
// joins those of several layers. It panics if two parameters have the same name.
func (ps Params) StateDict(prefix string) StateDict {
	sd := make(StateDict, len(ps))
	for _, p := range ps {
		if _, ok := sd[prefix+p.Name]; ok {
			panic(fmt.Sprintf("layer: Params.StateDict: two parameters are named %s, want those of one layer", p.Name))
		}
		sd[prefix+p.Name] = Tensor{slices.Clone(p.Shape), slices.Clone(p.Data)}
	}
	return sd
}

// LoadStateDict sets the parameters to the tensors named prefix + Name, and packs
// them. If one is missing or has another shape, or if another name has the
// prefix, the error lists all of that, and nothing is written. Nobody may read
// the weights meanwhile.
func (ps Params) LoadStateDict(sd StateDict, prefix string) error {
	return ps.load("Params", sd, prefix)
}

// LoadMatching is LoadStateDict for what is there: it leaves parameters whose
// tensors are missing, ignores tensors of other names, and returns the names of
// both, with prefix. Other shapes are still errors, and so are the names of
// weights that must be computed from others (see PyTorch's weight_norm).
func (ps Params) LoadMatching(sd StateDict, prefix string) (missing, unexpected []string, err error) {
	return ps.loadMatching("Params", sd, prefix)
}

// LoadStateDict sets the parameters to the tensors of sd under prefix. See
// [Params.LoadStateDict].
func (r *recurrent) LoadStateDict(sd StateDict, prefix string) error {
	return r.params.load(r.name, sd, prefix)
}

// LoadMatching sets those parameters of which sd has tensors under prefix. See
// [Params.LoadMatching].
func (r *recurrent) LoadMatching(sd StateDict, prefix string) (missing, unexpected []string, err error) {
	return r.params.loadMatching(r.name, sd, prefix)
}

// LoadStateDict sets the parameters to the tensors of sd under prefix. See
// [Params.LoadStateDict].
func (l *Linear) LoadStateDict(sd StateDict, prefix string) error {
	return l.params.load("Linear", sd, prefix)
}

// LoadMatching sets those parameters of which sd has tensors under prefix. See
// [Params.LoadMatching].
func (l *Linear) LoadMatching(sd StateDict, prefix string) (missing, unexpected []string, err error) {
	return l.params.loadMatching("Linear", sd, prefix)
}

// LoadStateDict sets the parameter to the tensor of sd under prefix. See
// [Params.LoadStateDict].
func (l *Embedding) LoadStateDict(sd StateDict, prefix string) error {
	return l.params.load("Embedding", sd, prefix)
}

// LoadMatching sets the parameter if sd has its tensor under prefix. See
// [Params.LoadMatching].
func (l *Embedding) LoadMatching(sd StateDict, prefix string) (missing, unexpected []string, err error) {
	return l.params.loadMatching("Embedding", sd, prefix)
}

// LoadStateDict sets the parameters to the tensors of sd under prefix. See
// [Params.LoadStateDict].
func (w *cellWeights) LoadStateDict(sd StateDict, prefix string) error {
	return w.weights.LoadStateDict(sd, prefix)
}

// LoadMatching sets those parameters of which sd has tensors under prefix. See
// [Params.LoadMatching].
func (w *cellWeights) LoadMatching(sd StateDict, prefix string) (missing, unexpected []string, err error) {
	return w.weights.LoadMatching(sd, prefix)
}

func (ps Params) load(name string, sd StateDict, prefix string) error {
	if err := ps.compare(sd, prefix).strict(name); err != nil {
		return err
	}
	ps.set(sd, prefix)
	return nil
}

func (ps Params) loadMatching(name string, sd StateDict, prefix string) (missing, unexpected []string, err error) {
	d := ps.compare(sd, prefix)
	if len(d.wrong) > 0 {
		return nil, nil, loadError(name, d.wrong...)
	}
	ps.set(sd, prefix)
	return d.missing, d.unexpected, nil
}

// set copies what is there, after compare found nothing wrong with it.
func (ps Params) set(sd StateDict, prefix string) {
	for _, p := range ps {
		if t, ok := sd[prefix+p.Name]; ok {
			copy(p.Data, t.Data)
		}
	}
	ps.Pack()
}

// A difference between parameters and the tensors of a StateDict.
type difference struct {
	missing, unexpected []string // names of tensors
	wrong               []string // what is wrong with the others
	elsewhere           []string // prefixes under which all parameters are
}

// compare finds what stands against loading. A Shape that is nil may be any.
func (ps Params) compare(sd StateDict, prefix string) (d difference) {
	known := make(map[string]bool, len(ps))
	for _, p := range ps {
		name := prefix + p.Name
		if known[name] {
			d.wrong = append(d.wrong, name+" would be loaded twice")
		}
		known[name] = true
		switch t, ok := sd[name]; {
		case !ok:
			d.missing = append(d.missing, name)
		case p.Shape != nil && !slices.Equal(t.Shape, p.Shape):
			d.wrong = append(d.wrong, wrongShape(name, t, p.Shape))
		case !fits(t.Shape...) || elements(t.Shape) != len(t.Data):
			d.wrong = append(d.wrong, fmt.Sprintf("%s has %d values, want shape %v", name, len(t.Data), t.Shape))
		}
		d.wrong = append(d.wrong, derived(sd, prefix, p.Name)...)
	}
	for name := range sd {
		if strings.HasPrefix(name, prefix) && !known[name] {
			d.unexpected = append(d.unexpected, name)
		}
		if path, ok := strings.CutSuffix(name, ps.firstName()); ok && len(d.missing) > 0 && (path == "" || path[len(path)-1] == '.') && ps.under(sd, path) {
			d.elsewhere = append(d.elsewhere, path)
		}
	}
	slices.Sort(d.unexpected)
	slices.Sort(d.elsewhere)
	return d
}

func wrongShape(name string, t Tensor, want any) string {
	return fmt.Sprintf("%s has shape %v, want %v", name, t.Shape, want)
}

func (ps Params) firstName() string {
	if len(ps) == 0 {
		return ""
	}
	return ps[0].Name
}

// under says whether sd has all parameters under prefix.
func (ps Params) under(sd StateDict, prefix string) bool {
	return !slices.ContainsFunc(ps, func(p Param) bool {
		t, ok := sd[prefix+p.Name]
		return !ok || p.Shape != nil && !slices.Equal(t.Shape, p.Shape)
	})
}

// derived finds what PyTorch's ways to compute a weight from other tensors leave
// in its state dicts, instead of the weight. Only weight-drop may leave that as
// well, outside of the wrapped module; it is what the last step made of it.
func derived(sd StateDict, prefix, weight string) (wrong []string) {
	const (
		drop    = "weight-drop: move it to "
		norm    = "weight_norm: call torch.nn.utils.remove_weight_norm before saving"
		general = "a parametrization: call torch.nn.utils.parametrize.remove_parametrizations before saving"
	)
	name := prefix + weight
	original := prefix + "parametrizations." + weight + ".original"
	outside, wrapped := strings.CutSuffix(prefix, "module.")
	_, there := sd[name]
	for _, f := range []struct {
		name, of string
		ok       bool
	}{
		{name + "_raw", drop + name, true},
		{outside + weight + "_raw", drop + name, wrapped},
		{name + "_g", norm, !there},
		{name + "_v", norm, !there},
		{original, general, !there},
		{original + "0", general, !there},
		{original + "1", general, !there},
	} {
		if _, found := sd[f.name]; found && f.ok {
			wrong = append(wrong, f.name+" is of "+f.of)
		}
	}
	return wrong
}

// strict returns an error if there is any difference.
func (d difference) strict(name string) error {
	var all []string
	if len(d.missing) > 0 {
		all = append(all, "missing "+strings.Join(d.missing, ", "))
	}
	if len(d.unexpected) > 0 {
		all = append(all, "unexpected "+strings.Join(d.unexpected, ", "))
	}
	all = append(all, d.wrong...)
	if len(d.elsewhere) > 0 {
		var quoted []string
		for _, prefix := range d.elsewhere[:min(3, len(d.elsewhere))] {
			quoted = append(quoted, strconv.Quote(prefix))
		}
		all = append(all, "did you mean prefix "+strings.Join(quoted, " or ")+"?")
	}
	if len(all) == 0 {
		return nil
	}
	return loadError(name, all...)
}

func loadError(name string, what ...string) error {
	return fmt.Errorf("layer: load %s: %s", name, strings.Join(what, "; "))
}

// LoadRNN returns an RNN of the tensors of sd under prefix. Sizes, layers,
// directions and bias are theirs; from cfg comes what tensors do not tell. The
// error lists what is missing, unexpected, of another shape, or not what cfg
// says where a field is not zero.
func LoadRNN(sd StateDict, prefix string, cfg RNNConfig) (*RNN, error) {
	s, err := loadShape("RNN", cell.RNN{}, sd, prefix, cfg.config().shape())
	if err != nil {
		return nil, err
	}
	cfg.Input, cfg.Hidden, cfg.Layers, cfg.NoBias, cfg.Bidirectional = s.input, s.hidden, s.layers, s.noBias, s.bidirectional
	l, err := NewRNN(cfg, nil)
	if err == nil {
		err = l.LoadStateDict(sd, prefix)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// LoadLSTM returns an LSTM of the tensors of sd under prefix. See [LoadRNN].
func LoadLSTM(sd StateDict, prefix string, cfg LSTMConfig) (*LSTM, error) {
	s, err := loadShape("LSTM", cell.LSTM{}, sd, prefix, cfg.config().shape())
	if err != nil {
		return nil, err
	}
	cfg.Input, cfg.Hidden, cfg.Layers, cfg.NoBias, cfg.Bidirectional, cfg.Proj = s.input, s.hidden, s.layers, s.noBias, s.bidirectional, s.proj
	cfg.LayerNorm, cfg.Peephole = LayerNorm(s.norm), s.peephole
	l, err := NewLSTM(cfg, nil)
	if err == nil {
		err = l.LoadStateDict(sd, prefix)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// LoadGRU returns a GRU of the tensors of sd under prefix. See [LoadRNN].
func LoadGRU(sd StateDict, prefix string, cfg GRUConfig) (*GRU, error) {
	s, err := loadShape("GRU", cell.GRU{}, sd, prefix, cfg.config().shape())
	if err != nil {
		return nil, err
	}
	cfg.Input, cfg.Hidden, cfg.Layers, cfg.NoBias, cfg.Bidirectional = s.input, s.hidden, s.layers, s.noBias, s.bidirectional
	l, err := NewGRU(cfg, nil)
	if err == nil {
		err = l.LoadStateDict(sd, prefix)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// LoadLinear returns a Linear of the tensors of sd under prefix. See [LoadRNN].
func LoadLinear(sd StateDict, prefix string, cfg LinearConfig) (*Linear, error) {
	const name = "Linear"
	if err := matrices("weight").present(name, sd, prefix); err != nil {
		return nil, err
	}
	shape := sd[prefix+"weight"].Shape
	_, bias := sd[prefix+"bias"]
	if err := fields(name, []field{
		{"Input", cfg.Input, shape[1], cfg.Input != 0},
		{"Output", cfg.Output, shape[0], cfg.Output != 0},
		{"NoBias", cfg.NoBias, !bias, cfg.NoBias},
	}); err != nil {
		return nil, err
	}
	cfg.Input, cfg.Output, cfg.NoBias = shape[1], shape[0], !bias
	l, err := NewLinear(cfg, nil)
	if err == nil {
		err = l.LoadStateDict(sd, prefix)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// LoadEmbedding returns an Embedding of the tensor of sd under prefix, with Num and
// Dim from it. PaddingIdx is that of cfg, of which DefaultEmbedding(0, 0) has none
// and the zero value row 0. See [LoadRNN].
func LoadEmbedding(sd StateDict, prefix string, cfg EmbeddingConfig) (*Embedding, error) {
	const name = "Embedding"
	if err := matrices("weight").present(name, sd, prefix); err != nil {
		return nil, err
	}
	shape := sd[prefix+"weight"].Shape
	if err := fields(name, []field{
		{"Num", cfg.Num, shape[0], cfg.Num != 0},
		{"Dim", cfg.Dim, shape[1], cfg.Dim != 0},
	}); err != nil {
		return nil, err
	}
	cfg.Num, cfg.Dim = shape[0], shape[1]
	e, err := NewEmbedding(cfg, nil)
	if err == nil {
		err = e.LoadStateDict(sd, prefix)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// A field of a config, and what tensors say about it.
type field struct {
	name        string
	cfg, tensor any
	set         bool // in cfg
}

// fields returns an error if a field is set to something else.
func fields(name string, fs []field) error {
	var wrong []string
	for _, f := range fs {
		if f.set && f.cfg != f.tensor {
			wrong = append(wrong, fmt.Sprintf("%s = %v, want %v as in the tensors", f.name, f.cfg, f.tensor))
		}
	}
	if wrong != nil {
		return loadError(name, wrong...)
	}
	return nil
}

// matrices are parameters of unknown shape.
func matrices(names ...string) (ps Params) {
	for _, name := range names {
		ps = append(ps, Param{Name: name})
	}
	return ps
}

// present returns an error unless the parameters are there and are matrices.
func (ps Params) present(name string, sd StateDict, prefix string) error {
	d := ps.compare(sd, prefix)
	d.unexpected = nil // nobody knows yet
	for _, p := range ps {
		t, ok := sd[prefix+p.Name]
		if ok && (len(t.Shape) != 2 || slices.Min(t.Shape) < 1) {
			d.wrong = append(d.wrong, wrongShape(prefix+p.Name, t, "two dimensions of at least 1"))
		}
	}
	return d.strict(name)
}

// A recurrentShape is what tensors tell of a recurrent layer.
type recurrentShape struct {
	gates, input, hidden, layers, proj int // proj is 0 without a projection
	bidirectional, noBias, peephole    bool
	norm                               cell.Norm
}

// params names and shapes the parameters, in PyTorch's order.
func (s recurrentShape) params() Params {
	c := config{input: s.input, hidden: s.hidden, layers: s.layers, proj: s.proj, noBias: s.noBias, bidirectional: s.bidirectional, norm: s.norm, peephole: s.peephole}
	return c.params(nil, s.gates)
}

// shape returns what tensors can tell of a configuration.
func (c config) shape() recurrentShape {
	return recurrentShape{input: c.input, hidden: c.hidden, layers: c.layers, proj: c.proj, noBias: c.noBias, bidirectional: c.bidirectional, norm: c.norm, peephole: c.peephole}
}

// kinds are the recurrent layers by their number of gates.
var kinds = map[int]string{1: "an RNN", 3: "a GRU", 4: "an LSTM"}

// loadShape is inferRecurrent for a layer of a kind and what a config says.
func loadShape(name string, c cell.Cell, sd StateDict, prefix string, cfg recurrentShape) (recurrentShape, error) {
	s, err := inferRecurrent(name, sd, prefix)
	if err != nil {
		return s, err
	}
	if gates := c.Gates(); s.gates != gates {
		ih := prefix + "weight_ih_l0"
		return s, loadError(name, wrongShape(ih, sd[ih], []int{gates * s.hidden, s.input})+"; the tensors are those of "+kinds[s.gates])
	}
	return s, fields(name, []field{
		{"Input", cfg.input, s.input, cfg.input != 0},
		{"Hidden", cfg.hidden, s.hidden, cfg.hidden != 0},
		{"Layers", cfg.layers, s.layers, cfg.layers != 0},
		{"Proj", cfg.proj, s.proj, cfg.proj != 0},
		{"Bidirectional", cfg.bidirectional, s.bidirectional, cfg.bidirectional},
		{"NoBias", cfg.noBias, s.noBias, cfg.noBias},
		{"LayerNorm", LayerNorm(cfg.norm), LayerNorm(s.norm), cfg.norm != cell.NoNorm},
		{"Peephole", cfg.peephole, s.peephole, cfg.peephole},
	})
}

var recurrentName = regexp.MustCompile(`^(weight|bias)_(ih|hh|hr)_l(0|[1-9][0-9]{0,8})(_reverse)?$`)

// inferRecurrent finds the shape of a recurrent layer in names and shapes:
// layers, directions, bias and projection from the names, I and H from the
// columns of weight_ih_l0 and weight_hh_l0, or H and P from weight_hr_l0 [P,H],
// and G from G*H rows. If any tensor then differs, the error lists them all.
func inferRecurrent(name string, sd StateDict, prefix string) (recurrentShape, error) {
	s := recurrentShape{noBias: true}
	names, proj := 0, false
	for key := range sd {
		key, ok := strings.CutPrefix(key, prefix)
		m := recurrentName.FindStringSubmatch(key)
		if !ok || m == nil {
			continue
		}
		layer, _ := strconv.Atoi(m[3])
		names++
		s.layers = max(s.layers, layer+1)
		s.bidirectional = s.bidirectional || m[4] != ""
		s.noBias = s.noBias && m[1] != "bias"
		proj = proj || m[2] == "hr"
	}
	s.layers = min(s.layers, names) // a name may have any number
	if _, ok := sd[prefix+"weight_ln_ih_l0"]; ok {
		s.norm = cell.NormA
	}
	if _, ok := sd[prefix+"bias_ln_ih_l0"]; ok {
		s.norm, s.noBias = cell.NormB, false
	}
	_, s.peephole = sd[prefix+"weight_peephole_l0"]

	const ih, hh, hr = "weight_ih_l0", "weight_hh_l0", "weight_hr_l0"
	first := matrices(ih, hh)
	if proj {
		first = matrices(ih, hh, hr)
	}
	if err := first.present(name, sd, prefix); err != nil {
		return s, err
	}
	rows := sd[prefix+ih].Shape[0]
	s.input, s.hidden = sd[prefix+ih].Shape[1], sd[prefix+hh].Shape[1]
	if proj {
		t := sd[prefix+hr]
		s.proj, s.hidden = t.Shape[0], t.Shape[1]
		if s.proj >= s.hidden {
			return s, loadError(name, wrongShape(prefix+hr, t, "fewer rows than columns"))
		}
	}
	s.gates = rows / s.hidden
	if kinds[s.gates] == "" || rows%s.hidden != 0 || proj && s.gates != (cell.LSTM{}).Gates() {
		want := fmt.Sprintf("1, 3 or 4 times %d rows", s.hidden)
		if proj {
			want = fmt.Sprintf("4 times %d rows, for %s is that of an LSTM", s.hidden, prefix+hr)
		}
		return s, loadError(name, wrongShape(prefix+ih, sd[prefix+ih], want))
	}
	return s, s.params().compare(sd, prefix).strict(name)
}
