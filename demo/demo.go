// Package demo is a region that breaks on purpose: a region API with real
// mutual TLS, a Kubernetes API that answers real client-go, and a console's
// copy of the certificates in real files, all on loopback. Who looks at it
// needs to know nothing of it: it is a kubeconfig and a configuration file.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Options say how to start a demo.
type Options struct {
	Scenario string    // what is broken at first; "" is healthy
	Progress io.Writer // gets a line for each step that takes time; nil: nobody
	Bits     int       // size of the RSA keys; 0 is the operator's, which take seconds to make
	// Switched is called after each change of the scenario, with its name, and
	// before Start returns, so that a reader who keeps what it read can read
	// again. It must not call Set. Nil: nobody is called.
	Switched func(scenario string)
}

// A Demo is a running region. Its methods may be called at any time, from any
// goroutine.
type Demo struct {
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	switched func(string)
	say      func(format string, args ...any)
	began    time.Time
	certs    *certs
	console  folder
	kube     *kube
	door     *door // the region's address, as the console has it
	past     *door // rbd-api itself, past the gateway
	second   *door // another region's address
	names    *nameServer
	log      *podLog

	mu      sync.Mutex // held while the scenario changes
	closed  bool
	changes int // how often the scenario has changed: each time, rbd-api is a new pod

	state   sync.Mutex // guards what the page and the disk collector read
	current Scenario
	root    fault.Filesystem
	mounts  []fault.Mount
}

// Start starts a demo, which runs until Close. An unknown scenario is an
// error that lists those there are.
func Start(ctx context.Context, o Options) (*Demo, error) {
	if o.Scenario == "" {
		o.Scenario = Healthy
	}
	if _, err := find(o.Scenario); err != nil {
		return nil, err
	}
	if o.Bits == 0 {
		o.Bits = pki.OperatorBits
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	d := &Demo{began: time.Now(), switched: o.Switched}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.say = func(format string, args ...any) { fmt.Fprintf(o.Progress, "demo: "+format+"\n", args...) }
	d.certs = newCerts(o.Bits, d.say)
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
	if d.door, err = newDoor(d.log); err != nil {
		return err
	}
	if d.past, err = newDoor(d.log); err != nil {
		return err
	}
	if d.second, err = newDoor(newPodLog()); err != nil {
		return err
	}
	if d.names, err = newNameServer(d.ctx); err != nil {
		return err
	}
	if d.kube, err = newKube(d.log); err != nil {
		return err
	}
	if err := d.console.writeKubeconfig(d.kube.port.url("http")); err != nil {
		return err
	}
	if err := d.Set(scenario); err != nil {
		return err
	}
	d.say("region API at %s, Kubernetes API at %s, files in %s", d.door.port.url("https"), d.kube.port.url("http"), d.console)
	return nil
}

// Kubeconfig is the path of a kubeconfig that leads to the simulated cluster.
func (d *Demo) Kubeconfig() string { return d.console.path(kubeconfigFile) }

// ConfigFile is the path of a configuration file with the console's copy of
// the region. A change of scenario may rewrite it.
func (d *Demo) ConfigFile() string { return d.console.path(configFile) }

// DirectURL is where rbd-api answers those who go past the gateway, as the
// Service rbd-api-api does in a real cluster.
func (d *Demo) DirectURL() string { return d.past.port.url("https") }

// Resolver asks the demo's name server, which knows no name, or is silent.
func (d *Demo) Resolver() *net.Resolver { return d.names.resolver() }

// Root is the simulated root file system of a node.
func (d *Demo) Root(context.Context) (fault.Filesystem, error) {
	d.state.Lock()
	defer d.state.Unlock()
	return d.root, nil
}

// Mounts are the simulated file systems of that node beside its root.
func (d *Demo) Mounts(context.Context) ([]fault.Mount, error) {
	d.state.Lock()
	defer d.state.Unlock()
	return d.mounts, nil
}

// Scenario is the one that is set.
func (d *Demo) Scenario() Scenario {
	d.state.Lock()
	defer d.state.Unlock()
	return d.current
}

// Set breaks what the scenario breaks, or several scenarios whose names stand
// with + between them, and mends everything else. Rbd-api becomes a new pod
// with a new log, as it would be after a repair. An unknown name is an
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
	if err := d.become(w); err != nil {
		return fmt.Errorf("scenario %s: %w", name, err)
	}
	d.state.Lock()
	again := name == d.current.Name
	d.current, d.root, d.mounts = s, w.root, w.mounts
	d.state.Unlock()
	if !again {
		d.say("scenario %s: %s", name, s.Title["en"])
	}
	if d.switched != nil {
		d.switched(name)
	}
	return nil
}

// world is the healthy world with the scenario's breakage.
func (d *Demo) world(s Scenario) (*world, error) {
	d.changes++
	w := newWorld(d.certs, d.door.port.url("https"), d.began, d.changes)
	w.secondURL = d.second.port.url("https")
	if s.breaks != nil {
		s.breaks(w)
	}
	return w, w.err
}

// become makes the world visible. The door opens last: whoever gets through
// it finds everything else in place.
func (d *Demo) become(w *world) error {
	d.door.close()
	d.past.close()
	d.second.close()
	d.names.silent.Store(w.unnamed)
	d.log.restart(w.logged)
	if err := d.console.writeConsole(d.ctx, w); err != nil {
		return err
	}
	if err := d.kube.become(d.ctx, w); err != nil {
		return err
	}
	if err := d.past.open(d.ctx, w.past()); err != nil {
		return err
	}
	if w.second != nil {
		if err := d.second.open(d.ctx, w.second); err != nil {
			return err
		}
	}
	return d.door.open(d.ctx, w)
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
	for _, door := range []*door{d.door, d.past, d.second} {
		if door != nil {
			door.close()
			door.port.release()
		}
	}
	if d.kube != nil {
		d.kube.close()
		d.kube.port.release()
	}
	if d.names != nil {
		d.names.close()
	}
	if d.console != "" {
		_ = os.RemoveAll(string(d.console)) // it is in the system's folder for what may be lost
	}
}

// An UnknownScenarioError says that there is no scenario of that name, and
// which there are.
type UnknownScenarioError string

func (e UnknownScenarioError) Error() string {
	var names []string
	for _, s := range Scenarios {
		names = append(names, s.Name)
	}
	return fmt.Sprintf("unknown scenario %q; expected one of %s, or several with + between them", string(e), strings.Join(names, ", "))
}

// find returns the scenario of that name, or those whose names it joins.
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
