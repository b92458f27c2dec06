//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// asksKubelets runs the binary with --kubelet.configz, without the optional
// right that the chart gives for it, and with it.
func (h *site) asksKubelets(t *testing.T, args []string) {
	ip, port := newKubeletAt(t, h.ca, globalAddress(t)).address(t)
	all, err := h.core.Nodes().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, node := range all.Items {
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = port
		must(t, created(h.core.Nodes().UpdateStatus(t.Context(), &node, metav1.UpdateOptions{})))
	}
	const flag = "--kubelet.configz"
	args = append(slices.Clone(args), flag)

	t.Run("not permitted", func(t *testing.T) {
		e := newExporter(t, h.logs, "exporter-without-configz", args...)
		until(t, 15*time.Second, "only disk fails, and the log has the reason", func() error {
			if err := e.onlyFailing("disk"); err != nil {
				return err
			}
			for _, words := range []string{"cannot get resource", "nodes/proxy", flag + " needs get on nodes/proxy"} {
				if text := tail(e.log, 100); !strings.Contains(text, words) {
					return errors.New("the log does not contain: " + words + "\n" + text)
				}
			}
			return nil
		})
	})
	t.Run("permitted", func(t *testing.T) {
		h.do(t, "", tool(t, "helm"), "upgrade", chartRelease, chartFolder, "--namespace="+monitoring, "--set=cluster.optional.kubeletConfigz=true",
			"--force-conflicts") // the test removed the rules, not Helm
		d, err := h.apps.Deployments(monitoring).Get(t.Context(), chartRelease+"-rainbond-exporter-cluster", metav1.GetOptions{})
		must(t, err)
		if given := d.Spec.Template.Spec.Containers[0].Args; !slices.Contains(given, flag) {
			t.Errorf("the chart's arguments lack %s: %q", flag, given)
		}
		e := newExporter(t, h.logs, "exporter-with-configz", args...)
		until(t, 15*time.Second, "the kubelets' own thresholds are exported", func() error {
			if err := e.onlyFailing(); err != nil {
				return err
			}
			seen, err := e.scrape()
			if err != nil {
				return err
			}
			var received []string
			for _, m := range seen["rainbond_node_eviction_threshold_ratio"].GetMetric() {
				label := map[string]string{}
				for _, l := range m.GetLabel() {
					label[l.GetName()] = l.GetValue()
				}
				received = append(received, fmt.Sprint(label["node"], " ", label["signal"], " ", m.GetGauge().GetValue()))
			}
			var want []string
			for _, node := range all.Items {
				want = append(want, node.Name+" imagefs.available 0.05", node.Name+" nodefs.available 0.05")
			}
			slices.Sort(received)
			if slices.Sort(want); !slices.Equal(received, want) {
				return fmt.Errorf("exported %q, want %q", received, want)
			}
			return nil
		})
	})
}

// globalAddress is an address of this machine that is not loopback's, for the
// API server's node proxy takes no other: one of TEST-NET-2 (RFC 5737) on the
// loopback interface where we may add it, else one that the machine has.
func globalAddress(t *testing.T) string {
	t.Helper()
	const ours = "198.51.100.10"
	if exec.CommandContext(t.Context(), "ip", "address", "add", ours+"/32", "dev", "lo").Run() == nil {
		t.Cleanup(func() { _ = exec.Command("ip", "address", "delete", ours+"/32", "dev", "lo").Run() })
		return ours
	}
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback's, and none may be added")
	return ""
}
