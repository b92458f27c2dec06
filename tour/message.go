package tour

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// A writer writes Alertmanager's notifications, with its template engine and
// our templates.
type writer struct{ template *template.Template }

func newWriter() (writer, error) {
	t, err := template.New()
	if err != nil {
		return writer{}, err
	}
	t.ExternalURL = new(url.URL)
	return writer{t}, t.Parse(bytes.NewReader(rules.Messages))
}

// groupBy are the grouping labels of our alertmanager.yaml.
var groupBy = []string{model.AlertNameLabel, "cluster", rules.RegionLabel}

// messages returns the notifications of the findings, one for each group. Ended
// is the time at which they were resolved; zero while they last.
func (w writer) messages(findings []doctor.Finding, lang string, ended time.Time) ([]string, error) {
	groups := map[string][]*alert.Alert{}
	var order []string
	for _, f := range findings {
		a := &alert.Alert{Alert: model.Alert{Labels: labelSet(f.Sent.Labels), Annotations: labelSet(f.Sent.Annotations), StartsAt: f.Since, EndsAt: ended}}
		key := ""
		for _, name := range groupBy {
			key += f.Sent.Labels[name] + "\x00"
		}
		if !slices.Contains(order, key) {
			order = append(order, key)
		}
		groups[key] = append(groups[key], a)
	}
	var texts []string
	for _, key := range order {
		text, err := w.text(w.template.Data("", nil, nil, "", groups[key]...), lang)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func (w writer) text(data *template.Data, lang string) (string, error) {
	return w.template.ExecuteTextString(fmt.Sprintf(`{{ template "rainbond.%s.text" . }}`, lang), data)
}

func labelSet(of map[string]string) model.LabelSet {
	set := model.LabelSet{}
	for name, value := range of {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set
}
