//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/dashboards"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// panelsFolder is the npm project that draws.
var panelsFolder = filepath.Join("..", "panels")

// node is the program that runs it, with what it needs installed.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(panelsFolder, "node_modules", "@grafana", "ui"))
	}
	if err != nil {
		t.Skipf("%v: make panels installs it", err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v", filepath.Base(args[0]), err)
	}
}

// TestTheDashboardsHaveGrafanasTypes holds the files against @grafana/schema.
func TestTheDashboardsHaveGrafanasTypes(t *testing.T) {
	files, err := filepath.Glob("../../dashboards/??/*.json")
	must(t, err)
	run(t, node(t), append([]string{filepath.Join(panelsFolder, "types.mjs")}, files...)...)
}

// A drawing is what panels.tsx draws and test/browser inspects.
type drawing struct {
	Name      string              `json:"name"` // of the picture
	Dashboard json.RawMessage     `json:"dashboard"`
	Answers   map[string][]series `json:"answers"` // by panel and query: "5 A"
	From      int64               `json:"from"`    // milliseconds
	To        int64               `json:"to"`
	Width     int                 `json:"width"`
	Height    int                 `json:"height"`
	Whole     bool                `json:"whole"` // the picture is as long as the dashboard
	Dark      bool                `json:"dark"`
}

// TestEveryPanelHasItsAnswers asks a real Prometheus what every panel asks, in
// both languages: first healthy regions, then some of them break. What
// test/browser draws of it, one language dark and one light, is
// dist/panels/requests.json.
func TestEveryPanelHasItsAnswers(t *testing.T) {
	breaks := map[string]string{
		"shanghai": "api-slow", "guangzhou": "cert-rotated-latent", "chengdu": "disk-near", "shenzhen": "cert-client-stale-tls13", "wuhan": "api-pod-down",
	}
	regions := map[string]string{"beijing": "healthy"}
	for region := range breaks {
		regions[region] = "healthy"
	}
	s := newEstate(t, regions)
	for region, scenario := range breaks {
		s.turn(t, region, scenario)
	}
	until(t, 2*time.Minute, "the overview shows all of them", func() error {
		rows, err := s.overview(t)
		unhealthyRegions := 0
		for _, row := range rows {
			if _, words, _ := strings.Cut(row, ": "); words != "healthy | healthy | healthy | healthy | healthy | healthy" {
				unhealthyRegions++
			}
		}
		if err == nil && unhealthyRegions != len(breaks) {
			err = fmt.Errorf("%q", rows)
		}
		return err
	})
	begun := time.Now()
	until(t, time.Minute, "there is something to see on graphs", func() error {
		if left := history/2 - time.Since(begun); left > 0 {
			return fmt.Errorf("%s to go", left)
		}
		return nil
	})

	folder := filepath.Join("..", "..", "dist", "panels")
	must(t, os.MkdirAll(folder, 0o755))
	var all []drawing
	for _, lang := range dashboards.Langs {
		files, err := dashboards.Files(lang, rules.DefaultIdentity)
		must(t, err)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			d := s.answered(t, files[name])
			d.Name, d.Width, d.Height, d.Whole, d.Dark = lang+"-"+name[:len(name)-len(".json")], 1600, 900, true, lang == "en"
			all = append(all, d)
			if name == "rainbond-overview.json" { // for the documentation: what is on the first screen
				d.Name, d.Width, d.Height, d.Whole = "dashboard-overview."+lang, 1280, 660, false
				all = append(all, d)
			}
		}
	}
	text, err := json.Marshal(all)
	must(t, err)
	write(t, filepath.Join(folder, "requests.json"), text)
}

// answered asks all that a dashboard asks.
func (s *estate) answered(t *testing.T, file []byte) drawing {
	t.Helper()
	var b board
	must(t, json.Unmarshal(file, &b))
	now := time.Now()
	d := drawing{Dashboard: file, Answers: map[string][]series{}, From: now.Add(-history).UnixMilli(), To: now.UnixMilli()}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			answer, err := s.ask(q.Expr, q.Instant)
			must(t, err)
			d.Answers[fmt.Sprintf("%d %s", p.ID, q.RefID)] = answer
		}
	}
	return d
}
