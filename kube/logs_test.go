package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A kubelet imitates how a real one gives out logs: of the running container
// and of the one before it, what is stamped at or after sinceTime, which has
// whole seconds, in the order of the file and with a stamp before each line.
type kubelet struct {
	mu     sync.Mutex
	pods   map[string]*containerLog
	cut    int // when not 0, each answer breaks off after so many bytes
	status int // when not 0, the answer to everything
	asked  []string
}

type containerLog struct {
	now, before []stampedLine
	restarted   bool // there is a container before
	hangs       bool
}

type stampedLine struct {
	at   time.Time
	text string
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(r.URL.Path, "/")
	query := r.URL.Query()
	since, err := time.Parse(time.RFC3339, query.Get("sinceTime"))
	if err != nil || query.Get("timestamps") != "true" {
		panic(r.URL.String())
	}
	k.mu.Lock()
	pod := k.pods[path[len(path)-2]]
	previous := query.Get("previous") == "true"
	k.asked = append(k.asked, fmt.Sprintf("%s/%s previous=%v", path[len(path)-2], query.Get("container"), previous))
	status, cut := k.status, k.cut
	switch {
	case status != 0:
	case pod == nil || previous && !pod.restarted:
		status = http.StatusBadRequest
	}
	if status != 0 {
		k.mu.Unlock()
		refuse(w, "get", "pods/log", status)
		return
	}
	sent := pod.now
	if previous {
		sent = pod.before
	}
	var body bytes.Buffer
	for _, line := range sent {
		if !line.at.Before(since) {
			fmt.Fprintf(&body, "%s %s\n", line.at.Format(time.RFC3339Nano), line.text)
		}
	}
	hangs := pod.hangs
	k.mu.Unlock()
	switch {
	case hangs:
		<-r.Context().Done()
	case cut > 0 && cut < body.Len():
		_, _ = w.Write(body.Bytes()[:cut])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		_, _ = w.Write(body.Bytes())
	}
}

func (k *kubelet) set(change func(k *kubelet)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k)
}

func (k *kubelet) requests() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() { k.asked = nil }()
	return k.asked
}

// apiPod is a pod of rbd-api, with a side container before the one that
// counts.
func apiPod(name string, restarts int32) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid of " + name), Labels: map[string]string{"name": "rbd-api"}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "side"}, {Name: "rbd-api", RestartCount: restarts}}},
	}
}

// logsOf starts a kubelet with one pod's log and a reader of it.
func logsOf(t *testing.T, pods ...*corev1.Pod) (*api, *kubelet, *LogReader) {
	a := newAPI(t)
	k := &kubelet{pods: map[string]*containerLog{}}
	a.logs = k.ServeHTTP
	for _, p := range pods {
		k.pods[p.Name] = &containerLog{}
		a.put(p)
	}
	return a, k, a.kube(t).LogReader()
}

// readAll returns the lines of one Read, and its error.
func readAll(l *LogReader) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	var all []string
	err := l.Read(ctx, func(_ time.Time, line []byte) { all = append(all, string(line)) })
	return strings.Join(all, "|"), err
}

func readExpect(t *testing.T, when string, l *LogReader, want string) {
	t.Helper()
	got, err := readAll(l)
	if err != nil {
		t.Errorf("%s: %v", when, err)
	}
	expect(t, when, got, want)
}

func TestFirstReadReturnsTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 1))
		now := time.Now()
		k.pods["p"].restarted = true
		k.pods["p"].before = []stampedLine{{now.Add(-11 * time.Minute), "too old"}, {now.Add(-9 * time.Minute), "before the restart"}}
		k.pods["p"].now = []stampedLine{{now.Add(-8 * time.Minute), "after it"}}
		readExpect(t, "first read", l, "before the restart|after it")
		readExpect(t, "second read", l, "")
	})
}

func TestRunningPodIsRequestedOncePerRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0))
		begin := time.Now().Add(-firstRead)
		k.pods["p"].now = []stampedLine{{begin.Add(-time.Millisecond), "too old"}, {begin, "one"}}
		readExpect(t, "first", l, "one")
		readExpect(t, "second", l, "")
		expect(t, "asked", strings.Join(k.requests(), "|"), "p/rbd-api previous=false|p/rbd-api previous=true|p/rbd-api previous=false")
	})
}

