// Package demo simulates a region that can be broken: a region API with real
// mutual TLS, a Kubernetes API that works with client-go, and the console's
// copy of the certificates in files, all on loopback. A user of the package
// needs only a kubeconfig and a configuration file.
package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Options configure a demo.
type Options struct {
	Scenario string    // the first scenario; "" is Healthy
	Progress io.Writer // receives a line for each slow step; nil discards them
	// Installation is the name of one of Installations; "" is Default.
	Installation string
	Bits         int // size of the RSA keys; 0 is the operator's size, which takes seconds to generate
	// FixedTimes makes Observed replace the measured durations of a probe. Tests
	// use it, because a loaded machine is as slow as a slow region.
	FixedTimes bool
	// Switched is called with the name of the scenario after each change, the
	// first time before Start returns. A caller with a cache can invalidate it.
	// Switched must not call Set. It may be nil.
	Switched func(scenario string)
}

// A Demo is a running region. Its methods may be called at any time, from any
// goroutine.
type Demo struct {
	ctx          context.Context // ends with Close
	cancel       context.CancelFunc
	switched     func(string)
	installation Installation
	fixedTimes   bool
	logf         func(format string, args ...any)
	began        time.Time
	certs        *certs
	console      folder
	kube         *kube
	listener     *listener // the address of the region that the console uses
	direct       *listener // rbd-api itself, bypassing the gateway
	second       *listener // the address of another region
	names        *nameServer
	log          *podLog
	locked       *sql.DB // holds a lock on the console's database; nil: no lock

	mu      sync.Mutex // held while the scenario changes
	closed  bool
	changes int // number of scenario changes; each one creates a new pod of rbd-api

	state   sync.Mutex // guards what the page and the disk collector read
	current Scenario
	root    fault.Filesystem
	mounts  []fault.Mount
	delayed bool // the region API delays its responses
}

