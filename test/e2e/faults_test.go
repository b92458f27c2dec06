//go:build e2e && faults

package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

var (
	wantedRows  = flag.String("row", "", "the rows to play, comma-separated, each with or without an installation before it: quick/api-5xx; none: all")
	wantedPlace = flag.String("installation", demo.Default, "the installation of rows that name none; all: each of them, and rows that cannot occur in one are left out there")
	quick       = flag.Bool("quick", false, "let a fault last no longer than its own alerts need")
	rowInterval = flag.Duration("interval", variant.DefaultInterval, "scrape and evaluation interval; the rules are the variant for it")
	engine      = flag.String("engine", "prometheus", "what evaluates the rules: prometheus; vmalert, reading from Prometheus; or victoriametrics, vmalert with the defaults and VictoriaMetrics")
	record      = flag.Bool("record", false, "write the results into docs/faults.md")
)

const (
	soak         = 30 * time.Minute      // how long the healthy region is watched
	settle       = 30 * time.Second      // after the last alert resolved, for late notifications
	wantedMedian = 60 * time.Second      // from fault to page
	exampleRow   = "cert-rotated-broken" // whose page is shown as a person reads it
	cacheMemory  = time.Minute           // for which the exporter takes a broken watch for none (region/cache.go)
	spread       = 4 * time.Second       // from one row's fault to the next one's: no multiple of the scrape interval
)

// victoriaMetrics is the engine vmalert that reads a VictoriaMetrics.
const victoriaMetrics = "victoriametrics"

// setting names the interval and the engine if they are not the default ones, as in the results.
func setting() string {
	var parts []string
	if *engine != "prometheus" {
		parts = append(parts, *engine)
	}
	if *rowInterval != variant.DefaultInterval {
		parts = append(parts, fmt.Sprintf("%.0fs", rowInterval.Seconds()))
	}
	return strings.Join(parts, "-")
}

// healthyFor is the time before anything breaks: some scrapes.
func healthyFor() time.Duration { return max(time.Minute, 3**rowInterval) }

// oneProbe contains one probe, hardly ever none, and never two.
func oneProbe() time.Duration { return *rowInterval - time.Second }

// A breakage is a row of the matrix: what breaks, and which notifications a person must receive
// of it, and nothing else.
type breakage struct {
	name, what string
	place      demo.Installation
	want       []string // alerts
	alone      bool     // with a Prometheus and an Alertmanager of its own: its alerts have no region, or they break
	history    time.Duration
	keep       time.Duration // how long the rules remember what is over
	lasts      time.Duration // 0: as long as any alert may take
	legs       []leg         // what happens meanwhile, again and again
	repairs    func(testing.TB, *patient)
	backfill   func(p *patient, now time.Time) string // what Prometheus remembers of before, as OpenMetrics
}

// A leg of a fault does something, and lasts.
type leg struct {
	does     func(testing.TB, *patient)
	lasts    time.Duration // 0: until the end
	scenario string        // of the demo, if it is one
}

// set is a leg in which a scenario of the demo holds.
func set(scenario string, lasts time.Duration) leg {
	return leg{func(t testing.TB, p *patient) { p.set(t, scenario) }, lasts, scenario}
}

// known are all rows that can occur in an installation: the demo's scenarios, and what needs more
// than one.
func known(i demo.Installation) []breakage {
	all := slices.DeleteFunc(everywhere(i), func(f breakage) bool {
		return slices.ContainsFunc(f.legs, func(l leg) bool { return l.scenario != "" && i.Excluded(demo.Scenario{Name: l.scenario}) != "" })
	})
	for n := range all {
		all[n].place = i
	}
	return all
}

