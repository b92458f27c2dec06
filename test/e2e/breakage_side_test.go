//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// A clusterSide is everything except the console: a control plane, the
// platform in it and the region's API. Nothing of the latter ever breaks here.
type clusterSide struct {
	*platform
	kubelet *kubelet
	console *console
	made    pki.Generation // what the operator made
	folder  string
	logs    string
}

func newClusterSide(t testing.TB) *clusterSide {
	t.Helper()
	folder, logs := t.TempDir(), logFolder(t)
	g := generation(t)
	api := &regionAPI{t: t, address: freeAddress(t), folder: sub(t, folder, "rbd-api"), logs: logs}
	c := newCluster(t, sub(t, folder, "kube"), logs)
	k := newKubelet(t, c.ca)
	s := &clusterSide{platform: newPlatform(t, c, k, api.address, g), kubelet: k, made: g, folder: folder, logs: logs}
	api.log = k.runs(namespace, podOf("rbd-api"), "rbd-api")
	api.mount(g)
	api.start(t)
	s.console = newConsole(t, sub(t, folder, "console"), api.address)
	s.console.paste(t, g)
	return s
}

// forget deletes the content of etcd and starts it empty.
func (s *clusterSide) forget(t testing.TB) {
	t.Helper()
	s.server.kill()
	s.store.kill()
	must(t, os.RemoveAll(filepath.Join(s.cluster.folder, "etcd")))
	s.remember(t)
	s.run(t)
}

// compact lets etcd forget every version but the present one.
func (s *clusterSide) compact(t testing.TB) {
	t.Helper()
	ask := func(path string, body any, into any) {
		text, err := json.Marshal(body)
		must(t, err)
		answer, err := http.Post(s.etcd+path, "application/json", bytes.NewReader(text))
		must(t, err)
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("etcd: %s: %s", path, answer.Status)
		}
		must(t, json.NewDecoder(answer.Body).Decode(into))
	}
	var status struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	ask("/v3/kv/range", map[string]any{"key": base64.StdEncoding.EncodeToString([]byte("x"))}, &status)
	ask("/v3/kv/compaction", map[string]any{"revision": status.Header.Revision, "physical": true}, &struct{}{})
}

// mayListNodes grants or revokes the exporter's permission to list nodes.
func (s *clusterSide) mayListNodes(t testing.TB, may bool) {
	t.Helper()
	role, err := s.rbac.ClusterRoles().Get(t.Context(), account, metav1.GetOptions{})
	must(t, err)
	role.Rules = nil
	if may {
		role.Rules = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}}}
	}
	must(t, created(s.rbac.ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{})))
}

// shortest is the shortest life that TokenRequest gives.
const shortest = 10 * time.Minute

// bound is a token of the exporter's ServiceAccount that lives as short as the
// API server lets it.
func (c *cluster) bound(ctx context.Context) (string, error) {
	life := int64(shortest / time.Second)
	r, err := c.core.ServiceAccounts(namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return r.Status.Token, nil
}

// leeway is how long after its end an API server still takes a token
// (go-jose, jwt.DefaultLeeway).
const leeway = time.Minute

// dying is a token of the API server whose end its own key has moved: it is
// refused when left has passed, and at the latest ten seconds later, for which
// the server remembers whom it knew.
func (c *cluster) dying(t testing.TB, token string, left time.Duration) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	claims := map[string]any{}
	must(t, json.Unmarshal(text, &claims))
	claims["exp"] = time.Now().Add(left - leeway).Unix()
	text, err = json.Marshal(claims)
	must(t, err)
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(text)
	block, _ := pem.Decode(c.accounts.key)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), digest[:])
	must(t, err)
	signature := make([]byte, 64) // ES256: two numbers of 32 bytes
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// A tokenMount is the folder in which a kubelet keeps a pod's token.
type tokenMount struct {
	folder string
	swaps  int
}

// path is where the pod reads the token.
func (m *tokenMount) path() string { return filepath.Join(m.folder, "token") }

// swap puts a token into the folder as the kubelet does: into a folder of its
// own, to which a link is turned (kubernetes, pkg/volume/util, AtomicWriter).
func (m *tokenMount) swap(token string) error {
	m.swaps++
	name := fmt.Sprintf("..2026_11_24_%06d", m.swaps)
	data, next := filepath.Join(m.folder, "..data"), filepath.Join(m.folder, "..data_tmp")
	before, _ := os.Readlink(data)
	if err := os.Mkdir(filepath.Join(m.folder, name), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.folder, name, "token"), []byte(token), 0o600); err != nil {
		return err
	}
	if err := os.Symlink(name, next); err != nil {
		return err
	}
	if err := os.Rename(next, data); err != nil {
		return err
	}
	if before == "" {
		return os.Symlink(filepath.Join("..data", "token"), m.path())
	}
	return os.RemoveAll(filepath.Join(m.folder, before))
}
