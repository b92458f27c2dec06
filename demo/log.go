package demo

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"
)

// maxLogLines is how many lines the pod log keeps, as the kubelet's rotation
// would.
const maxLogLines = 10_000

// A podLog is the log of the rbd-api container: what its process wrote to
// standard error, line by line, with the time at which the runtime saw it.
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

// restart empties the log, as that of a new pod, which begins with the given
// lines.
func (l *podLog) restart(lines []string) {
	l.mu.Lock()
	l.lines = nil
	l.mu.Unlock()
	for _, line := range lines {
		_, _ = l.Write([]byte(line)) // never fails
	}
}

// Write adds one line. It is the io.Writer of rbd-api's loggers, which write
// a line at a time.
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

// since returns the last tail lines (all, if tail is negative) that are not
// older than from.
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

// await returns when the log tells of n failed handshakes, or ctx ends.
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

// ordinary is a line as rbd-api's own logger writes it (rainbond,
// config/configs/options.go).
func ordinary(level, message string) string {
	return level + time.Now().Format("[2006/01/02 15:04:05]") + " ip=unknown module=rbd-api " + message
}

// handshakeError is a line as the standard logger writes it for a server
// whose client failed at the door. The peer of real ones is the gateway's
// address on the pod network, never the console's.
func handshakeError(reason string) string {
	return time.Now().Format("2006/01/02 15:04:05") + " http: TLS handshake error from 10.42.0.1:49522: " + reason
}
