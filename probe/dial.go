package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func hasBlank(text string) bool { return strings.ContainsFunc(text, unicode.IsSpace) }

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// connect tries the addresses in their order, as the console does, each for up
// to the limit. The next attempt starts when the last one has failed. With too
// little time for that, it starts earlier, so that each attempt can have its
// full limit. The error joins those of all addresses.
func (q *request) connect(ctx context.Context, ips []string, port string) error {
	type result struct {
		i    int
		conn net.Conn
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result, len(ips))
	started, finished := 0, 0
	defer func() {
		cancel()
		for ; finished < started; finished++ {
			if r := <-results; r.conn != nil {
				_ = r.conn.Close()
			}
		}
	}()
	start := func() {
		i := started
		started++
		go func() {
			r := result{i: i}
			defer func() {
				if cause := recover(); cause != nil {
					r.err = &fault.UnknownError{Phase: fault.Connect, Err: fmt.Errorf("panic: %v", cause)}
				}
				results <- r
			}()
			r.conn, r.err = dial(ctx, net.JoinHostPort(ips[i], port), q.limits.connect)
		}()
	}
	delay := q.delay(ctx, len(ips))
	next := time.NewTimer(delay)
	defer next.Stop()
	errs := make([]error, len(ips))
	start()
	for {
		select {
		case r := <-results:
			finished++
			q.trace.Address = net.JoinHostPort(ips[r.i], port)
			if r.err == nil {
				q.plain = r.conn
				for i := range started {
					if i != r.i && errs[i] == nil { // it has not responded yet
						errs[i] = &net.OpError{Op: "dial", Net: "tcp", Addr: tcpAddr(ips[i], port), Err: os.ErrDeadlineExceeded}
					}
				}
				q.trace.FailedAddresses = present(errs)
				return nil
			}
			errs[r.i] = r.err
			if finished == len(ips) {
				return errors.Join(errs...)
			}
			if started == finished {
				start()
				next.Reset(delay)
			}
		case <-next.C:
			if started < len(ips) {
				start()
				next.Reset(delay)
			}
		}
	}
}

// delay returns the time from the start of one attempt to that of the next.
func (q *request) delay(ctx context.Context, n int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok || n < 2 {
		return q.limits.connect
	}
	left := time.Until(deadline)
	if spare := left - q.limits.connect - q.limits.response; spare > 0 {
		return min(q.limits.connect, spare/time.Duration(n-1))
	}
	return max(time.Millisecond, min(q.limits.connect, left/time.Duration(n))) // no attempt can have its full limit
}

// dial connects to one address. The error of an attempt that ctx ended before
// the limit wraps fault.ErrTooLittleTime.
func dial(ctx context.Context, address string, limit time.Duration) (net.Conn, error) {
	begin := time.Now()
	dialer := net.Dialer{Timeout: limit}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil && ended(ctx) && fault.IsTimeout(err) && time.Since(begin) < limit {
		return nil, fmt.Errorf("%w: %w", fault.ErrTooLittleTime, err)
	}
	return conn, err
}

func tcpAddr(ip, port string) net.Addr {
	n, _ := strconv.Atoi(port)
	return &net.TCPAddr{IP: net.ParseIP(ip), Port: n}
}

func present(errs []error) (all []error) {
	for _, err := range errs {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}
