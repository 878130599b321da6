package layer

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/cell"
	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
)

// clone copies a StateDict, which others may then break.
func clone(sd StateDict) StateDict {
	c := make(StateDict, len(sd))
	for name, t := range sd {
		c[name] = Tensor{slices.Clone(t.Shape), slices.Clone(t.Data)}
	}
	return c
}

// with returns a copy in which tensors are set, or deleted where t is nil.
func with(sd StateDict, change map[string]*Tensor) StateDict {
	sd = clone(sd)
	for name, t := range change {
		if t == nil {
			delete(sd, name)
		} else {
			sd[name] = *t
		}
	}
	return sd
}

func zeros(shape ...int) *Tensor { return &Tensor{shape, make([]float32, elements(shape))} }

func encode(t testing.TB, sd StateDict) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, EncodeSafetensors(&b, sd))
	return b.Bytes()
}

func decode(b []byte) (StateDict, error) { return DecodeSafetensors(bytes.NewReader(b), int64(len(b))) }

// TestSafetensorsGolden reads a file of PyTorch's tensors: a bidirectional LSTM
// with a projection, and others of all sorts.
func TestSafetensorsGolden(t *testing.T) {
	var want map[string]struct {
		Shape []int
		Data  []float64
	}
	readJSON(t, "state_expected.json", &want)
	require.Len(t, want, 18)
	sd, err := ReadSafetensors("testdata/state.safetensors")
	require.NoError(t, err)
	require.Len(t, sd, len(want))
	for name, w := range want {
		require.Contains(t, sd, name)
		require.Equal(t, w.Shape, sd[name].Shape, name)
		requireBits(t, kerneltest.Float32s(w.Data), sd[name].Data, name)
	}

	again, err := decode(encode(t, sd))
	require.NoError(t, err)
	require.Equal(t, sd, again)

	maps.DeleteFunc(sd, func(name string, _ Tensor) bool { return !recurrentName.MatchString(name) })
	s, err := inferRecurrent("LSTM", sd, "")
	require.NoError(t, err)
	require.Equal(t, recurrentShape{gates: 4, input: 2, hidden: 3, layers: 1, proj: 2, bidirectional: true}, s)
	lstm, err := LoadLSTM(sd, "", LSTMConfig{BatchFirst: true})
	require.NoError(t, err)
	require.Equal(t, "LSTM(2, 3, proj_size=2, batch_first=True, bidirectional=True)", lstm.String())
	require.Equal(t, sd, lstm.Params().StateDict(""))
}

// TestLoadNetworks: every network comes back whole from its tensors alone.
func TestLoadNetworks(t *testing.T) {
	for _, n := range networks {
		t.Run(n.String(), func(t *testing.T) {
			from := networkOf(t, n, NewRand(1))
			sd := from.Params().StateDict("a.")
			var to *recurrent
			switch n.mode {
			case "LSTM":
				l, err := LoadLSTM(sd, "a.", LSTMConfig{})
				require.NoError(t, err)
				to = &l.recurrent
			case "GRU":
				l, err := LoadGRU(sd, "a.", GRUConfig{})
				require.NoError(t, err)
				to = &l.recurrent
			default:
				l, err := LoadRNN(sd, "a.", RNNConfig{})
				require.NoError(t, err)
				to = &l.recurrent
			}
			require.Equal(t, from.config.shape(), to.config.shape())
			require.Equal(t, sd, to.Params().StateDict("a."))
		})
	}
}

func TestLoadEmbeddingAndCells(t *testing.T) {
	from, err := NewEmbedding(DefaultEmbedding(5, 3), NewRand(1))
	require.NoError(t, err)
	sd := from.Params().StateDict("e.")
	to, err := LoadEmbedding(sd, "e.", EmbeddingConfig{PaddingIdx: NoPadding})
	require.NoError(t, err)
	require.Equal(t, sd, to.Params().StateDict("e."))
	_, err = LoadEmbedding(sd, "e.", EmbeddingConfig{Num: 4, Dim: 3})
	require.EqualError(t, err, "layer: load Embedding: Num = 4, want 5 as in the tensors")
	_, err = LoadEmbedding(sd, "", EmbeddingConfig{})
	require.EqualError(t, err, `layer: load Embedding: missing weight; did you mean prefix "e."?`)

	cell, err := NewGRUCell(CellConfig{Input: 2, Hidden: 3}, NewRand(1))
	require.NoError(t, err)
	other, err := NewGRUCell(CellConfig{Input: 2, Hidden: 3}, nil)
	require.NoError(t, err)
	require.NoError(t, other.LoadStateDict(cell.Params().StateDict("c."), "c."))
	require.Equal(t, cell.Params().StateDict(""), other.Params().StateDict(""))
	missing, _, err := other.LoadMatching(nil, "")
	require.NoError(t, err)
	require.Len(t, missing, 4)
}

