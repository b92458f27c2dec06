package region

import (
	"errors"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
)

// clients read the kinds of two API groups. Those that client-go generates
// would bring every kind of every group, a quarter of our binary.
type clients struct {
	core, apps rest.Interface
	params     runtime.ParameterCodec
}

func newClients(config *rest.Config, client *http.Client) (clients, error) {
	scheme := runtime.NewScheme()
	c := clients{params: runtime.NewParameterCodec(scheme)}
	group := func(version schema.GroupVersion, path string) (rest.Interface, error) {
		config := rest.CopyConfig(config)
		config.GroupVersion, config.APIPath = &version, path
		config.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(scheme, serializer.NewCodecFactory(scheme)).WithoutConversion()
		return rest.RESTClientForConfigAndClient(config, client)
	}
	var errs [4]error
	errs[0], errs[1] = corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)
	c.core, errs[2] = group(corev1.SchemeGroupVersion, "/api")
	c.apps, errs[3] = group(appsv1.SchemeGroupVersion, "/apis")
	return c, errors.Join(errs[:]...)
}

// typed reads one resource of a group, where it has namespaces in one of them.
func typed[T interface {
	runtime.Object
	metav1.Object
}, L runtime.Object](c clients, group rest.Interface, resource, namespace string, object func() T, list func() L) *gentype.ClientWithList[T, L] {
	return gentype.NewClientWithList(resource, group, c.params, namespace, object, list, gentype.PrefersProtobuf[T]())
}

func (c clients) nodes() *gentype.ClientWithList[*corev1.Node, *corev1.NodeList] {
	return typed(c, c.core, "nodes", "", newOf[corev1.Node], newOf[corev1.NodeList])
}

func (c clients) pods(namespace string) *gentype.ClientWithList[*corev1.Pod, *corev1.PodList] {
	return typed(c, c.core, "pods", namespace, newOf[corev1.Pod], newOf[corev1.PodList])
}

func (c clients) events(namespace string) *gentype.ClientWithList[*corev1.Event, *corev1.EventList] {
	return typed(c, c.core, "events", namespace, newOf[corev1.Event], newOf[corev1.EventList])
}

func (c clients) configMaps(namespace string) *gentype.ClientWithList[*corev1.ConfigMap, *corev1.ConfigMapList] {
	return typed(c, c.core, "configmaps", namespace, newOf[corev1.ConfigMap], newOf[corev1.ConfigMapList])
}

func (c clients) secrets(namespace string) *gentype.ClientWithList[*corev1.Secret, *corev1.SecretList] {
	return typed(c, c.core, "secrets", namespace, newOf[corev1.Secret], newOf[corev1.SecretList])
}

// log asks for the log of a pod.
func (c clients) log(namespace, pod string, options *corev1.PodLogOptions) *rest.Request {
	return c.core.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").VersionedParams(options, c.params)
}

func newOf[T any]() *T { return new(T) }
