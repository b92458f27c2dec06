//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/test/mutefs"
)

// TestAMountThatNeverAnswersCostsNoScrape runs the binary of the node role on a
// machine with a mount that never answers: root's values stay, the mount is
// named, and nothing piles up.
func TestAMountThatNeverAnswersCostsNoScrape(t *testing.T) {
	point := t.TempDir()
	die := mutefs.Mount(t, point)
	e := newExporter(t, t.TempDir(), "the exporter", "--role=node", "--node.name=n1", "--region.name=r")
	named := func() error {
		seen, err := e.scrape()
		if err != nil {
			return err
		}
		for _, m := range seen["rainbond_node_mount_stuck"].GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "mountpoint" && l.GetValue() == point {
					return nil
				}
			}
		}
		return fmt.Errorf("%s is not named: %v", point, seen["rainbond_node_mount_stuck"])
	}
	until(t, 3*answerWithin, "the mount is named", named)
	goroutines := func() float64 {
		seen, err := e.scrape()
		if err != nil {
			t.Fatal(err)
		}
		return seen["go_goroutines"].GetMetric()[0].GetGauge().GetValue()
	}
	before := goroutines()
	var longest time.Duration
	for range 100 {
		begin := time.Now()
		if err := errors.Join(named(), e.onlyFailing()); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(begin))
	}
	after := goroutines()
	progress("100 times two scrapes next to a mount that never answers: at most %s, goroutines %.0f before, %.0f after", longest.Round(time.Millisecond), before, after)
	if longest > time.Second || after > before+2 {
		t.Errorf("two scrapes took up to %s; goroutines %.0f before, %.0f after", longest, before, after)
	}
	die()
	until(t, 3*answerWithin, "the mount is still named when its server has died", named)
	if status, took := e.ends(t, 5*time.Second); status != 0 {
		t.Errorf("ended with %d after %s", status, took)
	}
}
