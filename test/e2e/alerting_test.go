//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/test/stack"
)

// shorter is by how much every wait of the alerting configuration is divided,
// so that the test needs minutes and not hours. Prometheus scrapes as often as
// the shortest wait allows: a rule's for must not be shorter than that.
const (
	shorter        = 20
	scrapeInterval = 30 * time.Second / shorter
)

// waits are the keys that contain a duration: those of the rules, and those
// of Alertmanager.
var waits = regexp.MustCompile(`(?m)^([ -]*(?:for|keep_firing_for|interval|group_wait|group_interval|repeat_interval): *)([0-9a-z]+)`)

// forgets is how long RainbondTLSHandshakeErrors remembers an error, in
// seconds. The comment of the rule explains why it belongs to its `for`.
var forgets = regexp.MustCompile(`(_last_timestamp_seconds\{[^}]*\}\) < )([0-9]+)`)

// remembers is how long the rules hold the last result, which must be
// shorter than the for of what reads it.
var remembers = regexp.MustCompile(`(_over_time\(rainbond_(?:api_probe_failed|api_up|api_clock_skew_seconds|certificate_mismatch)\[)([0-9a-z]+)`)

// shorten is the only thing done to the configuration that ships, in addition to the
// path of the file with the webhook's address: every wait is divided by
// shorter.
func shorten(t testing.TB, text []byte) []byte {
	t.Helper()
	divide := func(part [][]byte, unit string) []byte {
		wait, err := model.ParseDuration(string(part[2]) + unit)
		must(t, err)
		short := strings.TrimSuffix((wait / shorter).String(), unit)
		return append(part[1], short...)
	}
	for _, form := range []*regexp.Regexp{waits, remembers} {
		text = form.ReplaceAllFunc(text, func(found []byte) []byte { return divide(form.FindSubmatch(found), "") })
	}
	return forgets.ReplaceAllFunc(text, func(found []byte) []byte { return divide(forgets.FindSubmatch(found), "s") })
}

// shipped is a file of the folder rules.
func shipped(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "rules", name))
	must(t, err)
	return text
}

// alerting is Prometheus, Alertmanager and the person at the other end.
type alerting struct {
	prometheus string // its URL
	manager    string // Alertmanager's URL
	person     *person
	processes  []*process
}

// newAlerting starts both with the configuration that ships, at a quick pace.
func newAlerting(t testing.TB, folder, logs string, targets ...string) *alerting {
	t.Helper()
	for _, form := range []*regexp.Regexp{waits, remembers, forgets} {
		if !form.Match(shipped(t, "rainbond.rules.yaml")) {
			t.Errorf("the rules that ship have nothing like %s, so it stays long", form)
		}
	}
	scrapes := fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: 1s}
