package bench

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkDisk scrapes the exporter of the node role, as it ships, and
// Debian's node_exporter with nothing but its filesystem collector, in turns.
// Both report their own process as well.
func BenchmarkDisk(b *testing.B) {
	const program = "prometheus-node-exporter"
	binary := filepath.Join("..", "..", "bin", "rainbond-exporter")
	if _, err := os.Stat(binary); err != nil {
		b.Skip("no bin/rainbond-exporter: make build")
	}
	if _, err := exec.LookPath(program); err != nil {
		b.Skipf("%s is not installed", program)
	}
	us := newScraped(b, `rainbond_collector_duration_seconds{collector="disk"}`, binary, "serve", "--role=node", "--log.level=error")
	them := newScraped(b, `node_scrape_collector_duration_seconds{collector="filesystem"}`, program, "--collector.disable-defaults", "--collector.filesystem", "--log.level=error")
	for b.Loop() {
		us.scrape(b)
		them.scrape(b)
	}
	b.ReportMetric(1e6*us.median(us.scrapes), "µs/scrape")
	b.ReportMetric(us.median(us.scrapes)/them.median(them.scrapes), "x-scrape")
	b.ReportMetric(float64(us.cpu(b))/float64(them.cpu(b)), "x-scrape-cpu")
	b.ReportMetric(us.median(us.collections)/them.median(them.collections), "x-collection")
}

// A scraped exporter is a peer with what its scrapes took.
type scraped struct {
	*peer
	sample               string // the metric with the duration of the collection alone
	begin                time.Duration
	scrapes, collections []float64 // seconds
}

func newScraped(b *testing.B, sample, program string, args ...string) *scraped {
	b.Helper()
	s := &scraped{peer: startPeer(b, program, args...), sample: sample}
	s.scrape(b) // the first is dearer
	s.scrapes, s.collections, s.begin = nil, nil, theirs(b, s.pid)
	return s
}

func (s *scraped) cpu(b *testing.B) time.Duration { return theirs(b, s.pid) - s.begin }

func (*scraped) median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

func (s *scraped) scrape(b *testing.B) {
	b.Helper()
	clock := time.Now()
	response, err := http.Get(s.url + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var collected float64
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), s.sample+" "); ok {
			if _, err := fmt.Sscan(value, &collected); err != nil {
				b.Fatal(err)
			}
		}
	}
	if collected == 0 {
		b.Fatalf("no %s on %s/metrics", s.sample, s.url)
	}
	s.scrapes, s.collections = append(s.scrapes, time.Since(clock).Seconds()), append(s.collections, collected)
}
