//go:build e2e && faults

package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// scrapeTimeout is Prometheus' default.
const scrapeTimeout = 10 * time.Second

// A ward is a Prometheus, an Alertmanager and a person, who watch some
// patients.
type ward struct {
	*alerting
	patients []*patient
	store    string // URL of the VictoriaMetrics that vmalert reads; "": it reads Prometheus
}

// admit starts a patient for every fault, and the wards that watch them. It
// returns when every scrape succeeds.
func admit(t testing.TB, faults []breakage) ([]*patient, []*ward) {
	t.Helper()
	folder, logs := t.TempDir(), logFolder(t)
	progress("starting %d regions, each with its exporter", len(faults))
	var patients []*patient
	for _, f := range faults {
		patients = append(patients, &patient{name: f.id(), place: f.place.Name})
	}
	beginPatients(t, logs, patients)
	shared := &ward{}
	var wards []*ward
	for i, f := range faults {
		w := shared
		if f.alone {
			w = &ward{}
		}
		w.patients = append(w.patients, patients[i])
		patients[i].ward = w
		if !slices.Contains(wards, w) {
			wards = append(wards, w)
		}
	}
	for i, w := range wards {
		name := fmt.Sprintf("ward-%d", i)
		at := sub(t, folder, name)
		w.remember(t, at, faults)
		if *engine != "prometheus" {
			w.beginVMAlert(t, at, sub(t, logs, name))
			continue
		}
		w.alerting = beginAlerting(t, at, sub(t, logs, name), edited(t, variant.Prometheus), w.scrapes())
	}
	for _, w := range wards {
		until(t, 2*time.Minute, "every scrape succeeds", w.scrapesAll)
	}
	return patients, wards
}

// beginPatients starts the demos, and returns when each is ready.
func beginPatients(t testing.TB, logs string, patients []*patient) {
	t.Helper()
	binary := built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build")
	ports := portsBelow(t, len(patients))
	for i, p := range patients {
		p.address = ports[i]
		p.exporter = begin(t, logs, p.name, binary, "demo", "--rsa-bits=2048", "--installation="+p.place, "--web.listen-address="+p.address, "--log.level=warn")
	}
	for _, p := range patients {
		until(t, 5*time.Minute, p.name+" is ready", func() error {
			if err := p.exporter.alive(); err != nil {
				return err
			}
			_, err := get("http://" + p.address + "/-/ready")
			return err
		})
	}
}

// remember gives a ward's Prometheus the past of its patients.
func (w *ward) remember(t testing.TB, folder string, faults []breakage) {
	t.Helper()
	for _, p := range w.patients {
		for _, f := range faults {
			if f.id() != p.name || f.backfill == nil {
				continue
			}
			text := filepath.Join(folder, "past.txt")
			write(t, text, []byte(f.backfill(p, time.Now())))
			out, err := exec.Command(tool(t, "promtool"), "tsdb", "create-blocks-from", "openmetrics", text, filepath.Join(folder, "prometheus")).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
}

// beginVMAlert lets vmalert evaluate the rules. With the engine vmalert it reads from the Prometheus
// that scrapes, without a delay. With the engine victoriametrics it reads from a VictoriaMetrics to
// which that Prometheus writes, as vmagent does, and all delays are the defaults.
func (w *ward) beginVMAlert(t testing.TB, folder, logs string) {
	t.Helper()
	listen := freeAddress(t)
	args := []string{"-rule.evalDelay=0s"}
	var processes []*process
	if *engine == victoriaMetrics {
		store := freeAddress(t)
		w.store, args = "http://"+store, nil
		processes = append(processes, begin(t, logs, "victoria-metrics", tool(t, "victoria-metrics"), "-storageDataPath="+filepath.Join(folder, "victoria"), "-httpListenAddr="+store))
		until(t, time.Minute, "VictoriaMetrics is ready", func() error { _, err := get(w.store + "/health"); return err })
	}
	without := func(text []byte) []byte {
		if bytes.Equal(text, rules.Rules) {
			return []byte("groups: []\n")
		}
		return text
	}
	w.alerting = beginAlerting(t, folder, logs, without, w.scrapes(), "--web.enable-remote-write-receiver")
	file := filepath.Join(folder, "vmalert.rules.yaml")
	write(t, file, edited(t, variant.VMAlert)(rules.Rules))
	source := cmp.Or(w.store, w.prometheus)
	args = append(args, "-rule="+file, "-evaluationInterval="+rowInterval.String(),
		"-datasource.url="+source, "-remoteRead.url="+source, "-remoteWrite.url="+source, "-notifier.url="+w.manager, "-httpListenAddr="+listen)
	w.processes = append(append(w.processes, processes...), begin(t, logs, "vmalert", tool(t, "vmalert"), args...))
	until(t, time.Minute, "vmalert is ready", func() error { _, err := get("http://" + listen + "/health"); return err })
}

// edited makes the rules the variant of that format for the interval, and changes nothing in the rest of what ships.
func edited(t testing.TB, format string) func([]byte) []byte {
	return func(text []byte) []byte {
		if !bytes.Equal(text, rules.Rules) {
			return text
		}
		text, err := variant.Generate(variant.Options{Format: format, Interval: *rowInterval})
		must(t, err)
		return text
	}
}

// scrapes is Prometheus' configuration. Every platform is named rainbond: only the label cluster
// distinguishes them, as in a Prometheus of many sites.
func (w *ward) scrapes() string {
	var targets strings.Builder
	for _, p := range w.patients {
		if !p.pair {
			fmt.Fprintf(&targets, "  - {targets: [%q], labels: {cluster: %q}}\n", p.address, p.name)
			continue
		}
		for _, instance := range []string{"ha-0", "ha-1"} {
			fmt.Fprintf(&targets, "  - {targets: [%q], labels: {cluster: %q, instance: %q}}\n", p.address, p.name, instance)
		}
	}
	return fmt.Sprintf(`
global: {scrape_interval: %s, scrape_timeout: %s, evaluation_interval: %s}
scrape_configs:
- job_name: rainbond-exporter
  static_configs:
%s`, *rowInterval, scrapeTimeout, *rowInterval, targets.String()) + w.writes()
}

// writes is the part of the configuration that writes to the store, as often as vmagent does.
func (w *ward) writes() string {
	if w.store == "" {
		return ""
	}
	return fmt.Sprintf("remote_write: [{url: %q, queue_config: {batch_send_deadline: 1s}}]\n", w.store+"/api/v1/write")
}

// of lists the notifications about a patient: by the platform, by the
// exporter, or because it is the ward's only one.
func (w *ward) of(p *patient) []notification {
	return slices.DeleteFunc(w.person.since(time.Time{}), func(n notification) bool { return w.whose(n) != p })
}

// strangers lists what belongs to no patient.
func (w *ward) strangers() []notification {
	return slices.DeleteFunc(w.person.since(time.Time{}), func(n notification) bool { return w.whose(n) != nil })
}

func (w *ward) whose(n notification) *patient {
	for _, p := range w.patients {
		if p.name == n.Labels["cluster"] || p.address == n.Labels["instance"] || len(w.patients) == 1 {
			return p
		}
	}
	return nil
}

// portsBelow are addresses below the ports that the kernel hands out by
// itself, of which each demo takes some. They are others in each run, for one
// whose exporter is gone is still ours.
func portsBelow(t testing.TB, count int) []string {
	t.Helper()
	var free []string
	for port := 20000 + os.Getpid()%60*200; len(free) < count; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			must(t, l.Close())
			free = append(free, address)
		}
	}
	return free
}
