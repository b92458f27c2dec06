// Sample prints random English sentences of the documentation, the rules and the comments in Go files, for a reader to evaluate the style.
//
//	go run ./tools/sample [-seed=1] [-n=60] [PATH...]
//
// The same seed and the same text give the same sentences. Each line is FILE:LINE and a sentence.
package main

import (
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

func main() {
	seed := flag.Uint64("seed", 1, "which sentences: the same seed gives the same ones")
	n := flag.Int("n", 60, "number of sentences")
	flag.Parse()
	paths := flag.Args()
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var all []sentence
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() {
				switch e.Name() {
				case ".git", "bin", "dist", "node_modules", "testdata":
					return filepath.SkipDir
				}
				return nil
			}
			read := reader(name)
			if read == nil || !e.Type().IsRegular() {
				return nil
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, s := range read(string(data)) {
				s.file = name
				all = append(all, s)
			}
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	r := rand.New(rand.NewPCG(*seed, *seed))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	chosen := all[:min(*n, len(all))]
	slices.SortFunc(chosen, func(a, b sentence) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		return a.line - b.line
	})
	for _, s := range chosen {
		fmt.Printf("%s:%d: %s\n", s.file, s.line, s.text)
	}
	fmt.Fprintf(os.Stderr, "%d of %d sentences\n", len(chosen), len(all))
}

type sentence struct {
	file string
	line int
	text string
}

// reader returns what reads the sentences of a file, or nil.
func reader(name string) func(string) []sentence {
	switch {
	case strings.HasSuffix(name, ".zh.md"), strings.Contains(filepath.ToSlash(name), "charts/rainbond-exporter/files"):
		return nil
	case strings.HasSuffix(name, ".md"):
		return markdown
	case strings.HasSuffix(name, ".rules.yaml"):
		return rules
	case strings.HasSuffix(name, ".go"):
		return comments
	}
	return nil
}

// markdown returns the sentences of paragraphs, list items and table cells. A heading and a code block have none.
func markdown(text string) []sentence {
	var all []sentence
	var paragraph []string
	begin, fenced := 0, false
	end := func() {
		all = append(all, split(begin, paragraph)...)
		paragraph = nil
	}
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			fenced = !fenced
			end()
			continue
		case fenced:
			continue
		case trimmed == "", strings.HasPrefix(trimmed, "#"), strings.HasPrefix(trimmed, "<"):
			end()
			continue
		case strings.HasPrefix(trimmed, "|"):
			end()
			for cell := range strings.SplitSeq(trimmed, "|") {
				all = append(all, split(i+1, []string{cell})...)
			}
			continue
		case item.MatchString(trimmed):
			end()
			trimmed = item.ReplaceAllString(trimmed, "")
		}
		if len(paragraph) == 0 {
			begin = i + 1
		}
		paragraph = append(paragraph, trimmed)
	}
	end()
	return all
}

var item = regexp.MustCompile(`^([-*]|\d+\.)\s+`)

// rules returns the sentences of a rule file: its comments and the English annotations.
func rules(text string) []sentence {
	var all []sentence
	var paragraph []string
	begin, comment, annotation := 0, false, false
	end := func() {
		all = append(all, split(begin, paragraph)...)
		paragraph = nil
	}
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		was := comment
		rest, isComment := strings.CutPrefix(trimmed, "#")
		if comment = isComment; comment != was {
			end()
		}
		if m := key.FindStringSubmatch(trimmed); m != nil && !comment {
			end()
			annotation = m[1] == "summary" || m[1] == "description"
			rest = strings.Trim(m[2], ` |>-"`)
		} else if !comment {
			rest = trimmed
		}
		if !comment && !annotation {
			continue
		}
		if strings.HasPrefix(strings.TrimSpace(rest), "$ ") {
			end()
			continue
		}
		if len(paragraph) == 0 {
			begin = i + 1
		}
		paragraph = append(paragraph, strings.TrimSpace(rest))
	}
	end()
	return all
}

var key = regexp.MustCompile(`^(?:- )?([a-z_]+):(.*)$`)

// comments returns the sentences of the comments of a Go file.
func comments(text string) []sentence {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil // the compiler reports it
	}
	var all []sentence
	for _, group := range f.Comments {
		all = append(all, split(fset.Position(group.Pos()).Line, strings.Split(group.Text(), "\n"))...)
	}
	return all
}

// split returns the English sentences of a paragraph that begins on a line. Shorter ones than five words are none.
func split(line int, paragraph []string) []sentence {
	var all []sentence
	text := strings.Join(paragraph, "\n")
	for text != "" {
		rest := ""
		if at := stop.FindStringIndex(text); at != nil {
			text, rest = text[:at[1]], text[at[1]:]
		}
		words := strings.Fields(text)
		if len(words) >= 5 && strings.IndexFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) < 0 && prose(words) {
			all = append(all, sentence{"", line + strings.Count(text[:len(text)-len(strings.TrimLeft(text, "\n "))], "\n"), strings.Join(words, " ")})
		}
		line += strings.Count(text, "\n")
		text = rest
	}
	return all
}

// stop matches the end of a sentence.
var stop = regexp.MustCompile("[.!?][*)`\"]*\\s|\n\\s*\n")

// prose reports whether most of the words are words, not code.
func prose(words []string) bool {
	n := 0
	for _, w := range words {
		w = strings.Trim(w, ",.;:()*\"'!?")
		if w != "" && strings.IndexFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' }) < 0 {
			n++
		}
	}
	return 2*n > len(words)
}
