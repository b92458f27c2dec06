//go:build e2e

package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// upgradesFromThePreviousRelease installs the chart as it was released last,
// with the values of a user, and upgrades it to this one: what is there then
// is what a new installation would have made.
func (h *site) upgradesFromThePreviousRelease(t *testing.T) {
	previous, name := previousChart(t, sub(t, h.folder, "previous"))
	for _, helm := range []string{"helm", "helm3"} {
		do := func(args ...string) {
			h.do(t, "", tool(t, helm), append(args, "--namespace="+monitoring)...)
		}
		values := []string{"--set=region.name=prod", "--set=rules.configMap=true", "--set=dashboards.configMaps=true", "--set=cluster.replicas=2", "--set=podDisruptionBudget.enabled=true"}
		do(append([]string{"install", chartRelease, chartFolder}, values...)...)
		installed := h.objects(t)
		do("uninstall", chartRelease, "--wait")

		do(append([]string{"install", chartRelease, previous}, values...)...)
		do("upgrade", chartRelease, chartFolder, "--reset-then-reuse-values")
		upgraded := slices.DeleteFunc(h.objects(t), func(o string) bool { return strings.Contains(o, "sh.helm.release.v1."+chartRelease+".v2") })
		if !slices.Equal(upgraded, installed) {
			t.Errorf("%s: upgraded from %s there are\n%s\nfreshly installed\n%s", helm, name, strings.Join(upgraded, "\n"), strings.Join(installed, "\n"))
		}
		out, _ := h.do(t, "", tool(t, helm), "get", "values", chartRelease, "--namespace="+monitoring)
		if !strings.Contains(out, "name: prod") {
			t.Errorf("%s: the upgrade has forgotten the values:\n%s", helm, out)
		}
		do("uninstall", chartRelease, "--wait")
		until(t, 20*time.Second, helm+" leaves nothing behind", func() error {
			if left := h.objects(t); len(left) > 0 {
				return errors.New(strings.Join(left, ", "))
			}
			return nil
		})
		progress("%s upgrades from %s", helm, name)
	}
}

// previousChart is the chart of the newest release before this commit; as
// long as there is none, the chart as it came into this repository.
func previousChart(t *testing.T, folder string) (path, name string) {
	t.Helper()
	const chart = "charts/rainbond-exporter"
	git := func(args ...string) string {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = "../.."
		out, err := command.Output()
		if err != nil {
			return ""
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return first
	}
	name = git("describe", "--tags", "--abbrev=0", "HEAD^")
	if name == "" {
		name = git("log", "--diff-filter=A", "--reverse", "--format=%h", "--", chart+"/Chart.yaml")
	}
	if name == "" {
		t.Skip("no release, and no history to take a chart from: a shallow clone?")
	}
	archive := filepath.Join(folder, "chart.tar")
	if out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "archive", "--output="+archive, name, chart).CombinedOutput(); err != nil {
		t.Fatalf("git archive %s: %v\n%s", name, err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", folder).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return filepath.Join(folder, chart), name
}
