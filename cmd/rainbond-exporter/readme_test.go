package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// changing is what differs from run to run: fingerprints, ports and times.
var changing = regexp.MustCompile(`\b[0-9a-f]{12}\b|127\.0\.0\.1:\d+|\d+ ms`)

// TestReadmeShowsTheOutputOfCheck holds the first screen of both READMEs: the
// diagnosis there, up to the ellipsis, is what the command above it prints.
func TestReadmeShowsTheOutputOfCheck(t *testing.T) {
	for lang, path := range map[string]string{"en": "../../README.md", "zh": "../../README.zh.md"} {
		readme, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		args := "demo --scenario=cert-rotated-broken check --lang=" + lang
		_, after, found := strings.Cut(string(readme), "$ go run ./cmd/rainbond-exporter "+args+"\n")
		shown, _, complete := strings.Cut(after, "…\n")
		if !found || !complete {
			t.Fatalf("%s does not show what %q prints", path, args)
		}
		var out, errs bytes.Buffer
		if status := run(t.Context(), append(strings.Fields(args), "--rsa-bits=2048"), &out, &errs); status != faults {
			t.Errorf("ended with %d: %s", status, errs.String())
		}
		output, want := changing.ReplaceAllString(out.String(), "…"), changing.ReplaceAllString(shown, "…")
		if !strings.HasPrefix(output, want) {
			t.Errorf("%s shows\n%s\nand the command prints\n%s", path, want, output)
		}
	}
}
