package chart

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestTheChineseReadmeHasTheDefaults compares the values in README.zh.md with
// values.yaml. It lists only the frequent ones.
func TestTheChineseReadmeHasTheDefaults(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, folder+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	english := rows(t, "", document.Content[0])
	found := regexp.MustCompile("(?m)^\\| (`[A-Za-z.]+` \\| `[^`]*`) \\|").FindAllStringSubmatch(read(t, folder+"/README.zh.md"), -1)
	if len(found) < 20 {
		t.Fatalf("README.zh.md lists %d values", len(found))
	}
	for _, m := range found {
		if !strings.Contains(english, "| "+m[1]+" |") {
			t.Errorf("values.yaml has no %s", m[1])
		}
	}
}
