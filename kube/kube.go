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

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// LoadConfig finds the API server as kubectl does: by the kubeconfig at path,
// or, when path is empty, by $KUBECONFIG, by the service account of the pod
// we run in, or by ~/.kube/config. Context is that of the kubeconfig to use;
// when it is empty, its current one. Whether the API server answers is not
// asked here.
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
	rules.WarnIfAllMissing = false // the error below says it
	rules.MigrationRules = nil     // which would write
	file, err := rules.Load()
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return nil, bad("%w", p.Err)
	}
	if err != nil {
		return nil, bad("cannot be parsed: %w", err)
	}
	asked, current := "", file.CurrentContext
	if context != "" {
		asked, current = "--context", context
	}
	switch {
	case len(file.Clusters) == 0:
		return nil, bad("names no cluster")
	case current == "":
		return nil, bad("has no current-context")
	case file.Contexts[current] == nil:
		return nil, bad("has no context %q, which %s names", current, cmp.Or(asked, "its current-context"))
	case file.Clusters[file.Contexts[current].Cluster] == nil:
		return nil, bad("has no cluster %q, which its current context names", file.Contexts[current].Cluster)
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, current, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, bad("%w", err)
	}
	return config, nil
}

// A Client reads the region's cluster through the Kubernetes API. Nodes and
// what runs in the platform's namespace come from watch caches; three objects
// that are known by name are fetched.
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

// quietOnce guards klog's logger, which is a global that must not be set while
// it is in use.
var quietOnce sync.Once

// New prepares to read the cluster of config, whose platform lives in
// namespace. Nothing is asked yet. The watches that the asking starts end with
// life.
func New(life context.Context, config *rest.Config, namespace string, log *slog.Logger) (*Client, error) {
	// client-go writes to standard error through klog, once for each failed
	// attempt. What fails is told by whoever asks, so its words are debugging.
	quietOnce.Do(func() { klog.SetSlogLogger(slog.New(debugHandler{log.Handler()})) })

	config = rest.CopyConfig(config)
	config.UserAgent = userAgent
	config.WarningHandler = rest.NoWarnings{} // about API versions that we do not choose at run time
	config.Timeout = 0                        // it would end watches too; each ask has its own
	config.QPS, config.Burst = 50, 100        // scrapes set our pace, a handful of requests each
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return redactingTransport{inner} })
	if path := config.BearerTokenFile; path != "" {
		// By itself client-go reads the file once a minute, and goes on so
		// long with a token that the server refuses.
		config.BearerToken, config.BearerTokenFile = "", ""
		config.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(path)))
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes API %s: %w", config.Host, err)
	}
	api, err := newClients(config, client)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes API %s: %w", config.Host, err)
	}
	return &Client{
		host: config.Host, namespace: namespace, api: api, log: log, known: known{unread: map[string]string{}},
		nodes: newCache(life, config.Host, api.nodes(), func(o runtime.Object) (fault.Node, bool) { return node(leanOrNot(o)) }),
		pods:  newCache(life, config.Host, api.pods(namespace), pod),
		workloads: []*cache[fault.Workload]{
			newCache(life, config.Host, api.deployments(namespace), deployment),
			newCache(life, config.Host, api.statefulSets(namespace), statefulSet),
			newCache(life, config.Host, api.daemonSets(namespace), daemonSet),
		},
	}, nil
}

// Nodes returns every node of the cluster. An error says what could not be
// listed and which permission is missing. What is returned is shared: read
// only.
func (k *Client) Nodes(ctx context.Context) ([]fault.Node, error) { return k.nodes.all(ctx) }

// Pods returns every pod of the platform's namespace, components or not, under
// the same terms as Nodes, except that the caller may choose among them.
func (k *Client) Pods(ctx context.Context) ([]fault.Pod, error) {
	pods, err := k.pods.all(ctx)
	return slices.Clone(pods), err
}

// Workloads returns the platform's Deployments, StatefulSets and DaemonSets,
// under the same terms as Nodes. When one kind cannot be listed, the others
// come back beside the error.
func (k *Client) Workloads(ctx context.Context) ([]fault.Workload, error) {
	for _, c := range k.workloads {
		c.start() // all at once, before the first is waited for
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
