package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// funcCollector is a collector made of a function.
type funcCollector struct {
	name    string
	collect func(context.Context) (Report, error)
}

func (c funcCollector) Name() string                                { return c.name }
func (c funcCollector) Collect(ctx context.Context) (Report, error) { return c.collect(ctx) }

func healthy(name string) funcCollector {
	return funcCollector{name, func(context.Context) (Report, error) { return Report{}, nil }}
}

// newTestSet returns a Set with the default time limit and no log.
func newTestSet(collectors ...Collector) *Set {
	return NewSet(slog.New(slog.DiscardHandler), DefaultTimeout, collectors...)
}

// collectWithin collects with a deadline.
func collectWithin(t *testing.T, s *Set, limit time.Duration) Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return s.Collect(ctx)
}

func success(t *testing.T, snapshot Snapshot) string {
	t.Helper()
	var got []string
	for _, o := range snapshot.Outcomes {
		word := o.Collector + ": ok"
		if o.Err != nil {
			word = o.Collector + ": " + strings.SplitN(o.Err.Error(), "\n", 2)[0]
		}
		got = append(got, word)
	}
	return strings.Join(got, "; ")
}

// samples returns the lines of the named metrics.
func samples(t *testing.T, snapshot Snapshot, names ...string) string {
	t.Helper()
	families, err := snapshot.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		for _, name := range names {
			if f.GetName() != name {
				continue
			}
			for _, m := range f.GetMetric() {
				var labels []string
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				lines = append(lines, fmt.Sprintf("%s{%s} %v", name, strings.Join(labels, ","), m.GetGauge().GetValue()+m.GetCounter().GetValue()))
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestFailureAffectsOnlyItsCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		set := newTestSet(
			funcCollector{"panics", func(context.Context) (Report, error) { panic("boom") }},
			funcCollector{"errs", func(context.Context) (Report, error) { return Report{}, errors.New("forbidden") }},
			funcCollector{"hangs", func(context.Context) (Report, error) { <-never; return Report{}, nil }},
			healthy("healthy"),
		)
		begin := time.Now()
		want := "panics: panic: boom; errs: forbidden; hangs: no result within 9.2s; the call continues; healthy: ok"
		if got := success(t, set.Collect(t.Context())); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if took := time.Since(begin); took != 9200*time.Millisecond {
			t.Errorf("the collection took %s of 10 s; want 9.2 s", took)
		}
		close(never)
	})
}

func TestPanicOfAProbeIsUnknown(t *testing.T) {
	probe := func(_ context.Context, r fault.Region) fault.Trace {
		if r.Name == "a" {
			panic("boom")
		}
		return fault.Trace{Status: 200}
	}
	regions := fixed([]fault.Region{{Name: "a"}, {Name: "b"}}, nil)
	set := newTestSet(NewAPI(regions, probe, nil, nil), NewCert(regions, func(context.Context) ([]fault.Copy, error) { panic("bang") }, nil, "a", probe))
	snapshot := set.Collect(t.Context())
	if got, want := success(t, snapshot), "api: panic: boom; cert: panic: bang"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := samples(t, snapshot, "rainbond_api_up", "rainbond_api_probes_total"), "rainbond_api_probes_total{b} 1\nrainbond_api_up{b} 1"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCollectorHas90PercentOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newTestSet(funcCollector{"slow", func(ctx context.Context) (Report, error) {
			<-ctx.Done() // a target that does not answer: the timeout is a finding
			return Report{}, nil
		}})
		begin := time.Now()
		if got := success(t, set.Collect(t.Context())); got != "slow: ok" {
			t.Error(got)
		}
		if took := time.Since(begin); took != 9*time.Second {
			t.Errorf("took %s, want 9s", took)
		}
	})
}

// The deadline of a caller neither shortens nor extends the collection, which
// another caller shares.
func TestScrapesShareACollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		set := newTestSet(healthy("fast"), funcCollector{SlugDisk, func(ctx context.Context) (Report, error) {
			calls.Add(1)
			select {
			case <-time.After(3 * time.Second):
				return Report{}, nil
			case <-ctx.Done():
				return Report{}, ctx.Err()
			}
		}})
		var scrapes sync.WaitGroup
		for _, row := range []struct{ delay, limit, takes time.Duration }{
			{0, time.Millisecond, time.Millisecond},
			{0, 2 * time.Second, 2 * time.Second},
			{time.Second, 10 * time.Minute, 2 * time.Second}, // joins the running collection
			{2 * time.Second, time.Second / 2, time.Second / 2},
		} {
			scrapes.Go(func() {
				<-time.After(row.delay)
				begin := time.Now()
				got := success(t, collectWithin(t, set, row.limit))
				want := "fast: ok; disk: ok"
				if ran := row.delay + row.limit; ran < 3*time.Second {
					want = fmt.Sprintf("fast: ok; disk: not finished after %s; the collection is still running", ran)
				}
				if took := time.Since(begin); got != want || took != row.takes {
					t.Errorf("%v: got  %s in %s\nwant %s", row, got, took, want)
				}
			})
		}
		scrapes.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("four scrapes called it %d times", n)
		}
	})
}

