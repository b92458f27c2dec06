package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// DingTalk and WeCom accept 20 messages a minute, Feishu 5 a second. burst and
// interval allow 19 in any minute, of which 4 at once.
const (
	burst    = 4
	interval = 4 * time.Second
)

// maxWait is how long a notification waits for the rate limit. Alertmanager waits
// for its group_interval, a minute in our configuration, and sends again later.
const maxWait = 45 * time.Second

// maxQueue is the number of notifications of one receiver that may wait.
const maxQueue = 500

// Pauses after a failure. DingTalk blocks a robot for 10 minutes after its limit.
const (
	dingTalkBlock = 10 * time.Minute
	rateBlock     = time.Minute
	minBackoff    = time.Second
	maxBackoff    = 30 * time.Second
)

// A pace limits the messages to one robot, of which there may be several receivers.
type pace struct {
	limiter *rate.Limiter

	mu       sync.Mutex
	until    time.Time // no message before
	why      result    // the failure that caused the pause
	failures int       // in a row
}

func newPace() *pace { return &pace{limiter: rate.NewLimiter(rate.Every(interval), burst)} }

// paused returns the rest of a pause, and its cause.
func (p *pace) paused() (time.Duration, result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until), p.why
}

// record sets the pause after a message.
func (p *pace) record(kind string, r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := time.Duration(0)
	switch {
	case r.outcome == rateLimited && kind == DingTalk:
		pause = dingTalkBlock
	case r.outcome == rateLimited:
		pause = rateBlock
	case r.outcome == unreachable:
		pause = min(maxBackoff, minBackoff<<min(p.failures, 10))
		p.failures++
	default:
		p.failures = 0
	}
	p.until, p.why = time.Now().Add(pause), r
}

// An item is a notification that waits.
type item struct {
	n    notification
	done chan result // receives one result
}

// A queue sends the notifications of one receiver, one message at a time. What
// waits for the rate limit is merged into one message.
type queue struct {
	receiver *Receiver
	client   *http.Client
	pace     *pace
	metrics  *metrics
	log      *slog.Logger

	mu      sync.Mutex
	waiting []*item
	wake    chan struct{} // has one element if there is something to do
}

// deliver returns the result of a notification, after at most maxWait and the
// time of one request.
func (q *queue) deliver(ctx context.Context, n notification) result {
	if rest, why := q.pace.paused(); rest > maxWait {
		return q.count(result{outcome: why.outcome, code: why.code, reason: fmt.Sprintf("%s; next message in %s", why.reason, rest.Round(time.Second))})
	}
	i := &item{n, make(chan result, 1)}
	if !q.add(i) {
		return q.count(result{outcome: expired, reason: fmt.Sprintf("%d notifications wait already", maxQueue)})
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case r := <-i.done:
		return r
	case <-ctx.Done():
	}
	if q.remove(i) {
		return q.count(result{outcome: expired, reason: "it was not sent in time because of the rate limit"})
	}
	return <-i.done // it is being sent
}

func (q *queue) count(r result) result {
	q.metrics.deliveries.WithLabelValues(q.receiver.Name, r.outcome).Inc()
	return r
}

func (q *queue) add(i *item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxQueue {
		return false
	}
	q.waiting = append(q.waiting, i)
	q.changed()
	return true
}

// remove reports whether the item was still waiting.
func (q *queue) remove(i *item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	index := slices.Index(q.waiting, i)
	if index < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, index, index+1)
	q.changed()
	return true
}

// take removes and returns all items.
func (q *queue) take() []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting = nil
	q.changed()
	return all
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// changed updates the metric and wakes run. The caller holds mu.
func (q *queue) changed() {
	q.metrics.queue.WithLabelValues(q.receiver.Name).Set(float64(len(q.waiting)))
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run sends what waits, until ctx ends.
func (q *queue) run(ctx context.Context) {
	for {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
		for q.length() > 0 {
			if rest, _ := q.pace.paused(); rest > 0 {
				select {
				case <-time.After(rest):
					continue // another receiver of the robot may have failed meanwhile
				case <-ctx.Done():
					return
				}
			}
			if q.pace.limiter.Wait(ctx) != nil {
				return
			}
			q.send(ctx, q.take())
		}
	}
}

// send posts one message for all items and gives each the result.
func (q *queue) send(ctx context.Context, items []*item) {
	if len(items) == 0 { // they have expired
		return
	}
	var alerts []alert
	more := 0
	for _, i := range items {
		alerts = append(alerts, i.n.Alerts...)
		more += i.n.TruncatedAlerts
	}
	r := q.receiver.post(ctx, q.client, q.receiver.body(alerts, more))
	q.pace.record(q.receiver.Type, r)
	q.metrics.messages.WithLabelValues(q.receiver.Name).Inc()
	if r.outcome == delivered {
		q.metrics.lastSuccess.WithLabelValues(q.receiver.Name).SetToCurrentTime()
		q.metrics.failures.WithLabelValues(q.receiver.Name).Set(0)
		q.log.Info("message delivered", "notifications", len(items), "alerts", len(alerts)+more)
	} else {
		q.metrics.failures.WithLabelValues(q.receiver.Name).Inc()
		q.log.Error("message not delivered", "outcome", r.outcome, "reason", r.reason, "notifications", len(items), "alerts", len(alerts)+more)
	}
	for _, i := range items {
		q.count(r)
		i.done <- r
	}
}
