package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Symbols that are no characters.
const (
	border  = 0 // stands before each file and after the last one
	other   = 1 // any byte without a symbol of its own
	firstOf = 2 // symbols of bytes
)

// A vocab numbers the bytes that have symbols of their own: symbol firstOf+i is
// byte vocab[i].
type vocab []byte

// size returns V, the number of symbols.
func (v vocab) size() int { return firstOf + len(v) }

// newVocab takes the ASCII bytes that are at least one in a million of texts.
func newVocab(texts [][]byte) (v vocab) {
	var count [256]int
	total := 0
	for _, text := range texts {
		total += len(text)
		for _, b := range text {
			count[b]++
		}
	}
	for b, n := range count[:utf8.RuneSelf] {
		if n > 0 && n*1_000_000 >= total {
			v = append(v, byte(b))
		}
	}
	return v
}

// encode appends the symbols of text.
func (v vocab) encode(symbols, text []byte) []byte {
	var of [256]byte
	for i := range of {
		of[i] = other
	}
	for i, b := range v {
		of[b] = byte(firstOf + i)
	}
	for _, b := range text {
		symbols = append(symbols, of[b])
	}
	return symbols
}

// text returns what stands for a symbol in generated text.
func (v vocab) text(symbol byte) string {
	switch symbol {
	case border:
		return "\n"
	case other:
		return string(utf8.RuneError)
	}
	i := int(symbol) - firstOf
	return asciiText[v[i] : v[i]+1]
}

// asciiText has each ASCII byte at its place, so that text allocates nothing.
var asciiText = func() string {
	var b [utf8.RuneSelf]byte
	for i := range b {
		b[i] = byte(i)
	}
	return string(b[:])
}()

// A corpus is text as symbols, a part for training and another one that is held
// out.
type corpus struct {
	vocab        vocab
	train, valid []byte
	about        string // for people
}

// hash tells whether two corpora are the same.
func (c *corpus) hash() string {
	h := sha256.New()
	for _, part := range [][]byte{c.vocab, c.train, c.valid} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// validShare is the part of files, or the end of a single file, that is held out.
const validShare = .05

// readCorpus reads a file, or the files of a folder whose names match a pattern,
// but for folders that are hidden or named testdata or vendor. Which files are
// held out, and in which order the others stand, follows from a hash of their
// names with the seed. Files that say that they are generated are left out, as
// are binary and empty ones.
func readCorpus(path, match string, seed int64) (*corpus, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var train, valid [][]byte
	about := path
	if info.IsDir() {
		var files, skipped int
		train, valid, skipped, err = readDir(path, match, seed)
		files = len(train) + len(valid)
		about = fmt.Sprintf("%s: %d files for training, %d held out", path, len(train), len(valid))
		switch {
		case err != nil:
			return nil, err
		case skipped > 0 && files == 0:
			return nil, fmt.Errorf("%s: all %d files that match %s are binary, empty or generated", path, skipped, match)
		case files < 2:
			return nil, fmt.Errorf("%s: %d files match %s, want at least 2", path, files, match)
		case skipped > 0:
			about += fmt.Sprintf(", %d generated, binary or empty ones left out", skipped)
		}
	} else {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := checkText(text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		cut := len(text) - int(float64(len(text))*validShare)
		train, valid = [][]byte{text[:cut]}, [][]byte{text[cut:]}
		about += ": its end is held out"
	}
	c := &corpus{vocab: newVocab(train)}
	c.train, c.valid = shuffle(c.join(train), c.vocab.encode(nil, []byte{'\n'})[0], seed), c.join(valid)
	c.about = fmt.Sprintf("%s; %.1f and %.1f million characters, %d symbols",
		about, float64(len(c.train))/1e6, float64(len(c.valid))/1e6, c.vocab.size())
	return c, nil
}

func (c *corpus) join(texts [][]byte) []byte {
	n := 1
	for _, text := range texts {
		n += 1 + len(text)
	}
	symbols := append(make([]byte, 0, n), border)
	for _, text := range texts {
		symbols = append(c.vocab.encode(symbols, text), border)
	}
	return symbols
}

// generated is how generated files say so (go help generate).
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// pieceLength is the least length of the pieces of text that are shuffled. A file
// repeats itself, so that as many characters teach more if they come from more
// places.
const pieceLength = 512

// shuffle cuts text at line ends into pieces and puts them in another order.
func shuffle(text []byte, newline byte, seed int64) []byte {
	var pieces [][]byte
	for rest := text; len(rest) > 0; {
		n := len(rest)
		if n > pieceLength {
			if i := bytes.IndexByte(rest[pieceLength:], newline); i >= 0 {
				n = pieceLength + i + 1
			}
		}
		pieces = append(pieces, rest[:n])
		rest = rest[n:]
	}
	rand.New(rand.NewPCG(uint64(seed), 0)).Shuffle(len(pieces), func(i, j int) {
		pieces[i], pieces[j] = pieces[j], pieces[i]
	})
	return slices.Concat(pieces...)
}

// readDir returns the texts in a folder, and how many files are left out.
func readDir(dir, match string, seed int64) (train, valid [][]byte, skipped int, err error) {
	if _, err := filepath.Match(match, ""); err != nil {
		return nil, nil, 0, fmt.Errorf("-match %q: %w", match, err)
	}
	type file struct {
		text []byte
		hash uint64
		name string
	}
	var files []file
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != dir && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if ok, _ := filepath.Match(match, name); !ok || !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if checkText(text) != nil || generated.Match(text) {
			skipped++
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, filepath.ToSlash(rel)))
		files = append(files, file{text, binary.LittleEndian.Uint64(sum[:]), rel})
		return nil
	})
	if err != nil {
		return nil, nil, 0, err
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.name, b.name))
	})
	for i, f := range files {
		if i == 0 || float64(f.hash) < validShare*0x1p64 && i < len(files)-1 {
			valid = append(valid, f.text)
		} else {
			train = append(train, f.text)
		}
	}
	return train, valid, skipped, nil
}

