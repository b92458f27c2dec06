package kube

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	// apiComponent serves the region API; its container is called the same.
	apiComponent = "rbd-api"

	// firstRead is how much of the log the first Read returns.
	firstRead = 10 * time.Minute

	// maxLine is the length in bytes after which a line is cut off. The lines of
	// interest are shorter than 1 KiB.
	maxLine = 64 << 10

	// overlap is how much of the log is requested again, to find the position.
	// Container runtimes add the timestamps of stdout and stderr separately, so
	// lines may be slightly out of order.
	overlap = time.Second
)

// LogReader reads the log of the rbd-api pods through the Kubernetes API, each
// line once.
type LogReader struct {
	kube  *Client
	lock  chan struct{} // has a token during a Read
	begin time.Time     // the beginning of the first Read
	tails map[string]*tail
	gaps  atomic.Int64
}

// LogReader returns a reader that has read nothing yet.
func (k *Client) LogReader() *LogReader {
	return &LogReader{kube: k, lock: make(chan struct{}, 1), tails: map[string]*tail{}}
}

// Read calls handle with every new line of the rbd-api pods since the last Read,
// and with the time at which the node received it. The first Read returns the
// last ten minutes. No line is passed twice, also after failed connections and
// restarts of pods. Lines that were rotated away before a Read are lost, see
// Gaps, and lines of a node whose clock was set back until the clock has caught
// up. A line is cut off after 64 KiB. The bytes are those of the log, and valid
// until handle returns. Lines that are not read when ctx ends are passed next
// time. An error of one pod does not affect the others.
func (l *LogReader) Read(ctx context.Context, handle func(at time.Time, line []byte)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.lock <- struct{}{}:
		defer func() { <-l.lock }()
	case <-ctx.Done():
		return fmt.Errorf("another collection still reads the log of %s: %w", apiComponent, context.Cause(ctx))
	}
	if l.begin.IsZero() {
		l.begin = time.Now().Add(-firstRead).Truncate(time.Second)
	}
	all, err := l.kube.pods.all(ctx)
	if err != nil {
		return err
	}
	var pods []fault.Pod
	for _, p := range all {
		if hasLog(p) {
			pods = append(pods, p)
		}
	}
	l.forget(pods)
	var errs []error
	for i, p := range pods {
		ctx, cancel := share(ctx, len(pods)-i)
		errs = append(errs, l.pod(ctx, p, handle))
		cancel()
	}
	return errors.Join(errs...)
}

// hasLog reports whether a pod is one of rbd-api that has a log. An evicted pod
// has none.
func hasLog(p fault.Pod) bool {
	return p.Component == apiComponent && p.OwnerKind != "Job" && len(p.Containers) > 0 && p.Phase != string(corev1.PodFailed) && p.Phase != string(corev1.PodSucceeded)
}

// share returns a context with the part of the remaining time for the first of n
// pods, so that a pod on a dead node does not use the time of the others.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	left := answerTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	return context.WithTimeout(ctx, left/time.Duration(n))
}

// forget deletes the tails of deleted pods.
func (l *LogReader) forget(pods []fault.Pod) {
	maps.DeleteFunc(l.tails, func(uid string, _ *tail) bool {
		return !slices.ContainsFunc(pods, func(p fault.Pod) bool { return p.UID == uid })
	})
}

// pod reads the new lines of one pod's log. When the log is not a continuation of
// what was read, the container has restarted or its log was rotated; then the
// rest of the previous container's log is read first. The same happens when no
// line of the pod was ever read.
func (l *LogReader) pod(ctx context.Context, p fault.Pod, handle func(time.Time, []byte)) error {
	container := p.Containers[0]
	if i := slices.IndexFunc(p.Containers, func(c fault.Container) bool { return c.Name == apiComponent }); i >= 0 {
		container = p.Containers[i]
	}
	t, known := l.tails[p.UID]
	if !known {
		t = &tail{since: l.begin}
	}
	stream, err := l.open(ctx, p.Name, container.Name, t.since, false)
	if err != nil || stream == nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	now := newLines(stream)
	lost := false
	if now.err == nil && (t.count == 0 || !t.isContinuation(now)) {
		unread := t.count > 0
		var previous previousLog
		previous, err = l.previous(ctx, p.Name, container.Name, t, handle)
		lost = unread && (previous == anotherLog || previous == noLog && now.more)
	}
	if err != nil {
		return err // both are read next time, in order
	}
	if lost {
		l.gaps.Add(1)
	}
	l.tails[p.UID] = t
	return incomplete(p.Name, t.follow(now, handle))
}

// previousLog classifies the log of the previous container.
type previousLog int

const (
	noLog        previousLog = iota // without lines
	continuation                    // of what was read
	anotherLog
)

// previous reads the new lines of the container that ran before the current one,
// if there was one.
func (l *LogReader) previous(ctx context.Context, pod, container string, t *tail, handle func(time.Time, []byte)) (previousLog, error) {
	stream, err := l.open(ctx, pod, container, t.since, true)
	if err != nil || stream == nil {
		return noLog, err
	}
	defer func() { _ = stream.Close() }()
	lines := newLines(stream)
	kind := noLog
	switch {
	case t.isContinuation(lines):
		kind = continuation
	case lines.more:
		kind = anotherLog
	}
	return kind, incomplete(pod, t.follow(lines, handle))
}

// Gaps returns how many times the log of a pod did not continue where it was
// read, neither in the current container nor in the previous one: the log was
// rotated, or the container restarted more than once. The lines in between are
// lost, so the number of handshake errors is too low.
func (l *LogReader) Gaps() int { return int(l.gaps.Load()) }

