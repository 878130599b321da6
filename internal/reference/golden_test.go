package reference

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/layer"
)

func readJSON(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, to))
}

// relErr returns max|got-want| / max(1, max|want|).
func relErr(want, got []float64) float64 {
	diff, size := 0.0, 1.0
	for i, w := range want {
		if d := math.Abs(got[i] - w); d > diff || d != d {
			diff = d
		}
		size = max(size, math.Abs(w))
	}
	return diff / size
}

// A comparison collects the largest error of named values.
type comparison struct {
	t     *testing.T
	tol   float64
	worst float64
}

func (c *comparison) check(name string, want, got []float64) {
	c.t.Helper()
	require.Len(c.t, got, len(want), name)
	e := relErr(want, got)
	require.LessOrEqual(c.t, e, c.tol, name)
	c.worst = max(c.worst, e)
}

// goldenKind finds a Kind by PyTorch's mode.
var goldenKind = map[string]Kind{
	"RNN_TANH": RNNTanh, "RNN_RELU": RNNReLU, "RNN": RNNTanh, "LSTM": LSTM, "GRU": GRU,
}

func TestGolden(t *testing.T) {
	var golden struct {
		Cases []struct {
			Mode                   string
			Input                  int `json:"input_size"`
			Hidden                 int `json:"hidden_size"`
			Layers                 int `json:"num_layers"`
			Bias                   bool
			Bidirectional          bool
			Proj                   int `json:"proj_size"`
			T                      int `json:"seq_len"`
			B                      int `json:"batch"`
			Seed                   int64
			Lengths                []int
			X, H0, C0, Out, HN, CN []float64
			GradOut                []float64 `json:"grad_out"`
			GradHN                 []float64 `json:"grad_hn"`
			GradCN                 []float64 `json:"grad_cn"`
			DX, DH0, DC0           []float64
			DParams                map[string][]float64
			Params                 map[string]struct {
				Shape []int
				Data  []float64
			}
		}
	}
	readJSON(t, "rnn_cases.json", &golden)
	require.Len(t, golden.Cases, 25)
	worst := 0.0
	for i, g := range golden.Cases {
		cfg := Config{Kind: goldenKind[g.Mode], Input: g.Input, Hidden: g.Hidden, Layers: g.Layers, NoBias: !g.Bias, Bidirectional: g.Bidirectional, Proj: g.Proj}
		t.Run(fmt.Sprintf("%02d %s", i, cfg.Kind), func(t *testing.T) {
			ps := cfg.NewParams()
			require.Len(t, ps, len(g.Params))
			r := layer.NewRand(g.Seed)
			for _, p := range ps {
				want := g.Params[p.Name]
				require.Equal(t, want.Shape, p.Shape, p.Name)
				draw(r, p.Data, 1/math.Sqrt(float64(g.Hidden)))
				for j, v := range want.Data { // printed with 15 digits
					require.Equal(t, float32(v), float32(p.Data[j]), "%s[%d]", p.Name, j)
				}
				copy(p.Data, want.Data)
			}
			p := Forward(cfg, ps, Batch{T: g.T, B: g.B, X: g.X, H0: g.H0, C0: g.C0, Lengths: g.Lengths})

			c := comparison{t: t, tol: 1e-12}
			c.check("out", g.Out, p.Out)
			c.check("hn", g.HN, p.HN)
			c.check("cn", g.CN, p.CN)
			for range 2 { // a Pass may be used again
				d := p.Backward(g.GradOut, g.GradHN, g.GradCN)
				c.check("dx", g.DX, d.DX)
				c.check("dh0", g.DH0, d.DH0)
				c.check("dc0", g.DC0, d.DC0)
				require.Len(t, g.DParams, len(d.Params))
				for _, p := range d.Params {
					c.check("d "+p.Name, g.DParams[p.Name], p.Data)
				}
			}
			worst = max(worst, c.worst)
		})
	}
	t.Logf("largest relative error %.1e", worst)
}

type trainGolden struct {
	Adam struct {
		Args  struct{ LR float64 }
		P0    []float64
		Grads [][]float64
		After [][]float64 `json:"params_after_each_step"`
	}
	SeedExample map[string]struct {
		Init   map[string][]float64
		CostAt map[int]float64 `json:"cost_at"`
	} `json:"seed_example"`
	Dropout []struct {
		Kind          string
		Input         int `json:"input_size"`
		Hidden        int `json:"hidden_size"`
		Layers        int `json:"num_layers"`
		P             float64
		Bidirectional bool
		ParamSeed     int64 `json:"param_seed"`
		MaskSeed      int64 `json:"mask_seed"`
		X, Out, HN    []float64
		DX            []float64
		DWHH          []float64 `json:"dweight_hh_l0"`
	}
}

func loadTrainGolden(t *testing.T) (g trainGolden) {
	t.Helper()
	readJSON(t, "train_cases.json", &g)
	require.Len(t, g.Adam.After, 12)
	require.Len(t, g.SeedExample, 3)
	require.Len(t, g.Dropout, 6)
	return g
}

