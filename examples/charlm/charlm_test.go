package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
	"github.com/simdrnn/simdrnn/kernels"
	"github.com/simdrnn/simdrnn/layer"
	"github.com/simdrnn/simdrnn/train"
)

// asProgram in the environment makes the test binary the program itself, and
// asPeer the other process of compare, as far as it can be one.
const (
	asProgram = "CHARLM_AS_PROGRAM"
	asPeer    = "CHARLM_AS_PEER"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asProgram) != "":
		main()
	case os.Getenv(asPeer) != "":
		bePeer(os.Args[len(os.Args)-1], os.Getenv(asPeer))
		os.Exit(0)
	}
	kerneltest.Main(m)
}

// source writes a folder of small Go files.
func source(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	rnd := kerneltest.NewRand(5)
	for i := range 12 {
		var b strings.Builder
		fmt.Fprintf(&b, "package p%d\n", i)
		for range 10 {
			fmt.Fprintf(&b, "\nfunc f%d(x int) int {\n\treturn x + %d\n}\n", rnd.IntN(100), rnd.IntN(100))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d.go", i)), []byte(b.String()), 0o666))
	}
	return dir
}

// small are the flags of a run that takes a moment.
func small(dir, checkpoint string, more ...string) []string {
	return append([]string{"-data", dir, "-checkpoint", checkpoint, "-plot=", "-embed=4", "-hidden=8", "-groups=2", "-batch=3", "-unroll=5",
		"-steps=30", "-warmup=4", "-every=7", "-valid=300", "-log=10", "-lr=.05"}, more...)
}

func try(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = program(args, &out, &errs)
	return code, out.String(), errs.String()
}

func must(t testing.TB, args ...string) string {
	t.Helper()
	code, out, errs := try(args...)
	require.Zero(t, code, errs)
	require.Empty(t, errs)
	return out
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b
}

// A short run learns, says so in plain lines, and draws its curve.
func TestTrain(t *testing.T) {
	dir, out := source(t), t.TempDir()
	file, svg, png := filepath.Join(out, "a"), filepath.Join(out, "c.svg"), filepath.Join(out, "c.png")
	text := must(t, small(dir, file, "-steps=60", "-every=20", "-plot="+svg)...)
	require.NotContains(t, text, "\r")
	require.NotContains(t, text, "\x1b")
	require.Contains(t, text, ": 11 files for training, 1 held out; ")
	require.Regexp(t, `(?m)^bits per character of \d+ held out: uniform \d\.\d{3} unigram \d\.\d{3} order 3 \d\.\d{3} \(\d+\.\d s\)$`, text)
	require.Regexp(t, `(?m)^step 10/60: loss \d\.\d{3}, \d\.\d{3} bits, lr \d\.\de-\d\d, \d+ char/s, ETA \d+s$`, text)
	var bits []float64
	for _, m := range regexp.MustCompile(`(?m)^step \d+: (\S+) bits per character held out, \S+ in training; saved `).FindAllStringSubmatch(text, -1) {
		var v float64
		_, err := fmt.Sscan(m[1], &v)
		require.NoError(t, err)
		bits = append(bits, v)
	}
	require.Len(t, bits, 3)
	require.Less(t, bits[2], bits[0]-.5)
	require.Less(t, bits[2], 2.8)
	require.Contains(t, string(read(t, svg)), "<svg")

	h := history{Chars: []int{1000, 2000}, Train: []float64{5, 4}, Valid: []float64{5, 4.5}}
	require.NoError(t, drawCurve(png, h, []baseline{{"uniform", 6}}))
	require.True(t, bytes.HasPrefix(read(t, png), []byte("\x89PNG")))
	require.Error(t, drawCurve(filepath.Join(out, "c.gif2"), h, []baseline{{"uniform", 6}}))
}

// A run that was stopped goes on bit for bit: the next files are the same.
func TestResume(t *testing.T) {
	dir := source(t)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		for _, more := range [][]string{nil, {"-cell=gru", "-layers=2", "-dropout=.3"}} {
			out := t.TempDir()
			whole, parts := filepath.Join(out, "whole"), filepath.Join(out, "parts")
			must(t, small(dir, whole, more...)...)
			must(t, small(dir, parts, append(more, "-stop-after=9")...)...)
			require.NotEqual(t, read(t, whole), read(t, parts))
			text := must(t, "-resume", "-checkpoint", parts, "-plot=", "-stop-after=13")
			require.Contains(t, text, "going on after step 9\n")
			require.Contains(t, text, "stopped after step 22 of 30; -resume goes on\n")
			must(t, "-resume", "-checkpoint", parts, "-plot=")
			require.True(t, bytes.Equal(read(t, whole), read(t, parts)))
			must(t, "-resume", "-checkpoint", parts, "-plot=") // nothing is left to do
		}
	})
}

