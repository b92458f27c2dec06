package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	diagnosisjson "github.com/rainbond-exporter/rainbond-exporter/report/json"
	"github.com/rainbond-exporter/rainbond-exporter/report/terminal"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/lint"
)

// check looks and says on out what is wrong: once, or with --watch until ctx
// ends. The status is that of the last look.
func (f *flags) check(ctx context.Context, out, errs io.Writer) (int, error) {
	life, end := context.WithCancel(ctx)
	defer end()
	far := &progress{out: terminalOf(errs), lang: f.lang}
	look, err := f.looker(life, far)
	if err != nil {
		return couldNotLook, err
	}
	if f.watch {
		return f.watching(ctx, out, far, look)
	}
	diagnosis, err := look(ctx)
	far.end()
	if err != nil {
		return couldNotLook, err
	}
	if f.output == "json" {
		err = diagnosisjson.Write(out, diagnosis)
	} else {
		err = terminal.Write(out, diagnosis, styleOf(out, f.lang, os.Getenv))
	}
	return statusOf(diagnosis), err
}

func statusOf(d doctor.Diagnosis) int {
	return map[doctor.Verdict]int{doctor.Healthy: healthy, doctor.Faults: faults, doctor.Incomplete: couldNotLook}[d.Verdict()]
}

// diagnose looks once, with everything opened for this look alone.
func (f *flags) diagnose(ctx context.Context) (doctor.Diagnosis, error) {
	life, end := context.WithCancel(ctx)
	defer end()
	look, err := f.looker(life, nil)
	if err != nil {
		return doctor.Diagnosis{}, err
	}
	return look(ctx)
}

// looker opens what is looked at until life ends, and returns a function that
// looks at it and judges. How far a look has come is told to far.
func (f *flags) looker(life context.Context, far *progress) (func(context.Context) (doctor.Diagnosis, error), error) {
	judge, err := f.judge()
	if err != nil {
		return nil, err
	}
	// What fails is told by the diagnosis, not by log lines beside it.
	quiet := slog.New(slog.DiscardHandler)
	from, err := connect(life, f, quiet)
	if err != nil {
		return nil, err
	}
	from.far = far
	collectors, err := from.collectors(f)
	if err != nil {
		return nil, err
	}
	set := collector.NewSet(quiet, collectors...)
	return func(ctx context.Context) (doctor.Diagnosis, error) {
		limited, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		look, err := set.Collect(limited)
		if err != nil {
			return doctor.Diagnosis{}, fmt.Errorf("look: %w", err)
		}
		// Judging takes milliseconds and needs no time limit of the look's.
		return judge.Diagnose(ctx, look)
	}, nil
}

// lint says on errs what is wrong with the rules, or with a file of
// Alertmanager's templates.
func (f *flags) lint(ctx context.Context, errs io.Writer) (int, error) {
	name, content := "rainbond.rules.yaml", rules.Rules
	if f.rulesFile != "" {
		own, err := os.ReadFile(f.rulesFile)
		if err != nil {
			return couldNotLook, fmt.Errorf("rules --check: %w", err)
		}
		name, content = f.rulesFile, own
	}
	check := lint.Rules
	if filepath.Ext(name) == ".tmpl" {
		check = func(_ context.Context, content []byte) error { return lint.Template(content) }
	}
	if err := check(ctx, content); err != nil {
		fmt.Fprintf(errs, "%s:\n%v\n", name, err)
		return faults, nil
	}
	return healthy, nil
}

// judge returns the doctor with the embedded rules, or those of --rules.
func (f *flags) judge() (*doctor.Doctor, error) {
	if f.rulesFile == "" {
		return doctor.New(rules.Rules, rules.Alertmanager)
	}
	own, err := os.ReadFile(f.rulesFile)
	if err != nil {
		return nil, fmt.Errorf("read --rules: %w", err)
	}
	judge, err := doctor.New(own, rules.Alertmanager)
	if err != nil {
		return nil, fmt.Errorf("--rules: %s: %w", f.rulesFile, err)
	}
	return judge, nil
}

// widest is how wide prose may get: longer lines are hard to read.
const widest = 120

// styleOf is coloured and as wide as the terminal when out is one, and plain
// otherwise or when NO_COLOR is set (https://no-color.org).
func styleOf(out io.Writer, lang string, env func(string) string) terminal.Style {
	style := terminal.Style{Lang: lang, Width: widest}
	file := terminalOf(out)
	if file == nil {
		return style
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		style.Width = min(width, widest)
	}
	style.Color = env("NO_COLOR") == "" && env("TERM") != "dumb"
	return style
}

// terminalOf is the terminal that out writes to; nil when it is none.
func terminalOf(out io.Writer) *os.File {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}