func everywhere(i demo.Installation) []breakage {
	var all []breakage
	for _, s := range demo.Scenarios {
		f := breakage{name: s.Name, what: s.Title["en"], want: i.Notified(s), alone: s.Slug == "watch", legs: []leg{set(s.Name, 0)}}
		switch s.Name {
		case "healthy":
			f.lasts = soak
		case "api-flapping": // three failures, one probe in three; and the shorter of the two windows
			f.history, f.keep = 3*3**rowInterval, 5*time.Minute
		case "watch-forbidden":
			f.history = cacheMemory
		case "disk-filling-fast":
			f.alone, f.backfill = true, filling
		case "node-joining": // it is no fault as long as the node is younger than five minutes
			f.lasts = 4*time.Minute + 30*time.Second
		}
		all = append(all, f)
	}
	return append(all, breakage{
		name: "api-one-miss", what: "one probe and one scrape fail; rbd-api and the Kubernetes API restart within 20 s (noise)",
		legs: []leg{ // each once: what comes again and again is RainbondRegionAPIUnstable
			set("api-dropped", *rowInterval), set("healthy", time.Minute),
			{does: func(t testing.TB, p *patient) { p.exporter.signal(t, syscall.SIGSTOP) }, lasts: *rowInterval},
			{does: func(t testing.TB, p *patient) { p.exporter.signal(t, syscall.SIGCONT) }, lasts: time.Minute},
			set("api-pod-down", 20*time.Second), set("healthy", time.Minute),
			set("watch-kube-down", 20*time.Second), set("healthy", 0),
		},
		repairs: func(t testing.TB, p *patient) {
			p.exporter.signal(t, syscall.SIGCONT)
			p.set(t, "healthy")
		},
	}, breakage{
		name: "component-restarts", what: "each component in turn has no ready pod for 90 s (noise)",
		legs: []leg{
			set("component-half", 90*time.Second), set("component-gone", 90*time.Second),
			set("component-crashloop", 90*time.Second), set("component-pending", 90*time.Second),
		},
	}, breakage{
		name: "disk-gc", what: "usage of root crosses 80% again and again as images are deleted (noise)",
		legs: []leg{set("disk-82", 8*time.Minute), set("healthy", 2*time.Minute)},
	}, breakage{
		name: "two-faults", what: "rbd-api crashes, and a node's root file system is read-only: both are reported",
		want: []string{"RainbondNodeRootReadOnly", "RainbondRegionAPIDown"},
		legs: []leg{set("api-pod-down+disk-readonly", 0)},
	}, breakage{
		name: "api-one-other-failure", what: "the API returns 503 and once refuses the connection: one message only", want: []string{"RainbondRegionAPIDown"},
		legs: []leg{set("api-5xx", 2*time.Minute), set("api-refused-pod-ready", oneProbe()), set("api-5xx", 0)},
	}, breakage{
		name: "cert-one-failure", what: "the console has old certificates, and one connection is refused: one message only, and none about drift", want: []string{"RainbondConsoleCertificateMismatch"},
		legs: []leg{set("cert-rotated-broken", 2*time.Minute), set("cert-rotated-broken+api-refused-pod-ready", oneProbe()), set("cert-rotated-broken", 0)},
	}, breakage{
		name: "two-scrapers", what: "the region does not respond, and a second scraper with a timeout of 5 s gets every answer", want: []string{"RainbondRegionUnreachable"},
		legs: []leg{{does: func(t testing.TB, p *patient) { p.scrapedTwice(t) }, lasts: 7 * time.Second, scenario: "api-dropped"}},
	}, breakage{
		name: "watch-exporter-down", what: "the exporter does not run", want: []string{"RainbondExporterDown"},
		legs: []leg{{does: func(t testing.TB, p *patient) {
			p.exporter.signal(t, syscall.SIGTERM)
			<-p.exporter.ended
		}}},
		repairs: func(t testing.TB, p *patient) { p.exporter = p.exporter.again(t) },
	}, breakage{
		name: "watch-restarts", what: "Prometheus and Alertmanager restart while the API is down: one message only", want: []string{"RainbondRegionAPIDown"},
		alone: true,
		legs: []leg{set("api-5xx", 3*time.Minute), {does: func(t testing.TB, p *patient) {
			for i, process := range p.ward.processes {
				process.signal(t, syscall.SIGTERM)
				<-process.ended
				p.ward.processes[i] = process.again(t)
			}
		}}},
	})
}

// filling is a root that has gone from half full to where the scenario has it
// within two hours.
func filling(p *patient, now time.Time) string {
	const size, span = 100 << 30, 2 * time.Hour
	var text strings.Builder
	text.WriteString("# TYPE rainbond_node_root_avail_bytes gauge\n")
	for ago := span; ago > 0; ago -= *rowInterval {
		fmt.Fprintf(&text, "rainbond_node_root_avail_bytes{instance=%q,job=\"rainbond-exporter\",node=\"node-1\",rainbond_region=\"rainbond\",cluster=%q} %.0f %d\n",
			p.address, p.name, size*(0.22+0.28*ago.Seconds()/span.Seconds()), now.Add(-ago).Unix())
	}
	return text.String() + "# EOF\n"
}

