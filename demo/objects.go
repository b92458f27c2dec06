package demo

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The named objects that hold certificates (rainbond-operator,
// controllers/handler/api.go).
const (
	regionConfigMap = "region-config"
	serverSecret    = "rbd-api-server-cert"
	clientSecret    = "rbd-api-client-cert"
)

// plural maps the kinds of the operator's resources to their names in paths.
var plural = map[string]string{"RbdComponent": "rbdcomponents", "RainbondCluster": "rainbondclusters"}

// objects returns the Kubernetes objects of the world.
func (w *world) objects() map[key]object {
	all := map[key]object{}
	put := func(resource string, o object) {
		if o.GetNamespace() != "" {
			o.SetNamespace(w.installation.Namespace)
		}
		if e, ok := o.(*corev1.Event); ok {
			e.InvolvedObject.Namespace = w.installation.Namespace
		}
		all[key{resource, o.GetNamespace(), o.GetName()}] = o
	}
	for _, n := range w.nodes {
		put("nodes", n)
	}
	for _, c := range w.components {
		put(c.workload(w.ago(age)))
		for _, p := range c.pods {
			put("pods", p)
		}
	}
	for _, p := range w.otherPods {
		put("pods", p)
	}
	for _, e := range w.events {
		put("events", e)
	}
	for _, o := range w.operatorObjects() {
		put(plural[o.GetObjectKind().GroupVersionKind().Kind], o)
	}
	put("configmaps", w.regionConfigMap())
	put("secrets", w.secret(clientSecret, map[string][]byte{
		"ca.pem": w.secrets.CA, "client.pem": w.secrets.Client, "client.key.pem": w.secrets.ClientKey}))
	if !w.secretGone {
		put("secrets", w.secret(serverSecret, map[string][]byte{
			"ca.pem": w.secrets.CA, "server.pem": w.secrets.Server, "server.key.pem": w.secrets.ServerKey}))
	}
	return all
}

// regionConfigMap returns the ConfigMap from which administrators copy
// certificates into a console. The PEM files are in binaryData.
func (w *world) regionConfigMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: regionConfigMap, Namespace: namespace, UID: uid("ConfigMap", regionConfigMap), CreationTimestamp: w.ago(age)},
		Data: map[string]string{
			"apiAddress":          w.apiAddress,
			"websocketAddress":    "ws://127.0.0.1:6060",
			"defaultDomainSuffix": "demo.rainbond.invalid",
			"defaultTCPHost":      "127.0.0.1",
		},
		BinaryData: map[string][]byte{
			"ca.pem": w.regionConfig.CA, "client.pem": w.regionConfig.Client, "client.key.pem": w.regionConfig.ClientKey},
	}
}

// secret returns a Secret of type Opaque, not kubernetes.io/tls: the operator
// uses its own keys.
func (w *world) secret(name string, data map[string][]byte) *corev1.Secret {
	labels := operatorLabels("rbd-api")
	labels["availableips"] = "127_0_0_1"
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: uid("Secret", name), CreationTimestamp: w.ago(age), Labels: labels},
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
}
