//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const publishedChart = "oci://ghcr.io/rainbond-exporter/charts/rainbond-exporter"

var block = regexp.MustCompile("(?ms)^(?:## ([^\n]+)|```(console|yaml)\n(.*?)^```$)")

// commands are the commands of a page, in order, with those of one section
// together.
func commands(page string) [][]string {
	var sections [][]string
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		switch {
		case m[1] != "":
			sections = append(sections, nil)
		case m[2] == "console":
			last := &sections[len(sections)-1]
			for _, command := range strings.Split("\n"+m[3], "\n$ ")[1:] {
				*last = append(*last, strings.TrimSpace(command))
			}
		}
	}
	return slices.DeleteFunc(sections, func(s []string) bool { return len(s) == 0 })
}

// runsTheInstallPage runs the commands of docs/install.md, section by section, with
// this chart in place of the published one.
func (h *site) runsTheInstallPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/install.md")
	must(t, err)
	zh, err := os.ReadFile("../../docs/install.zh.md")
	must(t, err)
	sections := commands(string(page))
	inEnglish := strings.ReplaceAll(string(zh), ",dashboards.language=zh", "") // the one difference that is meant
	if !slices.EqualFunc(sections, commands(inEnglish), slices.Equal) {
		t.Error("docs/install.md and docs/install.zh.md contain different commands")
	}
	if len(sections) != 6 {
		t.Fatalf("%d sections with commands, expected 6", len(sections))
	}
	tools, err := filepath.Abs("../../tools/bin")
	must(t, err)
	chart, err := filepath.Abs(chartFolder)
	must(t, err)
	// Next to the page's files is the packaged chart, as helm pull leaves it.
	here := sub(t, h.folder, "install")
	h.do(t, "", tool(t, "helm"), "package", chartFolder, "--destination="+here)
	for i, section := range sections {
		for _, command := range section {
			h.do(t, "cd "+here+" && export PATH="+tools+":$PATH && "+strings.ReplaceAll(command, publishedChart, chart)+"\n", "/bin/sh", "-e")
		}
		// Each section starts from nothing, except the last, which upgrades and uninstalls what the previous one installed.
		if i < len(sections)-2 {
			h.do(t, "for n in monitoring rbd-system rainbond-console; do "+tools+"/helm uninstall rainbond-exporter --namespace $n --ignore-not-found; done\n", "/bin/sh", "-e")
		}
	}
	progress("every command of docs/install.md runs")
}

// promtoolReadsItsJob checks the scrape configuration that the page shows.
func (h *site) promtoolReadsItsJob(t *testing.T) {
	page, err := os.ReadFile("../../docs/install.md")
	must(t, err)
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		if m[2] == "yaml" {
			path := filepath.Join(h.folder, "prometheus.yml")
			write(t, path, []byte(m[3]))
			h.do(t, "", tool(t, "promtool"), "check", "config", "--syntax-only", path)
			return
		}
	}
	t.Error("docs/install.md shows no scrape configuration")
}
