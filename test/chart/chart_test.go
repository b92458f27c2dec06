// Package chart holds the Helm chart: what it renders, what it refuses and in
// which words, and that what it carries is what the project ships.
//
// Run it with make chart, which builds Helm; without Helm its tests are
// skipped with a word.
package chart

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

var update = flag.Bool("update", false, "write what is rendered over what is expected")

const (
	root   = "../.."
	folder = root + "/charts/rainbond-exporter"
)

// helms are the two majors that people use, of which each must do.
var helms = []string{"helm", "helm3"}

// tool is the path of a pinned tool; without it, the test is skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "tools", "bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("no %s here: make chart builds it", name)
	}
	return path
}

// ran runs a program and returns its standard output, or what it complained
// of.
func ran(t *testing.T, name string, args ...string) (out, complaint string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	run := exec.CommandContext(t.Context(), name, args...)
	run.Stdout, run.Stderr = &stdout, &stderr
	run.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir())
	if err := run.Run(); err != nil {
		return stdout.String(), stderr.String() + stdout.String()
	}
	return stdout.String(), ""
}

// template renders the chart as release "rainbond" in namespace "monitoring".
func template(t *testing.T, helm string, args ...string) (rendered, complaint string) {
	t.Helper()
	return ran(t, tool(t, helm), append([]string{"template", "rainbond", folder, "--namespace=monitoring"}, args...)...)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, path); got != want {
		t.Errorf("%s is not what is rendered; if that is what you meant: go test ./test/chart -update\n%s", path, firstDifference(want, got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(w):
			return "more: " + g[i]
		case i >= len(g):
			return "less: " + w[i]
		case w[i] != g[i]:
			return "want: " + w[i] + "\ngot:  " + g[i]
		}
	}
	return ""
}

// objects splits a rendering, in the order of its text, whatever the order in
// which that Helm installs.
func objects(rendered string) []string {
	var all []string
	for _, object := range strings.Split("\n"+rendered, "\n---\n") {
		if object = strings.TrimSpace(object); object != "" {
			all = append(all, object)
		}
	}
	slices.Sort(all)
	return all
}

// carried begins text that the chart takes from its files, which have tests of
// their own: a golden would only hinder a person who edits them.
var carried = regexp.MustCompile(`^ *(groups:|inhibit_rules:|rainbond\.rules\.yml: \||[a-z-]+\.json: \|-)$|^    route:$`)

// withoutCarried leaves out what is under such a line.
func withoutCarried(object string) string {
	var rest strings.Builder
	under := ""
	for line := range strings.Lines(object) {
		if under != "" && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, under+" ") || strings.HasPrefix(line, under+"- ")) {
			continue
		}
		under = ""
		rest.WriteString(line)
		if carried.MatchString(strings.TrimSuffix(line, "\n")) {
			under = line[:len(line)-len(strings.TrimLeft(line, " "))]
			rest.WriteString(under + "  # from files/\n")
		}
	}
	return checksum.ReplaceAllString(rest.String(), "${1}# of files/")
}

// checksum is an annotation that changes with such text.
var checksum = regexp.MustCompile(`(checksum/[a-z]+: )[0-9a-f]{64}`)

func TestEachGoodFixtureRendersAsExpected(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, fixture := range fixtures {
		name := filepath.Base(fixture)
		t.Run(name, func(t *testing.T) {
			for _, helm := range helms {
				rendered, complaint := template(t, helm, "--values="+fixture)
				if complaint != "" {
					t.Fatalf("%s: %s", helm, complaint)
				}
				text := ""
				for _, object := range objects(rendered) {
					text += "---\n" + withoutCarried(object+"\n")
				}
				golden(t, filepath.Join("testdata", "golden", name), text)
			}
		})
	}
}

// place is where in a template a complaint arose.
var place = regexp.MustCompile(`execution error at \(\S+\): `)

// warning is a line that Helm logs about a value of the wrong type, before the
// schema rejects it.
var warning = regexp.MustCompile(`(?m)^(level=(INFO|WARN)|coalesce\.go:\d+:|\d{4}/\d\d/\d\d ).*\n`)

// sentence is a complaint without Helm's words around it.
func sentence(complaint string) string {
	complaint = warning.ReplaceAllString(complaint, "")
	complaint = strings.TrimPrefix(complaint, "Error: ")
	complaint, _, _ = strings.Cut(complaint, "\n\nUse --debug")
	complaint = strings.TrimPrefix(complaint, "values don't meet the specifications of the schema(s) in the following chart(s):\nrainbond-exporter:\n- ")
	return strings.TrimSpace(place.ReplaceAllString(complaint, ""))
}

