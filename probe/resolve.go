package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	// lookupTimeout is how long a resolver waits for a name server before it
	// queries the next one (resolv.conf(5), option timeout).
	lookupTimeout = 5 * time.Second
	// controlDelay is how long a lookup takes before the control query starts.
	controlDelay = time.Second
	// controlName is the name of the control query. A resolver returns NXDOMAIN
	// for every name under invalid (RFC 6761, section 6.4).
	controlName = "rainbond-exporter-control.invalid."
)

// lookup resolves a host name. A second name server has a fifth of the limit
// after the first one's time. When no name server responds to the query, a
// control query shows whether the region's name is the cause: the error is
// fault.ErrNoNameServer if there is no response to that query either.
func lookup(ctx context.Context, resolver *net.Resolver, host string, limit time.Duration) ([]string, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit+limit/5)
	defer cancel()
	var control observer
	ended := make(chan struct{})
	startControl := sync.OnceFunc(func() {
		go func() {
			defer close(ended)
			_, _ = control.lookup(ctx, resolver, controlName) // any response is enough
		}()
	})
	timer := time.AfterFunc(min(controlDelay, limit/5), startControl)
	defer func() {
		if !timer.Stop() {
			startControl() // it may have just been started
			cancel()
			<-ended
		}
	}()
	var query observer
	ips, err := query.lookup(ctx, resolver, host)
	var dns *net.DNSError
	switch {
	case err == nil:
		return ips, nil
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil, err
	case query.ownLimit() != nil:
		return nil, fmt.Errorf("%w: %w", query.ownLimit(), err)
	case query.responded() || ctx.Err() != nil && time.Since(begin) < limit:
		return nil, err
	}
	startControl()
	<-ended
	if !control.responded() {
		return nil, fmt.Errorf("%w: %w", fault.ErrNoNameServer, err)
	}
	return nil, err
}

// An observer records what a lookup meets on the network. The errors of package
// net contain it as text only.
type observer struct {
	mu       sync.Mutex
	response bool
	limit    error // of this process
}

func (o *observer) responded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.response
}

func (o *observer) ownLimit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.limit
}

func (o *observer) observe(n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.response = o.response || n > 0
	if err != nil && fault.OwnLimit(err) && !errors.Is(err, context.Canceled) {
		o.limit = err
	}
}

func (o *observer) lookup(ctx context.Context, base *net.Resolver, host string) ([]string, error) {
	dial := new(net.Dialer).DialContext
	if base != nil && base.Dial != nil {
		dial = base.Dial
	}
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		defer func() {
			if cause := recover(); cause != nil { // package net calls this in a goroutine of its own
				err = &fault.UnknownError{Phase: fault.Resolve, Err: fmt.Errorf("panic: %v", cause)}
				o.observe(0, err)
			}
		}()
		conn, err := dial(ctx, network, address)
		if err != nil {
			o.observe(0, err)
			return nil, err
		}
		if packets, ok := conn.(packetConn); ok {
			return &observedPackets{packets, o}, nil
		}
		return &observedStream{conn, o}, nil
	}}
	return r.LookupHost(ctx, host)
}

// packetConn is what package net expects of a connection over UDP.
type packetConn interface {
	net.Conn
	net.PacketConn
}

type observedPackets struct {
	packetConn
	o *observer
}

func (c *observedPackets) Read(b []byte) (int, error) {
	n, err := c.packetConn.Read(b)
	c.o.observe(n, err)
	return n, err
}

func (c *observedPackets) Write(b []byte) (int, error) {
	n, err := c.packetConn.Write(b)
	c.o.observe(0, err)
	return n, err
}

type observedStream struct {
	net.Conn
	o *observer
}

func (c *observedStream) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.o.observe(n, err)
	return n, err
}
