package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	// monitorTimeout bounds both questions together: rbd-api itself gives up
	// on a request after 5 s (rainbond, api/handler, interceptors/http.go).
	monitorTimeout = 6 * time.Second
	// maxAlarms bounds one answer. Each tenant short of resources has an alarm
	// of some 400 bytes.
	maxAlarms = 1 << 20
)

// Monitor asks the region's API what the console asks it for its list of
// component faults, and how old the data behind it are. The error says why
// neither is known; that the API cannot reach rbd-monitor is an answer.
func (p *Prober) Monitor(ctx context.Context, r fault.Region) (fault.Monitor, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	q := &request{region: r, trace: fault.Trace{URL: r.URL, Durations: map[fault.Phase]time.Duration{}}}
	target, ok := q.open(ctx, p)
	if q.done != nil {
		defer q.done()
	}
	if !ok {
		return fault.Monitor{}, fmt.Errorf("%s: %w", q.trace.Phase, q.trace.Err)
	}
	q.listen(3 * maxAlarms)
	body, up, err := q.ask(target, fault.AlertsPath, "")
	if err != nil || !up {
		return fault.Monitor{}, err
	}
	m := fault.Monitor{Up: true}
	if m.Shown, err = fault.ReadAlarms(body); err != nil {
		return fault.Monitor{}, err
	}
	if body, up, err = q.ask(target, fault.QueryPath, url.Values{"query": {fault.LastScrapeQuery}}.Encode()); err != nil || !up {
		return fault.Monitor{}, err
	}
	m.LastScrape, err = fault.ReadLastScrape(body)
	return m, err
}

// ask puts one question that the region's API hands on to rbd-monitor; up is
// false when it could not.
func (q *request) ask(target *url.URL, path, query string) (body []byte, up bool, err error) {
	asked := q.get(target, path)
	asked.URL.RawQuery = query
	if err := q.send(asked); err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	status, body, whole, err := q.receive(asked, maxAlarms)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%s: %w", path, err)
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return nil, false, nil
	case status != http.StatusOK:
		return nil, false, fmt.Errorf("%s: HTTP %d", path, status)
	case !whole:
		return nil, false, fmt.Errorf("%s: the answer is longer than %d bytes, or the last on its connection", path, maxAlarms)
	}
	return body, true, nil
}
