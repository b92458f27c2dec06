package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// check looks once and says on out what is wrong.
func (f *flags) check(ctx context.Context, out io.Writer) (int, error) {
	diagnosis, err := f.diagnose(ctx)
	if err != nil {
		return couldNotLook, err
	}
	if f.output == "json" {
		err = doctor.JSON(out, diagnosis)
	} else {
		err = doctor.Text(out, diagnosis, styleOf(out, f.lang, os.Getenv))
	}
	return map[doctor.Verdict]int{doctor.Healthy: healthy, doctor.Faults: faults, doctor.CouldNotLook: couldNotLook}[diagnosis.Verdict()], err
}

// diagnose looks once, with everything opened for this look alone.
func (f *flags) diagnose(ctx context.Context) (doctor.Diagnosis, error) {
	judge, err := f.judge()
	if err != nil {
		return doctor.Diagnosis{}, err
	}
	// What fails is told by the diagnosis, not by log lines beside it.
	quiet := slog.New(slog.DiscardHandler)
	life, end := context.WithCancel(ctx)
	defer end()
	from, err := connect(life, f, quiet)
	if err != nil {
		return doctor.Diagnosis{}, err
	}
	collectors, err := from.collectors(f)
	if err != nil {
		return doctor.Diagnosis{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	look, err := collector.NewSet(quiet, collectors...).Look(ctx)
	if err != nil {
		return doctor.Diagnosis{}, fmt.Errorf("look: %w", err)
	}
	// Judging takes milliseconds and needs no time limit of the look's.
	return judge.Diagnose(life, look)
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
func styleOf(out io.Writer, lang string, env func(string) string) doctor.Style {
	style := doctor.Style{Lang: lang, Width: widest}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return style
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		style.Width = min(width, widest)
	}
	style.Color = env("NO_COLOR") == "" && env("TERM") != "dumb"
	return style
}
