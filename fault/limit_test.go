package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestOwnLimit(t *testing.T) {
	to := func(ip string, errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 8443}, Err: os.NewSyscallError("connect", errno)}
	}
	refused, dropped := to("192.0.2.1", syscall.ECONNREFUSED), to("192.0.2.1", syscall.ETIMEDOUT)
	for _, row := range []struct {
		name string
		err  error
		want bool
	}{
		{"no descriptors", to("192.0.2.1", syscall.EMFILE), true},
		{"no descriptors on the host", to("192.0.2.1", syscall.ENFILE), true},
		{"no ports", to("192.0.2.1", syscall.EADDRNOTAVAIL), true},
		{"no buffers", to("192.0.2.1", syscall.ENOBUFS), true},
		{"no memory", to("192.0.2.1", syscall.ENOMEM), true},
		{"no permission", to("192.0.2.1", syscall.EACCES), true},
		{"not permitted", to("192.0.2.1", syscall.EPERM), true},
		{"too little time", fmt.Errorf("connect: %w", ErrTooLittleTime), true},
		{"no name server", ErrNoNameServer, true},
		{"canceled", context.Canceled, true},
		{"refused", refused, false},
		{"dropped", dropped, false},
		{"no route", to("192.0.2.1", syscall.ENETUNREACH), false},
		{"our certificate", &UnusableError{"CA", errors.New("empty")}, false},
		{"two addresses, one not tried", errors.Join(to("192.0.2.1", syscall.EMFILE), refused), true},
		{"two addresses, both refused", errors.Join(refused, refused), false},
		{"no IPv6 on this host, IPv4 refused", errors.Join(to("2001:db8::1", syscall.EADDRNOTAVAIL), refused), false},
		{"no IPv6 on this host, IPv4 without descriptors", errors.Join(to("2001:db8::1", syscall.EAFNOSUPPORT), to("192.0.2.1", syscall.EMFILE)), true},
		{"only IPv6, and none on this host", errors.Join(to("2001:db8::1", syscall.EADDRNOTAVAIL)), true},
	} {
		if got := OwnLimit(row.err); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}
