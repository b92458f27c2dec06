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
	// monitorTimeout bounds both requests together. rbd-api aborts a request
	// after 5 s (rainbond, api/handler, interceptors/http.go).
	monitorTimeout = 6 * time.Second
	// maxAlarms bounds one response, in bytes. Each tenant short of resources
	// has an alarm of about 400 bytes.
	maxAlarms = 1 << 20
)

// Monitor requests from the region's API the data of the console's list of
// component alarms, and their age. The error is why they are unknown. That the
// API cannot reach rbd-monitor is not an error.
func (p *Prober) Monitor(ctx context.Context, r fault.Region) (m fault.Monitor, err error) {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	q := p.request(r)
	defer func() {
		if q.done != nil {
			q.done()
		}
		if cause := recover(); cause != nil {
			m, err = fault.Monitor{}, fmt.Errorf("panic: %v", cause)
		}
	}()
	if !q.open(ctx, p) {
		return fault.Monitor{}, fmt.Errorf("%s: %w", q.trace.Phase, q.trace.Err)
	}
	q.limitResponses(3 * maxAlarms)
	body, up, err := q.query(fault.AlertsPath)
	if err != nil || !up {
		return fault.Monitor{}, err
	}
	m = fault.Monitor{Up: true}
	if m.Shown, err = fault.ReadAlarms(body); err != nil {
		return fault.Monitor{}, err
	}
	if body, up, err = q.query(fault.QueryPath + "?" + url.Values{"query": {fault.LastScrapeQuery}}.Encode()); err != nil || !up {
		return fault.Monitor{}, err
	}
	m.LastScrape, err = fault.ReadLastScrape(body)
	return m, err
}

// query sends one request that the region's API forwards to rbd-monitor; up is
// false when it cannot.
func (q *request) query(pathAndQuery string) (body []byte, up bool, err error) {
	get, err := q.get(pathAndQuery)
	if err != nil {
		return nil, false, err
	}
	path := get.URL.Path
	if err := q.send(get); err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	r, err := q.receive(get, maxAlarms)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%s: %w", path, err)
	case r.status == http.StatusBadGateway || r.status == http.StatusGatewayTimeout:
		return nil, false, nil
	case r.status != http.StatusOK:
		return nil, false, fmt.Errorf("%s: HTTP %d", path, r.status)
	case !r.reuse:
		return nil, false, fmt.Errorf("%s: the response has more than %d bytes, or closes the connection", path, maxAlarms)
	}
	return r.body, true, nil
}
