package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// exporter starts the binary that ships over n regions, all at the stage's
// server, each a target of its own unless the collectors probe them.
func (s stage) exporter(b *testing.B, n int, collectors string) *peer {
	b.Helper()
	binary, err := filepath.Abs(filepath.Join("..", "..", "bin", "rainbond-exporter"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		b.Skipf("%v; make bench builds it", err)
	}
	var config strings.Builder
	config.WriteString("regions:\n")
	for i := range n {
		fmt.Fprintf(&config, "  - {name: region-%d, url: %q, ca_file: ca.pem, cert_file: client.pem, key_file: client.key.pem}\n", i, s.region.URL)
	}
	path := filepath.Join(s.folder, "exporter.yaml")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return startPeer(b, binary, "serve", "--role=console", "--collectors="+collectors, "--config.file="+path, "--log.level=error", "--collection.timeout=5m")
}

// resident is what a process holds of the machine's memory, in MiB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(size)[0], 64)
			return kib / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// BenchmarkMemory probes 1,000 regions, and one region as often, as Prometheus
// would, and compares what the two processes then hold. All regions have the
// same certificates, of which nothing is shared between regions.
func BenchmarkMemory(b *testing.B) {
	const many, rounds, atOnce = 1000, 3, 4
	s := newStage(b)
	for b.Loop() {
		var held []float64
		for _, n := range []int{1, many} {
			p := s.exporter(b, n, "none")
			var wait sync.WaitGroup
			for first := range atOnce {
				wait.Go(func() {
					for i := first; i < many*rounds; i += atOnce {
						if text := fetch(b, p.url+"/probe?region="+url.QueryEscape(fmt.Sprintf("region-%d", i%n))); !strings.Contains(text, "\nrainbond_api_up{") {
							b.Errorf("no answer: %s", text)
							return
						}
					}
				})
			}
			wait.Wait()
			held = append(held, resident(b, p.pid))
		}
		b.ReportMetric(held[0], "MiB/1-region")
		b.ReportMetric(held[1], "MiB/1000-regions")
		b.ReportMetric(held[1]-held[0], "MiB-more")
	}
}

func fetch(b *testing.B, url string) string {
	response, err := http.Get(url)
	if err != nil {
		b.Error(err)
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Error(err)
	}
	return string(text)
}
