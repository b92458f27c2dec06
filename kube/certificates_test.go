package kube

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// pem returns a text that this package accepts as PEM.
func pem(what string) string { return "-----BEGIN TEST-----\n" + what + "\n-----END TEST-----\n" }

func objectMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: testNamespace}
}

// operatorObjects are the three objects of a healthy region.
func operatorObjects() (*corev1.ConfigMap, *corev1.Secret, *corev1.Secret) {
	bytes := func(pairs ...string) map[string][]byte {
		values := map[string][]byte{}
		for i := 0; i < len(pairs); i += 2 {
			values[pairs[i]] = []byte(pem(pairs[i+1]))
		}
		return values
	}
	return &corev1.ConfigMap{ObjectMeta: objectMeta("region-config"), Data: map[string]string{"apiAddress": "https://10.0.0.1:8443"},
			BinaryData: bytes("ca.pem", "ca", "client.pem", "client", "client.key.pem", "k3y")},
		&corev1.Secret{ObjectMeta: objectMeta("rbd-api-client-cert"), Data: bytes("ca.pem", "ca", "client.pem", "client", "client.key.pem", "k3y")},
		&corev1.Secret{ObjectMeta: objectMeta("rbd-api-server-cert"), Data: bytes("ca.pem", "ca", "server.pem", "server", "server.key.pem", "k3y")}
}

// describe returns the copies, one per line.
func describe(copies []fault.Copy, err error) string {
	var text strings.Builder
	for _, c := range copies {
		fmt.Fprintf(&text, "%s %s:", c.Place, c.Kind)
		if c.Err != nil {
			fmt.Fprintf(&text, " %s", c.Err)
		} else {
			fmt.Fprintf(&text, " %q", strings.TrimSuffix(strings.TrimPrefix(string(c.PEM), "-----BEGIN TEST-----\n"), "\n-----END TEST-----\n"))
		}
		if c.Key != nil {
			fmt.Fprintf(&text, " and key %s", c.Key)
		}
		text.WriteByte('\n')
	}
	if err != nil {
		fmt.Fprintf(&text, "error: %s\n", err)
	}
	return text.String()
}

const allCopies = `region-config ca: "ca"
region-config client: "client" and key [secret]
client-secret ca: "ca"
client-secret client: "client" and key [secret]
server-secret ca: "ca"
server-secret server: "server" and key [secret]
`

func TestCertificates(t *testing.T) {
	for _, row := range []struct {
		name    string
		arrange func(*api, *corev1.ConfigMap, *corev1.Secret, *corev1.Secret)
		want    string
	}{
		{"healthy", nil, allCopies},
		{"plain PEM in data", func(_ *api, c *corev1.ConfigMap, _, _ *corev1.Secret) {
			for key, value := range c.BinaryData {
				c.Data[key] = string(value)
			}
			c.BinaryData = nil
		}, allCopies},
		{"base64 pasted into data, with line breaks and indentation", func(_ *api, c *corev1.ConfigMap, _, _ *corev1.Secret) {
			for key, value := range c.BinaryData {
				packed := base64.StdEncoding.EncodeToString(value)
				c.Data[key] = packed[:20] + "\n    " + packed[20:] + "\n"
			}
			c.BinaryData = nil
		}, allCopies},
		{"base64 in a Secret, which breaks rbd-api, is unchanged", func(_ *api, _ *corev1.ConfigMap, _, s *corev1.Secret) {
			s.Data["server.pem"] = []byte("LS0tLS1CRUdJTiBURVNU")
		}, strings.Replace(allCopies, `"server"`, `"LS0tLS1CRUdJTiBURVNU"`, 1)},
		{"empty is not missing", func(_ *api, c *corev1.ConfigMap, _, _ *corev1.Secret) { c.BinaryData["ca.pem"] = nil },
			strings.Replace(allCopies, `region-config ca: "ca"`, `region-config ca: ""`, 1)},
		{"a missing key", func(_ *api, c *corev1.ConfigMap, _, _ *corev1.Secret) { delete(c.BinaryData, "client.pem") },
			strings.Replace(allCopies, `region-config client: "client"`, `region-config client: ConfigMap region-config in namespace rbd-system has no key client.pem`, 1)},
		{"a missing private key", func(_ *api, _ *corev1.ConfigMap, c, _ *corev1.Secret) { delete(c.Data, "client.key.pem") },
			strings.Replace(allCopies, `client-secret client: "client" and key [secret]`, `client-secret client: "client"`, 1)},
		{"a missing Secret", func(a *api, _ *corev1.ConfigMap, _, _ *corev1.Secret) {
			a.refuse["get secrets"] = http.StatusNotFound
		}, `region-config ca: "ca"
region-config client: "client" and key [secret]
client-secret ca: Secret rbd-api-client-cert does not exist in namespace rbd-system
client-secret client: Secret rbd-api-client-cert does not exist in namespace rbd-system
server-secret ca: Secret rbd-api-server-cert does not exist in namespace rbd-system
server-secret server: Secret rbd-api-server-cert does not exist in namespace rbd-system
`},
		{"forbidden Secrets", func(a *api, _ *corev1.ConfigMap, _, _ *corev1.Secret) {
			a.refuse["get secrets"] = http.StatusForbidden
		}, `region-config ca: "ca"
region-config client: "client" and key [secret]
error: secrets is forbidden: User "tester" cannot get resource "secrets"; the exporter needs get on secrets rbd-api-client-cert in namespace rbd-system
secrets is forbidden: User "tester" cannot get resource "secrets"; the exporter needs get on secrets rbd-api-server-cert in namespace rbd-system
`},
		{"no Rainbond", func(a *api, _ *corev1.ConfigMap, _, _ *corev1.Secret) {
			a.refuse["get configmaps"], a.refuse["get secrets"] = http.StatusNotFound, http.StatusNotFound
		}, "error: no Rainbond in namespace rbd-system: expected --namespace=NAMESPACE\n"},
		{"no API server", func(a *api, _ *corev1.ConfigMap, _, _ *corev1.Secret) { a.away = true },
			`error: get ConfigMap region-config: http://kube.test: dial tcp: connection refused
get Secret rbd-api-client-cert: http://kube.test: dial tcp: connection refused
get Secret rbd-api-server-cert: http://kube.test: dial tcp: connection refused
`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				config, client, server := operatorObjects()
				if row.arrange != nil {
					row.arrange(a, config, client, server)
				}
				a.put(config, client, server)
				expect(t, "copies", describe(a.kube(t).Certificates(t.Context())), row.want)
			})
		})
	}
}

