package demo

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// certs returns the sets of certificates that scenarios need.
type certs struct {
	bits int
	logf func(string, ...any)
}

// The sets of certificates.
const (
	usual    = "usual"    // in all five places of a healthy region
	other    = "other"    // from another rotation: the operator generated it before or after the usual one
	expiring = "expiring" // a replaced set that expires in ten days
	expired  = "expired"  // a replaced set that has expired
	foreign  = "foreign"  // of a kube-apiserver, with other names
)

func newCerts(bits int, logf func(string, ...any)) *certs { return &certs{bits: bits, logf: logf} }

// generated contains the sets of certificates by key size and name. All demos
// of a process share them, because three RSA keys take up to a few seconds.
var generated = struct {
	sync.Mutex
	sets map[string]pki.Generation
}{sets: map[string]pki.Generation{}}

// generation returns the set of that name. It generates the set on first use.
func (c *certs) generation(name string) (pki.Generation, error) {
	generated.Lock()
	defer generated.Unlock()
	key := fmt.Sprint(c.bits, name)
	if g, ok := generated.sets[key]; ok {
		return g, nil
	}
	c.logf("generating certificates (RSA %d) …", c.bits)
	now := time.Now()
	made := now.Add(-age)
	until := made.AddDate(pki.OperatorYears, 0, 0)
	switch name {
	case expiring:
		until = now.AddDate(0, 0, 10)
	case expired:
		until = now.AddDate(0, 0, -1)
	}
	generate := pki.NewValid
	if name == foreign {
		generate = pki.NewKubernetes
	}
	g, err := generate(c.bits, made, until, net.IPv4(127, 0, 0, 1))
	if err == nil {
		generated.sets[key] = g
	}
	return g, err
}