// checkText returns what speaks against text.
func checkText(text []byte) error {
	if len(text) == 0 {
		return errors.New("the file is empty")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return fmt.Errorf("the file is binary: byte %d is 0", i)
	}
	if !utf8.Valid(text) {
		return errors.New("the file is binary: not UTF-8")
	}
	return nil
}

// goSource returns the folder of Go's own source.
func goSource() (string, error) {
	root := os.Getenv("GOROOT")
	if root == "" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return "", fmt.Errorf("no Go source found (go env GOROOT: %w), want -data", err)
		}
		root = strings.TrimSpace(string(out))
	}
	return filepath.Join(root, "src"), nil
}

// A reader cuts text into batches for truncated back-propagation: G groups of B
// streams, all of the same length. The groups take turns, and each call takes the
// next T steps of a group. If the same streams came again at once, a network would
// learn what is special about the text at hand and forget the rest.
type reader struct {
	text     []byte
	G, B, T  int
	position int // batches taken
	x, y     []int
}

func newReader(text []byte, G, B, T int) (*reader, error) {
	r := &reader{text: text, G: G, B: B, T: T, x: make([]int, T*B), y: make([]int, T*B)}
	if n := G*B*T + 1; len(text) < n {
		return nil, fmt.Errorf("%d characters for training, want at least %d: %d streams of %d", len(text), n, G*B, T)
	}
	return r, nil
}

// length returns the steps of a stream that have a target.
func (r *reader) length() int { return (len(r.text) - 1) / (r.G * r.B) }

// group returns the group whose turn it is.
func (r *reader) group() int { return r.position % r.G }

// next returns symbols x [t,B] and those that follow them, y, for at most T
// steps; whole says that only T will do. After the last step it returns nothing,
// once.
func (r *reader) next(whole bool) (x, y []int) {
	n, from := r.length(), r.position/r.G*r.T
	T := min(r.T, n-from)
	if T <= 0 || whole && T < r.T {
		r.position = 0
		return nil, nil
	}
	for b := range r.B {
		stream := r.text[(r.group()*r.B+b)*n+from:]
		for t := range T {
			r.x[t*r.B+b], r.y[t*r.B+b] = int(stream[t]), int(stream[t+1])
		}
	}
	r.position++
	return r.x[:T*r.B], r.y[:T*r.B]
}
