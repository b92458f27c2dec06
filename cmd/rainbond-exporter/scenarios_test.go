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
// inhibitions. The alerts are the findings that no other finding explains.
// testdata/golden has the text for people.
func TestScenariosHaveExactlyTheirAlerts(t *testing.T) {
	schema := published(t)
	eachDiagnosis(t, demo.Scenarios, func(t *testing.T, s demo.Scenario, d doctor.Diagnosis) {
		obeysAs(t, schema, d)
		for _, lang := range []string{"en", "zh"} {
			golden(t, s.Name+"."+lang, d, lang)
		}
	})
}

// testBits is the size of the demo's RSA keys in tests. No alert depends on
// it, and keys of 4096 bits take most of the time.
const testBits = 2048

// regionsAtOnce is the number of demos that tests run at once. Scenarios that
// wait for a timeout do not delay the others.
const regionsAtOnce = 4

// eachDiagnosis runs check in each scenario, compares the alerts with those of
// the scenario, and calls more with the diagnosis, each in a subtest.
func eachDiagnosis(t *testing.T, scenarios []demo.Scenario, more func(*testing.T, demo.Scenario, doctor.Diagnosis)) {
	t.Helper()
	type result struct {
		d   doctor.Diagnosis
		err error
	}
	results := make([]chan result, len(scenarios))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	next := make(chan int, len(scenarios))
	for i := range scenarios {
		next <- i
	}
	close(next)
	for range regionsAtOnce {
		f, err := parse([]string{"demo", "check", "--timeout=20s"}, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		d, err := demo.Start(t.Context(), demo.Options{Bits: testBits, FixedTimes: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		f.pointAt(d)
		go func() {
			for i := range next {
				var r result
				if r.err = d.Set(scenarios[i].Name); r.err == nil {
					r.d, r.err = f.diagnose(t.Context())
				}
				results[i] <- r
			}
		}()
	}
	for i, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			r := <-results[i]
			if r.err != nil {
				t.Fatal(r.err)
			}
			var got []string
			for _, finding := range r.d.Findings {
				got = append(got, finding.Alert)
			}
			slices.Sort(got)
			got = slices.Compact(got)
			if want := slices.Sorted(slices.Values(s.Alerts)); !slices.Equal(got, want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), strings.Join(want, " "))
			}
			more(t, s, r.d)
		})
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
	scenarios := map[string]demo.Scenario{}
	for _, s := range demo.Scenarios {
		scenarios[s.Name] = s
	}
	var pairs []demo.Scenario
	pair := func(one, other string) {
		both := scenarios[one].And(scenarios[other])
		switch alert, ok := together[both.Name]; {
		case ok:
			both.Alerts = []string{alert}
		case slices.Contains(closed, one) && (other == "component-alarm-stuck" || other == "component-monitor-stale"):
			both.Alerts = scenarios[one].Alerts // the region does not report what the console shows
		}
		pairs = append(pairs, both)
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
	eachDiagnosis(t, pairs, func(*testing.T, demo.Scenario, doctor.Diagnosis) {})
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
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "0123456789ab"},                        // fingerprints
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "127.0.0.1:8443"},                   // ports
	{regexp.MustCompile(`\b[1-6][0-9]{4}\b`), "8443"},                               // ports
	{regexp.MustCompile(`20[0-9]{2}-[0-9-]{5}T[0-9:]{8}Z`), "2026-11-24T03:00:00Z"}, // times
	{regexp.MustCompile(`20[0-9]{2}-[0-9-]{5} [0-9:]{8} \+0000 UTC`), "2026-11-24 03:00:00 +0000 UTC"},
	{regexp.MustCompile(`(lookup \S+ on )\S+:53:`), "${1}10.0.0.10:53:"},             // the system's name server
	{regexp.MustCompile(`within [0-9.]+m?s\b`), "within 700ms"},                      // the database's share of the time
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