// A broken checkpoint is told of, and the one before goes on to the same end.
func TestResumeBroken(t *testing.T) {
	dir, out := source(t), t.TempDir()
	whole, broken := filepath.Join(out, "whole"), filepath.Join(out, "broken")
	must(t, small(dir, whole)...)
	must(t, small(dir, broken, "-stop-after=15")...)
	b := read(t, broken)
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(broken, b, 0o666))
	text := must(t, "-resume", "-checkpoint", broken, "-plot=")
	require.Contains(t, text, "the file was altered; taking "+broken+".previous\n")
	require.Contains(t, text, "going on after step 14\n")
	require.True(t, bytes.Equal(read(t, whole), read(t, broken)))

	require.NoError(t, os.WriteFile(broken, b, 0o666))
	require.NoError(t, os.Remove(broken+".previous"))
	code, _, errs := try("-resume", "-checkpoint", broken)
	require.Equal(t, 2, code)
	require.Equal(t, "charlm: train: ReadCheckpoint: "+broken+": the checksum is not that of the contents: the file was altered\n", errs)
}

func command(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	return cmd, &errs
}

// A run that is killed at any moments ends with the file of one that is not.
func TestKill(t *testing.T) {
	if testing.Short() || kerneltest.Emulated() {
		t.Skip("starts processes")
	}
	dir, out := source(t), t.TempDir()
	whole, killed := filepath.Join(out, "whole"), filepath.Join(out, "killed")
	flags := []string{"-every=1", "-steps=40", "-valid=20"}
	must(t, small(dir, whole, flags...)...)
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	kills := 0
	for ended := false; !ended; {
		args := []string{"-resume", "-checkpoint", killed, "-plot="}
		if _, err := os.Stat(killed); err != nil {
			args = small(dir, killed, flags...)
		}
		cmd, errs := command(t, args...)
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(rnd.IntN(150+80*kills))*time.Millisecond, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		require.Empty(t, errs.String())
		if ended = err == nil; !ended {
			kills++
		}
		timer.Stop()
	}
	t.Log(kills, "kills")
	require.True(t, bytes.Equal(read(t, whole), read(t, killed)))
}

