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

// watchUntilDone checks repeatedly until ctx ends and prints each diagnosis in
// the format for out. It returns the exit status of the last diagnosis.
func (f *flags) watchUntilDone(ctx context.Context, out io.Writer, progress *progress, diagnose func(context.Context) (doctor.Diagnosis, error)) (int, error) {
	write, end := f.watchWriter(out)
	var history doctor.History
	var last *doctor.Diagnosis
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		d, err := diagnose(ctx)
		progress.end()
		if ctx.Err() != nil {
			break // an interrupted check has no result
		}
		if err == nil {
			last = &d
			err = write(d, history.Note(&d))
		}
		if err != nil {
			_ = end(last) // the first error is more useful
			return unknown, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if last == nil {
		return unknown, end(nil)
	}
	return statusOf(*last), end(last)
}

// watchWriter returns a function that prints a diagnosis, and one that prints the
// end after the last: JSON is a line per check; a terminal is redrawn, and shows
// the last diagnosis in full at the end; other outputs get only the changes.
func (f *flags) watchWriter(out io.Writer) (write func(doctor.Diagnosis, doctor.Change) error, end func(*doctor.Diagnosis) error) {
	nothing := func(*doctor.Diagnosis) error { return nil }
	file := terminalOf(out)
	switch {
	case f.output == "json":
		return func(d doctor.Diagnosis, _ doctor.Change) error { return diagnosisjson.WriteLine(out, d, f.external()) }, nothing
	case file == nil || os.Getenv("TERM") == "dumb": // has no cursor movement
		return func(_ doctor.Diagnosis, c doctor.Change) error { return terminal.WriteChange(out, c, f.lang) }, nothing
	}
	screen := &terminal.Screen{Out: out, Every: f.interval}
	return func(d doctor.Diagnosis, _ doctor.Change) error {
			width, height, err := term.GetSize(int(file.Fd()))
			if err != nil || width < 1 || height < 1 {
				width, height = terminal.DefaultWidth, defaultHeight
			}
			return screen.Draw(d, f.style(out), width, height)
		}, func(last *doctor.Diagnosis) error {
			if err := screen.Close(); err != nil || last == nil {
				return err
			}
			return terminal.Write(out, *last, f.style(out))
		}
}

// defaultHeight is the height in lines of a terminal that does not report it.
const defaultHeight = 24
