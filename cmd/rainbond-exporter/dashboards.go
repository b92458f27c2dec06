package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/rainbond-exporter/rainbond-exporter/dashboards"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// dashboardsFlags holds the flags of the command dashboards.
type dashboardsFlags struct{ lang, identity, directory string }

// add defines the flags that select a variant of the dashboards.
func (d *dashboardsFlags) add(c *kingpin.CmdClause) {
	c.Flag("lang", "Language of the dashboards: "+strings.Join(dashboards.Langs, ", ")+".").Default(dashboards.Langs[0]).StringVar(&d.lang)
	identityFlag(c, &d.identity)
	c.Arg("DIRECTORY", "Directory for the files. It is created if necessary.").Required().StringVar(&d.directory)
}

// write writes the dashboards that the flags select.
func (d *dashboardsFlags) write() error {
	if !slices.Contains(dashboards.Langs, d.lang) {
		return fmt.Errorf("dashboards: --lang: unknown value %q; expected %s", d.lang, strings.Join(dashboards.Langs, " or "))
	}
	labels, err := variant.Labels(strings.Split(d.identity, ","))
	if err != nil {
		return fmt.Errorf("dashboards: %w", err)
	}
	files, err := dashboards.Files(d.lang, labels)
	if err != nil {
		return fmt.Errorf("dashboards: %w", err)
	}
	if err := os.MkdirAll(d.directory, 0o755); err != nil {
		return fmt.Errorf("dashboards: create the directory: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.directory, name), text, 0o644); err != nil {
			return fmt.Errorf("dashboards: %w", err)
		}
	}
	return nil
}
