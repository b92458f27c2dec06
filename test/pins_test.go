package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestActionsAndBaseImagesArePinned expects a commit hash and its version for
// each action, and a digest for each base image. A tag can be moved.
func TestActionsAndBaseImagesArePinned(t *testing.T) {
	workflows, err := filepath.Glob("../.github/workflows/*.yaml")
	if err != nil || len(workflows) < 4 {
		t.Fatalf("%d workflows, %v", len(workflows), err)
	}
	pinned := map[string]*regexp.Regexp{
		"uses:":     regexp.MustCompile(`uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`),
		"FROM ":     regexp.MustCompile(`^FROM (scratch|--platform=\$BUILDPLATFORM \$\{BASE\} AS build)$`),
		"ARG BASE=": regexp.MustCompile(`^ARG BASE=.*@sha256:[0-9a-f]{64}$`),
	}
	n := 0
	for _, path := range append(workflows, "../Dockerfile") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			for word, pattern := range pinned {
				if !strings.Contains(line, word) {
					continue
				}
				n++
				if !pattern.MatchString(line) {
					t.Errorf("%s: %q is not pinned; expected %s", path, strings.TrimSpace(line), pattern)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("%d references found", n)
	}
}
