package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// roundTripper is a transport whose exec plugin fails or hangs.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func request(t *testing.T, timeout time.Duration) (*http.Request, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://kube.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r, cancel
}

func TestFailingExecPluginIsCalledWithBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, failing := 0, true
		g := &execGate{RoundTripper: roundTripper(func(*http.Request) (*http.Response, error) {
			calls++
			if failing {
				return nil, errors.New("getting credentials: exec: executable aws failed with exit code 255")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, nil
		})}
		send := func() error {
			r, cancel := request(t, time.Second)
			defer cancel()
			response, err := g.RoundTrip(r)
			if err == nil {
				return response.Body.Close()
			}
			return err
		}
		for begin := time.Now(); time.Since(begin) < time.Hour; <-time.After(100 * time.Millisecond) {
			if err := send(); err == nil || !strings.Contains(err.Error(), "executable aws failed") {
				t.Fatalf("got %v, want the error of the plugin", err)
			}
		}
		if calls < 15 || calls > 25 { // 9 doublings to 5 minutes, then one each 5 minutes
			t.Errorf("%d calls of the plugin in an hour, want about 20", calls)
		}
		failing = false
		<-time.After(maxPluginPause)
		before := calls
		for range 3 {
			if err := send(); err != nil {
				t.Error(err)
			}
		}
		if calls != before+3 {
			t.Errorf("%d requests after the plugin succeeded, want 3", calls-before)
		}
	})
}

func TestHangingExecPluginOccupiesOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var calls atomic.Int32
		var closed atomic.Bool
		g := &execGate{RoundTripper: roundTripper(func(*http.Request) (*http.Response, error) {
			calls.Add(1)
			<-answer
			return &http.Response{StatusCode: http.StatusOK, Body: closer{&closed}}, nil
		})}
		for i := range 10 {
			r, cancel := request(t, 2*time.Second)
			begin := time.Now()
			response, err := g.RoundTrip(r)
			cancel()
			if response != nil {
				_ = response.Body.Close()
			}
			if !errors.Is(err, errPluginHangs) {
				t.Errorf("got %v, want that the plugin hangs", err)
			}
			if took := time.Since(begin); i == 0 && took != 2*time.Second+pluginGrace || i > 0 && took != 0 {
				t.Errorf("request %d took %s", i, took)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls hang, want 1", n)
		}
		close(answer)
		synctest.Wait()
		if !closed.Load() {
			t.Error("the response that came too late is not closed")
		}
		r, cancel := request(t, time.Second)
		defer cancel()
		response, err := g.RoundTrip(r)
		if err != nil {
			t.Fatalf("when the plugin returns again: %v", err)
		}
		_ = response.Body.Close()
	})
}

type closer struct{ closed *atomic.Bool }

func (closer) Read([]byte) (int, error) { return 0, io.EOF }
func (c closer) Close() error           { c.closed.Store(true); return nil }
