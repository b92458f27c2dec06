package demo

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// post sends the form as a browser does, from a page of the given site.
func post(d *Demo, target, scenario, site string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(url.Values{"scenario": {scenario}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	w := httptest.NewRecorder()
	d.Switch().ServeHTTP(w, r)
	return w
}

func TestFormSwitchesTheScenario(t *testing.T) {
	d := start(t, "healthy")
	for _, test := range []struct {
		target, scenario, site string
		status                 int
		want                   string // Location, or how the answer begins
		now                    string
	}{
		{"/demo", "disk-82", "same-origin", 303, "./", "disk-82"},
		{"/demo?lang=zh", "disk-near", "", 303, "./?lang=zh", "disk-near"},
		{"/demo?lang=//evil", "healthy", "same-origin", 303, "./", "healthy"},
		{"/demo", "disk-82", "cross-site", 403, "cross-origin request", "healthy"},
		{"/demo", "disk-99", "same-origin", 400, `unknown scenario "disk-99"; expected one of healthy, api-name-unknown`, "healthy"},
		{"/demo", "disk-82+node-role-none", "same-origin", 303, "./", "disk-82+node-role-none"},
		{"/demo", "component-unmade+component-pending", "same-origin", 400, "scenario component-unmade+component-pending: these scenarios exclude each other", "disk-82+node-role-none"},
		{"/demo", "healthy", "same-origin", 303, "./", "healthy"},
		{"/demo", "", "same-origin", 400, `unknown scenario ""; expected one of healthy`, "healthy"},
		{"/demo", strings.Repeat("x", maxForm), "same-origin", 400, `unknown scenario ""`, "healthy"},
	} {
		w := post(d, test.target, test.scenario, test.site)
		got := w.Header().Get("Location")
		if got == "" {
			got = w.Body.String()
		}
		exact := test.status == http.StatusSeeOther
		if w.Code != test.status || exact && got != test.want || !strings.HasPrefix(got, test.want) || d.Scenario().Name != test.now {
			t.Errorf("%s %.20q from %q: got %d %q, now %s; want %d %q, now %s",
				test.target, test.scenario, test.site, w.Code, got, d.Scenario().Name, test.status, test.want, test.now)
		}
	}
	w := httptest.NewRecorder()
	d.Switch().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/demo?scenario=disk-82", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost || d.Scenario().Name != "healthy" {
		t.Errorf("GET: got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestAsideListsEveryScenarioAndMarksTheCurrent(t *testing.T) {
	d := start(t, "disk-readonly")
	for _, test := range []struct{ lang, begin, current string }{
		{"zh", "<form class=\"demo-switch\" method=\"post\" action=\"demo?lang=zh\">\n<h2>演示：模拟故障</h2>\n<details open>\n<summary>正常</summary>\n<button name=\"scenario\" value=\"healthy\" title=\"healthy\">一切正常</button>\n</details>\n<details>\n<summary>集群端 API</summary>\n",
			`<button name="scenario" value="disk-readonly" title="disk-readonly" class="current" aria-current="true">根分区变为只读</button>`},
		{"fr", "<form class=\"demo-switch\" method=\"post\" action=\"demo?lang=en\">\n<h2>Demo: simulate a fault</h2>\n<details open>\n<summary>Healthy</summary>\n<button name=\"scenario\" value=\"healthy\" title=\"healthy\">The region is healthy</button>\n</details>\n<details>\n<summary>Region API</summary>\n",
			`<button name="scenario" value="disk-readonly" title="disk-readonly" class="current" aria-current="true">The root file system is read-only</button>`},
	} {
		html := string(d.Aside(test.lang))
		if !strings.HasPrefix(html, test.begin) {
			t.Errorf("%s: got\n%s", test.lang, html)
		}
		if strings.Count(html, "current") != 2 || strings.Count(html, test.current) != 1 {
			t.Errorf("%s: expected exactly %s in\n%s", test.lang, test.current, html)
		}
		for _, s := range Scenarios {
			if strings.Count(html, `value="`+s.Name+`"`) != 1 {
				t.Errorf("%s: %s is not listed exactly once", test.lang, s.Name)
			}
		}
		if strings.Contains(html, "<script") || strings.Contains(html, "style") {
			t.Errorf("%s: the page's policy allows neither script nor style", test.lang)
		}
	}
}
