// Package matrix makes the tables of docs/faults.md that have a column for each
// installation.
package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	Settings  = "settings"
	Identity  = "identity"
)

// The settings of the identity table, as in the results.
const (
	Alone   = "alone"
	Healthy = "next-to-healthy"
	Faulty  = "next-to-faulty"
	Pair    = "pair"
)

// Identities are the settings of the identity table.
var Identities = []string{Alone, Healthy, Faulty, Pair}

// Promtool is the row of the identity table with the promtool tests of the rules.
const Promtool = "promtool"

// Pages is the row with the median and the maximum of the seconds from a fault to
// its page, in a run of all faults.
const Pages = "pages"

// settings are the other intervals and engines with which the faults of the default installation
// are measured, by their name in the results.
var settings = []string{"60s", "vmalert", "vmalert-60s", "victoriametrics"}

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

// Page returns docs/faults.md with all its sections.
func Page(page string, measured Results) (string, error) {
	withDefault := append([]string{demo.Default}, settings...)
	for section, text := range map[string]string{
		InProcess: Expected(),
		EndToEnd:  measured.Table(measured.rows(installations()), installations()),
		Soak:      measured.Table([]string{Soak}, installations()),
		Settings:  measured.summary(withDefault) + "\n" + measured.Table(measured.rows(settings), withDefault),
		Identity:  measured.Table(measured.identityRows(), Identities),
	} {
		var err error
		if page, err = Replace(page, section, text); err != nil {
			return "", err
		}
	}
	return page, nil
}

// rows returns the rows that are measured in some of the columns: the scenarios
// of the demo in their order, then the others.
func (r Results) rows(columns []string) []string {
	measured := map[string]bool{}
	for _, column := range columns {
		for row := range r[column] {
			measured[row] = !aboutAll(row)
		}
	}
	var all []string
	for _, s := range demo.Scenarios {
		if measured[s.Name] {
			all = append(all, s.Name)
			delete(measured, s.Name)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(measured)) {
		if measured[row] {
			all = append(all, row)
		}
	}
	return all
}

// identityRows returns the rows of the identity table.
func (r Results) identityRows() []string {
	rows := r.rows(Identities)
	if r[Alone][Promtool].Passed > 0 {
		rows = append([]string{Promtool}, rows...)
	}
	return rows
}

// Expected returns the table of the alerts that a test of check expects in each
// installation, and below it why a fault cannot occur.
func Expected() string {
	var table strings.Builder
	header(&table, "| fault | default: one collection |", installations())
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

// installations are the names of the demo's installations.
func installations() []string {
	var all []string
	for _, i := range demo.Installations {
		all = append(all, i.Name)
	}
	return all
}

// header writes the head of a table.
func header(table *strings.Builder, first string, columns []string) {
	table.WriteString(first)
	for _, column := range columns {
		fmt.Fprintf(table, " %s |", column)
	}
	table.WriteString("\n" + strings.Repeat("|---", strings.Count(first, "|")-1+len(columns)) + "|\n")
}

func names(alerts []string) string {
	if len(alerts) == 0 {
		return "–"
	}
	return strings.Join(alerts, ", ")
}

// Results are measured results by column, which is an installation or a setting, and row.
type Results map[string]map[string]Result

// A Result is what a row came to.
type Result struct {
	Seconds  []int `json:"seconds,omitempty"`  // from the fault to each notification
	Messages int   `json:"messages,omitempty"` // that contained a firing alert
	Wrong    bool  `json:"wrong,omitempty"`    // a notification was missing, late or wrong
	Exit     *int  `json:"exit,omitempty"`     // exit code of check, of a soak
	Passed   int   `json:"passed,omitempty"`   // promtool tests
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
func (r Results) Add(column, row string, result Result) {
	if r[column] == nil {
		r[column] = map[string]Result{}
	}
	r[column][row] = result
}

// Write writes the results to a file that Read reads.
func (r Results) Write(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Table returns the results of the given rows, with these columns.
func (r Results) Table(rows, columns []string) string {
	var table strings.Builder
	header(&table, "| row |", columns)
	for _, row := range rows {
		fmt.Fprintf(&table, "| %s |", row)
		for _, column := range columns {
			result, ok := r[column][row]
			fmt.Fprintf(&table, " %s |", result.cell(ok))
		}
		table.WriteString("\n")
	}
	return table.String()
}

// aboutAll reports whether a row is not of one fault.
func aboutAll(row string) bool { return row == Soak || row == Promtool || row == Pages }

// summary returns the results of all rows of each column.
func (r Results) summary(columns []string) string {
	lines := make([]string, 3)
	for _, column := range columns {
		faults, right, noise, quiet := 0, 0, 0, 0
		for row, result := range r[column] {
			switch {
			case aboutAll(row):
			case len(result.Seconds) > 0 || result.Wrong:
				faults++
				if !result.Wrong {
					right++
				}
			default:
				noise++
				if result.Messages == 0 {
					quiet++
				}
			}
		}
		lines[0] += fmt.Sprintf(" %d of %d |", right, faults)
		lines[1] += fmt.Sprintf(" %d of %d |", quiet, noise)
		if pages := r[column][Pages].Seconds; len(pages) == 2 {
			lines[2] += fmt.Sprintf(" %d (%d) |", pages[0], pages[1])
		} else {
			lines[2] += " |"
		}
	}
	var table strings.Builder
	header(&table, "| measurement |", columns)
	for i, name := range []string{"faults with exactly their alerts, all in time", "noise rows without a message", "seconds from fault to page, median (longest)"} {
		fmt.Fprintf(&table, "| %s |%s\n", name, lines[i])
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
	case r.Passed > 0:
		return fmt.Sprintf("%d pass", r.Passed)
	case len(r.Seconds) == 0:
		return "–"
	}
	var all []string
	for _, s := range r.Seconds {
		all = append(all, fmt.Sprintf("%d s", s))
	}
	return strings.Join(all, ", ")
}