// A scraper whose timeout is shorter than a collection gets the outcome of the
// collection that it started at its next scrape, with its time.
func TestShortTimeoutGetsTheLastOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		failing.Store(true)
		set := newTestSet(NewAPI(fixed([]fault.Region{{Name: "fast"}, {Name: "hangs"}}, nil), func(ctx context.Context, r fault.Region) fault.Trace {
			if r.Name == "fast" || !failing.Load() {
				return fault.Trace{Status: 200}
			}
			<-ctx.Done()
			return fault.Trace{Phase: fault.Processing, Err: ctx.Err()}
		}, nil, nil))
		const names = "rainbond_api_up"
		scrape := func(what, wantErr, want string, age time.Duration) {
			t.Helper()
			snapshot := collectWithin(t, set, 5*time.Second)
			if got := success(t, snapshot); got != wantErr {
				t.Errorf("%s: %s, want %s", what, got, wantErr)
			}
			if got := samples(t, snapshot, names); got != want {
				t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
			}
			if got := time.Since(snapshot.Outcomes[0].At); got != age {
				t.Errorf("%s: the outcome is %s old, want %s", what, got, age)
			}
		}
		scrape("at first", "api: not finished after 5s; the collection is still running", "rainbond_api_up{fast} 1", 5*time.Second)
		<-time.After(25 * time.Second)
		scrape("next", "api: ok", "rainbond_api_up{fast} 1\nrainbond_api_up{hangs} 0", 35*time.Second)
		<-time.After(10 * time.Minute)
		scrape("much later", "api: not finished after 5s; the collection is still running", "rainbond_api_up{fast} 1", 5*time.Second)
		<-time.After(25 * time.Second)
		failing.Store(false)
		scrape("recovered", "api: ok", "rainbond_api_up{fast} 1\nrainbond_api_up{hangs} 1", 0)
		failing.Store(true)
		<-time.After(25 * time.Second)
		// The recovered outcome reached its caller. It is not fresh.
		scrape("failing again", "api: not finished after 5s; the collection is still running", "rainbond_api_up{fast} 1", 5*time.Second)
		<-time.After(10 * time.Second)
	})
}

// A scraper with a long timeout does not take the outcomes from one with a
// short timeout.
func TestShortTimeoutGetsTheOutcomeOfALongScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newTestSet(NewAPI(fixed([]fault.Region{{Name: "hangs"}}, nil), func(ctx context.Context, _ fault.Region) fault.Trace {
			<-ctx.Done()
			return fault.Trace{Phase: fault.Processing, Err: ctx.Err()}
		}, nil, nil))
		collectWithin(t, set, 5*time.Second)
		<-time.After(10 * time.Second)
		for i := range 3 {
			collectWithin(t, set, 30*time.Second)
			if got, want := samples(t, collectWithin(t, set, 5*time.Second), "rainbond_api_up"), "rainbond_api_up{hangs} 0"; got != want {
				t.Errorf("short scrape %d after a long one: %q, want %q", i, got, want)
			}
			<-time.After(10 * time.Second)
		}
	})
}

func TestHangingCollectorRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		free := make(chan struct{})
		set := newTestSet(funcCollector{"stuck", func(context.Context) (Report, error) {
			calls.Add(1)
			<-free
			return Report{}, nil
		}}, healthy("healthy"))
		want := "stuck: no result within 9.2s; the call continues; healthy: ok"
		for range 5 {
			if got := success(t, set.Collect(t.Context())); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			want = "stuck: a call of an earlier collection has not returned; healthy: ok"
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("five collections called it %d times", n)
		}
		close(free)
		synctest.Wait()
		if got, want := success(t, set.Collect(t.Context())), "stuck: ok; healthy: ok"; got != want {
			t.Errorf("after the hang: %s", got)
		}
	})
}

func TestOncePerCollection(t *testing.T) {
	var asked atomic.Int32
	ask := OncePerCollection(func(q string) string { return q }, func(_ context.Context, q string) string {
		asked.Add(1)
		return "answer to " + q
	})
	asker := func(name string) funcCollector {
		return funcCollector{name, func(ctx context.Context) (Report, error) {
			if got := ask(ctx, "a"); got != "answer to a" {
				t.Error(got)
			}
			return Report{}, nil
		}}
	}
	set := newTestSet(asker("one"), asker("two"))
	for n := int32(1); n <= 2; n++ {
		set.Collect(t.Context())
		if got := asked.Load(); got != n {
			t.Errorf("after %d collections it was called %d times", n, got)
		}
	}
}

func TestSourceOfRegionsHasPartOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := []fault.Region{rainbond}
		regions := Limited(func(ctx context.Context) ([]fault.Region, error) {
			<-ctx.Done()
			return known, errors.New("the database does not respond")
		})
		set := newTestSet(NewAPI(regions, func(ctx context.Context, _ fault.Region) fault.Trace {
			if left := remaining(ctx); left < 6*time.Second {
				t.Errorf("the probe has %s, want 6s", left)
			}
			return fault.Trace{Status: 200}
		}, nil, nil))
		snapshot := set.Collect(t.Context())
		if got, want := success(t, snapshot), "api: the database does not respond"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := samples(t, snapshot, "rainbond_api_up"), "rainbond_api_up{rainbond} 1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestDuplicateSamplesAffectNothingElse(t *testing.T) {
	set := newTestSet(
		funcCollector{SlugNodeRole, func(context.Context) (Report, error) {
			var r Report
			r.addSample("rainbond_node_role_missing", 1, "rainbond", "n1")
			r.addSample("rainbond_node_role_missing", 1, "rainbond", "n1") // the same value
			r.addSample("rainbond_nodes", 1, "rainbond", "worker")
			r.addSample("rainbond_nodes", 2, "rainbond", "worker")
			r.addSample("rainbond_nodes", 3, "rainbond", "n\xff")
			r.addSample("rainbond_nodes", 4, "rainbond", "n\xfe")
			r.addSample("rainbond_nodes", 5, "rainbond", "none")
			return r, nil
		}},
		NewAPI(fixed([]fault.Region{{Name: "a", URL: "one"}, {Name: "a", URL: "two"}, {Name: "b"}}, nil),
			func(_ context.Context, r fault.Region) fault.Trace {
				return fault.Trace{Status: map[string]int{"two": 503}[r.URL] + 200, URL: r.URL}
			}, nil, nil),
	)
	snapshot := set.Collect(t.Context())
	want := `node-role: rainbond_nodes{rainbond_region="rainbond",role="worker"} has two values; expected one object with this name; the first value is exported; ` +
		`api: region "a": another region has this name; expected unique names; only the first is probed`
	if got := success(t, snapshot); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `rainbond_api_up{a} 1
rainbond_api_up{b} 1
rainbond_node_role_missing{n1,rainbond} 1
rainbond_nodes{rainbond,none} 5
rainbond_nodes{rainbond,n` + "\uFFFD" + `} 3
rainbond_nodes{rainbond,worker} 1`
	if got := samples(t, snapshot, "rainbond_api_up", "rainbond_node_role_missing", "rainbond_nodes"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFailureAndRecoveryAreLoggedOnce(t *testing.T) {
	var log strings.Builder
	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}})
	troubles := []error{errors.New("forbidden"), errors.New("forbidden"), nil, nil}
	set := NewSet(slog.New(handler), DefaultTimeout, funcCollector{SlugTLS, func(context.Context) (Report, error) {
		err := troubles[0]
		troubles = troubles[1:]
		return Report{}, err
	}})
	for range len(troubles) {
		set.Collect(t.Context())
	}
	want := "level=WARN msg=\"collector failed\" collector=tls err=forbidden\nlevel=INFO msg=\"collector recovered\" collector=tls\n"
	if got := log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSnapshotExportsCollectorSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock starts at 2000-01-01
		set := newTestSet(
			healthy(SlugAPI),
			funcCollector{SlugDisk, func(context.Context) (Report, error) { return Report{}, errors.New("no root") }})
		want := `
# HELP rainbond_collector_last_collection_timestamp_seconds ` + Describe("rainbond_collector_last_collection_timestamp_seconds").Help + `
# TYPE rainbond_collector_last_collection_timestamp_seconds gauge
rainbond_collector_last_collection_timestamp_seconds{collector="api"} 9.466848e+08
rainbond_collector_last_collection_timestamp_seconds{collector="disk"} 9.466848e+08
# HELP rainbond_collector_success Whether the collector could check everything (1) or not (0). A fault that was found is a success.
# TYPE rainbond_collector_success gauge
rainbond_collector_success{collector="api"} 1
rainbond_collector_success{collector="disk"} 0
`
		if err := testutil.CollectAndCompare(set.Collect(t.Context()), strings.NewReader(want), "rainbond_collector_success", "rainbond_collector_last_collection_timestamp_seconds"); err != nil {
			t.Error(err)
		}
	})
}
