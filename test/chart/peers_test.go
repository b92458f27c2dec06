package chart

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// monitors are the sections that docs/compatibility.md calls MONITOR.
var monitors = map[string][]string{
	"K": {"prometheus.monitor", "prometheus.scrapeconfig"},
	"B": {"serviceMonitor"},
	"N": {"prometheus.monitor", "prometheus.podMonitor"},
}

// TestEveryValueOfOtherCharts expects a row in docs/compatibility.md for each
// value of testdata/peers.yaml, or for a section that contains it, and no row
// for a value that is not there.
func TestEveryValueOfOtherCharts(t *testing.T) {
	var charts map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, "testdata/peers.yaml")), &charts); err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for chart, sections := range monitors {
		node := charts[chart]
		exists := map[string]bool{}
		for _, path := range pathsOf(nil, &node) {
			exists[strings.Join(path, ".")] = true
		}
		if len(exists) < 150 {
			t.Fatalf("%s has %d values in testdata/peers.yaml, expected all of them", chart, len(exists))
		}
		has := map[string]bool{}
		for _, row := range peers(t, "compatibility.md") {
			if !strings.Contains(row[1], chart) {
				continue
			}
			for _, name := range quoted.FindAllStringSubmatch(row[2], -1) {
				value := strings.TrimSuffix(name[1], ".*")
				found := false
				for _, section := range sections {
					theirs := strings.Replace(value, "MONITOR", section, 1)
					has[theirs] = true
					found = found || exists[theirs]
				}
				if !found {
					t.Errorf("docs/compatibility.md: chart %s has no value %s", chart, value)
				}
			}
		}
		for value := range exists {
			covered := false
			for path := value; path != "" && !covered; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
				covered = has[path]
			}
			for path := range has { // a section of which the values have rows
				covered = covered || strings.HasPrefix(path, value+".")
			}
			if !covered {
				t.Errorf("docs/compatibility.md: no row for %s of chart %s", value, chart)
			}
		}
	}
}

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
