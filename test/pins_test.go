package test

import (
	"go/version"
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
		"ARG BASE=": regexp.MustCompile(`^ARG BASE=.*:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}$`),
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

// TestBaseImageHasTheGoOfTheModule expects a Go in the base image that is not
// older than that of go.mod. The image does not download another one.
func TestBaseImageHasTheGoOfTheModule(t *testing.T) {
	find := func(path, pattern string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s: no %s", path, pattern)
		}
		return "go" + string(found[1])
	}
	image, module := find("../Dockerfile", `ARG BASE=.*golang:([\d.]+)@`), find("../go.mod", `(?m)^go ([\d.]+)$`)
	if version.Compare(image, module) < 0 {
		t.Errorf("Dockerfile: %s; expected %s of go.mod, or later", image, module)
	}
}
