package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func TestChangesAreLinesForALog(t *testing.T) {
	evaluator := newDoctor(t)
	filling := func() collector.Snapshot {
		snapshot := doctortest.Healthy()
		var nodes []prometheus.Metric
		for i := range 20 {
			nodes = append(nodes, doctortest.Metric("rainbond_node_root_used_ratio", 0.9, "rainbond", string(rune('a'+i))))
		}
		snapshot.Outcomes[5].Report.Metrics = nodes
		return snapshot
	}
	for _, lang := range []string{doctor.LangEN, doctor.LangZH} {
		var history doctor.History
		var log bytes.Buffer
		for _, snapshot := range []struct {
			after    time.Duration
			what     string
			snapshot collector.Snapshot
		}{
			{0, "all is healthy", doctortest.Healthy()},
			{10 * time.Second, "all is healthy", doctortest.Healthy()},
			{20 * time.Second, "the region is faulty", doctortest.Faulty()},
			{30 * time.Second, "the region is faulty", doctortest.Faulty()},
			{40 * time.Second, "every collector fails, so nothing is resolved", doctortest.Unknown()},
			{50 * time.Second, "the region is faulty since the same time", doctortest.Faulty()},
			{2 * time.Minute, "all is healthy", doctortest.Healthy()},
			{3 * time.Minute, "twenty disks fill", filling()},
		} {
			snapshot.snapshot.At = doctortest.Noon.Add(snapshot.after)
			d := diagnose(t, evaluator, snapshot.snapshot)
			log.WriteString("# " + snapshot.what + "\n")
			if err := WriteChange(&log, history.Note(&d), lang); err != nil {
				t.Fatal(err)
			}
		}
		doctortest.Golden(t, "changes."+lang+".txt", log.Bytes())
	}
}

func TestAScreenHoldsWhatFits(t *testing.T) {
	d := diagnose(t, newDoctor(t), doctortest.Faulty())
	for name, size := range map[string]struct {
		lang          string
		width, height int
	}{
		"screen.narrow.zh.txt": {doctor.LangZH, 40, 20},
		"screen.wide.en.txt":   {doctor.LangEN, 120, 200},
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
		doctortest.Golden(t, name, []byte(strings.NewReplacer("\x1b", "ESC", "\r", "").Replace(out.String())+"\n"))
		rows := 0
		for line := range strings.SplitSeq(strings.Split(out.String(), home)[1], "\r\n") {
			rows += rowsOf(strings.NewReplacer(restOfAll, "", restOfLine, "").Replace(line), size.width)
		}
		if rows > size.height {
			t.Errorf("%s takes %d rows of %d", name, rows, size.height)
		}
	}
}

func TestAFindingShowsItsSince(t *testing.T) {
	evaluator := newDoctor(t)
	var history doctor.History
	var d doctor.Diagnosis
	for i := range 3 {
		snapshot := doctortest.Faulty()
		snapshot.At = doctortest.Noon.Add(time.Duration(i) * time.Minute)
		d = diagnose(t, evaluator, snapshot)
		history.Note(&d)
	}
	doctortest.Golden(t, "since.zh.txt", textOf(t, d, Style{Lang: doctor.LangZH}))
}
