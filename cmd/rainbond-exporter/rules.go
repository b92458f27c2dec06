package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// rulesFlags holds the flags of the command rules.
type rulesFlags struct {
	variant  variant.Options
	identity string
}

// add defines the flags that select a variant of the rules.
func (r *rulesFlags) add(c *kingpin.CmdClause) {
	c.Flag("format", "What to print: "+strings.Join(variant.Formats, ", ")+".").Default(variant.Formats[0]).StringVar(&r.variant.Format)
	c.Flag("lang", "Language of the texts: "+strings.Join(variant.Langs, ", ")+".").Default(variant.Langs[0]).StringVar(&r.variant.Lang)
	identityFlag(c, &r.identity)
	c.Flag("namespace", "Namespace of the Rainbond platform, in the commands.").Default(rules.DefaultNamespace).StringVar(&r.variant.Platform.Namespace)
	c.Flag("kubectl", "How to run kubectl, in the commands. Quick installation: \"docker exec rainbond kubectl\".").Default(rules.DefaultKubectl).StringVar(&r.variant.Platform.Kubectl)
	c.Flag("interval", "Scrape interval of the exporter.").Default(variant.DefaultInterval.String()).SetValue(&duration{"interval", &r.variant.Interval})
	externalURLs(c, &r.variant.ExporterURL, &r.variant.GrafanaURL, &r.variant.GuideURL)
}

// print writes the rules that the flags select to out.
func (r *rulesFlags) print(out io.Writer) error {
	if r.variant.Interval == 0 { // the default of Generate
		return fmt.Errorf("rules: --interval: 0s; expected a scrape interval from 1s to %s", variant.MaxInterval)
	}
	r.variant.Identity = strings.Split(r.identity, ",")
	text, err := variant.Generate(r.variant)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	_, err = out.Write(text)
	return err
}

// identityFlag defines the flag for the labels that identify a platform.
func identityFlag(c *kingpin.CmdClause, labels *string) {
	identity := append(slices.Clone(rules.DefaultIdentity), rules.RegionLabel)
	c.Flag("identity", "Labels that identify a platform, comma-separated.").Default(strings.Join(identity, ",")).StringVar(labels)
}
