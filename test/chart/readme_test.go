package chart

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const readmeHead = `<!-- Made from values.yaml by make sync. -->
# rainbond-exporter

[中文](README.zh.md)

Finds faults between a [Rainbond](https://www.rainbond.com) console and its regions. Helm 3 and Helm 4.

` + "```console" + `
$ helm install rainbond-exporter oci://ghcr.io/rainbond-exporter/charts/rainbond-exporter --namespace monitoring --create-namespace
` + "```" + `

With ` + "`alerting.enabled`" + `, the chart also installs Prometheus, Alertmanager and a relay to DingTalk, Feishu and WeCom robots:

` + "```console" + `
$ kubectl -n monitoring create secret generic dingtalk-robot --from-literal=url='https://oapi.dingtalk.com/robot/send?access_token=TOKEN'
$ helm upgrade --install rainbond-exporter oci://ghcr.io/rainbond-exporter/charts/rainbond-exporter --namespace monitoring \
    --set alerting.enabled=true --set alerting.receivers.dingtalk.existingSecret=dingtalk-robot
` + "```" + `

The defaults work on a stock Rainbond; features that need an operator are off. [Install](../../docs/install.md) has commands for
kube-prometheus-stack, plain Prometheus, a stock Rainbond, a console in another cluster, and air-gapped sites. The folder
[examples](examples) has values for kube-prometheus-stack, OpenShift, Argo CD and Flux, air-gapped sites, and mirrors in China.
[Hardening](../../docs/hardening.md) lists all permissions, [How to](../../docs/how-to.md) shows how to change thresholds and add
receivers. A wrong value is refused with a message that names its path.

| role | workload | enabled by | permissions |
|---|---|---|---|
| cluster | a Deployment; passes Pod Security *restricted* | ` + "`cluster.enabled`" + ` | read what its collectors need, restricted by name if Kubernetes supports it |
| node | a DaemonSet with one hostPath, read-only | ` + "`node.enabled`" + ` | none, no token |
| console | a Deployment; passes Pod Security *restricted* | ` + "`console.enabled`" + ` | none, no token |
| alerting | a Deployment of Prometheus, Alertmanager and the relay; passes Pod Security *restricted* | ` + "`alerting.enabled`" + ` | none, no token |

## Values

| value | default | meaning |
|---|---|---|
`

// TestTheReadmeListsEveryValue holds README.md against values.yaml.
func TestTheReadmeListsEveryValue(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, folder+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	golden(t, folder+"/README.md", readmeHead+rows(t, "", document.Content[0]))
}

// rows are the table of a mapping: its leaves, and what has a comment of its
// own and no key below it that has one.
func rows(t *testing.T, prefix string, mapping *yaml.Node) string {
	t.Helper()
	var table strings.Builder
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		if value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 && documented(value) {
			table.WriteString(rows(t, path+".", value))
			continue
		}
		comment := strings.ReplaceAll(strings.ReplaceAll(key.HeadComment, "# ", ""), "\n", " ")
		if comment == "" {
			t.Errorf("values.yaml: %s has no comment", path)
		}
		value.HeadComment, value.LineComment, value.FootComment = "", "", ""
		style(value)
		text, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", path, strings.TrimSpace(string(text)), strings.ReplaceAll(comment, "|", `\|`))
	}
	return table.String()
}

// documented reports whether a mapping's keys have comments.
func documented(mapping *yaml.Node) bool {
	if mapping.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].HeadComment != "" || documented(mapping.Content[i+1]) {
			return true
		}
	}
	return false
}

// style writes a value on one line.
func style(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style |= yaml.FlowStyle
	}
	for _, child := range n.Content {
		style(child)
	}
}
