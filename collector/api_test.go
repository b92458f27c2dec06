package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func TestAProbeBecomesSamples(t *testing.T) {
	traces := []fault.Trace{
		{URL: rainbond.URL, Status: 200, Durations: map[fault.Phase]time.Duration{fault.Connect: 2 * time.Millisecond, fault.TLS: 20 * time.Millisecond}, Ready: map[string]bool{fault.AllChecks: true, "k8s_api": true}},
		{URL: rainbond.URL, Address: "10.0.0.1:8443", Phase: fault.TLS, Err: errors.New("boom"), Durations: map[fault.Phase]time.Duration{fault.Connect: 2 * time.Millisecond}},
		{URL: rainbond.URL, Status: 200, Ready: map[string]bool{fault.AllChecks: false}, Durations: map[fault.Phase]time.Duration{fault.Processing: time.Second}},
	}
	n := 0
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), func(context.Context, fault.Region) fault.Trace { n++; return traces[n-1] }, nil, nil)
	names := []string{"rainbond_api_up", "rainbond_api_probes_total", "rainbond_api_probe_phase_seconds", "rainbond_api_ready"}
	shows(t, c, `
		rainbond_api_up{rainbond_region="rainbond"} 1
		rainbond_api_probes_total{rainbond_region="rainbond"} 1
		rainbond_api_probe_phase_seconds{phase="connect",rainbond_region="rainbond"} 0.002
		rainbond_api_probe_phase_seconds{phase="tls",rainbond_region="rainbond"} 0.02
		rainbond_api_ready{check="all",rainbond_region="rainbond"} 1
		rainbond_api_ready{check="k8s_api",rainbond_region="rainbond"} 1`, names...)
	report := shows(t, c, `
		rainbond_api_up{rainbond_region="rainbond"} 0
		rainbond_api_probes_total{rainbond_region="rainbond"} 2
		rainbond_api_probe_phase_seconds{phase="connect",rainbond_region="rainbond"} 0.002`, names...)
	if want := "error: boom\naddress: https://10.0.0.1:8443 (10.0.0.1:8443)\nlatency: connect 2 ms"; evidenceText(report) != want {
		t.Errorf("evidence:\n%s\nwant:\n%s", evidenceText(report), want)
	}
	// It answers /v2/show, so it is up, and not ready.
	shows(t, c, `
		rainbond_api_up{rainbond_region="rainbond"} 1
		rainbond_api_probes_total{rainbond_region="rainbond"} 3
		rainbond_api_probe_phase_seconds{phase="processing",rainbond_region="rainbond"} 1
		rainbond_api_ready{check="all",rainbond_region="rainbond"} 0`, names...)
}

func TestLatencyIsAClassicAndANativeHistogram(t *testing.T) {
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), func(context.Context, fault.Region) fault.Trace {
		return fault.Trace{Status: 200, Took: 300 * time.Millisecond}
	}, nil, nil)
	report, err := c.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	families, _ := Snapshot{Outcomes: []Outcome{{Report: report}}}.Gather()
	for _, f := range families {
		if f.GetName() != "rainbond_api_probe_duration_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		var classic []string
		for _, bucket := range h.GetBucket() {
			classic = append(classic, fmt.Sprintf("%v:%d", bucket.GetUpperBound(), bucket.GetCumulativeCount()))
		}
		if got, want := strings.Join(classic, " "), "0.025:0 0.05:0 0.1:0 0.25:0 0.5:1 1:1 2.5:1 5:1 10:1 30:1"; got != want {
			t.Errorf("classic: %s, want %s", got, want)
		}
		if h.GetSchema() != 3 || len(h.GetPositiveSpan()) == 0 { // 2^(2^-3) is the widest below 1.1
			t.Errorf("native: schema %d, spans %v", h.GetSchema(), h.GetPositiveSpan())
		}
		return
	}
	t.Error("there is no histogram")
}

