//go:build linux

// Package filesystem reads the usage of the node's file systems and detects
// mounts that do not respond.
package filesystem

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// statfsTimeout is how long a file system may take to answer before it counts
// as stuck. Healthy servers answer within milliseconds.
const statfsTimeout = 2 * time.Second

// A call runs a function that cannot be interrupted, such as statfs. While it
// hangs, one goroutine waits for it, however often it is started. Callers wait
// at most statfsTimeout, counted from the first start.
type call[T any] struct {
	mu      sync.Mutex
	pending chan struct{} // closed when the function returns; nil when it is not running
	since   time.Time
	last    T // the last result without an error
	err     error
}

// start runs the function in the background, unless it is still running.
func (c *call[T]) start(f func() (T, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil {
		return
	}
	done := make(chan struct{})
	c.pending, c.since = done, time.Now()
	go func() {
		result, err := withoutPanic(f)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil {
			c.last = result
		}
		c.err, c.pending = err, nil
		close(done)
	}()
}

// withoutPanic returns a panic of f as an error.
func withoutPanic[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// result waits for the function. With an error, it returns the last result
// without one, or zero. The error is fault.ErrNoAnswer after statfsTimeout.
func (c *call[T]) result(ctx context.Context) (T, error) {
	c.mu.Lock()
	pending, since := c.pending, c.since
	c.mu.Unlock()
	var late error
	if pending != nil {
		limited, cancel := context.WithDeadline(ctx, since.Add(statfsTimeout))
		defer cancel()
		select {
		case <-pending:
		case <-limited.Done():
			late = context.Cause(ctx) // nil after statfsTimeout
			if late == nil {
				// A time and not a duration: the text stays the same.
				late = fmt.Errorf("%w since %s", fault.ErrNoAnswer, since.UTC().Format(time.RFC3339))
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if late != nil {
		return c.last, late
	}
	return c.last, c.err
}

// isRunning reports whether the function has not returned yet.
func (c *call[T]) isRunning() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending != nil
}