scrape_configs: [{job_name: rainbond-exporter, static_configs: [{targets: [%[2]s]}]}]
`, model.Duration(scrapeInterval), strings.Join(targets, ", "))
	return beginAlerting(t, folder, logs, func(text []byte) []byte { return shorten(t, text) }, scrapes,
		"--rules.alert.resend-delay=1s") // or an alert from before Alertmanager was found waits for a minute
}

// beginAlerting starts both with what edit makes of the configuration that
// ships. Scrapes is what Prometheus' configuration contains in addition.
func beginAlerting(t testing.TB, folder, logs string, edit func([]byte) []byte, scrapes string, flags ...string) *alerting {
	t.Helper()
	manager := freeAddress(t)
	a := &alerting{person: newPerson(t), manager: "http://" + manager}
	prometheus, config, err := stack.Stack{Webhook: a.person.server.URL, Alertmanager: manager, Scrapes: scrapes, Edit: edit}.Write(folder)
	must(t, err)
	a.processes = append(a.processes, begin(t, logs, "alertmanager", tool(t, "alertmanager"), "--config.file="+config, "--storage.path="+filepath.Join(folder, "alertmanager"),
		"--web.listen-address="+manager, "--cluster.listen-address="))

	listen := freeAddress(t)
	a.prometheus = "http://" + listen
	flags = append(flags, "--config.file="+prometheus, "--storage.tsdb.path="+filepath.Join(folder, "prometheus"), "--web.listen-address="+listen)
	a.processes = append(a.processes, begin(t, logs, "prometheus", tool(t, "prometheus"), flags...))
	for name, url := range map[string]string{"alertmanager": "http://" + manager, "prometheus": a.prometheus} {
		took := until(t, 2*time.Minute, name+" is ready", func() error { _, err := get(url + "/-/ready"); return err })
		progress("%s is ready (%s)", name, seconds(took))
	}
	return a
}

// ask fetches an answer of Prometheus' API.
func (a *alerting) ask(path string, answer any) error {
	text, err := get(a.prometheus + path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &struct{ Data any }{answer})
}

// scrapesAll is nil when the last scrape of every target succeeded.
func (a *alerting) scrapesAll() error {
	var answer struct {
		ActiveTargets []struct{ ScrapeURL, Health, LastError string }
	}
	if err := a.ask("/api/v1/targets", &answer); err != nil {
		return err
	}
	if len(answer.ActiveTargets) == 0 {
		return errors.New("no targets")
	}
	for _, target := range answer.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%s: %s %s", target.ScrapeURL, target.Health, target.LastError)
		}
	}
	return nil
}

// quiet is nil when no alert but the Watchdog, which must fire, is in one of
// the given states (pending, firing) in Prometheus, inhibited ones included.
func (a *alerting) quiet(states ...string) error {
	var answer struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	if err := a.ask("/api/v1/alerts", &answer); err != nil {
		return err
	}
	var loud []string
	watched := false
	for _, alert := range answer.Alerts {
		switch name := alert.Labels["alertname"]; {
		case name == watchdog:
			watched = alert.State == "firing"
		case slices.Contains(states, alert.State):
			loud = append(loud, name+" "+alert.State)
		}
	}
	switch {
	case len(loud) > 0:
		return errors.New(strings.Join(loud, ", "))
	case !watched:
		return fmt.Errorf("%s does not fire", watchdog)
	}
	return nil
}

// A notification is one alert in a message that Alertmanager sent.
type notification struct {
	at          time.Time
	receiver    string
	message     int               // the number of the message that contained it
	firing      bool              // whether the message contained a firing alert, or only resolved ones
	Status      string            `json:"status"` // firing or resolved
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func (n notification) String() string {
	labels := maps.Clone(n.Labels)
	delete(labels, "alertname")
	return fmt.Sprintf("%s %s to %s %v", n.Status, n.Labels["alertname"], n.receiver, labels)
}

// A person is the receiver: a webhook that records every message.
type person struct {
	server *httptest.Server

	mu       sync.Mutex
	received []notification
	messages [][]byte // as they came
}

func newPerson(t testing.TB) *person {
	t.Helper()
	p := &person{}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

// ServeHTTP takes a message in the form of Alertmanager's webhook.
func (p *person) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		Receiver string         `json:"receiver"`
		Status   string         `json:"status"`
		Alerts   []notification `json:"alerts"`
	}
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, &message)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, text)
	for _, n := range message.Alerts {
		n.at, n.receiver, n.message, n.firing = time.Now(), message.Receiver, len(p.messages)-1, message.Status == "firing"
		p.received = append(p.received, n)
	}
}

// since lists the notifications since a moment, without the
// Watchdog.
func (p *person) since(moment time.Time) []notification {
	p.mu.Lock()
	defer p.mu.Unlock()
	var received []notification
	for _, n := range p.received {
		if !n.at.Before(moment) && n.Labels["alertname"] != watchdog {
			received = append(received, n)
		}
	}
	return received
}

// hearsWatchdog is nil when the Watchdog has come to its own receiver.
func (p *person) hearsWatchdog() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.received {
		if n.Labels["alertname"] == watchdog && n.receiver == "deadman" {
			return nil
		}
	}
	return fmt.Errorf("received:\n%s", list(p.received))
}

// list formats notifications for people.
func list(received []notification) string {
	if len(received) == 0 {
		return "(nothing)"
	}
	var text []string
	for _, n := range received {
		text = append(text, n.String())
	}
	return strings.Join(text, "\n")
}
