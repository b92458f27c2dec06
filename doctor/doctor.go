// Package doctor judges what a look saw with the alert rules, and tells
// people: on the terminal, as JSON and as a page. It never looks itself, and
// it knows no threshold and no sentence about a fault that is not in the
// rules: what pages somebody is what is shown here.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// A Doctor judges looks with one set of rules. It is safe for concurrent use.
type Doctor struct {
	rules       []rule
	inhibitions []inhibition
	engine      *promql.Engine
}

// maxSamples bounds what one expression may load. A region with a thousand
// nodes in trouble has some ten thousand samples.
const maxSamples = 1_000_000

// evaluationTimeout bounds one expression; a rule takes well under 1 ms.
const evaluationTimeout = 5 * time.Second

// New returns a Doctor that judges with the given rule file, in Prometheus'
// format, and places symptoms under their cause by the inhibit_rules of the
// given Alertmanager configuration, whose other parts are ignored. Each
// error names the line and the rule.
func New(rules, alertmanager []byte) (*Doctor, error) {
	parsed, err := parseRules(rules)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	inhibitions, err := parseInhibitions(alertmanager)
	if err != nil {
		return nil, fmt.Errorf("alertmanager configuration: %w", err)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: maxSamples,
		Timeout:    evaluationTimeout,
		Parser:     promParser,
	})
	return &Doctor{rules: parsed, inhibitions: inhibitions, engine: engine}, nil
}

// An Alert is what can be known of an alerting rule without a look.
type Alert struct {
	Name          string
	Expr          string
	Severity      string
	Section       string            // the anchor in the guide
	Annotations   map[string]string // templates not expanded
	Metrics       []string          // the metrics of the catalogue that its expression reads, recording rules followed
	Slugs         []string          // the symptoms whose metrics these are
	OneCollection bool              // whether one look can answer it
}

// Alerts lists the alerting rules in the order of the file.
func (d *Doctor) Alerts() []Alert {
	var alerts []Alert
	for _, r := range d.rules {
		if r.alert == "" {
			continue
		}
		alerts = append(alerts, Alert{
			Name:          r.alert,
			Expr:          r.text,
			Severity:      r.labels["severity"],
			Section:       r.annotations["section"],
			Annotations:   maps.Clone(r.annotations),
			Metrics:       r.metrics(),
			Slugs:         r.slugs(),
			OneCollection: !r.needsHistory,
		})
	}
	return alerts
}

// A Diagnosis is what the rules say about one look.
type Diagnosis struct {
	At time.Time
	// Regions are the regions that the samples are about, sorted.
	Regions []string
	// Findings are what is wrong, causes only: critical before warning, then
	// in the order of the document.
	Findings []Finding
	// Unknown are the collectors that could not look.
	Unknown []Unknown
	// NeedsHistory names the alerts with a rule that one look cannot answer,
	// because its expression reads the past or series that no collector
	// makes, or asks whether something is absent that nobody looked for. One
	// look holds no "up" and no "ALERTS": only Prometheus can miss an
	// exporter, and an exporter that is asked is there.
	NeedsHistory []string
	// Collected are the collectors that could look, in the order of the document.
	Collected []string
}

// A Finding is an alert that the look makes true, whatever its "for".
type Finding struct {
	Alert       string
	Severity    string
	Slug        string            // the symptom it belongs to, or collector.SlugExporter for the watcher itself
	Section     string            // anchor in the guide
	Dashboard   string            // path in Grafana
	RunbookURL  string            // section of Rainbond's own document
	Labels      map[string]string // what it is about: the labels of the sample, not those the rule adds
	Summary     Words
	Description Words    // without the commands
	Commands    Commands // what to run, in order
	Evidence    []collector.Evidence
	SeenBy      []string // the collectors that saw the trouble told by Evidence
	// Since is when a History saw the finding first; zero where there is one
	// look only.
	Since time.Time
	// Sent is the alert as Prometheus would send it.
	Sent Sent
	// Symptoms are the findings that this one explains: Alertmanager keeps
	// them back while this one fires.
	Symptoms []Finding
}

