package main

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/test/documents"
)

// TestDocumentedFlags parses the flags of every documented call of the exporter, also as plugin of kubectl and with go run.
func TestDocumentedFlags(t *testing.T) {
	blocks, err := documents.Blocks("../..")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range blocks {
		for _, c := range b.Commands() {
			calls, err := c.Calls()
			if err != nil {
				t.Errorf("%s: %v", c.Where(), err)
			}
			for _, call := range calls {
				args := call[1:]
				switch name := filepath.Base(call[0]); {
				case name == "rainbond-exporter", name == "kubectl-rainbond":
				case name == "kubectl" && slices.Contains(args, "rainbond"):
					args = append([]string{"check"}, slices.DeleteFunc(args, func(arg string) bool { return arg == "rainbond" || arg == "check" })...)
				case name == "kubectl" && slices.Contains(args, "--") && slices.Contains(args, "/rainbond-exporter"):
					args = args[slices.Index(args, "/rainbond-exporter")+1:]
				case name == "go" && len(args) > 1 && args[0] == "run" && args[1] == "./cmd/rainbond-exporter":
					args = args[2:]
				default:
					continue
				}
				n++
				if slices.Contains(args, "--help") || slices.Contains(args, "--version") {
					continue // kingpin would end the test
				}
				if _, err := parse(args, io.Discard); err != nil && !errors.Is(err, errHelp) {
					t.Errorf("%s: %s: %v", c.Where(), c.Text, err)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("%d calls of the exporter are documented, expected more than 10", n)
	}
}
