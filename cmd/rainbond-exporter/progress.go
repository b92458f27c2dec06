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

// A progress prints to a terminal how many regions have been probed. A nil
// progress, and one without a terminal, prints nothing.
type progress struct {
	out  *os.File // nil without a terminal
	lang string

	mu     sync.Mutex
	total  int
	probed map[string]bool // by name
	drawn  time.Time       // zero if there is no line to erase
	ended  bool
}

const (
	// manyRegions is the number of regions from which progress is printed.
	manyRegions = 10
	// redraw is the minimum time between two lines, except the last.
	redraw = 100 * time.Millisecond
)

// regions returns ask, and counts the regions that it returns.
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

// probe returns ask, and counts its calls, once per region.
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

// draw writes the line again. The caller holds the lock.
func (p *progress) draw() {
	done := len(p.probed)
	if p.ended || p.total < manyRegions || done < p.total && time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	fmt.Fprint(p.out, eraseLine, report.Progress(p.lang, done, p.total))
}

// eraseLine moves the cursor to the start of the line and erases it.
const eraseLine = "\r\x1b[K"

// end erases the line. Nothing is drawn after it.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drawn.IsZero() && !p.ended {
		fmt.Fprint(p.out, eraseLine)
	}
	p.ended = true
}
