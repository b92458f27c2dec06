// Package timing tests the rules at each pair of a scrape interval and an
// evaluation interval while exporters and Prometheus restart, and while probes
// and scrapes are lost.
package timing

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
	"github.com/rainbond-exporter/rainbond-exporter/test/matrix"
)

var (
	update = flag.Bool("update", false, "write the tables into docs instead of comparing them; with -all the cells of all pairs")
	all    = flag.Bool("all", false, "run all pairs of intervals, which takes minutes")
)

// Times of a run. The faults begin just after a scrape, which is just after an
// evaluation.
const (
	history  = -130 * time.Minute // of the disks
	warm     = -2 * time.Minute
	onset    = 2 * time.Second
	repaired = 24 * time.Minute
	end      = 28 * time.Minute
	outage   = 90 * time.Second // of Prometheus
	never    = time.Duration(1 << 61)
)

// An event happens several times in a run, to all exporters at once; to one of
// each pair if there are pairs.
type event struct {
	name      string
	lostProbe bool
	lost      int  // scrapes
	restart   bool // the exporter starts again after the lost scrapes
	upgrade   bool // and has another label instance
	stop      bool // Prometheus does not run for outage
	turns     bool // two backends with different faults respond in turn
	pairs     bool // two exporters of each kind
}

var events = []event{
	{name: "nothing"},
	{name: "one probe is lost", lostProbe: true},
	{name: "one scrape is lost", lost: 1},
	{name: "the exporter restarts, one scrape is lost", lost: 1, restart: true},
	{name: "the exporter restarts, two scrapes are lost", lost: 2, restart: true},
	{name: "the exporter is upgraded and has another `instance`", lost: 1, restart: true, upgrade: true},
	{name: "Prometheus restarts within 90 s", stop: true},
	{name: "two backends fail in turn, for different reasons", turns: true},
	{name: "one of a pair of exporters restarts", lost: 2, restart: true, pairs: true},
	{name: "one of a pair of exporters is upgraded", lost: 1, restart: true, upgrade: true, pairs: true},
}

// occurs returns the scrapes at which an event begins: while alerts with a short
// and with a long `for` are pending, and while all fire.
func (e event) occurs(scrape time.Duration) []int {
	times := []time.Duration{3 * scrape, 3*scrape + 3*time.Minute, 11 * time.Minute, 20 * time.Minute}
	if e.stop || e.lostProbe { // three lost probes in an hour are a fault
		times = []time.Duration{times[0], times[3]}
	}
	var at []int
	for _, t := range times {
		at = append(at, int(t/scrape))
	}
	return at
}

type pair struct{ scrape, evaluation time.Duration }

func (p pair) String() string {
	return fmt.Sprintf("%d / %d", int(p.scrape.Seconds()), int(p.evaluation.Seconds()))
}

// pairs are all pairs of intervals.
func pairs() (all []pair) {
	for _, scrape := range []time.Duration{15, 30, 60} {
		for _, evaluation := range []time.Duration{15, 30, 60} {
			all = append(all, pair{scrape * time.Second, evaluation * time.Second})
		}
	}
	return all
}

// A message is what Alertmanager receives about one alert, which ends at until
// if no other message follows.
type message struct{ at, until time.Duration }

// run returns the messages by the labels of the alert.
func run(t *testing.T, e event, p pair, rules []byte) map[string][]message {
	t.Helper()
	received := map[string][]message{}
	prometheus := newServer(t, rules, p.evaluation, func(alert string, at, until time.Duration) {
		received[alert] = append(received[alert], message{at, until})
	})
	exporters := newExporters(prometheus.store, e)
	for at := history; at < warm; at += time.Minute {
		for _, x := range exporters {
			if x.role == node {
				x.scrape(at, false)
			}
		}
	}
	begins := e.occurs(p.scrape)
	down, restarted := never, false
	for at := warm; at <= end; at += time.Second {
		if at >= down && at < down+outage {
			continue
		}
		if at%p.evaluation == 0 {
			restarted = at >= down
			prometheus.evaluate(t, at, restarted)
			if restarted {
				down = never
			}
		}
		if (at-time.Second)%p.scrape != 0 {
			continue
		}
		n := int((at - time.Second) / p.scrape)
		i := -1 // the last event that has begun
		for i+1 < len(begins) && begins[i+1] <= n {
			i++
		}
		since := never
		if i >= 0 {
			since = time.Duration(n - begins[i])
		}
		if e.stop && since == 0 {
			down = at + time.Second
		}
		for _, x := range exporters {
			switch affected := !e.pairs || x.replica == i%2; {
			case affected && since < time.Duration(e.lost):
				x.lose(at)
			default:
				x.scrape(at, e.lostProbe && since == 0)
			}
		}
	}
	return received
}

