// Package matrix makes the tables of docs/faults.md that have a column for each
// installation.
package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
)

// The sections of docs/faults.md that tests write.
const (
	InProcess = "in-process"
	EndToEnd  = "end-to-end"
	Soak      = "soak"
)

// Replace returns the page with another text in the section of that name, which
// is between two comments.
func Replace(page, section, text string) (string, error) {
	begin, end := "<!-- begin "+section+" -->\n", "<!-- end "+section+" -->"
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("the page has no section %s: expected %q and %q", section, begin, end)
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}

// Page returns docs/faults.md with all three sections.
func Page(page string, measured Results) (string, error) {
	for section, text := range map[string]string{InProcess: Expected(), EndToEnd: measured.Table(measured.rows()), Soak: measured.Table([]string{Soak})} {
		var err error
		if page, err = Replace(page, section, text); err != nil {
			return "", err
		}
	}
	return page, nil
}

// rows returns the measured rows: the scenarios of the demo in their order, then
// the others.
func (r Results) rows() []string {
	var all, others []string
	for _, s := range demo.Scenarios {
		all = append(all, s.Name)
	}
	for _, results := range r {
		for row := range results {
			if row != Soak && !slices.Contains(all, row) && !slices.Contains(others, row) {
				others = append(others, row)
			}
		}
	}
	slices.Sort(others)
	return append(all, others...)
}

// Expected returns the table of the alerts that a test of check expects in each
// installation, and below it why a fault cannot occur.
func Expected() string {
	var table strings.Builder
	header(&table, "| fault | default: one collection |")
	var reasons []string
	note := func(reason string) int {
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
		return slices.Index(reasons, reason) + 1
	}
	for _, s := range demo.Scenarios {
		fmt.Fprintf(&table, "| %s | %s |", s.Name, names(s.Alerts))
		for _, i := range demo.Installations {
			switch reason, alerts := i.Excluded(s), i.Alerts(s); {
			case reason != "":
				fmt.Fprintf(&table, " (%d) |", note(reason))
			case slices.Equal(alerts, s.Alerts):
				table.WriteString(" same |")
			default:
				fmt.Fprintf(&table, " %s |", names(alerts))
			}
		}
		table.WriteString("\n")
	}
	table.WriteString("\nThe fault cannot occur, or cannot be detected, because:\n\n")
	for n, reason := range reasons {
		fmt.Fprintf(&table, "%d. %s\n", n+1, reason)
	}
	return table.String()
}

// header writes the head of a table with the installations as columns.
func header(table *strings.Builder, first string) {
	table.WriteString(first)
	for _, i := range demo.Installations {
		fmt.Fprintf(table, " %s |", i.Name)
	}
	table.WriteString("\n" + strings.Repeat("|---", strings.Count(first, "|")-1+len(demo.Installations)) + "|\n")
}

func names(alerts []string) string {
	if len(alerts) == 0 {
		return "–"
	}
	return strings.Join(alerts, ", ")
}

// Results are measured results by installation and row.
type Results map[string]map[string]Result

// A Result is what a row came to.
type Result struct {
	Seconds  []int `json:"seconds,omitempty"`  // from the fault to each notification
	Messages int   `json:"messages,omitempty"` // that contained a firing alert
	Wrong    bool  `json:"wrong,omitempty"`    // a notification was missing, late or wrong
	Exit     *int  `json:"exit,omitempty"`     // exit code of check, of a soak
}

// Read reads results; a file that does not exist has none.
func Read(path string) (Results, error) {
	results := Results{}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &results)
	}
	return results, err
}

// Add sets the result of a row.
func (r Results) Add(installation, row string, result Result) {
	if r[installation] == nil {
		r[installation] = map[string]Result{}
	}
	r[installation][row] = result
}

// Write writes the results to a file that Read reads.
func (r Results) Write(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Table returns the results of the given rows with the installations as
// columns.
func (r Results) Table(rows []string) string {
	var table strings.Builder
	header(&table, "| row |")
	for _, row := range rows {
		var cells []string
		measured := false
		for _, i := range demo.Installations {
			result, ok := r[i.Name][row]
			measured = measured || ok
			cells = append(cells, result.cell(ok))
		}
		if measured {
			fmt.Fprintf(&table, "| %s | %s |\n", row, strings.Join(cells, " | "))
		}
	}
	return table.String()
}

func (r Result) cell(measured bool) string {
	switch {
	case !measured:
		return ""
	case r.Wrong:
		return "**wrong**"
	case r.Exit != nil:
		return fmt.Sprintf("%d notifications, `check` exits %d", r.Messages, *r.Exit)
	case len(r.Seconds) == 0:
		return "–"
	}
	var all []string
	for _, s := range r.Seconds {
		all = append(all, fmt.Sprintf("%d s", s))
	}
	return strings.Join(all, ", ")
}
