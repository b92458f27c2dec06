//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// remembered is how long the exporter may export its last state when its watch
	// broke, and slack what a scrape and a busy machine take.
	remembered = time.Minute
	slack      = 5 * time.Second

	// pings is how long a frozen API server goes unnoticed (HTTP/2, as
	// client-go sets it: silence of 30 s, and 15 s for the answer to a ping).
	pings = 45 * time.Second

	// recovery is how soon after a repair everything is exported again.
	recovery = 30 * time.Second
)

// asking are the collectors that must ask the Kubernetes API.
var asking = []string{"cert", "component", "disk", "node-role", "tls"}

// An outage is a way in which the exporter's sight of Kubernetes breaks.
type outage struct {
	name      string
	component string // whose state changes meanwhile
	direct    bool   // without a gate between the exporter and the API server
	dying     bool   // the exporter begins with a token that soon ends
	breaks    func(*subject, testing.TB)
	changes   bool          // the component fails as soon as the API breaks
	failing   []string      // the collectors that fail, once the last state is too old
	partly    string        // the one of them that still exports what it knows
	from      time.Duration // when that is
	lasts     time.Duration
	meanwhile func(*subject, testing.TB)
	repairs   func(*subject, testing.TB)
}

var throughTheGate = []outage{
	{
		name: "answers 429", component: "rbd-mq", changes: true,
		breaks:  func(s *subject, _ testing.TB) { s.gate.respond(tooManyRequests) },
		failing: asking, from: remembered, lasts: remembered + 3*slack,
		repairs: func(s *subject, _ testing.TB) { s.gate.passes() },
	},
	{
		name: "answers 500", component: "rbd-worker", changes: true,
		breaks:  func(s *subject, _ testing.TB) { s.gate.respond(internalError) },
		failing: asking, from: remembered, lasts: remembered + 3*slack,
		repairs: func(s *subject, _ testing.TB) { s.gate.passes() },
	},
	{
		name: "a token expires, and the kubelet turns the link to the next", component: "rbd-hub", dying: true, changes: true,
		breaks: (*subject).tokenEnds, failing: asking, from: remembered, lasts: remembered + 3*slack,
		repairs: (*subject).tokenRotates,
	},
	{
		name: "drops one packet in ten", component: "rbd-app-ui", changes: true,
		breaks: func(s *subject, t testing.TB) { s.loss = dropOneInTen(t, s.gate.url) },
		lasts:  remembered + 3*slack,
		repairs: func(s *subject, _ testing.TB) {
			if s.loss != nil {
				s.loss.end()
			}
		},
	},
}

// A right is withdrawn from all who ask with the same account: this outage
// has its control plane for itself.
var oneByOne = []outage{{
	name: "the right to nodes is withdrawn", component: "rbd-mq", changes: true,
	breaks: func(s *subject, t testing.TB) {
		s.mayListNodes(t, false)
		s.gate.cut() // an open watch continues, which is correct
	},
	failing: []string{"component", "disk", "node-role"}, partly: "component", from: remembered, lasts: remembered + 2*slack,
	meanwhile: func(s *subject, t testing.TB) { s.waitReady(t, "0") }, // nobody else is harmed
	repairs:   func(s *subject, t testing.TB) { s.mayListNodes(t, true) },
}, {
	name: "compacted: what is asked for is gone (410)", component: "rbd-mq", changes: true,
	breaks: (*subject).compacted, meanwhile: func(s *subject, t testing.TB) { s.waitReady(t, "0") },
	repairs: func(s *subject, t testing.TB) {
		if s.gate.gone.Load() == 0 {
			t.Error("the API server never responded that a version is gone: nothing was tested")
		}
	},
}, {
	name: "1,000 objects change at once", component: "rbd-mq",
	breaks: (*subject).thousandChange, repairs: func(*subject, testing.TB) {},
}}

var dead = []outage{{
	name: "killed and restarted", component: "rbd-mq", direct: true,
	breaks:  func(s *subject, _ testing.TB) { s.server.kill() },
	failing: asking, from: remembered, lasts: remembered + 3*slack,
	repairs: func(s *subject, t testing.TB) { s.run(t) },
}, {
	name: "restarted with an empty etcd", component: "rbd-mq", direct: true,
	breaks: func(s *subject, t testing.TB) {
		s.administratorScrapes(t)
		s.forget(t)
	},
	failing: asking, from: remembered, lasts: remembered + 3*slack,
	meanwhile: (*subject).nothingIsThere,
	repairs: func(s *subject, t testing.TB) {
		s.platform = newPlatform(t, s.cluster, s.kubelet, s.region, s.made)
		s.tokenRotates(t)
	},
}}

