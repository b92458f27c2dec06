package kube

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever happens to connections, containers, files, pods and the API server
// between the reads, each of the lines arrives once. The kubelet keeps one
// container's log besides the running one's, no file that was rotated away and
// nothing of a pod that is gone, so such a change waits here until what was
// before was read.
func TestEachOf100000LinesIsReadOnce(t *testing.T) {
	for _, row := range []struct {
		replicas int
		seed     uint64
	}{{1, 1}, {3, 0}, {5, 78}} { // the first two doubled lines once, the last lost some
		t.Run(fmt.Sprintf("%d replicas, seed %d", row.replicas, row.seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { arriveOnce(t, row.replicas, 100_000, rand.New(rand.NewPCG(1, row.seed))) })
		})
	}
}

// jitter is the largest time by which a timestamp is before earlier ones in the file.
const jitter = 200 * time.Millisecond

// A replica is a pod of rbd-api.
type replica struct {
	*containerLog
	name     string
	restarts int32
}

// A churn is replicas that write numbered lines while everything changes, and one
// who reads them.
type churn struct {
	t        *testing.T
	random   *rand.Rand
	api      *api
	kubelet  *kubelet
	logs     *LogReader
	replicas []*replica
	made     int // replicas, those that are gone included
	written  int
	total    int
	got      []int
}

func (f *churn) replica() *replica {
	f.made++
	r := &replica{name: fmt.Sprint("p", f.made), containerLog: &containerLog{}}
	f.kubelet.set(func(k *kubelet) { k.pods[r.name] = r.containerLog })
	f.api.put(apiPod(r.name, 0))
	return r
}

func (f *churn) read() error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 8*time.Second)
	defer cancel()
	return f.logs.Read(ctx, func(_ time.Time, line []byte) {
		n, err := strconv.Atoi(string(line))
		if err != nil {
			f.t.Errorf("%q: %v", line, err)
		}
		f.got = append(f.got, n)
	})
}

func (f *churn) write(lines int, to ...*replica) {
	for range min(lines, f.total-f.written) {
		at := time.Now()
		if f.random.IntN(10) == 0 {
			at = at.Add(-time.Duration(f.random.IntN(int(jitter))))
		}
		r := to[f.random.IntN(len(to))]
		r.now = append(r.now, stampedLine{at, strconv.Itoa(f.written)})
		f.written++
		pass(time.Duration(f.random.IntN(int(2 * time.Millisecond))))
	}
}

func (f *churn) cut(bytes int) { f.kubelet.set(func(k *kubelet) { k.cut = bytes }) }

// insist reads until a read succeeds, though each answer breaks off at first.
func (f *churn) insist() {
	limit := f.random.IntN(2_000)
	for f.cut(limit); f.read() != nil; f.cut(limit) {
		limit *= 2
	}
}

// restart is of one container, of which we may hear late.
func (f *churn) restart(r *replica) {
	f.write(f.random.IntN(100), r)
	r.restarts++
	f.kubelet.set(func(*kubelet) { r.before, r.now, r.restarted = r.now, nil, true })
	pass(jitter)
	f.write(f.random.IntN(100), r)
	if f.random.IntN(2) == 0 {
		f.api.put(apiPod(r.name, r.restarts))
	}
	f.insist()
}

// rotate takes away a file that was read.
func (f *churn) rotate(r *replica) {
	f.kubelet.set(func(*kubelet) { r.now = nil })
	pass(jitter)
}

// replace lets a new pod come for one that is read to its end, and goes.
func (f *churn) replace(i int) {
	f.api.delete(apiPod(f.replicas[i].name, 0))
	f.kubelet.set(func(k *kubelet) { delete(k.pods, f.replicas[i].name) })
	f.replicas[i] = f.replica()
}

// outage restarts the API server; rbd-api writes on meanwhile.
func (f *churn) outage() {
	f.api.set(func(a *api) { a.away = true })
	f.write(f.random.IntN(100), f.replicas...)
	if f.read() == nil {
		f.t.Error("a read without an API server succeeded")
	}
	pass(time.Duration(f.random.IntN(int(2 * time.Minute)))) // some longer than what is known stays fresh
	f.write(f.random.IntN(100), f.replicas...)
	f.api.set(func(a *api) { a.away = false })
	pass(time.Minute)
	f.insist()
}

func arriveOnce(t *testing.T, replicas, total int, random *rand.Rand) {
	a, k, l := logsOf(t)
	f := &churn{t: t, random: random, api: a, kubelet: k, logs: l, total: total}
	for range replicas {
		f.replicas = append(f.replicas, f.replica())
	}
	happened := map[string]int{}
	for f.written < total {
		f.write(random.IntN(1000), f.replicas...)
		f.cut(random.IntN(2) * random.IntN(30_000))
		if f.read() != nil {
			happened["cut"]++
			continue
		}
		i := random.IntN(replicas)
		switch random.IntN(8) {
		case 0:
			happened["restart"]++
			f.restart(f.replicas[i])
		case 1:
			happened["rotation"]++
			f.rotate(f.replicas[i])
		case 2:
			happened["outage"]++
			f.outage()
		case 3:
			happened["new pod"]++
			f.replace(i)
		}
		pass(time.Duration(random.IntN(int(3 * time.Second))))
	}
	f.cut(0)
	synctest.Wait()
	if err := f.read(); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"cut", "restart", "rotation", "outage", "new pod"} {
		if happened[what] < 10 {
			t.Errorf("%s: only %d times; this tests little", what, happened[what])
		}
	}
	slices.Sort(f.got)
	for n, line := range f.got {
		if n != line {
			t.Fatalf("of %d lines, %d arrived; the first lost or doubled is %d (found %d)", total, len(f.got), n, line)
		}
	}
	if len(f.got) != total {
		t.Errorf("%d of %d lines arrived", len(f.got), total)
	}
}
