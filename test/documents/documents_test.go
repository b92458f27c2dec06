package documents

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/console"
	"github.com/rainbond-exporter/rainbond-exporter/relay"
)

const root = "../.."

// tried are the programs whose documented commands a test runs, and where.
var tried = map[string]string{
	"rainbond-exporter": "cmd/rainbond-exporter: flags; test/e2e: docs/check.md",
	"go":                "cmd/rainbond-exporter: flags of go run; TestCommands: the package of go install",
	"make":              "TestCommands: the target",
	"helm":              "test/chart: renders with the flags; test/e2e: docs/install.md",
	"kubectl":           "TestFlagsOfTools; test/e2e: docs/install.md, docs/check.md",
	"amtool":            "TestFlagsOfTools",
	"promtool":          "TestFlagsOfTools",
}

// untried are the programs whose commands are only parsed as shell, and why.
var untried = map[string]string{
	"openssl": "needs a region; test/clients runs openssl against the demo", "curl": "needs a running exporter or region", "nc": "needs a server",
	"docker": "needs a registry", "ctr": "needs containerd", "crictl": "needs containerd", "nerdctl": "needs containerd",
	"cosign": "needs a published release", "gh": "needs a published release", "sha256sum": "needs a published release", "tar": "needs a published release", "wget": "needs a network",
	"df": "describes the reader's disk", "du": "describes the reader's disk", "find": "describes the reader's disk", "findmnt": "describes the reader's disk", "fuser": "describes the reader's disk", "lsof": "describes the reader's disk",
	"mount": "changes the reader's machine", "umount": "changes the reader's machine", "systemctl": "changes the reader's machine", "apt-get": "changes the reader's machine",
	"journalctl": "describes the reader's machine", "dmesg": "describes the reader's machine", "ss": "describes the reader's machine", "ps": "describes the reader's machine", "date": "describes the reader's machine",
	"getent": "describes the reader's network", "dig": "describes the reader's network", "nslookup": "describes the reader's network", "ping": "describes the reader's network", "ip": "describes the reader's network", "timedatectl": "describes the reader's machine",
	"mysql": "needs the console's database; test/console runs the statements", "sqlite3": "needs the console's database",
	"complete": "needs fish", "git": "needs a network", "krew": "needs a network", "brew": "needs a network",
	"awk": "POSIX", "base64": "POSIX", "cat": "POSIX", "cd": "POSIX", "chmod": "POSIX", "cmp": "POSIX", "cp": "POSIX", "cut": "POSIX", "diff": "POSIX", "echo": "POSIX", "eval": "POSIX", "export": "POSIX", "false": "POSIX", "grep": "POSIX",
	"head": "POSIX", "install": "POSIX", "ln": "POSIX", "ls": "POSIX", "mkdir": "POSIX", "mv": "POSIX", "printf": "POSIX", "read": "POSIX", "rm": "POSIX", "sed": "POSIX", "sh": "POSIX", "sleep": "POSIX", "sort": "POSIX",
	"tail": "POSIX", "test": "POSIX", "[": "POSIX", "tee": "POSIX", "timeout": "POSIX", "tr": "POSIX", "true": "POSIX", "uniq": "POSIX", "wc": "POSIX", "xargs": "POSIX", "kill": "POSIX", "jq": "reads the JSON of check",
}

func documented(t *testing.T) []Block {
	t.Helper()
	all, err := Blocks(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCommands checks that every documented command is valid shell, and that a test runs each of its programs or a reason is given.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range documented(t) {
		for _, c := range b.Commands() {
			n++
			calls, err := c.Calls()
			if err != nil {
				t.Errorf("%s: %s: %v", c.Where(), c.Text, err)
			}
			for _, call := range calls {
				name := filepath.Base(call[0])
				switch {
				case tried[name] == "" && untried[name] == "":
					t.Errorf("%s: no test runs %q, and documents_test.go has no reason: %s", c.Where(), name, c.Text)
				case name == "make":
					for _, target := range call[1:] {
						if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).Match(makefile) {
							t.Errorf("%s: the Makefile has no target %s", c.Where(), target)
						}
					}
				case name == "go" && len(call) > 2 && call[1] == "install":
					path, _, _ := strings.Cut(strings.TrimPrefix(call[2], "github.com/rainbond-exporter/rainbond-exporter/"), "@")
					if _, err := os.Stat(filepath.Join(root, path, "main.go")); err != nil {
						t.Errorf("%s: go install of no command: %v", c.Where(), err)
					}
				}
			}
		}
	}
	if n < 60 {
		t.Errorf("%d commands, expected more than 60", n)
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "tools", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s here: make documents builds it", name)
	}
	return path
}

// complaints match what the tools print about a command line that they do not understand.
var complaints = regexp.MustCompile(`(?i)unknown (long |short |shorthand )?(flag|command)|unknown shorthand|expected command|expected argument|unexpected|required (argument|flag)|flag needs an argument|invalid argument|error: must specify|accepts? \d+ arg`)

