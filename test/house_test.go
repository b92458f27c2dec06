// Package test holds what no single package can: as docs/design.md describes, and that whatever has one symptom's slug is there.
package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rainbond-exporter/rainbond-exporter/"

// mayImport is the house's plan: the folders of ours that each folder may
// import. cmd may import all, nobody cmd.
var mayImport = map[string][]string{
	"fault":           {},
	"rules":           {},
	"docs":            {},
	"dashboards":      {"rules"},
	"demo/pki":        {},
	"probe":           {"fault"},
	"kube":            {"configfile", "fault"},
	"console":         {"configfile", "fault"},
	"filesystem":      {"configfile", "fault"},
	"configfile":      {},
	"alerting":        {"rules"},
	"relay":           {"configfile", "report", "rules"},
	"relay/relaytest": {},
	"collector":       {"fault"},
	"doctor":          {"collector", "doctor/samples"},
	"report":          {"collector", "doctor"},
	"rules/variant":   {"report", "rules"},
	"rules/lint":      {"collector", "doctor", "rules"},
	"rules/timing":    {},
	"demo":            {"fault", "demo/pki"},
	"tour":            {"collector", "demo", "doctor", "relay", "report", "report/web", "rules"},

	"report/json":       {"collector", "doctor", "fault", "report"},
	"report/terminal":   {"collector", "doctor", "report"},
	"report/web":        {"alerting", "collector", "doctor", "report", "report/json"},
	"doctor/samples":    nil,
	"doctor/doctortest": {"collector"},
}

// pure folders import nothing but the standard library, and of it nothing
// that reads, writes or waits.
var pure = map[string][]string{
	"fault": {"bufio", "io/ioutil", "log", "log/slog", "net/http", "os/exec"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsFollowThePlan(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		folder := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(folder, "cmd/") || strings.HasPrefix(folder, "test") || strings.HasPrefix(folder, "tools/") {
			continue
		}
		allowed, planned := mayImport[folder]
		if !planned {
			t.Errorf("%s is not in the plan of docs/design.md", folder)
			continue
		}
		seen++
		for _, path := range p.Imports {
			ours, ok := strings.CutPrefix(path, module)
			if ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; it may import %q", folder, ours, allowed)
			}
			if forbidden, isPure := pure[folder]; isPure && (strings.Contains(path, ".") || slices.Contains(forbidden, path)) {
				t.Errorf("%s imports %s; it is pure", folder, path)
			}
		}
	}
	if seen != len(mayImport) {
		t.Errorf("%d of %d planned folders exist", seen, len(mayImport))
	}
}

func TestKubernetesAndFlagsStayWhereTheyBelong(t *testing.T) {
	for _, p := range packages(t) {
		folder := strings.TrimPrefix(p.ImportPath, module)
		for _, path := range p.Imports {
			switch {
			case strings.HasPrefix(path, "k8s.io/") && folder != "kube" && folder != "demo":
				t.Errorf("%s imports %s; only kube talks to Kubernetes, and demo imitates it", folder, path)
			case strings.HasSuffix(path, "/kingpin/v2") && !strings.HasPrefix(folder, "cmd/") && folder != "filesystem":
				t.Errorf("%s imports kingpin; flags are read in cmd", folder)
			case strings.HasPrefix(path, "github.com/prometheus/node_exporter") && folder != "filesystem":
				t.Errorf("%s imports node_exporter; only filesystem does", folder)
			}
		}
	}
}
