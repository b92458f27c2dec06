package kube

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	componentsJSON = `{"kind":"RbdComponentList","items":[
		{"metadata":{"name":"rbd-api"},"spec":{"replicas":1},"status":{"conditions":[{"type":"Ready","status":"True"}]}},
		{"metadata":{"name":"rbd-hub"},"spec":{},"status":{"conditions":[{"type":"Ready","status":"False","reason":"PrerequisitesFailed"}]}},
		{"metadata":{"name":"rbd-etcd"},"spec":{},"status":{"conditions":[{"type":"Ready","status":"False","reason":"UnsupportedType"}]}},
		{"metadata":{"name":"rbd-app-ui"},"spec":{"replicas":0}},
		{"metadata":{"name":"rbd-mq"},"spec":{},"status":{"conditions":[{"type":"Ready","status":"False","reason":"ErrCreateResources",
			"message":"label too long","lastTransitionTime":"2026-11-29T08:00:00Z"}]}}]}`
	clusterJSON = `{"kind":"RainbondCluster","metadata":{"name":"rainbondcluster"},"spec":{"imageHub":{"domain":"hub.example.com","password":"secret"},
		"regionDatabase":{"host":"db","password":"secret"},"uiDatabase":{"host":"db","password":"secret"},
		"nodesForGateway":[{"name":"n1","internalIP":"10.0.0.1"}],"nodesForChaos":[{"name":"n1"},{"name":"n2"}],
		"gatewayIngressIPs":["10.0.0.1","10.0.0.2"]}}`
)