// TestSafetensorsBytes: the file is the one that the reference writer makes of the
// same model (safetensors 0.8.0, save_file with the metadata format = pt).
func TestSafetensorsBytes(t *testing.T) {
	r := NewRand(0)
	lstm, err := NewLSTM(LSTMConfig{Input: 2, Hidden: 3}, r)
	require.NoError(t, err)
	head, err := NewLinear(LinearConfig{Input: 3, Output: 1}, r)
	require.NoError(t, err)
	sd := lstm.Params().StateDict("rnn.")
	maps.Copy(sd, head.Params().StateDict("head."))
	want, err := os.ReadFile("testdata/model.safetensors")
	require.NoError(t, err)
	require.Equal(t, want, encode(t, sd))
}

func TestSafetensorsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	nan := math.Float32frombits(0x7fc12345)
	sd := StateDict{
		"x": {[]int{2, 2}, []float32{1, float32(math.Inf(-1)), 0x1p-149, float32(math.Copysign(0, -1))}},
		"n": {[]int{1}, []float32{nan}}, "scalar": {[]int{}, []float32{5}}, "empty": {[]int{0, 3}, []float32{}},
	}
	requireFile := func() {
		t.Helper()
		got, err := ReadSafetensors(path)
		require.NoError(t, err)
		require.Len(t, got, len(sd))
		for name, want := range sd {
			require.Equal(t, want.Shape, got[name].Shape)
			requireBits(t, want.Data, got[name].Data, name)
		}
	}
	require.NoError(t, WriteSafetensors(path, sd))
	requireFile()

	// What cannot be written leaves the old file.
	bad := StateDict{"x": {[]int{2}, []float32{1}}}
	require.EqualError(t, WriteSafetensors(path, bad),
		"layer: WriteSafetensors: "+path+`: tensor "x": 4 bytes of data, want 8 for F32 [2]`)
	require.EqualError(t, EncodeSafetensors(new(bytes.Buffer), bad),
		`layer: EncodeSafetensors: tensor "x": 4 bytes of data, want 8 for F32 [2]`)
	requireFile()
	require.Error(t, WriteSafetensors(filepath.Join(path, "m"), sd), "below a file")
	require.ErrorContains(t, WriteSafetensors(filepath.Dir(path), sd), "is not a regular file")

	_, err := ReadSafetensors(path + ".none")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "layer: ReadSafetensors: open ")
	b := encode(t, sd)
	require.NoError(t, os.WriteFile(path, b[:len(b)-1], 0o600))
	_, err = ReadSafetensors(path)
	require.EqualError(t, err, fmt.Sprintf("layer: ReadSafetensors: %s: tensors have 24 bytes, the file has 23", path))
	_, err = decode(b[:4])
	require.EqualError(t, err, "layer: DecodeSafetensors: file has 4 bytes, want at least 8")
	_, err = decode(bytes.Replace(encode(t, StateDict{"w": *zeros(2)}), []byte("F32"), []byte("C64"), 1))
	require.ErrorContains(t, err, `tensor "w" has 8 bytes of data, want 16 for C64 [2]`)
	_, err = decode(bytes.Replace(encode(t, StateDict{"w": *zeros(1, 2)}), []byte(`F32","shape":[1,2]`), []byte(`C64","shape":[1,1]`), 1))
	require.EqualError(t, err, `layer: DecodeSafetensors: tensor "w" has the type C64, which cannot be read as float32`)
}

func TestStateDict(t *testing.T) {
	lstm := newModel(t, "LSTM", 3, 4, false, NewRand(1))
	sd := lstm.Params().StateDict("rnn.")
	before := clone(sd)
	require.Len(t, sd, 4)
	for _, p := range lstm.Params() {
		require.Equal(t, Tensor{p.Shape, p.Data}, sd["rnn."+p.Name])
	}
	sd["rnn.bias_hh_l0"].Data[0]++
	sd["rnn.bias_hh_l0"].Shape[0]++
	require.Equal(t, before, lstm.Params().StateDict("rnn."), "not a copy")
	require.PanicsWithValue(t, "layer: Params.StateDict: two parameters are named weight_ih_l0, want those of one layer",
		func() { slices.Concat(lstm.Params(), lstm.Params()).StateDict("") })
}

// A loader is what layers and Params do.
type loader interface {
	LoadStateDict(sd StateDict, prefix string) error
	LoadMatching(sd StateDict, prefix string) (missing, unexpected []string, err error)
}

