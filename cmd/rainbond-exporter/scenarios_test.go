package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report/terminal"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// TestScenariosHaveExactlyTheirAlerts runs every scenario of the demo through
// the whole of check: kubeconfig, watch caches, probe, log, rules,
// inhibitions. What pages are the findings that no other finding explains.
// The expected output is in testdata/golden.
func TestScenariosHaveExactlyTheirAlerts(t *testing.T) {
	diagnose := diagnosing(t)
	schema := published(t)
	for _, s := range demo.Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			diagnosis := diagnose(t, s)
			obeysAs(t, schema, diagnosis)
			for _, lang := range []string{"en", "zh"} {
				golden(t, s.Name+"."+lang, diagnosis, lang)
			}
		})
	}
}

// diagnosing starts a demo, and returns what sets a scenario, and holds what
// check reports against the alerts that the scenario wants.
func diagnosing(t *testing.T) func(*testing.T, demo.Scenario) doctor.Diagnosis {
	t.Helper()
	f, err := parse([]string{"demo", "check", "--timeout=20s"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	d, err := demo.Start(t.Context(), demo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	f.pointAt(d)
	return func(t *testing.T, s demo.Scenario) doctor.Diagnosis {
		t.Helper()
		if err := d.Set(s.Name); err != nil {
			t.Fatal(err)
		}
		diagnosis, err := f.diagnose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, finding := range diagnosis.Findings {
			got = append(got, finding.Alert)
		}
		slices.Sort(got)
		got = slices.Compact(got)
		if want := slices.Sorted(slices.Values(s.Alerts)); !slices.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", strings.Join(got, " "), strings.Join(want, " "))
		}
		return diagnosis
	}
}

// What breaks the way to the region, or leaves it open, and what breaks the
// cluster behind it: scenarios whose faults have nothing to do with each other.
var (
	closed = []string{"api-refused-pod-ready", "api-pod-down", "api-5xx", "cert-rotated-broken", "cert-leading-space", "api-address-moved"}
	open   = []string{"tls-go-distrusts", "cert-rotated-latent", "cert-expiring"}
	inside = []string{
		"node-role-none", "node-role-bare-key", "node-role-no-worker", "node-role-placement",
		"component-crashloop", "component-image", "component-half", "component-chaos-nowhere", "component-alarm-stuck", "component-monitor-stale",
		"disk-82", "disk-near", "disk-pressure", "disk-inodes", "disk-readonly", "disk-images-near", "disk-mount-stuck",
	}
)

// together are the pairs of these that are one fault, and the alert for it.
var together = map[string]string{
	"api-refused-pod-ready+component-half":        "RainbondRegionPortClosed",  // through whose containers it would answer
	"node-role-placement+component-chaos-nowhere": "RainbondComponentNotReady", // for want of such nodes
}

// TestNoFaultHidesAnother breaks two things at once. A cause inhibits its
// symptoms, and never a fault of another cause.
func TestNoFaultHidesAnother(t *testing.T) {
	diagnose := diagnosing(t)
	scenarios := map[string]demo.Scenario{}
	for _, s := range demo.Scenarios {
		scenarios[s.Name] = s
	}
	pair := func(one, other string) {
		both := scenarios[one].And(scenarios[other])
		switch alert, ok := together[both.Name]; {
		case ok:
			both.Alerts = []string{alert}
		case slices.Contains(closed, one) && (other == "component-alarm-stuck" || other == "component-monitor-stale"):
			both.Alerts = scenarios[one].Alerts // nobody can ask the region what the console shows
		}
		t.Run(both.Name, func(t *testing.T) { diagnose(t, both) })
	}
	for i, other := range inside {
		for _, one := range slices.Concat(closed, open) {
			pair(one, other)
		}
		for _, one := range inside[:i] {
			if scenarios[one].Slug != scenarios[other].Slug { // else they may break the same thing
				pair(one, other)
			}
		}
	}
}

// golden compares what a person reads with the file from the last time.
func golden(t *testing.T, name string, d doctor.Diagnosis, lang string) {
	t.Helper()
	var text bytes.Buffer
	// So wide that no line breaks: the moving parts differ in length.
	if err := terminal.Write(&text, d, terminal.Style{Lang: lang, Width: 1000}); err != nil {
		t.Fatal(err)
	}
	got := steady(text.String())
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not the output of check (-update writes it):\n%s", path, got)
	}
}

// moving are the parts of a diagnosis that differ from run to run.
var moving = []struct {
	pattern *regexp.Regexp
	steady  string
}{
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "0123456789ab"},                         // fingerprints
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "127.0.0.1:8443"},                    // ports
	{regexp.MustCompile(`20[0-9]{2}-[0-9-]{5}T[0-9:]{8}Z`), "2026-11-24T03:00:00Z"},  // times
	{regexp.MustCompile(`(lookup \S+ on )\S+:53:`), "${1}10.0.0.10:53:"},             // the system's name server
	{regexp.MustCompile(`[0-9]+ ms\b`), "12 ms"},                                     // latencies
	{regexp.MustCompile(`rainbond-demo-[0-9]+`), "rainbond-demo"},                    // the demo's folder
	{regexp.MustCompile(`\b((?:rbd-)?[a-z]+)-[a-z0-9]{10}-[a-z0-9]{5}\b`), "$1-pod"}, // pods
	{regexp.MustCompile(`pod=\S+(_rbd-system)\(\S+\)`), "pod=rbd-pod$1(0123)"},
	{regexp.MustCompile(`\b(rbd-chaos)-[a-z0-9]{5}\b`), "$1-pod"},
	{regexp.MustCompile(`\b[1-9]\.[0-9]+s\b`), "1.5s"},              // how slow api-slow is
	{regexp.MustCompile(`\b[0-9]+h [0-9]+m [0-9]+s\b`), "1h 2m 3s"}, // how long a certificate has left
	{regexp.MustCompile(`\b(39|40)m [0-9]+s\b`), "40m 0s"},          // how long rbd-monitor has been still
}

// steady replaces the moving parts.
func steady(text string) string {
	for _, m := range moving {
		text = m.pattern.ReplaceAllString(text, m.steady)
	}
	return text
}
