package rules_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// tool is the path of a tool, where it has been built.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../tools/bin/" + name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("not built: tools/build %s", name)
	}
	return path
}

// runs runs a tool that must succeed, and returns its output.
func runs(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTheRealToolsAccept runs amtool and promtool where they have been built:
// the newest, the one of rbd-monitor, and 2.53; and the rule checkers of Thanos
// and Mimir.
func TestTheRealToolsAccept(t *testing.T) {
	for _, line := range []string{
		"promtool check rules --lint=all --lint-fatal rainbond.rules.yaml",
		"promtool check rules --lint=all --lint-fatal rbd-monitor.rules.yaml",
		"promtool test rules rainbond.test.yaml",
		"promtool check rules --lint=all --lint-fatal relay.rules.yaml",
		"promtool test rules relay.test.yaml",
		"promtool-2.20 check rules rainbond.rules.yaml",
		"promtool-2.20 check rules rbd-monitor.rules.yaml",
		"promtool-2.53 test rules rainbond.test.yaml",
		"thanos-rules rainbond.rules.yaml relay.rules.yaml rbd-monitor.rules.yaml",
		"mimir-rules rainbond.rules.yaml relay.rules.yaml rbd-monitor.rules.yaml",
		"amtool check-config alertmanager.yaml",
	} {
		t.Run(line, func(t *testing.T) {
			words := strings.Fields(line)
			if words[0] == "promtool-2.53" && testing.Short() {
				t.Skip("takes half a minute: make promtool runs it")
			}
			runs(t, words[0], words[1:]...)
		})
	}
}

// TestEveryAlertGoesToItsReceiver asks amtool where each alert goes.
func TestEveryAlertGoesToItsReceiver(t *testing.T) {
	goes := map[string]string{"critical": "page", "warning": "channel", "info": "null", "none": "deadman"}
	rows := map[string]string{
		"alertname=TargetDown":                                 "channel", // another project's
		"alertname=TargetDown severity=critical":               "page",
		"alertname=RainbondWatchdog severity=critical":         "deadman", // whatever it is labelled
		"alertname=RainbondCollectorFailing severity=critical": "page",
	}
	for _, r := range alerts(t) {
		rows[fmt.Sprintf("alertname=%s severity=%s rainbond_region=a", r.Alert, r.Labels["severity"])] = goes[r.Labels["severity"]]
	}
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		runs(t, "amtool", append([]string{"config", "routes", "test", "--config.file=alertmanager.yaml", "--verify.receivers=" + rows[row]}, strings.Fields(row)...)...)
	}
}

// TestMonitorFindsWhatTheGuideMounts follows docs/alerts.md: the key of its
// ConfigMap, in the folder of its mount, is a file that rbd-monitor loads.
func TestMonitorFindsWhatTheGuideMounts(t *testing.T) {
	doc := read(t, "../docs/alerts.md")
	command := regexp.MustCompile(`create configmap (\S+) --from-file=([^=]+)=rules/(\S+)`).FindStringSubmatch(doc)
	blocks := regexp.MustCompile("(?s)```yaml\n(spec:.*?)```").FindStringSubmatch(doc)
	if command == nil || blocks == nil {
		t.Fatal("docs/alerts.md does not describe how to mount rbd-monitor.rules.yaml")
	}
	var patch struct {
		Spec struct {
			Volumes []struct {
				Name      string
				ConfigMap struct{ Name string } `yaml:"configMap"`
			}
			VolumeMounts []struct {
				Name      string
				MountPath string `yaml:"mountPath"`
			} `yaml:"volumeMounts"`
		}
	}
	if err := yaml.Unmarshal([]byte(blocks[1]), &patch); err != nil {
		t.Fatal(err)
	}
	volume, mount := patch.Spec.Volumes[0], patch.Spec.VolumeMounts[0]
	if volume.Name != mount.Name || volume.ConfigMap.Name != command[1] {
		t.Errorf("the mount %q, the volume %q of ConfigMap %q and the ConfigMap %q do not fit together", mount.Name, volume.Name, volume.ConfigMap.Name, command[1])
	}

	// Where the container would have it, below a folder of the test's.
	root := t.TempDir()
	folder := filepath.Join(root, mount.MountPath)
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, command[2]), []byte(read(t, command[3])), 0o644))
	base := filepath.Join(root, "etc", "prometheus")
	must(t, os.WriteFile(filepath.Join(base, "rules.yml"), []byte("groups: []\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(base, "prometheus.yml"), []byte(strings.ReplaceAll(read(t, "testdata/rbd-monitor.yml"), "/etc/prometheus", base)), 0o644))
	for _, name := range []string{"promtool", "promtool-2.20"} {
		t.Run(name, func(t *testing.T) {
			output := runs(t, name, "check", "config", filepath.Join(base, "prometheus.yml"))
			if want := fmt.Sprintf("%d rules found", len(loaded(t))-len(elsewhere)); !strings.Contains(output, want) {
				t.Errorf("expected %q:\n%s", want, output)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheExamplesOfReceiversAreValid uncomments them and checks the result.
func TestTheExamplesOfReceiversAreValid(t *testing.T) {
	text := regexp.MustCompile(`(?m)^  #(- name:|  )`).ReplaceAllString(read(t, "alertmanager.yaml"), "  $1")
	var config struct{ Receivers []struct{ Name string } }
	must(t, yaml.Unmarshal([]byte(text), &config))
	var names []string
	for _, receiver := range config.Receivers {
		names = append(names, receiver.Name)
	}
	if want := []string{"page", "channel", "null", "deadman", "wecom", "robot", "slack", "email", "pagerduty"}; !slices.Equal(names, want) {
		t.Errorf("receivers %q, want %q", names, want)
	}
	folder := t.TempDir()
	must(t, os.Mkdir(filepath.Join(folder, "templates"), 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "templates", "rainbond.tmpl"), []byte(read(t, "templates/rainbond.tmpl")), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "alertmanager.yaml"), []byte(text), 0o644))
	runs(t, "amtool", "check-config", filepath.Join(folder, "alertmanager.yaml"))
}
