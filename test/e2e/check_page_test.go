//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runsTheCheckPage runs the commands of docs/check.md: kubectl finds the binary as
// its plugin, and the server takes the manifests.
func (h *site) runsTheCheckPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/check.md")
	must(t, err)
	zh, err := os.ReadFile("../../docs/check.zh.md")
	must(t, err)
	blocks := block.FindAllStringSubmatch(string(page), -1)
	received := func(blocks [][]string) (code []string) {
		for _, m := range blocks {
			if m[2] != "" { // no heading
				code = append(code, m[3])
			}
		}
		return code
	}
	if !slices.Equal(received(blocks), received(block.FindAllStringSubmatch(strings.ReplaceAll(string(zh), "--lang=zh", "--lang=en"), -1))) {
		t.Error("docs/check.md and docs/check.zh.md contain different commands")
	}

	manifests := 0
	for _, m := range blocks {
		if m[2] != "yaml" {
			continue
		}
		manifests++
		// In the namespace that warns of what Pod Security restricted would refuse.
		manifest := strings.ReplaceAll(m[3], "namespace: rainbond-console", "namespace: "+monitoring)
		_, warnings := h.do(t, manifest, tool(t, "kubectl"), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
		if warnings != "" {
			t.Errorf("the server warns:\n%s\nof\n%s", warnings, m[3])
		}
	}
	if manifests != 2 {
		t.Errorf("%d manifests, expected the cron job and the init container", manifests)
	}

	here := sub(t, h.folder, "plugin")
	path := strings.Join([]string{here, filepath.Dir(built(t, "../../bin/rainbond-exporter", "make build")), filepath.Dir(tool(t, "kubectl")), "/usr/bin", "/bin"}, string(filepath.ListSeparator))
	var printed []string
	for _, section := range commands(string(page)) {
		for _, command := range section {
			run := exec.CommandContext(t.Context(), "/bin/sh", "-c", command)
			var out, complaint bytes.Buffer
			run.Dir, run.Stdout, run.Stderr = here, &out, &complaint
			run.Env = append(os.Environ(), "PATH="+path, "KUBECONFIG="+h.kubeconfig)
			err := run.Run()
			if strings.HasPrefix(command, "kubectl rainbond") {
				if status := run.ProcessState.ExitCode(); status != 1 { // nobody serves the region's API
					t.Errorf("%s: ends with %d, expected 1", command, status)
				}
				err = nil
			}
			if err != nil || complaint.Len() > 0 {
				t.Errorf("%s: %v\n%s", command, err, complaint.String())
			}
			printed = append(printed, out.String())
		}
	}
	if len(printed) != 4 {
		t.Fatalf("%d commands, expected 4", len(printed))
	}
	if !strings.Contains(printed[1], "kubectl-rainbond\n") {
		t.Errorf("kubectl knows no such plugin:\n%s", printed[1])
	}
	// Outside the cluster the console's route to the API is unknown. The other collectors succeed.
	if !strings.Contains(printed[2], "RainbondPlacementNodeMissing") || !strings.Contains(printed[2], "Unknown: Region API (api), Certificates (cert)") {
		t.Errorf("kubectl rainbond check prints:\n%s", printed[2])
	}
	var diagnosis struct {
		Collected []string `json:"looked"`
	}
	if err := json.Unmarshal([]byte(printed[3]), &diagnosis); err != nil || !slices.Equal(diagnosis.Collected, []string{"node-role"}) {
		t.Errorf("%v, collected %q:\n%s", err, diagnosis.Collected, printed[3])
	}
	progress("kubectl calls check as its plugin, and the server takes %d manifests", manifests)
}

// checksAsItsAccount runs what the cron job of docs/check.md runs, with the
// token that it gets.
func checksAsItsAccount(t *testing.T, kubeconfig string) {
	binary := built(t, "../../bin/rainbond-exporter", "make build")
	out, _ := exec.CommandContext(t.Context(), binary, "check", "--timeout=30s", "--output=json", "--region.route=api_address", "--kubeconfig="+kubeconfig).Output() // ends with 1
	var diagnosis struct {
		Verdict   string
		Collected []string `json:"looked"`
		Unable    []any
	}
	if err := json.Unmarshal(out, &diagnosis); err != nil || len(diagnosis.Collected) != 6 || len(diagnosis.Unable) != 0 {
		t.Errorf("%v, collected %q, unable %v:\n%s", err, diagnosis.Collected, diagnosis.Unable, out)
	}
}