var frozen = []outage{{
	name: "frozen for 3 minutes", component: "rbd-mq", direct: true,
	breaks:  func(s *subject, t testing.TB) { s.server.signal(t, syscall.SIGSTOP) },
	failing: asking, from: pings + remembered, lasts: 3 * time.Minute,
	repairs: func(s *subject, t testing.TB) { s.server.signal(t, syscall.SIGCONT) },
}}

// Whatever the Kubernetes API does, every scrape is answered in time, what is
// unknown is not exported, and what is known again is exported within 30 s and
// without a restart. Each outage is seen by the exporter that ships, which is
// weighed, and by one built with the race detector.
func TestWhileThingsBreak(t *testing.T) {
	for name, rows := range map[string][]outage{"a gate": throughTheGate, "one by one": oneByOne, "dead": dead, "frozen": frozen} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			side := newClusterSide(t)
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					if name == "a gate" { // they do not see each other
						t.Parallel()
					}
					row.play(t, side)
				})
			}
		})
	}
}

// A subject is a pair of exporters and the way by which they see Kubernetes.
type subject struct {
	*clusterSide
	row   outage
	gate  *gate
	loss  *dropper
	token *tokenMount
	both  []*witness // the one that ships, and the one built with the race detector

	byCertificate *witness // nil but where the API server forgets its accounts
}

func (row outage) subject(t testing.TB, side *clusterSide) *subject {
	t.Helper()
	name := strings.ReplaceAll(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:], ",", "")
	folder := sub(t, side.folder, name)
	s := &subject{clusterSide: side, row: row, token: &tokenMount{folder: sub(t, folder, "token")}}
	url := side.url
	if !row.direct {
		s.gate = side.newGate(t)
		url = s.gate.url
	}
	token, err := side.bound(t.Context())
	must(t, err)
	if row.dying {
		token = side.dying(t, token, 25*time.Second)
	}
	must(t, s.token.swap(token))
	kubeconfig := filepath.Join(folder, "kubeconfig")
	write(t, kubeconfig, side.kubeconfigOf(t, url, map[string]any{"tokenFile": s.token.path()}))
	args := []string{"--role=cluster", "--kubeconfig=" + kubeconfig, "--config.file=" + side.console.config}
	s.both = []*witness{
		witnessOf(t, newExporter(t, side.logs, name, args...), row.component),
		witnessOf(t, newExporterOf(t, raceBinary(t), side.logs, name+"-race", freeAddress(t), args...), row.component),
	}
	return s
}

// each does the same with both exporters.
func (s *subject) each(do func(*witness) error) error {
	var errs []error
	for _, w := range s.both {
		errs = append(errs, do(w))
	}
	return errors.Join(errs...)
}

// reports is nil when both exporters export everything, and the component has the ready
// pods given.
func (s *subject) reports(ready string) func() error {
	return func() error {
		return s.each(func(w *witness) error {
			g := w.observe()
			if g.err == nil && (len(g.failing) > 0 || g.ready != ready) {
				g.err = fmt.Errorf("%s: %s is %q ready, expected %q; unable: %v", w.name, w.component, g.ready, ready, g.failing)
			}
			return g.err
		})
	}
}

// waitReady waits until both export the component's ready pods, whatever else they
// cannot see.
func (s *subject) waitReady(t testing.TB, ready string) {
	t.Helper()
	until(t, recovery, s.row.component+" is exported as "+ready+" ready", func() error {
		return s.each(func(w *witness) error {
			if g := w.observe(); g.err != nil || g.ready != ready {
				return fmt.Errorf("%s: %q ready, expected %q (%w)", w.name, g.ready, ready, g.err)
			}
			return nil
		})
	})
}

// ready writes how many pods of the component are ready, bypassing the gate.
func (s *subject) ready(t testing.TB, ready int32) {
	t.Helper()
	s.workloadReady(t, s.row.component, "Deployment", ready)
}

