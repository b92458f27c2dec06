package fault

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// An UnknownError is why a request to a region API has no result: the exporter,
// and not the region, ended it. It is never a verdict about the region.
type UnknownError struct {
	Phase Phase
	Err   error
}

// Error returns the phase and the cause.
func (e *UnknownError) Error() string { return "unknown: " + string(e.Phase) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *UnknownError) Unwrap() error { return e.Err }

// ErrTooLittleTime is the error of a phase that ended before its full limit,
// because the collection had no more time.
var ErrTooLittleTime = errors.New("too little time left for a verdict")

// ErrNoNameServer is the error of a lookup while no name server responds to any
// query.
var ErrNoNameServer = errors.New("no name server responds to any query")

// ownLimits are the errors of system calls that describe this process or its
// host: no descriptors, ports, buffers or memory, no permission, no support for
// the address family.
var ownLimits = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM,
	syscall.EACCES, syscall.EPERM, syscall.EAFNOSUPPORT,
}

// OwnLimit reports whether err describes a limit of the exporter's own process
// or host. Of several addresses, one that could not be tried is enough, unless
// it is an IPv6 address on a host without IPv6.
func OwnLimit(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // each error is evaluated by itself
	if !ok {
		return ownLimit(err)
	}
	limited, withoutIPv6 := 0, 0
	errs := joined.Unwrap()
	for _, err := range errs {
		switch {
		case lacksIPv6(err):
			withoutIPv6++
		case OwnLimit(err):
			limited++
		}
	}
	return limited > 0 || withoutIPv6 == len(errs)
}

func ownLimit(err error) bool {
	for _, errno := range ownLimits {
		if errors.Is(err, errno) {
			return true
		}
	}
	var unknown *UnknownError
	return errors.As(err, &unknown) || errors.Is(err, ErrConsoleOnly) || errors.Is(err, ErrTooLittleTime) || errors.Is(err, ErrNoNameServer) || errors.Is(err, context.Canceled)
}

// lacksIPv6 reports whether err is that of an IPv6 address on a host without
// IPv6.
func lacksIPv6(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EAFNOSUPPORT) {
		return false
	}
	address, ok := op.Addr.(*net.TCPAddr)
	return ok && address.IP.To4() == nil
}

// IsTimeout reports whether err is the end of a limit, of the kernel, of a
// socket or of a context.
func IsTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &n) && n.Timeout()
}

// ErrMalformedURL is the error of a region whose URL neither the exporter nor
// the console can use.
var ErrMalformedURL = errors.New("malformed URL")
