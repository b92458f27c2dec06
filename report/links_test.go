package report

import "testing"

func TestLinksAreCompleteAndInTheLanguage(t *testing.T) {
	links := Links{Guide: "https://exporter.example.com/guide", Grafana: "https://grafana.example.com/g"}
	for _, c := range []struct{ got, want string }{
		{Links{}.Section("cert-mismatch", "en"), "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.en.md#cert-mismatch"},
		{Links{}.Section("cert-mismatch", "zh"), "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.zh.md#cert-mismatch"},
		{links.Section("cert-mismatch", "en"), "https://exporter.example.com/guide?lang=en#cert-mismatch"},
		{links.Section("cert-mismatch", "zh"), "https://exporter.example.com/guide?lang=zh#cert-mismatch"},
		{links.Dashboard("/d/rainbond-nodes?viewPanel=12"), "https://grafana.example.com/g/d/rainbond-nodes?viewPanel=12"},
		{links.Dashboard(""), ""},
		{Links{}.Dashboard("/d/rainbond-nodes"), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
