package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleWatchIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.put(nodeNamed("a"))
		k := a.kube(t)
		for range 60 {
			expect(t, "while nothing happens", nodeNames(k), "a")
			pass(time.Minute)
		}
		lists := 0
		for _, asked := range a.requests() {
			if asked == "list nodes" {
				lists++
			}
		}
		if lists != 1 {
			t.Errorf("listed %d times in a quiet hour, want once", lists)
		}
	})
}

func TestAPIServerRestart(t *testing.T) {
	for name, streams := range map[string]bool{"server streams": true, "server lists": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				a.streams = streams
				a.put(nodeNamed("a"))
				k := a.kube(t)
				expect(t, "at first", nodeNames(k), "a")
				went := time.Now()
				a.set(func(a *api) { a.away = true })
				pass(staleAfter - time.Second)
				expect(t, "after 59 s", nodeNames(k), "a")
				pass(2 * time.Second)
				got := nodeNames(k)
				if !strings.HasSuffix(got, " nodes: http://kube.test: dial tcp: connection refused (the last known state is of "+went.Format(time.RFC3339)+" and too old to be used)") {
					t.Errorf("after 61 s: %s", got)
				}
				pass(10 * time.Minute)
				a.set(func(a *api) { a.away = false })
				a.put(nodeNamed("b"))
				pass(15 * time.Second)
				expect(t, "15 s after the return", nodeNames(k), "a b")
			})
		})
	}
}

func TestAPIServerRestartWithEmptyEtcd(t *testing.T) {
	for name, streams := range map[string]bool{"server streams": true, "server lists": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				a.streams = streams
				a.put(nodeNamed("a"), nodeNamed("b"), nodeNamed("c"))
				k := a.kube(t)
				expect(t, "at first", nodeNames(k), "a b c")
				pass(time.Minute)
				a.set(func(a *api) { a.away = true })
				pass(10 * time.Second)
				a.forget()
				a.set(func(a *api) { a.away = false })
				a.put(nodeNamed("d"))
				pass(20 * time.Second)
				expect(t, "20 s after the return", nodeNames(k), "d")
			})
		})
	}
}

func TestRefusedTokenIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "token")
		write := func(token string) {
			if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a := newAPI(t)
		a.put(nodeNamed("a"))
		a.token = "one"
		write("one")
		k := a.kubeAs(t, file)
		expect(t, "at first", nodeNames(k), "a")
		a.set(func(a *api) { a.token, a.away = "two", true })
		a.set(func(a *api) { a.away = false })
		pass(staleAfter + time.Second)
		if got := nodeNames(k); !strings.Contains(got, "rejects the credentials") {
			t.Errorf("refused: %s", got)
		}
		write("two")
		pass(20 * time.Second)
		expect(t, "20 s after the file was written", nodeNames(k), "a")
	})
}

func TestUnreachableAPIServerIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.put(nodeNamed("a"))
		a.set(func(a *api) { a.away = true })
		k := a.kube(t)
		begin := time.Now()
		expect(t, "away", nodeNames(k), "watch nodes: http://kube.test: dial tcp: connection refused")
		if took := time.Since(begin); took > 0 {
			t.Errorf("it took %s", took)
		}
		a.set(func(a *api) { a.away = false })
		pass(15 * time.Second)
		expect(t, "15 s after it came", nodeNames(k), "a")
	})
}

func TestFrozenAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.put(nodeNamed("a"))
		a.set(func(a *api) { a.hangs = true })
		k := a.kube(t)
		expect(t, "first call", nodeNames(k), "list nodes: no answer from http://kube.test in time: context deadline exceeded")
		pass(answerTimeout)
		expect(t, "when we gave up once", nodeNames(k), "watch nodes: http://kube.test: no answer for too long")
		a.set(func(a *api) { a.hangs = false })
		pass(answerTimeout + 15*time.Second)
		expect(t, "thawed", nodeNames(k), "a")
	})
}

func TestUnansweredRequestIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.put(nodeNamed("a"))
		a.set(func(a *api) { a.hangs = true })
		k := a.kube(t)
		expect(t, "first call", nodeNames(k), "list nodes: no answer from http://kube.test in time: context deadline exceeded")
		a.set(func(a *api) { a.hangs = false }) // the pending request still hangs
		pass(20 * time.Second)
		expect(t, "28 s after the request", nodeNames(k), "a")
	})
}

func TestHalfOpenWatchIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.deaf = true
		a.put(nodeNamed("a"))
		k := a.kube(t)
		begin := time.Now()
		expect(t, "at first", nodeNames(k), "a")
		synctest.Wait() // for the watch
		a.set(func(a *api) { a.hangs = true })
		pass(a.timeout + answerTimeout - time.Second)
		expect(t, "while it may be open", nodeNames(k), "a")
		pass(2 * time.Second)
		expect(t, "when it should have ended", nodeNames(k), "watch nodes: http://kube.test has not ended it in time"+
			" (the last known state is of "+begin.Format(time.RFC3339)+" and too old to be used)")
	})
}

func TestBriefWatchIsNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.brief = true
		a.put(nodeNamed("a"))
		k := a.kube(t)
		begin := time.Now()
		expect(t, "at first", nodeNames(k), "a")
		pass(staleAfter)
		expect(t, "after a minute", nodeNames(k), "watch nodes: http://kube.test ends it at once"+
			" (the last known state is of "+begin.Format(time.RFC3339)+" and too old to be used)")
	})
}
