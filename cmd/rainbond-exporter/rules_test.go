package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

func TestRulesPrintsTheVariantOfItsFlags(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		want   string // in the output, or in the error
	}{
		{nil, healthy, string(rules.Rules)},
		{[]string{"--identity=site,rainbond_region"}, healthy, "max by (site, rainbond_region, node)"},
		{[]string{"--format=vmrule", "--lang=en"}, healthy, "kind: VMRule"},
		{[]string{"--format=nightingale", "--lang=zh"}, healthy, `"name": "RainbondRegionUnreachable"`},
		{[]string{"--web.external-url=https://e.example.com"}, healthy, `guide_url: "https://e.example.com/guide?lang=en#api-slow"`},
		{[]string{"--interval=1m"}, healthy, "rainbond_api_probe_failed[4m]"},
		{[]string{"--namespace=rainbond"}, healthy, "$ kubectl -n rainbond get"},
		{[]string{"--kubectl=docker exec rainbond kubectl", "--format=vmrule"}, healthy, "$ docker exec rainbond kubectl -n rbd-system get"},
		{[]string{"--kubectl={{ kubectl }}"}, unknown, `--kubectl: "{{ kubectl }}"; expected a command such as "docker exec rainbond kubectl"`},
		{[]string{"--identity=site"}, unknown, `rainbond-exporter: rules: --identity: "site" lacks rainbond_region; expected for example cluster,rainbond_region`},
		{[]string{"--format=json"}, unknown, `--format: unknown value "json"; expected prometheus`},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), append([]string{"rules"}, c.args...), &out, &errs)
		text := out.String()
		if c.status != healthy {
			text = errs.String()
		}
		if status != c.status || !strings.Contains(text, c.want) || (out.Len() > 0) != (c.status == healthy) {
			t.Errorf("rules %q: status %d, want %d and %q:\n%.300s\n%s", c.args, status, c.status, c.want, out.String(), errs.String())
		}
	}
}
