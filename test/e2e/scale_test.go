//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The audit policy: one line for each request of the exporter, when it comes.
const audited = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"], "rules": [
	{"level": "Metadata", "users": ["system:serviceaccount:` + namespace + `:` + account + `"]}, {"level": "None"}]}`

const (
	podsHere, podsElsewhere = 200, 10_000
	scrapes                 = 60               // one after the other
	interval                = 15 * time.Second // between scrapes, else
	stretch                 = time.Minute      // of rest, and of unrest
	updates                 = 50               // of nodes in a second
)

// BenchmarkScale grows a real cluster and measures the binary that ships, a
// fresh process at each size: the whole cluster role, and in addition what the
// Kubernetes API alone can answer, which is what kube-state-metrics could export.
func BenchmarkScale(b *testing.B) {
	s := newScale(b)
	s.population.employ(b, s.folder, s.logs)
	sizes := []int{100, 1000, 5000}
	s.population.grow(b, sizes[0])
	s.population.fill(b, podsHere, podsElsewhere)
	for _, s.n = range sizes {
		s.population.grow(b, s.n)
		b.Run(fmt.Sprint("nodes=", s.n), func(b *testing.B) {
			for b.Loop() {
				s.whole(b)
				s.cached(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	c := s.population.cluster
	c.server.kill()
	c.start = append(c.start, "--feature-gates=WatchList=false") // as servers before 1.32 are
	c.run(b)
	b.Run(fmt.Sprint("listed=", s.n), func(b *testing.B) {
		for b.Loop() {
			s.listed(b)
		}
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkClusterRole measures the memory of the cluster role with one region,
// on a cluster of a few nodes, after the same scrapes as BenchmarkScale.
func BenchmarkClusterRole(b *testing.B) {
	s := newScale(b)
	for b.Loop() {
		e, _ := s.start(b, "exporter")
		e.scrapes(b)
		e.scrapesFor(b, stretch)
		b.ReportMetric(mebibytes(b, e, "VmRSS"), "MiB-cluster")
		e.kill()
	}
	b.ReportMetric(0, "ns/op")
}

// A scale is one size of the cluster.
type scale struct {
	population       *population
	n                int
	folder           string
	trail            string // the audit log
	logs, kubeconfig string
	elsewhere        string // a configuration that knows nothing of this cluster's region
}

// newScale starts a cluster with the nodes and pods of the platform only, and
// one region.
func newScale(b *testing.B) scale {
	b.Helper()
	folder, logs := b.TempDir(), logFolder(b)
	c := newCluster(b, sub(b, folder, "kube"), logs)
	policy, trail := filepath.Join(folder, "audit.yaml"), filepath.Join(folder, "audit.log")
	write(b, policy, []byte(audited))
	c.server.kill()
	c.start = append(c.start, "--audit-policy-file="+policy, "--audit-log-path="+trail)
	c.run(b)
	k, g := newKubelet(b, c.ca), generation(b)
	api := &regionAPI{t: b, address: freeAddress(b), folder: sub(b, folder, "rbd-api"), logs: logs}
	platform := newPlatform(b, c, k, api.address, g)
	api.log = k.runs(namespace, podOf("rbd-api"), "rbd-api")
	api.mount(g)
	api.start(b)
	kubeconfig, elsewhere := filepath.Join(folder, "kubeconfig"), filepath.Join(folder, "elsewhere.yaml")
	write(b, kubeconfig, c.kubeconfig(b, c.token(b, namespace, account)))
	write(b, elsewhere, []byte("regions: [{name: elsewhere, url: 'https://127.0.0.1:8443', ca_file: ca.pem, cert_file: client.pem, key_file: client.key.pem}]\n"))
	return scale{population: &population{platform: platform}, n: len(nodes), folder: folder, trail: trail, logs: logs, kubeconfig: kubeconfig, elsewhere: elsewhere}
}

// whole measures the whole cluster role.
func (s scale) whole(b *testing.B) {
	asked := s.asked(b)
	e, took := s.start(b, fmt.Sprint("exporter-", s.n))
	defer e.kill()
	b.ReportMetric(took.Seconds(), "s-ready")
	b.ReportMetric(float64(s.asked(b)-asked), "requests-ready")
	b.ReportMetric(mebibytes(b, e, "VmHWM"), "MiB-peak-ready")

	asked = s.asked(b)
	times, page := e.scrapes(b)
	b.ReportMetric(middle(times), "ms-scrape")
	b.ReportMetric(float64(s.asked(b)-asked)/scrapes, "requests-scrape")
	b.ReportMetric(float64(len(page))/1000, "kB-scrape")
	b.ReportMetric(float64(seriesIn(b, page)), "series")

	asked, spent := s.asked(b), e.spent(b)
	e.scrapesFor(b, stretch)
	b.ReportMetric(1000*(e.spent(b)-spent).Seconds()/stretch.Minutes(), "ms-cpu-rest")
	b.ReportMetric(float64(s.asked(b)-asked)/stretch.Minutes(), "requests-rest")
	b.ReportMetric(mebibytes(b, e, "VmRSS"), "MiB-rest")

	spent = e.spent(b)
	var written int
	var err error
	var beating sync.WaitGroup
	beating.Go(func() { written, err = s.population.beat(b.Context(), updates, stretch) })
	e.scrapesFor(b, stretch)
	beating.Wait()
	must(b, err)
	b.ReportMetric(1000*(e.spent(b)-spent).Seconds()/stretch.Minutes(), "ms-cpu-busy")
	b.ReportMetric(float64(written)/stretch.Seconds(), "updates/s")
	b.ReportMetric(mebibytes(b, e, "VmRSS"), "MiB-busy")
	b.ReportMetric(mebibytes(b, e, "VmHWM"), "MiB-peak")
}

// cached measures what the watch caches answer, and two requests for what the
// operator is configured to run. What the console shows is left out, for component
// asks the region's API for that, by a handshake: the region is not known here.
func (s scale) cached(b *testing.B) {
	e, took := s.start(b, fmt.Sprint("exporter-cached-", s.n), "--collectors=node-role,component,disk", "--config.file="+s.elsewhere)
	defer e.kill()
	b.ReportMetric(took.Seconds(), "s-ready-cached")
	times, page := e.scrapes(b)
	b.ReportMetric(middle(times), "ms-cached")
	b.ReportMetric(float64(len(page))/1000, "kB-cached")
	b.ReportMetric(mebibytes(b, e, "VmRSS"), "MiB-cached")
	b.ReportMetric(mebibytes(b, e, "VmHWM"), "MiB-peak-cached")
}

// listed measures the start with a server that does not stream.
func (s scale) listed(b *testing.B) {
	asked := s.asked(b)
	e, took := s.start(b, "exporter-listed")
	defer e.kill()
	b.ReportMetric(took.Seconds(), "s-ready")
	b.ReportMetric(float64(s.asked(b)-asked), "requests-ready")
	b.ReportMetric(mebibytes(b, e, "VmHWM"), "MiB-peak")
}

// start starts an exporter, and returns it with the time from its start to a
// complete answer.
func (s scale) start(b *testing.B, name string, args ...string) (*exporter, time.Duration) {
	b.Helper()
	e := &exporter{address: freeAddress(b)}
	binary := built(b, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build")
	begun := time.Now()
	e.process = begin(b, s.logs, name, binary, append([]string{"serve", "--role=cluster", "--region.route=api_address", "--kubeconfig=" + s.kubeconfig,
		"--web.listen-address=" + e.address}, args...)...)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err := errors.New("not yet"); err != nil; <-tick.C {
		if time.Since(begun) > time.Minute {
			b.Fatalf("%s has no complete answer after a minute: %v", name, err)
		}
		err = s.complete(e)
	}
	return e, time.Since(begun)
}

// complete is nil when every collector succeeds and every node is exported.
func (s scale) complete(e *exporter) error {
	seen, err := e.scrape()
	if err != nil {
		return err
	}
	if failing := seen.failing(); len(failing) > 0 {
		return fmt.Errorf("failing: %v", failing)
	}
	for _, m := range seen["rainbond_nodes"].GetMetric() {
		for _, l := range m.GetLabel() {
			if want := s.n - 1; l.GetValue() == "worker" && int(m.GetGauge().GetValue()) == want { // but for master-1
				return nil
			}
		}
	}
	return errors.New("nodes are missing")
}

// asked is how many requests the exporters have made to the API server.
func (s scale) asked(b *testing.B) int {
	b.Helper()
	text, err := os.ReadFile(s.trail)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// scrapes asks for /metrics over one connection, as Prometheus does, and
// returns the milliseconds that each answer took, and the last.
func (e *exporter) scrapes(b *testing.B) ([]float64, []byte) {
	b.Helper()
	connection := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer connection.CloseIdleConnections()
	var times []float64
	var page bytes.Buffer
	// Seven requests each: closer together, our own limit of 50 a second would be timed.
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range scrapes {
		<-tick.C
		begun := time.Now()
		answer, err := connection.Get("http://" + e.address + "/metrics")
		must(b, err)
		page.Reset()
		_, err = page.ReadFrom(answer.Body)
		must(b, errors.Join(err, answer.Body.Close()))
		times = append(times, 1000*time.Since(begun).Seconds())
	}
	return times, page.Bytes()
}

// scrapesFor scrapes at Prometheus' pace.
func (e *exporter) scrapesFor(b *testing.B, stretch time.Duration) {
	b.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for range stretch / interval {
		<-tick.C
		must(b, e.onlyFailing())
	}
}

func middle(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// seriesIn counts the series of ours on a page.
func seriesIn(b *testing.B, page []byte) int {
	b.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	must(b, err)
	var n int
	for name, family := range families {
		if strings.HasPrefix(name, "rainbond_") {
			n += len(family.GetMetric())
		}
	}
	return n
}

// mebibytes is a value of the kernel about a process's memory.
func mebibytes(b *testing.B, e *exporter, field string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid))
	must(b, err)
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(size)[0], 64)
			must(b, err)
			return kib / 1024
		}
	}
	b.Fatalf("no %s", field)
	return 0
}

// spent is the CPU time that a process has used, in the kernel's ticks of
// 10 ms.
func (e *exporter) spent(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.cmd.Process.Pid))
	must(b, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
