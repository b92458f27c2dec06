package collector

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A LogReader calls handle for every line of rbd-api's log that it has not
// passed on before, with the time at which the kubelet received the line.
type LogReader func(ctx context.Context, handle func(at time.Time, line []byte)) error

// handshakes counts the TLS handshake errors in the log of rbd-api.
type handshakes struct {
	region string
	read   LogReader
	gaps   func() int

	mu           sync.Mutex
	errors       *prometheus.CounterVec
	last         map[fault.Class]handshakeAt
	lastComplete time.Time // start of the last collection that read the whole log
}

type handshakeAt struct {
	at    time.Time
	began time.Time // the first error of the series
	fault.Handshake
}

// Errors of a class that follow each other within maxErrorGap are one series. A
// series without an error for maxErrorPause may have ended, for example after a
// repair, so that its age is unknown.
const (
	maxErrorGap   = 5 * time.Minute
	maxErrorPause = time.Minute
)

// NewTLS returns the collector of symptom tls for the region of that name. gaps
// returns how many times lines of the log were lost; nil means never.
func NewTLS(region string, read LogReader, gaps func() int) Collector {
	if gaps == nil {
		gaps = func() int { return 0 }
	}
	h := &handshakes{region: region, read: read, gaps: gaps, errors: counterVec("rainbond_api_tls_handshake_errors_total"), last: map[fault.Class]handshakeAt{}}
	for _, s := range fault.HandshakePatterns {
		h.errors.WithLabelValues(region, string(s.Class), string(s.Reason))
	}
	return h
}

func (c *handshakes) Name() string { return SlugTLS }

func (c *handshakes) Collect(ctx context.Context) (Report, error) {
	start := time.Now()
	err := c.read(ctx, c.count)
	var r Report
	r.collect(c.errors)
	r.addSample("rainbond_api_log_gaps_total", float64(c.gaps()), c.region)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.lastComplete = start
	}
	for _, class := range fault.Classes {
		last, ok := c.last[class]
		if !ok {
			continue
		}
		r.addSample("rainbond_api_tls_handshake_error_last_timestamp_seconds", float64(last.at.UnixMilli())/1000, c.region, string(class))
		if class != fault.Benign {
			message := last.Text
			if class == fault.UnknownHandshake {
				message = "TLS handshake failed: " + message
			}
			r.addEvidence(EvidenceLogLine, last.at.UTC().Format(time.RFC3339)+" "+last.Peer+": "+message, labelRegion, c.region, "class", string(class))
			if began := last.began; start.Sub(last.at) <= maxErrorPause {
				r.began(began)
			} else {
				r.began(start)
			}
		}
	}
	return r, err
}

// count counts a line if it is a handshake error. The time of a line comes from
// the node, whose clock may differ from ours: a new line is not older than the
// last complete collection, and not in the future.
func (c *handshakes) count(at time.Time, line []byte) {
	h, ok := fault.FromLogLine(line)
	if !ok {
		return
	}
	c.errors.WithLabelValues(c.region, string(h.Class), string(h.Reason)).Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); at.After(now) {
		at = now
	} else if at.Before(c.lastComplete) {
		at = c.lastComplete
	}
	if last := c.last[h.Class]; at.After(last.at) {
		began := at
		if at.Sub(last.at) <= maxErrorGap {
			began = last.began
		}
		c.last[h.Class] = handshakeAt{at, began, h}
	}
}