// TestLoad: a loaded model computes what the other one does, also on a tape that
// was there before.
func TestLoad(t *testing.T) {
	const I, H, T, B = 5, 18, 3, 2
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		forEachMode(t, func(t *testing.T, mode string) {
			r := NewRand(3)
			from := newModel(t, mode, I, H, false, r)
			sd := from.Params().StateDict("a.b.")
			sd["a.c"] = *zeros(1)
			want := newProblem(mode, I, H, T, B, r)
			want.solve(from.NewTape(T, B))
			for i, load := range []func(model, *Tape) error{
				func(m model, _ *Tape) error { return m.(loader).LoadStateDict(sd, "a.b.") },
				func(m model, _ *Tape) error { return m.Params().LoadStateDict(sd, "a.b.") },
				func(_ model, tape *Tape) error { return tape.Params().LoadStateDict(sd, "a.b.") },
				func(m model, _ *Tape) error { _, _, err := m.(loader).LoadMatching(sd, "a.b."); return err },
				func(m model, _ *Tape) error { _, _, err := m.Params().LoadMatching(sd, "a.b."); return err },
			} {
				m := newModel(t, mode, I, H, false, r)
				tape := m.NewTape(T, B)
				require.NoError(t, load(m, tape))
				got := *want
				got.solve(tape)
				requireBits(t, want.y, got.y, fmt.Sprint("y ", i))
				requireBits(t, want.dx, got.dx, fmt.Sprint("dx ", i))
			}
		})
	})
	linear, err := NewLinear(LinearConfig{Input: 2, Output: 3}, NewRand(1))
	require.NoError(t, err)
	x, want, got := []float32{1, 2}, make([]float32, 3), make([]float32, 3)
	linear.Forward(want, x)
	other, err := NewLinear(LinearConfig{Input: 2, Output: 3}, nil)
	require.NoError(t, err)
	require.NoError(t, other.LoadStateDict(linear.Params().StateDict("."), "."))
	other.Forward(got, x)
	requireBits(t, want, got, "Linear")
	require.EqualError(t, linear.LoadStateDict(nil, ""), "layer: load Linear: missing weight, bias")
	missing, unexpected, err := linear.LoadMatching(nil, "p.")
	require.NoError(t, err)
	require.Equal(t, []string{"p.weight", "p.bias"}, missing)
	require.Empty(t, unexpected)
}

