package main

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// TestHealthyInstallations checks each installation without a fault: no finding,
// and exit code 0.
func TestHealthyInstallations(t *testing.T) {
	for _, i := range demo.Installations {
		t.Run(i.Name, func(t *testing.T) {
			t.Parallel()
			w := simulate(t, i.Name)
			d := w.diagnose(t, demo.Healthy)
			for _, f := range d.Findings {
				t.Errorf("%s: %s", f.Alert, f.Summary.EN)
			}
			for _, u := range d.Unknown {
				t.Errorf("collector %s failed: %s", u.Collector, u.Err)
			}
			if got := statusOf(d); got != healthy {
				t.Errorf("exit code %d", got)
			}
		})
	}
}

// slow are the scenarios that need seconds for each collection. They run at the
// same time as the others.
var slow = []string{"api-dropped", "api-name-silent", "api-504", "api-slow", "disk-mount-stuck", "watch-kube-down", "watch-db-locked"}

// TestScenariosInEveryInstallation expects the same alerts of a scenario in
// every installation in which it occurs, the exit code that follows from them,
// and texts with the namespace, address and port of the installation.
func TestScenariosInEveryInstallation(t *testing.T) {
	for _, i := range demo.Installations {
		if i.Name == demo.Default {
			continue // TestScenariosHaveExactlyTheirAlerts
		}
		for name, takesSeconds := range map[string]bool{i.Name: false, i.Name + "/slow": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := simulate(t, i.Name)
				for _, s := range demo.Scenarios {
					if i.Excluded(s) != "" || slices.Contains(slow, s.Name) != takesSeconds {
						continue
					}
					t.Run(s.Name, func(t *testing.T) {
						d := w.diagnose(t, s.Name)
						var got []string
						for _, f := range d.Findings {
							got = append(got, f.Alert)
							for _, lang := range []string{"en", "zh"} {
								matches(t, i, d, f, lang)
							}
						}
						slices.Sort(got)
						if got, want := slices.Compact(got), slices.Sorted(slices.Values(i.Alerts(s))); !slices.Equal(got, want) {
							t.Errorf("got  %s\nwant %s", strings.Join(got, " "), strings.Join(want, " "))
						}
						if got, want := statusOf(d), statusWanted(d); got != want {
							t.Errorf("exit code %d, want %d", got, want)
						}
					})
				}
			})
		}
	}
}

// statusWanted returns the exit code that follows from the findings: one of the
// monitoring alone makes the result unknown.
func statusWanted(d doctor.Diagnosis) int {
	want := healthy
	for _, f := range d.Findings {
		switch {
		case f.Info() || f.Pending:
		case f.Slug != collector.SlugExporter:
			return faults
		default:
			want = unknown
		}
	}
	return want
}

// matches compares the text of a finding with the installation: its namespace,
// and the address and port that the console uses.
func matches(t *testing.T, i demo.Installation, d doctor.Diagnosis, f doctor.Finding, lang string) {
	t.Helper()
	commands := strings.Join(f.Commands.In(lang), "\n")
	text := f.Summary.In(lang) + "\n" + f.Description.In(lang) + "\n" + commands
	if i.Namespace != demo.Namespace && strings.Contains(text, demo.Namespace) {
		t.Errorf("%s: the namespace is %s in:\n%s", f.Alert, demo.Namespace, text)
	}
	if other := strings.ReplaceAll(commands, "docker exec rainbond kubectl ", ""); i.Kubectl != "" && strings.Contains(other, "kubectl ") {
		t.Errorf("%s: expected %s in:\n%s", f.Alert, i.Kubectl, commands)
	}
	if slices.Contains(d.NeedsHistory, f.Alert) {
		t.Errorf("%s fires and is also reported as not evaluated", f.Alert)
	}
	port := func(r doctor.Route) bool { return strings.Contains(r.URL, ":8443") }
	for _, mistake := range []string{"<no value>", "<error", "%!", "ADDRESS", "8443"} {
		if strings.Contains(text, mistake) && (mistake != "8443" || !slices.ContainsFunc(d.Routes, port)) {
			t.Errorf("%s: %q in:\n%s", f.Alert, mistake, text)
		}
	}
	for _, s := range f.Symptoms {
		matches(t, i, d, s, lang)
	}
	if !slices.Contains([]string{"RainbondRegionUnreachable", "RainbondRegionTLSFailing"}, f.Alert) {
		return
	}
	if !slices.ContainsFunc(d.Routes, func(r doctor.Route) bool {
		u, err := url.Parse(r.URL)
		return err == nil && r.Region == f.Labels[doctor.LabelRegion] && strings.Contains(commands, u.Host)
	}) {
		t.Errorf("%s: no command has the address of the region:\n%s\n%v", f.Alert, commands, d.Routes)
	}
}

