package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// A port is a TCP port of the loopback address. On Windows it is not reserved
// while no process listens on it.
type port struct{ number int }

func reserve() (*port, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	number := l.Addr().(*net.TCPAddr).Port
	return &port{number: number}, l.Close()
}

func (p *port) listen(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp4", p.address())
}

func (p *port) release() {}

func (d *listener) drop(context.Context) error {
	return errors.New("packets cannot be dropped on Windows; simulate this fault on Linux or macOS")
}