func TestEveryReasonHasASeriesFromTheStart(t *testing.T) {
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), func(context.Context, fault.Region) fault.Trace { return fault.Trace{Status: 503} }, nil, nil)
	report, err := c.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snapshot := Snapshot{Outcomes: []Outcome{{Report: report}}}
	for _, name := range []string{"rainbond_api_probe_failed", "rainbond_api_probe_failures_total"} {
		if got := testutil.CollectAndCount(snapshot, name); got != len(fault.Failures) {
			t.Errorf("%s has %d series, want %d", name, got, len(fault.Failures))
		}
		families, _ := snapshot.Gather()
		var ones []string
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && m.GetGauge().GetValue()+m.GetCounter().GetValue() == 1 {
					ones = append(ones, m.GetLabel()[0].GetValue()+"/"+m.GetLabel()[2].GetValue())
				}
			}
		}
		if got := strings.Join(ones, " "); got != "processing/status" {
			t.Errorf("%s is 1 for %q", name, got)
		}
	}
}

func TestRemovedRegionHasNoSeries(t *testing.T) {
	regions := []fault.Region{rainbond, {Name: "second"}}
	c := NewAPI(func(context.Context) ([]fault.Region, error) { return regions, nil },
		func(context.Context, fault.Region) fault.Trace { return fault.Trace{Status: 200} }, nil, nil)
	shows(t, c, `
		rainbond_api_probes_total{rainbond_region="rainbond"} 1
		rainbond_api_probes_total{rainbond_region="second"} 1`, "rainbond_api_probes_total")
	regions = regions[:1]
	shows(t, c, `rainbond_api_probes_total{rainbond_region="rainbond"} 2`, "rainbond_api_probes_total")
}

func TestConsecutiveFailuresAreCounted(t *testing.T) {
	var status int
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), func(context.Context, fault.Region) fault.Trace { return fault.Trace{Status: status} }, nil, nil)
	for _, probe := range []struct {
		status int
		want   string
	}{
		{503, "1"}, {503, "2"}, {200, "0"}, {503, "1"}, {503, "2"}, {200, "0"},
	} {
		status = probe.status
		shows(t, c, ConsecutiveFailures+`{rainbond_region="rainbond"} `+probe.want, ConsecutiveFailures)
	}
}

func TestLastKnownRegionsAreProbed(t *testing.T) {
	c := NewAPI(fixed([]fault.Region{rainbond}, errors.New("the database is away")),
		func(context.Context, fault.Region) fault.Trace { return fault.Trace{Status: 200} }, nil, nil)
	report, err := c.Collect(t.Context())
	if err == nil {
		t.Error("the collector does not report that the database is away")
	}
	compare(t, report, `rainbond_api_up{rainbond_region="rainbond"} 1`, "rainbond_api_up")
}

func TestFailedRegionIsProbedDirectly(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	console, direct := fault.Trace{Phase: fault.Connect, Err: errors.New("refused")}, fault.Trace{Status: 200}
	c := NewAPI(fixed([]fault.Region{rainbond, {Name: "elsewhere"}}, nil),
		func(_ context.Context, r fault.Region) fault.Trace {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.Name+" "+r.URL)
			if r.URL == "https://rbd-api-api:8443" {
				return direct
			}
			return console
		},
		&Cluster{Region: "rainbond", DirectURL: "https://rbd-api-api:8443", Nodes: fixed([]fault.Node{{Addresses: []string{"10.0.0.2"}}}, nil)}, nil)
	names := []string{"rainbond_api_direct_up", "rainbond_api_address_without_node"}
	report := shows(t, c, `
		rainbond_api_direct_up{rainbond_region="rainbond"} 1
		rainbond_api_address_without_node{rainbond_region="rainbond"} 1`, names...)
	for _, words := range []string{"direct: https://rbd-api-api:8443: rbd-api answers", "node: no node has the address 10.0.0.1; the nodes have 10.0.0.2"} {
		if !strings.Contains(evidenceText(report), words) {
			t.Errorf("no evidence %q in:\n%s", words, evidenceText(report))
		}
	}
	console = fault.Trace{Status: 200}
	asked = nil
	shows(t, c, "", names...)
	slices.Sort(asked)
	if got := strings.Join(asked, ", "); got != "elsewhere , rainbond https://10.0.0.1:8443" {
		t.Errorf("a healthy region was asked: %s", got)
	}
}