// asked are the rows to play.
func asked(t testing.TB) []breakage {
	t.Helper()
	places := func(name string) (some []demo.Installation) {
		for _, i := range demo.Installations {
			if i.Name == name || name == "all" {
				some = append(some, i)
			}
		}
		if some == nil {
			t.Fatalf("no installation %q", name)
		}
		return some
	}
	var some []breakage
	for wanted := range strings.SplitSeq(*wantedRows, ",") {
		place, name, found := strings.Cut(wanted, "/")
		if !found {
			place, name = *wantedPlace, wanted
		}
		if !slices.ContainsFunc(everywhere(demo.Installations[0]), func(f breakage) bool { return f.name == name || name == "" }) {
			t.Fatalf("no row %q; there are:\n%s", name, names(everywhere(demo.Installations[0])))
		}
		for _, i := range places(place) {
			some = append(some, slices.DeleteFunc(known(i), func(f breakage) bool { return f.name != name && name != "" })...)
		}
	}
	switch *engine {
	case "prometheus", "vmalert":
	case victoriaMetrics: // does not read the blocks of Prometheus
		some = slices.DeleteFunc(some, func(f breakage) bool { return f.backfill != nil })
	default:
		t.Fatalf("no engine %q; expected prometheus, vmalert or %s", *engine, victoriaMetrics)
	}
	if len(some) == 0 {
		t.Fatalf("none of the rows %q can occur in the installation %s", *wantedRows, *wantedPlace)
	}
	return some
}

// id is the name of the row and, unless it is the default, of the installation.
func (f breakage) id() string {
	if f.place.Name == "" || f.place.Name == demo.Default {
		return f.name
	}
	return f.place.Name + "." + f.name
}

func names(all []breakage) string {
	var text []string
	for _, f := range all {
		text = append(text, f.name)
	}
	return strings.Join(text, "\n")
}

// A patient is a region that breaks, and the ward that watches it.
type patient struct {
	name     string
	place    string // its installation
	exporter *process
	address  string
	pair     bool // scraped as two exporters
	ward     *ward
	broken   bool // by scrapedTwice
}

// scrapedTwice breaks the region once, and then scrapes as a second Prometheus with a short
// timeout does.
func (p *patient) scrapedTwice(t testing.TB) {
	if !p.broken {
		p.set(t, "api-dropped")
		p.broken = true
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/metrics", nil)
	must(t, err)
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "5")
	answer, err := (&http.Client{Timeout: time.Minute}).Do(request) // a slow machine exceeds the five seconds to which the exporter limits itself
	if err != nil {
		t.Errorf("%s: the second scraper: %v", p.name, err)
		return
	}
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s: the second scraper got %s", p.name, answer.Status)
	}
}

// set lets a scenario hold.
func (p *patient) set(t testing.TB, scenario string) {
	t.Helper()
	play(t, p.address, scenario)
}

// TestFaults plays every row of the matrix at the pace of the configuration
// that ships, all at the same time: real exporters, each next to a region of
// its own, a real Prometheus and Alertmanager, and a person who is notified.
func TestFaults(t *testing.T) {
	began := time.Now()
	faults := asked(t)
	files := readFiles(t)
	patients, wards := admit(t, faults)
	healthyUntil := time.Now().Add(healthyFor())
	progress("every region is monitored and healthy; the first breaks in %s", healthyFor())

	r := &results{files: files, of: len(faults)}
	t.Run("row", func(t *testing.T) {
		for i, f := range faults {
			t.Run(f.id(), func(sub *testing.T) {
				sub.Parallel()
				<-time.After(time.Until(healthyUntil.Add(time.Duration(i) * spread)))
				r.add(sub, f.play(t, patients[i], files))
			})
		}
	})
	for _, w := range wards {
		for _, n := range w.strangers() {
			r.add(t, outcome{breakage: breakage{name: "(no row's)"}, wrong: []string{n.String()}})
		}
	}
	text := r.text(t, time.Since(began))
	progress("the matrix\n%s", text)
	whole := *wantedRows == "" && *wantedPlace == demo.Default && setting() == ""
	if m := median(r.pages()); whole && m > wantedMedian {
		t.Errorf("the median page took %s of %s", seconds(m), wantedMedian)
	}
	if *record {
		if !whole {
			text = "" // keep the tables of the default installation
		}
		r.record(t, text)
	}
}

// An outcome is what a row came to.
type outcome struct {
	breakage
	received []reported
	missing  []string // alerts that never came
	wrong    []string // what came and should not have
	messages int      // that contained a firing alert
	by       *person
}

// complaints are the differences from the expected result.
func (o outcome) complaints() []string {
	all := append(prefixed("never notified: ", o.missing), prefixed("notified, and should not have been: ", o.wrong)...)
	if o.messages > len(o.want) {
		all = append(all, fmt.Sprintf("%d messages for %d alerts", o.messages, len(o.want)))
	}
	for _, h := range o.received {
		if h.fired > h.bound || h.ended > h.latest {
			all = append(all, h.alert+" came too late")
		}
	}
	return all
}

