package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// A firing is a finding that has not found its cause yet.
type firing struct {
	Finding
	labels labels.Labels // all of them, as Alertmanager would get them
}

// judge evaluates every rule in the order of the file. Recording rules leave
// their result in the store for those that follow. It returns the alerts that
// hold, and the names of those that this look cannot answer.
func (d *Doctor) judge(ctx context.Context, store *samples, look collector.Snapshot) (alerts []firing, skipped []string, err error) {
	raised := map[string]bool{}
	for _, r := range d.rules {
		if r.needsHistory || r.absent && !saw(look, r.slugs()) {
			if r.alert != "" && r.labels["severity"] != severityNone && !slices.Contains(skipped, r.alert) {
				skipped = append(skipped, r.alert)
			}
			continue
		}
		vector, err := d.query(store)(ctx, r.text, look.At)
		if err != nil {
			return nil, nil, fmt.Errorf("rule %s: %w", r.name(), err)
		}
		for _, s := range vector {
			if r.alert == "" {
				store.add(r.recorded(s.Metric), s.F)
				continue
			}
			a := d.raise(ctx, r, s, store, look)
			if id := a.labels.String(); a.Severity != severityNone && !raised[id] {
				raised[id] = true
				alerts = append(alerts, a)
			}
		}
	}
	return alerts, skipped, nil
}

// severityNone is the severity of a watchdog: it fires when all is well.
const severityNone = "none"

func (r rule) name() string { return r.alert + r.record }

// saw tells whether the look saw all these symptoms. Where it did not,
// nothing is known to be absent.
func saw(look collector.Snapshot, slugs []string) bool {
	for _, slug := range slugs {
		looked := func(o collector.Outcome) bool { return o.Collector == slug && o.Err == nil }
		if slug != collector.SlugExporter && !slices.ContainsFunc(look.Outcomes, looked) {
			return false
		}
	}
	return true
}

// query asks the engine about one moment, as Prometheus' rule manager does.
func (d *Doctor) query(store *samples) template.QueryFunc {
	return func(ctx context.Context, text string, at time.Time) (promql.Vector, error) {
		q, err := d.engine.NewInstantQuery(ctx, store, nil, text, at)
		if err != nil {
			return nil, err
		}
		defer q.Close()
		result := q.Exec(ctx)
		if result.Err != nil {
			return nil, result.Err
		}
		switch v := result.Value.(type) {
		case promql.Vector:
			return slices.Clone(v), nil
		case promql.Scalar:
			return promql.Vector{{T: v.T, F: v.V}}, nil
		}
		return nil, fmt.Errorf("expected a vector or a scalar, got %s", result.Value.Type())
	}
}

// recorded is the label set under which a recording rule stores a result.
func (r rule) recorded(of labels.Labels) labels.Labels {
	b := labels.NewBuilder(of).Set(model.MetricNameLabel, r.record)
	for name, value := range r.labels {
		b.Set(name, value)
	}
	return b.Labels()
}

// preamble gives templates the short names that Prometheus gives them
// (rules.AlertingRule.Eval).
const preamble = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

// raise makes the alert of one sample of the rule's expression, labels and
// annotations expanded as Prometheus does it.
func (d *Doctor) raise(ctx context.Context, r rule, s promql.Sample, store *samples, look collector.Snapshot) firing {
	data := template.AlertTemplateData(s.Metric.Map(), nil, "", s)
	expand := func(text string) string {
		expander := template.NewTemplateExpander(ctx, preamble+text, "__alert_"+r.alert, data,
			model.Time(timestamp.FromTime(look.At)), d.query(store), new(url.URL), nil)
		expanded, err := expander.Expand()
		if err != nil {
			return fmt.Sprintf("<error expanding template: %s>", err)
		}
		return strings.TrimSpace(expanded)
	}
	b := labels.NewBuilder(s.Metric).Del(model.MetricNameLabel)
	for name, value := range r.labels {
		b.Set(name, expand(value))
	}
	full := b.Set(labels.AlertName, r.alert).Labels()

	f := Finding{
		Alert:    r.alert,
		Severity: full.Get("severity"),
		Slug:     r.slug(),
		Labels:   borne(s.Metric, full),
		Sent:     Sent{Labels: full.Map(), Annotations: map[string]string{}, For: r.holds},
	}
	for name, text := range r.annotations {
		f.Sent.Annotations[name] = expand(text)
	}
	said := f.Sent.Annotations
	f.Section, f.Dashboard, f.RunbookURL = said["section"], said["dashboard"], said["runbook_url"]
	f.Summary = words(said["summary"], said["summary_zh"])
	if f.Summary == (Words{}) {
		f.Summary = Words{r.alert, r.alert}
	}
	en, enCommands := liftCommands(said["description"])
	zh, zhCommands := liftCommands(said["description_zh"])
	f.Description = words(en, zh)
	f.Commands = Commands{enCommands, zhCommands}
	if len(enCommands) == 0 {
		f.Commands.EN = zhCommands
	}
	if len(zhCommands) == 0 {
		f.Commands.ZH = enCommands
	}
	f.Evidence, f.SeenBy = r.evidence(look, full)
	return firing{f, full}
}

// borne are the labels that an alert has from its sample, with the values it
// bears in the end: what it is about, and not what the rule adds.
func borne(sample, alert labels.Labels) map[string]string {
	about := map[string]string{}
	sample.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			about[l.Name] = alert.Get(l.Name)
		}
	})
	return about
}

// words takes the one language for both when the other is missing.
func words(en, zh string) Words {
	if en == "" {
		en = zh
	}
	if zh == "" {
		zh = en
	}
	return Words{en, zh}
}

// commandMark begins the lines of a description that are commands.
const commandMark = "$ "

// liftCommands takes the commands out of a description.
func liftCommands(description string) (prose string, commands []string) {
	var kept []string
	for line := range strings.Lines(description) {
		line = strings.TrimRight(line, " \t\n")
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), commandMark); ok {
			commands = append(commands, strings.TrimSpace(command))
		} else {
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(strings.Join(kept, "\n")), commands
}
