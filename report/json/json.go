// Package json writes a diagnosis as JSON.
package json

import (
	"encoding/json"
	"io"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// SchemaVersion is the value of "schema_version" in the JSON. It grows when a
// field is removed or changes its meaning; new fields may come at any time.
const SchemaVersion = 1

// Write writes the diagnosis as one JSON object, in both languages;
// docs/diagnosis.schema.json describes it. Lists and objects are empty rather
// than null or missing.
func Write(w io.Writer, d doctor.Diagnosis, links report.Links) error {
	return encode(w, d, links, "  ")
}

// WriteLine writes the same on one line.
func WriteLine(w io.Writer, d doctor.Diagnosis, links report.Links) error {
	return encode(w, d, links, "")
}

func encode(w io.Writer, d doctor.Diagnosis, links report.Links, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(document{
		SchemaVersion: SchemaVersion,
		At:            moment(d.At),
		Verdict:       d.Verdict(),
		Regions:       each(d.Regions, same),
		Routes:        each(d.Routes, func(r doctor.Route) routeJSON { return routeJSON(r) }),
		Collected:     each(d.Collected, same),
		Unable:        each(d.Unknown, func(u doctor.Unknown) unableJSON { return unableJSON(u) }),
		NeedsHistory:  each(d.NeedsHistory, same),
		FailedProbes:  each(d.FailedProbes, func(f collector.FailedProbes) failedJSON { return failedJSON(f) }),
		Findings:      each(d.Findings, func(f doctor.Finding) findingJSON { return findingToJSON(f, links) }),
	})
}

type document struct {
	SchemaVersion int            `json:"schema_version"`
	At            string         `json:"at"`
	Verdict       doctor.Verdict `json:"verdict"`
	Regions       []string       `json:"regions"`
	Routes        []routeJSON    `json:"routes"`
	Collected     []string       `json:"looked"`
	Unable        []unableJSON   `json:"unable"`
	NeedsHistory  []string       `json:"needs_history"`
	FailedProbes  []failedJSON   `json:"failed_probes,omitempty"`
	Findings      []findingJSON  `json:"findings"`
}

// failedJSON holds the last failed probes of a region, the newest first.
type failedJSON struct {
	Region string              `json:"region"`
	Probes []fault.FailedProbe `json:"probes"`
}

type routeJSON struct {
	Region string `json:"region"`
	Origin string `json:"origin"`
	URL    string `json:"url"`
}

type unableJSON struct {
	Collector string `json:"collector"`
	Err       string `json:"error"`
}

type findingJSON struct {
	Alert        string            `json:"alert"`
	Severity     string            `json:"severity"`
	Slug         string            `json:"slug"`
	Section      string            `json:"section"`
	RunbookURL   string            `json:"runbook_url"`
	GuideURL     wordsJSON         `json:"guide_url"`
	DashboardURL string            `json:"dashboard_url,omitempty"`
	Labels       map[string]string `json:"labels"`
	Summary      wordsJSON         `json:"summary"`
	Description  wordsJSON         `json:"description"`
	Commands     commandsJSON      `json:"commands"`
	Evidence     []evidenceJSON    `json:"evidence"`
	SeenBy       []string          `json:"seen_by"`
	Since        string            `json:"since,omitempty"`
	Pending      bool              `json:"pending"`
	Symptoms     []findingJSON     `json:"symptoms"`
}

type wordsJSON struct {
	EN string `json:"en"`
	ZH string `json:"zh"`
}

type commandsJSON struct {
	EN []string `json:"en"`
	ZH []string `json:"zh"`
}

type evidenceJSON struct {
	What  string            `json:"what"`
	Text  string            `json:"text"`
	ZH    string            `json:"text_zh"`
	About map[string]string `json:"about"`
}

func findingToJSON(f doctor.Finding, links report.Links) findingJSON {
	var guide wordsJSON
	if f.Section != "" {
		guide = wordsJSON{links.Section(f.Section, doctor.LangEN), links.Section(f.Section, doctor.LangZH)}
	}
	return findingJSON{
		Alert: f.Alert, Severity: f.Severity, Slug: f.Slug, Section: f.Section, RunbookURL: f.RunbookURL,
		GuideURL: guide, DashboardURL: links.Dashboard(f.Dashboard),
		Labels:      present(f.Labels),
		Summary:     wordsJSON(f.Summary),
		Description: wordsJSON(f.Description),
		Commands:    commandsJSON{each(f.Commands.EN, same), each(f.Commands.ZH, same)},
		Evidence: each(f.Evidence, func(e collector.Evidence) evidenceJSON {
			return evidenceJSON{e.What, e.In(doctor.LangEN), e.In(doctor.LangZH), present(e.About)}
		}),
		SeenBy:   each(f.SeenBy, same),
		Since:    moment(f.Since),
		Pending:  f.Pending,
		Symptoms: each(f.Symptoms, func(s doctor.Finding) findingJSON { return findingToJSON(s, links) }),
	}
}

// moment is a time as RFC 3339 in UTC; nothing for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// each maps a list, and makes an empty list of none.
func each[A, B any](all []A, to func(A) B) []B {
	mapped := make([]B, 0, len(all))
	for _, a := range all {
		mapped = append(mapped, to(a))
	}
	return mapped
}

func same(s string) string { return s }

func present(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
