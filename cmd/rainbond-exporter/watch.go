package main

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	diagnosisjson "github.com/rainbond-exporter/rainbond-exporter/report/json"
	"github.com/rainbond-exporter/rainbond-exporter/report/terminal"
)

// watching looks again and again until ctx ends, and tells each look in the
// way that suits out. The status is that of the last look: whoever ends a
// watch has read it.
func (f *flags) watching(ctx context.Context, out io.Writer, far *progress, look func(context.Context) (doctor.Diagnosis, error)) (int, error) {
	tell, end := f.teller(out)
	var history doctor.History
	var last *doctor.Diagnosis
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		d, err := look(ctx)
		far.end()
		if ctx.Err() != nil {
			break // the look was cut off; what it came to is nothing to tell
		}
		if err == nil {
			last = &d
			err = tell(d, history.Note(&d))
		}
		if err != nil {
			_ = end(last) // the error says more
			return couldNotLook, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if last == nil {
		return couldNotLook, end(nil)
	}
	return statusOf(*last), end(last)
}

// teller returns what tells a look, and what ends the telling after the last:
// with JSON, a line for each look; on a terminal, a screen that is drawn anew,
// and after it the last diagnosis in full; elsewhere, as into a file or a pod's log,
// what has changed.
func (f *flags) teller(out io.Writer) (tell func(doctor.Diagnosis, doctor.Change) error, end func(*doctor.Diagnosis) error) {
	nothing := func(*doctor.Diagnosis) error { return nil }
	file := terminalOf(out)
	switch {
	case f.output == "json":
		return func(d doctor.Diagnosis, _ doctor.Change) error { return diagnosisjson.WriteLine(out, d) }, nothing
	case file == nil || os.Getenv("TERM") == "dumb": // which cannot be drawn on
		return func(_ doctor.Diagnosis, c doctor.Change) error { return terminal.WriteChange(out, c, f.lang) }, nothing
	}
	screen := &terminal.Screen{Out: out, Every: f.interval}
	return func(d doctor.Diagnosis, _ doctor.Change) error {
			width, height, err := term.GetSize(int(file.Fd()))
			if err != nil || width < 1 || height < 1 {
				width, height = terminal.DefaultWidth, defaultHeight
			}
			return screen.Draw(d, styleOf(out, f.lang, os.Getenv), width, height)
		}, func(last *doctor.Diagnosis) error {
			if err := screen.Close(); err != nil || last == nil {
				return err
			}
			return terminal.Write(out, *last, styleOf(out, f.lang, os.Getenv))
		}
}

// defaultHeight is the height of a terminal that does not tell its own.
const defaultHeight = 24
