package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func siteOf(t *testing.T, snapshot collector.Snapshot) *Site {
	return &Site{
		Collect: func(context.Context) (collector.Snapshot, error) { return snapshot, nil },
		Doctor:  newDoctor(t),
		Guide: map[string][]byte{
			doctor.LangEN: []byte("<ul>\n<li class=\"level2\"><a href=\"#cert-mismatch\">Certificates differ (100%)</a></li>\n</ul>\n<!-- text -->\n<h1 id=\"guide\">Guide</h1>\n<h2 id=\"cert-mismatch\">Certificates <em>differ</em> (100%)</h2>\n<p>Run <code>kubectl</code>.</p>\n"),
			doctor.LangZH: []byte("<ul>\n<li class=\"level2\"><a href=\"#cert-mismatch\">证书不匹配</a></li>\n</ul>\n<!-- text -->\n<h1 id=\"手册\">手册</h1>\n<h2 id=\"cert-mismatch\">证书不匹配</h2>\n<p>执行命令。</p>\n"),
		},
	}
}

func get(s *Site, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

var (
	scripts   = regexp.MustCompile(`(?s)<(?:style|script|noscript)[ >].*?</(?:style|script|noscript)>|<[^>]*>`)
	blankRuns = regexp.MustCompile(`\s*\n\s*`)
)

// prose returns the text of a page without markup, one line per element.
func prose(page string) string {
	page = scripts.ReplaceAllString(page, "\n")
	page = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(page)
	return strings.TrimSpace(blankRuns.ReplaceAllString(page, "\n")) + "\n"
}

func TestThePageShowsTheDiagnosis(t *testing.T) {
	for name, snapshot := range map[string]collector.Snapshot{"faulty": doctortest.Faulty(), "healthy": doctortest.Healthy(), "disk-only": doctortest.SnapshotOf(doctortest.Collected(collector.SlugDisk, nil))} {
		for _, lang := range []string{doctor.LangEN, doctor.LangZH} {
			w := get(siteOf(t, snapshot), "/?lang="+lang)
			if w.Code != http.StatusOK {
				t.Errorf("%s: status %d", name, w.Code)
			}
			if size := w.Body.Len(); size > 60_000 {
				t.Errorf("%s: %d bytes", name, size)
			}
			doctortest.Golden(t, name+"."+lang+".page.txt", []byte(prose(w.Body.String())))
		}
	}
}

func TestThePageHasOneCardForEachSymptomInTheOrderOfTheDocument(t *testing.T) {
	cards := regexp.MustCompile(`<section class="card ([a-z]+)" id="([a-z-]+)"`)
	for name, c := range map[string]struct {
		snapshot collector.Snapshot
		want     string
	}{
		"faulty":    {doctortest.Faulty(), "api:affected tls:affected cert:critical node-role:healthy component:warning disk:unable"},
		"healthy":   {doctortest.Healthy(), "api:healthy tls:healthy cert:healthy node-role:healthy component:healthy disk:healthy"},
		"disk only": {doctortest.SnapshotOf(doctortest.Collected(collector.SlugDisk, nil)), "api:absent tls:absent cert:absent node-role:absent component:absent disk:healthy"},
	} {
		var got []string
		for _, m := range cards.FindAllStringSubmatch(get(siteOf(t, c.snapshot), "/").Body.String(), -1) {
			got = append(got, m[2]+":"+m[1])
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTheLanguageIsTheReaders(t *testing.T) {
	for _, c := range []struct{ target, accept, want string }{
		{"/", "", "en"},
		{"/", "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"},
		{"/", "zh-TW", "zh-CN"},
		{"/", "de-DE,de;q=0.9", "en"},
		{"/", "de,zh;q=0.8,en;q=0.5", "zh-CN"},
		{"/?lang=en", "zh-CN", "en"},
		{"/?lang=zh", "en", "zh-CN"},
		{"/?lang=xx", "zh", "zh-CN"},
		{"/guide?lang=zh", "", "zh-CN"},
	} {
		w := get(siteOf(t, doctortest.Healthy()), c.target, "Accept-Language", c.accept)
		if !strings.Contains(w.Body.String(), `<html lang="`+c.want+`">`) || w.Header().Get("Content-Language") != c.want {
			t.Errorf("%s with %q: not in %s", c.target, c.accept, c.want)
		}
	}
}

func TestThePageForbidsWhatItDoesNotNeed(t *testing.T) {
	s := siteOf(t, doctortest.Faulty())
	s.Style = ".more { color: red }"
	s.Panels = func(string, collector.Snapshot, doctor.Diagnosis) Panels { return Panels{} }
	hashes := func(pattern, page string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(page, -1) {
			sum := sha256.Sum256([]byte(m[1]))
			all = append(all, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		return all
	}
	for target, sheets := range map[string]int{"/": 3, "/guide": 2} {
		w := get(s, target)
		body := w.Body.String()
		styles, scripts := hashes(`(?s)<style[^>]*>(.*?)</style>`, body), hashes(`(?s)<script>(.*?)</script>`, body)
		if len(styles) != sheets || len(scripts) != 1 {
			t.Fatalf("%s: %d style sheets, %d scripts", target, len(styles), len(scripts))
		}
		sum := sha256.Sum256([]byte(s.Style))
		styles = append(styles[:2], "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		want := "default-src 'none'; style-src " + strings.Join(styles, " ") + "; script-src " + scripts[0] +
			"; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
		if got := w.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", target, got, want)
		}
		if strings.Contains(body, " style=") || regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(body) {
			t.Errorf("%s holds what its policy forbids", target)
		}
	}
}

func TestEveryOutsideTextIsEscaped(t *testing.T) {
	evil := `<script>alert("x")</script>`
	snapshot := doctortest.Faulty()
	snapshot.Outcomes[2].Report.Evidence[0].Text = evil
	snapshot.Outcomes[5].Err = errors.New(evil)
	body := get(siteOf(t, snapshot), "/").Body.String()
	if strings.Count(body, "<script") != 1 || strings.Count(body, "&lt;script&gt;alert(&#34;x&#34;)") != 2 {
		t.Error("a script of an outside text is not escaped, or not shown")
	}
}

func TestTheRefreshCanBeStopped(t *testing.T) {
	const meta = `<noscript><meta http-equiv="refresh" content="15"></noscript>`
	s := siteOf(t, doctortest.Healthy())
	if !strings.Contains(get(s, "/").Body.String(), meta) {
		t.Error("the page does not ask again by itself")
	}
	if strings.Contains(get(s, "/?refresh=off").Body.String(), meta) {
		t.Error("the page asks again although the refresh is off")
	}
}

func TestAdviceForFailedCollectorsAppearsOnce(t *testing.T) {
	body := get(siteOf(t, doctortest.Unknown()), "/?lang=en").Body.String()
	if n := strings.Count(body, "connect: connection refused"); n != 6 {
		t.Errorf("the error appears %d times, want one for each symptom", n)
	}
	if n := strings.Count(body, "<article"); n != 1 || strings.Count(body, `<p>What to do: see <a href="#api">Region API</a></p>`) != 5 {
		t.Errorf("the advice appears %d times:\n%s", n, prose(body))
	}
}

func TestPanelsAreInTheirPlaces(t *testing.T) {
	s := siteOf(t, doctortest.Healthy())
	s.Panels = func(lang string, _ collector.Snapshot, d doctor.Diagnosis) Panels {
		return Panels{Lead: "<p>lead</p>", Aside: template.HTML("<form>switch in " + lang + "</form>"), Follow: template.HTML("<p>" + string(d.Verdict()) + " follows</p>")}
	}
	body := get(s, "/?lang=zh").Body.String()
	last := 0
	for _, want := range []string{"<p>lead</p>", "<h1>", `id="disk"`, "<p>healthy follows</p>", "</main>", "<form>switch in zh</form>"} {
		at := strings.Index(body, want)
		if at < last {
			t.Errorf("%s is not in its place, or not there", want)
		}
		last = at
	}
}

func TestThePageShowsSinceWhen(t *testing.T) {
	healthy, faulty := doctortest.Healthy(), doctortest.Faulty()
	s := siteOf(t, healthy)
	at := healthy.At
	synctest.Test(t, func(t *testing.T) {
		for i, snapshot := range []collector.Snapshot{healthy, faulty, faulty, faulty} {
			snapshot.At = at.Add(time.Duration(i) * 45 * time.Second)
			s.Observe(t.Context(), snapshot) // the second comes too soon to be evaluated
			synctest.Wait()
		}
	})
	faulty.At = at.Add(5 * time.Minute)
	s.Collect = func(context.Context) (collector.Snapshot, error) { return faulty, nil }
	for lang, want := range map[string]string{"en": "Seen since 2026-05-01 12:01:30 UTC (3m30s)", "zh": "2026-05-01 12:01:30 UTC 起出现（已持续 3m30s）"} {
		if body := get(s, "/?lang="+lang).Body.String(); !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, prose(body))
		}
	}
	// A fault of the first collection may have begun before.
	began := faulty
	s = siteOf(t, faulty)
	s.Collect = func(context.Context) (collector.Snapshot, error) { return faulty, nil }
	for after, want := range []string{"", "Seen since the first collection of this exporter, " + began.At.Format(pageTime) + " (1m0s)"} {
		faulty.At = began.At.Add(time.Duration(after) * time.Minute)
		body := get(s, "/").Body.String()
		if want == "" && strings.Contains(body, "Seen since") || !strings.Contains(body, want) {
			t.Errorf("collection %d: want %q\n%s", after, want, prose(body))
		}
	}
}

// twoRegions is a snapshot of two regions, one of which cannot be reached, and
// one with the name of a script.
func twoRegions(more ...string) collector.Snapshot {
	snapshot := doctortest.Healthy()
	for _, name := range append([]string{`<script>alert("region")</script>`}, more...) {
		snapshot.Outcomes[5].Report.Metrics = append(snapshot.Outcomes[5].Report.Metrics, doctortest.Metric("rainbond_node_root_used_ratio", 0.9, name, "node-1"))
	}
	return snapshot
}

func TestTheSwitchShowsOneRegion(t *testing.T) {
	s := siteOf(t, twoRegions())
	evil := "?lang=en&amp;region=%3Cscript%3Ealert%28%22region%22%29%3C%2Fscript%3E"
	all := get(s, "/?lang=en").Body.String()
	for _, want := range []string{
		`<a href="?lang=en" aria-current="page">All</a>`,
		`<a class="warning" href="` + evil + `"><span>&lt;script&gt;alert(&#34;region&#34;)&lt;/script&gt;</span> <b>WARNING</b></a>`,
		`<a class="healthy" href="?lang=en&amp;region=rainbond"><span>rainbond</span> <b>OK</b></a>`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
	for target, want := range map[string]string{
		"/?lang=en": "1 fault", "/?lang=en&region=rainbond": "Everything that was checked is healthy", "/" + strings.ReplaceAll(evil, "&amp;", "&"): "1 fault",
	} {
		if body := get(s, target).Body.String(); !strings.Contains(body, "<h1>"+want+"</h1>") || strings.Count(body, "<script") != 1 {
			t.Errorf("%s: no %q in\n%s", target, want, prose(body))
		}
	}
	if w := get(s, "/api/v1/diagnosis?region=rainbond"); !strings.Contains(w.Body.String(), `"verdict": "healthy"`) {
		t.Error(w.Body)
	}
	for _, target := range []string{"/?region=nowhere", "/api/v1/diagnosis?region=nowhere"} {
		if w := get(s, target); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "no region") {
			t.Errorf("%s: %d\n%s", target, w.Code, prose(w.Body.String()))
		}
	}
}

func TestOfManyRegionsTheWorstAreOffered(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("region-%03d", i))
	}
	snapshot := twoRegions(names...)
	body := get(siteOf(t, snapshot), "/?lang=en&region=rainbond").Body.String()
	if n := strings.Count(body, `<a class="warning" href="?lang=en&amp;region=`); n != maxChoices-1 || !strings.Contains(body, `region=rainbond" aria-current="page">`) || !strings.Contains(body, `<input name="region" required>`) {
		t.Errorf("%d regions are offered:\n%s", n, prose(body))
	}
	if body := get(siteOf(t, snapshot), "/?lang=en").Body.String(); len(body) > 60_000 || !strings.Contains(body, "1002 regions") {
		t.Errorf("%d bytes:\n%s", len(body), prose(body))
	}
}

func TestAFailedCollectionIsReported(t *testing.T) {
	s := siteOf(t, doctortest.Healthy())
	var left time.Duration
	s.Collect = func(ctx context.Context) (collector.Snapshot, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return collector.Snapshot{}, errors.New("out of time")
	}
	page := get(s, "/?lang=en")
	if page.Code != http.StatusServiceUnavailable || !strings.Contains(page.Body.String(), "collect: out of time") || strings.Contains(page.Body.String(), `class="card`) {
		t.Errorf("the page answers %d:\n%s", page.Code, prose(page.Body.String()))
	}
	if left < 9*time.Second || left > 10*time.Second {
		t.Errorf("the collection had %s", left)
	}
	api := get(s, "/api/v1/diagnosis")
	if want := `{"error":"collect: out of time"}` + "\n"; api.Code != http.StatusServiceUnavailable || api.Body.String() != want {
		t.Errorf("the API answers %d %s", api.Code, api.Body)
	}
}

func TestTheDiagnosisAsJSON(t *testing.T) {
	w := get(siteOf(t, doctortest.Faulty()), "/api/v1/diagnosis")
	var answer struct{ Verdict doctor.Verdict }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Verdict != doctor.Faults {
		t.Errorf("verdict %q, %v", answer.Verdict, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Error(got)
	}
}

func TestTheGuideHasItsContents(t *testing.T) {
	body := get(siteOf(t, doctortest.Healthy()), "/guide?lang=en").Body.String()
	contents, rest, found := strings.Cut(body, `<li class="level2"><a href="#cert-mismatch">Certificates differ (100%)</a></li>`)
	if !found || strings.Count(contents, `<h2 id="cert-mismatch">`) != 1 || strings.Contains(rest, "<h2") {
		t.Errorf("got\n%s", body)
	}
}

func TestHeadingsComeInOrder(t *testing.T) {
	levels := regexp.MustCompile(`<h([1-6])`)
	s := siteOf(t, doctortest.Faulty())
	for _, target := range []string{"/", "/guide"} {
		last := 0
		for _, m := range levels.FindAllStringSubmatch(get(s, target).Body.String(), -1) {
			level := int(m[1][0] - '0')
			if level > last+1 || last == 0 && level != 1 {
				t.Errorf("%s: h%d after h%d", target, level, last)
			}
			last = level
		}
	}
}

func TestOtherMethodsAndPathsAreRefused(t *testing.T) {
	for _, c := range []struct {
		method, target string
		want           int
	}{
		{http.MethodHead, "/", http.StatusOK},
		{http.MethodPost, "/", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/guide", http.StatusMethodNotAllowed},
		{http.MethodPut, "/api/v1/diagnosis", http.StatusMethodNotAllowed},
		{http.MethodGet, "/nowhere", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		siteOf(t, doctortest.Healthy()).Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, w.Code, c.want)
		}
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
