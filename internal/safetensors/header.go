package safetensors

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A parser reads the JSON of a header, valid UTF-8, and no other JSON: objects,
// strings, lists of unsigned integers. encoding/json would let through repeated
// keys, field names in other case, and broken surrogates. After an error it is
// at the end of its input.
type parser struct {
	b   []byte
	i   int
	err error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("header, byte %d: %s", p.i, fmt.Sprintf(format, args...))
		p.b = p.b[:p.i]
	}
}

// parse reads a header. Offsets and shapes are not compared with anything.
func parse(header []byte) (*File, error) {
	f := &File{Tensors: []Entry{}}
	p := parser{b: header}
	if len(header) == 0 || header[0] != '{' {
		p.fail("want '{'")
	}
	p.object(func(name string) {
		if name == metadataName {
			f.Metadata = map[string]string{}
			p.object(func(key string) { f.Metadata[key] = p.string() })
			return
		}
		switch {
		case len(name) > maxName:
			p.fail("name of %d bytes, want at most %d", len(name), maxName)
		case len(f.Tensors) == maxTensors:
			p.fail("more than %d tensors", maxTensors)
		}
		f.Tensors = append(f.Tensors, p.entry(name))
	})
	if p.space(); p.i < len(p.b) {
		p.fail("want the end of the header")
	}
	return f, p.err
}

// entry reads the description of a tensor.
func (p *parser) entry(name string) Entry {
	e := Entry{Name: name, Shape: []int{}}
	fields := 0
	p.object(func(key string) {
		fields++
		switch key {
		case "dtype":
			if e.DType = DType(p.string()); e.DType.rank() < 0 {
				p.fail("tensor %.200q: dtype %.40q is unknown", name, e.DType)
			}
		case "shape":
			p.list('[', ']', func() {
				dim := p.uint()
				switch {
				case dim > math.MaxInt:
					p.fail("tensor %.200q: dimension %d overflows", name, dim)
				case len(e.Shape) == maxRank:
					p.fail("tensor %.200q: more than %d dimensions", name, maxRank)
				}
				e.Shape = append(e.Shape, int(dim))
			})
		case "data_offsets":
			offsets := [2]*uint64{&e.begin, &e.end}
			n := 0
			p.list('[', ']', func() {
				offset := p.uint()
				if n < 2 {
					*offsets[n] = offset
				}
				n++
			})
			if n != 2 {
				p.fail("tensor %.200q: data_offsets has %d numbers, want 2", name, n)
			}
		default:
			p.fail("tensor %.200q: unknown field %.40q", name, key)
		}
	})
	if fields != 3 { // each is known and there once
		p.fail("tensor %.200q: want dtype, shape and data_offsets", name)
	}
	return e
}

// object reads an object. After each key it calls value, which reads the value.
func (p *parser) object(value func(key string)) {
	seen := map[string]bool{}
	p.list('{', '}', func() {
		key := p.string()
		if seen[key] {
			p.fail("key %.40q is there twice", key)
		}
		seen[key] = true
		p.want(':')
		value(key)
	})
}

// list reads what stands between open and end, separated by commas.
func (p *parser) list(open, end byte, element func()) {
	p.want(open)
	if p.next(end) {
		return
	}
	for p.err == nil {
		element()
		if p.next(end) {
			return
		}
		p.want(',')
	}
}

func (p *parser) space() {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\n' || p.b[p.i] == '\r' || p.b[p.i] == '\t') {
		p.i++
	}
}

// next skips white space, and c if that is what follows.
func (p *parser) next(c byte) bool {
	p.space()
	ok := p.i < len(p.b) && p.b[p.i] == c
	if ok {
		p.i++
	}
	return ok
}

func (p *parser) want(c byte) {
	if !p.next(c) {
		p.fail("want %q", c)
	}
}

// uint reads an integer without sign, fraction, exponent or leading zero.
func (p *parser) uint() uint64 {
	p.space()
	start := p.i
	for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
	}
	digits := string(p.b[start:p.i])
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		p.fail("want an unsigned integer of 64 bits")
	}
	return n
}

// string reads a string.
func (p *parser) string() string {
	p.want('"')
	start := p.i
	for p.i < len(p.b) && p.b[p.i] != '"' && p.b[p.i] != '\\' && p.b[p.i] >= ' ' {
		p.i++
	}
	s := p.b[start:p.i:p.i] // append copies
	for p.err == nil {
		if p.i == len(p.b) || p.b[p.i] < ' ' {
			p.fail("string does not end")
			break
		}
		c := p.b[p.i]
		p.i++
		switch c {
		case '"':
			return string(s)
		case '\\':
			s = p.escape(s)
		default:
			s = append(s, c)
		}
	}
	return ""
}

// escape appends what follows a backslash.
func (p *parser) escape(s []byte) []byte {
	if p.i == len(p.b) {
		return s
	}
	c := p.b[p.i]
	p.i++
	switch c {
	case '"', '\\', '/':
		return append(s, c)
	case 'b':
		return append(s, '\b')
	case 'f':
		return append(s, '\f')
	case 'n':
		return append(s, '\n')
	case 'r':
		return append(s, '\r')
	case 't':
		return append(s, '\t')
	case 'u':
		r := p.hex()
		if utf16.IsSurrogate(r) { // the first half of a pair, or an error
			low := rune(-1)
			if p.i+2 <= len(p.b) && p.b[p.i] == '\\' && p.b[p.i+1] == 'u' {
				p.i += 2
				low = p.hex()
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				p.fail("half of a surrogate pair")
			}
		}
		return utf8.AppendRune(s, r)
	}
	p.fail("unknown escape")
	return s
}

// hex reads four hexadecimal digits.
func (p *parser) hex() rune {
	if p.i+4 <= len(p.b) {
		if n, err := strconv.ParseUint(string(p.b[p.i:p.i+4]), 16, 16); err == nil {
			p.i += 4
			return rune(n)
		}
	}
	p.fail("want four hexadecimal digits")
	return 0
}