// Sent is what Alertmanager gets of an alert.
type Sent struct {
	Labels, Annotations map[string]string // expanded
	For                 time.Duration     // how long it must hold before it is sent
}

// Words are one text in both languages. A text that the rules give in one
// language only stands in both.
type Words struct{ EN, ZH string }

// In returns the text in the given language: "zh", or English.
func (w Words) In(lang string) string {
	if lang == LangZH {
		return w.ZH
	}
	return w.EN
}

// Commands are shell commands, with the comments of either language.
type Commands struct{ EN, ZH []string }

// In returns the commands as the text in the given language gives them.
func (c Commands) In(lang string) []string {
	if lang == LangZH {
		return c.ZH
	}
	return c.EN
}

// The languages.
const (
	LangEN = "en"
	LangZH = "zh"
)

// Unknown says why a collector could not look.
type Unknown struct {
	Collector string
	Err       string
}

// severityInfo is the severity of a finding that needs no action.
const severityInfo = "info"

// Info reports whether the finding is information and needs no action. It does
// not change the verdict.
func (f Finding) Info() bool { return f.Severity == severityInfo }

// A Verdict is a diagnosis in one word.
type Verdict string

// The verdicts.
const (
	Healthy    Verdict = "healthy"
	Faults     Verdict = "faults"
	Incomplete Verdict = "could_not_look"
)

// Verdict is Faults when anything is known to be wrong with the platform,
// whatever else could not be looked at; Incomplete when nothing is known to
// be wrong but not all was seen; Healthy otherwise.
func (d Diagnosis) Verdict() Verdict {
	about := func(exporter bool) func(Finding) bool {
		return func(f Finding) bool { return !f.Info() && (f.Slug == collector.SlugExporter) == exporter }
	}
	switch {
	case slices.ContainsFunc(d.Findings, about(false)):
		return Faults
	case slices.ContainsFunc(d.Findings, about(true)) || len(d.Unknown) > 0 || len(d.Collected) == 0:
		return Incomplete
	}
	return Healthy
}

// Diagnose judges one look. It fails only when the look's samples contradict
// each other or an expression cannot be evaluated; the error names the rule.
func (d *Doctor) Diagnose(ctx context.Context, look collector.Snapshot) (Diagnosis, error) {
	diagnosis := Diagnosis{At: look.At}
	for _, o := range look.Outcomes {
		if o.Err == nil {
			diagnosis.Collected = append(diagnosis.Collected, o.Collector)
		} else {
			diagnosis.Unknown = append(diagnosis.Unknown, Unknown{o.Collector, oneLine(o.Err)})
		}
	}
	slices.SortStableFunc(diagnosis.Collected, bySlug)
	slices.SortStableFunc(diagnosis.Unknown, func(a, b Unknown) int { return bySlug(a.Collector, b.Collector) })

	families, err := look.Gather()
	if err != nil {
		return Diagnosis{}, fmt.Errorf("gather the look: %w", err)
	}
	store := newSamples(families, look.At)
	diagnosis.Regions = store.values(LabelRegion)

	alerts, skipped, err := d.judge(ctx, store, look)
	if err != nil {
		return Diagnosis{}, err
	}
	diagnosis.NeedsHistory = skipped
	slices.SortStableFunc(alerts, byUrgency)
	diagnosis.Findings = underCauses(alerts, d.inhibitions)
	return diagnosis, nil
}

// An Overview is a diagnosis in short: what its headline says.
type Overview struct {
	Regions          []string
	Verdict          Verdict
	Faults           int  // causes, without those about the watcher itself
	NothingCollected bool // no collector could look
}

