package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A message as Alertmanager 0.31 sent it, shortened.
const message = `{"receiver":"page","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"RainbondRegionAPIDown","rainbond_region":"rainbond","severity":"critical"},
"annotations":{"summary":"Region rainbond: the API is down","summary_zh":"集群 rainbond：API 不可用","description":"Impact: everybody.\n$ kubectl get pods","description_zh":"影响：所有人。\n$ kubectl get pods"}}],
"commonLabels":{"severity":"critical"},"commonAnnotations":{"summary":"Region rainbond: the API is down","summary_zh":"集群 rainbond：API 不可用"}}`

func TestThePhoneShowsMessagesAndTheWatchdogOnce(t *testing.T) {
	for lang, want := range map[string]string{
		"en": "  to page\n[PAGE] Region rainbond: the API is down\nImpact: everybody.\n$ kubectl get pods\n\n",
		"zh": "  to page\n【紧急】集群 rainbond：API 不可用\n影响：所有人。\n$ kubectl get pods\n\n",
	} {
		var out strings.Builder
		p, err := listen(t.Context(), &out, lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{`{"receiver":"deadman","alerts":[]}`, `{"receiver":"deadman","alerts":[]}`, message, "rubbish"} {
			answer, err := http.Post(p.url, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if refused := answer.StatusCode == http.StatusBadRequest; refused != (body == "rubbish") {
				t.Errorf("%.20s: %s", body, answer.Status)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if !strings.HasSuffix(got, want) || strings.Count(got, "received the Watchdog") != 1 {
			t.Errorf("%s: got\n%s\nwant at its end\n%s", lang, got, want)
		}
	}
}

// Where there is a Grafana, it receives where data source and dashboards are.
// The one here is a script that records what it receives.
func TestAGrafanaIsStartedWhereThereIsOne(t *testing.T) {
	folder, path := t.TempDir(), t.TempDir()
	script := "#!/bin/sh\necho \"$@\" \"$GF_SERVER_HTTP_PORT\" >" + folder + "/reported\ncat \"$GF_PATHS_PROVISIONING\"/*/*.yaml >>" + folder + "/reported\ntouch " + folder + "/done\nexec sleep 60\n"
	if err := os.WriteFile(filepath.Join(path, "grafana"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	programs := newPrograms(t.Context(), folder)
	say, err := dashboards(programs, folder, "http://127.0.0.1:9090")
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if _, err := os.Stat(filepath.Join(folder, "done")); err == nil {
			break
		}
		<-tick.C
	}
	programs.end()
	reported, err := os.ReadFile(filepath.Join(folder, "reported"))
	if err != nil {
		t.Fatal(err)
	}
	port := strings.TrimSuffix(strings.TrimPrefix(say, "http://127.0.0.1:"), "/dashboards")
	for _, want := range []string{"server --homepath=/usr/share/grafana " + port + "\n", `url: "http://127.0.0.1:9090"`, `options: {path: "`} {
		if !strings.Contains(string(reported), want) {
			t.Errorf("no %q in\n%s", want, reported)
		}
	}
	if err := <-programs.ended; !strings.HasPrefix(err.Error(), "grafana has ended (") {
		t.Error(err)
	}
}