func TestRegion(t *testing.T) {
	for _, row := range []struct {
		name    string
		arrange func(*api, *corev1.ConfigMap)
		want    string
	}{
		{"healthy", func(*api, *corev1.ConfigMap) {}, "rainbond region-config https://10.0.0.1:8443 ca:true cert:true key:true, <nil>, <nil>"},
		{"no address and no key", func(_ *api, c *corev1.ConfigMap) { c.Data = nil; delete(c.BinaryData, "client.key.pem") },
			"rainbond region-config  ca:true cert:true key:false, ConfigMap region-config in namespace rbd-system has no key apiAddress\n" +
				"ConfigMap region-config in namespace rbd-system has no key client.key.pem, <nil>"},
		{"no Rainbond", func(a *api, _ *corev1.ConfigMap) { a.refuse["get configmaps"] = http.StatusNotFound },
			"rainbond region-config  ca:false cert:false key:false, ConfigMap region-config does not exist in namespace rbd-system, " +
				"no Rainbond in namespace rbd-system: expected --namespace=NAMESPACE"},
		{"missing", func(a *api, _ *corev1.ConfigMap) {
			a.refuse["get configmaps"] = http.StatusNotFound
			_, client, server := operatorObjects()
			a.put(client, server)
		},
			"rainbond region-config  ca:false cert:false key:false, ConfigMap region-config does not exist in namespace rbd-system, <nil>"},
		{"forbidden", func(a *api, _ *corev1.ConfigMap) { a.refuse["get configmaps"] = http.StatusForbidden },
			"rainbond region-config  ca:false cert:false key:false, <nil>, " +
				`configmaps is forbidden: User "tester" cannot get resource "configmaps"; the exporter needs get on configmaps region-config in namespace rbd-system`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				config, _, _ := operatorObjects()
				row.arrange(a, config)
				a.put(config)
				r, err := a.kube(t).Region(t.Context(), "rainbond")
				is := func(got []byte, want string) bool { return bytes.Equal(got, []byte(pem(want))) }
				expect(t, "region", fmt.Sprintf("%s %s %s ca:%v cert:%v key:%v, %v, %v", r.Name, r.Place, r.URL, is(r.CA, "ca"), is(r.Cert, "client"), is(r.Key, "k3y"), r.Err, err), row.want)
			})
		})
	}
}

func TestLastKnownRegion(t *testing.T) {
	for what, fail := range map[string]func(a *api){
		"an API server that is away":  func(a *api) { a.away = true },
		"a permission that was taken": func(a *api) { a.refuse["get configmaps"] = http.StatusForbidden },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				config, _, _ := operatorObjects()
				a.put(config)
				k := a.kube(t)
				read := time.Now().Format(time.RFC3339)
				if _, err := k.Region(t.Context(), "rainbond"); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				a.set(fail)
				r, err := k.Region(t.Context(), "rainbond")
				if r.URL != "https://10.0.0.1:8443" || len(r.Key) == 0 {
					t.Errorf("got URL %q and a key of %d bytes, want the last known region", r.URL, len(r.Key))
				}
				if want := "using ConfigMap region-config as read at " + read; err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
				if r, _ := k.Region(t.Context(), "another"); r.URL != "" {
					t.Errorf("a region that was never read has the URL %s of another", r.URL)
				}
			})
		})
	}
}
