// Package tour is what the page of the demo shows beside the diagnosis: what
// to break, the metrics that change with it, the alert that would page, the
// message on the phone, and the repair. It is made of what everybody else
// gets: the samples of the look, the rules, and Alertmanager's templates.
package tour

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
)

// Style is the style sheet of the tour.
//
//go:embed tour.css
var Style string

//go:embed tour.html
var files embed.FS

// A Tour leads through a demo.
type Tour struct {
	demo    *demo.Demo
	rules   map[string]doctor.Alert
	writer  writer
	healthy map[string]sample

	mu   sync.Mutex // guards what was told last
	told told
}

// told is what was sent of a scenario, so that its end can be told.
type told struct {
	scenario string
	findings []doctor.Finding
	ended    time.Time // zero while it lasts
}

// New makes the tour of a demo that is healthy, as the look shows it.
func New(d *demo.Demo, judge *doctor.Doctor, healthy collector.Snapshot) (*Tour, error) {
	families, err := healthy.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the healthy region: %w", err)
	}
	w, err := newWriter()
	if err != nil {
		return nil, fmt.Errorf("message templates: %w", err)
	}
	t := &Tour{demo: d, rules: map[string]doctor.Alert{}, writer: w, healthy: series(families)}
	for _, a := range judge.Alerts() {
		t.rules[a.Name] = a
	}
	return t, nil
}

// Beside is the tour beside a diagnosis, for the status page.
func (t *Tour) Beside(lang string, look collector.Snapshot, d doctor.Diagnosis) web.Beside {
	s := t.stop(lang, look, d)
	return web.Beside{Lead: write("lead", s), Aside: t.demo.Aside(lang), Follow: write("follow", s)}
}

// maxChanges and maxMessages are what a visitor reads; the rest is counted.
const (
	maxChanges  = 8
	maxMessages = 2
)

// A stop is where the visitor is: one scenario, and what comes of it.
type stop struct {
	Lang      string
	Scenario  demo.Scenario
	Broken    bool     // it is not the healthy one
	Quiet     bool     // and yet nothing is told
	Later     []string // what Prometheus tells that one look cannot
	Mended    string
	Starts    []demo.Scenario // to begin with
	Count     int             // how many scenarios there are to break
	Changes   []change
	More      int // changes
	Alerts    []page
	Messages  []string
	MoreTexts int
	At        time.Time
	Commands  bool
}

// A page is an alert that would be sent.
type page struct {
	Name, Severity, Expr string
	For                  time.Duration
	Pages                bool
	KeptBack             []string
}

// starts are the scenarios to begin with: what happens most.
var starts = []string{"cert-rotated-broken", "api-refused-pod-ready", "disk-takes-api"}

func (t *Tour) stop(lang string, look collector.Snapshot, d doctor.Diagnosis) stop {
	s := stop{Lang: lang, Scenario: t.demo.Scenario(), At: d.At, Count: len(demo.Scenarios) - 1}
	for _, one := range demo.Scenarios {
		if slices.Contains(starts, one.Name) {
			s.Starts = append(s.Starts, one)
		}
	}
	s.Broken = s.Scenario.Name != demo.Healthy
	s.Quiet = s.Broken && len(d.Findings) == 0
	if s.Quiet {
		s.Later = s.Scenario.InTime()
	}
	var reads []string
	for _, f := range d.Findings {
		rule := t.rules[f.Alert]
		reads = append(reads, rule.Metrics...)
		p := page{Name: f.Alert, Severity: f.Severity, Expr: rule.Expr, For: f.Sent.For, Pages: f.Severity == "critical"}
		for _, symptom := range f.Symptoms {
			if !slices.Contains(p.KeptBack, symptom.Alert) {
				p.KeptBack = append(p.KeptBack, symptom.Alert)
			}
		}
		s.Alerts = append(s.Alerts, p)
		s.Commands = s.Commands || len(f.Commands.In(lang)) > 0
	}
	if families, err := look.Gather(); err == nil { // it has been gathered for the diagnosis before
		all := changes(t.healthy, series(families), reads)
		s.Changes = all[:min(len(all), maxChanges)]
		s.More = len(all) - len(s.Changes)
	}
	t.tell(&s, d.Findings)
	return s
}

// tell writes the messages of the scenario, or of its end.
func (t *Tour) tell(s *stop, findings []doctor.Finding) {
	t.mu.Lock()
	switch {
	case s.Broken:
		t.told = told{scenario: s.Scenario.Title[s.Lang], findings: findings}
	case t.told.ended.IsZero():
		t.told.ended = s.At
	}
	now := t.told
	t.mu.Unlock()
	if !s.Broken && len(now.findings) > 0 {
		s.Mended = now.scenario
	}
	texts, err := t.writer.messages(now.findings, s.Lang, now.ended)
	if err != nil {
		texts = []string{err.Error()}
	}
	s.Messages = texts[:min(len(texts), maxMessages)]
	s.MoreTexts = len(texts) - len(s.Messages)
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"span": func(d time.Duration) string { return model.Duration(d).String() },
	"has":  func(s stop) bool { return s.Broken || len(s.Messages) > 0 },
}).ParseFS(files, "*.html"))

// Say is the text in the visitor's language.
func (s stop) Say(en, zh string) string {
	if s.Lang == doctor.LangZH {
		return zh
	}
	return en
}

// Title is what breaks in a scenario.
func (s stop) Title(of demo.Scenario) string { return of.Title[s.Lang] }

func write(name string, s stop) template.HTML {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, s); err != nil {
		panic("tour: its template: " + err.Error()) // its data are our own
	}
	return template.HTML(b.String())
}

// Start takes the tour's look at the healthy region, and breaks what the
// scenario breaks only then.
func Start(ctx context.Context, d *demo.Demo, judge *doctor.Doctor, look func(context.Context) (collector.Snapshot, error)) (*Tour, error) {
	scenario := d.Scenario()
	if err := d.Set(demo.Healthy); err != nil {
		return nil, err
	}
	healthy, err := look(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the healthy region: %w", err)
	}
	t, err := New(d, judge, healthy)
	if err != nil {
		return nil, err
	}
	return t, d.Set(scenario.Name)
}
