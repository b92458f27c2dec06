//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	rbacv1 "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"
)

// authority signs the certificates of the control plane. It has nothing to do
// with Rainbond's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// keyPair is a certificate and its key, as PEM.
type keyPair struct{ cert, key []byte }

func newAuthority(t testing.TB) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	a := &authority{cert: template}
	var der []byte
	a.key, der = sign(t, template, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.pem = cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue makes a certificate for loopback, and for more addresses, that is good
// for both sides.
func (a *authority) issue(t testing.TB, subject pkix.Name, more ...net.IP) keyPair {
	t.Helper()
	key, der := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: append(more, net.IPv4(127, 0, 0, 1)),
	}, a)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}),
	}
}

// sign makes a key and its certificate, signed by a or, without one, by itself.
func sign(t testing.TB, template *x509.Certificate, a *authority) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// tls is the key pair as crypto/tls wants it.
func (k keyPair) tls(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(k.cert, k.key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// A cluster is a Kubernetes control plane: etcd and the API server, with RBAC,
// and nobody who schedules.
type cluster struct {
	t        testing.TB // the API server lives as long as this test, even if another test restarts it
	url      string
	etcd     string // its URL
	ca       *authority
	accounts keyPair // signs the tokens of ServiceAccounts
	folder   string
	logs     string
	start    []string // the API server's program and arguments
	server   *process
	store    *process // etcd

	core corev1.CoreV1Interface // as an administrator
	apps appsv1.AppsV1Interface
	rbac rbacv1.RbacV1Interface
}

// newCluster starts a control plane that is empty and ready.
func newCluster(t testing.TB, folder, logs string) *cluster {
	t.Helper()
	c := &cluster{t: t, etcd: "http://" + freeAddress(t), ca: newAuthority(t), folder: folder, logs: logs}
	c.remember(t)
	file := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		write(t, path, text)
		return path
	}
	files := func(name string, p keyPair) (cert, key string) {
		return file(name+".pem", p.cert), file(name+".key.pem", p.key)
	}
	pair := func(name string) (cert, key string) { return files(name, c.ca.issue(t, pkix.Name{CommonName: name})) }
	ca := file("kube-ca.pem", c.ca.pem)
	serving, servingKey := pair("kube-apiserver")
	kubelet, kubeletKey := pair("kube-apiserver-kubelet-client")
	c.accounts = c.ca.issue(t, pkix.Name{CommonName: "service-accounts"})
	accounts, accountsKey := files("service-accounts", c.accounts)
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	c.url = "https://" + address
	c.start = []string{tool(t, "kube-apiserver"),
		"--etcd-servers=" + c.etcd, "--bind-address=127.0.0.1", "--secure-port=" + port, "--endpoint-reconciler-type=none",
		"--authorization-mode=RBAC", "--client-ca-file=" + ca, "--tls-cert-file=" + serving, "--tls-private-key-file=" + servingKey,
		"--service-account-issuer=" + c.url, "--service-account-signing-key-file=" + accountsKey, "--service-account-key-file=" + accounts,
		"--service-cluster-ip-range=10.43.0.0/24", "--disable-admission-plugins=ServiceAccount", // no controller makes the accounts it wants
		"--kubelet-client-certificate=" + kubelet, "--kubelet-client-key=" + kubeletKey,
		"--kubelet-certificate-authority=" + ca, "--kubelet-preferred-address-types=InternalIP",
	}
	c.connect(t)
	c.run(t)
	return c
}

// remember starts etcd, with what it knew if it ran before.
func (c *cluster) remember(t testing.TB) {
	t.Helper()
	peer := "http://" + freeAddress(t)
	c.store = begin(c.t, c.logs, "etcd", tool(t, "etcd"),
		"--data-dir="+filepath.Join(c.folder, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+c.etcd, "--advertise-client-urls="+c.etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
}

// administrator is a certificate that may do everything.
func (c *cluster) administrator(t testing.TB) keyPair {
	t.Helper()
	return c.ca.issue(t, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
}

// connect makes the administrator's clients.
func (c *cluster) connect(t testing.TB) {
	t.Helper()
	admin := c.administrator(t)
	config := &rest.Config{Host: c.url, QPS: -1, Timeout: 10 * time.Second, // QPS -1: no limit of our own
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem, CertData: admin.cert, KeyData: admin.key}}
	var errs [3]error
	c.core, errs[0] = corev1.NewForConfig(config)
	c.apps, errs[1] = appsv1.NewForConfig(config)
	c.rbac, errs[2] = rbacv1.NewForConfig(config)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// run starts the API server, again if it has ended, and waits until it is
// ready.
func (c *cluster) run(t testing.TB) {
	t.Helper()
	c.server = begin(c.t, c.logs, "kube-apiserver", c.start[0], c.start[1:]...)
	took := until(t, 3*time.Minute, "kube-apiserver is ready", func() error {
		if err := c.server.alive(); err != nil {
			return err
		}
		return c.core.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error()
	})
	progress("kube-apiserver is ready (%s)", seconds(took))
}

// token is a token of a ServiceAccount, as a pod would get it.
func (c *cluster) token(t testing.TB, namespace, account string) string {
	t.Helper()
	hour := int64(time.Hour / time.Second)
	r, err := c.core.ServiceAccounts(namespace).CreateToken(t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Status.Token
}

// kubeconfig is a kubeconfig for the bearer of a token.
func (c *cluster) kubeconfig(t testing.TB, token string) []byte {
	t.Helper()
	return c.kubeconfigOf(t, c.url, map[string]any{"token": token})
}

// kubeconfigOf is a kubeconfig for a user, to reach the API server at url.
func (c *cluster) kubeconfigOf(t testing.TB, url string, user map[string]any) []byte {
	t.Helper()
	type object = map[string]any
	text, err := json.Marshal(object{ // JSON is YAML
		"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
		"clusters": []any{object{"name": "e2e", "cluster": object{"server": url, "certificate-authority-data": c.ca.pem}}},
		"users":    []any{object{"name": "e2e", "user": user}},
		"contexts": []any{object{"name": "e2e", "context": object{"cluster": "e2e", "user": "e2e"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// as is a client for the bearer of a token.
func (c *cluster) as(t testing.TB, token string) corev1.CoreV1Interface {
	t.Helper()
	client, err := corev1.NewForConfig(&rest.Config{Host: c.url, BearerToken: token, Timeout: 10 * time.Second,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// write writes a file that only we may read, in one step.
func write(t testing.TB, path string, text []byte) {
	t.Helper()
	err := os.WriteFile(path+".new", text, 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("write: %w", err))
	}
}
