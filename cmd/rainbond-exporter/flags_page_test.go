package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// flagsPage returns the table of all flags, from --help-man.
func flagsPage(t *testing.T) string {
	t.Helper()
	t.Setenv("LANG", "C")
	t.Setenv("NODE_NAME", "NODE")
	file, err := os.Create(filepath.Join(t.TempDir(), "help"))
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = file // kingpin writes it there
	status := run(t.Context(), []string{"--help-man"}, io.Discard, io.Discard)
	os.Stdout = stdout
	man, err := os.ReadFile(file.Name())
	if err != nil || status != healthy {
		t.Fatalf("--help-man exits with %d, %v", status, err)
	}
	type row struct{ flag, help, commands string }
	var rows []row
	command := "all"
	section := regexp.MustCompile(`(?m)^\.SS\n\\fB([a-z ]*[a-z])|^\.TP\n\\fB(-[^\n]*)\\fR\n([^\n]*)`)
	for _, m := range section.FindAllStringSubmatch(string(man), -1) {
		if m[1] != "" {
			command = m[1]
			continue
		}
		flag, help := m[2], strings.ReplaceAll(m[3], "|", `\|`)
		if name, _, found := strings.Cut(flag, "="); found && slices.Contains([]string{"--node.name", "--lang"}, name) {
			flag = name // the default depends on the machine
		}
		flag = strings.NewReplacer(`"`, "", `=""`, "").Replace(strings.TrimSuffix(flag, `=""`))
		if i := slices.IndexFunc(rows, func(r row) bool { return r.flag == flag && r.help == help }); i >= 0 {
			rows[i].commands += ", " + command
		} else {
			rows = append(rows, row{flag, help, command})
		}
	}
	if len(rows) < 20 {
		t.Fatalf("%d flags in\n%s", len(rows), string(man))
	}
	var table strings.Builder
	table.WriteString("| flag and default | command | meaning |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.flag, r.commands, r.help)
	}
	return table.String()
}

// TestTheFlagsPage compares the tables of docs/configuration.*.md with --help.
func TestTheFlagsPage(t *testing.T) {
	want := flagsPage(t)
	for _, path := range []string{"../../docs/configuration.md", "../../docs/configuration.zh.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, after, found := strings.Cut(string(page), "-run Flags -update. -->\n")
		if !found {
			t.Fatalf("%s has no place for the flags", path)
		}
		if *update {
			if err := os.WriteFile(path, []byte(strings.TrimSuffix(string(page), after)+"\n"+want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if after != "\n"+want {
			t.Errorf("%s differs from --help below\n%s…\nRun go test ./cmd/rainbond-exporter -run Flags -update; expected\n%s", path, before[max(0, len(before)-100):], want)
		}
	}
}