// TestLoadDifferences: what strict loading says, and what the other one returns
// if that is not an error as well. Nothing is written on errors.
func TestLoadDifferences(t *testing.T) {
	from := newModel(t, "LSTM", 3, 2, false, NewRand(1))
	good := from.Params().StateDict("rnn.")
	renamed := func(prefixes ...string) StateDict {
		sd := StateDict{}
		for _, prefix := range prefixes {
			maps.Copy(sd, from.Params().StateDict(prefix))
		}
		return sd
	}
	type set = map[string]*Tensor
	for _, c := range []struct {
		name, prefix        string
		sd                  StateDict
		strict              string
		missing, unexpected []string
		matching            string
	}{
		{name: "same", sd: good},
		{name: "other layers", sd: with(good, set{"head.weight": zeros(1, 2), "rn": zeros(1), "rnn": zeros(1)})},
		{name: "shape", sd: with(good, set{"rnn.weight_hh_l0": zeros(8, 3)}),
			strict:   "rnn.weight_hh_l0 has shape [8 3], want [8 2]",
			matching: "rnn.weight_hh_l0 has shape [8 3], want [8 2]"},
		{name: "transposed", sd: with(good, set{"rnn.weight_ih_l0": zeros(3, 8)}),
			strict:   "rnn.weight_ih_l0 has shape [3 8], want [8 3]",
			matching: "rnn.weight_ih_l0 has shape [3 8], want [8 3]"},
		{name: "one dimension more", sd: with(good, set{"rnn.bias_ih_l0": zeros(8, 1)}),
			strict:   "rnn.bias_ih_l0 has shape [8 1], want [8]",
			matching: "rnn.bias_ih_l0 has shape [8 1], want [8]"},
		{name: "too little data", sd: with(good, set{"rnn.bias_ih_l0": {[]int{8}, make([]float32, 7)}}),
			strict:   "rnn.bias_ih_l0 has 7 values, want shape [8]",
			matching: "rnn.bias_ih_l0 has 7 values, want shape [8]"},
		{name: "missing", sd: with(good, set{"rnn.weight_hh_l0": nil, "rnn.bias_hh_l0": nil}),
			strict:  "missing rnn.weight_hh_l0, rnn.bias_hh_l0",
			missing: []string{"rnn.weight_hh_l0", "rnn.bias_hh_l0"}},
		{name: "unexpected", sd: with(good, set{"rnn.weight_ih_l1": zeros(1), "rnn.a": zeros(1)}),
			strict:     "unexpected rnn.a, rnn.weight_ih_l1",
			unexpected: []string{"rnn.a", "rnn.weight_ih_l1"}},
		{name: "all at once", sd: with(good, set{"rnn.a": zeros(1), "rnn.bias_ih_l0": nil, "rnn.weight_ih_l0": zeros(8), "rnn.weight_hh_l0": zeros(2)}),
			strict:   "missing rnn.bias_ih_l0; unexpected rnn.a; rnn.weight_ih_l0 has shape [8], want [8 3]; rnn.weight_hh_l0 has shape [2], want [8 2]",
			matching: "rnn.weight_ih_l0 has shape [8], want [8 3]; rnn.weight_hh_l0 has shape [2], want [8 2]"},
		{name: "other prefix", sd: renamed("module.rnn.", "_orig_mod.rnn."),
			strict:  `missing rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, rnn.bias_hh_l0; did you mean prefix "_orig_mod.rnn." or "module.rnn."?`,
			missing: []string{"rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"}},
		{name: "no prefix", sd: renamed(""),
			strict:  `missing rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, rnn.bias_hh_l0; did you mean prefix ""?`,
			missing: []string{"rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"}},
		{name: "no dot", prefix: "rnn", sd: with(good, set{"rnn.weight_hh_l0": zeros(8, 3)}),
			strict:     "missing rnnweight_ih_l0, rnnweight_hh_l0, rnnbias_ih_l0, rnnbias_hh_l0; unexpected rnn.bias_hh_l0, rnn.bias_ih_l0, rnn.weight_hh_l0, rnn.weight_ih_l0",
			missing:    []string{"rnnweight_ih_l0", "rnnweight_hh_l0", "rnnbias_ih_l0", "rnnbias_hh_l0"},
			unexpected: []string{"rnn.bias_hh_l0", "rnn.bias_ih_l0", "rnn.weight_hh_l0", "rnn.weight_ih_l0"}},
		{name: "weight-drop", sd: with(good, set{"rnn.weight_hh_l0": nil, "rnn.weight_hh_l0_raw": zeros(8, 2)}),
			strict:   "missing rnn.weight_hh_l0; unexpected rnn.weight_hh_l0_raw; rnn.weight_hh_l0_raw is of weight-drop: move it to rnn.weight_hh_l0",
			matching: "rnn.weight_hh_l0_raw is of weight-drop: move it to rnn.weight_hh_l0"},
		{name: "weight-drop around the layer", prefix: "rnn.module.", sd: with(renamed("rnn.module."), set{"rnn.weight_hh_l0_raw": zeros(8, 2)}),
			strict:   "rnn.weight_hh_l0_raw is of weight-drop: move it to rnn.module.weight_hh_l0",
			matching: "rnn.weight_hh_l0_raw is of weight-drop: move it to rnn.module.weight_hh_l0"},
		{name: "weight_norm", sd: with(good, set{"rnn.weight_hh_l0": nil, "rnn.weight_hh_l0_g": zeros(8, 1), "rnn.weight_hh_l0_v": zeros(8, 2)}),
			strict: "missing rnn.weight_hh_l0; unexpected rnn.weight_hh_l0_g, rnn.weight_hh_l0_v; " +
				"rnn.weight_hh_l0_g is of weight_norm: call torch.nn.utils.remove_weight_norm before saving; " +
				"rnn.weight_hh_l0_v is of weight_norm: call torch.nn.utils.remove_weight_norm before saving",
			matching: "rnn.weight_hh_l0_g is of weight_norm: call torch.nn.utils.remove_weight_norm before saving; " +
				"rnn.weight_hh_l0_v is of weight_norm: call torch.nn.utils.remove_weight_norm before saving"},
		{name: "the suffix of weight_norm", sd: with(good, set{"rnn.weight_hh_l0_v": zeros(1)}),
			strict:     "unexpected rnn.weight_hh_l0_v",
			unexpected: []string{"rnn.weight_hh_l0_v"}},
		{name: "parametrization", sd: with(good, set{"rnn.weight_hh_l0": nil, "rnn.parametrizations.weight_hh_l0.original": zeros(8, 2)}),
			strict: "missing rnn.weight_hh_l0; unexpected rnn.parametrizations.weight_hh_l0.original; " +
				"rnn.parametrizations.weight_hh_l0.original is of a parametrization: call torch.nn.utils.parametrize.remove_parametrizations before saving",
			matching: "rnn.parametrizations.weight_hh_l0.original is of a parametrization: call torch.nn.utils.parametrize.remove_parametrizations before saving"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.prefix == "" {
				c.prefix = "rnn."
			}
			m := newModel(t, "LSTM", 3, 2, false, NewRand(2))
			before := m.Params().StateDict("")
			err := m.(loader).LoadStateDict(c.sd, c.prefix)
			if c.strict == "" {
				require.NoError(t, err)
				require.Equal(t, from.Params().StateDict(""), m.Params().StateDict(""))
			} else {
				require.EqualError(t, err, "layer: load LSTM: "+c.strict)
				require.Equal(t, before, m.Params().StateDict(""), "written")
			}

			m = newModel(t, "LSTM", 3, 2, false, NewRand(2))
			missing, unexpected, err := m.(loader).LoadMatching(c.sd, c.prefix)
			require.Equal(t, c.missing, missing)
			require.Equal(t, c.unexpected, unexpected)
			if c.matching != "" {
				require.EqualError(t, err, "layer: load LSTM: "+c.matching)
				require.Equal(t, before, m.Params().StateDict(""), "written")
				return
			}
			require.NoError(t, err)
			for name, got := range m.Params().StateDict("") {
				want := from.Params().StateDict("")[name]
				if slices.Contains(missing, c.prefix+name) {
					want = before[name]
				}
				require.Equal(t, want, got, name)
			}
		})
	}
	two := slices.Concat(from.Params(), from.Params()[:1])
	require.EqualError(t, two.LoadStateDict(good, "rnn."), "layer: load Params: rnn.weight_ih_l0 would be loaded twice")
	require.NoError(t, Params(nil).LoadStateDict(StateDict{"a": {}}, "b"))
}

