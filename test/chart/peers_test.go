package chart

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestTheValuesOfOtherCharts expects that docs/compatibility.md names values
// that exist, a reason where there is none, and each value of another chart
// once; and the same values on the Chinese page.
func TestTheValuesOfOtherCharts(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, folder+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, path := range pathsOf(nil, document.Content[0]) {
		exists[strings.Join(path, ".")] = true
	}
	english, chinese := peers(t, "compatibility.md"), peers(t, "compatibility.zh.md")
	if len(english) < 150 || len(english) != len(chinese) {
		t.Fatalf("%d rows, and %d in Chinese", len(english), len(chinese))
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	seen := map[string]bool{}
	for i, row := range english {
		for _, column := range []int{1, 2, 3} { // all but the note
			if got := strings.ReplaceAll(chinese[i][column], "、", ", "); got != row[column] {
				t.Errorf("compatibility.zh.md: %q; expected %q", got, row[column])
			}
		}
		if row[3] == "–" && row[4] == "" {
			t.Errorf("%s: neither a value nor a reason", row[2])
		}
		for _, theirs := range quoted.FindAllStringSubmatch(row[2], -1) {
			for _, chart := range strings.Fields(row[1]) {
				if key := chart + " " + theirs[1]; seen[key] {
					t.Errorf("%s is there twice", key)
				} else {
					seen[key] = true
				}
			}
		}
		for _, ours := range quoted.FindAllStringSubmatch(row[3], -1) {
			roles := []string{"cluster", "node", "console"}
			if !strings.HasPrefix(ours[1], "ROLE.") {
				roles = roles[:1]
			}
			for _, role := range roles {
				if path := strings.Replace(ours[1], "ROLE.", role+".", 1); !exists[path] {
					t.Errorf("%s: values.yaml has no %s", row[2], path)
				}
			}
		}
	}
}

// peers returns the columns of the rows about other charts on a page.
func peers(t *testing.T, page string) [][]string {
	t.Helper()
	return regexp.MustCompile(`(?m)^\| ([KBN](?: [KBN])*) \| ([^|]+) \| ([^|]+) \| ([^|]*?) ?\|$`).FindAllStringSubmatch(read(t, root+"/docs/"+page), -1)
}
