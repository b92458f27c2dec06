package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDashboardsWritesTheVariantOfItsFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // in rainbond-overview.json
	}{
		{nil, `"definition": "label_values(rainbond_api_up, cluster)"`},
		{[]string{"--identity=tenant,rainbond_region"}, `"definition": "label_values(rainbond_api_up, tenant)"`},
		{[]string{"--lang=zh"}, `"title": "Rainbond / 总览"`},
	} {
		var out, errs bytes.Buffer
		folder := filepath.Join(t.TempDir(), "new")
		if status := run(t.Context(), append([]string{"dashboards", folder}, c.args...), &out, &errs); status != healthy || out.Len() > 0 {
			t.Fatalf("%q: status %d\n%s%s", c.args, status, out.String(), errs.String())
		}
		text, err := os.ReadFile(filepath.Join(folder, "rainbond-overview.json"))
		if err != nil || !strings.Contains(string(text), c.want) {
			t.Errorf("%q: %v, want %s:\n%.300s", c.args, err, c.want, text)
		}
		if files, err := filepath.Glob(folder + "/*.json"); err != nil || len(files) != 5 {
			t.Errorf("%q: %v, %q", c.args, err, files)
		}
	}
}
