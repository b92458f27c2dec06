// Words finds private words in a tree of files and suggests the terms of the field.
//
//	go run ./tools/words [-count] [PATH...]
//
// It reads Markdown, YAML, Go, templates, HTML, style sheets and scripts under each PATH (the current directory without one), prints
// FILE:LINE, the word and the suggestion, and exits 1 if it found any. With -count it prints the number of words in each folder.
// The list is words.txt next to this file.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

//go:embed words.txt
var list string

func main() {
	count := flag.Bool("count", false, "print the number of words in each folder only")
	flag.Parse()
	l, err := parse(list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "words.txt:", err)
		os.Exit(2)
	}
	paths := flag.Args()
	if len(paths) == 0 {
		paths = []string{"."}
	}
	total, folders := 0, map[string]int{}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && skipped(name):
				return filepath.SkipDir
			case !e.Type().IsRegular() || !readable(name):
				return nil
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, f := range l.check(name, string(data)) {
				total++
				folders[filepath.Dir(name)]++
				if !*count {
					fmt.Printf("%s:%d: %q: %s\n", name, f.line, f.word, f.suggestion)
				}
			}
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if *count {
		for _, folder := range slices.Sorted(maps.Keys(folders)) {
			fmt.Printf("%6d %s\n", folders[folder], folder)
		}
	}
	if total > 0 {
		fmt.Fprintf(os.Stderr, "%d private words; tools/words/words.txt has the list\n", total)
		os.Exit(1)
	}
}

// skipped reports whether a folder contains nothing that is written here: built, generated, copied or recorded files.
func skipped(name string) bool {
	switch filepath.Base(name) {
	case ".git", "bin", "dist", "node_modules", "golden", "screenshots":
		return true
	}
	name = filepath.ToSlash(name)
	return strings.HasSuffix(name, "charts/rainbond-exporter/files") || strings.HasSuffix(name, "tools/words")
}

// readable reports whether a file is text that is written here.
func readable(name string) bool {
	switch filepath.Ext(name) {
	case ".md", ".yaml", ".yml", ".go", ".tmpl", ".tpl", ".html", ".css", ".js", ".mjs", ".tsx":
		return true
	case ".txt":
		return strings.Contains(filepath.ToSlash(name), "/templates/") // the chart's NOTES.txt
	case "":
		base := filepath.Base(filepath.Dir(name))
		return filepath.Base(name) == "Makefile" || filepath.Base(name) == "Dockerfile" || base == "tools" || base == ".ci"
	}
	return false
}

type finding struct {
	line             int
	word, suggestion string
}

type rule struct {
	pattern    *regexp.Regexp
	suggestion string
}

type words struct {
	allow              *regexp.Regexp
	text, parts, ident []rule
}

// parse returns the rules of a list. An error has the line of the list.
func parse(list string) (words, error) {
	var w words
	var allow []string
	for i, line := range strings.Split(list, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if fields[0] == "allow" && len(fields) == 2 {
			allow = append(allow, fields[1])
			continue
		}
		if len(fields) != 3 {
			return w, fmt.Errorf("line %d: %d fields, want scope, pattern and suggestion, separated by tabs", i+1, len(fields))
		}
		p, err := regexp.Compile(`(?i)` + whole(fields[1]))
		if err != nil {
			return w, fmt.Errorf("line %d: %w", i+1, err)
		}
		r := rule{p, fields[2]}
		switch fields[0] {
		case "any":
			w.text, w.parts = append(w.text, r), append(w.parts, r)
		case "text":
			w.text = append(w.text, r)
		case "words":
			w.parts = append(w.parts, r)
		case "ident":
			r.pattern = regexp.MustCompile(`^(` + fields[1] + `)$`)
			w.ident = append(w.ident, r)
		default:
			return w, fmt.Errorf("line %d: scope %q, want any, text, words, ident or allow", i+1, fields[0])
		}
	}
	if len(allow) == 0 {
		return w, errors.New("no allow line")
	}
	var err error
	w.allow, err = regexp.Compile(`(?im)` + strings.ReplaceAll(strings.Join(allow, "|"), " ", `\s+`))
	return w, err
}

// whole returns the pattern for whole words. A Chinese word has no boundary.
func whole(pattern string) string {
	if strings.IndexFunc(pattern, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0 {
		return pattern
	}
	return `\b(` + strings.ReplaceAll(pattern, " ", `\s+`) + `)\b`
}

// check returns what a file's name and its text contain of the list.
func (w words) check(name, text string) []finding {
	found := w.match(0, split(filepath.Base(name)), w.text)
	for i := range found {
		found[i].line = 1
	}
	if filepath.Ext(name) != ".go" {
		return append(found, w.match(1, text, w.text)...)
	}
	prose := []byte(text) // comments and strings stay where they are; the rest becomes blank
	for i := range prose {
		if prose[i] != '\n' {
			prose[i] = ' '
		}
	}
	file := token.NewFileSet().AddFile(name, -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			found = append(found, w.match(1, string(prose), w.text)...)
			slices.SortStableFunc(found, func(a, b finding) int { return a.line - b.line })
			return found
		case token.COMMENT, token.STRING:
			copy(prose[file.Offset(pos):], lit)
		case token.IDENT:
			found = append(found, w.match(file.Line(pos), split(lit), w.parts)...)
			found = append(found, w.match(file.Line(pos), lit, w.ident)...)
		}
	}
}

// match returns what the rules find in a text that begins on a line. A phrase may continue on the next line.
func (w words) match(line int, text string, rules []rule) []finding {
	var found []finding
	text = joined.ReplaceAllStringFunc(text, func(s string) string { // one byte for each byte, so that lines can be counted
		return "\n" + strings.Repeat(" ", len(s)-1)
	})
	text = w.allow.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '\n' {
				return r
			}
			return '_'
		}, s)
	})
	for _, r := range rules {
		for _, at := range r.pattern.FindAllStringIndex(text, -1) {
			found = append(found, finding{line + strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], r.suggestion})
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return a.line - b.line })
	return found
}

// joined matches the end of a line and the comment marks and blanks that the next line begins with.
var joined = regexp.MustCompile(`\n[ \t]*(//|#|>)?[ \t]*`)

// split returns the words of an identifier or a file name, separated by blanks.
func split(name string) string {
	var b strings.Builder
	var before rune
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte(' ')
		}
		if r == '_' || r == '-' || r == '.' {
			r = ' '
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}