// An interrupt saves first.
func TestInterrupt(t *testing.T) {
	if testing.Short() || kerneltest.Emulated() || runtime.GOOS == "windows" {
		t.Skip("starts a process and sends it a signal")
	}
	dir, out := source(t), t.TempDir()
	file := filepath.Join(out, "a")
	cmd, errs := command(t, small(dir, file, "-steps=1000000", "-every=1000000", "-log=1")...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf, text := make([]byte, 1<<12), ""
	for !strings.Contains(text, "step 3/") {
		n, err := stdout.Read(buf)
		require.NoError(t, err)
		text += string(buf[:n])
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for err == nil {
		var n int
		n, err = stdout.Read(buf)
		text += string(buf[:n])
	}
	cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
	require.Empty(t, errs.String())
	require.Regexp(t, `\nstopped after step \d+ of 1000000; -resume goes on\n$`, text)
	require.Contains(t, must(t, "-resume", "-checkpoint", file, "-stop-after=1"), "going on after step ")
}

// The same seed writes the same text; it begins with the prompt.
func TestSample(t *testing.T) {
	dir, out := source(t), t.TempDir()
	file := filepath.Join(out, "a")
	must(t, small(dir, file, "-steps=60")...)
	kerneltest.Each(t, func(t *testing.T, _ kernels.ISA) {
		text := must(t, "sample", "-checkpoint", file, "-n=50", "-prompt", "func ß", "-seed=3")
		require.True(t, strings.HasPrefix(text, "func ß"))
		require.Equal(t, len("func ß")+50+1, len(text)-2*strings.Count(text, "\ufffd"))
		require.Equal(t, text, must(t, "sample", "-checkpoint", file, "-n=50", "-prompt", "func ß", "-seed=3"))
		require.NotEqual(t, text, must(t, "sample", "-checkpoint", file, "-n=50", "-prompt", "func ß", "-seed=4"))

		greedy := must(t, "sample", "-checkpoint", file, "-n=50", "-temperature=0", "-seed=3")
		require.Equal(t, greedy, must(t, "sample", "-checkpoint", file, "-n=50", "-temperature=0", "-seed=4"))
		require.Equal(t, greedy, must(t, "sample", "-checkpoint", file, "-n=50", "-temperature=1e-300", "-seed=5"))
	})
	net, v, err := loadNetwork(file, os.Stderr)
	require.NoError(t, err)
	s := newSampler(net, .8, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = v.text(s.next()) }))
}

// Characters are drawn as often as their probabilities say.
func TestDraw(t *testing.T) {
	net, err := newNetwork(config{Cell: "gru", Embed: 1, Hidden: 1}, 4, layer.NewRand(1))
	require.NoError(t, err)
	const n, temperature = 20000, 2
	s := newSampler(net, temperature, 1)
	s.logits = []float32{2, -1, 0, 3}
	var count [4]float64
	for range n {
		count[s.draw()]++
	}
	var sum float64
	for _, v := range s.logits {
		sum += math.Exp(float64(v) / temperature)
	}
	for i, v := range s.logits {
		require.InDelta(t, math.Exp(float64(v)/temperature)/sum, count[i]/n, .015)
	}
}

func TestBadData(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		return path
	}
	checkpoint := filepath.Join(dir, "run")
	for _, c := range []struct{ data, want string }{
		{filepath.Join(dir, "none"), "no such file"},
		{write("empty", ""), "empty: the file is empty"},
		{write("zero", "text\x00"), "zero: the file is binary: byte 4 is 0"},
		{write("latin1", "caf\xe9"), "latin1: the file is binary: not UTF-8"},
		{write("short", "text"), "6 characters for training, want at least 16: 3 streams of 5"},
		{filepath.Dir(write("no/x.txt", "a")), "no: 0 files match *.go, want at least 2"},
		{filepath.Dir(write("one/x.go", "a")), "one: 1 files match *.go, want at least 2"},
		{filepath.Dir(write("bad/x.go", "\x00")), "bad: all 1 files that match *.go are binary, empty or generated"},
	} {
		code, _, errs := try(small(c.data, checkpoint)...)
		require.Equal(t, 2, code, c.want)
		require.Regexp(t, `^charlm: .*`+regexp.QuoteMeta(c.want)+`.*\n$`, errs)
		require.NoFileExists(t, checkpoint)
	}
	code, _, errs := try(small(dir, checkpoint, "-match=[")...)
	require.Equal(t, 2, code)
	require.Equal(t, "charlm: -match \"[\": syntax error in pattern\n", errs)
	if os.Getuid() != 0 {
		path := write("secret", "text")
		require.NoError(t, os.Chmod(path, 0))
		_, err := readCorpus(path, "*", 1)
		require.ErrorIs(t, err, fs.ErrPermission)
	}
}

