package collector

import (
	"context"
	"errors"
	commandline "flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

var (
	invariantRuns = commandline.Int("invariants.runs", 300, "number of simulated worlds")
	invariantSeed = commandline.Uint64("invariants.seed", 0, "simulate only the world of this seed")
)

// failedSeeds are the seeds of worlds that have violated an invariant.
var failedSeeds = []uint64{}

// TestInvariants simulates worlds in which regions, the source of regions and
// other dependencies hang, slow down, fail and recover at random, while up to
// five scrapers with random timeouts come and go. In each world:
//
//   - api_up has a value only if a probe with its full limits had this result,
//     and only full-limit failures are counted;
//   - a probe always gets its full limits;
//   - every scrape returns within its own deadline, and a scrape that can wait
//     for a collection gets its result;
//   - a value is not older than its timestamp, and no timestamp older than
//     maxAge;
//   - at the end no goroutine, connection, call, outcome or removed region
//     remains.
//
// After all worlds, the heap and the descriptors have their initial size.
func TestInvariants(t *testing.T) {
	seeds := slices.Clone(failedSeeds)
	for n := range *invariantRuns {
		seeds = append(seeds, uint64(n+1))
	}
	if *invariantSeed != 0 {
		seeds = []uint64{*invariantSeed}
	}
	scrapes, verdicts := 0, map[verdict]int{}
	var before resources
	for i, seed := range seeds {
		if i == warmUp {
			before = inUse(t)
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(seed)
			w.simulate(t)
			scrapes += w.scrapes
			for _, records := range w.records {
				for _, r := range records {
					verdicts[r.verdict]++
				}
			}
			for _, v := range w.violations {
				t.Errorf("seed %d: %s\nrepeat it with: go test ./collector -run 'TestInvariants$' -invariants.seed=%d", seed, v, seed)
			}
		})
		if t.Failed() {
			return
		}
	}
	if len(seeds) > warmUp {
		after := inUse(t)
		if after.descriptors > before.descriptors || after.heap > before.heap+heapNoise {
			t.Errorf("after %d worlds %d bytes and %d descriptors are in use; after %d worlds it was %d and %d",
				len(seeds), after.heap, after.descriptors, warmUp, before.heap, before.descriptors)
		}
	}
	t.Logf("%d worlds, %d scrapes, %d probes up, %d down, %d unknown", len(seeds), scrapes, verdicts[up], verdicts[down], verdicts[unknown])
	if *invariantSeed == 0 && (scrapes == 0 || verdicts[up] == 0 || verdicts[down] == 0 || verdicts[unknown] == 0) {
		t.Error("the worlds do not contain every verdict")
	}
}

// warmUp is the number of worlds after which caches of the libraries are full.
// heapNoise is what a garbage collection may leave, in bytes.
const (
	warmUp    = 50
	heapNoise = 1 << 20
)

type resources struct {
	heap        uint64
	descriptors int
}

// inUse returns what the process uses: bytes of heap and file descriptors (0
// where the system has no /proc).
func inUse(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	runtime.GC() // the first one moves the contents of every sync.Pool
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return resources{heap: m.HeapAlloc, descriptors: len(open)}
}

type verdict int

const (
	unknown verdict = iota
	up
	down
)

// A record is what a probe observed.
type record struct {
	start, end time.Time
	verdict    verdict
}

// How a dependency behaves for a while.
type behaviour struct {
	until   time.Time
	kind    string
	latency time.Duration
}

// A timeline is the behaviour of a dependency in the course of time.
type timeline []behaviour

func (l timeline) at(now time.Time) behaviour {
	for _, b := range l {
		if now.Before(b.until) {
			return b
		}
	}
	return behaviour{kind: "ok"} // everything recovers
}

