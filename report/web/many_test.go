package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func TestAThousandNodesWithOneFaultFillNoStatusPage(t *testing.T) {
	var nodes []prometheus.Metric
	for i := range 1000 {
		nodes = append(nodes, doctortest.Metric("rainbond_node_root_used_ratio", 0.9, "rainbond", fmt.Sprintf("node-%03d", i)))
	}
	snapshot := doctortest.SnapshotOf(doctortest.Collected(collector.SlugDisk, nodes))
	page := get(siteOf(t, snapshot), "/").Body
	if size := page.Len(); size > 60_000 {
		t.Errorf("the page has %d bytes", size)
	}
	if !strings.Contains(page.String(), "985 more of RainbondNodeDiskFilling") {
		t.Error("the page does not have the number of those are left out")
	}
}

// Each region's refused certificate is the cause of what other cards show.
func TestAThousandRegionsWithOneFaultFillNoPage(t *testing.T) {
	var api, cert []prometheus.Metric
	for i := range 1000 {
		region := fmt.Sprintf("region-%03d", i)
		api = append(api, doctortest.Metric("rainbond_api_probe_failed", 1, region, "tls", "client_refused"))
		cert = append(cert, doctortest.Metric("rainbond_certificate_mismatch", 1, region, "client", "console", "served"))
	}
	page := get(siteOf(t, doctortest.SnapshotOf(doctortest.Collected(collector.SlugAPI, api), doctortest.Collected(collector.SlugCert, cert))), "/").Body
	if size := page.Len(); size > 60_000 {
		t.Errorf("the page has %d bytes", size)
	}
	if !strings.Contains(page.String(), "<p>995 more of RainbondConsoleCertificateMismatch; the JSON output has all</p>") {
		t.Errorf("the page does not have the number of causes left out:\n%s", prose(page.String()))
	}
}
