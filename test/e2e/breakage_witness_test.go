//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// glance is how often a witness scrapes.
const glance = 2 * time.Second

// claims are the metrics about objects of Kubernetes.
var claims = []string{"rainbond_nodes", "rainbond_node_condition", "rainbond_component_desired", "rainbond_component_ready", "rainbond_pods_evicted"}

// An observation is the result of one scrape.
type observation struct {
	at      time.Time
	took    time.Duration
	err     error
	failing []string // the collectors that failed
	claims  []string // those that were made
	ready   string   // of the watched component; "" if it is not exported
	nodes   string   // with the role worker
	self    usage
}

// usage is what a process uses.
type usage struct {
	goroutines, files float64
	resident          float64 // bytes
	live              float64 // bytes in use after the last collection, with what may come until the next
}

func (u usage) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f files, %.1f MiB resident, next collection at %.1f MiB", u.goroutines, u.files, u.resident/(1<<20), u.live/(1<<20))
}

// A witness scrapes an exporter all the time, within the deadline that it
// states, and remembers.
type witness struct {
	*exporter
	component string

	mu   sync.Mutex
	seen []observation
	held chan struct{} // holds a token while nobody may scrape
	end  func()
}

func witnessOf(t testing.TB, e *exporter, component string) *witness {
	w := &witness{exporter: e, component: component, held: make(chan struct{}, 1)}
	stop, ended := make(chan struct{}), make(chan struct{})
	w.end = sync.OnceFunc(func() { close(stop); <-ended })
	t.Cleanup(w.end)
	go func() {
		defer close(ended)
		tick := time.NewTicker(glance)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			w.held <- struct{}{}
			g := w.observe()
			<-w.held
			w.mu.Lock()
			w.seen = append(w.seen, g)
			w.mu.Unlock()
		}
	}()
	return w
}

// observe scrapes once.
func (w *witness) observe() observation {
	g := observation{at: time.Now()}
	s, err := w.scrape()
	g.took, g.err = time.Since(g.at), err
	if err != nil {
		return g
	}
	g.failing = s.failing()
	slices.Sort(g.failing)
	for _, claim := range claims {
		if len(s[claim].GetMetric()) > 0 {
			g.claims = append(g.claims, claim)
		}
	}
	g.ready = s.value("rainbond_component_ready", "component", w.component)
	g.nodes = s.value("rainbond_nodes", "role", "worker")
	g.self = usage{goroutines: s.number("go_goroutines"), files: s.number("process_open_fds"),
		resident: s.number("process_resident_memory_bytes"), live: s.number("go_memstats_next_gc_bytes")}
	return g
}

// number is the one sample of a metric.
func (s samples) number(name string) float64 {
	for _, m := range s[name].GetMetric() {
		return m.GetGauge().GetValue()
	}
	return 0
}

// value is the sample that has a label, as text; "" when there is none.
func (s samples) value(name, label, is string) string {
	for _, m := range s[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label && l.GetValue() == is {
				return fmt.Sprint(m.GetGauge().GetValue())
			}
		}
	}
	return ""
}

// since lists what was seen from then on.
func (w *witness) since(at time.Time) []observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.seen, func(g observation) bool { return !g.at.Before(at) })
	if i < 0 {
		return nil
	}
	return slices.Clone(w.seen[i:])
}

// between lists what was asked after from and answered before to.
func (w *witness) between(from, to time.Time) []observation {
	return slices.DeleteFunc(w.since(from), func(g observation) bool { return g.at.Add(g.took).After(to) })
}

// answered checks that every scrape was answered in time.
func (w *witness) answered(t testing.TB, since time.Time) {
	t.Helper()
	for _, g := range w.since(since) {
		if g.err != nil || g.took > answerWithin {
			t.Errorf("%s, %s after it broke: a scrape took %s (%v); expected an answer within %s", w.name, seconds(g.at.Sub(since)), seconds(g.took), g.err, answerWithin)
		}
	}
}

// few is how many scrapes measure the usage of an exporter.
const few = 5

// settled is the usage of an exporter that since then has had nothing to do
// but to be scraped: the least of the last few scrapes.
func (w *witness) settled(since time.Time) (usage, error) {
	seen := slices.DeleteFunc(w.since(since), func(g observation) bool { return g.err != nil })
	if len(seen) < few {
		return usage{}, fmt.Errorf("%s has answered %d scrapes, expected %d", w.name, len(seen), few)
	}
	seen = seen[len(seen)-few:]
	least := seen[0].self
	for _, g := range seen[1:] {
		least.goroutines, least.files = min(least.goroutines, g.self.goroutines), min(least.files, g.self.files)
		least.resident, least.live = min(least.resident, g.self.resident), min(least.live, g.self.live)
	}
	return least, nil
}

// What an exporter may weigh more after a fault than before: connections that
// idle, buffers that grew once.
const (
	moreGoroutines = 6
	moreFiles      = 4
	moreLive       = 4 << 20
	moreResident   = 16 << 20
)

// leavesNothing is nil when the exporter weighs what it did before.
func (w *witness) leavesNothing(since time.Time, before usage, racing bool) error {
	now, err := w.settled(since)
	if err != nil {
		return err
	}
	leaves := now.goroutines > before.goroutines+moreGoroutines || now.files > before.files+moreFiles
	if !racing { // the race detector keeps books of its own
		leaves = leaves || now.live > before.live+moreLive || now.resident > before.resident+moreResident
	}
	if leaves {
		return fmt.Errorf("%s: before %s, now %s", w.name, before, now)
	}
	return nil
}

// noRace searches the log of an exporter that was built with the race
// detector.
func (w *witness) noRace(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(w.log)
	must(t, err)
	if i := strings.Index(string(text), "DATA RACE"); i >= 0 {
		t.Errorf("%s: %s", w.name, string(text[i:min(len(text), i+4000)]))
	}
	for _, word := range []string{"panic:", "level=ERROR msg=panic"} {
		if strings.Contains(string(text), word) {
			t.Errorf("%s panicked:\n%s", w.name, tail(w.log, 30))
		}
	}
}

// raceBinary is the exporter built with the race detector.
func raceBinary(t testing.TB) string {
	return built(t, filepath.Join("..", "..", "bin", "rainbond-exporter-race"), "make breakage")
}
