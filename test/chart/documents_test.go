package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/test/documents"
)

func documentation(t *testing.T) []documents.Block {
	t.Helper()
	blocks, err := documents.Blocks(root)
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// rendering returns the arguments of helm template with the values of helm install or helm upgrade, and whether the call is one of these
// for our chart. Files of values are those of the same page, which TestDocumentedValues renders.
func rendering(call []string) (args []string, ours bool) {
	if len(call) < 2 || call[0] != "helm" || !slices.Contains([]string{"install", "upgrade", "template"}, call[1]) {
		return nil, false
	}
	for i := 2; i < len(call); i++ {
		arg := call[i]
		name, _, complete := strings.Cut(arg, "=")
		switch name {
		case "--set", "--set-string", "--set-json", "--namespace", "-n", "--api-versions", "--kube-version", "--show-only", "-s":
			args = append(args, arg)
			if !complete && i+1 < len(call) {
				i++
				args = append(args, call[i])
			}
		case "--set-file", "--version", "--values", "-f", "--timeout", "--kube-context":
			if !complete {
				i++
			}
		case "--install", "--wait", "--atomic", "--create-namespace", "--reset-then-reuse-values", "--reuse-values", "--dry-run", "--rollback-on-failure":
		default:
			if strings.HasPrefix(arg, "-") {
				args = append(args, arg) // helm template reports an unknown flag
			}
			ours = ours || strings.HasSuffix(arg, "charts/rainbond-exporter") || strings.HasSuffix(arg, ".tgz")
		}
	}
	return args, ours
}

// TestDocumentedHelmCommands renders the chart with the values of every documented helm install and helm upgrade.
func TestDocumentedHelmCommands(t *testing.T) {
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			path := tool(t, helm)
			n, done := 0, map[string]bool{} // both languages have the same commands
			for _, b := range documentation(t) {
				for _, c := range b.Commands() {
					calls, err := c.Calls()
					if err != nil {
						t.Errorf("%s: %v", c.Where(), err)
					}
					for _, call := range calls {
						args, ours := rendering(call)
						if !ours {
							continue
						}
						n++
						if done[strings.Join(args, " ")] {
							continue
						}
						done[strings.Join(args, " ")] = true
						if _, complaint := ran(t, path, append([]string{"template", "rainbond-exporter", folder}, args...)...); complaint != "" {
							t.Errorf("%s: %s\n%s", c.Where(), c.Text, complaint)
						}
					}
				}
			}
			if n < 5 {
				t.Errorf("%d commands of Helm are documented, expected more than 5", n)
			}
		})
	}
}

// TestDocumentedValues renders the chart with every documented file of values.
func TestDocumentedValues(t *testing.T) {
	for _, b := range documentation(t) {
		var doc yaml.Node
		if b.Info != "yaml" || yaml.Unmarshal([]byte(b.Text), &doc) != nil || documents.KindOf(&doc) != "values" {
			continue
		}
		file := filepath.Join(t.TempDir(), "values.yaml")
		text := strings.ReplaceAll(b.Text, "sha256:…", "sha256:"+strings.Repeat("0", 64)) // the reader's digest
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, helm := range helms {
			if _, complaint := template(t, helm, "--values="+file); complaint != "" {
				t.Errorf("%s: %s\n%s", b.Where(), helm, complaint)
			}
		}
	}
}

// TestDocumentedServicesExist checks that a documented ExternalName leads to a Service that the chart creates.
func TestDocumentedServicesExist(t *testing.T) {
	rendered, complaint := ran(t, tool(t, "helm"), "template", "rainbond-exporter", folder, "--set=console.enabled=true,console.config.existingSecret=x,node.enabled=true")
	if complaint != "" {
		t.Fatal(complaint)
	}
	services := map[string]bool{}
	for _, object := range strings.Split(rendered, "\n---\n") {
		if m := regexp.MustCompile(`(?ms)^kind: Service$.*?^  name: (\S+)$`).FindStringSubmatch(object); m != nil {
			services[strings.Trim(m[1], `"`)] = true
		}
	}
	for _, b := range documentation(t) {
		for _, m := range regexp.MustCompile(`(?m)externalName: ([a-z0-9-]+)\.`).FindAllStringSubmatch(b.Text, -1) {
			if !services[m[1]] {
				t.Errorf("%s: the chart creates no Service %s, only %v", b.Where(), m[1], services)
			}
		}
	}
}
