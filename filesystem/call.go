package filesystem

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// patience is how long a file system may take to answer before it is said to
// be stuck. Servers that are well answer within milliseconds.
const patience = 2 * time.Second

// An ask is a question that cannot be interrupted, such as statfs. Where the
// answer does not come, one goroutine waits for it, however often it is asked
// for; nobody else waits longer than patience, counted from the first asking.
type ask[T any] struct {
	mu      sync.Mutex
	pending chan struct{} // closed by the answer; nil when nobody waits
	since   time.Time
	last    T // the last good answer
	err     error
}

// put puts the question, unless it is waiting for its answer already.
func (a *ask[T]) put(question func() (T, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending != nil {
		return
	}
	answered := make(chan struct{})
	a.pending, a.since = answered, time.Now()
	go func() {
		answer, err := question()
		a.mu.Lock()
		defer a.mu.Unlock()
		if err == nil {
			a.last = answer
		}
		a.err, a.pending = err, nil
		close(answered)
	}()
}

// answer waits for the answer. Beside an error it is the last good one, zero
// if there was none; the error is fault.ErrNoAnswer when patience has ended.
func (a *ask[T]) answer(ctx context.Context) (T, error) {
	a.mu.Lock()
	pending, since := a.pending, a.since
	a.mu.Unlock()
	var late error
	if pending != nil {
		patient, cancel := context.WithDeadline(ctx, since.Add(patience))
		defer cancel()
		select {
		case <-pending:
		case <-patient.Done():
			late = context.Cause(ctx) // nil when it was patience that ended
			if late == nil {
				// The time, and not how long: one text for one trouble.
				late = fmt.Errorf("%w since %s", fault.ErrNoAnswer, since.UTC().Format(time.RFC3339))
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if late != nil {
		return a.last, late
	}
	return a.last, a.err
}

// waits says whether the answer is still to come.
func (a *ask[T]) waits() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending != nil
}