// Overview returns the diagnosis in short.
func (d Diagnosis) Overview() Overview {
	o := Overview{Regions: d.Regions, Verdict: d.Verdict(), NothingCollected: len(d.Collected) == 0}
	for _, f := range d.Findings {
		if f.Slug != collector.SlugExporter && !f.Info() {
			o.Faults++
		}
	}
	return o
}

func (o Overview) equal(other Overview) bool {
	return slices.Equal(o.Regions, other.Regions) && o.Verdict == other.Verdict && o.Faults == other.Faults && o.NothingCollected == other.NothingCollected
}

// InRegion is the part of a diagnosis that is about one region, and what is about
// none, such as a collector that could not look.
func (d Diagnosis) InRegion(region string) Diagnosis {
	d.Regions = []string{region}
	d.Findings = slices.DeleteFunc(slices.Clone(d.Findings), func(f Finding) bool {
		about, borne := f.Labels[LabelRegion]
		return borne && about != region
	})
	return d
}

// Unaffected lists the symptoms that were looked at and that no finding Touches.
func (d Diagnosis) Unaffected() []string {
	return slices.DeleteFunc(slices.Clone(d.Collected), func(slug string) bool {
		return slices.ContainsFunc(d.Findings, func(f Finding) bool {
			return f.Touches(slug) || slices.ContainsFunc(f.Symptoms, func(s Finding) bool { return s.Touches(slug) })
		})
	})
}

// Touches tells whether the finding belongs to a symptom, or rests on trouble
// seen there.
func (f Finding) Touches(slug string) bool { return f.Slug == slug || slices.Contains(f.SeenBy, slug) }

// CollectorFinding returns the finding that says of a collector that it cannot look,
// and false when no rule says so.
func (d Diagnosis) CollectorFinding(name string) (Finding, bool) {
	i := slices.IndexFunc(d.Findings, func(f Finding) bool {
		return f.Slug == collector.SlugExporter && f.Labels[LabelCollector] == name
	})
	if i < 0 {
		return Finding{}, false
	}
	return d.Findings[i], true
}

// OnlyUnknown tells whether a finding only says that a collector could not look,
// which Unknown says as well, with the reason.
func (d Diagnosis) OnlyUnknown(f Finding) bool {
	return f.Slug == collector.SlugExporter && len(f.Symptoms) == 0 &&
		slices.ContainsFunc(d.Unknown, func(u Unknown) bool { return u.Collector == f.Labels[LabelCollector] })
}

// The labels that name what a sample is about, with a meaning of their own in
// every presentation.
const (
	LabelRegion    = "rainbond_region"
	LabelCollector = "collector"
)

// oneLine is an error's text; what errors.Join puts on lines of their own is
// told once each.
func oneLine(err error) string {
	var once []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(once, line) {
			once = append(once, line)
		}
	}
	return strings.Join(once, "; ")
}

// bySlug orders slugs as the document does, and what is not in it last.
func bySlug(a, b string) int { return cmp.Compare(rank(a), rank(b)) }

func rank(slug string) int {
	if i := slices.Index(collector.Slugs, slug); i >= 0 {
		return i
	}
	return len(collector.Slugs)
}

// byUrgency orders alerts: about the platform before about the watcher,
// critical before warning before the rest, then by the document, by name and
// by labels.
func byUrgency(a, b firing) int {
	return cmp.Or(
		cmp.Compare(watcher(a), watcher(b)),
		cmp.Compare(SeverityRank(a.Severity), SeverityRank(b.Severity)),
		bySlug(a.Slug, b.Slug),
		cmp.Compare(a.Alert, b.Alert),
		cmp.Compare(a.labels.String(), b.labels.String()),
	)
}

func watcher(a firing) int {
	if a.Slug == collector.SlugExporter {
		return 1
	}
	return 0
}

// SeverityRank orders severities: 0 is critical, 1 warning, 2 any other.
func SeverityRank(severity string) int {
	switch severity {
	case "critical":
		return 0
	case "warning":
		return 1
	}
	return 2
}
