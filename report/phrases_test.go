package report

import (
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func TestALongTextIsCut(t *testing.T) {
	if got := []rune(Shown(strings.Repeat("证", MaxShown+1))); len(got) != MaxShown || got[MaxShown-1] != '…' {
		t.Errorf("%d characters, ending in %q", len(got), got[len(got)-1])
	}
	if got := Shown(strings.Repeat("证", MaxShown)); got != strings.Repeat("证", MaxShown) {
		t.Errorf("what fits is cut: %q", got)
	}
}

func TestASymptomShowsOnlyEvidenceThatItsCauseDoesNot(t *testing.T) {
	a, b := doctortest.Evidence(collector.EvidenceError, "a"), doctortest.Evidence(collector.EvidenceError, "b")
	got := MoreEvidence(doctor.Finding{Evidence: []collector.Evidence{a}}, doctor.Finding{Evidence: []collector.Evidence{a, b}})
	if len(got) != 1 || got[0].Text != "b" {
		t.Errorf("got %q", got)
	}
}

func TestEveryPhraseIsInBothLanguages(t *testing.T) {
	for key, w := range phrases {
		if w.en == "" || w.zh == "" || strings.Contains(w.en, "%") != strings.Contains(w.zh, "%") {
			t.Errorf("%s: %q, %q", key, w.en, w.zh)
		}
	}
	for _, slug := range collector.Slugs {
		if s := symptoms[slug]; s.title.en == "" || s.title.zh == "" || s.healthy.en == "" || s.healthy.zh == "" {
			t.Errorf("%s: %q", slug, s)
		}
	}
}