// reported is an alert that was notified correctly.
type reported struct {
	alert         string
	pages         bool
	message       int           // the number of the message that contained it
	fired, bound  time.Duration // from the fault to the webhook
	ended, latest time.Duration // from the repair to the webhook
}

// play breaks, waits, repairs, and evaluates all notifications of the row since
// the beginning.
func (f breakage) play(t testing.TB, p *patient, files *files) outcome {
	o := outcome{breakage: f, by: p.ward.person}
	broken := time.Now()
	ends := make(chan struct{})
	var course sync.WaitGroup
	course.Go(func() { f.run(t, p, ends) })
	for _, alert := range f.want {
		received, err := p.hear(alert, "firing", broken, f.history+files.slowest(alert)+settle)
		if err != nil {
			o.missing = append(o.missing, alert)
			continue
		}
		o.received = append(o.received, reported{alert: alert, pages: received.receiver == "page", message: received.message, fired: received.at.Sub(broken), bound: f.history + files.bound(received)})
		if want := files.ruleOf(received).Annotations["runbook_url"]; received.Annotations["runbook_url"] != want {
			o.wrong = append(o.wrong, alert+" leads to "+received.Annotations["runbook_url"])
		}
		progress("%-26s %s arrived after %s", f.id(), alert, seconds(received.at.Sub(broken)))
	}
	<-time.After(time.Until(broken.Add(f.duration(files))))
	close(ends)
	course.Wait()
	repaired := time.Now()
	if f.repairs != nil {
		f.repairs(t, p)
	} else {
		p.set(t, "healthy")
	}
	for i, h := range o.received {
		h.latest = files.ends(h.pages) + f.keep
		received, err := p.hear(h.alert, "resolved", repaired, h.latest+settle)
		if err != nil {
			o.missing = append(o.missing, "the end of "+h.alert)
		} else {
			h.ended = received.at.Sub(repaired)
		}
		o.received[i] = h
	}
	<-time.After(settle)
	o.evaluate(p.ward.of(p), broken, repaired)
	return o
}

// run plays the legs, again and again, until it ends.
func (f breakage) run(t testing.TB, p *patient, ends <-chan struct{}) {
	for {
		for _, l := range f.legs {
			l.does(t, p)
			var over <-chan time.Time
			if l.lasts > 0 {
				over = time.After(l.lasts)
			}
			select {
			case <-over:
			case <-ends:
				return
			}
		}
	}
}

// duration is how long the fault lasts: longer than any alert may take, so
// that whatever it could cause would have come.
func (f breakage) duration(files *files) time.Duration {
	if f.lasts > 0 {
		return f.lasts
	}
	if !*quick {
		return files.longest() + settle
	}
	longest := max(4*time.Minute, f.course()+time.Minute)
	for _, alert := range f.want {
		longest = max(longest, f.history+files.slowest(alert)+settle)
	}
	return longest
}

// course is how long all legs take that have an end.
func (f breakage) course() time.Duration {
	var sum time.Duration
	for _, l := range f.legs {
		sum += l.lasts
	}
	return sum
}

// hear waits until the person has received an alert of the patient's.
func (p *patient) hear(alert, status string, since time.Time, limit time.Duration) (notification, error) {
	var received notification
	_, err := await(limit, func() error {
		all := p.ward.of(p)
		i := slices.IndexFunc(all, func(n notification) bool {
			return n.Labels["alertname"] == alert && n.Status == status && !n.at.Before(since)
		})
		if i < 0 {
			return fmt.Errorf("received:\n%s", list(all))
		}
		received = all[i]
		return nil
	})
	return received, err
}

// evaluate finds the notifications that should not have been sent, and when they
// was, and what never ended.
func (o *outcome) evaluate(received []notification, broken, repaired time.Time) {
	seen, last := map[int]bool{}, map[string]string{}
	for _, n := range received {
		last[fmt.Sprint(n.Labels)] = n.Status
		if n.firing {
			seen[n.message] = true
		}
		if n.firing && !slices.Contains(o.want, n.Labels["alertname"]) {
			o.wrong = append(o.wrong, fmt.Sprintf("%s, %s after the fault and %s after its repair", n, seconds(n.at.Sub(broken)), seconds(n.at.Sub(repaired))))
		}
	}
	o.messages = len(seen)
	for alert, status := range last {
		if status == "firing" && len(o.missing) == 0 {
			o.missing = append(o.missing, "the end of "+alert)
		}
	}
}
