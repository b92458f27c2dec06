// Package collector inspects the platform, one symptom per file, and returns
// samples and evidence. It does not decide what is wrong: the alert rules do.
// It does not know Kubernetes, files or sockets: it gets its data from
// functions.
package collector

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A Collector inspects one symptom.
type Collector interface {
	// Name is the symptom's slug and the value of the "collector" label.
	Name() string

	// Collect inspects the platform once and returns before ctx ends. A fault
	// that was found is not an error; a failed inspection is. A Report that is
	// returned with an error contains everything that could be inspected.
	Collect(ctx context.Context) (Report, error)
}

// The slugs, in the order of Rainbond's troubleshooting document.
const (
	SlugAPI       = "api"
	SlugTLS       = "tls"
	SlugCert      = "cert"
	SlugNodeRole  = "node-role"
	SlugComponent = "component"
	SlugDisk      = "disk"
)

// Slugs lists every symptom, in the order of Rainbond's troubleshooting document.
var Slugs = []string{SlugAPI, SlugTLS, SlugCert, SlugNodeRole, SlugComponent, SlugDisk}

// A Report is the result of one collection by one collector: samples for
// Prometheus and the doctor, and evidence for people.
type Report struct {
	Metrics  []prometheus.Metric
	Evidence []Evidence
	// FailedProbes holds the last failed probes of each region that has any.
	FailedProbes []FailedProbes

	samples   map[sample]float64 // what addSample has added
	conflicts []sample           // samples that have two values
}

// FailedProbes holds the last failed probes of a region, the newest first.
type FailedProbes struct {
	Region string
	Probes []fault.FailedProbe
}

// A sample is the identity of a sample: its metric and its label values.
type sample struct {
	metric string
	labels [maxLabels]string
}

// maxLabels is the largest number of labels of a metric of the catalogue.
const maxLabels = 5

// Evidence is a text for people that must not be a label value: an error, two
// fingerprints, a log line. It never contains a key, a token or a PEM.
type Evidence struct {
	// About holds the labels of the samples that the text explains. An alert
	// shows the evidence if each of these labels that the alert also has has
	// the same value there.
	About map[string]string
	// What names the text. It is one of the Evidence constants, which the
	// presentation translates.
	What string
	// Text is English, or the original text of another program. TextZH is its
	// Chinese form, or empty if Text is for readers of both languages.
	Text, TextZH string
	// Since is the time at which the described condition began. The doctor uses it
	// for conditions that Prometheus distinguishes with "for". Zero if it is unknown
	// or does not matter.
	Since time.Time
}

// In returns the text in a language: "zh", or English.
func (e Evidence) In(lang string) string {
	if lang == "zh" && e.TextZH != "" {
		return e.TextZH
	}
	return e.Text
}

// The kinds of evidence.
const (
	EvidenceError       = "error"       // the text of an error
	EvidenceAddress     = "address"     // the URL and the ip:port of a probe
	EvidenceDirect      = "direct"      // the answer of rbd-api to a probe that bypasses the gateway
	EvidenceFingerprint = "fingerprint" // two certificates that should be equal, or a certificate and its CA
	EvidenceLogLine     = "log line"    // the last log line of its class
	EvidenceAnswer      = "answer"      // the HTTP status and the beginning of the body
	EvidenceLatency     = "latency"     // the duration of each phase
	EvidencePod         = "pod"         // the pod, and the message of the kubelet or scheduler about it
	EvidenceAlarm       = "alarm"       // an alarm that the console shows, and its start
	EvidenceNode        = "node"        // the node and its labels
	EvidenceUsage       = "usage"       // bytes and inodes as text
)

// addEvidence appends evidence about the samples with the given labels, which
// are name, value, name, value, ... Its text is for readers of both languages,
// such as an error or a log line.
func (r *Report) addEvidence(what, text string, labels ...string) {
	r.addTranslated(what, text, "", labels...)
}

// addTranslated appends evidence with an English and a Chinese text.
func (r *Report) addTranslated(what, en, zh string, labels ...string) {
	about := make(map[string]string, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		about[labels[i]] = labels[i+1]
	}
	r.Evidence = append(r.Evidence, Evidence{About: about, What: what, Text: en, TextZH: zh})
}

// began sets Since of the last evidence.
func (r *Report) began(since time.Time) { r.Evidence[len(r.Evidence)-1].Since = since }

// addSample appends one sample of a metric of the catalogue. The label values
// are in the catalogue's order; invalid UTF-8 is replaced. Of two samples with
// the same labels, only the first is appended, and a difference between their
// values is recorded. It panics if the catalogue has no such metric.
func (r *Report) addSample(metric string, value float64, labels ...string) {
	m := described()[metric]
	id := sample{metric: metric}
	for i, label := range labels {
		id.labels[i] = strings.ToValidUTF8(label, "\uFFFD")
	}
	if first, ok := r.samples[id]; ok {
		if first != value {
			r.conflicts = append(r.conflicts, id)
		}
		return
	}
	if r.samples == nil {
		r.samples = map[sample]float64{}
	}
	r.samples[id] = value
	r.Metrics = append(r.Metrics, prometheus.MustNewConstMetric(m.desc, m.kind, value, id.labels[:len(labels)]...))
}

// conflict returns an error that names the samples that have two values, or nil.
func (r *Report) conflict() error {
	errs := make([]error, 0, len(r.conflicts))
	for _, s := range r.conflicts {
		m := Describe(s.metric)
		var labels []string
		for i, name := range m.Labels {
			labels = append(labels, fmt.Sprintf("%s=%q", name, s.labels[i]))
		}
		errs = append(errs, fmt.Errorf("%s{%s} has two values; expected one object with this name; the first value is exported", s.metric, strings.Join(labels, ",")))
	}
	return firstErrors(errs)
}

// collect appends the samples of c.
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

// flag returns 1 for true and 0 for false, as Prometheus writes a boolean.
func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
