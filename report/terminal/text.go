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

// A Style says how Write writes.
type Style struct {
	Lang  string // "zh", or English
	Width int    // columns to wrap at; 0 means DefaultWidth
	Color bool   // with the colours of an ANSI terminal
	Links report.Links
}

// DefaultWidth is how wide Write writes where nobody knows better.
const DefaultWidth = 80

// Write writes the diagnosis for a person at a terminal. It escapes what a
// terminal would obey, and breaks neither a command nor a link.
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
	t.unable(d)
	t.rest(d)
	_, err := w.Write(t.Bytes())
	return err
}

// terminal is a text in the making.
type terminal struct {
	bytes.Buffer
	style Style
	at    time.Time // of the look
}

// The colours, as ANSI's select graphic rendition.
const (
	red, yellow, green = "1;31", "1;33", "1;32"
	bold, dim          = "1", "2"
)

func (t *terminal) say(key string) string { return report.Say(t.style.Lang, key) }

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

// indent is how far what belongs to a finding stands under its head.
const indent = 2

func (t *terminal) finding(f doctor.Finding) {
	t.line("")
	t.hang(0, severityColor(f.Severity), t.say(f.Severity)+"  ", bold, f.Summary.In(t.style.Lang))
	t.para(indent, dim, f.Alert+report.About(f, t.style.Lang))
	if !f.Since.IsZero() {
		t.para(indent, dim, report.Say(t.style.Lang, "since", f.Since.Format(time.TimeOnly), report.Span(t.at.Sub(f.Since))))
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
		t.para(indent, "", t.say("seen_too"))
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
	severity := t.say(f.Severity) + "  "
	t.hang(indent, severityColor(f.Severity), severity, "", f.Summary.In(t.style.Lang))
	return indent + columns.StringWidth(severity)
}

// brief writes the findings that get a line, and counts those that get none.
func (t *terminal) brief(indent int, f report.Few) {
	for _, one := range f.Brief {
		t.summary(indent, one)
	}
	for _, m := range f.More {
		t.para(indent, dim, report.Say(t.style.Lang, "more", m.Count, m.Alert))
	}
}

// A row is a label and what stands beside it.
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
		rows = append(rows, row{label: t.say(e.What), texts: []string{report.Shown(e.In(t.style.Lang))}})
	}
	return rows
}

// ways makes rows of what to run and where to read on.
func (t *terminal) ways(f doctor.Finding) []row {
	var rows []row
	if commands := f.Commands.In(t.style.Lang); len(commands) > 0 {
		rows = append(rows, row{t.say("run"), commands, true, bold})
	}
	if f.RunbookURL != "" {
		rows = append(rows, row{t.say("document"), []string{f.RunbookURL}, true, ""})
	}
	if f.Section != "" {
		rows = append(rows, row{t.say("guide"), []string{t.style.Links.Section(f.Section, t.style.Lang)}, true, ""})
	}
	if url := t.style.Links.Dashboard(f.Dashboard); url != "" {
		rows = append(rows, row{t.say("dashboard"), []string{url}, true, ""})
	}
	return rows
}

// besideLabels is how many columns a text needs beside its label; with fewer
// it stands below.
const besideLabels = 32

// rows writes rows with their texts aligned.
func (t *terminal) rows(indent int, rows []row) {
	width := 0
	for _, r := range rows {
		width = max(width, columns.StringWidth(r.label)+gap)
	}
	below := t.style.Width-indent-width < besideLabels
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

// gap is what stands between a label and its text.
const gap = 2

// unable writes what could not be looked at and why, and what the rules say
// is to be done about it. Collectors that fail for one reason stand together.
func (t *terminal) unable(d doctor.Diagnosis) {
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
		t.hang(0, yellow, t.say("unable"), bold, strings.Join(names[reason], t.say("comma")))
		f := advice[reason]
		if description := f.Description.In(t.style.Lang); description != "" {
			t.line("")
			t.para(indent, "", description)
		}
		t.line("")
		t.rows(indent, append(t.evidence([]collector.Evidence{{What: collector.EvidenceError, Text: reason}}), t.ways(f)...))
	}
}

// rest writes what is well, and what one look cannot tell.
func (t *terminal) rest(d doctor.Diagnosis) {
	if well := d.Unaffected(); len(well) > 0 {
		t.line("")
		for i, slug := range well {
			well[i] = report.Title(slug, t.style.Lang)
		}
		t.hang(0, green, t.say("well"), "", strings.Join(well, t.say("comma")))
	}
	if len(d.NeedsHistory) > 0 {
		t.line("")
		t.para(0, dim, t.say("history")+strings.Join(d.NeedsHistory, t.say("comma")))
	}
}
