// Package dashboards is the one source of the Grafana dashboards: each
// question once, English and Chinese side by side. The files in en and zh are
// made from it (go test ./dashboards -update), and a test holds the two
// together.
package dashboards

import (
	"bytes"
	"encoding/json"
)

// Langs are the languages, and the folders of the files.
var Langs = []string{"en", "zh"}

// words gives a text in one of the languages.
type words func(en, zh string) string

// sources are the dashboards, from the question "where" to the questions
// "why".
var sources = []func(words) dashboard{overview, path, certificates, components, nodes}

// Files returns the dashboards in one of Langs, as JSON by the name of the
// file.
func Files(lang string) (map[string][]byte, error) {
	say := func(en, zh string) string {
		if lang == "zh" {
			return zh
		}
		return en
	}
	files := map[string][]byte{}
	for _, source := range sources {
		d := source(say)
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d.grafana(say)); err != nil {
			return nil, err
		}
		files[d.uid+".json"] = text.Bytes()
	}
	return files, nil
}

// A dashboard as its source says it; grafana.go says it in Grafana's words.
type dashboard struct {
	uid, title, about string
	panels            []panel
}

// A panel answers one question.
type panel struct {
	// id is part of the links that alerts carry: it never changes, and is never
	// given to another panel.
	id            int
	title, about  string
	width, height int // of 24 columns; of rows some 30 pixels high
	unit          string
	steps         []step // colour values by
	// alerts are those that this panel explains: each leads here by its
	// annotation dashboard, and a link leads on to its section of the guide.
	alerts []alert
	// section of the guide, where no alert leads here.
	section string
	// none is said by a panel that is empty while all is well.
	none string
	draws
}

// draws is how a panel shows what it asks: a row (a heading), a figure, a
// graph or a table.
type draws interface {
	grafana(panel) obj
}

// A row is a heading over the panels below it.
type row struct{}

// A figure is one number.
type figure struct{ expr string }

// A graph is lines over time, of which there are never many: queries add up,
// or take the worst few.
type graph struct {
	lines   []line
	stacked bool
}

// A line, or one for each value of the labels in its legend.
type line struct{ expr, legend string }

// A table has a row for each combination of the labels that its columns show,
// the worst first.
type table struct {
	columns []column
	by      string // the title of the number by which the rows stand; "" leaves them
	least   bool   // the smallest is the worst
}

// A column shows a label, or the value of a query, or both in one: the label
// that only this query bears.
type column struct {
	title string
	label string
	expr  string
	unit  string
	steps []step
	names []name
	width int
	leads string // uid of the dashboard to which a cell leads, with the row's region
	aside bool   // not shown, only sorted by
}

// A step colours values from a number on; nil stands for all below the next.
type step struct {
	from  any
	color string
}

// A name is a value's (or, as a regular expression between slashes, all
// matching values') word and colour; without a word it stays as it is.
type name struct{ value, word, color string }

const (
	green  = "green"
	orange = "orange"
	red    = "red"
	quiet  = "text" // no colour
)
