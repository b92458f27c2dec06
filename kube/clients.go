package kube

import (
	"context"
	"errors"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// clients read the resources of two API groups. The generated clients of
// client-go would add every resource of every group, a quarter of the binary.
type clients struct {
	core, apps rest.Interface
	params     runtime.ParameterCodec
}

func newClients(config *rest.Config, client *http.Client) (clients, error) {
	scheme := runtime.NewScheme()
	for version, kinds := range map[schema.GroupVersion][]runtime.Object{
		corev1.SchemeGroupVersion: {new(corev1.Pod), new(corev1.PodList), new(corev1.PodLogOptions), new(corev1.ConfigMap), new(corev1.Secret), new(corev1.Event), new(corev1.EventList)},
		appsv1.SchemeGroupVersion: {new(appsv1.Deployment), new(appsv1.DeploymentList), new(appsv1.StatefulSet), new(appsv1.StatefulSetList), new(appsv1.DaemonSet), new(appsv1.DaemonSetList)},
	} {
		scheme.AddKnownTypes(version, kinds...)
		metav1.AddToGroupVersion(scheme, version)
	}
	scheme.AddKnownTypeWithName(corev1.SchemeGroupVersion.WithKind("Node"), new(partialNode))
	scheme.AddKnownTypeWithName(corev1.SchemeGroupVersion.WithKind("NodeList"), new(nodeList))
	group := func(version schema.GroupVersion, path string) (rest.Interface, error) {
		config := rest.CopyConfig(config)
		config.GroupVersion, config.APIPath = &version, path
		config.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(scheme, serializer.NewCodecFactory(scheme)).WithoutConversion()
		return rest.RESTClientForConfigAndClient(config, client)
	}
	core, errCore := group(corev1.SchemeGroupVersion, "/api")
	apps, errApps := group(appsv1.SchemeGroupVersion, "/apis")
	return clients{core, apps, runtime.NewParameterCodec(scheme)}, errors.Join(errCore, errApps)
}

// A collection is one resource of a group, in one namespace if it is namespaced.
// Its requests are those of client-go's generated clients.
type collection struct {
	group           rest.Interface
	params          runtime.ParameterCodec
	name, namespace string
	list            func() runtime.Object
}

func (r collection) get() *rest.Request {
	return r.group.Get().UseProtobufAsDefault().NamespaceIfScoped(r.namespace, r.namespace != "").Resource(r.name)
}

// List and Watch take the options that client-go chooses.
func (r collection) List(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list := r.list()
	return list, r.get().VersionedParams(&options, r.params).Do(ctx).Into(list)
}

func (r collection) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return r.get().VersionedParams(&options, r.params).Timeout(time.Duration(*options.TimeoutSeconds) * time.Second).Watch(ctx)
}

// Get reads the object of that name.
func (r collection) Get(ctx context.Context, name string, into runtime.Object) error {
	return r.get().Name(name).Do(ctx).Into(into)
}

func (c clients) nodes() collection {
	return collection{c.core, c.params, "nodes", "", func() runtime.Object { return new(nodeList) }}
}

func (c clients) pods(namespace string) collection {
	return collection{c.core, c.params, "pods", namespace, func() runtime.Object { return new(corev1.PodList) }}
}

func (c clients) deployments(namespace string) collection {
	return collection{c.apps, c.params, "deployments", namespace, func() runtime.Object { return new(appsv1.DeploymentList) }}
}

func (c clients) statefulSets(namespace string) collection {
	return collection{c.apps, c.params, "statefulsets", namespace, func() runtime.Object { return new(appsv1.StatefulSetList) }}
}

func (c clients) daemonSets(namespace string) collection {
	return collection{c.apps, c.params, "daemonsets", namespace, func() runtime.Object { return new(appsv1.DaemonSetList) }}
}

func (c clients) events(namespace string) collection {
	return collection{c.core, c.params, "events", namespace, func() runtime.Object { return new(corev1.EventList) }}
}

func (c clients) configMaps(namespace string) collection {
	return collection{c.core, c.params, "configmaps", namespace, nil}
}

func (c clients) secrets(namespace string) collection {
	return collection{c.core, c.params, "secrets", namespace, nil}
}

// log returns the request for the log of a pod.
func (c clients) log(namespace, pod string, options *corev1.PodLogOptions) *rest.Request {
	return c.core.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").VersionedParams(options, c.params)
}
