package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// An identity holds the parsed credentials of a console. Parsing RSA-4096
// certificates for each probe would cost as much as the probe.
type identity struct {
	sum         fault.Sum // of the copy
	serverName  string
	certificate tls.Certificate
	authorities [][]byte // the CA's certificates as DER; parsed, they would need three times the memory
}

// roots returns a pool of the authorities.
func (id *identity) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range id.authorities {
		if cert, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(cert)
		}
	}
	return pool
}

// identity returns the region's credentials, and parses them again when the copy
// has changed. The error is a *fault.UnusableError.
func (p *Prober) identity(r fault.Region) (*identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	serverName := r.ServerName
	if serverName == "" {
		serverName = fault.DefaultServerName
	}
	sum := fault.SumOf([]byte(serverName), r.CA, r.Cert, r.Key, []byte(fmt.Sprint(r.Columns)))
	if last, ok := p.identities[r.Name]; ok && last.sum == sum {
		return last, nil
	}
	id := &identity{sum: sum, serverName: serverName}
	for _, part := range []struct {
		name string
		copy fault.Copy
	}{
		{"CA", fault.Copy{Kind: fault.CA, PEM: r.CA}},
		{"client certificate", fault.Copy{Kind: fault.Client, PEM: r.Cert, Key: append(fault.Secret{}, r.Key...)}},
	} {
		part.copy.Place, part.copy.Column = r.Place, r.Columns
		reading := fault.ReadCopy(part.copy)
		switch {
		case reading.Damage != "":
			return nil, &fault.UnusableError{Part: part.name, Err: fmt.Errorf("%s: %s", reading.Damage, reading.Message)}
		case reading.KeyMismatch != "":
			return nil, &fault.UnusableError{Part: "client key", Err: errors.New(reading.KeyMismatch)}
		}
	}
	id.authorities = fault.Certificates(r.CA)
	var err error
	if id.certificate, err = fault.KeyPair(r.Cert, r.Key); err != nil {
		return nil, &fault.UnusableError{Part: "client certificate", Err: err}
	}
	id.certificate.Leaf = nil // a client does not use it
	if p.identities == nil {
		p.identities = map[string]*identity{}
	}
	p.identities[r.Name] = id
	return id, nil
}

// Keep removes the credentials of every region that is not listed.
func (p *Prober) Keep(regions []fault.Region) {
	names := make(map[string]bool, len(regions))
	for _, r := range regions {
		names[r.Name] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.identities, func(name string, _ *identity) bool { return !names[name] })
}
