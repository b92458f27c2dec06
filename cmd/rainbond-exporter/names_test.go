package main

import (
	"bytes"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/report/terminal"
)

// wild is what somebody may have called a region in the console.
const wild = "a \"b\"\n'c' \\d \x1b[31m{{ printf }}<script>\u202e"

// wildRegion is a configuration whose database holds one region of that name,
// to which there is no route (the kernel itself refuses TCP to broadcast).
func wildRegion(t *testing.T) (configFile string) {
	t.Helper()
	folder := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(folder, "db.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	g, err := pki.New(2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []struct {
		text   string
		values []any
	}{
		{"CREATE TABLE region_info (region_name, url, ssl_ca_cert, cert_file, key_file, token, status)", nil},
		{"INSERT INTO region_info VALUES (?, 'https://255.255.255.255:8443', ?, ?, ?, NULL, '1')", []any{wild, string(g.CA), string(g.Client), string(g.ClientKey)}},
	} {
		if _, err := db.ExecContext(t.Context(), statement.text, statement.values...); err != nil {
			t.Fatal(err)
		}
	}
	configFile = filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(configFile, []byte("console: {driver: sqlite, path: db.sqlite3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return configFile
}

func TestRegionWithAnyName(t *testing.T) {
	e := served(t, "serve", "--role=console", "--config.file="+wildRegion(t))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	for _, path := range []string{"/metrics", "/probe?region=" + url.QueryEscape(wild)} {
		text := e.get(path)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil || families["rainbond_api_up"] == nil {
			t.Fatalf("%s: %v", path, err)
		}
		if up := families["rainbond_api_up"].Metric[0]; up.Label[0].GetValue() != wild || up.Gauge.GetValue() != 0 {
			t.Errorf("%s: %v", path, up)
		}
	}
	if page := e.get("/"); strings.Contains(page, "<script>\u202e") {
		t.Error("the page takes the name for HTML")
	}
}

func TestDiagnosisOfARegionWithAnyName(t *testing.T) {
	f, err := parse([]string{"check", "--role=console", "--config.file=" + wildRegion(t)}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	diagnosis, err := f.diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := terminal.Write(&text, diagnosis, terminal.Style{Lang: "en", Width: 1000}); err != nil {
		t.Fatal(err)
	}
	// That the reason is there shows that the rule's own query found the name.
	if len(diagnosis.Findings) != 1 || !strings.Contains(text.String(), "does not respond: connect/unreachable.") {
		t.Errorf("findings %v:\n%s", diagnosis.Findings, text.String())
	}
	if strings.ContainsAny(text.String(), "\x1b\u202e") {
		t.Errorf("the terminal would obey the name:\n%q", text.String())
	}
}
