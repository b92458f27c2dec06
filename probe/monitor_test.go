package probe

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// monitored responds to the requests that rbd-api forwards to rbd-monitor.
func monitored(alarms, query func(http.ResponseWriter)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+fault.AlertsPath, func(w http.ResponseWriter, _ *http.Request) { alarms(w) })
	mux.HandleFunc("GET "+fault.QueryPath, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("query") != fault.LastScrapeQuery {
			w.WriteHeader(http.StatusBadRequest)
		}
		query(w)
	})
	return mux
}

func respond(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestMonitor(t *testing.T) {
	_, g := twoGenerations(t)
	const (
		firing  = `{"status":"success","data":{"alerts":[{"labels":{"alertname":"BuilderDown","PageAlarm":"true"},"state":"firing","activeAt":"2026-11-24T02:00:00Z"}]}}`
		scraped = `{"status":"success","data":{"result":[{"value":[1764000030,"1764000000"]}]}}`
		away    = `{"code":502,"msg":"upstream service unreachable","detail":"dial tcp: lookup rbd-monitor"}`
	)
	for _, row := range []struct {
		name          string
		alarms, query func(http.ResponseWriter)
		want          string
	}{
		{"an alarm", respond(200, firing), respond(200, scraped), "up true, 1 shown, last 1764000000"},
		{"rbd-monitor is away", respond(502, away), respond(502, away), "up false, 0 shown, last 0"},
		{"it goes away between the two", respond(200, firing), respond(504, ""), "up false, 0 shown, last 0"},
		{"a region without such a path", respond(404, ""), respond(404, ""), "/api/v1/alerts: HTTP 404"},
		{"something else answers", respond(200, "<html>"), respond(200, scraped), "/api/v1/alerts: not a Prometheus response"},
		{"too many alarms", respond(200, strings.Repeat(" ", maxAlarms+1)+firing), respond(200, scraped), "has more than"},
	} {
		t.Run(row.name, func(t *testing.T) {
			address, logged := serveAPI(t, g, monitored(row.alarms, row.query), nil)
			m, err := new(Prober).Monitor(t.Context(), regionAt(address, g))
			got := fmt.Sprintf("up %v, %d shown, last %d", m.Up, len(m.Shown), max(0, m.LastScrape.Unix()))
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, row.want) || logged() != "" {
				t.Errorf("got %s, want %s; in the log: %s", got, row.want, logged())
			}
		})
	}
}

func TestMonitorOfAnUnreachableRegion(t *testing.T) {
	_, g := twoGenerations(t)
	r := regionAt("127.0.0.1:1", g)
	if m, err := new(Prober).Monitor(t.Context(), r); err == nil || m.Up {
		t.Errorf("got %+v, %v", m, err)
	}
	r.Cert = nil
	if _, err := new(Prober).Monitor(t.Context(), r); err == nil {
		t.Error("requested without a certificate")
	}
	begin := time.Now()
	hangs := monitored(func(http.ResponseWriter) { <-t.Context().Done() }, nil)
	address, _ := serveAPI(t, g, hangs, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := new(Prober).Monitor(ctx, regionAt(address, g)); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}
