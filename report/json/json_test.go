package json

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

func TestJSONHoldsBothLanguages(t *testing.T) {
	for name, snapshot := range map[string]collector.Snapshot{"faulty": doctortest.Faulty(), "healthy": doctortest.Healthy()} {
		var b bytes.Buffer
		if err := Write(&b, diagnose(t, newDoctor(t), snapshot), report.Links{}); err != nil {
			t.Fatal(err)
		}
		doctortest.Golden(t, name+".json", b.Bytes())
	}
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

func TestALineHasEveryTime(t *testing.T) {
	evaluator := newDoctor(t)
	var history doctor.History
	var d doctor.Diagnosis
	for i := range 3 {
		snapshot := doctortest.Faulty()
		snapshot.At = doctortest.Noon.Add(time.Duration(i) * time.Minute)
		d = diagnose(t, evaluator, snapshot)
		history.Note(&d)
	}
	var b bytes.Buffer
	if err := WriteLine(&b, d, report.Links{}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 1 || strings.Count(got, `"since":"2026-05-01T12:00:00Z"`) != 5 {
		t.Errorf("one line with five times since when:\n%s", got)
	}
}