// TestShapeParams compares names, shapes and order with what PyTorch documents.
func TestShapeParams(t *testing.T) {
	list := func(s recurrentShape) (all []string) {
		for _, p := range s.params() {
			all = append(all, fmt.Sprint(p.Name, " ", p.Shape))
		}
		return all
	}
	require.Equal(t, []string{
		"weight_ih_l0 [20 3]", "weight_hh_l0 [20 2]", "bias_ih_l0 [20]", "bias_hh_l0 [20]", "weight_hr_l0 [2 5]",
		"weight_ih_l0_reverse [20 3]", "weight_hh_l0_reverse [20 2]", "bias_ih_l0_reverse [20]", "bias_hh_l0_reverse [20]", "weight_hr_l0_reverse [2 5]",
		"weight_ih_l1 [20 4]", "weight_hh_l1 [20 2]", "bias_ih_l1 [20]", "bias_hh_l1 [20]", "weight_hr_l1 [2 5]",
		"weight_ih_l1_reverse [20 4]", "weight_hh_l1_reverse [20 2]", "bias_ih_l1_reverse [20]", "bias_hh_l1_reverse [20]", "weight_hr_l1_reverse [2 5]",
	}, list(recurrentShape{gates: 4, input: 3, hidden: 5, layers: 2, proj: 2, bidirectional: true}))
	require.Equal(t, []string{"weight_ih_l0 [15 3]", "weight_hh_l0 [15 5]", "weight_ih_l1 [15 5]", "weight_hh_l1 [15 5]"},
		list(recurrentShape{gates: 3, input: 3, hidden: 5, layers: 2, noBias: true}))

	for _, noBias := range []bool{false, true} {
		want := recurrentShape{gates: 4, input: 3, hidden: 5, layers: 1, noBias: noBias}.params()
		for i, p := range newModel(t, "LSTM", 3, 5, noBias, nil).Params() {
			require.Equal(t, want[i], Param{Name: p.Name, Shape: p.Shape})
		}
	}
}

// forEachShape calls f for recurrent layers of every kind, and their tensors.
func forEachShape(f func(s recurrentShape, sd StateDict)) {
	for gates := range kinds {
		for layers := 1; layers <= 3; layers++ {
			for options := range 8 {
				s := recurrentShape{gates: gates, input: 7, hidden: 5, layers: layers,
					bidirectional: options&1 != 0, noBias: options&2 != 0}
				if options&4 != 0 {
					if gates != 4 {
						continue
					}
					s.proj = 3
				}
				ps := s.params()
				ps.alloc()
				f(s, ps.StateDict("m.rnn."))
			}
		}
	}
}

