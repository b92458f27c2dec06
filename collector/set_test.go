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

// looker is a collector made of a function.
type looker struct {
	name string
	look func(context.Context) (Report, error)
}

func (l looker) Name() string                                { return l.name }
func (l looker) Collect(ctx context.Context) (Report, error) { return l.look(ctx) }

func well(name string) looker {
	return looker{name, func(context.Context) (Report, error) { return Report{}, nil }}
}

func success(t *testing.T, look Snapshot) string {
	t.Helper()
	var got []string
	for _, o := range look.Outcomes {
		word := o.Collector + ": well"
		if o.Err != nil {
			word = o.Collector + ": " + strings.SplitN(o.Err.Error(), "\n", 2)[0]
		}
		got = append(got, word)
	}
	return strings.Join(got, "; ")
}

func TestTroubleSpoilsItsOwnCollectorOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		set := NewSet(slog.New(slog.DiscardHandler),
			looker{"panics", func(context.Context) (Report, error) { panic("boom") }},
			looker{"errs", func(context.Context) (Report, error) { return Report{}, errors.New("forbidden") }},
			looker{"hangs", func(context.Context) (Report, error) { <-never; return Report{}, nil }},
			well("well"),
		)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		look, err := set.Collect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := "panics: panic: boom; errs: forbidden; hangs: no answer within 8s; the look goes on and the next one joins it; well: well"
		if got := success(t, look); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if took := time.Since(begin); took != 9*time.Second {
			t.Errorf("the look took %s of 10 s; want 9 s, so that the answer still travels", took)
		}
		close(never)
	})
}

func TestACollectorHasEightTenthsOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(slog.New(slog.DiscardHandler), looker{"slow", func(ctx context.Context) (Report, error) {
			<-ctx.Done() // a dead target: the end of the time is a finding
			return Report{}, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		look, err := set.Collect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := success(t, look); got != "slow: well" {
			t.Error(got)
		}
		if took := time.Since(begin); took != 8*time.Second {
			t.Errorf("took %s, want 8s", took)
		}
	})
}

func TestTwoScrapesShareOneLookAndOneHangingUpDoesNotEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		set := NewSet(slog.New(slog.DiscardHandler), looker{"counts", func(ctx context.Context) (Report, error) {
			looks.Add(1)
			select {
			case <-time.After(time.Second):
				return Report{}, nil
			case <-ctx.Done():
				return Report{}, ctx.Err()
			}
		}})
		impatient, hangUp := context.WithCancel(t.Context())
		var scrapes sync.WaitGroup
		scrapes.Go(func() {
			if _, err := set.Collect(impatient); !errors.Is(err, context.Canceled) {
				t.Errorf("the one that hung up got %v", err)
			}
		})
		synctest.Wait()
		scrapes.Go(func() {
			look, err := set.Collect(t.Context())
			if err != nil || look.Outcomes[0].Err != nil {
				t.Errorf("the one that stayed got %v, %v", err, look.Outcomes)
			}
		})
		synctest.Wait()
		hangUp()
		scrapes.Wait()
		if n := looks.Load(); n != 1 {
			t.Errorf("two scrapes looked %d times", n)
		}
	})
}

func TestAStuckLookIsJoinedNotPiledUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		free := make(chan struct{})
		set := NewSet(slog.New(slog.DiscardHandler), looker{"stuck", func(context.Context) (Report, error) {
			looks.Add(1)
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
		if n := looks.Load(); n != 1 {
			t.Errorf("five scrapes began %d looks", n)
		}
		close(free)
		synctest.Wait()
		look, err := set.Collect(t.Context())
		if err != nil || look.Outcomes[0].Err != nil {
			t.Errorf("free again, it says %v, %v", err, look.Outcomes[0].Err)
		}
	})
}

func TestOneLookAsksOnce(t *testing.T) {
	var asked atomic.Int32
	ask := OncePerCollection(func(q string) string { return q }, func(_ context.Context, q string) string {
		asked.Add(1)
		return "answer to " + q
	})
	asker := func(name string) looker {
		return looker{name, func(ctx context.Context) (Report, error) {
			if got := ask(ctx, "a"); got != "answer to a" {
				t.Error(got)
			}
			return Report{}, nil
		}}
	}
	set := NewSet(slog.New(slog.DiscardHandler), asker("one"), asker("two"))
	for look := int32(1); look <= 2; look++ {
		if _, err := set.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := asked.Load(); got != look {
			t.Errorf("after %d looks it was asked %d times", look, got)
		}
	}
}

func TestTheLogTellsAChangeOnce(t *testing.T) {
	var log strings.Builder
	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}})
	troubles := []error{errors.New("forbidden"), errors.New("forbidden"), nil, nil}
	set := NewSet(slog.New(handler), looker{SlugTLS, func(context.Context) (Report, error) {
		err := troubles[0]
		troubles = troubles[1:]
		return Report{}, err
	}})
	for range len(troubles) {
		if _, err := set.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := "level=WARN msg=\"could not look\" collector=tls err=forbidden\nlevel=INFO msg=\"can look again\" collector=tls\n"
	if got := log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestALookTellsHowItsCollectorsFared(t *testing.T) {
	set := NewSet(slog.New(slog.DiscardHandler),
		well(SlugAPI),
		looker{SlugDisk, func(context.Context) (Report, error) { return Report{}, errors.New("no root") }})
	look, err := set.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP rainbond_collector_success Whether the collector could look (1) or not (0). Seeing a fault is a success.
# TYPE rainbond_collector_success gauge
rainbond_collector_success{collector="api"} 1
rainbond_collector_success{collector="disk"} 0
`
	if err := testutil.CollectAndCompare(look, strings.NewReader(want), "rainbond_collector_success"); err != nil {
		t.Error(err)
	}
}
