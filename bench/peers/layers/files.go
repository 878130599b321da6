package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const resultsFile = "results.json"

// save writes the results to a directory, so that a file there is whole.
func (r *report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := r.encode(&out); err != nil {
		return err
	}
	name := filepath.Join(dir, resultsFile)
	if err := os.WriteFile(name+".new", out.Bytes(), 0o666); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// load reads what save has written to a directory.
func load(dir string) (*report, error) {
	name := filepath.Join(dir, resultsFile)
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// write draws charts in dir, and writes tables to w or, if that is not empty,
// into the pages of a directory.
func (r *report) write(dir, pages string, w io.Writer) error {
	if len(r.Rows) == 0 {
		return fmt.Errorf("no row was measured")
	}
	for _, f := range figures {
		if len(f.rows(r)) == 0 {
			continue
		}
		var out bytes.Buffer
		if err := f.chart(&out, r); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.file), out.Bytes(), 0o666); err != nil {
			return err
		}
	}
	if pages == "" {
		r.oneThread(w, ".")
		fmt.Fprintln(w)
		r.moreThreads(w, ".")
		return nil
	}
	charts, err := relative(pages, dir)
	if err != nil {
		return err
	}
	for page, blocks := range map[string]map[string]func(io.Writer, string){
		"README.md":      {"short": r.short},
		"PERFORMANCE.md": {"layers": r.oneThread, "threads": r.moreThreads},
	} {
		if r.Forced && page == "README.md" {
			continue
		}
		name := filepath.Join(pages, page)
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for block, write := range blocks {
			var b bytes.Buffer
			if write(&b, charts); b.Len() == 0 {
				continue // nothing of the kind was measured
			}
			if r.Forced {
				block += " on " + r.Path
			}
			if text, err = fill(text, block, b.Bytes()); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := os.WriteFile(name, text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// relative is the path from one directory to another, as a link has it.
func relative(from, to string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	path, err := filepath.Rel(from, to)
	return filepath.ToSlash(path), err
}

// fill replaces what a page has between the marks of a block.
func fill(page []byte, block string, text []byte) ([]byte, error) {
	begin, end := fmt.Sprintf("<!-- make bench-report: %s -->\n", block), fmt.Sprintf("<!-- end of %s -->", block)
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("no block between %q and %q", strings.TrimSpace(begin), end)
	}
	return fmt.Appendf(nil, "%s%s\n%s\n\n%s%s", before, begin, bytes.TrimSpace(text), end, after), nil
}
