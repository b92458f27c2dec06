// Package variant makes variants of the rules, of the Alertmanager
// configuration and of the message templates: for other identity labels, scrape
// intervals, languages and file formats, and with complete links.
package variant

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/report"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// The formats of a variant.
const (
	Prometheus     = "prometheus"     // a rule file of Prometheus, Thanos or Mimir
	PrometheusRule = "prometheusrule" // an object of the Prometheus Operator
	VMAlert        = "vmalert"        // a rule file of vmalert, without recording rules
	VMRule         = "vmrule"         // the same as an object of the VictoriaMetrics Operator
	Nightingale    = "nightingale"    // alert rules for the import of Nightingale, as JSON
	Alertmanager   = "alertmanager"   // alertmanager.yaml
	Templates      = "templates"      // templates/rainbond.tmpl
)

// Formats are all formats, the default first.
var Formats = []string{Prometheus, PrometheusRule, VMAlert, VMRule, Nightingale, Alertmanager, Templates}

// Langs are the languages of the texts, the default first.
var Langs = []string{"both", "en", "zh"}

// The scrape intervals. DefaultInterval is the one for which the rules are
// written. Prometheus forgets a sample after five minutes, and a fault must be
// scraped twice before it notifies.
const (
	DefaultInterval = 15 * time.Second
	MaxInterval     = 2 * time.Minute
)

// Options select a variant. The zero value is the embedded rule file.
type Options struct {
	Format   string         // one of Formats
	Lang     string         // one of Langs
	Identity []string       // labels that identify a platform, with rules.RegionLabel
	Interval time.Duration  // scrape interval
	Platform rules.Platform // where the commands run
	// External URLs of the exporter, of its guide and of Grafana, for complete
	// links. An empty URL leaves the links out. The guide is by default at
	// /guide of the exporter.
	ExporterURL, GuideURL, GrafanaURL string
}

// Generate returns the variant. An error names the option, its value and what
// was expected.
func Generate(o Options) ([]byte, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	source := map[string][]byte{Alertmanager: rules.Alertmanager, Templates: rules.Messages}[o.Format]
	if source == nil {
		source = o.Platform.For(rules.Rules)
	}
	labels, err := Labels(o.Identity)
	if err != nil {
		return nil, err
	}
	text, err := rules.Identify(string(source), rules.IdentityPlaces, labels)
	if err != nil || o.Format == Alertmanager || o.Format == Templates {
		return []byte(text), err
	}
	text = forInterval(text, o.Interval)
	text = o.withLinks(text)
	text = inLanguage(text, o.Lang)
	if slices.Contains([]string{VMAlert, VMRule, Nightingale}, o.Format) {
		if text, err = flat(text, o.Interval, o.Format != Nightingale); err != nil {
			return nil, err
		}
	}
	switch o.Format {
	case Nightingale:
		return o.nightingale(text)
	case VMAlert, VMRule:
		text = groupLine.ReplaceAllString(text, "$0\n    eval_alignment: false")
	}
	return []byte(asObject(text, o.Format)), nil
}