// While the Kubernetes API is frozen, rbd-api answers /v2/cluster/ready after 5 s
// with 503. A direct probe has less time left, sees only that /v2/show works, and
// would blame the gateway.
func TestFrozenKubernetesAPIDoesNotBlameTheGateway(t *testing.T) {
	const showTime, readyTime = 20 * time.Millisecond, 5 * time.Second
	frozen := func(ctx context.Context, _ fault.Region) fault.Trace {
		trace := fault.Trace{Phase: fault.Processing, Status: 200}
		time.Sleep(showTime) //nolint:forbidigo // the clock is simulated
		select {
		case <-time.After(readyTime):
			trace.Ready = map[string]bool{fault.AllChecks: false}
		case <-ctx.Done():
		}
		return trace
	}
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), frozen, &Cluster{Region: "rainbond", DirectURL: "https://rbd-api-api:8443"}, nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		report, err := c.Collect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, report, "", "rainbond_api_direct_up")
		if text := evidenceText(report); !strings.Contains(text, "/v2/cluster/ready: HTTP 503") || strings.Contains(text, "direct:") {
			t.Errorf("want the answer of /v2/cluster/ready and no direct probe:\n%s", text)
		}
	})
}

// A route that drops every packet leaves time for the direct probe. The direct
// probe does not run if too little time is left.
func TestDirectProbeHasTimeAfterATimeout(t *testing.T) {
	hangs := func(ctx context.Context, r fault.Region) fault.Trace {
		if r.URL == rainbond.URL {
			<-ctx.Done()
			return fault.Trace{Phase: fault.Processing, Err: ctx.Err()}
		}
		return fault.Trace{Status: 200}
	}
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), hangs, &Cluster{Region: "rainbond", DirectURL: "https://rbd-api-api:8443"}, nil)
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			limit time.Duration
			want  string
		}{
			{8 * time.Second, `rainbond_api_direct_up{rainbond_region="rainbond"} 1`},
			{4 * time.Second, ""},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), row.limit)
			report, err := c.Collect(ctx)
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			compare(t, report, row.want, "rainbond_api_direct_up")
		}
	})
}

// A region that is not probed because time runs out is unknown, not down.
func TestRegionsThatAreNotProbedAreUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var regions []fault.Region
		for i := range 200 {
			regions = append(regions, fault.Region{Name: fmt.Sprintf("region-%03d", i), Place: fault.Console})
		}
		slow := func(ctx context.Context, _ fault.Region) fault.Trace {
			begin := time.Now()
			select {
			case <-time.After(2 * time.Second):
				return fault.Trace{Status: 200}
			case <-ctx.Done():
				if time.Since(begin) < answerTime {
					return fault.Trace{Unknown: &fault.UnknownError{Phase: fault.Processing, Err: fault.ErrTooLittleTime}}
				}
				return fault.Trace{Phase: fault.Processing, Err: ctx.Err()}
			}
		}
		for _, row := range []struct {
			limit    time.Duration
			up, down int
			late     bool
		}{
			{11 * time.Second, 200, 0, false},
			{6900 * time.Millisecond, 128, 0, true}, // the third turn is cut off
			{5500 * time.Millisecond, 128, 0, true}, // and here begun no more
			{time.Second, 0, 0, true},               // no probe gets its full limits
		} {
			for _, c := range []Collector{
				NewAPI(fixed(regions, nil), slow, nil, nil),
				NewCert(fixed(regions, nil), nil, nil, "", slow),
			} {
				ctx, cancel := context.WithTimeout(t.Context(), row.limit)
				report, err := c.Collect(ctx)
				cancel()
				if late := err != nil && strings.Contains(err.Error(), "before all 200 regions were probed"); late != row.late {
					t.Errorf("%s, %s: %v", c.Name(), row.limit, err)
				}
				if c.Name() != SlugAPI {
					continue
				}
				up, down := 0, 0
				families, _ := Snapshot{Outcomes: []Outcome{{Report: report}}}.Gather()
				for _, f := range families {
					for _, m := range f.GetMetric() {
						switch {
						case f.GetName() != "rainbond_api_up":
						case m.GetGauge().GetValue() == 1:
							up++
						default:
							down++
						}
					}
				}
				if up != row.up || down != row.down {
					t.Errorf("%s: %d up and %d down, want %d and %d", row.limit, up, down, row.up, row.down)
				}
			}
		}
	})
}