// Files are split by the seed and their names, and none is in both parts.
func TestSplit(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.go", i)), fmt.Appendf(nil, "<%d>", i), 0o666))
	}
	for name, text := range map[string]string{
		"testdata/a.go": "x", "vendor/a.go": "x", ".git/a.go": "x", "a.txt": "x",
		"gen.go": "// Copyright\n\n// Code generated by x. DO NOT EDIT.\n\npackage x\n", "bin.go": "x\x00",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	split := func(seed int64) (kept, held []string) {
		a, b, skipped, err := readDir(dir, "*.go", seed)
		require.NoError(t, err)
		require.Equal(t, 2, skipped)
		for _, text := range a {
			kept = append(kept, string(text))
		}
		for _, text := range b {
			held = append(held, string(text))
		}
		return kept, held
	}
	kept, held := split(1)
	require.Len(t, slices.Concat(kept, held), 200)
	all := map[string]bool{}
	for _, text := range slices.Concat(kept, held) {
		require.False(t, all[text])
		all[text] = true
	}
	require.InDelta(t, 10, len(held), 8)
	kept1, held1 := split(1)
	require.Equal(t, kept, kept1)
	require.Equal(t, held, held1)
	_, held2 := split(2)
	require.NotEqual(t, held, held2)
	require.False(t, slices.IsSorted(kept), "the order is that of the hash")
}

func TestVocab(t *testing.T) {
	text := []byte(strings.Repeat("ab\n", 700_000) + "zé")
	v := newVocab([][]byte{text})
	require.Equal(t, vocab("\nab"), v)
	require.Equal(t, 5, v.size())
	symbols := v.encode(nil, []byte("a\nzé"))
	require.Equal(t, []byte{3, 2, other, other, other}, symbols)
	require.Equal(t, "a", v.text(3))
	require.Equal(t, "\n", v.text(border))
	require.Equal(t, "\ufffd", v.text(other))
	c := corpus{vocab: v}
	require.Equal(t, []byte{border, 3, border, 4, 4, border}, c.join([][]byte{[]byte("a"), []byte("bb")}))
}

// The pieces are whole lines, and all of the text.
func TestShuffle(t *testing.T) {
	var lines, want []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("line %d.", i))
	}
	text := strings.Join(lines, "\n") + "\n"
	got := shuffle([]byte(text), '\n', 1)
	require.NotEqual(t, text, string(got))
	require.Equal(t, got, shuffle([]byte(text), '\n', 1))
	require.NotEqual(t, got, shuffle([]byte(text), '\n', 2))
	want = slices.Sorted(strings.SplitSeq(text, "\n"))
	require.Equal(t, want, slices.Sorted(strings.SplitSeq(string(got), "\n")))
	text = strings.Repeat("x", 3*pieceLength)
	require.Equal(t, text, string(shuffle([]byte(text), '\n', 1)))
	require.Empty(t, shuffle(nil, '\n', 1))
}

// The streams cover the text in order, and each target is the next input.
func TestReader(t *testing.T) {
	for _, c := range []struct {
		text    string
		G       int
		batches [][2]string // the last ones are not whole
		rest    int
	}{
		{"abcdefghijklmnopq", 1, [][2]string{{"aibjck", "bjckdl"}, {"dlemfn", "emfngo"}, {"gohp", "hpiq"}}, 1}, // 2 streams of 8
		{"abcdefghijklmnopq", 2, [][2]string{{"aebfcg", "bfcgdh"}, {"imjnko", "jnkolp"}, {"dh", "ei"}, {"lp", "mq"}}, 2},
	} {
		r, err := newReader([]byte(c.text), c.G, 2, 3)
		require.NoError(t, err)
		for _, whole := range []bool{true, false, true} {
			batches := append(slices.Clone(c.batches), [2]string{})
			if whole {
				batches = slices.Delete(batches, len(c.batches)-c.rest, len(c.batches))
			}
			for i, want := range batches {
				require.Equal(t, i%c.G, r.group())
				a, b := r.next(whole)
				var x, y string
				for i := range a {
					x, y = x+string(rune(a[i])), y+string(rune(b[i]))
				}
				require.Equal(t, want, [2]string{x, y})
			}
		}
	}
}

