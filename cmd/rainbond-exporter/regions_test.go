package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// regionCalls is what a test's /sd and /probe know and were asked.
type regionCalls struct {
	known  []string
	err    error
	asked  []string // for a region
	probed []string
}

func (s *regionCalls) probeHandler() *probeHandler {
	return &probeHandler{
		log:     slog.New(slog.DiscardHandler),
		timeout: collector.DefaultTimeout,
		names:   func(context.Context) ([]string, error) { return s.known, s.err },
		region: func(_ context.Context, name string) (fault.Region, bool, error) {
			s.asked = append(s.asked, name)
			for _, known := range s.known {
				if known == name {
					return fault.Region{Name: name, Place: fault.Console}, true, s.err
				}
			}
			return fault.Region{}, false, s.err
		},
		prober: func() func(context.Context, fault.Region) fault.Trace {
			return func(_ context.Context, r fault.Region) fault.Trace {
				s.probed = append(s.probed, r.Name)
				return fault.Trace{Status: http.StatusOK}
			}
		},
	}
}

// answer is the status of a page and those of its lines that hold part.
func answer(t *testing.T, h http.Handler, path, part string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	text := fmt.Sprint(w.Code)
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, part) {
			text += " " + strings.TrimSpace(line)
		}
	}
	return text
}