func TestEvidenceNamesAddressesThatFailed(t *testing.T) {
	trace := fault.Trace{URL: rainbond.URL, Address: "10.0.0.1:8443", Status: 200, FailedAddresses: []error{errors.New("dial tcp 10.0.0.9:8443: i/o timeout")}}
	c := NewAPI(fixed([]fault.Region{rainbond}, nil), func(context.Context, fault.Region) fault.Trace { return trace }, nil, nil)
	report, err := c.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := "address: https://10.0.0.1:8443 (10.0.0.1:8443); before that dial tcp 10.0.0.9:8443: i/o timeout"; evidenceText(report) != want {
		t.Errorf("evidence:\n%s\nwant:\n%s", evidenceText(report), want)
	}
}

func TestLastReadTimestampOfRegions(t *testing.T) {
	for _, row := range []struct {
		last func() time.Time
		want string
	}{
		{func() time.Time { return time.Unix(1764000000, 0) }, "rainbond_regions_last_read_timestamp_seconds 1.764e+09"},
		{func() time.Time { return time.Time{} }, ""}, // no database, or it never answered
		{nil, ""},
	} {
		c := NewAPI(fixed([]fault.Region{rainbond}, errors.New("the database is away")), func(context.Context, fault.Region) fault.Trace { return fault.Trace{Status: 200} }, nil, row.last)
		report, _ := c.Collect(t.Context()) // the error has its own test
		compare(t, report, row.want, "rainbond_regions_last_read_timestamp_seconds")
	}
}

func TestProbeWithoutAResultIsUnknown(t *testing.T) {
	regions := func(context.Context) ([]fault.Region, error) {
		return []fault.Region{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "up"}}, nil
	}
	probe := func(_ context.Context, r fault.Region) fault.Trace {
		if r.Name == "up" {
			return fault.Trace{Status: 200}
		}
		return fault.Trace{Unknown: &fault.UnknownError{Phase: fault.Connect, Err: fault.ErrTooLittleTime}}
	}
	report, err := NewAPI(regions, probe, nil, nil).Collect(t.Context())
	const want = "region a: unknown: connect: too little time left for a verdict\nregion b: unknown: connect: too little time left for a verdict\n" +
		"region c: unknown: connect: too little time left for a verdict\nand 2 more"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	for _, m := range report.Metrics {
		var sample dto.Metric
		if err := m.Write(&sample); err != nil {
			t.Fatal(err)
		}
		for _, label := range sample.GetLabel() {
			if label.GetName() == "rainbond_region" && label.GetValue() != "up" {
				t.Errorf("a region without a result has a sample: %s %v", m.Desc(), &sample)
			}
		}
	}
}

func TestFailedProbesAreRecordedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		regions, failing := []fault.Region{{Name: "a"}, {Name: "b"}}, true
		c := NewAPI(func(context.Context) ([]fault.Region, error) { return regions, nil }, func(_ context.Context, r fault.Region) fault.Trace {
			switch {
			case r.Name == "b":
				return fault.Trace{Unknown: &fault.UnknownError{Phase: fault.Connect, Err: fault.ErrTooLittleTime}}
			case failing:
				return fault.Trace{Phase: fault.Connect, Err: errors.New("boom")}
			}
			return fault.Trace{Status: 200}
		}, nil, nil, LogFailedProbes(slog.New(slog.NewTextHandler(&log, nil))))
		for range 12 {
			report, _ := c.Collect(t.Context()) // b is unknown
			failed := report.FailedProbes
			if len(failed) != 2 || failed[0].Region != "a" || failed[0].Probes[0].Error != "boom" || !failed[0].Probes[0].Time.Equal(time.Now()) || !failed[1].Probes[0].Unknown {
				t.Fatalf("failed probes %+v", failed)
			}
			<-time.After(time.Second)
		}
		failing, regions = false, regions[:1]
		report, err := c.Collect(t.Context())
		if err != nil || len(report.FailedProbes) != 1 || len(report.FailedProbes[0].Probes) != 10 {
			t.Errorf("after the recovery, without b: %v, %+v", err, report.FailedProbes)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), `msg="probe failed" region=a`) || !strings.Contains(log.String(), `msg="probe without a result" region=b`) {
			t.Errorf("the log has %d lines:\n%s", n, log.String())
		}
	})
}
