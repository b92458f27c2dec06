package doctor

import (
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func TestAFindingKeepsItsSince(t *testing.T) {
	doctor := newDoctor(t)
	var history History
	var d Diagnosis
	for i := range 3 {
		snapshot := doctortest.Faulty()
		snapshot.At = doctortest.Noon.Add(time.Duration(i) * time.Minute)
		d = diagnose(t, doctor, snapshot)
		history.Note(&d)
	}
	for _, f := range append(d.Findings, d.Findings[0].Symptoms...) {
		if !f.Since.Equal(doctortest.Noon) {
			t.Errorf("%s: seen since %s, want %s", f.Alert, f.Since, doctortest.Noon)
		}
	}
}
