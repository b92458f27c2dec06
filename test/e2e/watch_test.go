//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// kubernetesIsAway freezes the API server, kills it and brings it back.
func (w *world) kubernetesIsAway(t *testing.T) {
	away := time.Now()
	w.exporter.answersInTime(t, "before")

	w.kube.server.signal(t, syscall.SIGSTOP)
	w.exporter.answersInTime(t, "while kube-apiserver hangs")
	until(t, 10*time.Second, "the collectors that need the Kubernetes API fail", func() error { return w.exporter.cannot("tls", "cert") })

	w.kube.server.kill()
	w.exporter.answersInTime(t, "while kube-apiserver is dead")
	took := until(t, 2*time.Minute, "the watch caches refuse to answer from memory", func() error {
		return w.exporter.cannot("tls", "cert", "node-role", "component", "disk")
	})
	progress("the watch caches refused to answer %s after kube-apiserver died", seconds(took))
	seen, err := w.exporter.scrape()
	must(t, err)
	for _, claim := range []string{"rainbond_component_ready", "rainbond_nodes", "rainbond_node_condition"} {
		if seen[claim] != nil {
			t.Errorf("%s is still claimed although nobody can know", claim)
		}
	}
	if seen["rainbond_api_up"] == nil {
		t.Error("rainbond_api_up is gone, although the region API can be asked")
	}

	w.kube.run(t)
	took = until(t, time.Minute, "every collector succeeds again", func() error { return w.exporter.onlyFailing() })
	progress("every collector succeeded %s after kube-apiserver came back, without a restart of the exporter", seconds(took))
	failing := page{alert: "RainbondCollectorFailing"}
	w.end(t, failing, away)
	until(t, ends, "no alert fires any more", func() error { return w.alerting.quiet("firing") })
	for _, n := range w.alerting.person.since(away) {
		if !failing.is(n) {
			t.Errorf("Kubernetes was away, and a person was notified: %s", n)
		}
	}
}

// cannot is nil when at least the given collectors fail.
func (e *exporter) cannot(collectors ...string) error {
	seen, err := e.scrape()
	if err != nil {
		return err
	}
	failing := seen.failing()
	for _, name := range collectors {
		if !slices.Contains(failing, name) {
			return fmt.Errorf("%s reports success; failing: %v", name, failing)
		}
	}
	return nil
}

// answersInTime checks that a scrape is answered within the time it states.
func (e *exporter) answersInTime(t *testing.T, when string) {
	t.Helper()
	for range 2 {
		begin := time.Now()
		_, err := e.get("/metrics")
		if took := time.Since(begin); err != nil || took > answerWithin {
			t.Errorf("%s, /metrics took %s (%v); expected an answer within %s", when, seconds(took), err, answerWithin)
		}
	}
}

func (w *world) noSecretIsShown(t *testing.T) {
	shown := map[string][]byte{"the exporter's log": []byte(tail(w.exporter.log, 1<<20))}
	for _, path := range []string{"/metrics", "/", "/api/v1/diagnosis"} {
		page, err := w.exporter.get(path)
		must(t, err)
		shown[path] = page
	}
	for where, text := range shown {
		for what, secret := range map[string]string{
			"a private key": "PRIVATE KEY", "a certificate": "BEGIN CERTIFICATE", "its token": w.token, "a password": "not for us",
		} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s shows %s", where, what)
			}
		}
	}
}

func (w *world) exporterEnds(t *testing.T) {
	gone := time.Now()
	for _, e := range []*exporter{w.node, w.exporter} {
		if e == nil {
			continue
		}
		status, took := e.ends(t, 5*time.Second)
		if status != 0 {
			t.Errorf("%s ended with %d; expected 0", e.name, status)
		}
		progress("%s ended with %d, %s after SIGTERM", e.name, status, seconds(took))
	}
	down := page{alert: "RainbondExporterDown"}
	until(t, fires, "the webhook receives that the exporter is gone", func() error {
		_, err := down.find("firing", w.alerting.person.since(gone))
		return err
	})
	for _, n := range w.alerting.person.since(gone) {
		if n.Status == "firing" && !down.is(n) {
			t.Errorf("the exporter was stopped, and a person was notified: %s", n)
		}
	}
}