// TestFlagsOfTools runs the documented commands of amtool, promtool and kubectl without their servers. What they read is missing, but their
// subcommands and flags exist.
func TestFlagsOfTools(t *testing.T) {
	for _, name := range []string{"amtool", "promtool", "kubectl"} {
		t.Run(name, func(t *testing.T) {
			path := tool(t, name)
			here := t.TempDir()
			n := 0
			for _, b := range documented(t) {
				for _, c := range b.Commands() {
					calls, _ := c.Calls()
					for _, call := range calls {
						if filepath.Base(call[0]) != name || len(call) > 1 && (call[1] == "rainbond" || call[1] == "krew") {
							continue // kubectl rainbond is our plugin: cmd/rainbond-exporter tests its flags
						}
						n++
						args := call[1:]
						for i, arg := range args {
							args[i] = regexp.MustCompile(`https?://[A-Z]+(:\d+)?`).ReplaceAllString(arg, "http://127.0.0.1:1")
						}
						if name == "kubectl" {
							args = slices.Insert(slices.Clone(args), 0, "--server=http://127.0.0.1:1", "--request-timeout=1s")
						}
						run := exec.CommandContext(t.Context(), path, args...)
						run.Dir, run.Env = here, []string{"HOME=" + here, "PATH=/nowhere", "KUBECTL_KUBERC=false"}
						out, _ := run.CombinedOutput() // it fails: there is no server
						if line := complaints.FindString(string(out)); line != "" {
							t.Errorf("%s: %s: %s", c.Where(), strings.Join(call, " "), out)
						}
					}
				}
			}
			if name != "promtool" && n == 0 {
				t.Error("no command is documented")
			}
		})
	}
}

// TestYAML checks every documented YAML document: its syntax here, and its content by what it is for.
func TestYAML(t *testing.T) {
	kinds := map[string]int{}
	for _, b := range documented(t) {
		if b.Info != "yaml" {
			continue
		}
		decoder := yaml.NewDecoder(strings.NewReader(b.Text))
		for {
			var doc yaml.Node
			err := decoder.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				var any any
				err = doc.Decode(&any) // equal keys
			}
			if err != nil {
				t.Errorf("%s: %v", b.Where(), err)
				break
			}
			kind := KindOf(&doc)
			kinds[kind]++
			if err := valid(t, kind, b.Text); err != nil {
				t.Errorf("%s: %s: %v", b.Where(), kind, err)
			}
		}
	}
	for _, kind := range []string{"object", "prometheus", "exporter", "relay", "web"} {
		if kinds[kind] == 0 {
			t.Errorf("no YAML of the kind %s is documented: %v", kind, kinds)
		}
	}
}

// valid checks what no other test does: objects are applied in test/e2e, values are rendered in test/chart, and a patch has no schema.
func valid(t *testing.T, kind, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(name string, args ...string) error {
		path := filepath.Join(root, "tools", "bin", name)
		if _, err := os.Stat(path); err != nil {
			return nil //nolint:nilerr // make documents builds it
		}
		if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	switch kind {
	case "object", "patch", "values":
		return nil
	case "prometheus":
		return check("promtool", "check", "config", "--syntax-only", file)
	case "rules":
		return check("promtool", "check", "rules", file)
	case "receivers", "alertmanager":
		if kind == "receivers" {
			text = "route: {receiver: none}\nreceivers:\n- name: none\n" + text
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return check("amtool", "check-config", file)
	case "web":
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		return decoder.Decode(new(web.Config))
	case "relay":
		for name, secret := range map[string]string{"dingtalk-url": "https://oapi.dingtalk.com/robot/send?access_token=x", "dingtalk-key": "SECx", "token": "x"} {
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := relay.Load(file)
		return err
	case "exporter":
		_, err := console.LoadConfig(file)
		return err
	}
	return errors.New("no test knows this kind of YAML: see KindOf")
}

// TestKinds shows that the checks can fail.
func TestKinds(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: v1\nkind: Service\n": "object", "scrape_configs: []\n": "prometheus", "groups: []\n": "rules", "regions: []\n": "exporter", "- name: page\n  slack_configs: []\n": "receivers",
		"basic_auth_users: {}\n": "web", "spec: {template: {}}\n": "patch", "console: {enabled: true}\n": "values", "console: {driver: sqlite}\n": "exporter", "unknown: 1\n": "values", "- 1\n": "",
		"receivers: [{name: ops, url_file: url}]\n": "relay", "receivers: [{name: ops}]\n": "alertmanager",
	} {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if got := KindOf(&doc); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if valid(t, "web", "basic_auth_user: {}\n") == nil || valid(t, "exporter", "region: []\n") == nil {
		t.Error("an unknown field is accepted")
	}
	c := Block{Info: "console", Text: "$ a --b \\\n    c # d\nout\n$ cat <<E | sudo e -f -\nx\nE\n"}.Commands()
	calls, err := c[0].Calls()
	more, err2 := c[1].Calls()
	if len(c) != 2 || err != nil || err2 != nil || !slices.Equal(calls[0], []string{"a", "--b", "c"}) || len(more) != 2 || !slices.Equal(more[1], []string{"e", "-f", "-"}) {
		t.Errorf("%v, %q, %q, %v, %v", c, calls, more, err, err2)
	}
}
