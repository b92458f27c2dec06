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
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	// apiComponent serves the region API; its container is called the same.
	apiComponent = "rbd-api"

	// firstLook is how far the first look goes back.
	firstLook = 10 * time.Minute

	// maxLine is what is kept of a line. The lines we look for are below 1 KiB.
	maxLine = 64 << 10

	// overlap is how much of what was read is asked for again, to recognise
	// the place. Container runtimes stamp stdout and stderr apart, so that
	// lines may stand in the file a little out of the order of their stamps.
	overlap = time.Second
)

// LogReader reads the log of the rbd-api pods through the Kubernetes API, each line
// once.
type LogReader struct {
	kube  *Client
	turn  chan struct{} // holds a token while somebody reads
	begin time.Time     // how far back the first look went
	tails map[string]*tail
}

// LogReader returns a reader that has read nothing yet.
func (k *Client) LogReader() *LogReader {
	return &LogReader{kube: k, turn: make(chan struct{}, 1), tails: map[string]*tail{}}
}

// Read hands over every line of the rbd-api pods that came since the last
// Read, the first time those of the last ten minutes, with the time at which
// the node received it. No line comes twice, whatever connections broke and
// pods restarted; one that was rotated away before we asked does not come, nor
// one of a node whose clock fell behind, until it has caught up. Of a line
// longer than 64 KiB the rest is cut off. The bytes are as they stand
// in the log, and valid until seen returns. What is not read when ctx ends
// comes next time. One pod's error does not keep the others from being read.
func (l *LogReader) Read(ctx context.Context, seen func(at time.Time, line []byte)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return fmt.Errorf("another look still reads the log of %s: %w", apiComponent, context.Cause(ctx))
	}
	if l.begin.IsZero() {
		l.begin = time.Now().Add(-firstLook).Truncate(time.Second)
	}
	pods, err := l.kube.Pods(ctx)
	if err != nil {
		return err
	}
	pods = slices.DeleteFunc(pods, func(p fault.Pod) bool { return !logs(p) })
	l.forget(pods)
	var errs []error
	for i, p := range pods {
		ctx, cancel := share(ctx, len(pods)-i)
		errs = append(errs, l.pod(ctx, p, seen))
		cancel()
	}
	return errors.Join(errs...)
}

// logs says whether a pod is one of rbd-api that writes a log. What is left of
// an evicted pod has none any more.
func logs(p fault.Pod) bool {
	return p.Component == apiComponent && p.OwnerKind != "Job" && len(p.Containers) > 0 && p.Phase != string(corev1.PodFailed) && p.Phase != string(corev1.PodSucceeded)
}

// share gives the first of n pods its part of the time left, so that one whose
// node is dead does not take it from the others.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	left := answerTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	return context.WithTimeout(ctx, left/time.Duration(n))
}

// forget drops the tails of pods that are gone.
func (l *LogReader) forget(pods []fault.Pod) {
	maps.DeleteFunc(l.tails, func(uid string, _ *tail) bool {
		return !slices.ContainsFunc(pods, func(p fault.Pod) bool { return p.UID == uid })
	})
}

// pod reads what is new in one pod's log. When the log does not go on where we
// left it, the container has been restarted (or its log rotated), and what we
// missed of the one before is read first; so it is when we never read a line
// of the pod, whatever we have heard of restarts by now.
func (l *LogReader) pod(ctx context.Context, p fault.Pod, seen func(time.Time, []byte)) error {
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
	if now.err == nil && (t.count == 0 || !t.goesOn(now)) {
		err = l.before(ctx, p.Name, container.Name, t, seen)
	}
	if err != nil {
		return err // and both come next time, in their order
	}
	l.tails[p.UID] = t
	return broken(p.Name, t.follow(now, seen))
}

// before reads what is new in the log of the container that ran before the
// present one, if there was one.
func (l *LogReader) before(ctx context.Context, pod, container string, t *tail, seen func(time.Time, []byte)) error {
	stream, err := l.open(ctx, pod, container, t.since, true)
	if err != nil || stream == nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return broken(pod, t.follow(newLines(stream), seen))
}

// broken words what ended the reading of a log before its end.
func broken(pod string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the log of pod %s: %w; the rest comes with the next look", pod, err)
}

// open begins to read a container's log, or returns nil when there is none
// yet: 400 while the container is being created or had no predecessor, 404
// when the pod has gone since we heard of it.
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

// A tail is how far one container's log has been read. The API gives what was
// stamped since a whole second, so a part is always sent again. It is the same
// part in the same order, so its number of lines says where the new ones
// begin, whether the stamps are in order or not.
type tail struct {
	since time.Time // the second from which to ask
	first time.Time // the stamp of the first line since then, by which we know that it is the same log
	count int       // the lines since then that were handed over; 0 when none ever was
	last  time.Time // the latest stamp of all
	floor time.Time // the latest stamp of the logs before this one
}

// goesOn says whether what s sends is the log that was read before.
func (t *tail) goesOn(s *lines) bool {
	return t.count == 0 || s.more && s.at.Equal(t.first)
}

// follow hands over the lines of s that are new and remembers them. Of another
// log than before, those are new that are later than all of the one before: it
// may also be that of a container before the one we know.
func (t *tail) follow(s *lines, seen func(time.Time, []byte)) error {
	n, known, floor := 0, t.count, t.floor
	if !t.goesOn(s) {
		known, floor = 0, t.last
	}
	next := tail{since: t.since, last: t.last, floor: floor}
	recent := seconds{horizon: time.Now()}
	for ; s.more; s.next() {
		n++
		recent.remember(n, s.at)
		if n > known && s.at.After(floor) {
			seen(s.at, s.line)
		}
		if s.at.After(next.last) {
			next.last = s.at
		}
	}
	if n == 0 || n < known {
		return s.err // nothing, or cut off before the first new line
	}
	*t = next.from(recent)
	return s.err
}

// Seconds are those that may be asked for again: the latest in which a line
// was stamped, and all after our own present, of a node whose clock is ahead.
// Should it be set right, lines are stamped anew with what has passed by it.
type seconds struct {
	horizon time.Time // our own present
	all     []second
}

// A second counts the lines stamped within it.
type second struct {
	begin time.Time
	place int // of its first line in the log
	first time.Time
	count int
}

// remember counts the n-th line of a log.
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

// since is the second from which to ask again.
func (s *seconds) since() time.Time {
	latest := slices.MaxFunc(s.all, func(a, b second) int { return a.begin.Compare(b.begin) }).begin
	if now := s.horizon.Truncate(time.Second); latest.After(now) {
		latest = now
	}
	return latest.Add(-overlap)
}

// from completes the tail with the seconds that were remembered.
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

// lines reads stamped lines. After newLines and each next, there is a line if
// more is set; if not, the log ended, or err says why it broke off.
type lines struct {
	from *bufio.Reader
	long []byte

	more bool
	at   time.Time
	line []byte
	err  error
}

func newLines(r io.Reader) *lines {
	s := &lines{from: bufio.NewReaderSize(r, maxLine)}
	s.next()
	return s
}

// next reads one line. What bears no stamp are the kubelet's own words about
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

// raw reads up to the end of a line and keeps at most maxLine of it.
func (s *lines) raw() ([]byte, error) {
	raw, err := s.from.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return bytes.TrimSuffix(raw, []byte("\n")), err
	}
	s.long = append(s.long[:0], raw...)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = s.from.ReadSlice('\n')
	}
	return s.long, err
}
