//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

var soakFor = flag.Duration("soak", 0, "how long TestSoak injects faults; 0: not at all. From ten minutes on it draws docs/soak.svg again")

const (
	// turn is how long a fault and the time after it last.
	turn = 30 * time.Second
	// brokenFor is how long a fault lasts.
	brokenFor = 15 * time.Second
	// drawnFrom is how long a soak must be to be worth a picture.
	drawnFrom = 10 * time.Minute
	// renewal is when a kubelet asks for a token's successor, as a part of its
	// life (kubernetes, pkg/kubelet/token, requiresRefresh).
	renewal = 0.8
)

// A spoke of the soak's wheel is a fault, for a while.
type spoke struct {
	name    string
	breaks  func(*subject, testing.TB)
	repairs func(*subject, testing.TB)
}

var wheel = []spoke{
	{"429", func(s *subject, _ testing.TB) { s.gate.respond(tooManyRequests) }, passesOn},
	{"10 % of packets lost", func(s *subject, t testing.TB) { s.loss = dropOneInTen(t, s.gate.url) }, func(s *subject, _ testing.TB) {
		if s.loss != nil {
			s.loss.end()
		}
	}},
	{"500", func(s *subject, _ testing.TB) { s.gate.respond(internalError) }, passesOn},
	{"frozen", func(s *subject, t testing.TB) { s.server.signal(t, syscall.SIGSTOP) }, func(s *subject, t testing.TB) { s.server.signal(t, syscall.SIGCONT) }},
	{"connections broken off", func(s *subject, _ testing.TB) { s.gate.respond(breaksOff) }, passesOn},
	{"1,000 objects change", (*subject).crowdComes, (*subject).crowdGoes},
	{"killed", func(s *subject, _ testing.TB) { s.server.kill() }, func(s *subject, t testing.TB) { s.run(t) }},
	{"right withdrawn", func(s *subject, t testing.TB) {
		s.mayListNodes(t, false)
		s.gate.cut()
	}, func(s *subject, t testing.TB) { s.mayListNodes(t, true) }},
}

func passesOn(s *subject, _ testing.TB) { s.gate.passes() }

// Whatever breaks, and however long it takes: every scrape is answered in
// time, and an exporter weighs at the end what it weighed before.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("-soak=15m lets things break for 15 minutes (make breakage SOAK=15m)")
	}
	s := outage{name: "soak", component: "rbd-mq"}.subject(t, newClusterSide(t))
	until(t, 20*time.Second, "everything is seen", s.reports("1"))
	go s.renews(t.Context())
	begun := time.Now()
	var times []spell
	for i := 0; time.Since(begun) < *soakFor; i++ {
		next := time.After(turn)
		f := wheel[i%len(wheel)]
		broke := time.Now()
		f.breaks(s, t)
		<-time.After(time.Until(broke.Add(brokenFor)))
		f.repairs(s, t)
		times = append(times, spell{f.name, broke.Sub(begun), time.Since(begun)})
		took := until(t, recovery, "everything is seen again after: "+f.name, s.reports("1"))
		progress("%s of %s: %s, seen again after %s", seconds(time.Since(begun)), *soakFor, f.name, seconds(took))
		<-next
	}
	for _, w := range s.both {
		w.end()
		w.answered(t, begun)
		w.noRace(t)
		if bytes.Contains([]byte(tail(w.log, 1<<20)), []byte("rejects the credentials")) {
			t.Errorf("%s was refused although its token was renewed in time", w.name)
		}
	}
	shipped := s.both[0]
	seen := slices.DeleteFunc(shipped.since(begun), func(g observation) bool { return g.err != nil })
	progress("slowest scrape %s; at the end: %s", seconds(shipped.slowest(begun)), seen[len(seen)-1].self)
	flat(t, seen)
	path := filepath.Join("..", "..", "bin", "soak.svg")
	if *soakFor >= drawnFrom {
		path = filepath.Join("..", "..", "docs", "soak.svg")
	}
	must(t, os.WriteFile(path, curve{seen: seen, begun: begun, faults: times}.svg(), 0o644))
	progress("drawn: %s", path)
}

// renews does what the kubelet does for a pod's token, until ctx ends.
func (s *subject) renews(ctx context.Context) {
	life := float64(shortest)
	for {
		select {
		case <-time.After(time.Duration(renewal * life)):
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil { // the API server may be away
			token, err := s.bound(ctx)
			if err == nil {
				err = s.token.swap(token)
			}
			if err == nil {
				progress("the token has been renewed")
				break
			}
			<-time.After(time.Second)
		}
	}
}

// flat checks that the last third uses what the second did; the first is the
// one in which buffers grow to what they need.
func flat(t testing.TB, seen []observation) {
	t.Helper()
	third := len(seen) / 3
	for _, f := range []struct {
		name  string
		of    func(usage) float64
		grows float64 // what a median may differ without growing
	}{
		{"goroutines", func(u usage) float64 { return u.goroutines }, moreGoroutines},
		{"open files", func(u usage) float64 { return u.files }, moreFiles},
		{"bytes in use", func(u usage) float64 { return u.live }, moreLive},
		{"bytes resident", func(u usage) float64 { return u.resident }, moreResident / 4},
	} {
		median := func(part []observation) float64 {
			var all []float64
			for _, g := range part {
				all = append(all, f.of(g.self))
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		second, last := median(seen[third:2*third]), median(seen[2*third:])
		progress("%s: %.0f in the second third, %.0f in the last", f.name, second, last)
		if last > second+f.grows {
			t.Errorf("%s have grown from %.0f to %.0f", f.name, second, last)
		}
	}
}

// A spell is when something lasted, since the beginning.
type spell struct {
	name     string
	from, to time.Duration
}