// bound is the longest time from the fault to the alert if nothing else happens.
func (f fault) bound(p pair, wait time.Duration) time.Duration {
	scrapes := 1
	if f.probed() {
		scrapes = 2
	}
	rounds := (wait + p.evaluation - 1) / p.evaluation
	return time.Duration(scrapes)*p.scrape + p.evaluation + rounds*p.evaluation
}

// delay is by how much an event may delay an alert.
func (f fault) delay(e event, p pair, wait time.Duration) time.Duration {
	switch {
	case e.stop && wait >= grace: // Prometheus waits so long before it fires
		return outage + grace
	case e.stop: // `for` starts again
		return outage + wait + p.scrape + p.evaluation
	case e.turns && f.failure != "":
		return 2 * p.scrape
	case e.restart && f.probed() && p.evaluation > p.scrape: // the failures are counted again
		return 2 * p.evaluation
	case p.evaluation > p.scrape: // nothing may be known at an evaluation, although other scrapes succeed
		return p.evaluation
	}
	return 0
}

// verdict returns after how long the alert of a fault fires, and what is wrong.
func (f fault) verdict(e event, received map[string][]message, bound time.Duration) (fired time.Duration, wrong []string) {
	var alerts []string
	symptom := end // a lost probe knows nothing of the certificates
	for text, all := range received {
		lset, err := promParser.ParseMetric(text)
		if err != nil {
			return 0, []string{err.Error()}
		}
		name := lset.Get(model.AlertNameLabel)
		switch {
		case name == "RainbondWatchdog" || lset.Get("rainbond_region") != f.region:
			continue
		case name == f.alert:
			alerts = append(alerts, text)
		case !slices.Contains(f.others, name) && (!e.turns || f.failure == "" || !slices.Contains([]string{"RainbondRegionAPIDown", "RainbondRegionPortClosed"}, name)):
			wrong = append(wrong, fmt.Sprintf("false alert after %s: %s", all[0].at-onset, text))
		case name == "RainbondRegionTLSFailing":
			symptom = min(symptom, all[0].at)
		}
		for i, m := range all {
			switch {
			case m.at < onset:
				wrong = append(wrong, fmt.Sprintf("before the fault: %s", text))
			case m.at == m.until && m.at < repaired:
				wrong = append(wrong, fmt.Sprintf("resolved after %s: %s", m.at-onset, text))
			case i > 0 && m.at > all[i-1].until && all[i-1].at < all[i-1].until:
				wrong = append(wrong, fmt.Sprintf("expired after %s: %s", all[i-1].until-onset, text))
			}
		}
		if last := all[len(all)-1]; last.at < last.until {
			wrong = append(wrong, fmt.Sprintf("not resolved %s after the repair: %s", end-repaired, text))
		}
	}
	if f.alert == "" {
		return 0, wrong
	}
	if len(alerts) != 1 {
		return 0, append(wrong, fmt.Sprintf("%d alerts %s, want one: %q", len(alerts), f.alert, alerts))
	}
	fired = received[alerts[0]][0].at - onset
	if symptom < onset+fired && !e.lostProbe {
		wrong = append(wrong, fmt.Sprintf("its symptom fires %s earlier", onset+fired-symptom))
	}
	if fired > bound {
		wrong = append(wrong, fmt.Sprintf("%s fires after %s, want %s", f.alert, fired, bound))
	}
	return fired, wrong
}

// waits returns the `for` of the alert of each fault.
func waits(t *testing.T, text []byte) map[string]time.Duration {
	t.Helper()
	all := map[string]time.Duration{}
	for _, r := range newServer(t, text, time.Minute, nil).rules {
		for _, f := range faults {
			if r.Alert == f.alert && r.Labels["measure"] == f.measure() && (r.Labels["severity"] == "warning") == (f.region == "filling") {
				all[f.region] = max(all[f.region], time.Duration(r.For))
			}
		}
	}
	return all
}