// A world is everything around a Set.
type world struct {
	random  *rand.Rand
	start   time.Time
	regions []timeline // of the regions r0, r1, …
	source  timeline
	disk    timeline
	removed time.Time // when region r0 is removed

	mu         sync.Mutex
	open       int // connections
	records    map[string][]record
	lastRead   time.Time
	lateSource bool // the source ignored its deadline, so that probes may lack time
	scrapes    int
	violations []string
}

// worldTime is the simulated time; then everything recovers.
const worldTime = 4 * time.Minute

func newWorld(seed uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, seed)), start: time.Now(), records: map[string][]record{}}
	for range 1 + w.random.IntN(5) {
		w.regions = append(w.regions, w.timeline("ok", "ok", "slow", "dropped", "mute", "refused", "own limit", "panic"))
	}
	w.source = w.timeline("ok", "ok", "ok", "slow", "error", "hang", "stuck")
	w.disk = w.timeline("ok", "ok", "error", "stuck", "panic")
	w.removed = w.start.Add(time.Duration(w.random.Int64N(int64(2 * worldTime))))
	return w
}

func (w *world) timeline(kinds ...string) timeline {
	var all timeline
	for at := w.start; at.Sub(w.start) < worldTime; {
		at = at.Add(time.Duration(w.random.Int64N(int64(time.Minute))))
		all = append(all, behaviour{at, kinds[w.random.IntN(len(kinds))], time.Duration(w.random.Int64N(int64(3 * time.Second)))})
	}
	return all
}

func (w *world) violated(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, fmt.Sprintf("after %s: ", time.Since(w.start))+fmt.Sprintf(format, args...))
}

// listRegions is the source of regions. Like the real one, it returns the last
// known regions with an error.
func (w *world) listRegions(ctx context.Context) ([]fault.Region, error) {
	var err error
	switch b := w.source.at(time.Now()); b.kind {
	case "slow":
		select {
		case <-time.After(b.latency):
		case <-ctx.Done():
			err = ctx.Err()
		}
	case "error":
		err = errors.New("access denied")
	case "hang":
		<-ctx.Done()
		err = ctx.Err()
	case "stuck": // ignores ctx
		<-time.After(time.Until(b.until))
		w.mu.Lock()
		w.lateSource = true
		w.mu.Unlock()
	}
	var all []fault.Region
	for i := range w.regions {
		if i > 0 || time.Now().Before(w.removed) {
			all = append(all, fault.Region{Name: fmt.Sprintf("r%d", i), Place: fault.Console})
		}
	}
	if err == nil {
		w.mu.Lock()
		w.lastRead = time.Now()
		w.mu.Unlock()
	}
	return all, err
}

func (w *world) whenRead() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastRead
}

// probe is a probe with the console's limits: 5 s to connect, 1 s at least for
// the response. A probe that ctx ends earlier has no verdict.
func (w *world) probe(ctx context.Context, r fault.Region) fault.Trace {
	var i int
	_, _ = fmt.Sscanf(r.Name, "r%d", &i)
	rec := record{start: time.Now()}
	w.mu.Lock()
	w.open++
	late := w.lateSource
	w.mu.Unlock()
	defer func() {
		rec.end = time.Now()
		w.mu.Lock()
		w.open--
		w.records[r.Name] = append(w.records[r.Name], rec)
		w.mu.Unlock()
	}()
	if left := remaining(ctx); left < 6*time.Second && !late {
		w.violated("the probe of %s has %s; want its full limits of 6s", r.Name, left)
	}
	noVerdict := fault.Trace{Unknown: &fault.UnknownError{Phase: fault.Connect, Err: fault.ErrTooLittleTime}}
	failed := fault.Trace{Phase: fault.Processing, Err: errors.New("failed")}
	b := w.regions[i].at(rec.start)
	wait := map[string]time.Duration{"ok": b.latency / 30, "slow": 3 * b.latency, "dropped": 5 * time.Second, "mute": time.Hour}[b.kind]
	full := map[string]time.Duration{"slow": time.Second, "mute": time.Second, "dropped": 5 * time.Second}[b.kind]
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		if time.Since(rec.start) < full || full == 0 {
			return noVerdict
		}
		rec.verdict = down
		return failed
	}
	switch b.kind {
	case "own limit":
		return noVerdict
	case "panic":
		panic("a panic of the world")
	case "dropped", "refused":
		rec.verdict = down
		return failed
	}
	rec.verdict = up
	return fault.Trace{Status: 200, Took: time.Since(rec.start)}
}