func TestInfer(t *testing.T) {
	n := 0
	forEachShape(func(s recurrentShape, sd StateDict) {
		n++
		sd["m.head.weight"] = *zeros(1)
		got, err := inferRecurrent("X", sd, "m.rnn.")
		require.NoError(t, err)
		require.Equal(t, s, got)
		for name, tensor := range sd {
			if name == "m.head.weight" {
				continue
			}
			// Without a weight_hr at all, H is P, and the rows do not fit.
			blamed := name
			if strings.HasSuffix(name, "_hr_l0") && !s.bidirectional && s.layers == 1 {
				blamed = "m.rnn.weight_ih_l0"
			}
			_, err := inferRecurrent("X", with(sd, map[string]*Tensor{name: nil}), "m.rnn.")
			require.ErrorContains(t, err, blamed, "%v without %s", s, name)

			// One more row, column or dimension. The columns of some say what H is.
			for i := range len(tensor.Shape) + 1 {
				shape := slices.Clone(tensor.Shape)
				if i < len(shape) {
					shape[i]++
				} else {
					shape = append(shape, 1)
				}
				blamed := name
				if i == 1 && len(shape) == 2 && (strings.HasSuffix(name, "weight_hr_l0") || strings.HasSuffix(name, "weight_hh_l0") && s.proj == 0) {
					blamed = "m.rnn.weight_ih_l0"
				}
				if i == 1 && strings.HasSuffix(name, "weight_ih_l0") && !s.bidirectional {
					continue // another I is as good
				}
				if i == 1 && strings.HasSuffix(name, "weight_ih_l0") || i == 0 && strings.HasSuffix(name, "weight_hr_l0") {
					blamed = "want" // others differ then
				}
				_, err := inferRecurrent("X", with(sd, map[string]*Tensor{name: zeros(shape...)}), "m.rnn.")
				require.ErrorContains(t, err, "layer: load X: ", "%v with %s %v", s, name, shape)
				require.ErrorContains(t, err, blamed, "%v with %s %v", s, name, shape)
			}
		}
	})
	require.Equal(t, 3*(4+4+8), n)
}

func TestInferErrors(t *testing.T) {
	good := func(s recurrentShape) StateDict {
		s.input, s.hidden = 3, 2
		s.layers = max(s.layers, 1)
		ps := s.params()
		ps.alloc()
		return ps.StateDict("")
	}
	lstm := good(recurrentShape{gates: 4})
	proj := good(recurrentShape{gates: 4, proj: 1})
	type set = map[string]*Tensor
	for _, c := range []struct {
		name string
		sd   StateDict
		err  string
	}{
		{"nothing", nil, "missing weight_ih_l0, weight_hh_l0"},
		{"elsewhere", StateDict{"a.weight_ih_l0": *zeros(8, 3), "a.weight_hh_l0": *zeros(8, 2)}, `missing weight_ih_l0, weight_hh_l0; did you mean prefix "a."?`},
		{"two gates", with(lstm, set{"weight_ih_l0": zeros(4, 3)}), "weight_ih_l0 has shape [4 3], want 1, 3 or 4 times 2 rows"},
		{"five gates", with(lstm, set{"weight_ih_l0": zeros(10, 3)}), "weight_ih_l0 has shape [10 3], want 1, 3 or 4 times 2 rows"},
		{"odd rows", with(lstm, set{"weight_ih_l0": zeros(9, 3)}), "weight_ih_l0 has shape [9 3], want 1, 3 or 4 times 2 rows"},
		{"a vector", with(lstm, set{"weight_ih_l0": zeros(8)}), "weight_ih_l0 has shape [8], want two dimensions of at least 1"},
		{"no columns", with(lstm, set{"weight_hh_l0": zeros(8, 0)}), "weight_hh_l0 has shape [8 0], want two dimensions of at least 1"},
		{"no rows", with(lstm, set{"weight_ih_l0": zeros(0, 3)}), "weight_ih_l0 has shape [0 3], want two dimensions of at least 1"},
		{"negative", with(lstm, set{"weight_hh_l0": {[]int{-8, -2}, make([]float32, 16)}}), "weight_hh_l0 has 16 values, want shape [-8 -2]; weight_hh_l0 has shape [-8 -2], want two dimensions of at least 1"},
		{"overflow", with(lstm, set{"weight_hh_l0": {[]int{math.MaxInt, 8}, nil}}), fmt.Sprintf("weight_hh_l0 has 0 values, want shape [%d 8]", math.MaxInt)},
		{"GRU with projection", with(proj, set{"weight_ih_l0": zeros(6, 3)}), "weight_ih_l0 has shape [6 3], want 4 times 2 rows, for weight_hr_l0 is that of an LSTM"},
		{"P = H", with(proj, set{"weight_hr_l0": zeros(2, 2)}), "weight_hr_l0 has shape [2 2], want fewer rows than columns"},
		{"one bias", with(lstm, set{"bias_hh_l0": nil}), "missing bias_hh_l0"},
		{"bias of one layer", with(good(recurrentShape{gates: 1, layers: 2, noBias: true}), set{"bias_ih_l1": zeros(2), "bias_hh_l1": zeros(2)}), "missing bias_ih_l0, bias_hh_l0"},
		{"projection of one layer", with(good(recurrentShape{gates: 4, layers: 2}), set{"weight_hr_l1": zeros(1, 2)}), "missing weight_hr_l0"},
		{"one direction of one layer", with(good(recurrentShape{gates: 3, layers: 2, noBias: true}), set{"weight_ih_l1_reverse": zeros(6, 2)}),
			"missing weight_ih_l0_reverse, weight_hh_l0_reverse, weight_hh_l1_reverse; weight_ih_l1 has shape [6 2], want [6 4]; weight_ih_l1_reverse has shape [6 2], want [6 4]"},
		{"a layer between", with(lstm, set{"weight_ih_l2": zeros(8, 2)}),
			"missing weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1, weight_hh_l2, bias_ih_l2, bias_hh_l2"},
		{"layer of any number", with(good(recurrentShape{gates: 4, noBias: true}), set{"weight_ih_l999999999": zeros(8, 2)}),
			"missing weight_ih_l1, weight_hh_l1, weight_ih_l2, weight_hh_l2; unexpected weight_ih_l999999999"},
		{"not quite a name", with(lstm, set{"weight_ih_l00": zeros(8, 3), "xweight_ih_l0": zeros(8, 3), "weight_ih_l0_reversed": zeros(8, 3), "weight_ih_l1000000000": zeros(1)}),
			"unexpected weight_ih_l00, weight_ih_l0_reversed, weight_ih_l1000000000, xweight_ih_l0"},
		{"weight_norm", with(lstm, set{"weight_hh_l0": nil, "weight_hh_l0_v": zeros(8, 2)}),
			"missing weight_hh_l0; weight_hh_l0_v is of weight_norm: call torch.nn.utils.remove_weight_norm before saving"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := inferRecurrent("X", c.sd, "")
			require.ErrorContains(t, err, "layer: load X: "+c.err)
		})
	}
}

