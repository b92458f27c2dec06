//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	consoleconfig "github.com/rainbond-exporter/rainbond-exporter/console"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Where console and region are separate, one exporter runs next to the console
// and one in the region, and neither sees both sides. Here the certificates
// were rotated and one of two replicas of rbd-api has restarted since: the
// console's way leads to the one that has not, so that each exporter finds a
// healthy region. Only the rules see what both know.
func TestConsoleAndRegionApart(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	restarted, not := newDemo(t, 2048), newDemo(t, 3072)
	gateway := newGateway(t)
	console := newConsole(t, sub(t, folder, "console"), gateway.address)
	leads := func(to *demo.Demo) {
		address, g := consoleCopy(t, to)
		gateway.leads(address)
		console.paste(t, g)
	}
	leads(restarted)
	atConsole := newExporter(t, logs, "exporter-console", "--role=console", "--config.file="+console.config)
	inRegion := newExporter(t, logs, "exporter-cluster", "--role=cluster", "--region.route=api_address", "--kubeconfig="+restarted.Kubeconfig())
	watched := newAlerting(t, sub(t, folder, "alerting"), logs, atConsole.address, inRegion.address)
	bothHealthy := func() error {
		return errors.Join(atConsole.onlyFailing(), inRegion.onlyFailing(), alone(atConsole), alone(inRegion), watched.scrapesAll())
	}
	until(t, 20*time.Second, "both exporters succeed and find nothing", bothHealthy)
	until(t, 20*time.Second, "the Watchdog fires", func() error { return watched.quiet() })
	throughout(t, 5*time.Second, "no alert while console and region hold one generation", func() error { return watched.quiet("pending", "firing") })

	broken := time.Now()
	leads(not)
	drift := page{alert: "RainbondRegionCertificateDrift", labels: map[string]string{"rainbond_region": "rainbond", "between": "copies", "severity": "warning"}}
	var received notification
	until(t, fires, "the webhook receives "+drift.alert, func() (err error) {
		received, err = drift.find("firing", watched.person.since(broken))
		return err
	})
	progress("console and region apart: %s arrived after %s", drift.alert, seconds(received.at.Sub(broken)))
	if !strings.Contains(received.Annotations["description"], "console and region-config") {
		t.Errorf("the description does not name what differs:\n%s", received.Annotations["description"])
	}
	if err := bothHealthy(); err != nil {
		t.Errorf("each exporter by itself must find nothing: %v", err)
	}

	leads(restarted)
	until(t, ends, "the webhook receives the end of "+drift.alert, func() error {
		_, err := drift.find("resolved", watched.person.since(broken))
		return err
	})
	notified := 0
	for _, n := range watched.person.since(broken) {
		switch {
		case !drift.is(n):
			t.Errorf("also received: %s", n)
		case n.Status == "firing":
			notified++
		}
	}
	if notified != 1 {
		t.Errorf("%s notified %d times", drift.alert, notified)
	}
}

// A gateway passes connections on.
type gateway struct {
	address string
	to      atomic.Value // an address
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	g := &gateway{address: l.Addr().String()}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(from)
		}
	}()
	return g
}

func (g *gateway) leads(to string) { g.to.Store(to) }

func (g *gateway) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", g.to.Load().(string))
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(from, to)
}

// alone is nil when an exporter sees no difference by itself.
func alone(e *exporter) error {
	seen, err := e.scrape()
	if err != nil {
		return err
	}
	compared := seen["rainbond_certificate_mismatch"].GetMetric()
	if len(compared) == 0 {
		return fmt.Errorf("%s compares nothing", e.name)
	}
	for _, m := range compared {
		if m.GetGauge().GetValue() != 0 {
			return fmt.Errorf("%s sees a difference: %v", e.name, m.GetLabel())
		}
	}
	return nil
}

// newDemo starts a demo. All demos of a process with keys of one size have the
// same certificates.
func newDemo(t *testing.T, bits int) *demo.Demo {
	t.Helper()
	d, err := demo.Start(t.Context(), demo.Options{Bits: bits})
	must(t, err)
	t.Cleanup(d.Close)
	return d
}

// consoleCopy is what the demo's console holds of its region.
func consoleCopy(t *testing.T, d *demo.Demo) (address string, g pki.Generation) {
	t.Helper()
	config, err := consoleconfig.Open(d.ConfigFile())
	must(t, err)
	regions, err := config.Regions(t.Context())
	must(t, err)
	if len(regions) != 1 || regions[0].Place != fault.Console {
		t.Fatalf("the demo's console knows %d regions; expected one", len(regions))
	}
	return strings.TrimPrefix(regions[0].URL, "https://"), pki.Generation{CA: regions[0].CA, Client: regions[0].Cert, ClientKey: regions[0].Key}
}
