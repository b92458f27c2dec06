// Package doctor evaluates the alert rules over one snapshot and groups symptoms
// under their root cause. It collects nothing and presents nothing, and it has no
// threshold and no text about a fault: those are in the rules.
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

// A Doctor evaluates snapshots with one set of rules. It is safe for concurrent
// use.
type Doctor struct {
	rules       []rule
	inhibitions []inhibition
	engine      *promql.Engine
}

// maxSamples limits the samples that one expression may load. A region with a
// thousand unhealthy nodes has about ten thousand.
const maxSamples = 1_000_000

// evaluationTimeout limits the evaluation of one expression, which usually takes
// less than 1 ms.
const evaluationTimeout = 30 * time.Second

// New returns a Doctor that evaluates a rule file in Prometheus' format. It groups
// symptoms under their root cause by the inhibit_rules of an Alertmanager
// configuration, and ignores the other parts of that. Each error has the line and
// the rule.
func New(rules, alertmanager []byte) (*Doctor, error) {
	if _, err := LoadRules(rules); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return Trusted(rules, alertmanager)
}

// Trusted is New for rules that a test has checked, such as the embedded ones.
// Without the check of every template, a start allocates 8 MB less.
func Trusted(rules, alertmanager []byte) (*Doctor, error) {
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

// An Alert describes an alerting rule.
type Alert struct {
	Name          string
	Expr          string
	Severity      string
	Section       string            // the anchor in the guide
	Annotations   map[string]string // templates not expanded
	Metrics       []string          // the metrics of the catalogue that its expression reads, recording rules followed
	Slugs         []string          // the symptoms whose metrics these are
	OneCollection bool              // whether one collection is enough to evaluate it
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

// A Diagnosis is the result of evaluating the rules over one snapshot.
type Diagnosis struct {
	At time.Time
	// Regions are the regions of the samples, sorted.
	Regions []string
	// Routes are the addresses that were probed, sorted by region.
	Routes []Route
	// Findings are the root causes: critical before warning, then in the order of
	// Rainbond's troubleshooting document.
	Findings []Finding
	// Unknown are the collectors that failed.
	Unknown []Unknown
	// NeedsHistory names the alerts with a rule that cannot be evaluated from one
	// collection: its expression reads the past or series that no collector exports,
	// or it fires if a series is absent whose collector did not run. A snapshot has
	// no "up" and no "ALERTS": only Prometheus can detect a missing exporter.
	NeedsHistory []string
	// FailedProbes are the last failed probes of each region that has any.
	FailedProbes []collector.FailedProbes
	// Collected are the collectors that succeeded, in the order of the document.
	Collected []string
}

// A Finding is an alert whose expression is true, regardless of its "for".
type Finding struct {
	Alert       string
	Severity    string
	Slug        string            // its symptom, or collector.SlugExporter for the monitoring itself
	Section     string            // anchor in the guide
	Dashboard   string            // path in Grafana
	RunbookURL  string            // section of Rainbond's documentation
	Labels      map[string]string // labels of the sample, without those that the rule adds
	Summary     Words
	Description Words    // without the commands
	Commands    Commands // what to run, in order
	Evidence    []collector.Evidence
	SeenBy      []string // the collectors of the evidence of a fault
	// Since is the time at which a History had the finding first; zero without a
	// History.
	Since time.Time
	// Pending reports that the data of the collection is younger than the "for" of the
	// alert: the condition has just begun and may pass. It does not change the verdict.
	Pending bool
	// Sent is the alert as Prometheus would send it.
	Sent Sent
	// Symptoms are the findings that this one explains: Alertmanager inhibits them
	// while this one fires.
	Symptoms []Finding
}

// Sent is the alert as Prometheus sends it to Alertmanager.
type Sent struct {
	Labels, Annotations map[string]string // expanded
	For                 time.Duration     // its "for"
}

// Words are one text in both languages. A text that the rules have in one language
// is used for both.
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

// Unknown is a collector that failed, and its error.
type Unknown struct {
	Collector string
	Err       string
}

// severityInfo is the severity of a finding that needs no action.
const severityInfo = "info"

// Info reports whether the finding is information and needs no action. It does
// not change the verdict.
func (f Finding) Info() bool { return f.Severity == severityInfo }

// counts reports whether the finding, or a symptom of it, changes the verdict.
func (f Finding) counts() bool {
	return !f.Info() && !f.Pending || slices.ContainsFunc(f.Symptoms, Finding.counts)
}

// A Verdict is a diagnosis in one word.
type Verdict string

// The verdicts.
const (
	Healthy    Verdict = "healthy"
	Faults     Verdict = "faults"
	Incomplete Verdict = "could_not_look"
)

// Verdict returns Faults if the platform has a fault, Incomplete if it has no known
// fault but a collector failed, and Healthy otherwise.
func (d Diagnosis) Verdict() Verdict {
	about := func(exporter bool) func(Finding) bool {
		return func(f Finding) bool { return f.counts() && (f.Slug == collector.SlugExporter) == exporter }
	}
	switch {
	case slices.ContainsFunc(d.Findings, about(false)):
		return Faults
	case slices.ContainsFunc(d.Findings, about(true)) || len(d.Unknown) > 0 || len(d.Collected) == 0:
		return Incomplete
	}
	return Healthy
}

// Diagnose evaluates one snapshot. It returns an error if the samples contradict
// each other or an expression cannot be evaluated; the error names the rule.
func (d *Doctor) Diagnose(ctx context.Context, snapshot collector.Snapshot) (Diagnosis, error) {
	diagnosis := Diagnosis{At: snapshot.At, FailedProbes: snapshot.FailedProbes()}
	for _, o := range snapshot.Outcomes {
		if o.Err == nil {
			diagnosis.Collected = append(diagnosis.Collected, o.Collector)
		} else {
			diagnosis.Unknown = append(diagnosis.Unknown, Unknown{o.Collector, oneLine(o.Err)})
		}
	}
	slices.SortStableFunc(diagnosis.Collected, bySlug)
	slices.SortStableFunc(diagnosis.Unknown, func(a, b Unknown) int { return bySlug(a.Collector, b.Collector) })

	families, err := snapshot.Gather()
	if err != nil {
		return Diagnosis{}, fmt.Errorf("gather the samples: %w", err)
	}
	store := newStore(families, snapshot.At)
	diagnosis.Regions = store.values(LabelRegion)
	diagnosis.Routes = routes(families)

	alerts, skipped, err := d.evaluate(ctx, store, snapshot)
	if err != nil {
		return Diagnosis{}, err
	}
	// An alert that one of its rules has raised is evaluated, even if another rule of
	// its name needs history.
	diagnosis.NeedsHistory = slices.DeleteFunc(skipped, func(name string) bool {
		return slices.ContainsFunc(alerts, func(f firing) bool { return f.Alert == name })
	})
	slices.SortStableFunc(alerts, byUrgency)
	diagnosis.Findings = underCauses(alerts, d.inhibitions)
	return diagnosis, nil
}

// An Overview is the content of a diagnosis' headline.
type Overview struct {
	Regions          []string
	Verdict          Verdict
	Pending          int  // root causes that have just begun
	Faults           int  // root causes, without those about the monitoring itself
	NothingCollected bool // no collector succeeded
}

// Overview returns the overview of the diagnosis.
func (d Diagnosis) Overview() Overview {
	o := Overview{Regions: d.Regions, Verdict: d.Verdict(), NothingCollected: len(d.Collected) == 0}
	for _, f := range d.Findings {
		if f.Slug != collector.SlugExporter && f.counts() {
			o.Faults++
		}
		if f.Pending {
			o.Pending++
		}
	}
	return o
}

func (o Overview) equal(other Overview) bool {
	return slices.Equal(o.Regions, other.Regions) && o.Verdict == other.Verdict && o.Faults == other.Faults && o.Pending == other.Pending && o.NothingCollected == other.NothingCollected
}

// InRegion returns the part of the diagnosis about one region, with the findings
// that have no region, such as a failed collector.
func (d Diagnosis) InRegion(region string) Diagnosis {
	d.Regions = []string{region}
	d.Routes = slices.DeleteFunc(slices.Clone(d.Routes), func(r Route) bool { return r.Region != region })
	d.Findings = slices.DeleteFunc(slices.Clone(d.Findings), func(f Finding) bool {
		about, present := f.Labels[LabelRegion]
		return present && about != region
	})
	d.FailedProbes = slices.DeleteFunc(slices.Clone(d.FailedProbes), func(f collector.FailedProbes) bool { return f.Region != region })
	return d
}

// Unaffected returns the collected symptoms without a finding.
func (d Diagnosis) Unaffected() []string {
	return slices.DeleteFunc(slices.Clone(d.Collected), func(slug string) bool {
		return slices.ContainsFunc(d.Findings, func(f Finding) bool {
			return f.Touches(slug) || slices.ContainsFunc(f.Symptoms, func(s Finding) bool { return s.Touches(slug) })
		})
	})
}

// Touches reports whether the finding belongs to a symptom or has evidence of a
// fault from its collector.
func (f Finding) Touches(slug string) bool { return f.Slug == slug || slices.Contains(f.SeenBy, slug) }

// CollectorFinding returns the finding about a failed collector, or false if no
// rule has one.
func (d Diagnosis) CollectorFinding(name string) (Finding, bool) {
	i := slices.IndexFunc(d.Findings, func(f Finding) bool {
		return f.Slug == collector.SlugExporter && f.Labels[LabelCollector] == name
	})
	if i < 0 {
		return Finding{}, false
	}
	return d.Findings[i], true
}

// OnlyUnknown reports whether a finding only reports a failed collector that Unknown
// contains with its error.
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

// oneLine returns the error's text on one line. Equal lines of errors.Join appear
// once.
func oneLine(err error) string {
	var once []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(once, line) {
			once = append(once, line)
		}
	}
	return strings.Join(once, "; ")
}

// bySlug compares slugs by the order of the document; unknown ones are last.
func bySlug(a, b string) int { return cmp.Compare(rank(a), rank(b)) }

func rank(slug string) int {
	if i := slices.Index(collector.Slugs, slug); i >= 0 {
		return i
	}
	return len(collector.Slugs)
}

// byUrgency compares alerts: the platform before the monitoring itself, critical
// before warning before others, then by the document, the name and the labels.
func byUrgency(a, b firing) int {
	return cmp.Or(
		cmp.Compare(aboutExporter(a), aboutExporter(b)),
		cmp.Compare(SeverityRank(a.Severity), SeverityRank(b.Severity)),
		bySlug(a.Slug, b.Slug),
		cmp.Compare(a.Alert, b.Alert),
		cmp.Compare(a.labels.String(), b.labels.String()),
	)
}

func aboutExporter(a firing) int {
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
