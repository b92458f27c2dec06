package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// codeIn is what a page shows as code: in fences, or in a line.
var codeIn = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")

// TestPagesInBothLanguagesNameTheSameThings compares what must not be
// translated: names, values, commands.
func TestPagesInBothLanguagesNameTheSameThings(t *testing.T) {
	for _, page := range []string{"README", "alerts", "glossary", "hardening", "../SECURITY"} {
		var named [2][]string
		for i, path := range []string{page + ".md", page + ".zh.md"} {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			named[i] = codeIn.FindAllString(string(text), -1)
			slices.Sort(named[i])
			named[i] = slices.Compact(named[i])
		}
		if !slices.Equal(named[0], named[1]) {
			t.Errorf("%s names\n%s\nand in Chinese\n%s", page, strings.Join(named[0], " "), strings.Join(named[1], " "))
		}
	}
}
