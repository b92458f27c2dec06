package doctor

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// blind is a look at which nobody could look.
func blind() collector.Snapshot {
	var outcomes []collector.Outcome
	for _, slug := range collector.Slugs {
		outcomes = append(outcomes, collector.Outcome{Collector: slug, Err: errors.New("dial tcp 127.0.0.1:6443: connect: connection refused")})
	}
	return lookOf(outcomes...)
}

func TestChangesAreLinesForALog(t *testing.T) {
	doctor := newDoctor(t)
	filling := func() collector.Snapshot {
		look := well()
		var nodes []prometheus.Metric
		for i := range 20 {
			nodes = append(nodes, metric("rainbond_node_root_used_ratio", 0.9, "rainbond", string(rune('a'+i))))
		}
		look.Outcomes[5].Report.Metrics = nodes
		return look
	}
	for _, lang := range []string{LangEN, LangZH} {
		var history History
		var log bytes.Buffer
		for _, look := range []struct {
			after time.Duration
			what  string
			look  collector.Snapshot
		}{
			{0, "all is well", well()},
			{10 * time.Second, "all is well", well()},
			{20 * time.Second, "a region is sick", sick()},
			{30 * time.Second, "a region is sick", sick()},
			{40 * time.Second, "nobody can look, so nothing is gone", blind()},
			{50 * time.Second, "a region is sick, since when it was", sick()},
			{2 * time.Minute, "all is well", well()},
			{3 * time.Minute, "twenty disks fill", filling()},
		} {
			look.look.At = noon.Add(look.after)
			d := diagnose(t, doctor, look.look)
			log.WriteString("# " + look.what + "\n")
			if err := ChangeText(&log, history.Note(&d), lang); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, "changes."+lang+".txt", log.Bytes())
	}
}

func TestAFindingKeepsItsSince(t *testing.T) {
	doctor := newDoctor(t)
	var history History
	var d Diagnosis
	for i := range 3 {
		look := sick()
		look.At = noon.Add(time.Duration(i) * time.Minute)
		d = diagnose(t, doctor, look)
		history.Note(&d)
	}
	for _, f := range append(d.Findings, d.Findings[0].Symptoms...) {
		if !f.Since.Equal(noon) {
			t.Errorf("%s: seen since %s, want %s", f.Alert, f.Since, noon)
		}
	}
	golden(t, "since.zh.txt", textOf(t, d, Style{Lang: LangZH}))
	var b bytes.Buffer
	if err := JSONLine(&b, d); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 1 || strings.Count(got, `"since":"2026-05-01T12:00:00Z"`) != 5 {
		t.Errorf("one line with five times since when:\n%s", got)
	}
}

func TestAScreenHoldsWhatFits(t *testing.T) {
	d := diagnose(t, newDoctor(t), sick())
	for name, size := range map[string]struct {
		lang          string
		width, height int
	}{
		"screen.narrow.zh.txt": {LangZH, 40, 20},
		"screen.wide.en.txt":   {LangEN, 120, 200},
	} {
		var out bytes.Buffer
		screen := Screen{Out: &out, Every: 10 * time.Second}
		style := Style{Lang: size.lang, Width: size.width}
		for range 2 {
			if err := screen.Draw(d, style, size.width, size.height); err != nil {
				t.Fatal(err)
			}
		}
		if err := screen.Close(); err != nil {
			t.Fatal(err)
		}
		golden(t, name, []byte(strings.NewReplacer("\x1b", "ESC", "\r", "").Replace(out.String())+"\n"))
		rows := 0
		for line := range strings.SplitSeq(strings.Split(out.String(), home)[1], "\r\n") {
			rows += rowsOf(strings.NewReplacer(restOfAll, "", restOfLine, "").Replace(line), size.width)
		}
		if rows > size.height {
			t.Errorf("%s takes %d rows of %d", name, rows, size.height)
		}
	}
}