// inspectDisk is a dependency of another collector. It may ignore ctx.
func (w *world) inspectDisk(context.Context) (Report, error) {
	var r Report
	switch b := w.disk.at(time.Now()); b.kind {
	case "error":
		return r, errors.New("permission denied")
	case "stuck":
		<-time.After(time.Until(b.until))
	case "panic":
		panic("a panic of the disk")
	}
	r.addSample("rainbond_pods_evicted", 1, "rainbond")
	return r, nil
}

func (w *world) simulate(t *testing.T) {
	t.Helper()
	regions := oncePerTest(Limited(w.listRegions))
	probe := OncePerCollection(func(r fault.Region) string { return r.Name }, w.probe)
	apiCollector := NewAPI(regions, probe, nil, w.whenRead).(*api)
	set := NewSet(slog.New(slog.DiscardHandler), DefaultTimeout,
		apiCollector, NewCert(regions, nil, nil, "", probe), funcCollector{SlugDisk, w.inspectDisk})
	var scrapers sync.WaitGroup
	for range 1 + w.random.IntN(5) {
		begin := time.Duration(w.random.Int64N(int64(time.Minute)))
		end := begin + time.Duration(w.random.Int64N(int64(worldTime-begin)))
		interval := time.Second + time.Duration(w.random.Int64N(int64(time.Minute)))
		limits := []time.Duration{time.Millisecond, 500 * time.Millisecond, 4500 * time.Millisecond, 9500 * time.Millisecond, 29500 * time.Millisecond, 24 * time.Hour}
		limit := limits[w.random.IntN(len(limits))]
		scrapers.Go(func() {
			<-time.After(begin)
			for time.Since(w.start) < end {
				next := time.Now().Add(interval)
				w.scrape(set, limit)
				<-time.After(time.Until(next))
			}
		})
	}
	scrapers.Wait()
	// Everything has recovered.
	<-time.After(time.Until(w.start.Add(2*worldTime + time.Minute + maxAge)))
	w.mu.Lock()
	w.lateSource = false
	w.mu.Unlock()
	w.scrape(set, time.Hour)
	snapshot := set.Collect(context.Background())
	for _, o := range snapshot.Outcomes {
		if o.Err != nil {
			w.violated("%s has not recovered: %v", o.Collector, o.Err)
		}
	}
	synctest.Wait()
	w.mu.Lock()
	open := w.open
	w.mu.Unlock()
	set.mu.Lock()
	idle := set.running == nil && set.latest == nil
	set.mu.Unlock()
	for _, call := range set.calls {
		idle = idle && len(call) == 0
	}
	if open != 0 || !idle {
		w.violated("at the end %d connections are open, idle %t", open, idle)
	}
	if _, known := apiCollector.known["r0"]; known {
		w.violated("the removed region r0 is still in memory")
	}
	w.countersMatch(snapshot)
}

// oncePerTest shares the regions between the collectors of one collection.
func oncePerTest(query func(context.Context) ([]fault.Region, error)) func(context.Context) ([]fault.Region, error) {
	type result struct {
		all []fault.Region
		err error
	}
	once := OncePerCollection(func(struct{}) string { return "" }, func(ctx context.Context, _ struct{}) (r result) {
		r.all, r.err = query(ctx)
		return r
	})
	return func(ctx context.Context) ([]fault.Region, error) {
		r := once(ctx, struct{}{})
		return r.all, r.err
	}
}

