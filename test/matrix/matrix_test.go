package matrix

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables into docs/faults.md instead of comparing it")

// TestPage compares the tables of installations in docs/faults.md with the demo
// and with the measured results. The tests of cmd/rainbond-exporter run check
// for each cell of the first table.
func TestPage(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "faults.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	measured, err := Read(filepath.Join("..", "e2e", "testdata", "measured.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Page(string(page), measured)
	if err != nil {
		t.Fatal(err)
	}
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the demo or the measured results: go test ./test/matrix -update, and read the difference", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReplace(t *testing.T) {
	page := "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
	got, err := Replace(page, "x", "new\n")
	if want := "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n"; got != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if again, _ := Replace(got, "x", "new"); again != got {
		t.Errorf("the second time: %q", again)
	}
	if _, err := Replace(page, "y", ""); err == nil {
		t.Error("a missing section is no error")
	}
}

func TestResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "measured.json")
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	r.Add("quick", "api-5xx", Result{Seconds: []int{69}, Messages: 1})
	r.Add("host", "api-5xx", Result{Wrong: true})
	r.Add("host", "healthy", Result{Exit: &zero})
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(again.Table(again.rows(installations()), installations())), "\n")
	column := func(line, installation string) string {
		n := slices.Index(installations(), installation)
		return strings.TrimSpace(strings.Split(lines[line[0]-'0'], "|")[n+2])
	}
	for _, test := range []struct{ line, installation, want string }{
		{"0", "quick", "quick"}, {"2", "host", "0 notifications, `check` exits 0"}, {"3", "quick", "69 s"}, {"3", "host", "**wrong**"}, {"3", "v5", ""},
	} {
		if got := column(test.line, test.installation); got != test.want {
			t.Errorf("line %s, %s: got %q, want %q", test.line, test.installation, got, test.want)
		}
	}
	if len(lines) != 4 { // rows that were never measured are left out
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
}

func TestSummary(t *testing.T) {
	r := Results{"default": {
		"api-5xx": {Seconds: []int{69}, Messages: 1}, "late": {Seconds: []int{999}, Messages: 1, Wrong: true}, "lost": {Wrong: true},
		"healthy": {}, "noisy": {Messages: 1}, Pages: {Seconds: []int{69, 999}},
	}}
	lines := strings.Split(strings.TrimSpace(r.summary([]string{"default", "60s"})), "\n")[2:]
	for i, want := range []string{"| 1 of 3 | 0 of 0 |", "| 1 of 2 | 0 of 0 |", "| 69 (999) | |"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("got %q, want %q", lines[i], want)
		}
	}
}
