package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// A progress says on a terminal how far a look over many regions has come. A
// nil one, and one without a terminal, says nothing.
type progress struct {
	out  *os.File // nil when there is no terminal
	lang string

	mu     sync.Mutex
	total  int
	probed map[string]bool // by name
	drawn  time.Time       // zero when there is no line to wipe
	ended  bool
}

const (
	// manyRegions take long enough for one to wonder.
	manyRegions = 10
	// redraw is how soon a line is drawn again, but for the last.
	redraw = 100 * time.Millisecond
)

// regions returns ask, with its answer counted.
func (p *progress) regions(ask func(context.Context) ([]fault.Region, error)) func(context.Context) ([]fault.Region, error) {
	if p == nil || p.out == nil {
		return ask
	}
	return func(ctx context.Context) ([]fault.Region, error) {
		all, err := ask(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total, p.probed = len(all), map[string]bool{}
		p.draw()
		return all, err
	}
}

// probe returns ask, with its answers counted, one for each region.
func (p *progress) probe(ask func(context.Context, fault.Region) fault.Trace) func(context.Context, fault.Region) fault.Trace {
	if p == nil || p.out == nil {
		return ask
	}
	return func(ctx context.Context, r fault.Region) fault.Trace {
		trace := ask(ctx, r)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.probed[r.Name] = true
		p.draw()
		return trace
	}
}

// draw writes the line anew, with the lock held.
func (p *progress) draw() {
	done := len(p.probed)
	if p.ended || p.total < manyRegions || done < p.total && time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	fmt.Fprint(p.out, wipe, report.Progress(p.lang, done, p.total))
}

// wipe begins the line anew and erases it.
const wipe = "\r\x1b[K"

// end wipes the line, and no other is drawn.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drawn.IsZero() && !p.ended {
		fmt.Fprint(p.out, wipe)
	}
	p.ended = true
}