func (row outage) play(t *testing.T, side *clusterSide) {
	s := row.subject(t, side)
	until(t, 20*time.Second, "everything is seen", s.reports("1"))
	begun := time.Now()
	var before []usage
	until(t, time.Minute, "the exporters have settled", func() error {
		before = nil
		return s.each(func(w *witness) error {
			f, err := w.settled(begun)
			before = append(before, f)
			return err
		})
	})

	row.breaks(s, t)
	broke := time.Now()
	progress("%s: broken", row.name)
	if row.changes {
		s.ready(t, 0)
	}
	if row.meanwhile != nil {
		row.meanwhile(s, t)
	}
	<-time.After(time.Until(broke.Add(row.lasts)))
	s.nothingStale(t, broke)
	s.neverHealthy(t, broke)

	row.repairs(s, t)
	repaired := time.Now()
	ready := "1"
	if row.changes {
		ready = "0"
	}
	took := until(t, recovery, "everything is seen again", s.reports(ready))
	progress("%s: everything is seen %s after the repair", row.name, seconds(took))
	s.onlyTheState(t, repaired, ready)

	s.ready(t, 0)
	until(t, recovery, "a component that fails is exported", s.reports("0"))
	s.ready(t, 1)
	until(t, recovery, "and its repair", s.reports("1"))
	healthySince := time.Now()
	for i, w := range s.both {
		w.answered(t, begun)
		w.noRace(t)
		until(t, 2*time.Minute, "nothing is left behind", func() error { return w.leavesNothing(healthySince, before[i], i > 0) })
		after, _ := w.settled(healthySince)
		progress("%s: %s: slowest scrape %s; before: %s; after: %s", row.name, w.name, seconds(w.slowest(begun)), before[i], after)
		w.end()
		if status, _ := w.ends(t, 10*time.Second); status != 0 { // 66 where the race detector has found something
			t.Errorf("%s ended with %d", w.name, status)
		}
	}
}

// nothingStale checks that what could not be read was not exported, once
// it was too old.
func (s *subject) nothingStale(t testing.TB, broke time.Time) {
	t.Helper()
	if s.row.failing == nil {
		return
	}
	for _, w := range s.both {
		seen := w.between(broke.Add(s.row.from+slack), time.Now())
		if len(seen) == 0 {
			t.Errorf("%s: nothing was asked after %s", w.name, s.row.from+slack)
		}
		for _, g := range seen {
			after := seconds(g.at.Sub(broke))
			if !slices.Equal(g.failing, s.row.failing) {
				t.Errorf("%s, %s after it broke: unable %v, expected %v", w.name, after, g.failing, s.row.failing)
			}
			for _, claim := range g.claims {
				if c := collectorOf(claim); c != s.row.partly && slices.Contains(s.row.failing, c) {
					t.Errorf("%s, %s after it broke: %s is claimed, and nobody can know", w.name, after, claim)
				}
			}
		}
	}
}

// neverHealthy checks that a component that failed with the API was not exported as healthy
// for longer than the exporter may remember.
func (s *subject) neverHealthy(t testing.TB, broke time.Time) {
	t.Helper()
	if !s.row.changes {
		return
	}
	for _, w := range s.both {
		for _, g := range w.between(broke.Add(remembered+slack), time.Now()) {
			if g.ready == "1" {
				t.Errorf("%s, %s after %s failed: it is exported as healthy", w.name, seconds(g.at.Sub(broke)), w.component)
			}
		}
	}
}

// onlyTheState checks that nothing else was exported since the repair. An outage
// that is shorter than what the exporter may remember proves nothing.
func (s *subject) onlyTheState(t testing.TB, repaired time.Time, ready string) {
	t.Helper()
	if s.row.lasts < remembered {
		return
	}
	for _, w := range s.both {
		for _, g := range w.since(repaired) {
			if g.ready != "" && g.ready != ready {
				t.Errorf("%s, %s after the repair: %s is called %s ready; it is %s", w.name, seconds(g.at.Sub(repaired)), w.component, g.ready, ready)
			}
		}
	}
}

// slowest is how long the slowest scrape took since then.
func (w *witness) slowest(since time.Time) time.Duration {
	seen := w.since(since)
	return slices.MaxFunc(append(seen, observation{}), func(a, b observation) int { return int(a.took - b.took) }).took
}

// collectorOf is the collector that makes a claim.
func collectorOf(claim string) string {
	switch claim {
	case "rainbond_nodes":
		return "node-role"
	case "rainbond_node_condition":
		return "disk"
	}
	return "component"
}