func TestProbeReadsAndProbesARegionOnce(t *testing.T) {
	s := &regionCalls{known: []string{"a", "b"}}
	each := s.probeHandler()
	for n := 1; n <= 2; n++ {
		want := fmt.Sprintf(`200 rainbond_api_probes_total{rainbond_region="a"} %d`, n)
		if got := answer(t, each, "/probe?region=a", "rainbond_api_probes_total"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := fmt.Sprint(s.asked, s.probed); got != "[a a] [a a]" {
		t.Errorf("asked for and probed %s", got)
	}
}

func TestRemovedAndIdleRegionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &regionCalls{known: []string{"a", "b"}}
		each := s.probeHandler()
		probe := func(name, want string) {
			t.Helper()
			if got := answer(t, each, "/probe?region="+name, "rainbond_api_probes_total"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		probe("a", `200 rainbond_api_probes_total{rainbond_region="a"} 1`)
		s.known = []string{"b"}
		if got := answer(t, each, "/probe?region=a", ""); got != `404 no region "a"; /sd lists the names` {
			t.Error(got)
		}
		s.known = []string{"a", "b"}
		probe("a", `200 rainbond_api_probes_total{rainbond_region="a"} 1`)
		<-time.After(idleTimeout - time.Minute)
		probe("b", `200 rainbond_api_probes_total{rainbond_region="b"} 1`)
		if len(each.targets) != 2 {
			t.Errorf("%d regions are remembered, want 2", len(each.targets))
		}
		<-time.After(2 * time.Minute)
		probe("b", `200 rainbond_api_probes_total{rainbond_region="b"} 2`)
		if len(each.targets) != 1 {
			t.Errorf("%d regions are remembered, want 1", len(each.targets))
		}
	})
}

func TestLastKnownRegionIsProbed(t *testing.T) {
	s := &regionCalls{known: []string{"a"}, err: errors.New("the database is away")}
	each := s.probeHandler()
	if got := answer(t, each, "/probe?region=a", "rainbond_api_up"); got != `200 rainbond_api_up{rainbond_region="a"} 1` {
		t.Error(got)
	}
	if got := answer(t, each, "/probe?region=a", "rainbond_collector_success"); got != `200 rainbond_collector_success{collector="api"} 0 rainbond_collector_success{collector="cert"} 0` {
		t.Error(got)
	}
	// A region that was never known is unknown, not missing.
	if got := answer(t, each, "/probe?region=b", "rainbond_collector_success"); got != `200 rainbond_collector_success{collector="api"} 0 rainbond_collector_success{collector="cert"} 0` {
		t.Error(got)
	}
	if got := answer(t, http.HandlerFunc(each.serveDiscovery), "/sd", ""); got != "503 the database is away" {
		t.Error(got) // an empty list would make Prometheus forget the regions
	}
}

func TestServiceDiscoveryHasOneTargetPerRegion(t *testing.T) {
	s := &regionCalls{known: []string{"b", `a"` + "\n"}}
	want := `200 [{"targets":["a\"\n"],"labels":{"rainbond_region":"a\"\n"}},{"targets":["b"],"labels":{"rainbond_region":"b"}}]`
	if got := answer(t, http.HandlerFunc(s.probeHandler().serveDiscovery), "/sd", ""); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(s.asked) > 0 {
		t.Errorf("the list read %q", s.asked)
	}
	s.known = nil
	if got := answer(t, http.HandlerFunc(s.probeHandler().serveDiscovery), "/sd", ""); got != "200 []" {
		t.Error(got)
	}
}

func TestDebugShowsTheProbeWithoutSecrets(t *testing.T) {
	s := &regionCalls{known: []string{"a"}}
	each := s.probeHandler()
	find := each.region
	each.region = func(ctx context.Context, name string) (fault.Region, bool, error) {
		r, ok, err := find(ctx, name)
		r.Key, r.Token = fault.Secret("SECRET KEY"), fault.Secret("SECRET TOKEN")
		return r, ok, err
	}
	each.prober = func() func(context.Context, fault.Region) fault.Trace {
		return func(context.Context, fault.Region) fault.Trace {
			return fault.Trace{URL: "https://a:8443", Address: "10.0.0.1:8443", Phase: fault.Connect, Err: errors.New("refused")}
		}
	}
	got := answer(t, each, "/probe?region=a&debug=true", "")
	for _, want := range []string{
		"200 Details of the last probe:", "connect: 10.0.0.1:8443", "result: connect/", "Last failed probes:", "refused",
		`rainbond_api_up{rainbond_region="a"} 0`, "Configuration of the region:", `name: "a"`, `url: "https://a:8443"`, `key: "<redacted, 10 bytes>"`, `ca: "none"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "SECRET") {
		t.Errorf("a secret in %s", got)
	}
}

// An implausible timeout of one scraper changes nothing for itself or others.
func TestScrapeTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &regionCalls{known: []string{"a"}}
		each := s.probeHandler()
		each.prober = func() func(context.Context, fault.Region) fault.Trace {
			return func(context.Context, fault.Region) fault.Trace {
				<-time.After(2 * time.Second)
				return fault.Trace{Status: http.StatusOK}
			}
		}
		var scrapes sync.WaitGroup
		for _, row := range []struct {
			header string
			takes  time.Duration
		}{
			{"10", 2 * time.Second}, {"", 2 * time.Second}, {"NaN", 2 * time.Second}, {"Inf", 2 * time.Second}, {"-Inf", 2 * time.Second}, {"-1", 2 * time.Second},
			{"0", 2 * time.Second}, {"1e9", 2 * time.Second}, {"1e999", 2 * time.Second}, {"soon", 2 * time.Second}, {"30", 2 * time.Second},
			{"0.001", 500 * time.Microsecond}, {"1", 500 * time.Millisecond}, {"2", 1500 * time.Millisecond},
		} {
			scrapes.Go(func() {
				w := httptest.NewRecorder()
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/probe?region=a", nil)
				request.Header.Set(scrapeHeader, row.header)
				begin := time.Now()
				each.ServeHTTP(w, request)
				known := row.takes >= 2*time.Second
				up := strings.Contains(w.Body.String(), `rainbond_api_up{rainbond_region="a"} 1`)
				success := strings.Contains(w.Body.String(), `rainbond_collector_success{collector="api"} 1`)
				if took := time.Since(begin); w.Code != http.StatusOK || took != row.takes || up != known || success != known {
					t.Errorf("timeout %q: %d after %s, up %t, success %t; want 200 after %s, %t", row.header, w.Code, took, up, success, row.takes, known)
				}
			})
		}
		scrapes.Wait()
		if len(s.asked) != 1 {
			t.Errorf("the scrapers made %d collections", len(s.asked))
		}
	})
}
