package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/relay"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// testAlertFlags holds the flags of the command test-alert.
type testAlertFlags struct {
	path      relay.Path
	tokenFile string
	timeout   time.Duration
}

func (t *testAlertFlags) add(c *kingpin.CmdClause, lang *string) {
	c.Flag("prometheus.url", "URL of Prometheus. Without it, the rules are not checked.").PlaceHolder("URL").StringVar(&t.path.Prometheus)
	c.Flag("alertmanager.url", "URL of Alertmanager.").PlaceHolder("URL").Required().StringVar(&t.path.Alertmanager)
	c.Flag("relay.url", "URL of the relay. Without it, the test ends at the route.").PlaceHolder("URL").StringVar(&t.path.Relay)
	c.Flag("relay.token-file", "File with the token of the relay.").PlaceHolder("FILE").StringVar(&t.tokenFile)
	c.Flag("severity", "Severity of the test alert, which decides the route: critical or warning.").Default("critical").EnumVar(&t.path.Severity, "critical", "warning")
	c.Flag("lang", "Language: zh or en. Default: from $LANG.").Default(languageOf(os.Getenv)).StringVar(lang)
	c.Flag("timeout", "Time limit of the test. The route waits for its group_wait.").Default("2m").DurationVar(&t.timeout)
}

// testTexts are the texts of a test that only the command has.
var testTexts = map[string]map[string]string{
	"en": {"ok": "ok", "failed": "failed", "partial": "The alert has a route. Without --relay.url, the rest is not checked."},
	"zh": {"ok": "正常", "failed": "失败", "partial": "告警有路由。没有 --relay.url，后面的步骤未检查。"},
}

// readToken reads the token of the relay from the file of a flag, if there is one.
func readToken(flag, file string, token *string) error {
	if file == "" {
		return nil
	}
	text, err := configfile.Read(file, "a text file", 1<<12)
	if err != nil || strings.TrimSpace(string(text)) == "" {
		return fmt.Errorf("--%s: cannot be read or is empty; expected a file with the token of the relay", flag)
	}
	*token = strings.TrimSpace(string(text))
	return nil
}

// testAlert sends a test message through the whole path and prints each step.
func (f *flags) testAlert(ctx context.Context, out io.Writer) (int, error) {
	t := f.test
	for _, u := range []struct {
		flag  string
		value *string
	}{{"prometheus", &t.path.Prometheus}, {"alertmanager", &t.path.Alertmanager}, {"relay", &t.path.Relay}} {
		if parsed, err := url.Parse(*u.value); *u.value != "" && (err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "") {
			return unknown, fmt.Errorf("--%s.url: not a URL; expected http://HOST:PORT", u.flag)
		}
		*u.value = strings.TrimRight(*u.value, "/")
	}
	if t.timeout <= 0 {
		return unknown, fmt.Errorf("--timeout: %s; expected a duration above 0, such as 2m", t.timeout)
	}
	if err := readToken("relay.token-file", t.tokenFile, &t.path.Token); err != nil {
		return unknown, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	texts := testTexts[f.lang]
	ok := t.path.Test(ctx, &http.Client{}, func(s relay.Step) {
		result := texts["ok"]
		if !s.OK {
			result = texts["failed"]
		}
		fmt.Fprintf(out, "[%s] %s: %s\n", result, report.Phrase(f.lang, "step_"+s.Name), s.Detail.In(f.lang))
	})
	switch {
	case !ok:
		fmt.Fprintln(out, report.Phrase(f.lang, "test_stopped"))
		return faults, nil
	case t.path.Relay == "":
		fmt.Fprintln(out, texts["partial"])
	default:
		fmt.Fprintln(out, report.Phrase(f.lang, "test_complete"))
	}
	return healthy, nil
}