// measure is the label of RainbondNodeDiskEvictionNear.
func (f fault) measure() string {
	switch {
	case f.fills:
		return "pace"
	case f.alert == "RainbondNodeDiskEvictionNear":
		return "space"
	}
	return ""
}

// title names the alert in a table.
func (f fault) title() string {
	switch f.region {
	case "component", "nodedown", "expiring", "mismatch":
		return f.alert + ", critical"
	case "untrusted":
		return f.alert + ", critical, only the CA"
	case "near":
		return f.alert + ", space"
	case "pace":
		return f.alert + ", within 4 h"
	}
	return f.alert
}

// TestTiming runs each event at pairs of equal intervals, with -all at all pairs.
func TestTiming(t *testing.T) {
	rows, alerts, bounds := map[string]string{}, map[string]string{}, map[string]string{}
	var mu sync.Mutex
	t.Run("runs", func(t *testing.T) {
		for _, p := range pairs() {
			text, err := variant.Generate(variant.Options{Interval: p.scrape})
			if err != nil {
				t.Fatal(err)
			}
			wait := waits(t, text)
			for _, f := range faults {
				bounds[f.title()+p.String()] = seconds(f.bound(p, wait[f.region]))
			}
			if p.scrape != p.evaluation && !*all {
				continue
			}
			for _, e := range events {
				t.Run(fmt.Sprintf("%s, %s", e.name, p), func(t *testing.T) {
					t.Parallel()
					received := run(t, e, p, text)
					mu.Lock()
					defer mu.Unlock()
					var slowest time.Duration
					for _, f := range faults {
						fired, wrong := f.verdict(e, received, f.bound(p, wait[f.region])+f.delay(e, p, wait[f.region]))
						for _, one := range wrong {
							t.Errorf("%s: %s", f.region, one)
						}
						if f.probed() {
							slowest = max(slowest, fired)
						}
						if e.name == events[0].name {
							alerts[f.title()+p.String()] = seconds(fired)
						}
					}
					rows[e.name+p.String()] = seconds(slowest)
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	var names, titles []string
	for _, e := range events {
		names = append(names, e.name)
	}
	for _, f := range faults[1:] {
		titles = append(titles, f.title())
	}
	compare(t, "../../docs/faults.md", "timing", table("event", names, rows)+"\n"+table("alert", titles, alerts))
	compare(t, "../../docs/alerts.md", "bounds", table("alert", titles, bounds))
	compare(t, "../../docs/alerts.zh.md", "bounds", table("告警", titles, bounds))
}

func seconds(d time.Duration) string { return fmt.Sprint(int(d.Seconds())) }

// table has a column for each pair. Cells that did not run are empty.
func table(title string, rows []string, cells map[string]string) string {
	head, line := "| "+title+" |", "|---|"
	for _, p := range pairs() {
		head, line = head+" "+p.String()+" |", line+"---|"
	}
	text := head + "\n" + line + "\n"
	for _, row := range rows {
		text += "| " + row + " |"
		for _, p := range pairs() {
			text += " " + cells[row+p.String()] + " |"
		}
		text += "\n"
	}
	return text
}

// compare compares a section of a page with the text. A cell that did not run
// keeps what the page has.
func compare(t *testing.T, path, section, text string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	_, rest, _ := strings.Cut(page, "<!-- begin "+section+" -->\n")
	written, _, _ := strings.Cut(rest, "<!-- end "+section+" -->")
	before, lines := strings.Split(strings.TrimSpace(written), "\n"), strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		cells := strings.Split(line, "|")
		for j, cell := range cells {
			if old := strings.Split(before[min(i, len(before)-1)], "|"); len(cells) > 1 && len(old) == len(cells) && old[1] == cells[1] && strings.TrimSpace(cell) == "" {
				cells[j] = old[j]
			}
		}
		lines[i] = strings.Join(cells, "|")
	}
	want, err := matrix.Replace(page, section, strings.Join(lines, "\n"))
	switch {
	case err != nil:
		t.Fatal(err)
	case want == page:
	case !*update:
		t.Errorf("%s: the section %s differs: go test ./rules/timing -update, and read the difference", path, section)
	default:
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
