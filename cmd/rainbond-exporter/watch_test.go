package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// reading is called with the output of each check.
type reading func(text string)

func (r reading) Write(p []byte) (int, error) {
	r(string(p))
	return len(p), nil
}

// watchWhile runs check --watch until ctx ends, and wants it to end with status
// and without a complaint.
func watchWhile(ctx context.Context, t *testing.T, status int, read reading, args ...string) {
	t.Helper()
	var errs bytes.Buffer
	if got := run(ctx, append([]string{"check", "--watch", "--interval=1s", "--lang=en"}, args...), read, &errs); got != status || errs.Len() > 0 {
		t.Errorf("ended with %d, want %d: %s", got, status, errs.String())
	}
}

// TestWatchPrintsChanges gives a region without certificates some while
// it is being watched: then they can be read, and nobody answers.
func TestWatchPrintsChanges(t *testing.T) {
	config := webless(t)
	g, err := pki.New(2048)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	checks, output := 0, ""
	watchWhile(ctx, t, faults, func(text string) {
		output += text
		if checks++; checks == 2 {
			end()
			return
		}
		for name, content := range map[string][]byte{"a": g.CA, "b": g.Client, "c": g.ClientKey} {
			if err := os.WriteFile(filepath.Join(filepath.Dir(config), name), content, 0o600); err != nil {
				t.Error(err)
			}
		}
	}, "--role=console", "--config.file="+config)
	want := `
TIME  Region a: 1 fault
TIME  new      CRITICAL Region a: the TLS handshake with the API fails (client_unreadable) (RainbondRegionTLSFailing, region a, reason=client_unreadable)
TIME  new      CRITICAL Region a: a certificate in console is missing or unusable (RainbondCertificateUnreadable, region a, place=console)
TIME  new      CRITICAL Region a: the API port is closed (RainbondRegionPortClosed, region a)
TIME  resolved CRITICAL Region a: the TLS handshake with the API fails (client_unreadable) (RainbondRegionTLSFailing, region a, reason=client_unreadable), after 1s
TIME  resolved CRITICAL Region a: a certificate in console is missing or unusable (RainbondCertificateUnreadable, region a, place=console), after 1s
`
	got := "\n" + regexp.MustCompile(`20[-0-9]+T[0-9:]+Z`).ReplaceAllString(output, "TIME")
	if got = regexp.MustCompile(`after [0-9]+s`).ReplaceAllString(got, "after 1s"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
