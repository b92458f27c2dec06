package rules_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write rbd-monitor.rules.yaml instead of comparing it")

// elsewhere are the alerts that the console's list does not have: it knows
// neither our scrape job nor who would miss a watchdog.
var elsewhere = []string{"RainbondExporterDown", "RainbondWatchdog"}

// severity is the line after which the labels of rbd-monitor's own alerts
// (rainbond-operator, config/prom/rules.yml) are put.
var severity = regexp.MustCompile(`(?m)^( +)severity: .*$`)

// forMonitor makes the variant: the same rules, with the labels that put an
// alert on the console's overview (PageAlarm, rainbond-console,
// enterprise_services.py).
func forMonitor(catalogue string) string {
	_, text, _ := strings.Cut(catalogue, "\ngroups:\n")
	rules := regexp.MustCompile(`(?m)^(?:      #.*\n)*      - (?:alert|record): (\S+)\n(?:        .*\n|\n)*`)
	text = rules.ReplaceAllStringFunc(text, func(rule string) string {
		for _, name := range elsewhere {
			if strings.Contains(rule, "- alert: "+name+"\n") {
				return ""
			}
		}
		return severity.ReplaceAllString(rule, "$0\n${1}PageAlarm: \"true\"\n${1}Alert: Rainbond\n${1}Region: cloud")
	})
	return "# rainbond.rules.yaml for the Prometheus inside Rainbond (rbd-monitor, 2.20): made of it by go test ./rules -update.\n" +
		"# PageAlarm puts an alert on the console's own overview; docs/alerts.md describes how to mount the file.\n\ngroups:\n" + strings.TrimRight(text, "\n") + "\n"
}

func TestTheVariantForMonitorIsTheCatalogue(t *testing.T) {
	want := forMonitor(read(t, "rainbond.rules.yaml"))
	if *update {
		if err := os.WriteFile("rbd-monitor.rules.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, "rbd-monitor.rules.yaml") != want {
		t.Error("rbd-monitor.rules.yaml is not what rainbond.rules.yaml makes of it (-update writes it)")
	}
}
