package doctor

import (
	"encoding/json"
	"io"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// SchemaVersion is the value of "schema_version" in the JSON. It grows when a
// field is removed or changes its meaning; new fields may come at any time.
const SchemaVersion = 1

// JSON writes the diagnosis as one JSON object, in both languages:
//
//	schema_version  number   SchemaVersion
//	at              string   when the look was taken, RFC 3339, UTC
//	verdict         string   "healthy", "faults" or "could_not_look"
//	regions         []string the regions looked at
//	looked          []string the collectors that could look
//	unable          []       {collector, error}: those that could not, and why
//	needs_history   []string alerts that one look cannot answer
//	findings        []       what is wrong, most urgent first:
//	  alert         string   name of the alerting rule
//	  severity      string   "critical", "warning", or what the rule says
//	  slug          string   the symptom: api, tls, cert, node-role, component, disk; exporter for the watcher itself
//	  section       string   anchor in the guide
//	  runbook_url   string   section of Rainbond's own document
//	  labels        {}       what it is about, by label name
//	  summary       {en, zh} one line
//	  description   {en, zh} whom it hurts and what to do, without the commands
//	  commands      {en, zh} lists of shell commands, in order
//	  evidence      []       {what, text, about}: an error's words, fingerprints, log lines
//	  seen_by       []string the collectors that saw the trouble told by evidence
//	  symptoms      []       findings that this one explains, of the same form
//
// Lists and objects are empty rather than null or missing.
func JSON(w io.Writer, d Diagnosis) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(document{
		SchemaVersion: SchemaVersion,
		At:            d.At.UTC().Format(time.RFC3339),
		Verdict:       d.Verdict(),
		Regions:       each(d.Regions, same),
		Looked:        each(d.Looked, same),
		Unable:        each(d.Unable, func(u Unable) unableJSON { return unableJSON(u) }),
		NeedsHistory:  each(d.NeedsHistory, same),
		Findings:      each(d.Findings, findingToJSON),
	})
}

type document struct {
	SchemaVersion int           `json:"schema_version"`
	At            string        `json:"at"`
	Verdict       Verdict       `json:"verdict"`
	Regions       []string      `json:"regions"`
	Looked        []string      `json:"looked"`
	Unable        []unableJSON  `json:"unable"`
	NeedsHistory  []string      `json:"needs_history"`
	Findings      []findingJSON `json:"findings"`
}

type unableJSON struct {
	Collector string `json:"collector"`
	Err       string `json:"error"`
}

type findingJSON struct {
	Alert       string            `json:"alert"`
	Severity    string            `json:"severity"`
	Slug        string            `json:"slug"`
	Section     string            `json:"section"`
	RunbookURL  string            `json:"runbook_url"`
	Labels      map[string]string `json:"labels"`
	Summary     wordsJSON         `json:"summary"`
	Description wordsJSON         `json:"description"`
	Commands    commandsJSON      `json:"commands"`
	Evidence    []evidenceJSON    `json:"evidence"`
	SeenBy      []string          `json:"seen_by"`
	Symptoms    []findingJSON     `json:"symptoms"`
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
	About map[string]string `json:"about"`
}

func findingToJSON(f Finding) findingJSON {
	return findingJSON{
		Alert: f.Alert, Severity: f.Severity, Slug: f.Slug, Section: f.Section, RunbookURL: f.RunbookURL,
		Labels:      present(f.Labels),
		Summary:     wordsJSON(f.Summary),
		Description: wordsJSON(f.Description),
		Commands:    commandsJSON{each(f.Commands.EN, same), each(f.Commands.ZH, same)},
		Evidence: each(f.Evidence, func(e collector.Evidence) evidenceJSON {
			return evidenceJSON{e.What, e.Text, present(e.About)}
		}),
		SeenBy:   each(f.SeenBy, same),
		Symptoms: each(f.Symptoms, findingToJSON),
	}
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
