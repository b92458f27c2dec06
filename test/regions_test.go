package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestThePrometheusConfigurationsInTheDocumentsLoad gives every YAML block of
// docs/regions.md to promtool.
func TestThePrometheusConfigurationsInTheDocumentsLoad(t *testing.T) {
	promtool, err := filepath.Abs("../tools/bin/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(promtool); err != nil {
		t.Skip("promtool is not built: tools/build promtool")
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/regions.md"), -1)
	if len(blocks) < 3 {
		t.Fatalf("docs/regions.md has %d configurations, want 3", len(blocks))
	}
	for i, block := range blocks {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.yaml", i))
		if err := os.WriteFile(path, []byte(block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "config", path).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, block[1])
		}
	}
}
