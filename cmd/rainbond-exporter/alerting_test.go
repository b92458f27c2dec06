package main

import (
	"io"
	"strings"
	"testing"
)

func TestFlagsOfTheTestMessageAreChecked(t *testing.T) {
	for args, want := range map[string]string{
		"demo --alerting.relay-url=http://r": "--alerting.relay-url, --alerting.relay-token-file: expected --alerting.alertmanager-url",
		"demo --alerting.prometheus-url=http://p --alerting.alertmanager-url=http://a --alerting.relay-url=r:1":                                                       "--alerting.relay-url: unexpected value",
		"demo --alerting.prometheus-url=http://p --alerting.alertmanager-url=http://a --alerting.relay-token-file=t":                                                  "and, with a token, --alerting.relay-url",
		"demo --rsa-bits=2048 --alerting.prometheus-url=http://p --alerting.alertmanager-url=http://a --alerting.relay-url=http://r --alerting.relay-token-file=none": "--alerting.relay-token-file: cannot be read or is empty",
		"serve --alerting.relay-url=http://r": "unknown long flag '--alerting.relay-url'",
	} {
		var stderr strings.Builder
		if status := run(t.Context(), strings.Fields(args), io.Discard, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit status %d, %s", args, status, stderr.String())
		}
	}
}

func TestAlertingFlagsAreChecked(t *testing.T) {
	for args, want := range map[string]string{
		"--alerting.prometheus-url=http://p:9090":                                       "--alerting.prometheus-url, --alerting.alertmanager-url: only one is set; expected both or none",
		"--alerting.prometheus-url=p:9090 --alerting.alertmanager-url=http://a":         "--alerting.prometheus-url: unexpected value",
		"--alerting.prometheus-url=http://u:p@p --alerting.alertmanager-url=http://a":   "--alerting.prometheus-url: unexpected value",
		"--alerting.prometheus-url=http://p --alerting.alertmanager-url=http://a?token": "--alerting.alertmanager-url: unexpected value",
		"--web.frame-ancestor=*":                         `--web.frame-ancestor: "*"; expected one origin`,
		"--web.frame-ancestor=https://c.example.com/app": "--web.frame-ancestor: ",
		"--web.frame-ancestor=https://c;script-src":      "--web.frame-ancestor: ",
		"--web.frame-ancestor=https://*.example.com":     "--web.frame-ancestor: ",
	} {
		var stderr strings.Builder
		if status := run(t.Context(), append([]string{"serve"}, strings.Fields(args)...), io.Discard, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit status %d, %s", args, status, stderr.String())
		}
	}
}
