package bench

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkScrapeOfAThousand takes one scrape of /metrics that probes 1,000
// regions at once: how long it takes, how much of our CPU, and how much it
// reports. A second one has Prometheus' default of 10 s, which may not be long
// enough for all.
func BenchmarkScrapeOfAThousand(b *testing.B) {
	const many = 1000
	p := newStage(b).exporter(b, many, "api,cert")
	var cpu, took time.Duration
	var plain, packed []byte
	inTime, wrong := 0, 0
	for b.Loop() {
		begin, cpuBegin := time.Now(), theirs(b, p.pid)
		packed = scrape(b, p.url+"/metrics", "300")
		took += time.Since(begin)
		cpu += theirs(b, p.pid) - cpuBegin
		plain = unpack(b, packed)
		if up, down := reported(plain); up != many || down != 0 {
			b.Fatalf("of %d regions %d are up and %d down", many, up, down)
		}
		up, down := reported(unpack(b, scrape(b, p.url+"/metrics", "10")))
		inTime, wrong = inTime+up, wrong+down
	}
	samples := 0
	for line := range strings.Lines(string(plain)) {
		if !strings.HasPrefix(line, "#") {
			samples++
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took.Seconds()/float64(b.N), "s-scrape")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "s-cpu")
	b.ReportMetric(float64(len(plain))/(1<<20), "MiB-answer")
	b.ReportMetric(float64(len(packed))/(1<<20), "MiB-gzip")
	b.ReportMetric(float64(samples), "samples")
	b.ReportMetric(float64(inTime)/float64(b.N), "regions-in-10s")
	b.ReportMetric(float64(wrong)/float64(b.N), "regions-down")
}

// reported is how many regions the answer reports as up and down. Others
// are missing.
func reported(answer []byte) (up, down int) {
	for line := range bytes.Lines(answer) {
		switch {
		case !bytes.HasPrefix(line, []byte("rainbond_api_up{")):
		case bytes.HasSuffix(line, []byte(" 1\n")):
			up++
		default:
			down++
		}
	}
	return up, down
}

// scrape asks as Prometheus does, for so many seconds, and returns what comes
// over the wire.
func scrape(b *testing.B, url, seconds string) []byte {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", seconds)
	response, err := new(http.Client).Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func unpack(b *testing.B, packed []byte) []byte {
	b.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return text
}
