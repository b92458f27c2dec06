package doctor

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

func textOf(t *testing.T, d Diagnosis, style Style) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, d, style); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTextForTheTerminal(t *testing.T) {
	doctor := newDoctor(t)
	for name, look := range map[string]collector.Snapshot{"sick": sick(), "well": well(), "blind": blind()} {
		d := diagnose(t, doctor, look)
		for _, lang := range []string{LangEN, LangZH} {
			golden(t, name+"."+lang+".txt", textOf(t, d, Style{Lang: lang}))
		}
	}
	golden(t, "sick.narrow.zh.txt", textOf(t, diagnose(t, doctor, sick()), Style{Lang: LangZH, Width: 44}))
	golden(t, "sick.color.en.txt", textOf(t, diagnose(t, doctor, sick()), Style{Lang: LangEN, Color: true}))
}

func TestTextKeepsToItsWidth(t *testing.T) {
	d := diagnose(t, newDoctor(t), sick())
	for _, lang := range []string{LangEN, LangZH} {
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
	d := diagnose(t, newDoctor(t), sick())
	d.Findings[0].Summary.EN = "title\x1b]0;owned\a"
	d.Findings[0].Commands.EN = []string{"echo \x1b[2J"}
	d.Findings[0].Labels["place"] = "a\u202eb"
	d.Unable[0].Err = "\x1b[31m\r\nerr"
	if got := textOf(t, d, Style{}); bytes.ContainsAny(got, "\x1b\a\r\u202e") {
		t.Errorf("control characters got through:\n%q", got)
	}
}

func TestAThousandNodesWithOneFaultFillNoPage(t *testing.T) {
	var nodes []prometheus.Metric
	for i := range 1000 {
		nodes = append(nodes, metric("rainbond_node_root_used_ratio", 0.9, "rainbond", fmt.Sprintf("node-%03d", i)))
	}
	look := lookOf(sawAt(collector.SlugDisk, nodes))
	d := diagnose(t, newDoctor(t), look)
	if len(d.Findings) != 1000 {
		t.Errorf("%d findings", len(d.Findings))
	}
	golden(t, "thousand.en.txt", textOf(t, d, Style{}))
	page := get(siteOf(t, look), "/").Body
	if size := page.Len(); size > 60_000 {
		t.Errorf("the page has %d bytes", size)
	}
	if !strings.Contains(page.String(), "985 more of RainbondNodeDiskFilling") {
		t.Error("the page does not say how many are left out")
	}
}

// Each region's refused certificate is the cause of what other cards show.
func TestAThousandRegionsWithOneFaultFillNoPage(t *testing.T) {
	var api, cert []prometheus.Metric
	for i := range 1000 {
		region := fmt.Sprintf("region-%03d", i)
		api = append(api, metric("rainbond_api_probe_failed", 1, region, "tls", "client_refused"))
		cert = append(cert, metric("rainbond_certificate_mismatch", 1, region, "client", "console", "served"))
	}
	page := get(siteOf(t, lookOf(sawAt(collector.SlugAPI, api), sawAt(collector.SlugCert, cert))), "/").Body
	if size := page.Len(); size > 60_000 {
		t.Errorf("the page has %d bytes", size)
	}
	if !strings.Contains(page.String(), "<p>995 more of RainbondConsoleCertificateMismatch; the JSON output has all</p>") {
		t.Errorf("the page does not say how many causes are left out:\n%s", prose(page.String()))
	}
}

func TestALongTextIsCut(t *testing.T) {
	if got := []rune(shown(strings.Repeat("证", maxShown+1))); len(got) != maxShown || got[maxShown-1] != '…' {
		t.Errorf("%d characters, ending in %q", len(got), got[len(got)-1])
	}
	if got := shown(strings.Repeat("证", maxShown)); got != strings.Repeat("证", maxShown) {
		t.Errorf("what fits is cut: %q", got)
	}
}

func TestASymptomShowsOnlyEvidenceThatItsCauseDoesNot(t *testing.T) {
	a, b := evidence(collector.EvidenceError, "a"), evidence(collector.EvidenceError, "b")
	got := moreEvidence(Finding{Evidence: []collector.Evidence{a}}, Finding{Evidence: []collector.Evidence{a, b}})
	if len(got) != 1 || got[0].Text != "b" {
		t.Errorf("got %q", got)
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

func TestEveryPhraseIsInBothLanguages(t *testing.T) {
	for key, w := range phrases {
		if w.EN == "" || w.ZH == "" || strings.Contains(w.EN, "%") != strings.Contains(w.ZH, "%") {
			t.Errorf("%s: %q, %q", key, w.EN, w.ZH)
		}
	}
	for _, slug := range collector.Slugs {
		if s := symptoms[slug]; s.title.EN == "" || s.title.ZH == "" || s.well.EN == "" || s.well.ZH == "" {
			t.Errorf("%s: %q", slug, s)
		}
	}
}

func TestJSONHoldsBothLanguages(t *testing.T) {
	for name, look := range map[string]collector.Snapshot{"sick": sick(), "well": well()} {
		var b bytes.Buffer
		if err := JSON(&b, diagnose(t, newDoctor(t), look)); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", b.Bytes())
	}
}