// Start starts a demo, which runs until Close. An unknown scenario is an
// error that lists the known ones.
func Start(ctx context.Context, o Options) (*Demo, error) {
	if o.Scenario == "" {
		o.Scenario = Healthy
	}
	if _, err := find(o.Scenario); err != nil {
		return nil, err
	}
	installation, err := findInstallation(o.Installation)
	if err != nil {
		return nil, err
	}
	if o.Bits == 0 {
		o.Bits = pki.OperatorBits
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	d := &Demo{began: time.Now(), switched: o.Switched, installation: installation, fixedTimes: o.FixedTimes}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.logf = func(format string, args ...any) { fmt.Fprintf(o.Progress, "demo: "+format+"\n", args...) }
	d.certs = newCerts(o.Bits, d.logf)
	if err := d.start(o.Scenario); err != nil {
		d.Close()
		return nil, fmt.Errorf("start the demo: %w", err)
	}
	return d, nil
}

func (d *Demo) start(scenario string) error {
	var err error
	if d.console, err = newFolder(); err != nil {
		return err
	}
	d.log = newPodLog()
	if d.listener, err = newListener(d.log); err != nil {
		return err
	}
	if d.direct, err = newListener(d.log); err != nil {
		return err
	}
	if d.second, err = newListener(newPodLog()); err != nil {
		return err
	}
	if d.names, err = newNameServer(d.ctx, "rbd-api-api."+d.installation.Namespace); err != nil {
		return err
	}
	if d.kube, err = newKube(d.log); err != nil {
		return err
	}
	if err := d.console.writeKubeconfig(d.kube.port.url("http"), d.installation.Namespace); err != nil {
		return err
	}
	if err := d.Set(scenario); err != nil {
		return err
	}
	d.logf("region API at %s, Kubernetes API at %s, files in %s", d.listener.port.url("https"), d.kube.port.url("http"), d.console)
	return nil
}

// Kubeconfig returns the path of a kubeconfig for the simulated cluster.
func (d *Demo) Kubeconfig() string { return d.console.path(kubeconfigFile) }

// ConfigFile returns the path of a configuration file with the console's copy
// of the region, or "" if the exporter of the installation has none. A change of
// the scenario may rewrite it.
func (d *Demo) ConfigFile() string {
	if d.installation.console == consoleUnknown {
		return ""
	}
	return d.console.path(configFile)
}

// Namespace returns the namespace of the platform.
func (d *Demo) Namespace() string { return d.installation.Namespace }

// Kubectl returns how the platform's administrator runs kubectl; "" is kubectl.
func (d *Demo) Kubectl() string { return d.installation.Kubectl }

// DirectURL returns the URL of rbd-api that bypasses the gateway, as the
// Service rbd-api-api does in a real cluster. If the console uses the Service,
// it is the console's address too.
func (d *Demo) DirectURL() string {
	if d.installation.console.service() {
		return fmt.Sprintf("https://rbd-api-api.%s:%d", d.installation.Namespace, d.listener.port.number)
	}
	return d.direct.port.url("https")
}

// Resolver returns a resolver that queries the demo's DNS server. That server
// returns NXDOMAIN for every name, or does not respond.
func (d *Demo) Resolver() *net.Resolver { return d.names.resolver() }

// Observed returns a trace of a request to the demo. With Options.FixedTimes, no
// phase took more than a millisecond, unless the scenario delays the response.
func (d *Demo) Observed(t fault.Trace) fault.Trace {
	d.state.Lock()
	measured := !d.fixedTimes || d.delayed
	d.state.Unlock()
	if measured {
		return t
	}
	t.Durations = maps.Clone(t.Durations)
	t.Took = 0
	for phase := range t.Durations {
		t.Durations[phase] = time.Millisecond
		t.Took += time.Millisecond
	}
	return t
}

// Root returns the simulated root file system of a node.
func (d *Demo) Root(context.Context) (fault.Filesystem, error) {
	d.state.Lock()
	defer d.state.Unlock()
	return d.root, nil
}

// Mounts returns the other simulated file systems of that node.
func (d *Demo) Mounts(context.Context) ([]fault.Mount, error) {
	d.state.Lock()
	defer d.state.Unlock()
	return d.mounts, nil
}

// Scenario returns the current scenario.
func (d *Demo) Scenario() Scenario {
	d.state.Lock()
	defer d.state.Unlock()
	return d.current
}

// Set injects the faults of the scenario and repairs everything else. Several
// names joined by + are several scenarios at once. Rbd-api becomes a new pod
// with a new log, as after a repair. An unknown name is an
// UnknownScenarioError.
func (d *Demo) Set(name string) error {
	s, err := find(name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errors.New("the demo has ended")
	}
	w, err := d.world(s)
	if err != nil {
		return fmt.Errorf("scenario %s: %w", name, err)
	}
	if err := d.apply(w); err != nil {
		return fmt.Errorf("scenario %s: %w", name, err)
	}
	d.state.Lock()
	again := name == d.current.Name
	d.current, d.root, d.mounts, d.delayed = s, w.root, w.mounts, w.listener.api.delay > 0
	d.state.Unlock()
	if !again {
		d.logf("scenario %s: %s", name, s.Title["en"])
	}
	if d.switched != nil {
		d.switched(name)
	}
	return nil
}

// world returns the healthy world with the faults of the scenario.
func (d *Demo) world(s Scenario) (*world, error) {
	d.changes++
	address := d.listener.port.url("https")
	url := address
	if d.installation.console == consoleDatabase {
		url = fmt.Sprintf("https://rbd-api-api:%d", d.listener.port.number)
	}
	w := newWorld(d.certs, d.installation, url, address, d.began, d.changes)
	w.secondURL = d.second.port.url("https")
	if w.second != nil {
		w.second.url = w.secondURL
	}
	if s.inject != nil {
		s.inject(w)
	}
	return w, w.err
}

// apply makes the world visible. The listener opens last, so that a client that
// connects finds everything else in place.
func (d *Demo) apply(w *world) error {
	d.listener.close()
	d.direct.close()
	d.second.close()
	d.names.unresponsive.Store(w.dnsUnresponsive)
	d.log.restart(w.logged)
	d.unlock()
	if err := d.console.writeConsole(d.ctx, w); err != nil {
		return err
	}
	if w.databaseLocked {
		var err error
		if d.locked, err = d.console.lockTable(d.ctx); err != nil {
			return err
		}
	}
	if err := d.kube.apply(d.ctx, w); err != nil {
		return err
	}
	if err := d.direct.open(d.ctx, w.direct()); err != nil {
		return err
	}
	if w.second != nil {
		if err := d.second.open(d.ctx, w.second); err != nil {
			return err
		}
	}
	return d.listener.open(d.ctx, w)
}

// unlock releases the lock on the console's database.
func (d *Demo) unlock() {
	if d.locked != nil {
		_ = d.locked.Close() // rolls back
		d.locked = nil
	}
}

// Close stops everything and removes the files.
func (d *Demo) Close() {
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	for _, l := range []*listener{d.listener, d.direct, d.second} {
		if l != nil {
			l.close()
			l.port.release()
		}
	}
	if d.kube != nil {
		d.kube.close()
		d.kube.port.release()
	}
	if d.names != nil {
		d.names.close()
	}
	d.unlock()
	if d.console != "" {
		_ = os.RemoveAll(string(d.console)) // in the system's temporary directory
	}
}

// An UnknownScenarioError is the name of a scenario that does not exist. Its
// message lists the existing ones.
type UnknownScenarioError string

func (e UnknownScenarioError) Error() string {
	var names []string
	for _, s := range Scenarios {
		names = append(names, s.Name)
	}
	return fmt.Sprintf("unknown scenario %q; expected one of %s, or several joined by +", string(e), strings.Join(names, ", "))
}

// find returns the scenario of that name. A name with + is several at once.
func find(name string) (Scenario, error) {
	var found Scenario
	for n, one := range strings.Split(name, and) {
		i := slices.IndexFunc(Scenarios, func(s Scenario) bool { return s.Name == one })
		switch {
		case i < 0:
			return Scenario{}, UnknownScenarioError(one)
		case n == 0:
			found = Scenarios[i]
		default:
			found = found.And(Scenarios[i])
		}
	}
	return found, nil
}
