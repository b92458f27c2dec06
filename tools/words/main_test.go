package main

import (
	"fmt"
	"slices"
	"testing"
)

// TestTheListFindsWords checks the list itself: what it must find, and what it must pass over.
func TestTheListFindsWords(t *testing.T) {
	l, err := parse(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"a.md", "It looks\nat the region, and tells it.\n", []string{"1 looks", "2 tells"}},
		{"a.md", "It is kept\nback by its cause.", []string{"1 kept back"}},
		{"a.md", "The address is looked up, a well-known port works as well.", nil},
		{"a.md", "All is well again.", []string{"1 well"}},
		{"a.md", "a standard string in the bearer's header; understand the right section", nil},
		{"a.md", "the rights it needs", []string{"1 rights"}},
		{"a.yaml", "# looks\na: b # told\n", []string{"1 looks", "2 told"}},
		{"a.md", "不加驱逐线", []string{"1 驱逐线"}},
		{"told_test.go", "package a\n", []string{"1 told"}},
		{"a.go", "package a\n\n// Read goes\n// on.\nfunc lookOnce(kept int) { exec.LookPath(`door`) }\n", []string{"3 goes on", "5 look", "5 kept", "5 door"}},
		{"a.go", "package a\n\nvar keptAlive, ring_rate = strings.TrimRight, 1\n", []string{"3 ring"}},
		{"a.go", "package a\n\nvar say = `one\ntwo says`\n", []string{"4 says"}},
	} {
		var got []string
		for _, f := range l.check(c.name, c.text) {
			got = append(got, fmt.Sprintf("%d %s", f.line, joined.ReplaceAllString(f.word, " ")))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %q: got %q, want %q", c.name, c.text, got, c.want)
		}
	}
	for _, bad := range []string{"allow\ta\nany\tb", "allow\ta\nsome\tb\tc", "allow\ta\nany\t(\tc", "any\tb\tc"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is accepted as a list", bad)
		}
	}
}
