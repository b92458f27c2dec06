package collector

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
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

func TestFailureAffectsOnlyItsCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		set := NewSet(slog.New(slog.DiscardHandler),
			funcCollector{"panics", func(context.Context) (Report, error) { panic("boom") }},
			funcCollector{"errs", func(context.Context) (Report, error) { return Report{}, errors.New("forbidden") }},
			funcCollector{"hangs", func(context.Context) (Report, error) { <-never; return Report{}, nil }},
			healthy("healthy"),
		)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		snapshot, err := set.Collect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := "panics: panic: boom; errs: forbidden; hangs: no answer within 8s; it is still running; healthy: ok"
		if got := success(t, snapshot); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if took := time.Since(begin); took != 9*time.Second {
			t.Errorf("the collection took %s of 10 s; want 9 s", took)
		}
		close(never)
	})
}

func TestCollectorHas80PercentOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(slog.New(slog.DiscardHandler), funcCollector{"slow", func(ctx context.Context) (Report, error) {
			<-ctx.Done() // a target that does not answer: the timeout is a finding
			return Report{}, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		snapshot, err := set.Collect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := success(t, snapshot); got != "slow: ok" {
			t.Error(got)
		}
		if took := time.Since(begin); took != 8*time.Second {
			t.Errorf("took %s, want 8s", took)
		}
	})
}

func TestScrapesShareACollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		set := NewSet(slog.New(slog.DiscardHandler), funcCollector{"counts", func(ctx context.Context) (Report, error) {
			calls.Add(1)
			select {
			case <-time.After(time.Second):
				return Report{}, nil
			case <-ctx.Done():
				return Report{}, ctx.Err()
			}
		}})
		canceled, hangUp := context.WithCancel(t.Context())
		var scrapes sync.WaitGroup
		scrapes.Go(func() {
			if _, err := set.Collect(canceled); !errors.Is(err, context.Canceled) {
				t.Errorf("the one that hung up got %v", err)
			}
		})
		synctest.Wait()
		scrapes.Go(func() {
			snapshot, err := set.Collect(t.Context())
			if err != nil || snapshot.Outcomes[0].Err != nil {
				t.Errorf("the one that stayed got %v, %v", err, snapshot.Outcomes)
			}
		})
		synctest.Wait()
		hangUp()
		scrapes.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("two scrapes called it %d times", n)
		}
	})
}

func TestHangingCollectorRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		free := make(chan struct{})
		set := NewSet(slog.New(slog.DiscardHandler), funcCollector{"stuck", func(context.Context) (Report, error) {
			calls.Add(1)
			<-free
			return Report{}, nil
		}})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := set.Collect(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("five scrapes called it %d times", n)
		}
		close(free)
		synctest.Wait()
		snapshot, err := set.Collect(t.Context())
		if err != nil || snapshot.Outcomes[0].Err != nil {
			t.Errorf("after the hang:  %v, %v", err, snapshot.Outcomes[0].Err)
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
	set := NewSet(slog.New(slog.DiscardHandler), asker("one"), asker("two"))
	for n := int32(1); n <= 2; n++ {
		if _, err := set.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := asked.Load(); got != n {
			t.Errorf("after %d collections it was called %d times", n, got)
		}
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
	set := NewSet(slog.New(handler), funcCollector{SlugTLS, func(context.Context) (Report, error) {
		err := troubles[0]
		troubles = troubles[1:]
		return Report{}, err
	}})
	for range len(troubles) {
		if _, err := set.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := "level=WARN msg=\"collector failed\" collector=tls err=forbidden\nlevel=INFO msg=\"collector recovered\" collector=tls\n"
	if got := log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSnapshotExportsCollectorSuccess(t *testing.T) {
	set := NewSet(slog.New(slog.DiscardHandler),
		healthy(SlugAPI),
		funcCollector{SlugDisk, func(context.Context) (Report, error) { return Report{}, errors.New("no root") }})
	snapshot, err := set.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP rainbond_collector_success Whether the collector could check everything (1) or not (0). A fault that was found is a success.
# TYPE rainbond_collector_success gauge
rainbond_collector_success{collector="api"} 1
rainbond_collector_success{collector="disk"} 0
`
	if err := testutil.CollectAndCompare(snapshot, strings.NewReader(want), "rainbond_collector_success"); err != nil {
		t.Error(err)
	}
}
