package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// WriteChange writes a change as lines that begin with the time, for a log;
// nothing when nothing has changed.
func WriteChange(w io.Writer, c doctor.Change, lang string) error {
	var b strings.Builder
	line := func(what, text string) {
		fmt.Fprintf(&b, "%s  %s\n", c.At.UTC().Format(time.RFC3339), strings.TrimSpace(columns.FillRight(what, changeWidth)+report.Plain(text)))
	}
	if c.Overview != nil {
		line("", report.RegionHeadline(*c.Overview, lang))
	}
	add := func(what string, findings []doctor.Finding, after func(doctor.Finding) string) {
		few := report.FewOf(findings)
		for _, f := range slices.Concat(few.Full, few.Brief) {
			line(report.Phrase(lang, what), report.Phrase(lang, f.Severity)+" "+f.Summary.In(lang)+" ("+f.Alert+report.About(f, lang)+")"+after(f))
		}
		for _, m := range few.More {
			line(report.Phrase(lang, what), report.Phrase(lang, "more", m.Count, m.Alert))
		}
	}
	add("new", c.New, func(doctor.Finding) string { return "" })
	add("gone", c.Resolved, func(f doctor.Finding) string { return report.Phrase(lang, "after", report.Span(c.At.Sub(f.Since))) })
	for _, u := range c.Unknown {
		line(report.Phrase(lang, "blind"), report.Title(u.Collector, lang)+" ("+u.Collector+"): "+report.Shown(u.Err))
	}
	for _, name := range c.Recovered {
		line(report.Phrase(lang, "seeing"), report.Title(name, lang)+" ("+name+")")
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// changeWidth is the width of the word before what has changed.
const changeWidth = 9
