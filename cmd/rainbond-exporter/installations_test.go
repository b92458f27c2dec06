package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

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

// slow are the scenarios that need seconds for each collection. They run in the
// default installation only.
var slow = []string{"api-dropped", "api-name-silent", "api-504", "api-slow", "disk-mount-stuck", "watch-kube-down"}

// TestScenariosInEveryInstallation expects the same alerts of a scenario in
// every installation in which it occurs, and the installation's namespace in
// every command.
func TestScenariosInEveryInstallation(t *testing.T) {
	for _, i := range demo.Installations {
		if i.Name == demo.Default {
			continue // TestScenariosHaveExactlyTheirAlerts
		}
		t.Run(i.Name, func(t *testing.T) {
			t.Parallel()
			w := simulate(t, i.Name)
			for _, s := range demo.Scenarios {
				if !i.Occurs(s) || slices.Contains(slow, s.Name) {
					continue
				}
				t.Run(s.Name, func(t *testing.T) {
					d := w.diagnose(t, s.Name)
					var got []string
					for _, f := range d.Findings {
						got = append(got, f.Alert)
						for _, command := range f.Commands.EN {
							if i.Namespace != demo.Namespace && strings.Contains(command, demo.Namespace) {
								t.Errorf("%s: the namespace is %s in %s", f.Alert, demo.Namespace, command)
							}
						}
					}
					slices.Sort(got)
					if got, want := slices.Compact(got), slices.Sorted(slices.Values(i.Alerts(s))); !slices.Equal(got, want) {
						t.Errorf("got  %s\nwant %s", strings.Join(got, " "), strings.Join(want, " "))
					}
				})
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
