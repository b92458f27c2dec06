package demo

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"
)

// maxLogLines is the number of lines that the pod log keeps, like the kubelet's
// log rotation.
const maxLogLines = 10_000

// A podLog is the log of the rbd-api container: the lines that its process
// wrote to standard error, with the time at which the runtime received each.
type podLog struct {
	mu    sync.Mutex
	lines []logLine
	grown chan struct{} // closed when a line is added
}

type logLine struct {
	at   time.Time
	text string
}

func newPodLog() *podLog { return &podLog{grown: make(chan struct{})} }

// restart replaces the log by that of a new pod, which starts with the given
// lines.
func (l *podLog) restart(lines []string) {
	l.mu.Lock()
	l.lines = nil
	l.mu.Unlock()
	for _, line := range lines {
		_, _ = l.Write([]byte(line)) // never fails
	}
}

// Write appends one line. It implements io.Writer for rbd-api's loggers, which
// write a line per call.
func (l *podLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == maxLogLines {
		l.lines = append(l.lines[:0], l.lines[maxLogLines/2:]...)
	}
	l.lines = append(l.lines, logLine{time.Now(), string(bytes.TrimSuffix(line, []byte("\n")))})
	close(l.grown)
	l.grown = make(chan struct{})
	return len(line), nil
}

// since returns those of the last tail lines (of all lines if tail is negative)
// that are not older than from.
func (l *podLog) since(from time.Time, tail int) []logLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	if tail >= 0 && len(lines) > tail {
		lines = lines[len(lines)-tail:]
	}
	var since []logLine
	for _, line := range lines {
		if !line.at.Before(from) {
			since = append(since, line)
		}
	}
	return since
}

// await returns when the log contains n failed handshakes, or when ctx ends.
func (l *podLog) await(ctx context.Context, n int) {
	for {
		l.mu.Lock()
		failed := 0
		for _, line := range l.lines {
			if strings.Contains(line.text, "TLS handshake error") {
				failed++
			}
		}
		grown := l.grown
		l.mu.Unlock()
		if failed >= n {
			return
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return
		}
	}
}

// ordinary returns a line in the format of rbd-api's own logger (rainbond,
// config/configs/options.go).
func ordinary(level, message string) string {
	return level + time.Now().Format("[2006/01/02 15:04:05]") + " ip=unknown module=rbd-api " + message
}

// handshakeError returns a line in the format of the standard logger for a
// client whose handshake failed. As in real regions, the peer is the gateway's
// address on the pod network, never the console's.
func handshakeError(reason string) string {
	return time.Now().Format("2006/01/02 15:04:05") + " http: TLS handshake error from 10.42.0.1:49522: " + reason
}
