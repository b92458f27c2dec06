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
	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
	diagnosisjson "github.com/rainbond-exporter/rainbond-exporter/report/json"
	"github.com/rainbond-exporter/rainbond-exporter/report/terminal"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/lint"
)

// check collects once and prints the diagnosis to out, or with --watch repeats
// it until ctx ends. It returns the exit status of the last diagnosis.
func (f *flags) check(ctx context.Context, out, errs io.Writer) (int, error) {
	life, end := context.WithCancel(ctx)
	defer end()
	progress := &progress{out: terminalOf(errs), lang: f.lang}
	diagnose, err := f.checker(life, progress)
	if err != nil {
		return unknown, err
	}
	if f.watch {
		return f.watchUntilDone(ctx, out, progress, diagnose)
	}
	diagnosis, err := diagnose(ctx)
	progress.end()
	if err != nil {
		return unknown, err
	}
	if f.output == "json" {
		err = diagnosisjson.Write(out, diagnosis, f.external())
	} else {
		err = terminal.Write(out, diagnosis, f.style(out))
	}
	return statusOf(diagnosis), err
}

// statusOf returns the exit status of a diagnosis.
func statusOf(d doctor.Diagnosis) int {
	return map[doctor.Verdict]int{doctor.Healthy: healthy, doctor.Faults: faults, doctor.Incomplete: unknown}[d.Verdict()]
}

// diagnose checks once, with data sources of its own.
func (f *flags) diagnose(ctx context.Context) (doctor.Diagnosis, error) {
	life, end := context.WithCancel(ctx)
	defer end()
	check, err := f.checker(life, nil)
	if err != nil {
		return doctor.Diagnosis{}, err
	}
	return check(ctx)
}

// checker opens the data sources until life ends, and returns a function that
// collects and evaluates the rules. It updates progress, which may be nil.
func (f *flags) checker(life context.Context, progress *progress) (func(context.Context) (doctor.Diagnosis, error), error) {
	evaluator, err := f.doctor()
	if err != nil {
		return nil, err
	}
	// The diagnosis reports failures; log lines would repeat them.
	quiet := slog.New(slog.DiscardHandler)
	from, err := connect(life, f, quiet)
	if err != nil {
		return nil, err
	}
	from.progress = progress
	collectors, err := from.collectors(f)
	if err != nil {
		return nil, err
	}
	set := collector.NewSet(quiet, f.timeout, collectors...)
	return func(ctx context.Context) (doctor.Diagnosis, error) {
		limited, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		snapshot := set.Collect(limited)
		if err := ctx.Err(); err != nil {
			return doctor.Diagnosis{}, fmt.Errorf("collect: %w", err)
		}
		// The evaluation takes milliseconds and needs no time limit.
		diagnosis, err := evaluator.Diagnose(ctx, snapshot)
		if err == nil && from.kube != nil && diagnosis.Verdict() != doctor.Healthy {
			err = from.kube.Installed(limited) // a wrong namespace would be many faults
		}
		return diagnosis, err
	}, nil
}

// lint prints the mistakes in the rules, or in a file of Alertmanager templates,
// to errs.
func (f *flags) lint(ctx context.Context, errs io.Writer) (int, error) {
	name, content := "rainbond.rules.yaml", rules.Rules
	if f.rulesFile != "" {
		text, err := f.readRules()
		if err != nil {
			return unknown, fmt.Errorf("rules --check: %w", err)
		}
		name, content = f.rulesFile, text
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

// doctor returns a doctor for the embedded rules, or for those of --rules.
func (f *flags) doctor() (*doctor.Doctor, error) {
	if f.rulesFile == "" {
		return doctor.Trusted(rules.Platform{Namespace: f.namespace, Kubectl: f.kubectl}.For(rules.Rules), rules.Alertmanager)
	}
	text, err := f.readRules()
	if err != nil {
		return nil, fmt.Errorf("read --rules: %w", err)
	}
	d, err := doctor.New(text, rules.Alertmanager)
	if err != nil {
		return nil, fmt.Errorf("--rules: %s: %w", f.rulesFile, err)
	}
	return d, nil
}

// readRules reads the file of --rules or rules --check. Its limit is a hundred
// times the size of the embedded rules.
func (f *flags) readRules() ([]byte, error) {
	return configfile.Read(f.rulesFile, "a file of alert rules or templates", 16<<20)
}

// maxWidth is the maximum width of text: longer lines are hard to read.
const maxWidth = 120

// external returns the external URLs, which validate has checked.
func (f *flags) external() report.Links {
	links, _ := f.links()
	return links
}

// style returns the style of out, with the links.
func (f *flags) style(out io.Writer) terminal.Style {
	style := styleOf(out, f.lang, os.Getenv)
	style.Links = f.external()
	return style
}

// styleOf returns the style of out: colours and the width of the terminal if out
// is one. NO_COLOR turns the colours off (https://no-color.org).
func styleOf(out io.Writer, lang string, env func(string) string) terminal.Style {
	style := terminal.Style{Lang: lang, Width: maxWidth}
	file := terminalOf(out)
	if file == nil {
		return style
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		style.Width = min(width, maxWidth)
	}
	style.Color = env("NO_COLOR") == "" && env("TERM") != "dumb"
	return style
}

// terminalOf returns the terminal that out writes to; nil if it is not one.
func terminalOf(out io.Writer) *os.File {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}
