package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// pluginGrace is how long a request may continue after the end of its
	// context before it counts as waiting for the exec plugin.
	pluginGrace = time.Second

	// minPluginPause and maxPluginPause are the pauses after a failure of the
	// exec plugin: the first, and the longest after doubling.
	minPluginPause = time.Second
	maxPluginPause = 5 * time.Minute
)

// pluginError is the beginning of an error of an exec plugin
// (k8s.io/client-go/plugin/pkg/client/auth/exec).
const pluginError = "getting credentials: "

var errPluginHangs = errors.New("the exec plugin of the kubeconfig has not returned")

// An execGate protects against an exec plugin of the kubeconfig, which client-go
// calls in each request without a timeout and without a pause. After a failure,
// requests fail with the same error until the pause has ended. While the plugin
// hangs, one goroutine waits for it and other requests fail.
type execGate struct {
	http.RoundTripper

	mu    sync.Mutex
	hangs bool
	pause time.Duration
	until time.Time // the end of the pause
	err   error     // the last failure
}

type roundTrip struct {
	response *http.Response
	err      error
}

func (g *execGate) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.closed(); err != nil {
		return nil, err
	}
	done := make(chan roundTrip, 1)
	go func() {
		response, err := g.RoundTripper.RoundTrip(r) //nolint:bodyclose // passed on, or closed by abandon
		done <- roundTrip{response, err}
	}()
	select {
	case result := <-done:
		return g.record(result)
	case <-r.Context().Done():
	}
	// A transport returns at once when the context ends. A plugin does not.
	grace := time.NewTimer(pluginGrace)
	defer grace.Stop()
	select {
	case result := <-done:
		return g.record(result)
	case <-grace.C:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.hangs = true
		go g.abandon(done)
		return nil, fmt.Errorf("%w: %w", errPluginHangs, context.Cause(r.Context()))
	}
}

// closed returns the error of a request that must not be sent now.
func (g *execGate) closed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.hangs:
		return errPluginHangs
	case time.Now().Before(g.until):
		return fmt.Errorf("%w (called again at %s)", g.err, g.until.UTC().Format(time.RFC3339))
	}
	return nil
}

// record stores whether the plugin failed.
func (g *execGate) record(result roundTrip) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if result.err == nil || !strings.Contains(result.err.Error(), pluginError) {
		g.pause, g.err = 0, nil
		return result.response, result.err
	}
	if !time.Now().Before(g.until) { // concurrent failures count once
		g.pause = min(max(2*g.pause, minPluginPause), maxPluginPause)
		g.until, g.err = time.Now().Add(g.pause), result.err
	}
	return nil, result.err
}

// abandon waits for a request whose caller has gone.
func (g *execGate) abandon(done <-chan roundTrip) {
	result := <-done
	if result.response != nil {
		_ = result.response.Body.Close()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hangs = false
}
