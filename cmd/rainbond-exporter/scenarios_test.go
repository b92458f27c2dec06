package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
)

// page checks the region that f points at and returns what would page: the
// findings that no other finding explains.
func page(ctx context.Context, t *testing.T, f *flags) (alerts []string, text string) {
	t.Helper()
	var out bytes.Buffer
	if _, err := f.check(ctx, &out); err != nil {
		t.Fatal(err)
	}
	var said struct {
		Findings []struct {
			Alert string `json:"alert"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	for _, finding := range said.Findings {
		alerts = append(alerts, finding.Alert)
	}
	slices.Sort(alerts)
	return slices.Compact(alerts), out.String()
}

// TestEachScenarioGetsExactlyItsPage runs every scenario of the demo through
// the whole of check: kubeconfig, watch caches, probe, log, rules, inhibitions.
func TestEachScenarioGetsExactlyItsPage(t *testing.T) {
	f, err := parse([]string{"demo", "check", "--output=json", "--timeout=8s"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	d, err := demo.Start(t.Context(), demo.Options{Scenario: "healthy"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f.pointAt(d)
	for _, s := range demo.Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			if err := d.Set(s.Name); err != nil {
				t.Fatal(err)
			}
			got, text := page(t.Context(), t, f)
			want := slices.Clone(s.Alerts)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got  %s\nwant %s\n%s", strings.Join(got, " "), strings.Join(want, " "), text)
			}
			if strings.Contains(text, "-----BEGIN") {
				t.Error("the diagnosis holds a PEM")
			}
		})
	}
}
