package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	// resourcesPath is where the operator's custom resources are, and
	// clusterName what its one RainbondCluster is called (rainbond-operator,
	// util/constants).
	resourcesPath = "/apis/rainbond.io/v1alpha1"
	clusterName   = "rainbondcluster"
	// ownRegistry is the domain of the registry that the platform runs itself
	// (rainbond-operator, util/constants, DefImageRepository).
	ownRegistry = "goodrain.me"
	// maxEvents bounds the events read: one pod that cannot mount has one for
	// each volume, which the kubelet counts up.
	maxEvents = 100
)

// known is what was last known of the platform, for as long as a cache that
// lost its watch would answer.
type known struct {
	mu       sync.Mutex
	platform fault.Platform
	at       time.Time
	unread   map[string]string // what may not be read, and why
}

// Platform returns what the operator has been told to run. What is not there
// (no such resources) or may not be read is unknown, and logged once; not
// being answered is an error, unless the answer before is still young.
func (k *Client) Platform(ctx context.Context) (fault.Platform, error) {
	var p fault.Platform
	var errs [2]error // at once, as each is a way to the API server and back
	var wait sync.WaitGroup
	wait.Go(func() { errs[0] = k.rbdComponents(ctx, &p) })
	wait.Go(func() { errs[1] = k.rainbondCluster(ctx, &p) })
	wait.Wait()
	err := errors.Join(errs[:]...)
	k.known.mu.Lock()
	defer k.known.mu.Unlock()
	switch {
	case err == nil:
		k.known.platform, k.known.at = p, time.Now()
	case time.Since(k.known.at) < staleAfter:
		return k.known.platform, nil
	}
	return p, err
}

func (k *Client) rbdComponents(ctx context.Context, p *fault.Platform) error {
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Replicas *int `json:"replicas"`
			} `json:"spec"`
			Status struct {
				Conditions []struct {
					Type   string `json:"type"`
					Status string `json:"status"`
					Reason string `json:"reason"`
				} `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := k.resource(ctx, &list, "list", "rbdcomponents", ""); err != nil {
		return err
	}
	for _, item := range list.Items {
		c := fault.RbdComponent{Name: item.Metadata.Name, Zero: item.Spec.Replicas != nil && *item.Spec.Replicas == 0}
		for _, condition := range item.Status.Conditions {
			// The one thing in the status that is true while it stands there.
			c.Unsupported = c.Unsupported || condition.Type == "Ready" && condition.Status == "False" && condition.Reason == "UnsupportedType"
		}
		p.Components = append(p.Components, c)
	}
	return nil
}

// ownHub reports whether the domain is that of the platform's own registry, with
// or without a port.
func ownHub(domain string) bool {
	return domain == ownRegistry || strings.HasPrefix(domain, ownRegistry+":")
}

func (k *Client) rainbondCluster(ctx context.Context, p *fault.Platform) error {
	type pinned []struct {
		Name string `json:"name"`
	}
	// The databases' passwords stand beside: only that they are there is read.
	var cluster struct {
		Spec struct {
			ImageHub *struct {
				Domain string `json:"domain"`
			} `json:"imageHub"`
			RegionDatabase  *struct{} `json:"regionDatabase"`
			UIDatabase      *struct{} `json:"uiDatabase"`
			NodesForGateway pinned    `json:"nodesForGateway"`
			NodesForChaos   pinned    `json:"nodesForChaos"`
		} `json:"spec"`
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := k.resource(ctx, &cluster, "get", "rainbondclusters", clusterName); err != nil || cluster.Metadata.Name == "" {
		return err
	}
	p.InternalHub = cluster.Spec.ImageHub != nil && ownHub(cluster.Spec.ImageHub.Domain)
	p.InternalDB = cluster.Spec.RegionDatabase == nil || cluster.Spec.UIDatabase == nil
	names := func(nodes pinned) (all []string) {
		for _, n := range nodes {
			all = append(all, n.Name)
		}
		return all
	}
	p.GatewayNodes, p.ChaosNodes = names(cluster.Spec.NodesForGateway), names(cluster.Spec.NodesForChaos)
	return nil
}

// resource reads a custom resource, or all of them where name is "", into the
// little that is wanted of it. What does not exist or may not be read leaves
// it as it is.
func (k *Client) resource(ctx context.Context, into any, verb, resource, name string) error {
	path := []string{resourcesPath, "namespaces", k.namespace, resource}
	if name != "" {
		path = append(path, name)
	}
	answer := k.api.core.Get().AbsPath(path...).SetHeader("Accept", "application/json").Do(ctx)
	err := answer.Error()
	if err == nil {
		var body []byte
		if body, err = answer.Raw(); err == nil {
			err = json.Unmarshal(body, into)
		}
	}
	return k.optional(verb+" "+resource, fmt.Sprintf("%s on %s.rainbond.io in namespace %s", verb, resource, k.namespace), err)
}

// FailedMounts returns what the kubelets said last of volumes that they cannot
// mount, by the pod's UID. It is empty where events may not be read.
func (k *Client) FailedMounts(ctx context.Context) (map[string]string, error) {
	listed, err := k.api.events(k.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=Pod,reason=FailedMount", Limit: maxEvents,
	})
	if err = k.optional("list events", "list on events in namespace "+k.namespace, err); err != nil {
		return nil, err
	}
	said, at := map[string]string{}, map[string]time.Time{}
	for _, e := range listed.(*corev1.EventList).Items {
		uid, when := string(e.InvolvedObject.UID), lastSeen(e)
		if said[uid] == "" || when.After(at[uid]) {
			said[uid], at[uid] = e.Message, when
		}
	}
	return said, nil
}

// lastSeen is when an event happened last; which of its times is set depends
// on the version of what wrote it.
func lastSeen(e corev1.Event) time.Time {
	if e.Series != nil {
		return e.Series.LastObservedTime.Time
	}
	times := []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time}
	return cmp.Or(times...)
}

// optional passes an error on, except that what does not exist or may not be
// read is taken for unknown and said in the log, once.
func (k *Client) optional(what, rule string, err error) error {
	now := ""
	switch {
	case apierrors.IsForbidden(err):
		now = "may not be read; the exporter needs " + rule
	case apierrors.IsNotFound(err):
		now = "does not exist: " + err.Error()
	}
	k.known.mu.Lock()
	before := k.known.unread[what]
	k.known.unread[what] = now
	k.known.mu.Unlock()
	if now == "" {
		if err != nil {
			return explain(k.host, what, rule, err)
		}
		return nil
	}
	if now != before {
		k.log.Warn("taken for unknown", "what", what, "why", now)
	}
	return nil
}
