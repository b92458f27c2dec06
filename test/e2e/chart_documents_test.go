//go:build e2e

package e2e

import (
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/test/documents"
)

// takesDocumentedObjects applies every object of the documentation on the real
// API server, without storing it. Namespaces of the documentation become the one of monitoring.
func (h *site) takesDocumentedObjects(t *testing.T) {
	blocks, err := documents.Blocks("../..")
	must(t, err)
	n := 0
	for _, b := range blocks {
		var doc yaml.Node
		if b.Info != "yaml" || yaml.Unmarshal([]byte(b.Text), &doc) != nil || documents.KindOf(&doc) != "object" {
			continue
		}
		n++
		manifest := regexp.MustCompile(`(?m)^(\s*)namespace: .*$`).ReplaceAllString(b.Text, "${1}namespace: "+monitoring)
		if _, warnings := h.do(t, manifest, tool(t, "kubectl"), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"); warnings != "" {
			t.Errorf("%s: the server warns:\n%s", b.Where(), warnings)
		}
	}
	if n == 0 {
		t.Error("no object is documented")
	}
	progress("the server takes %d documented objects", n)
}