// complete fills in the defaults and validates the options.
func (o Options) complete() (Options, error) {
	if o.Format == "" {
		o.Format = Prometheus
	}
	if o.Lang == "" {
		o.Lang = Langs[0]
	}
	if o.Identity == nil {
		o.Identity = append(slices.Clone(rules.DefaultIdentity), rules.RegionLabel)
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	var errs []error
	if err := o.Platform.Validate(); err != nil {
		errs = append(errs, err)
	}
	if !slices.Contains(Formats, o.Format) {
		errs = append(errs, fmt.Errorf("--format: unknown value %q; expected %s", o.Format, strings.Join(Formats, ", ")))
	}
	if !slices.Contains(Langs, o.Lang) {
		errs = append(errs, fmt.Errorf("--lang: unknown value %q; expected %s", o.Lang, strings.Join(Langs, ", ")))
	}
	if _, err := Labels(o.Identity); err != nil {
		errs = append(errs, err)
	}
	if o.Interval < time.Second || o.Interval > MaxInterval {
		errs = append(errs, fmt.Errorf("--interval: %s; expected a scrape interval from 1s to %s: Prometheus forgets a sample after 5m, and a fault must be scraped twice", o.Interval, MaxInterval))
	}
	for flag, value := range map[string]*string{"web": &o.ExporterURL, "guide": &o.GuideURL, "grafana": &o.GrafanaURL} {
		if err := report.CheckURL(value, "https://"+flag+".example.com"); err != nil {
			errs = append(errs, fmt.Errorf("--%s.external-url: %w", flag, err))
		}
	}
	if o.GuideURL == "" && o.ExporterURL != "" {
		o.GuideURL = o.ExporterURL + "/guide"
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return o, errors.Join(errs...)
}

func replaceGroups(of *regexp.Regexp, text string, with func(groups []string) string) string {
	return of.ReplaceAllStringFunc(text, func(found string) string { return with(of.FindStringSubmatch(found)) })
}

// groupLine is the line that eval_alignment: false follows. By default, an
// evaluation of vmalert reads the samples of up to one interval ago.
var groupLine = regexp.MustCompile(`(?m)^  - name: .*$`)

var (
	alertLine = regexp.MustCompile(`^ +- alert: (\S+)`)
	forLine   = regexp.MustCompile(`^( +for: )(\S+)$`)
	// atOnce are the alerts about the probe, which fire after the second failed
	// probe, and their causes that another exporter reports.
	atOnce = []string{"RainbondRegionUnreachable", "RainbondRegionPortClosed", "RainbondRegionAPIDown", "RainbondRegionTLSFailing", "RainbondNodeDiskPressure", "RainbondNodeDown"}
)

// forInterval adapts the rules to a longer scrape interval: each window has as
// many scrapes as before, and no alert that a single scrape can mislead fires
// after one.
func forInterval(text string, interval time.Duration) string {
	if interval <= DefaultInterval {
		return text
	}
	atLeast := func(d time.Duration, text string) string {
		if given, err := model.ParseDuration(text); err == nil && time.Duration(given) >= d {
			return text
		}
		if d%time.Minute == 0 {
			return model.Duration(d).String()
		}
		return fmt.Sprintf("%ds", int(d.Seconds())) // Prometheus 2.20 does not know 1m30s
	}
	lines, alert := strings.Split(text, "\n"), ""
	for i, line := range lines {
		if m := alertLine.FindStringSubmatch(line); m != nil {
			alert = m[1]
		}
		if m := forLine.FindStringSubmatch(line); m != nil {
			lines[i] = m[1] + atLeast(interval, m[2])
			if slices.Contains(atOnce, alert) && m[2] == model.Duration(DefaultInterval).String() {
				lines[i] = m[1] + "0s"
			}
		}
	}
	return strings.NewReplacer(
		"(rainbond_api_probe_failed[1m])", "(rainbond_api_probe_failed["+atLeast(4*interval, "1m")+"])",
		`reason=~"server_.+"}[1m]`, `reason=~"server_.+"}[`+atLeast(2*interval+DefaultInterval, "1m")+"]",
		"(rainbond_certificate_mismatch[1m])", "(rainbond_certificate_mismatch["+atLeast(2*interval+DefaultInterval, "1m")+"])",
		"(rainbond_api_up[1m])", "(rainbond_api_up["+atLeast(2*interval+DefaultInterval, "1m")+"])",
		"(rainbond_api_clock_skew_seconds[1m])", "(rainbond_api_clock_skew_seconds["+atLeast(2*interval+DefaultInterval, "1m")+"])",
		"(rainbond_collector_success[2m])", "(rainbond_collector_success["+atLeast(2*interval+DefaultInterval, "2m")+"])",
	).Replace(strings.Join(lines, "\n"))
}

var (
	sectionLine   = regexp.MustCompile(`(?m)^( +)section: (\S+)$`)
	dashboardLine = regexp.MustCompile(`(?m)^( +)dashboard: (\S.*)$`)
)

// withLinks adds the annotations of rules.LinkAnnotations.
func (o Options) withLinks(text string) string {
	if o.GuideURL != "" {
		lang := "en"
		if o.Lang == "zh" {
			lang = "zh"
		}
		text = replaceGroups(sectionLine, text, func(g []string) string {
			return fmt.Sprintf("%s\n%sguide_url: \"%s?lang=%s#%s\"\n%[2]sguide_url_zh: \"%[3]s?lang=zh#%[5]s\"", g[0], g[1], o.GuideURL, lang, g[2])
		})
	}
	if o.GrafanaURL != "" {
		text = replaceGroups(dashboardLine, text, func(g []string) string {
			return fmt.Sprintf("%s\n%sdashboard_url: '%s%s'", g[0], g[1], o.GrafanaURL, g[2])
		})
	}
	return text
}

var (
	english = regexp.MustCompile(`(?m)^ +summary: .*\n +description: \|-\n(?: {12}.*\n)+`)
	chinese = regexp.MustCompile(`(?m)^ +summary_zh: .*\n +description_zh: \|-\n(?: {12}.*\n)+`)
)

// inLanguage leaves one language in summary and description.
func inLanguage(text, lang string) string {
	switch lang {
	case "en":
		return chinese.ReplaceAllString(text, "")
	case "zh":
		text = english.ReplaceAllString(text, "")
		return strings.NewReplacer(" summary_zh:", " summary:", " description_zh:", " description:", "/docs/guide.en.md#", "/docs/guide.zh.md#").Replace(text)
	}
	return text
}

// asObject puts the groups into an object of an operator.
func asObject(text, format string) string {
	header := map[string]string{
		PrometheusRule: "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n",
		VMRule:         "apiVersion: operator.victoriametrics.com/v1beta1\nkind: VMRule\n",
	}[format]
	if header == "" {
		return text
	}
	comments, groups, _ := strings.Cut(text, "\ngroups:\n")
	indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString("groups:\n"+groups, "  $1")
	return comments + "\n" + header + "metadata:\n  name: rainbond-exporter\nspec:\n" + indented
}