func TestNgram(t *testing.T) {
	for _, c := range []struct {
		train, valid []byte
		V, order     int
		p            []float64
	}{
		{[]byte{0, 1}, []byte{0, 1, 1}, 4, -1, []float64{1. / 4, 1. / 4}},
		// 0 came twice and 1 once: N = 3, K = 2; 2 is new.
		{[]byte{0, 1, 0}, []byte{2, 0, 1, 2}, 4, 0, []float64{(2 + 2./4) / 5, (1 + 2./4) / 5, (0 + 2./4) / 5}},
		// After 0 came 1 twice; 2 is a new context, and backs off to N = 4, K = 2.
		{[]byte{0, 1, 0, 1}, []byte{0, 1}, 2, 1, []float64{(2 + 1./2) / 3}},
		{[]byte{0, 1, 0, 1}, []byte{2, 1}, 3, 1, []float64{(2 + 2./3) / 6}},
		// After 0 1 came 0 once, after 1 0 once and 1 once, of all it is 3 in 5.
		{[]byte{0, 1, 0, 1, 1}, []byte{0, 1, 0}, 2, 2, []float64{
			(2 + (3+2./2)/7) / 3,
			(1 + 2*((1+2*((2+2./2)/7))/4)) / 4,
		}},
	} {
		var bits float64
		for _, p := range c.p {
			bits -= math.Log2(p)
		}
		require.InDelta(t, bits/float64(len(c.p)), ngramBits(c.train, c.valid, c.V, c.order), 1e-12, "%v", c)
	}
}

// The counts of long texts are those of the definition.
func TestNgramCounts(t *testing.T) {
	rnd := kerneltest.NewRand(1)
	text := make([]byte, 3000)
	for i := range text {
		text[i] = byte(rnd.IntN(1 + rnd.IntN(5)))
	}
	const V, order = 5, 3
	train, valid := text[:2000], text[2000:]
	var p func(context []byte, c byte) float64
	p = func(context []byte, c byte) float64 {
		shorter := 1. / V
		if len(context) > 0 {
			shorter = p(context[1:], c)
		}
		N, K, count := 0., 0., 0.
		for s := range byte(V) {
			n := 0.
			for i := len(context); i < len(train); i++ {
				if train[i] == s && bytes.Equal(train[i-len(context):i], context) {
					n++
				}
			}
			N += n
			if n > 0 {
				K++
			}
			if s == c {
				count = n
			}
		}
		if N == 0 {
			return shorter
		}
		return (count + K*shorter) / (N + K)
	}
	valid = valid[:200]
	var bits float64
	for i := 1; i < len(valid); i++ {
		bits -= math.Log2(p(valid[max(0, i-order):i], valid[i]))
	}
	require.InDelta(t, bits/199, ngramBits(train, valid, V, order), 1e-9)
}

// The bits of an untrained network on text are those of its losses, whatever the
// pieces.
func TestEvaluator(t *testing.T) {
	cfg := defaults
	cfg.Embed, cfg.Hidden, cfg.Valid = 3, 4, 2100
	net, err := newNetwork(cfg, 5, layer.NewRand(1))
	require.NoError(t, err)
	text := make([]byte, 9000)
	rnd := kerneltest.NewRand(2)
	for i := range text {
		text[i] = byte(rnd.IntN(5))
	}
	e, err := newEvaluator(net, text)
	require.NoError(t, err)
	const n = 65 // a stream
	require.Equal(t, slices.Concat(text[:700], text[3000:3700], text[6000:6700])[:32*n+1], e.measured())
	want := 0.
	for b := range 32 {
		piece := e.measured()[b*n:][:n+1]
		s := &sampler{net: net, stream: net.rnn.NewStream(1), id: make([]int, 1), x: make([]float32, 3), h: make([]float32, 4), logits: make([]float32, 5)}
		for i, c := range piece[:n] {
			s.read(c)
			var sum float64
			for _, v := range s.logits {
				sum += math.Exp(float64(v))
			}
			want += math.Log2(sum) - float64(s.logits[piece[i+1]])/math.Ln2
		}
	}
	for range 2 {
		bits, err := e.bits()
		require.NoError(t, err)
		require.InDelta(t, want/(32*n), bits, 1e-6)
	}
}

func TestBadFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	dir := source(t)
	must(t, small(dir, file, "-stop-after=1")...)
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, layer.WriteSafetensors(other, nil))
	write := func(name string, meta map[string]string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, (&train.Checkpoint{Meta: meta}).Save(path))
		return path
	}
	craft := func(s settings) string {
		meta, err := s.meta()
		require.NoError(t, err)
		return write("crafted", meta)
	}
	foreign := write("foreign", nil)
	crafted, crafted2 := craft(settings{Config: defaults, Vocab: vocab("ba")}), craft(settings{})
	for _, c := range []struct{ args, want string }{
		{"walk", `unknown command "walk", want train, sample or compare`},
		{"train x", `unexpected argument "x"`},
		{"-cell=rnn", `-cell is "rnn", want lstm or gru`},
		{"-hidden=0", "-hidden is 0, want 1 to 4096"},
		{"-valid=1", "-valid is 1, want 2 to 2147483647"},
		{"-lr=NaN", "-lr is NaN, want a finite number above 0"},
		{"-clip=0", "-clip is 0, want a finite number above 0"},
		{"-groups=0", "-groups is 0, want 1 to 4096"},
		{"-dropout=1", "-dropout is 1, want at least 0 and below 1"},
		{"-beta2=-.1", "-beta2 is -0.1, want at least 0 and below 1"},
		{"-steps=x", `invalid value "x" for flag -steps: parse error`},
		{"-de\nep", `flag provided but not defined: -de\nep`},
		{"sample -n=-1", "-n is -1, want at least 0"},
		{"sample -temperature=-1", "-temperature is -1, want a finite number of at least 0"},
		{"sample -checkpoint=" + other, "train: ReadCheckpoint: " + other + ": not a checkpoint: no checksum at its beginning"},
		{"compare -block=0", "-block is 0, want at least 1"},
		{"-stop-after=-1", "-stop-after is -1, want at least 0"},
		{"-log=-1", "-log is -1, want at least 0"},
		{"sample -checkpoint=" + foreign, foreign + ": a checkpoint of another program"},
		{"sample -checkpoint=" + crafted, crafted + ": the vocabulary is not ASCII in order"},
		{"sample -checkpoint=" + crafted2, crafted2 + ": -cell is \"\", want lstm or gru"},
		{"-resume -hidden=3", "-hidden is fixed by the checkpoint, want none with -resume"},
		{"-checkpoint=" + file, file + " exists: -resume goes on with it, -force replaces it"},
		{"-resume -checkpoint=" + file + " -data=" + source(t) + "/f1.go", "/f1.go is not the text that the checkpoint was trained on"},
	} {
		code, out, errs := try(strings.Split(c.args, " ")...)
		require.Equal(t, 2, code, c.args)
		require.NotContains(t, out, "step")
		require.Equal(t, 1, strings.Count(errs, "\n"))
		require.True(t, strings.HasPrefix(errs, "charlm: ") && strings.HasSuffix(errs, c.want+"\n"), "%s: %s", c.args, errs)
	}
	code, _, errs := try("-resume", "-checkpoint", file+"x")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "no such file")
	for _, c := range []string{"train", "sample", "compare"} {
		require.Contains(t, must(t, c, "-h"), "usage: charlm")
	}
}