// typical is a typical fault of each installation.
var typical = map[string]string{
	demo.Default: "cert-rotated-broken", "quick": "cert-client-stale-tls13", "host": "disk-images-near", "kubernetes": "component-image",
	"managed": "api-dropped", "remote-console": "cert-rotated-broken", "namespace": "api-pod-down", "v5": "cert-ca-stale",
}

// TestAfterRepair breaks each installation and repairs it. The next check exits
// with 0, that of a process that runs as well as that of a new one.
func TestAfterRepair(t *testing.T) {
	for _, i := range demo.Installations {
		t.Run(i.Name, func(t *testing.T) {
			t.Parallel()
			w := simulate(t, i.Name)
			again, err := w.flags.checker(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.demo.Set(typical[i.Name]); err != nil {
				t.Fatal(err)
			}
			d, err := again(t.Context())
			if err != nil || statusOf(d) != faults {
				t.Fatalf("%s: exit code %d, %v", typical[i.Name], statusOf(d), err)
			}
			fresh := w.diagnose(t, demo.Healthy)
			for range 10 { // the watches deliver the repair within milliseconds
				if d, err = again(t.Context()); err != nil || statusOf(d) == healthy {
					break
				}
			}
			if err != nil || statusOf(d) != healthy {
				t.Errorf("exit code %d, %v", statusOf(d), err)
			}
			for _, f := range slices.Concat(fresh.Findings, d.Findings) {
				if !f.Pending { // a line of the last failed probe in the log has just been written
					t.Errorf("%s: %s", f.Alert, f.Summary.EN)
				}
			}
			if statusOf(fresh) != healthy {
				t.Errorf("a new check exits with %d", statusOf(fresh))
			}
		})
	}
}

// TestNamespaceWithoutRainbond expects one line that names the namespace of the
// platform, and exit code 2.
func TestNamespaceWithoutRainbond(t *testing.T) {
	for _, i := range demo.Installations {
		if i.Name != "namespace" && i.Name != demo.Default {
			continue
		}
		w := simulate(t, i.Name)
		w.flags.namespace, w.flags.output, w.flags.lang = "nope", "text", "en"
		var out bytes.Buffer
		status, err := w.flags.check(t.Context(), &out, io.Discard)
		want := "no Rainbond in namespace nope; Rainbond is in " + i.Namespace + ": expected --namespace=NAMESPACE"
		if status != unknown || err == nil || err.Error() != want || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %v\nwant %s\n%s", i.Name, status, err, want, out.String())
		}
		// serve continues, for Rainbond may be installed later, and makes no claim.
		e := served(t, "serve", "--role=cluster", "--namespace=nope", "--kubeconfig="+w.flags.kubeconfig)
		_, metrics := e.do("GET", "/metrics", nil)
		claim := regexp.MustCompile(`^rainbond_(api_up|api_probe|certificate|component)`)
		for line := range strings.Lines(metrics) {
			if claim.MatchString(line) {
				t.Errorf("%s: claimed of a namespace without Rainbond: %s", i.Name, line)
			}
		}
		if failed := `rainbond_collector_success{collector="cert"} 0`; !strings.Contains(metrics, failed) {
			t.Errorf("%s: no %s", i.Name, failed)
		}
		_, page := e.do("GET", "/", nil)
		if !strings.Contains(page, want) {
			t.Errorf("%s: the page does not contain %q", i.Name, want)
		}
	}
}

// A simulation is a demo and the flags of a check of it.
type simulation struct {
	flags *flags
	demo  *demo.Demo
}

func simulate(t *testing.T, installation string) simulation {
	t.Helper()
	f, err := parse([]string{"demo", "check", "--timeout=20s"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	d, err := demo.Start(t.Context(), demo.Options{Installation: installation, Bits: 2048, FixedTimes: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	f.pointAt(d)
	return simulation{f, d}
}

func (s simulation) diagnose(t *testing.T, scenario string) doctor.Diagnosis {
	t.Helper()
	if err := s.demo.Set(scenario); err != nil {
		t.Fatal(err)
	}
	d, err := s.flags.diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}