// TestLoadShape: the config must not say anything else than the tensors.
func TestLoadShape(t *testing.T) {
	forEachShape(func(s recurrentShape, sd StateDict) {
		c, name := map[int]cell.Cell{1: cell.RNN{}, 4: cell.LSTM{}}[s.gates], map[int]string{1: "RNN", 4: "LSTM"}[s.gates]
		if c == nil {
			_, err := loadShape("LSTM", cell.LSTM{}, sd, "m.rnn.", recurrentShape{})
			require.EqualError(t, err, "layer: load LSTM: m.rnn.weight_ih_l0 has shape [15 7], want [20 7]; the tensors are those of a GRU")
			return
		}
		load := func(cfg recurrentShape) error {
			got, err := loadShape(name, c, sd, "m.rnn.", cfg)
			require.Equal(t, s, got)
			return err
		}
		require.NoError(t, load(recurrentShape{}))
		require.NoError(t, load(s))
		require.EqualError(t, load(recurrentShape{input: 1, hidden: 1, layers: 9}),
			fmt.Sprintf("layer: load %s: Input = 1, want 7 as in the tensors; Hidden = 1, want 5 as in the tensors; Layers = 9, want %d as in the tensors", name, s.layers))
		require.EqualError(t, load(recurrentShape{proj: 1}), fmt.Sprintf("layer: load %s: Proj = 1, want %d as in the tensors", name, s.proj))
		requireFlag := func(field string, ok bool, cfg recurrentShape) {
			if ok {
				require.NoError(t, load(cfg))
			} else {
				require.EqualError(t, load(cfg), fmt.Sprintf("layer: load %s: %s = true, want false as in the tensors", name, field))
			}
		}
		requireFlag("Bidirectional", s.bidirectional, recurrentShape{bidirectional: true})
		requireFlag("NoBias", s.noBias, recurrentShape{noBias: true})
	})
}

// requireSame compares what two models compute.
func requireSame(t *testing.T, want, got model) {
	t.Helper()
	x := uniform(NewRand(5), 12, -1, 1) // [4,1,3]
	y := [2][]float32{make([]float32, 8), make([]float32, 8)}
	for i, m := range []model{want, got} {
		m.NewStream(1).Forward(y[i], x)
	}
	requireBits(t, y[0], y[1], "y")
}