func TestEachBadValueIsRefusedWithASentenceThatNamesIt(t *testing.T) {
	const path = "testdata/bad.yaml"
	var cases []struct {
		Values yaml.Node `yaml:"values"`
		Error  string    `yaml:"error"`
	}
	if err := yaml.Unmarshal([]byte(read(t, path)), &cases); err != nil {
		t.Fatal(err)
	}
	complaints := map[string]string{}
	for i := range cases {
		values, err := yaml.Marshal(&cases[i].Values)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSpace(string(values))
		t.Run(line, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(file, values, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, helm := range helms {
				_, complaint := template(t, helm, "--values="+file)
				complaints[line] = sentence(complaint)
				if got := complaints[line]; got != cases[i].Error && !*update {
					t.Errorf("%s reports:\n%s\nexpected:\n%s", helm, got, cases[i].Error)
				}
			}
		})
	}
	if *update {
		text := "# Values that are refused, each with the errors of Helm 3 and Helm 4.\n"
		for _, c := range cases {
			values, _ := yaml.Marshal(&c.Values)
			line := strings.TrimSpace(string(values))
			text += "- values: " + line + "\n  error: |-\n    " + strings.ReplaceAll(complaints[line], "\n", "\n    ") + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheChartCarriesWhatTheProjectShips(t *testing.T) {
	shipped := map[string]string{
		"rainbond.rules.yaml": root + "/rules/rainbond.rules.yaml",
		"relay.rules.yaml":    root + "/rules/relay.rules.yaml",
		"alertmanager.yaml":   root + "/rules/alertmanager.yaml",
		"values.yaml":         folder + "/values.yaml",
		"identity.json":       root + "/rules/identity.json",

		"dashboards/identity.json": root + "/dashboards/identity.json",
	}
	dashboards, err := filepath.Glob(root + "/dashboards/??/*.json")
	if err != nil || len(dashboards) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, path := range dashboards {
		shipped["dashboards/"+filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path)] = path
	}
	for name, path := range shipped {
		if copied, err := os.ReadFile(folder + "/files/" + name); err != nil || string(copied) != read(t, path) {
			t.Errorf("charts/rainbond-exporter/files/%s is not %s: make sync", name, filepath.Clean(path))
		}
	}
	const flat = "rainbond.flat.rules.yaml"
	shipped[flat] = "rainbond-exporter rules --format=vmalert"
	if text, err := variant.Generate(variant.Options{Format: variant.VMAlert}); err != nil || string(text) != read(t, folder+"/files/"+flat) {
		t.Errorf("charts/rainbond-exporter/files/%s is not what %s prints: make sync", flat, shipped[flat])
	}
	err = filepath.WalkDir(folder+"/files", func(path string, entry os.DirEntry, err error) error {
		if name, _ := filepath.Rel(folder+"/files", path); err == nil && !entry.IsDir() && shipped[name] == "" {
			t.Errorf("charts/rainbond-exporter/files/%s is shipped nowhere else: make sync", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTheDashboardsSpeakOneLanguageAndLeadToTheWantedGuide holds the only two
// values that change what the chart carries of them.
func TestTheDashboardsSpeakOneLanguageAndLeadToTheWantedGuide(t *testing.T) {
	const guide = "https://exporter.example.com/guide?lang=zh"
	for _, helm := range helms {
		rendered, complaint := template(t, helm, "--set=dashboards.configMaps=true,dashboards.language=zh,dashboards.guide="+guide)
		if complaint != "" {
			t.Fatalf("%s: %s", helm, complaint)
		}
		for text, want := range map[string]int{"rainbond-overview.json: |-": 1, "总览": 1, "Rainbond / Overview": 0, `"query": "` + guide + `"`: 5, "/docs/guide.": 0} {
			if got := strings.Count(rendered, text); got != want {
				t.Errorf("%s: %q occurs %d times, want %d", helm, text, got, want)
			}
		}
	}
}

func TestHelmLintFindsNothing(t *testing.T) {
	for _, helm := range helms {
		if _, complaint := ran(t, tool(t, helm), "lint", "--strict", folder); complaint != "" {
			t.Errorf("%s lint: %s", helm, complaint)
		}
	}
}
