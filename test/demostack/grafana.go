package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// dashboards writes what a Grafana needs to show our dashboards, and starts
// one where there is one. It returns what to print about it.
func dashboards(programs *programs, folder, prometheus string) (string, error) {
	provisioning := filepath.Join(folder, "grafana")
	lang := "en" // of two languages one, for they share their uids
	if strings.HasPrefix(os.Getenv("LANG"), "zh") {
		lang = "zh"
	}
	ours, err := filepath.Abs(filepath.Join("dashboards", lang))
	if err != nil {
		return "", err
	}
	for path, text := range map[string]string{
		"datasources/prometheus.yaml": fmt.Sprintf("apiVersion: 1\ndatasources: [{name: Prometheus, type: prometheus, uid: prometheus, url: %q, isDefault: true}]\n", prometheus),
		"dashboards/rainbond.yaml":    fmt.Sprintf("apiVersion: 1\nproviders: [{name: Rainbond, type: file, options: {path: %q}}]\n", ours),
	} {
		path = filepath.Join(provisioning, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	program, _ := exec.LookPath("grafana")
	if program == "" {
		return fmt.Sprintf("none here; one that starts with GF_PATHS_PROVISIONING=%s has data source and dashboards", provisioning), nil
	}
	home := os.Getenv("GF_PATHS_HOME")
	if home == "" {
		home = "/usr/share/grafana" // where its packages put it
	}
	listen := address(programs.ctx, "3000")
	err = programs.start("grafana", program, []string{
		"GF_PATHS_PROVISIONING=" + provisioning, "GF_PATHS_DATA=" + filepath.Join(folder, "grafana-data"), "GF_SERVER_HTTP_ADDR=127.0.0.1",
		"GF_SERVER_HTTP_PORT=" + listen[len("127.0.0.1:"):], "GF_AUTH_ANONYMOUS_ENABLED=true",
	}, "server", "--homepath="+home)
	return "http://" + listen + "/dashboards", err
}
