// Package doctortest has the collections, rules and golden files that the tests
// of the doctor and of its presentations share.
package doctortest

import (
	_ "embed" // for the rules
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// Rules is a small rule file, and Alertmanager a configuration that inhibits
// its symptoms.
var (
	//go:embed rules.yaml
	Rules []byte
	//go:embed alertmanager.yaml
	Alertmanager []byte
)

var update = flag.Bool("update", false, "write the golden files")

// Noon is the time of every snapshot.
var Noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// Read returns the content of a file.
func Read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Golden compares got with a file of testdata.
func Golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(Read(t, path)), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := lineAt(gotLines, i), lineAt(wantLines, i)
		if g != w {
			t.Errorf("%s:%d: (go test -update writes it)\ngot  %s\nwant %s", path, i+1, g, w)
			return
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}

// Metric is a sample of the catalogue.
func Metric(name string, value float64, labels ...string) prometheus.Metric {
	m := collector.Describe(name)
	return prometheus.MustNewConstMetric(prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), m.Type, value, labels...)
}

// chinese are the Chinese forms of some evidence.
var chinese = map[string]string{
	"console client 1f2e3d4c5b6a… ≠ region-config client 9a8b7c6d5e4f…":                                   "控制台的客户端证书 1f2e3d4c5b6a… ≠ region-config 的客户端证书 9a8b7c6d5e4f…",
	"the certificate served by rbd-api (8899aabbccdd…) is not signed by the console's CA (001122334455…)": "rbd-api 出示的证书（8899aabbccdd…）不是由控制台的 CA（001122334455…）签发的",
}

// Evidence is evidence about the labels name, value, name, value, ...
func Evidence(what, text string, about ...string) collector.Evidence {
	e := collector.Evidence{What: what, Text: text, TextZH: chinese[text], About: map[string]string{}}
	for i := 0; i < len(about); i += 2 {
		e.About[about[i]] = about[i+1]
	}
	return e
}

// Collected is the outcome of a collector that succeeded.
func Collected(name string, metrics []prometheus.Metric, seen ...collector.Evidence) collector.Outcome {
	return collector.Outcome{Collector: name, Report: collector.Report{Metrics: metrics, Evidence: seen}, Took: time.Second}
}

// SnapshotOf returns a snapshot of the outcomes at Noon.
func SnapshotOf(outcomes ...collector.Outcome) collector.Snapshot {
	return collector.Snapshot{At: Noon, Outcomes: outcomes}
}

// Faulty is a snapshot of a region with stale certificates, an unready component and
// a failed collector.
func Faulty() collector.Snapshot {
	return SnapshotOf(
		Collected(collector.SlugAPI, []prometheus.Metric{
			Metric("rainbond_api_up", 0, "rainbond"),
			Metric("rainbond_api_probe_failed", 1, "rainbond", "tls", "client_refused"),
			Metric("rainbond_api_probe_failed", 0, "rainbond", "connect", "refused"),
		},
			Evidence(collector.EvidenceError, "remote error: tls: unknown certificate authority", "rainbond_region", "rainbond", "phase", "tls", "reason", "client_refused"),
			Evidence(collector.EvidenceAddress, "https://203.0.113.105:8443, 203.0.113.105:8443", "rainbond_region", "rainbond", "phase", "tls", "reason", "client_refused"),
		),
		Collected(collector.SlugTLS, []prometheus.Metric{
			Metric("rainbond_api_tls_handshake_error_last_timestamp_seconds", float64(Noon.Unix()-42), "rainbond", "client_certificate"),
			Metric("rainbond_api_tls_handshake_error_last_timestamp_seconds", float64(Noon.Unix()-1), "rainbond", "benign"),
		}),
		Collected(collector.SlugCert, []prometheus.Metric{
			Metric("rainbond_certificate_mismatch", 1, "rainbond", "client", "console", "served"),
			Metric("rainbond_certificate_mismatch", 0, "rainbond", "server", "served", "console"),
		},
			Evidence(collector.EvidenceFingerprint, "console client 1f2e3d4c5b6a… ≠ region-config client 9a8b7c6d5e4f…",
				"rainbond_region", "rainbond", "kind", "client", "place", "console"),
			Evidence(collector.EvidenceFingerprint, "the certificate served by rbd-api (8899aabbccdd…) is not signed by the console's CA (001122334455…)",
				"rainbond_region", "rainbond", "kind", "ca", "place", "console"),
		),
		Collected(collector.SlugNodeRole, []prometheus.Metric{Metric("rainbond_nodes", 3, "rainbond", "worker")}),
		Collected(collector.SlugComponent, []prometheus.Metric{
			Metric("rainbond_component_desired", 1, "rainbond", "rbd-chaos", "DaemonSet"),
			Metric("rainbond_component_ready", 0, "rainbond", "rbd-chaos", "DaemonSet"),
			Metric("rainbond_component_desired", 1, "rainbond", "rbd-api", "Deployment"),
			Metric("rainbond_component_ready", 1, "rainbond", "rbd-api", "Deployment"),
		},
			Evidence(collector.EvidencePod, "rbd-chaos-x2v9k: Back-off pulling image \"goodrain.me/rbd-chaos:v6.9\"\n\x1b[31mred\x1b[0m",
				"rainbond_region", "rainbond", "component", "rbd-chaos"),
		),
		collector.Outcome{Collector: collector.SlugDisk, Err: errors.New(`nodes is forbidden: User "system:serviceaccount:rbd-system:rainbond-exporter" cannot list resource "nodes" in API group ""`)},
	)
}

// Healthy is a snapshot of a healthy region.
func Healthy() collector.Snapshot {
	var outcomes []collector.Outcome
	for _, slug := range collector.Slugs {
		outcomes = append(outcomes, Collected(slug, nil))
	}
	outcomes[0].Report.Metrics = []prometheus.Metric{Metric("rainbond_api_up", 1, "rainbond")}
	return SnapshotOf(outcomes...)
}

// Unknown is a snapshot in which every collector failed.
func Unknown() collector.Snapshot {
	var outcomes []collector.Outcome
	for _, slug := range collector.Slugs {
		outcomes = append(outcomes, collector.Outcome{Collector: slug, Err: errors.New("dial tcp 127.0.0.1:6443: connect: connection refused")})
	}
	return SnapshotOf(outcomes...)
}
