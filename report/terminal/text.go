// Package terminal writes a diagnosis for a person at a terminal.
package terminal

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// A Style is the style of a text.
type Style struct {
	Lang  string // "zh", or English
	Width int    // columns to wrap at; 0 means DefaultWidth
	Color bool   // with the colours of an ANSI terminal
	Links report.Links
}

// DefaultWidth is the width if Style has none.
const DefaultWidth = 80

// Write writes the diagnosis for a terminal. It escapes control characters, and does
// not wrap commands and links.
func Write(w io.Writer, d doctor.Diagnosis, style Style) error {
	if style.Width <= 0 {
		style.Width = DefaultWidth
	}
	t := &terminal{style: style, at: d.At}
	t.head(d)
	findings := report.FewOf(slices.DeleteFunc(slices.Clone(d.Findings), d.OnlyUnknown))
	for _, f := range findings.Full {
		t.finding(f)
	}
	if len(findings.Brief) > 0 {
		t.line("")
		t.brief(0, findings)
	}
	t.unknown(d)
	t.rest(d)
	_, err := w.Write(t.Bytes())
	return err
}

// terminal is a text in the making.
type terminal struct {
	bytes.Buffer
	style Style
	at    time.Time // of the collection
}

// The colours, as ANSI's select graphic rendition.
const (
	red, yellow, green = "1;31", "1;33", "1;32"
	bold, dim          = "1", "2"
)

func (t *terminal) phrase(key string) string { return report.Phrase(t.style.Lang, key) }

// colors are what paint adds.
var colors = regexp.MustCompile("\x1b\\[[0-9;]*m")