// TestLoadLayers builds layers of tensors.
func TestLoadLayers(t *testing.T) {
	for _, noBias := range []bool{false, true} {
		r := NewRand(1)
		lstm := newModel(t, "LSTM", 3, 2, noBias, r)
		rnn := newModel(t, "RNN_RELU", 3, 2, noBias, r)
		linear, err := NewLinear(LinearConfig{Input: 3, Output: 2, NoBias: noBias}, r)
		require.NoError(t, err)
		sd := lstm.Params().StateDict("lstm.")
		maps.Copy(sd, rnn.Params().StateDict("rnn."))
		maps.Copy(sd, linear.Params().StateDict("linear."))

		l, err := LoadLSTM(sd, "lstm.", LSTMConfig{})
		require.NoError(t, err)
		requireSame(t, lstm, l)
		n, err := LoadRNN(sd, "rnn.", RNNConfig{Nonlinearity: ReLU, Input: 3})
		require.NoError(t, err)
		requireSame(t, rnn, n)
		h, err := LoadLinear(sd, "linear.", LinearConfig{Output: 2})
		require.NoError(t, err)
		require.Equal(t, linear.Params().StateDict(""), h.Params().StateDict(""))

		_, err = LoadRNN(sd, "lstm.", RNNConfig{})
		require.EqualError(t, err, "layer: load RNN: lstm.weight_ih_l0 has shape [8 3], want [2 3]; the tensors are those of an LSTM")
		_, err = LoadLSTM(sd, "rnn.", LSTMConfig{})
		require.EqualError(t, err, "layer: load LSTM: rnn.weight_ih_l0 has shape [2 3], want [8 3]; the tensors are those of an RNN")
		_, err = LoadLSTM(sd, "lstm.", LSTMConfig{Hidden: 3})
		require.EqualError(t, err, "layer: load LSTM: Hidden = 3, want 2 as in the tensors")
		_, err = LoadRNN(sd, "rnn.", RNNConfig{Nonlinearity: 7})
		require.EqualError(t, err, "layer: NewRNN: Nonlinearity = 7, want Tanh or ReLU")
		_, err = LoadLinear(sd, "linear.", LinearConfig{Input: 2, Output: 3})
		require.EqualError(t, err, "layer: load Linear: Input = 2, want 3 as in the tensors; Output = 3, want 2 as in the tensors")
		_, err = LoadLinear(sd, "", LinearConfig{})
		require.EqualError(t, err, `layer: load Linear: missing weight; did you mean prefix "linear."?`)
		_, err = LoadLinear(StateDict{"my_weight": *zeros(2, 3)}, "", LinearConfig{})
		require.EqualError(t, err, "layer: load Linear: missing weight")
		sd["linear.weight"] = *zeros(6)
		_, err = LoadLinear(sd, "linear.", LinearConfig{})
		require.EqualError(t, err, "layer: load Linear: linear.weight has shape [6], want two dimensions of at least 1")
		sd["linear.weight"], sd["linear.bias"] = *zeros(2, 3), *zeros(3)
		_, err = LoadLinear(sd, "linear.", LinearConfig{})
		require.EqualError(t, err, "layer: load Linear: linear.bias has shape [3], want [2]")
		sd["linear.weight_2"], sd["linear.bias"] = *zeros(2, 3), *zeros(2)
		_, err = LoadLinear(sd, "linear.", LinearConfig{})
		require.EqualError(t, err, "layer: load Linear: unexpected linear.weight_2")
	}
}

// FuzzLoad: no file makes loading panic, and what is loaded is what was there.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"state", "model"} {
		b, err := os.ReadFile("testdata/" + name + ".safetensors")
		require.NoError(f, err)
		f.Add(b, "rnn.")
		f.Add(b, "head.")
	}
	forEachShape(func(s recurrentShape, sd StateDict) {
		if s.layers == 1 {
			f.Add(encode(f, sd), "m.rnn.")
		}
	})
	f.Fuzz(func(t *testing.T, b []byte, prefix string) {
		sd, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(encode(t, sd))
		require.NoError(t, err)
		require.Equal(t, encode(t, sd), encode(t, again))
		check := func(ps Params) {
			for _, p := range ps {
				require.Equal(t, sd[prefix+p.Name].Shape, p.Shape)
				requireBits(t, sd[prefix+p.Name].Data, p.Data, p.Name)
			}
		}
		if l, err := LoadLSTM(sd, prefix, LSTMConfig{}); err == nil {
			check(l.Params())
		}
		if l, err := LoadRNN(sd, prefix, RNNConfig{}); err == nil {
			check(l.Params())
		}
		if l, err := LoadLinear(sd, prefix, LinearConfig{}); err == nil {
			check(l.Params())
		}
	})
}
