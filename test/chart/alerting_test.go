package chart

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alerting are the two values that are sufficient.
const alerting = "--set=alerting.enabled=true,alerting.receivers.dingtalk.existingSecret=robot"

// TestOnlyChangedReceiversReplaceTheAlertingPod compares checksums: Prometheus reads changed rules by itself, and a new pod without a
// PersistentVolumeClaim has no silences.
func TestOnlyChangedReceiversReplaceTheAlertingPod(t *testing.T) {
	sum := func(args ...string) string {
		rendered, complaint := template(t, "helm", append([]string{alerting, "--show-only=templates/alerting.yaml"}, args...)...)
		if complaint != "" {
			t.Fatal(complaint)
		}
		return checksum.FindString(rendered)
	}
	base := sum()
	if base == "" {
		t.Fatal("the pod has no checksum")
	}
	for _, args := range [][]string{{"--set=rules.disabled={RainbondNodeDiskFilling}"}, {"--set=scrape.interval=20s"}, {"--set=alerting.prometheus.retentionSize=1GB"}} {
		if sum(args...) != base {
			t.Errorf("%s replaces the pod", args)
		}
	}
	for _, args := range [][]string{{"--set=alerting.receivers.dingtalk.keyword=alert"}, {"--set=alerting.deadman.existingSecret=deadman"}} {
		if sum(args...) == base {
			t.Errorf("%s does not replace the pod, and Alertmanager reads its configuration only when it starts", args)
		}
	}
}

// TestAlertingImagesAreListed checks that Chart.yaml lists the images of the defaults, so that tools can mirror them.
func TestAlertingImagesAreListed(t *testing.T) {
	rendered, complaint := template(t, "helm", alerting, "--set=alerting.grafana.enabled=true")
	if complaint != "" {
		t.Fatal(complaint)
	}
	var images []string
	for line := range strings.Lines(rendered) {
		if image, found := strings.CutPrefix(strings.TrimSpace(line), "image: "); found {
			images = append(images, strings.Trim(image, `"`))
		}
	}
	slices.Sort(images)
	if images = slices.Compact(images); len(images) != 4 {
		t.Errorf("images %v, expected those of the exporter, Prometheus, Alertmanager and Grafana", images)
	}
	var chart struct{ Annotations map[string]string }
	if err := yaml.Unmarshal([]byte(read(t, folder+"/Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		if !strings.Contains(chart.Annotations["artifacthub.io/images"], "image: "+image+"\n") {
			t.Errorf("Chart.yaml does not list %s", image)
		}
	}
}
