package relay

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of a notification.
const (
	delivered   = "delivered"    // the robot has accepted the message
	rejected    = "rejected"     // the robot refuses it: signature, keyword, URL, format
	rateLimited = "rate_limited" // the robot has received too many messages
	unreachable = "unreachable"  // no answer, or an error of the robot's server
	expired     = "expired"      // the sender stopped waiting before it was sent
)

var outcomes = []string{delivered, rejected, rateLimited, unreachable, expired}

// metrics are the metrics of the relay.
type metrics struct {
	deliveries  *prometheus.CounterVec
	messages    *prometheus.CounterVec
	queue       *prometheus.GaugeVec
	lastSuccess *prometheus.GaugeVec
	failures    *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer, c *Config) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rainbond_relay_deliveries_total",
			Help: "Notifications of Alertmanager by outcome: delivered, rejected, rate_limited, unreachable or expired. A merged message counts once for each notification in it."}, []string{"receiver", "outcome"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rainbond_relay_messages_total",
			Help: "Messages posted to the receiver, including those that failed."}, []string{"receiver"}),
		queue: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rainbond_relay_queue_length",
			Help: "Notifications that wait for the rate limit of the receiver."}, []string{"receiver"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rainbond_relay_last_success_timestamp_seconds",
			Help: "Time of the last message that the receiver has accepted, 0 without one."}, []string{"receiver"}),
		failures: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rainbond_relay_consecutive_failures",
			Help: "Messages that the receiver has not accepted since the last one that it has accepted."}, []string{"receiver"}),
	}
	registry.MustRegister(m.deliveries, m.messages, m.queue, m.lastSuccess, m.failures)
	for _, r := range c.Receivers {
		for _, outcome := range outcomes {
			m.deliveries.WithLabelValues(r.Name, outcome)
		}
		m.messages.WithLabelValues(r.Name)
		m.queue.WithLabelValues(r.Name)
		m.lastSuccess.WithLabelValues(r.Name)
		m.failures.WithLabelValues(r.Name)
	}
	return m
}
