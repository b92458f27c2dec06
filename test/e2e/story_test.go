//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// A scenario breaks things one after another, and lists what a person must be
// notified of, and nothing else.
type scenario struct {
	name    string
	without func(*world) string // why it cannot be played; nil or "" when it can
	steps   []step
	repairs func(*world, *testing.T)
}

// A step breaks one thing. The page of the step before it ends then, or is
// inhibited until the repair.
type step struct {
	breaks func(*world, *testing.T)
	// meanwhile happens again and again until the page has arrived; may be nil.
	meanwhile func(*world, *testing.T)
	page      page
}

// A page is the one alert that must arrive.
type page struct {
	alert    string
	severity string
	heading  string            // the section of the document, as its anchor
	slug     string            // our own guide's section begins with it
	labels   map[string]string // its labels
	words    []string          // words that it contains, in both languages
}

// The bounds of one step: from the fault to the webhook, and from the repair
// to its end there. Each is scrape + evaluation + for + group wait (or group
// interval), shortened as in alerting_test.go, with room for a busy machine.
const (
	fires = 45 * time.Second
	ends  = 60 * time.Second
)

// A story is what the scenarios came to.
type story struct{ rows []row }

// A row is one page that arrived as it should, measured.
type row struct {
	scenario, alert string
	fired, ended    time.Duration // until the webhook knew
	notifications   int
}

// play breaks, waits for each page, repairs, waits for the last one's end, and
// checks that nothing else was notified.
func (s *story) play(t *testing.T, w *world, sc scenario) {
	if sc.without != nil {
		if why := sc.without(w); why != "" {
			t.Skip(why)
		}
	}
	began := time.Now()
	repaired := false
	defer func() {
		if !repaired { // the scenarios that follow need a healthy world
			sc.repairs(w, t)
		}
	}()
	var rows []row
	var changed []time.Time // when each step's page lost its cause: at the next step, or at the repair
	for i, step := range sc.steps {
		broken := time.Now()
		if i > 0 {
			changed = append(changed, broken)
		}
		step.breaks(w, t)
		received := w.received(t, step, broken)
		rows = append(rows, row{scenario: sc.name, alert: step.page.alert, fired: received.at.Sub(broken)})
		progress("%s: %s arrived after %s", sc.name, step.page.alert, seconds(rows[i].fired))
		step.page.check(t, w, received)
	}
	changed = append(changed, time.Now())
	repaired = true
	sc.repairs(w, t)
	// The end of an alert that a later one inhibits is notified when that one ends.
	for i, step := range sc.steps {
		rows[i].ended = w.end(t, step.page, changed[i])
	}
	progress("%s: its end arrived %s after the repair", sc.name, seconds(rows[len(rows)-1].ended))

	until(t, ends, "no alert fires any more", func() error { return w.alerting.quiet("firing") })
	until(t, ends, "every collector succeeds again", func() error { return w.exporter.onlyFailing() })
	others := slices.DeleteFunc(w.alerting.person.since(began), func(n notification) bool {
		for i, step := range sc.steps {
			if step.page.is(n) {
				rows[i].notifications++
				return true
			}
		}
		return false
	})
	if len(others) > 0 {
		t.Errorf("a person was notified of more than what was broken:\n%s", list(others))
	}
	if !t.Failed() {
		s.rows = append(s.rows, rows...)
	}
}

// notified waits until the person has been notified of a step.
func (w *world) received(t *testing.T, s step, since time.Time) (received notification) {
	t.Helper()
	until(t, fires, "the webhook receives "+s.page.alert, func() (err error) {
		if s.meanwhile != nil {
			s.meanwhile(w, t)
		}
		received, err = s.page.find("firing", w.alerting.person.since(since))
		return err
	})
	return received
}

// end waits until the person has been notified of the end of an alert, and returns how
// long that took.
func (w *world) end(t *testing.T, p page, since time.Time) time.Duration {
	t.Helper()
	var received notification
	until(t, ends, "the webhook receives the end of "+p.alert, func() (err error) {
		received, err = p.find("resolved", w.alerting.person.since(since))
		return err
	})
	return received.at.Sub(since)
}

// is reports whether a notification is about the alert.
func (p page) is(n notification) bool {
	if n.Labels["alertname"] != p.alert {
		return false
	}
	for name, value := range p.labels {
		if n.Labels[name] != value {
			return false
		}
	}
	return true
}

// find is the first notification of the page that has a status.
func (p page) find(status string, received []notification) (notification, error) {
	i := slices.IndexFunc(received, func(n notification) bool { return p.is(n) && n.Status == status })
	if i < 0 {
		return notification{}, fmt.Errorf("received:\n%s", list(received))
	}
	return received[i], nil
}

// check verifies that the notification contains all that an alert must.
func (p page) check(t *testing.T, w *world, n notification) {
	t.Helper()
	if got := n.Labels["severity"]; got != p.severity {
		t.Errorf("severity %q; expected %q", got, p.severity)
	}
	if want := map[string]string{"critical": "page", "warning": "channel"}[p.severity]; n.receiver != want {
		t.Errorf("sent to %q; expected %q", n.receiver, want)
	}
	section := n.Annotations["section"]
	if !strings.HasPrefix(section, p.slug+"-") {
		t.Errorf("section %q; expected one that begins with %q", section, p.slug+"-")
	}
	p.checkLink(t, n.Annotations["runbook_url"], section)
	guide, err := w.exporter.get("/guide")
	if err != nil || !bytes.Contains(guide, fmt.Appendf(nil, `id="%s"`, section)) {
		t.Errorf("section %q is not in the guide that the exporter serves (%v)", section, err)
	}
	for _, language := range []string{"", "_zh"} {
		text := n.Annotations["summary"+language] + "\n" + n.Annotations["description"+language]
		for _, word := range p.words {
			if !strings.Contains(text, word) {
				t.Errorf("summary%s and description%[1]s do not contain %q:\n%s", language, word, text)
			}
		}
		if !strings.Contains(text, "\n$ ") {
			t.Errorf("description%s has no command to run:\n%s", language, text)
		}
	}
}

// checkLink checks that the alert opens the right section: of the document, or
// of our own guide where the alert is about the watcher itself.
func (p page) checkLink(t *testing.T, link, section string) {
	t.Helper()
	if p.heading == "" {
		if !strings.HasSuffix(link, "#"+section) {
			t.Errorf("runbook_url %q; expected section %q of our guide", link, section)
		}
		return
	}
	// Some receivers cut an address at the first character that is not ASCII.
	if want := document + "#" + url.PathEscape(p.heading); link != want {
		t.Errorf("runbook_url %q; expected %q", link, want)
	}
}

// print prints what was measured.
func (s *story) print() {
	progress("%-36s %7s %7s %14s  %s", "alert", "fired", "ended", "notifications", "scenario")
	for _, r := range s.rows {
		progress("%-36s %7s %7s %14d  %s", r.alert, seconds(r.fired), seconds(r.ended), r.notifications, r.scenario)
	}
	steps := 0
	for _, sc := range scenarios {
		steps += len(sc.steps)
	}
	progress("%d of %d faults were notified correctly", len(s.rows), steps)
}
