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

// A firing is a finding that is not grouped yet.
type firing struct {
	Finding
	labels labels.Labels // all labels, as Alertmanager receives them
}

// evaluate evaluates every rule in the order of the file. A recording rule adds its
// result to the store for the rules that follow. It returns the alerts whose
// expression is true, and the names of those that one collection cannot evaluate.
func (d *Doctor) evaluate(ctx context.Context, store *store, snapshot collector.Snapshot) (alerts []firing, skipped []string, err error) {
	raised := map[string]bool{}
	for _, r := range d.rules {
		if r.needsHistory || r.absent && !collected(snapshot, r.slugs()) {
			if r.alert != "" && r.labels["severity"] != severityNone && !slices.Contains(skipped, r.alert) {
				skipped = append(skipped, r.alert)
			}
			continue
		}
		vector, err := d.query(store)(ctx, r.text, snapshot.At)
		if err != nil {
			return nil, nil, fmt.Errorf("rule %s: %w", r.name(), err)
		}
		for _, s := range vector {
			if r.alert == "" {
				store.add(r.recorded(s.Metric), s.F)
				continue
			}
			a := d.raise(ctx, r, s, store, snapshot)
			if id := a.labels.String(); a.Severity != severityNone && !raised[id] {
				raised[id] = true
				alerts = append(alerts, a)
			}
		}
	}
	return alerts, skipped, nil
}

// severityNone is the severity of the dead man's switch, which always fires.
const severityNone = "none"

func (r rule) name() string { return r.alert + r.record }

// collected reports whether the snapshot has all of these symptoms. Otherwise nothing
// is known to be absent.
func collected(snapshot collector.Snapshot, slugs []string) bool {
	for _, slug := range slugs {
		succeeded := func(o collector.Outcome) bool { return o.Collector == slug && o.Err == nil }
		if slug != collector.SlugExporter && !slices.ContainsFunc(snapshot.Outcomes, succeeded) {
			return false
		}
	}
	return true
}

// query asks the engine about one moment, as Prometheus' rule manager does.
func (d *Doctor) query(store *store) template.QueryFunc {
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
func (d *Doctor) raise(ctx context.Context, r rule, s promql.Sample, store *store, snapshot collector.Snapshot) firing {
	data := template.AlertTemplateData(s.Metric.Map(), nil, "", s)
	expand := func(text string) string {
		expander := template.NewTemplateExpander(ctx, preamble+text, "__alert_"+r.alert, data,
			model.Time(timestamp.FromTime(snapshot.At)), d.query(store), new(url.URL), nil)
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
		Labels:   sampleLabels(s.Metric, full),
		Sent:     Sent{Labels: full.Map(), Annotations: map[string]string{}, For: r.holds},
	}
	for name, text := range r.annotations {
		if text := expand(text); text != "" {
			f.Sent.Annotations[name] = text
		}
	}
	texts := f.Sent.Annotations
	f.Section, f.Dashboard, f.RunbookURL = texts["section"], texts["dashboard"], texts["runbook_url"]
	f.Summary = words(texts["summary"], texts["summary_zh"])
	if f.Summary == (Words{}) {
		f.Summary = Words{r.alert, r.alert}
	}
	en, enCommands := liftCommands(texts["description"])
	zh, zhCommands := liftCommands(texts["description_zh"])
	f.Description = words(en, zh)
	f.Commands = Commands{enCommands, zhCommands}
	if len(enCommands) == 0 {
		f.Commands.EN = zhCommands
	}
	if len(zhCommands) == 0 {
		f.Commands.ZH = enCommands
	}
	f.Evidence, f.SeenBy = r.evidence(snapshot, full)
	f.Pending = r.pending(snapshot, full)
	return firing{f, full}
}

// sampleLabels returns the labels of the sample, with the values that the alert has.
func sampleLabels(sample, alert labels.Labels) map[string]string {
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
	var rest []string
	for line := range strings.Lines(description) {
		line = strings.TrimRight(line, " \t\n")
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), commandMark); ok {
			commands = append(commands, strings.TrimSpace(command))
		} else {
			rest = append(rest, line)
		}
	}
	return strings.TrimSpace(strings.Join(rest, "\n")), commands
}