// asked is a Client whose API server answers with answers by path, else 404. A
// status before a colon is answered instead of 200.
func asked(t *testing.T, answers map[string]string) (*Client, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, status := answers[r.URL.Path], http.StatusOK
		if body == "" {
			body = "404"
		}
		if _, err := fmt.Sscanf(body, "%d", &status); err == nil {
			body = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`,
				map[int]string{403: "Forbidden", 404: "NotFound"}[status], status)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	k, err := New(t.Context(), &rest.Config{Host: server.URL}, testNamespace, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return k, &log
}

const (
	componentsPath = "/apis/rainbond.io/v1alpha1/namespaces/rbd-system/rbdcomponents"
	clusterPath    = "/apis/rainbond.io/v1alpha1/namespaces/rbd-system/rainbondclusters/rainbondcluster"
	eventsPath     = "/api/v1/namespaces/rbd-system/events"
)

func TestPlatform(t *testing.T) {
	k, log := asked(t, map[string]string{componentsPath: componentsJSON, clusterPath: clusterJSON})
	got, err := k.Platform(t.Context())
	want := fault.Platform{
		Components: []fault.RbdComponent{{Name: "rbd-api"}, {Name: "rbd-hub"}, {Name: "rbd-etcd", Unsupported: true}, {Name: "rbd-app-ui", Zero: true},
			{Name: "rbd-mq", Failure: "label too long", FailedSince: time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)}},
		GatewayNodes: []string{"n1"}, ChaosNodes: []string{"n1", "n2"}, GatewayAddresses: []string{"10.0.0.1", "10.0.0.2"},
	}
	for i := range got.Components { // decoded in the local time zone
		got.Components[i].FailedSince = got.Components[i].FailedSince.UTC()
	}
	if err != nil || !reflect.DeepEqual(got, want) || log.Len() > 0 {
		t.Errorf("got  %+v, %v\nwant %+v\n%s", got, err, want, log)
	}
}

func TestPlatformWithItsOwnHubAndDatabase(t *testing.T) {
	for domain, internal := range map[string]bool{"goodrain.me": true, "goodrain.me:9443": true, "goodrain.me.example.com": false} {
		local := strings.NewReplacer("hub.example.com", domain, "uiDatabase", "other").Replace(clusterJSON)
		k, _ := asked(t, map[string]string{componentsPath: componentsJSON, clusterPath: local})
		if got, err := k.Platform(t.Context()); err != nil || got.InternalHub != internal || !got.InternalDB {
			t.Errorf("%s: got %+v, %v", domain, got, err)
		}
	}
}

func TestUnreadableResourcesAreUnknownAndLoggedOnce(t *testing.T) {
	k, log := asked(t, map[string]string{componentsPath: "403", eventsPath: "403"})
	for range 2 {
		if got, err := k.Platform(t.Context()); err != nil || !reflect.DeepEqual(got, fault.Platform{}) {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := k.FailedMounts(t.Context()); err != nil || len(got) > 0 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	for _, want := range []string{
		"the exporter needs list on rbdcomponents.rainbond.io in namespace rbd-system",
		"get rainbondclusters", "does not exist",
		"the exporter needs list on events in namespace rbd-system",
	} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("not logged once: %s\n%s", want, log)
		}
	}
}

func TestLastKnownPlatformIsUsedForAMinute(t *testing.T) {
	answers := map[string]string{componentsPath: componentsJSON, clusterPath: "500"}
	k, _ := asked(t, answers)
	if got, err := k.Platform(t.Context()); err == nil || len(got.Components) != 5 {
		t.Errorf("before the first answer: %+v, %v", got, err)
	}
	answers[clusterPath] = clusterJSON
	if _, err := k.Platform(t.Context()); err != nil {
		t.Error(err)
	}
	answers[clusterPath], answers[componentsPath] = "500", "500"
	if got, err := k.Platform(t.Context()); err != nil || len(got.ChaosNodes) != 2 {
		t.Errorf("a moment later: %+v, %v", got, err)
	}
	k.known.at = k.known.at.Add(-staleAfter)
	if _, err := k.Platform(t.Context()); err == nil {
		t.Error("an hour later: no error")
	}
}

func TestFailedMounts(t *testing.T) {
	k, _ := asked(t, map[string]string{eventsPath: `{"kind":"EventList","apiVersion":"v1","items":[
		{"metadata":{"name":"a"},"involvedObject":{"uid":"u1"},"reason":"FailedMount","message":"older","lastTimestamp":"2026-11-24T02:00:00Z"},
		{"metadata":{"name":"b"},"involvedObject":{"uid":"u1"},"reason":"FailedMount","message":"MountVolume.SetUp failed for volume \"region-api-ssl\" : secret \"rbd-api-server-cert\" not found","lastTimestamp":"2026-11-24T02:09:00Z"},
		{"metadata":{"name":"c"},"involvedObject":{"uid":"u1"},"reason":"FailedMount","message":"oldest","lastTimestamp":null,"eventTime":"2026-11-24T01:00:00.000000Z"},
		{"metadata":{"name":"d"},"involvedObject":{"uid":"u2"},"reason":"FailedMount","message":"another pod","lastTimestamp":"2026-11-24T02:00:00Z"}]}`})
	got, err := k.FailedMounts(t.Context())
	want := map[string]string{"u1": `MountVolume.SetUp failed for volume "region-api-ssl" : secret "rbd-api-server-cert" not found`, "u2": "another pod"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
}

func TestFailedSandboxes(t *testing.T) {
	event := func(uid, id string, age time.Duration) string {
		return fmt.Sprintf(`{"involvedObject":{"uid":%q},"reason":"FailedCreatePodSandBox","lastTimestamp":%q,
			"message":"Failed to create pod sandbox: failed to setup network for sandbox \"%s\": open /run/flannel/subnet.env: no such file or directory"}`,
			uid, time.Now().Add(-age).UTC().Format(time.RFC3339), strings.Repeat(id, 8))
	}
	k, _ := asked(t, map[string]string{eventsPath: `{"kind":"EventList","apiVersion":"v1","items":[` +
		event("u1", "89abcdef", time.Minute) + "," + event("u1", "0123abcd", 9*time.Minute) + "," + event("u2", "0123abcd", 11*time.Minute) + `]}`})
	got, err := k.FailedSandboxes(t.Context())
	want := map[string]string{"u1": `Failed to create pod sandbox: failed to setup network for sandbox "89abcdef89ab": open /run/flannel/subnet.env: no such file or directory`}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
}

func TestFrozenAPIServerDoesNotExceedTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.hangs = true
		k := a.kube(t)
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if _, err := k.Platform(ctx); err == nil || !strings.Contains(err.Error(), "list rbdcomponents: no answer from http://kube.test in time") {
			t.Errorf("error %v", err)
		}
	})
}

func TestVersionIsTheTagOfRbdAPI(t *testing.T) {
	for image, want := range map[string]string{
		"registry.cn-hangzhou.aliyuncs.com/goodrain/rbd-api:v6.9.8-release": "v6.9.8-release",
		"goodrain.me:9443/rbd-api:v5.17.3-release":                          "v5.17.3-release",
		"rbd-api:v5.12.0@sha256:0123":                                       "v5.12.0",
		"hub.example.com:5000/rbd-api":                                      "",
		"":                                                                  "",
	} {
		spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "rbd-api", Image: image}}}
		if got := version("rbd-api", spec); got != want {
			t.Errorf("%q: got %q, want %q", image, got, want)
		}
		if got := version("rbd-mq", spec); got != "" {
			t.Errorf("rbd-mq: got %q", got)
		}
	}
	if got := version("rbd-api", corev1.PodSpec{}); got != "" {
		t.Errorf("without a container: got %q", got)
	}
}
