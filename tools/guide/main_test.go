package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheGuideHasItsAnchors(t *testing.T) {
	page := string(render([]byte("# Guide\n\n<a id=\"cert-mismatch\"></a>\n\n## Certificates *differ* (100%)\n\n[Here](#certificates-differ-100), [there](alerts.md#thresholds). Run `kubectl`. <script>alert(1)</script>\n\n### A & B\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n")))
	for _, want := range []string{
		`<h2 id="cert-mismatch"><span id="certificates-differ-100"></span>Certificates <em>differ</em> (100%)</h2>`,
		`<li class="level2"><a href="#cert-mismatch">Certificates differ (100%)</a></li>`,
		`<li class="level3"><a href="#a--b">A &amp; B</a></li>` + "\n</ul>\n<!-- text -->\n<h1",
		`<a href="#certificates-differ-100">Here</a>, <a href="https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/alerts.md#thresholds">there</a>`,
		`<td align="right">2</td>`,
		`<code>kubectl</code>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("raw HTML is not left out")
	}
}

func TestTheEmbeddedGuideIsThatOfTheDocumentation(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		path := filepath.Join("..", "..", "docs", "guide."+lang)
		markdown, err := os.ReadFile(path + ".md")
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(path + ".html")
		if err != nil || !bytes.Equal(page, render(markdown)) {
			t.Errorf("%s.html is out of date, %v; run make sync", path, err)
		}
	}
}