func (t *terminal) paint(color, s string) string {
	if !t.style.Color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (t *terminal) line(s string) {
	t.WriteString(s)
	t.WriteByte('\n')
}

// para writes a text, wrapped, at an indentation; its line breaks stay.
func (t *terminal) para(indent int, color, s string) {
	for line := range strings.Lines(s) {
		for _, l := range wrap(report.Plain(line), t.style.Width-indent) {
			t.line(strings.Repeat(" ", indent) + t.paint(color, l))
		}
	}
}

// hang writes a text, wrapped, behind a head of its own colour.
func (t *terminal) hang(indent int, headColor, head, color, s string) {
	indentation := strings.Repeat(" ", indent)
	hanging := indent + columns.StringWidth(head)
	prefix := indentation + t.paint(headColor, head)
	for _, l := range wrap(report.Plain(s), t.style.Width-hanging) {
		t.line(prefix + t.paint(color, l))
		prefix = strings.Repeat(" ", hanging)
	}
}

func (t *terminal) head(d doctor.Diagnosis) {
	color := map[doctor.Verdict]string{doctor.Healthy: green, doctor.Faults: red, doctor.Incomplete: yellow}[d.Verdict()]
	t.para(0, color, report.RegionHeadline(d.Overview(), t.style.Lang))
}

func severityColor(severity string) string {
	switch severity {
	case "critical":
		return red
	case "warning":
		return yellow
	}
	return bold
}

// indent is the indentation of the details of a finding.
const indent = 2

func (t *terminal) finding(f doctor.Finding) {
	t.line("")
	t.hang(0, severityColor(f.Severity), t.phrase(f.Severity)+"  ", bold, f.Summary.In(t.style.Lang))
	t.para(indent, dim, f.Alert+report.About(f, t.style.Lang))
	if f.Pending {
		t.para(indent, yellow, report.Phrase(t.style.Lang, "just_begun", report.Duration(f.Sent.For)))
	}
	if !f.Since.IsZero() {
		t.para(indent, dim, report.Phrase(t.style.Lang, "since", f.Since.Format(time.TimeOnly), report.Span(t.at.Sub(f.Since))))
	}
	if description := f.Description.In(t.style.Lang); description != "" {
		t.line("")
		t.para(indent, "", description)
	}
	if rows := append(t.evidence(f.Evidence), t.ways(f)...); len(rows) > 0 {
		t.line("")
		t.rows(indent, rows)
	}
	if len(f.Symptoms) > 0 {
		t.line("")
		t.para(indent, "", t.phrase("symptoms"))
		symptoms := report.FewOf(f.Symptoms)
		for _, s := range symptoms.Full {
			below := t.summary(2*indent, s)
			t.para(below, dim, s.Alert+report.About(s, t.style.Lang))
			t.rows(below, t.evidence(report.MoreEvidence(f, s)))
		}
		t.brief(2*indent, symptoms)
	}
}

// summary writes a finding's severity and summary, and returns the column
// where the summary begins.
func (t *terminal) summary(indent int, f doctor.Finding) int {
	severity := t.phrase(f.Severity) + "  "
	t.hang(indent, severityColor(f.Severity), severity, "", f.Summary.In(t.style.Lang))
	return indent + columns.StringWidth(severity)
}

// brief writes the findings that get a line, and counts those that get none.
func (t *terminal) brief(indent int, f report.Few) {
	for _, one := range f.Brief {
		t.summary(indent, one)
	}
	for _, m := range f.More {
		t.para(indent, dim, report.Phrase(t.style.Lang, "more", m.Count, m.Alert))
	}
}

// A row is a label and its texts.
type row struct {
	label string
	texts []string
	whole bool // whether lines must stay whole: they are copied
	color string
}

// evidence makes rows of what was seen.
func (t *terminal) evidence(seen []collector.Evidence) []row {
	var rows []row
	for _, e := range seen {
		rows = append(rows, row{label: t.phrase(e.What), texts: []string{report.Shown(e.In(t.style.Lang))}})
	}
	return rows
}

// ways makes rows of what to run and where to read on.
func (t *terminal) ways(f doctor.Finding) []row {
	var rows []row
	if commands := f.Commands.In(t.style.Lang); len(commands) > 0 {
		rows = append(rows, row{t.phrase("run"), commands, true, bold})
	}
	if f.RunbookURL != "" {
		rows = append(rows, row{t.phrase("document"), []string{f.RunbookURL}, true, ""})
	}
	if f.Section != "" {
		rows = append(rows, row{t.phrase("guide"), []string{t.style.Links.Section(f.Section, t.style.Lang)}, true, ""})
	}
	if url := t.style.Links.Dashboard(f.Dashboard); url != "" {
		rows = append(rows, row{t.phrase("dashboard"), []string{url}, true, ""})
	}
	return rows
}

// minTextWidth is the minimum width of a text next to its label. With less, the text
// is below the label.
const minTextWidth = 32

// rows writes rows with their texts aligned.
func (t *terminal) rows(indent int, rows []row) {
	width := 0
	for _, r := range rows {
		width = max(width, columns.StringWidth(r.label)+gap)
	}
	below := t.style.Width-indent-width < minTextWidth
	if below {
		width = gap
	}
	for _, r := range rows {
		label := columns.FillRight(r.label, width)
		if below {
			t.line(strings.Repeat(" ", indent) + t.paint(dim, r.label))
			label = strings.Repeat(" ", gap)
		}
		for _, s := range r.texts {
			if r.whole {
				t.line(strings.Repeat(" ", indent) + t.paint(dim, label) + t.paint(r.color, report.Sanitize(s)))
			} else {
				t.hang(indent, dim, label, r.color, s)
			}
			label = strings.Repeat(" ", width)
		}
	}
}

// gap is the space between a label and its text.
const gap = 2

// unknown writes the failed collectors with their errors, and the advice of the rules.
// Collectors that failed for the same reason are grouped.
func (t *terminal) unknown(d doctor.Diagnosis) {
	var reasons []string
	names := map[string][]string{}
	advice := map[string]doctor.Finding{} // by reason, of the first collector that has it
	for _, u := range d.Unknown {
		if len(names[u.Err]) == 0 {
			reasons = append(reasons, u.Err)
			advice[u.Err], _ = d.CollectorFinding(u.Collector)
		}
		names[u.Err] = append(names[u.Err], report.Title(u.Collector, t.style.Lang)+" ("+u.Collector+")")
	}
	for _, reason := range reasons {
		t.line("")
		t.hang(0, yellow, t.phrase("unable"), bold, strings.Join(names[reason], t.phrase("comma")))
		f := advice[reason]
		if description := f.Description.In(t.style.Lang); description != "" {
			t.line("")
			t.para(indent, "", description)
		}
		t.line("")
		t.rows(indent, append(t.evidence([]collector.Evidence{{What: collector.EvidenceError, Text: reason}}), t.ways(f)...))
	}
}

// rest writes the healthy symptoms and the alerts that were not evaluated.
func (t *terminal) rest(d doctor.Diagnosis) {
	if unaffected := d.Unaffected(); len(unaffected) > 0 {
		t.line("")
		for i, slug := range unaffected {
			unaffected[i] = report.Title(slug, t.style.Lang)
		}
		t.hang(0, green, t.phrase("unaffected"), "", strings.Join(unaffected, t.phrase("comma")))
	}
	for _, route := range report.Routes(d, t.style.Lang) {
		t.line("")
		t.para(0, dim, route)
	}
	if len(d.NeedsHistory) > 0 {
		t.line("")
		t.para(0, dim, t.phrase("history")+strings.Join(d.NeedsHistory, t.phrase("comma")))
	}
}