// scrape makes one scrape and compares its result with the records.
func (w *world) scrape(set *Set, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	begin := time.Now()
	snapshot := set.Collect(ctx)
	took := time.Since(begin)
	w.mu.Lock()
	w.scrapes++
	w.mu.Unlock()
	if took > limit {
		w.violated("a scrape with a limit of %s took %s", limit, took)
	}
	if len(snapshot.Outcomes) != 3 {
		w.violated("%d outcomes; want 3", len(snapshot.Outcomes))
	}
	for _, o := range snapshot.Outcomes {
		switch age := time.Since(o.At); {
		case o.At.IsZero() && len(o.Report.Metrics) > 0:
			w.violated("%s has samples without a time", o.Collector)
		case !o.At.IsZero() && age > maxAge+limit:
			w.violated("%s is %s old", o.Collector, age)
		case o.At.After(snapshot.At):
			w.violated("%s is from the future", o.Collector)
		}
		if limit > DefaultTimeout && !o.At.IsZero() && !o.At.Equal(snapshot.At) {
			w.violated("a scrape with a limit of %s has an outcome of an earlier collection", limit)
		}
		if took >= DefaultTimeout {
			w.violated("a collection took %s", took)
		}
		if o.Collector == SlugAPI {
			w.verify(o)
		}
	}
}

// verify compares the samples of the api collector with the probes that ended
// between the time of the outcome and now.
func (w *world) verify(o Outcome) {
	now := time.Now()
	for _, m := range o.Report.Metrics {
		var s dto.Metric
		switch m.Desc() {
		case described()["rainbond_api_up"].desc:
			_ = m.Write(&s)
			w.verifyUp(o, s.GetLabel()[0].GetValue(), map[float64]verdict{0: down, 1: up}[s.GetGauge().GetValue()], now)
		case described()["rainbond_regions_last_read_timestamp_seconds"].desc:
			_ = m.Write(&s)
			if read := w.whenRead(); s.GetGauge().GetValue() > float64(read.UnixMilli())/1000 {
				w.violated("last read %v; the source was read at %s", s.GetGauge().GetValue(), read)
			}
		}
	}
}

func (w *world) verifyUp(o Outcome, region string, got verdict, now time.Time) {
	w.mu.Lock()
	records := slices.Clone(w.records[region])
	w.mu.Unlock()
	var possible []verdict // the last result before now, and those of this moment
	for _, r := range records {
		switch {
		case r.start.Before(o.At) || r.verdict == unknown:
		case r.end.Equal(now):
			possible = append(possible, r.verdict)
		default:
			possible = []verdict{r.verdict}
		}
	}
	if !slices.Contains(possible, got) {
		w.violated("%s has the verdict %d; the probes since %s (%s ago) have %v", region, got, o.At, now.Sub(o.At), possible)
	}
}

// countersMatch compares the counters with the records: probes without a verdict
// do not count.
func (w *world) countersMatch(snapshot Snapshot) {
	counted := map[string][2]float64{}
	for _, m := range snapshot.Outcomes[0].Report.Metrics {
		var s dto.Metric
		_ = m.Write(&s)
		var region string
		for _, l := range s.GetLabel() {
			if l.GetName() == labelRegion {
				region = l.GetValue()
			}
		}
		c := counted[region]
		switch m.Desc() {
		case described()["rainbond_api_probes_total"].desc:
			c[0] += s.GetCounter().GetValue()
		case described()["rainbond_api_probe_failures_total"].desc:
			c[1] += s.GetCounter().GetValue()
		}
		counted[region] = c
	}
	for region, records := range w.records {
		if region == "r0" { // removed
			continue
		}
		var want [2]float64
		for _, r := range records {
			if r.verdict != unknown {
				want[0]++
			}
			if r.verdict == down {
				want[1]++
			}
		}
		if counted[region] != want {
			w.violated("%s counts %v probes and failures; want %v", region, counted[region], want)
		}
	}
}
