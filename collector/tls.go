package collector

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A LogReader hands over every line of rbd-api's log that it has not handed
// over before, with the time at which the kubelet received it.
type LogReader func(ctx context.Context, seen func(at time.Time, line []byte)) error

// door looks who failed at the region's door, in the log of rbd-api.
type door struct {
	region string
	read   LogReader

	mu     sync.Mutex
	errors *prometheus.CounterVec
	last   map[fault.Class]handshakeAt
	looked time.Time // when the last look began that read all there was
}

type handshakeAt struct {
	at time.Time
	fault.Handshake
}

// NewTLS returns the collector of symptom tls for the region of that name.
func NewTLS(region string, read LogReader) Collector {
	d := &door{region: region, read: read, errors: counterVec("rainbond_api_tls_handshake_errors_total"), last: map[fault.Class]handshakeAt{}}
	for _, s := range fault.HandshakePatterns {
		d.errors.WithLabelValues(region, string(s.Class), string(s.Reason))
	}
	return d
}

func (d *door) Name() string { return SlugTLS }

func (d *door) Collect(ctx context.Context) (Report, error) {
	began := time.Now()
	err := d.read(ctx, d.count)
	var r Report
	r.collect(d.errors)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.looked = began
	}
	for _, class := range fault.Classes {
		last, ok := d.last[class]
		if !ok {
			continue
		}
		r.addSample("rainbond_api_tls_handshake_error_last_timestamp_seconds", float64(last.at.UnixMilli())/1000, d.region, string(class))
		if class != fault.Benign {
			r.addEvidence(EvidenceLogLine, last.at.UTC().Format(time.RFC3339)+" "+last.Peer+": "+last.Text, labelRegion, d.region, "class", string(class))
		}
	}
	return r, err
}

// count takes the node's word for when a line came, but not against our own
// clock: a new line is not older than the last look, nor of the future.
func (d *door) count(at time.Time, line []byte) {
	h, ok := fault.FromLogLine(line)
	if !ok {
		return
	}
	d.errors.WithLabelValues(d.region, string(h.Class), string(h.Reason)).Inc()
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); at.After(now) {
		at = now
	} else if at.Before(d.looked) {
		at = d.looked
	}
	if at.After(d.last[h.Class].at) {
		d.last[h.Class] = handshakeAt{at, h}
	}
}
