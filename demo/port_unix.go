//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A port is a TCP port of the loopback address that stays reserved while no
// process listens on it: a connection is then refused, and the address is the
// same when a server listens again.
type port struct {
	fd     int // a socket that is bound and never listens
	number int
}

func reserve() (*port, error) {
	fd, err := socket(0)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	return &port{fd: fd, number: name.(*unix.SockaddrInet4).Port}, nil
}

// socket returns a TCP socket bound to the loopback address. All sockets of a
// port need SO_REUSEPORT.
func socket(number int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (p *port) listen(ctx context.Context) (net.Listener, error) {
	share := func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); controlErr != nil {
			return controlErr
		}
		return err
	}
	return (&net.ListenConfig{Control: share}).Listen(ctx, "tcp4", p.address())
}

func (p *port) release() { _ = unix.Close(p.fd) }

// drop drops packets without a firewall: a socket whose accept queue is full
// ignores a SYN (Linux, tcp_conn_request).
func (d *listener) drop(ctx context.Context) error {
	fd, err := socket(d.port.number)
	if err != nil {
		return err
	}
	d.shut = append(d.shut, func() { _ = unix.Close(fd) })
	if err := unix.Listen(fd, 0); err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: 100 * time.Millisecond}
	for range 16 {
		conn, err := dialer.DialContext(ctx, "tcp4", d.port.address())
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return nil // full
		}
		if err != nil {
			return err
		}
		d.shut = append(d.shut, func() { _ = conn.Close() })
	}
	return errors.New("cannot fill the accept queue of a socket on this system, so packets cannot be dropped")
}
