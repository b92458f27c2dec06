// Package collector looks at the platform, one symptom per file, and returns
// what it saw as samples and evidence. It does not say what is wrong: the
// alert rules do. It has never heard of Kubernetes, files or sockets: what it
// needs to know is handed to it as functions.
package collector

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// A Collector looks for one symptom.
type Collector interface {
	// Name is the symptom's slug and the value of the "collector" label.
	Name() string

	// Look examines the platform once, before ctx ends. Seeing a fault is
	// not an error; being unable to look is. A Report beside an error holds
	// what could be seen all the same.
	Collect(ctx context.Context) (Report, error)
}

// The slugs, in the order of the document.
const (
	SlugAPI       = "api"
	SlugTLS       = "tls"
	SlugCert      = "cert"
	SlugNodeRole  = "node-role"
	SlugComponent = "component"
	SlugDisk      = "disk"
)

// Slugs lists every symptom in the order of the document.
var Slugs = []string{SlugAPI, SlugTLS, SlugCert, SlugNodeRole, SlugComponent, SlugDisk}

// A Report is what one look saw: samples for Prometheus and the doctor, and
// evidence for people.
type Report struct {
	Metrics  []prometheus.Metric
	Evidence []Evidence
}

// Evidence is a text for people that would be wrong as a label value: an
// error, two fingerprints, a log line. Never a key, a token or a PEM.
type Evidence struct {
	// About are the labels of the samples that the text explains. An alert
	// shows the evidence when each of these labels that the alert also bears
	// has the same value there.
	About map[string]string
	// What names the text: one of the Evidence constants, which the doctor
	// translates.
	What string
	Text string
}

// What a piece of evidence is.
const (
	EvidenceError       = "error"       // the error's own words
	EvidenceAddress     = "address"     // the URL asked and the ip:port spoken to
	EvidenceDirect      = "direct"      // what rbd-api says when asked past the gateway
	EvidenceFingerprint = "fingerprint" // "console client 1f2e… ≠ region-config client 9a8b…"
	EvidenceLogLine     = "log line"    // the last line of the kind
	EvidenceAnswer      = "answer"      // the HTTP status and the first words of the body
	EvidenceLatency     = "latency"     // seconds by phase
	EvidencePod         = "pod"         // the pod and the kubelet's or scheduler's words about it
	EvidenceAlarm       = "alarm"       // what the console shows, and since when
	EvidenceNode        = "node"        // the node and the labels it bears
	EvidenceUsage       = "figures"     // bytes and inodes in words
)

// saw appends a piece of evidence about the sample with the given labels,
// given as name, value, name, value, ...
func (r *Report) addEvidence(what, text string, labels ...string) {
	about := make(map[string]string, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		about[labels[i]] = labels[i+1]
	}
	r.Evidence = append(r.Evidence, Evidence{About: about, What: what, Text: text})
}

// set appends one sample of a metric of the catalogue, with the values of its
// labels in the catalogue's order.
func (r *Report) addSample(metric string, value float64, labels ...string) {
	m := described()[metric] // one that is not in the catalogue has no desc, and panics
	r.Metrics = append(r.Metrics, prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...))
}

// collect appends what c has counted.
func (r *Report) collect(c prometheus.Collector) {
	ch := make(chan prometheus.Metric)
	go func() {
		c.Collect(ch)
		close(ch)
	}()
	for m := range ch {
		r.Metrics = append(r.Metrics, m)
	}
}

// flag is 1 for true, as Prometheus writes a truth.
func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
