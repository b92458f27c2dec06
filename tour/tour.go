// Package tour generates the demo's part of the status page: the scenarios, the
// changed metrics, the alert, the notification and the repair. It uses the
// samples of the collection, the alert rules and Alertmanager's templates.
package tour

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/relay"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
)

// Style is the style sheet of the tour.
//
//go:embed tour.css
var Style string

//go:embed tour.html
var files embed.FS

// A Tour is the tour of one demo.
type Tour struct {
	demo    *demo.Demo
	rules   map[string]doctor.Alert
	writer  writer
	healthy map[string]sample
	chain   *chain

	mu       sync.Mutex // guards reported
	reported lastFault
}

// A lastFault contains the findings of the last fault, for its resolved
// notification.
type lastFault struct {
	scenario string
	findings []doctor.Finding
	ended    time.Time // zero while the fault lasts
}

// New returns the tour of a demo. The snapshot is that of its healthy region. Test
// alerts take the path until ctx ends.
func New(ctx context.Context, d *demo.Demo, evaluator *doctor.Doctor, healthy collector.Snapshot, path relay.Path) (*Tour, error) {
	families, err := healthy.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the healthy region: %w", err)
	}
	w, err := newWriter()
	if err != nil {
		return nil, fmt.Errorf("message templates: %w", err)
	}
	t := &Tour{demo: d, rules: map[string]doctor.Alert{}, writer: w, healthy: series(families), chain: &chain{path: path, client: &http.Client{}, life: ctx}}
	for _, a := range evaluator.Alerts() {
		t.rules[a.Name] = a
	}
	return t, nil
}

// Panels returns the tour's parts of the status page for a diagnosis.
func (t *Tour) Panels(lang string, snapshot collector.Snapshot, d doctor.Diagnosis) web.Panels {
	s := t.stop(lang, snapshot, d)
	return web.Panels{Lead: render("lead", s), Aside: t.demo.Aside(lang), Follow: render("follow", s) + t.chain.panel(lang)}
}

// maxChanges and maxMessages are the numbers of changes and notifications on
// the page. Further ones are counted.
const (
	maxChanges  = 8
	maxMessages = 2
)

// A stop contains the data of the templates: one scenario with its results.
type stop struct {
	Lang      string
	Scenario  demo.Scenario
	Broken    bool     // not the healthy scenario
	Quiet     bool     // broken without a finding
	Later     []string // alerts that need a history
	Repaired  string
	Starts    []demo.Scenario // suggested scenarios
	Count     int             // number of faults
	Changes   []change
	More      int // number of changes not shown
	Alerts    []firing
	Messages  []string
	MoreTexts int
	At        time.Time
	Commands  bool
}

// A firing is an alert that fires.
type firing struct {
	Name, Severity, Expr string
	For                  time.Duration
	Pages                bool
	Inhibits             []string
}

// starts are the suggested scenarios: the most frequent faults.
var starts = []string{"cert-rotated-broken", "api-refused-pod-ready", "disk-takes-api"}

func (t *Tour) stop(lang string, snapshot collector.Snapshot, d doctor.Diagnosis) stop {
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
		p := firing{Name: f.Alert, Severity: f.Severity, Expr: rule.Expr, For: f.Sent.For, Pages: f.Severity == "critical"}
		for _, symptom := range f.Symptoms {
			if !slices.Contains(p.Inhibits, symptom.Alert) {
				p.Inhibits = append(p.Inhibits, symptom.Alert)
			}
		}
		s.Alerts = append(s.Alerts, p)
		s.Commands = s.Commands || len(f.Commands.In(lang)) > 0
	}
	if families, err := snapshot.Gather(); err == nil { // cannot fail: the diagnosis gathered it before
		all := changes(t.healthy, series(families), reads)
		s.Changes = all[:min(len(all), maxChanges)]
		s.More = len(all) - len(s.Changes)
	}
	t.addMessages(&s, d.Findings)
	return s
}

// addMessages adds the notifications of the scenario, or the resolved
// notifications after it.
func (t *Tour) addMessages(s *stop, findings []doctor.Finding) {
	t.mu.Lock()
	switch {
	case s.Broken:
		t.reported = lastFault{scenario: s.Scenario.Title[s.Lang], findings: findings}
	case t.reported.ended.IsZero():
		t.reported.ended = s.At
	}
	now := t.reported
	t.mu.Unlock()
	if !s.Broken && len(now.findings) > 0 {
		s.Repaired = now.scenario
	}
	texts, err := t.writer.messages(now.findings, s.Lang, now.ended)
	if err != nil {
		texts = []string{err.Error()}
	}
	s.Messages = texts[:min(len(texts), maxMessages)]
	s.MoreTexts = len(texts) - len(s.Messages)
}

// templates are parsed at the first use, since only the demo uses them.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"span": func(d time.Duration) string { return model.Duration(d).String() },
		"has":  func(s stop) bool { return s.Broken || len(s.Messages) > 0 },
	}).ParseFS(files, "*.html"))
})

// Text returns the text in the user's language.
func (s stop) Text(en, zh string) string {
	if s.Lang == doctor.LangZH {
		return zh
	}
	return en
}

// Title returns the title of a scenario.
func (s stop) Title(of demo.Scenario) string { return of.Title[s.Lang] }

func render(name string, data any) template.HTML {
	var b strings.Builder
	if err := templates().ExecuteTemplate(&b, name, data); err != nil {
		panic("tour: its template: " + err.Error()) // cannot happen: the data are constant
	}
	return template.HTML(b.String())
}

// Start collects from the healthy region, returns its tour, and then sets the
// demo's scenario again. Test alerts take the path until ctx ends.
func Start(ctx context.Context, d *demo.Demo, evaluator *doctor.Doctor, collect func(context.Context) (collector.Snapshot, error), path relay.Path) (*Tour, error) {
	scenario := d.Scenario()
	if scenario.Name == demo.Healthy {
		return fromHealthy(ctx, d, evaluator, collect, path)
	}
	if err := d.Set(demo.Healthy); err != nil {
		return nil, err
	}
	t, err := fromHealthy(ctx, d, evaluator, collect, path)
	if err != nil {
		return nil, err
	}
	return t, d.Set(scenario.Name)
}

// fromHealthy collects from the healthy region and returns its tour.
func fromHealthy(ctx context.Context, d *demo.Demo, evaluator *doctor.Doctor, collect func(context.Context) (collector.Snapshot, error), path relay.Path) (*Tour, error) {
	healthy, err := collect(ctx)
	if err != nil {
		return nil, fmt.Errorf("collect from the healthy region: %w", err)
	}
	return New(ctx, d, evaluator, healthy, path)
}
