package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/relay"
	"github.com/rainbond-exporter/rainbond-exporter/test/stack"
)

func TestThePhoneShowsMessagesAndTheWatchdogOnce(t *testing.T) {
	var out strings.Builder
	p, err := listen(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []struct {
		path, body string
		status     int
	}{
		{deadman, "{}", http.StatusOK},
		{deadman, "{}", http.StatusOK},
		{messages, `{"title":"[PAGE] Region rainbond: the API is down","state":"critical","text":"[PAGE] Region rainbond: the API is down\nImpact: everybody."}`, http.StatusOK},
		{messages, "rubbish", http.StatusBadRequest},
	} {
		answer, err := http.Post(p.url+request.path, "application/json", strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != request.status {
			t.Errorf("%.20s: %s", request.body, answer.Status)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "\n[PAGE] Region rainbond: the API is down\nImpact: everybody.\n\n"
	if got := out.String(); !strings.HasSuffix(got, want) || strings.Count(got, "received the Watchdog") != 1 {
		t.Errorf("got\n%s\nwant at its end\n%s", got, want)
	}
}

// The relay loads the configuration, and Alertmanager reads each URL from its file.
func TestTheRelayIsBetweenAlertmanagerAndThePhone(t *testing.T) {
	folder := t.TempDir()
	path, err := writeRelay(folder, "http://127.0.0.1:1"+messages, "zh")
	if err != nil {
		t.Fatal(err)
	}
	config, err := relay.Load(path)
	if err != nil || len(config.Receivers) != 1 || config.Receivers[0].Lang != "zh" {
		t.Error(config, err)
	}
	_, manager, err := stack.Stack{Webhook: "http://relay", Deadman: "http://deadman"}.Write(folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(manager)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"webhook-url": "http://relay", "deadman-url": "http://deadman"} {
		url, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil || string(url) != want || !strings.Contains(string(text), "url_file: "+filepath.Join(folder, file)+"\n") {
			t.Errorf("%s: %q, %v in\n%s", file, url, err, text)
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