func TestLastLinesOfAContainerWithoutLinesBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0)) // and we hear of no restart
		p := k.pods["p"]
		readExpect(t, "no line yet", l, "")
		p.before, p.now, p.restarted = []stampedLine{{time.Now(), "last words"}}, []stampedLine{{time.Now().Add(time.Millisecond), "first words"}}, true
		pass(time.Second)
		readExpect(t, "two lines and a restart", l, "last words|first words")
		readExpect(t, "nothing new", l, "")
	})
}

func TestLinesWithEqualAndUnorderedTimestamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0))
		at := time.Now()
		add := func(lines ...stampedLine) {
			k.set(func(k *kubelet) { k.pods["p"].now = append(k.pods["p"].now, lines...) })
		}
		add(stampedLine{at, "a"}, stampedLine{at, "a"})
		readExpect(t, "two alike", l, "a|a")
		add(stampedLine{at, "a"}, stampedLine{at.Add(-time.Millisecond), "late from stderr"})
		readExpect(t, "a third, and one stamped earlier", l, "a|late from stderr")
		readExpect(t, "nothing new", l, "")
	})
}

func TestClockOfANodeJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0))
		write := func(wrong time.Duration, text string) {
			pass(3 * time.Second)
			k.set(func(k *kubelet) { k.pods["p"].now = append(k.pods["p"].now, stampedLine{time.Now().Add(wrong), text}) })
		}
		write(0, "1")
		readExpect(t, "right", l, "1")
		write(time.Hour, "2")
		readExpect(t, "an hour ahead", l, "2")
		write(time.Hour, "3")
		write(0, "4")
		readExpect(t, "right again", l, "3|4")
		readExpect(t, "nothing new", l, "")
		write(0, "5")
		readExpect(t, "new line", l, "5")
		write(-time.Hour, "not asked for")
		readExpect(t, "an hour behind", l, "")
		write(0, "6")
		readExpect(t, "right at last", l, "6")
		pass(2 * time.Hour)
		readExpect(t, "nothing new", l, "")
	})
}

func TestRestartBetweenTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0)) // the reported number of restarts is out of date
		line := func(text string) stampedLine {
			pass(10 * time.Millisecond)
			return stampedLine{time.Now(), text}
		}
		p := k.pods["p"]
		p.now = []stampedLine{line("1"), line("2")}
		readExpect(t, "before", l, "1|2")
		p.now = append(p.now, line("last words"))
		p.before, p.now, p.restarted = p.now, nil, true
		readExpect(t, "restarted, without a new line", l, "last words")
		readExpect(t, "still no line", l, "")
		p.now = []stampedLine{line("3")}
		readExpect(t, "a line", l, "3")
		p.now = append(p.now, line("4"))
		p.before, p.now = p.now, []stampedLine{line("5")}
		readExpect(t, "once more", l, "4|5")
		if gaps := l.Gaps(); gaps != 0 {
			t.Errorf("%d gaps after restarts, want none", gaps)
		}
		p.now = nil
		readExpect(t, "rotated", l, "")
		p.now = []stampedLine{line("6")}
		readExpect(t, "after the rotation", l, "6")
		if gaps := l.Gaps(); gaps != 1 {
			t.Errorf("%d gaps after a rotation, want 1", gaps)
		}
		p.now = append(p.now, line("7"))
		readExpect(t, "a continuation", l, "7")
		p.before, p.now = []stampedLine{line("lost to a second restart")}, []stampedLine{line("8")}
		readExpect(t, "two restarts", l, "lost to a second restart|8")
		if gaps := l.Gaps(); gaps != 2 {
			t.Errorf("%d gaps after two restarts between two reads, want 2", gaps)
		}
	})
}

func TestLongAndBinaryLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0))
		at := time.Now()
		rubbish := "\x00\xff\xfe\x1b[31m\r\u2028 \xc3("
		k.pods["p"].now = []stampedLine{{at, "before"}, {at, strings.Repeat("x", 10<<20)}, {at, strings.Repeat("y", 20<<10)}, {at, rubbish}, {at, ""}, {at, "after"}}
		got, err := readAll(l)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(got, "|")
		if len(lines) != 6 || lines[0] != "before" || lines[2] != strings.Repeat("y", 20<<10) || lines[3] != rubbish || lines[4] != "" || lines[5] != "after" {
			t.Fatalf("%d lines, the last %q", len(lines), lines[len(lines)-1])
		}
		if long := lines[1]; len(long) > maxLine || len(long) < maxLine-100 || strings.Trim(long, "x") != "" {
			t.Errorf("the long line came with %d bytes", len(long))
		}
		readExpect(t, "again", l, "")
	})
}

func TestIncompleteLinesAreIgnored(t *testing.T) {
	read := func(text string) string {
		s := newLines(strings.NewReader(text))
		var all []string
		for ; s.more; s.next() {
			all = append(all, fmt.Sprintf("%s %q", s.at.UTC().Format(time.RFC3339Nano), s.line))
		}
		if s.err != nil {
			all = append(all, s.err.Error())
		}
		return strings.Join(all, "|")
	}
	for _, row := range []struct{ text, want string }{
		{"", ""},
		{"unable to retrieve container logs for containerd://1f2e\n2026-11-24T08:00:00Z a\n", `2026-11-24T08:00:00Z "a"`},
		{"2026-11-24T16:00:00.123456789+08:00 China time\n", `2026-11-24T08:00:00.123456789Z "China time"`},
		{"2026-11-24T08:00:00Z whole\n2026-11-24T08:00:01Z still being writ", `2026-11-24T08:00:00Z "whole"`},
		{"2026-11-24T08:00:00Z\n", `2026-11-24T08:00:00Z ""`},
		{"\n\n \n2026-99-99T08:00:00Z no date\n", ""},
	} {
		if got := read(row.text); got != row.want {
			t.Errorf("%q:\ngot  %s\nwant %s", row.text, got, row.want)
		}
	}
	s := newLines(io.MultiReader(strings.NewReader("2026-11-24T08:00:00Z a\n"), broke{}))
	if s.next(); s.more || !errors.Is(s.err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken stream: more %v, err %v", s.more, s.err)
	}
}

// broke is a connection that breaks.
type broke struct{}

func (broke) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPodsWithoutALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		creating, evicted, job, waiting := apiPod("creating", 0), apiPod("evicted", 0), apiPod("job", 0), apiPod("waiting", 0)
		evicted.Status.Phase = corev1.PodFailed
		job.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Controller: new(true)}}
		waiting.Status.ContainerStatuses = nil
		other := apiPod("other", 0)
		other.Labels["name"] = "rbd-worker"
		_, k, l := logsOf(t, creating, evicted, job, waiting, other)
		clear(k.pods)
		readExpect(t, "read", l, "")
		expect(t, "asked", strings.Join(k.requests(), "|"), "creating/rbd-api previous=false")
	})
}

func TestOneUnreadablePodDoesNotAffectTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, k, l := logsOf(t, apiPod("a", 0), apiPod("b", 0), apiPod("c", 0))
		for name, p := range k.pods {
			p.now = []stampedLine{{time.Now(), name}}
		}
		k.pods["a"].hangs = true
		got, err := readAll(l)
		expect(t, "lines", got, "b|c")
		if want := "get the log of pod a: no answer from http://kube.test in time: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		k.set(func(k *kubelet) { k.pods["a"].hangs = false })
		a.delete(apiPod("b", 0))
		synctest.Wait()
		readExpect(t, "when it answers", l, "a")
		if len(l.tails) != 2 {
			t.Errorf("%d pods are remembered, want the 2 there are", len(l.tails))
		}
	})
}

func TestForbiddenLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0))
		k.status = http.StatusForbidden
		_, err := readAll(l)
		want := `pods/log is forbidden: User "tester" cannot get resource "pods/log"; the exporter needs get on pods/log in namespace rbd-system`
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}

func TestConcurrentReadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k, l := logsOf(t, apiPod("p", 0))
		k.pods["p"].hangs = true
		var readers sync.WaitGroup
		readers.Go(func() { _, _ = readAll(l) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.Read(ctx, func(time.Time, []byte) { t.Error("a line") })
		if want := "another collection still reads the log of rbd-api: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		readers.Wait()
	})
}
