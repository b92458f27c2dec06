package main

import (
	"fmt"
	"slices"
	"testing"
)

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"a.md", "# A heading that has many words\n\nThe first sentence goes over\ntwo lines. The second one is here.\n\n```console\n$ this is no sentence at all\n```\n- An item is a sentence too.\n| slug | A cell is a sentence too. |\n",
			[]string{"3 The first sentence goes over two lines.", "4 The second one is here.", "9 An item is a sentence too.", "10 A cell is a sentence too."}},
		{"a.md", "Too short. 中文不是英文 a b c d e.\n", nil},
		{"a.zh.md", "This file is in Chinese anyway.\n", nil},
		{"a.rules.yaml", "# A comment of a rule file.\nexpr: a and on b c d\nsummary: \"One line of a summary text\"\ndescription: |-\n  Impact: the console has no region.\n  $ kubectl get pods and so on\n",
			[]string{"1 A comment of a rule file.", "3 One line of a summary text", "5 Impact: the console has no region."}},
		{"a.go", "package a\n\n// Read returns the bytes of a file.\n// It has no other purpose here.\nfunc Read() {}\n",
			[]string{"3 Read returns the bytes of a file.", "4 It has no other purpose here."}},
	} {
		var got []string
		if read := reader(c.name); read != nil {
			for _, s := range read(c.text) {
				got = append(got, fmt.Sprintf("%d %s", s.line, s.text))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %q:\ngot  %q\nwant %q", c.name, c.text, got, c.want)
		}
	}
}
