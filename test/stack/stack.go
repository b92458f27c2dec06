// Package stack writes what Prometheus and Alertmanager read, of the files
// that ship.
package stack

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// A Stack contains what differs from the files that ship.
type Stack struct {
	Webhook      string              // the URL that gets the messages
	Deadman      string              // the URL that gets the Watchdog; "": Webhook
	Alertmanager string              // its address, for Prometheus
	Scrapes      string              // the rest of Prometheus' configuration
	Edit         func([]byte) []byte // is done to the rules and to Alertmanager's configuration; nil: nothing
}

// urlFile is where Alertmanager's configuration sets in which file a
// receiver's address is: webhook-url or deadman-url.
var urlFile = regexp.MustCompile(`(?m)^([ -]*url_file: *)\S+/(\S+)`)

// Write writes everything into the folder and returns the paths of the two
// configurations.
func (s Stack) Write(folder string) (prometheus, alertmanager string, err error) {
	edit := s.Edit
	if edit == nil {
		edit = func(text []byte) []byte { return text }
	}
	in := func(name string) string { return filepath.Join(folder, name) }
	prometheus, alertmanager = in("prometheus.yaml"), in("alertmanager.yaml")
	if err := os.MkdirAll(in("templates"), 0o700); err != nil {
		return "", "", err
	}
	for path, text := range map[string][]byte{
		in("webhook-url"): []byte(s.Webhook),
		in("deadman-url"): []byte(cmp.Or(s.Deadman, s.Webhook)),
		alertmanager:      urlFile.ReplaceAll(edit(rules.Alertmanager), []byte("${1}"+in("${2}"))),
		filepath.Join(in("templates"), "rainbond.tmpl"): rules.Messages,
		in("rainbond.rules.yaml"):                       edit(rules.Rules),
		prometheus: fmt.Appendf(nil, `
rule_files: [%q]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
%s`, in("rainbond.rules.yaml"), s.Alertmanager, s.Scrapes),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return "", "", err
		}
	}
	return prometheus, alertmanager, nil
}
