package demo

import (
	"net"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// certs are the generations of certificates that scenarios need, each made
// once and only when first needed: three RSA keys of the operator's size take
// a second or more.
type certs struct {
	bits int
	say  func(string, ...any)

	mu   sync.Mutex
	made map[string]pki.Generation
}

// The generations.
const (
	usual    = "usual"    // what a healthy region has, everywhere
	other    = "other"    // what the operator made before or after the usual one
	expiring = "expiring" // somebody's own, with ten days left
	expired  = "expired"  // somebody's own, with none left
)

func newCerts(bits int, say func(string, ...any)) *certs {
	return &certs{bits: bits, say: say, made: map[string]pki.Generation{}}
}

func (c *certs) generation(name string) (pki.Generation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g, ok := c.made[name]; ok {
		return g, nil
	}
	c.say("making certificates (RSA %d) …", c.bits)
	now := time.Now()
	made := now.Add(-age)
	until := made.AddDate(pki.OperatorYears, 0, 0)
	switch name {
	case expiring:
		until = now.AddDate(0, 0, 10)
	case expired:
		until = now.AddDate(0, 0, -1)
	}
	g, err := pki.NewValid(c.bits, made, until, net.IPv4(127, 0, 0, 1))
	if err == nil {
		c.made[name] = g
	}
	return g, err
}
