package report

import (
	"slices"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

func TestRoutesExplainTheProbedAddress(t *testing.T) {
	d := doctor.Diagnosis{Routes: []doctor.Route{
		{Region: "a", Origin: "console", URL: "https://192.0.2.1:8443"},
		{Region: "b", Origin: "service", URL: "https://rbd-api-api.rbd-system:8443"},
	}}
	want := []string{"Probed: https://rbd-api-api.rbd-system:8443, the Service of rbd-api, because the console runs in this namespace"}
	if got := Routes(d, "en"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	want = []string{"探测地址：https://rbd-api-api.rbd-system:8443，rbd-api 的 Service，因为控制台在这个命名空间内"}
	if got := Routes(d, "zh"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
