package terminal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func textOf(t *testing.T, d doctor.Diagnosis, style Style) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d, style); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTextForTheTerminal(t *testing.T) {
	evaluator := newDoctor(t)
	for name, snapshot := range map[string]collector.Snapshot{"faulty": doctortest.Faulty(), "healthy": doctortest.Healthy(), "unknown": doctortest.Unknown()} {
		d := diagnose(t, evaluator, snapshot)
		for _, lang := range []string{doctor.LangEN, doctor.LangZH} {
			doctortest.Golden(t, name+"."+lang+".txt", textOf(t, d, Style{Lang: lang}))
		}
	}
	doctortest.Golden(t, "faulty.narrow.zh.txt", textOf(t, diagnose(t, evaluator, doctortest.Faulty()), Style{Lang: doctor.LangZH, Width: 44}))
	doctortest.Golden(t, "faulty.color.en.txt", textOf(t, diagnose(t, evaluator, doctortest.Faulty()), Style{Lang: doctor.LangEN, Color: true}))
}

func TestTextKeepsToItsWidth(t *testing.T) {
	d := diagnose(t, newDoctor(t), doctortest.Faulty())
	for _, lang := range []string{doctor.LangEN, doctor.LangZH} {
		for line := range strings.Lines(string(textOf(t, d, Style{Lang: lang, Width: 72}))) {
			line = strings.TrimSuffix(line, "\n")
			if strings.TrimRight(line, " \t") != line {
				t.Errorf("%s: blanks at the end of %q", lang, line)
			}
			copied := strings.Contains(line, "kubectl") || strings.Contains(line, "https://")
			if columns.StringWidth(line) > 72 && !copied {
				t.Errorf("%s: %d columns in %q", lang, columns.StringWidth(line), line)
			}
		}
	}
}

func TestNoOutsideTextCommandsTheTerminal(t *testing.T) {
	d := diagnose(t, newDoctor(t), doctortest.Faulty())
	d.Findings[0].Summary.EN = "title\x1b]0;owned\a"
	d.Findings[0].Commands.EN = []string{"echo \x1b[2J"}
	d.Findings[0].Labels["place"] = "a\u202eb"
	d.Unknown[0].Err = "\x1b[31m\r\nerr"
	if got := textOf(t, d, Style{}); bytes.ContainsAny(got, "\x1b\a\r\u202e") {
		t.Errorf("control characters got through:\n%q", got)
	}
}

func TestWrapping(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"the region does not answer", 12, []string{"the region", "does not", "answer"}},
		{"证书已重新生成，而控制台仍保存着旧证书。", 16, []string{"证书已重新生成，", "而控制台仍保存着", "旧证书。"}},
		{"平台组件 rbd-api 未就绪（见“日志”）。", 10, []string{"平台组件", "rbd-api 未", "就绪（见", "“日志”）。"}},
		{"a 0123456789abcdef b", 8, []string{"a", "0123456789abcdef", "b"}},
		{"  ", 8, nil},
	} {
		if got := wrap(c.text, c.width); !slices.Equal(got, c.want) {
			t.Errorf("%q at %d:\ngot  %q\nwant %q", c.text, c.width, got, c.want)
		}
	}
}

func TestAThousandNodesWithOneFaultFillNoPage(t *testing.T) {
	var nodes []prometheus.Metric
	for i := range 1000 {
		nodes = append(nodes, doctortest.Metric("rainbond_node_root_used_ratio", 0.9, "rainbond", fmt.Sprintf("node-%03d", i)))
	}
	snapshot := doctortest.SnapshotOf(doctortest.Collected(collector.SlugDisk, nodes))
	d := diagnose(t, newDoctor(t), snapshot)
	if len(d.Findings) != 1000 {
		t.Errorf("%d findings", len(d.Findings))
	}
	doctortest.Golden(t, "thousand.en.txt", textOf(t, d, Style{}))
}

func newDoctor(t *testing.T) *doctor.Doctor {
	t.Helper()
	d, err := doctor.New(doctortest.Rules, doctortest.Alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func diagnose(t *testing.T, d *doctor.Doctor, snapshot collector.Snapshot) doctor.Diagnosis {
	t.Helper()
	diagnosis, err := d.Diagnose(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return diagnosis
}
