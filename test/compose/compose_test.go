// Package compose tests deploy/compose.yaml and the files that it mounts. No
// container is started.
package compose

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/console"
	"github.com/rainbond-exporter/rainbond-exporter/relay"
)

const (
	root   = "../.."
	deploy = root + "/deploy"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// copied returns a copy of the folder in which the steps of docs/compose.md are done.
func copied(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "deploy")
	if err := os.CopyFS(folder, os.DirFS(deploy)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{".env": read(t, deploy+"/.env.example"), "secrets/relay-token": "token", "secrets/robot-url": "https://oapi.dingtalk.com/robot/send?access_token=x"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestEveryDefaultIsInTheExample compares the defaults of variables with .env.example, and the images with the chart.
func TestEveryDefaultIsInTheExample(t *testing.T) {
	example := map[string]string{}
	for line := range strings.Lines(read(t, deploy+"/.env.example")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			example[name] = value
		}
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+):-([^}]*)\}`).FindAllStringSubmatch(read(t, deploy+"/compose.yaml"), -1) {
		used[m[1]] = true
		if example[m[1]] != m[2] {
			t.Errorf("%s is %q in compose.yaml and %q in .env.example", m[1], m[2], example[m[1]])
		}
	}
	chart := read(t, root+"/charts/rainbond-exporter/Chart.yaml")
	for name, value := range example {
		if !used[name] {
			t.Errorf("compose.yaml does not use %s", name)
		}
		if strings.HasSuffix(name, "_IMAGE") && !strings.Contains(chart, "image: "+value+"\n") {
			t.Errorf("%s=%s is not an image of the chart", name, value)
		}
	}
}

// TestTheRulesAndRoutesAreOurs compares with the files that make sync copies.
func TestTheRulesAndRoutesAreOurs(t *testing.T) {
	if read(t, deploy+"/prometheus/rainbond.rules.yaml") != read(t, root+"/rules/rainbond.rules.yaml") {
		t.Error("deploy/prometheus/rainbond.rules.yaml differs from the rules: make sync")
	}
	var ours, shipped struct {
		Route   any
		Inhibit []any `yaml:"inhibit_rules"`
	}
	for path, into := range map[string]any{deploy + "/alertmanager/alertmanager.yaml": &ours, root + "/rules/alertmanager.yaml": &shipped} {
		if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := yaml.Marshal(ours)
	b, _ := yaml.Marshal(shipped)
	if !bytes.Equal(a, b) || len(ours.Inhibit) == 0 {
		t.Error("deploy/alertmanager/alertmanager.yaml has other routes or inhibition rules: make sync")
	}
}

// TestEachProgramReadsItsFile loads the files as the programs do.
func TestEachProgramReadsItsFile(t *testing.T) {
	folder := copied(t)
	if err := os.Symlink(filepath.Join(folder, "secrets"), filepath.Join(folder, "relay", "secrets")); err != nil { // as mounted
		t.Fatal(err)
	}
	c, err := relay.Load(filepath.Join(folder, "relay", "relay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read(t, deploy+"/alertmanager/alertmanager.yaml"), "http://relay:10070/alertmanager/"+c.Receivers[0].Name+" ") {
		t.Errorf("Alertmanager has no receiver for %s of the relay", c.Receivers[0].Name)
	}
	if _, err := console.LoadConfig(filepath.Join(folder, "exporter", "rainbond-exporter.yaml")); err != nil {
		t.Error(err)
	}
	for name, args := range map[string][]string{
		"promtool": {"check", "config", "--syntax-only", folder + "/prometheus/prometheus.yaml"},
		"amtool":   {"check-config", folder + "/alertmanager/alertmanager.yaml"},
	} {
		path, err := filepath.Abs(root + "/tools/bin/" + name)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			t.Skipf("no %s: tools/build %s", name, name)
		}
		if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestComposeReadsTheFile checks it with the Compose of Docker 20.10 and with podman-compose. Both need no engine for that.
func TestComposeReadsTheFile(t *testing.T) {
	folder := copied(t)
	for _, name := range []string{"docker-compose", "podman-compose"} {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("no %s: tools/apt %s", name, name)
			}
			args := []string{"--profile=grafana", "-f", filepath.Join(folder, "compose.yaml"), "config"}
			if name == "podman-compose" { // prints what it would run; it asks Podman for its version only
				podman := filepath.Join(t.TempDir(), "podman")
				if err := os.WriteFile(podman, []byte("#!/bin/sh\necho podman version 4.3.1\n"), 0o700); err != nil { //nolint:gosec // a script
					t.Fatal(err)
				}
				args = []string{"--dry-run", "--podman-path=" + podman, "-f", filepath.Join(folder, "compose.yaml"), "up", "-d"}
			}
			command := exec.CommandContext(t.Context(), path, args...)
			command.Dir = folder
			var stdout, stderr bytes.Buffer
			command.Stdout, command.Stderr = &stdout, &stderr
			if err := command.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			for _, want := range []string{"rainbond-exporter:0.1.0", "/prometheus:v3.16.0", "/alertmanager:v0.31.1", "/grafana:13.2.3", "127.0.0.1:9090:9090"} {
				if !strings.Contains(stdout.String()+stderr.String(), want) {
					t.Errorf("no %q in\n%s", want, stdout.String())
				}
			}
		})
	}
}
