package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHistoryIsBounded(t *testing.T) {
	var h History
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	region := Region{Name: "rainbond", Token: Secret("t0ken-of-the-region")}
	for i := range 25 {
		h.Add(region, Trace{Phase: Connect, Err: fmt.Errorf("attempt %d with t0ken-of-the-region\nand %s", i, strings.Repeat("集", 1000))}, start.Add(time.Duration(i)*time.Minute))
	}
	h.Add(region, Trace{Status: 200}, start.Add(time.Hour))
	failed := h.Failed("rainbond")
	if len(failed) != 10 || !strings.HasPrefix(failed[0].Error, "attempt 24 ") || !strings.HasPrefix(failed[9].Error, "attempt 15 ") {
		t.Fatalf("%d entries: %v", len(failed), failed)
	}
	if text := failed[0].Error; len(text) > maxFailureText+len("…") || strings.Contains(text, "t0ken") || strings.Contains(text, "\n") || strings.ContainsRune(text, '\uFFFD') {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	if h.Failed("other") != nil {
		t.Error("a region without failures has entries")
	}
	h.Keep([]Region{{Name: "other"}})
	if h.Failed("rainbond") != nil || len(h.regions) != 0 {
		t.Error("a removed region is kept")
	}
}

func TestHistoryLogsWithBackOff(t *testing.T) {
	var h History
	region := Region{Name: "rainbond"}
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	refused := Trace{Phase: TLS, Err: errors.New("boom")}
	var logged []string
	for at := time.Duration(0); at < 40*time.Minute; at += 15 * time.Second {
		if _, log := h.Add(region, refused, start.Add(at)); log {
			logged = append(logged, at.String())
		}
	}
	if got := strings.Join(logged, " "); got != "0s 1m0s 3m0s 7m0s 15m0s 31m0s" {
		t.Errorf("logged at %s", got)
	}
	at := start.Add(40 * time.Minute)
	if _, log := h.Add(region, Trace{Status: 503}, at); !log {
		t.Error("another failure is not logged")
	}
	if _, log := h.Add(region, Trace{Status: 503}, at.Add(time.Second)); log {
		t.Error("the same failure is logged twice")
	}
	if _, log := h.Add(region, Trace{Status: 503}, at.Add(10*time.Minute)); !log {
		t.Error("a failure after a recovery is not logged")
	}
	entry, log := h.Add(region, Trace{Unknown: &UnknownError{Connect, ErrTooLittleTime}}, at.Add(11*time.Minute))
	if !log || !entry.Unknown || entry.Reason != "" {
		t.Errorf("without a result: %+v, log %t", entry, log)
	}
}

func TestDetailsContainNoSecret(t *testing.T) {
	const token = "t0ken-of-the-region"
	trace := Trace{
		URL: "https://region.example:8443", Resolved: []string{"192.0.2.1", "192.0.2.2"}, Address: "192.0.2.2:8443",
		FailedAddresses: []error{errors.New("dial tcp 192.0.2.1:8443: connection refused")},
		TLSVersion:      "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Served: [][]byte{{1}},
		Status: 200, Body: []byte("v6.9.8 " + token), Header: []string{"Server: " + token},
		ClockSkew: 2 * time.Hour, SkewKnown: true, Ready: map[string]bool{AllChecks: true},
		Durations: map[Phase]time.Duration{Connect: time.Millisecond}, Took: time.Second,
	}
	text := strings.Join(trace.Details(Region{Token: Secret(token)}), "\n")
	for _, want := range []string{
		"url: https://region.example:8443", "resolve: 192.0.2.1, 192.0.2.2", "connect: dial tcp 192.0.2.1:8443: connection refused", "connect: 192.0.2.2:8443",
		"tls: TLS 1.3, TLS_AES_128_GCM_SHA256", "tls: certificate 1: ", "http: status 200", "http: header Server: [credential]", "http: clock skew 2h0m0s",
		"ready: all: true", "duration: connect 1ms", "duration: total 1s", "result: success",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, token) {
		t.Errorf("the token is in:\n%s", text)
	}
}
