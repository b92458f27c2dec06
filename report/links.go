package report

import (
	"fmt"
	"net/url"
	"strings"
)

// Links holds the external URLs of other pages. The zero value knows only the
// project page.
type Links struct {
	Guide   string // the exporter's guide, without a query; "" if it is unknown
	Grafana string // "" if it is unknown
}

// projectGuide is the guide on the project page, up to its language.
const projectGuide = "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide."

// Section returns the URL of a section of the guide in the language.
func (l Links) Section(section, lang string) string {
	if l.Guide == "" {
		return projectGuide + Phrase(lang, "lang") + ".md#" + section
	}
	return l.Guide + "?lang=" + Phrase(lang, "lang") + "#" + section
}

// Dashboard returns the URL of a dashboard, whose path is that of the annotation
// "dashboard"; "" without Grafana or path.
func (l Links) Dashboard(path string) string {
	if l.Grafana == "" || path == "" {
		return ""
	}
	return l.Grafana + "/" + strings.TrimPrefix(path, "/")
}

// CheckURL returns an error with the example unless the value is an external URL
// of a page or server, or "". It removes a slash at the end. The error does not
// contain the value, which may have a password. Characters that a URL encodes are
// rejected, because templates and YAML interpret them.
func CheckURL(value *string, example string) error {
	u, err := url.Parse(*value)
	if *value != "" && (err != nil || strings.ContainsAny(*value, "{}\"'\\ <>^`|") || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("unexpected value; expected an http or https URL without user, query and fragment, such as %s", example)
	}
	*value = strings.TrimRight(*value, "/")
	return nil
}
