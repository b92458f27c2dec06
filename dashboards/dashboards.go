// Package dashboards generates the Grafana dashboards from one source, with
// English and Chinese texts next to each other. go test ./dashboards -update
// writes the files in en and zh; a test checks that they are current.
package dashboards

import (
	"bytes"
	_ "embed"
	"encoding/json"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// Langs are the languages, and the directories of the files.
var Langs = []string{"en", "zh"}

// A translation returns the text in one of the languages.
type translation func(en, zh string) string

// sources are the dashboards: the overview first, then one for each kind of
// cause.
var sources = []func(translation) dashboard{overview, path, certificates, components, nodes}

// places are those of the labels in the files.
//
//go:embed identity.json
var places []byte

// Files returns the dashboards in one of Langs as JSON, by file name. The labels
// identify a platform together with rules.RegionLabel; those of the files in en
// and zh are rules.DefaultIdentity.
func Files(lang string, labels []string) (map[string][]byte, error) {
	tr := func(en, zh string) string {
		if lang == "zh" {
			return zh
		}
		return en
	}
	files := map[string][]byte{}
	for _, source := range sources {
		d := source(tr)
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d.grafana(tr)); err != nil {
			return nil, err
		}
		identified, err := rules.Identify(text.String(), places, labels)
		if err != nil {
			return nil, err
		}
		files[d.uid+".json"] = []byte(identified)
	}
	return files, nil
}

// A dashboard is independent of Grafana's JSON, which grafana.go generates.
type dashboard struct {
	uid, title, description string
	panels                  []panel
}

// A panel answers one question.
type panel struct {
	// id is part of the links in alerts. It never changes and is never reused.
	id                 int
	title, description string
	width, height      int // in units of 1/24 of the page and of about 30 pixels
	unit               string
	steps              []step // colours of values
	// alerts are those that this panel explains. The annotation dashboard of
	// each links to the panel, and the panel links to its section of the guide.
	alerts []alert
	// section of the guide, for a panel without alerts
	section string
	// empty is the text of a panel that has no data in a healthy region
	empty string
	visualization
}

// A visualization is the kind of a panel: heading, stat, graph or table.
type visualization interface {
	grafana(panel) obj
}

// A heading is a title over the panels below it.
type heading struct{}

// A stat is one number.
type stat struct{ expr string }

// A graph has a few lines over time: queries aggregate, or select the worst.
type graph struct {
	lines   []line
	stacked bool
}

// A line is a query. It draws one line for each value of the labels in its
// legend.
type line struct{ expr, legend string }

// A table has a row for each combination of the labels in its columns, the
// worst first.
type table struct {
	columns []column
	by      string // title of the column that sorts the rows; "" does not sort
	least   bool   // sort ascending
}

// A column contains a label, or the value of a query, or both: a label that
// only this query has.
type column struct {
	title  string
	label  string
	expr   string
	unit   string
	steps  []step
	names  []name
	width  int
	link   string // uid of the dashboard to which a cell links, for the row's region
	hidden bool   // only for sorting
	// platform columns are those of the labels that Files is called with.
	platform bool
}

// A step is the colour of values from a number up; nil is the lowest.
type step struct {
	from  any
	color string
}

// A name is the text and the colour of a value, or of all values that match a
// regular expression between slashes. Without text the value is shown.
type name struct{ value, text, color string }

const (
	green  = "green"
	orange = "orange"
	red    = "red"
	quiet  = "text" // no colour
)
