package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// LoadConfig returns the configuration of the API server as kubectl finds it: in
// the kubeconfig at path, or, when path is empty, from $KUBECONFIG, the pod's
// service account or ~/.kube/config. context is a context of the kubeconfig;
// when it is empty, the current one. LoadConfig sends no request.
func LoadConfig(path, context string) (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}
	name := "--kubeconfig=" + path
	if path == "" {
		rules = clientcmd.NewDefaultClientConfigLoadingRules()
		name = strings.Join(rules.Precedence, string(filepath.ListSeparator))
		if os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" && context == "" {
			config, err := rest.InClusterConfig()
			switch {
			case err == nil:
				return config, nil
			case !errors.Is(err, rest.ErrNotInCluster):
				return nil, fmt.Errorf("read the pod's service account: %w", err)
			}
			if _, err := os.Stat(clientcmd.RecommendedHomeFile); err != nil {
				return nil, fmt.Errorf("not running in a Kubernetes cluster, and there is no %s: give --kubeconfig=FILE", clientcmd.RecommendedHomeFile)
			}
		}
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w; expected a kubeconfig as kubectl uses it", name, fmt.Errorf(format, args...))
	}
	rules.WarnIfAllMissing = false // the error below reports it
	rules.MigrationRules = nil     // which would write
	for _, one := range rules.GetLoadingPrecedence() {
		// client-go would wait for a FIFO and read a device without end.
		if err := configfile.Regular(one, "a kubeconfig as kubectl uses it"); err != nil {
			if path == "" {
				name = one // of several
			}
			return nil, fmt.Errorf("%s: %w", name, errors.Unwrap(err))
		}
	}
	file, err := rules.Load()
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return nil, bad("%w", p.Err)
	}
	if err != nil {
		return nil, bad("cannot be parsed: %w", err)
	}
	flag, current := "", file.CurrentContext
	if context != "" {
		flag, current = "--context", context
	}
	switch {
	case len(file.Clusters) == 0:
		return nil, bad("names no cluster")
	case current == "":
		return nil, bad("has no current-context")
	case file.Contexts[current] == nil:
		return nil, bad("has no context %q, which %s names", current, cmp.Or(flag, "its current-context"))
	case file.Clusters[file.Contexts[current].Cluster] == nil:
		return nil, bad("has no cluster %q, which its current context names", file.Contexts[current].Cluster)
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, current, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, bad("%w", err)
	}
	return config, nil
}

// A Client reads the region's cluster through the Kubernetes API. It reads nodes
// and the objects of the platform's namespace from watch caches, and gets three
// objects by name.
type Client struct {
	host      string
	namespace string
	api       clients
	nodes     *cache[fault.Node]
	pods      *cache[fault.Pod]
	workloads []*cache[fault.Workload]
	log       *slog.Logger
	known     known
}

// userAgent identifies the exporter to the Kubernetes API.
const userAgent = "rainbond-exporter"

// klogOnce sets klog's logger, a global that must not be set while it is in use.
var klogOnce sync.Once

// LogClientGo sends the messages of client-go to log at level DEBUG. client-go
// logs each failed attempt to standard error through klog; the methods return
// these failures. Only the first call has an effect, which is that of New at the
// latest. It must precede any other use of client-go, which includes LoadConfig.
func LogClientGo(log *slog.Logger) {
	klogOnce.Do(func() { klog.SetSlogLogger(slog.New(debugHandler{log.Handler()})) })
}

// New returns a client for the cluster of config, with the platform in
// namespace. It sends no request. Watches start when they are first used and
// end with life.
func New(life context.Context, config *rest.Config, namespace string, log *slog.Logger) (*Client, error) {
	LogClientGo(log)
	config = rest.CopyConfig(config)
	config.UserAgent = userAgent
	config.WarningHandler = rest.NoWarnings{} // about API versions, which are fixed at build time
	config.Timeout = 0                        // it would end watches too; each request has its own
	config.QPS, config.Burst = 50, 100        // the pace is that of scrapes, a few requests each
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return redactingTransport{inner} })
	if path := config.BearerTokenFile; path != "" {
		// By default client-go reads the file once a minute, and until then
		// uses a token that the server refuses.
		config.BearerToken, config.BearerTokenFile = "", ""
		config.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(path)))
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes API %s: %w", config.Host, err)
	}
	if config.ExecProvider != nil {
		client.Transport = &execGate{RoundTripper: client.Transport}
	}
	api, err := newClients(config, client)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes API %s: %w", config.Host, err)
	}
	return &Client{
		host: config.Host, namespace: namespace, api: api, log: log, known: known{unread: map[string]string{}},
		nodes: newCache(life, config.Host, api.nodes(), func(o runtime.Object) (fault.Node, bool) { return node(nodeOf(o)) }),
		pods:  newCache(life, config.Host, api.pods(namespace), pod),
		workloads: []*cache[fault.Workload]{
			newCache(life, config.Host, api.deployments(namespace), deployment),
			newCache(life, config.Host, api.statefulSets(namespace), statefulSet),
			newCache(life, config.Host, api.daemonSets(namespace), daemonSet),
		},
	}, nil
}

// Nodes returns every node of the cluster. An error contains what could not be
// listed and which permission is missing. The slice is shared and must not be
// changed.
func (k *Client) Nodes(ctx context.Context) ([]fault.Node, error) { return k.nodes.all(ctx) }

// Pods returns every pod of the platform's namespace, also those that are not of
// a component. Errors are those of Nodes. The caller may change the slice.
func (k *Client) Pods(ctx context.Context) ([]fault.Pod, error) {
	pods, err := k.pods.all(ctx)
	return slices.Clone(pods), err
}

// Workloads returns the platform's Deployments, StatefulSets and DaemonSets.
// Errors are those of Nodes. When one kind cannot be listed, it returns an error
// and the others.
func (k *Client) Workloads(ctx context.Context) ([]fault.Workload, error) {
	for _, c := range k.workloads {
		c.start() // all at once, before waiting for the first
	}
	var all []fault.Workload
	var errs []error
	for _, c := range k.workloads {
		workloads, err := c.all(ctx)
		all = append(all, workloads...)
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}
