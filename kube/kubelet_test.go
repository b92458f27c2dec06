package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Responses of kubelets of v1.30, shortened: RKE2's own flags, kubeadm's defaults,
// and one with a quantity.
const (
	rke2Configz    = `{"kubeletconfig":{"enableServer":true,"evictionHard":{"imagefs.available":"5%","nodefs.available":"5%"},"evictionMinimumReclaim":{"imagefs.available":"10%"}}}`
	kubeadmConfigz = `{"kubeletconfig":{"evictionHard":{"imagefs.available":"15%","imagefs.inodesFree":"5%","memory.available":"100Mi","nodefs.available":"10%","nodefs.inodesFree":"5%"}}}`
	neverConfigz   = `{"kubeletconfig":{"evictionHard":{"imagefs.available":"0%","nodefs.inodesFree":"100%","nodefs.available":"0"}}}`
	fixedConfigz   = `{"kubeletconfig":{"evictionHard":{"imagefs.available":"10G","imagefs.inodesFree":"5%","nodefs.available":"10Gi","nodefs.inodesFree":"100k"}}}`

	// the node's part of /stats/summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1)
	summary = `{"node":{"nodeName":"n1","fs":{"time":"2026-11-24T12:00:00Z","availableBytes":53687091200,"capacityBytes":107374182400,"usedBytes":48318382080,` +
		`"inodesFree":6000000,"inodes":6400000,"inodesUsed":400000},"runtime":{"imageFs":{"availableBytes":30000000000,"capacityBytes":40000000000,"inodes":2000000}}},"pods":[]}`
)

func TestThresholdsOfConfigz(t *testing.T) {
	for _, row := range []struct{ name, body, want string }{
		{"RKE2", rke2Configz, "nodefs.available 0.05, imagefs.available 0.05"},
		{"kubeadm", kubeadmConfigz, "nodefs.available 0.1, nodefs.inodesFree 0.05, imagefs.available 0.15, imagefs.inodesFree 0.05"},
		{"what never evicts", neverConfigz, ""},
		{"quantities", fixedConfigz, "nodefs.available 0.1, nodefs.inodesFree 0.015625, imagefs.available 0.25, imagefs.inodesFree 0.05"},
		{"nothing set", `{"kubeletconfig":{}}`, ""},
		{"somebody else", `{}`, "no kubeletconfig in it"},
		{"no JSON", `<html>`, json.Unmarshal([]byte("<html>"), new(any)).Error()},
	} {
		all, err := thresholds("n1", func(page string) ([]byte, error) {
			return []byte(map[string]string{"configz": row.body, "stats/summary": summary}[page]), nil
		})
		got := list(all)
		if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.name, got, row.want)
		}
	}
}

func list(all []fault.EvictionThreshold) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, fmt.Sprintf("%s %v", a.Signal, a.Ratio))
	}
	return strings.Join(texts, ", ")
}

func TestConfigzThroughTheAPIServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/nodes/n1/proxy/configz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(rke2Configz))
	}))
	defer server.Close()
	kube, err := New(t.Context(), &rest.Config{Host: server.URL}, "rbd-system", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	body, err := kube.getFromKubelet(t.Context(), "n1", "configz")
	if err != nil || string(body) != rke2Configz {
		t.Errorf("got %s, %v", body, err)
	}
}

// A fleet counts the requests to kubelets, some of which fail.
type fleet struct {
	mu    sync.Mutex
	nodes []fault.Node
	asked []string
	err   map[string]error
}

func (f *fleet) kubelets() *kubelets {
	return &kubelets{
		nodes: func(context.Context) ([]fault.Node, error) { return f.nodes, nil },
		get: func(_ context.Context, node, _ string) ([]byte, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asked = append(f.asked, node)
			return []byte(rke2Configz), f.err[node]
		},
		results: map[string]configz{},
	}
}

func TestKubeletsAreReadOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{err: map[string]error{"n03": errors.New("dial tcp: no route to host")}}
		for i := range 25 {
			f.nodes = append(f.nodes, fault.Node{Name: fmt.Sprintf("n%02d", i), Ready: i != 4})
		}
		k := f.kubelets()
		collect := func(wantRequests, wantThresholds int) {
			t.Helper()
			f.asked = nil
			all, err := k.collect(t.Context())
			if len(f.asked) != wantRequests || len(all) != wantThresholds || err != nil {
				t.Errorf("%d requests (%v), %d thresholds, %v; want %d and %d", len(f.asked), f.asked, len(all), err, wantRequests, wantThresholds)
			}
		}
		collect(10, 2*9) // without the one that does not respond
		collect(10, 2*19)
		collect(4, 2*23)
		collect(0, 2*23)
		<-time.After(configzRetry + 1)
		collect(1, 2*23)
		delete(f.err, "n03")
		f.nodes = slices.DeleteFunc(f.nodes, func(n fault.Node) bool { return n.Name == "n00" })
		<-time.After(configzAge + 1)
		collect(10, 2*23)
	})
}

func TestMissingPermissionForKubelets(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "n1", errors.New(`cannot get resource "nodes/proxy"`))
	f := &fleet{nodes: []fault.Node{{Name: "n1", Ready: true}}, err: map[string]error{"n1": forbidden}}
	_, err := f.kubelets().collect(t.Context())
	if want := `get the eviction thresholds of the kubelet of n1: nodes "n1" is forbidden: cannot get resource "nodes/proxy"; --kubelet.configz needs get on nodes/proxy`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