// incomplete returns the error that ended the reading of a log early.
func incomplete(pod string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the log of pod %s: %w; the next collection reads the rest", pod, err)
}

// open begins to read a container's log, or returns nil when there is none. The
// API server returns 400 while the container is being created or when it has no
// previous one, and 404 when the pod was deleted in the meantime.
func (l *LogReader) open(ctx context.Context, pod, container string, since time.Time, previous bool) (io.ReadCloser, error) {
	stream, err := l.kube.api.log(l.kube.namespace, pod, &corev1.PodLogOptions{
		Container: container, Timestamps: true, SinceTime: &metav1.Time{Time: since}, Previous: previous,
	}).Stream(ctx)
	if apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(l.kube.host, "get the log of pod "+pod, "get on pods/log in namespace "+l.kube.namespace, err)
	}
	return stream, nil
}

// A tail is the position up to which one container's log has been read. The API
// returns the lines since a whole second, so a part is always sent again. It is
// the same part in the same order, so its number of lines is the position of the
// first new line, even when timestamps are out of order.
type tail struct {
	since time.Time // the second from which to request
	first time.Time // the timestamp of the first line since then, which identifies the log
	count int       // the number of lines since then that were read; 0 when none ever was
	last  time.Time // the latest timestamp of all
	after time.Time // the latest timestamp of the logs before this one
}

// isContinuation reports whether s is the log that was read before.
func (t *tail) isContinuation(s *lines) bool {
	return t.count == 0 || s.more && s.at.Equal(t.first)
}

// follow passes the new lines of s to handle and updates the tail. In another log
// than before, a line is new if it is later than all lines read: the log may also
// be that of an earlier container.
func (t *tail) follow(s *lines, handle func(time.Time, []byte)) error {
	n, known, after := 0, t.count, t.after
	if !t.isContinuation(s) {
		known, after = 0, t.last
	}
	next := tail{since: t.since, last: t.last, after: after}
	recent := seconds{now: time.Now()}
	for ; s.more; s.next() {
		n++
		recent.remember(n, s.at)
		if n > known && s.at.After(after) {
			handle(s.at, s.line)
		}
		if s.at.After(next.last) {
			next.last = s.at
		}
	}
	if n == 0 || n < known {
		return s.err // no line, or cut off before the first new one
	}
	*t = next.from(recent)
	return s.err
}

// seconds are those that may be requested again: the latest second with a line,
// and, if the clock of the node is ahead, all seconds in the future. When that
// clock is corrected, new lines get timestamps that already exist.
type seconds struct {
	now time.Time
	all []second
}

// A second counts the lines with a timestamp in it.
type second struct {
	begin time.Time
	place int // of its first line in the log
	first time.Time
	count int
}

// remember counts line n of a log.
func (s *seconds) remember(n int, at time.Time) {
	begin := at.Truncate(time.Second)
	i := len(s.all) - 1
	for i >= 0 && !s.all[i].begin.Equal(begin) {
		i--
	}
	if i >= 0 {
		s.all[i].count++
		return
	}
	s.all = append(s.all, second{begin: begin, place: n, first: at, count: 1})
	since := s.since()
	s.all = slices.DeleteFunc(s.all, func(s second) bool { return s.begin.Before(since) })
}

// since is the second from which to request again.
func (s *seconds) since() time.Time {
	latest := slices.MaxFunc(s.all, func(a, b second) int { return a.begin.Compare(b.begin) }).begin
	if now := s.now.Truncate(time.Second); latest.After(now) {
		latest = now
	}
	return latest.Add(-overlap)
}

// from returns the tail with the counted seconds.
func (t tail) from(recent seconds) tail {
	if since := recent.since(); since.After(t.since) { // what is before t.since was not read
		t.since = since
	}
	t.first = slices.MinFunc(recent.all, func(a, b second) int { return cmp.Compare(a.place, b.place) }).first
	for _, s := range recent.all {
		t.count += s.count
	}
	return t
}

// lines reads lines with timestamps. After newLines and each next, more is set
// when there is a line. Otherwise the log ended, or err is why it broke off.
type lines struct {
	from *bufio.Reader
	long []byte

	more bool
	at   time.Time
	line []byte
	err  error
}

func newLines(r io.Reader) *lines {
	s := &lines{from: bufio.NewReaderSize(r, 8<<10)} // more than most lines
	s.next()
	return s
}

// next reads one line. Lines without a timestamp are messages of the kubelet about
// the log. A last line without an end is still being written.
func (s *lines) next() {
	for {
		raw, err := s.raw()
		if s.more = err == nil; !s.more {
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
			return
		}
		stamp, line, _ := bytes.Cut(raw, []byte(" "))
		if len(stamp) > len(time.RFC3339Nano) {
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil {
			s.at, s.line = at, line
			return
		}
	}
}

// raw reads up to the end of a line and returns at most maxLine bytes of it.
func (s *lines) raw() ([]byte, error) {
	raw, err := s.from.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return bytes.TrimSuffix(raw, []byte("\n")), err
	}
	s.long = append(s.long[:0], raw...)
	for errors.Is(err, bufio.ErrBufferFull) {
		raw, err = s.from.ReadSlice('\n')
		s.long = append(s.long, raw[:min(len(raw), maxLine-len(s.long))]...)
	}
	return bytes.TrimSuffix(s.long, []byte("\n")), err
}