func TestAdamGolden(t *testing.T) {
	g := loadTrainGolden(t).Adam
	adam := DefaultAdam()
	adam.LR = g.Args.LR
	c := comparison{t: t, tol: 1e-12}
	for i, want := range g.After {
		adam.Step([][]float64{g.P0}, [][]float64{g.Grads[i]})
		c.check(fmt.Sprint("step ", i+1), want, g.P0)
	}
	t.Logf("largest relative error %.1e", c.worst)
}

// The next-word example of the blog that many newcomers start with: two
// one-hot words in, the third one out. PyTorch trained it in float32.
func TestSeedExampleGolden(t *testing.T) {
	const V, H, T = 9, 5, 2
	sentences := strings.Fields("i like dog i love coffee i hate milk you like cat you love milk you hate coffee")
	B := len(sentences) / (T + 1)
	vocab := map[string]int{}
	x, targets := make([]float64, T*B*V), make([]int, B)
	for i, word := range sentences {
		if _, ok := vocab[word]; !ok {
			vocab[word] = len(vocab)
		}
		if b, t := i/(T+1), i%(T+1); t < T {
			x[(t*B+b)*V+vocab[word]] = 1
		} else {
			targets[b] = vocab[word]
		}
	}
	require.Len(t, vocab, V)

	for kind, g := range loadTrainGolden(t).SeedExample {
		t.Run(kind, func(t *testing.T) {
			cfg := Config{Kind: goldenKind[kind], Input: V, Hidden: H}
			// Ours is W [H,V] times from the right, so W^T for Linear.
			bias, Wt := g.Init["b"], make([]float64, V*H)
			for h := range H {
				for v := range V {
					Wt[v*H+h] = g.Init["W"][h*V+v]
				}
			}
			ps := cfg.NewParams()
			for _, p := range ps {
				require.Len(t, g.Init[p.Name], len(p.Data), p.Name)
				copy(p.Data, g.Init[p.Name])
			}

			adam := DefaultAdam()
			adam.LR = 0.01
			worst := 0.0
			for step := 1; step <= 500; step++ {
				p := Forward(cfg, ps, Batch{T: T, B: B, X: x})
				last := row(p.Out, T, T-1)
				loss, dlogits := CrossEntropy(LinearForward(last, Wt, bias, H), targets)
				if want, ok := g.CostAt[step]; ok {
					require.InDelta(t, want, loss, 1e-6, "step %d", step)
					worst = max(worst, math.Abs(want-loss))
				}

				dW, db := make([]float64, len(Wt)), make([]float64, V)
				dOut := make([]float64, len(p.Out))
				copy(row(dOut, T, T-1), LinearBackward(dW, db, dlogits, last, Wt, H))
				d := p.Backward(dOut, nil, nil)
				params, grads := [][]float64{Wt, bias}, [][]float64{dW, db}
				for i := range ps {
					params, grads = append(params, ps[i].Data), append(grads, d.Params[i].Data)
				}
				adam.Step(params, grads)
			}
			t.Logf("largest difference %.1e", worst)
		})
	}
}

// Three layers with dropout between them, PyTorch's own masks, and the loss
// sum(out) + sum(hn^2).
func TestDropoutGolden(t *testing.T) {
	const T, B = 5, 2
	for _, g := range loadTrainGolden(t).Dropout {
		cfg := Config{Kind: goldenKind[g.Kind], Input: g.Input, Hidden: g.Hidden, Layers: g.Layers, Bidirectional: g.Bidirectional}
		t.Run(fmt.Sprintf("%s D=%d", g.Kind, cfg.D()), func(t *testing.T) {
			ps := cfg.NewParams()
			r := layer.NewRand(g.ParamSeed)
			for _, p := range ps {
				draw(r, p.Data, 1/math.Sqrt(float64(g.Hidden)))
			}
			r = layer.NewRand(g.MaskSeed)
			in := Batch{T: T, B: B, X: g.X}
			for range g.Layers - 1 {
				mask := make([]float64, T*B*cfg.D()*g.Hidden)
				for i := range mask {
					if r.Float64() < 1-g.P {
						mask[i] = 1 / (1 - g.P)
					}
				}
				in.Masks = append(in.Masks, mask)
			}
			p := Forward(cfg, ps, in)
			c := comparison{t: t, tol: 1e-12}
			c.check("out", g.Out, p.Out)
			c.check("hn", g.HN, p.HN)

			dOut, dHN := make([]float64, len(p.Out)), make([]float64, len(p.HN))
			for i := range dOut {
				dOut[i] = 1
			}
			for i, h := range p.HN {
				dHN[i] = 2 * h
			}
			d := p.Backward(dOut, dHN, nil)
			c.check("dx", g.DX, d.DX)
			c.check("dweight_hh_l0", g.DWHH, d.Params.Get("weight_hh_l0"))
			t.Logf("largest relative error %.1e", c.worst)
		})
	}
}

// draw fills dst with uniform float32 values in [-bound, bound).
func draw(r *layer.Rand, dst []float64, bound float64) {
	x := make([]float32, len(dst))
	r.Uniform(x, -bound, bound)
	for i, v := range x {
		dst[i] = float64(v)
	}
}
