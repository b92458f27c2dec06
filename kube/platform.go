package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
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
	// createFailed is the reason of an RbdComponent whose resources the operator
	// cannot create (rainbond-operator, controllers/rbdcomponent_controller.go).
	createFailed = "ErrCreateResources"
	// maxEvents bounds the events read: one pod that cannot mount has one for
	// each volume, which the kubelet counts up, and about ten for its sandbox.
	maxEvents = 300
)

// known is the last known state of the platform. It is used for as long as a
// cache answers without its watch.
type known struct {
	mu       sync.Mutex
	platform fault.Platform
	at       time.Time
	region   fault.Region      // of region-config
	regionAt time.Time         // zero: never read
	unread   map[string]string // what cannot be read, and why
}

// Platform returns the operator's configuration of the platform. A resource that
// does not exist or may not be read is unknown, and logged once. When the API
// server does not answer, Platform returns the last known state for staleAfter,
// then an error.
func (k *Client) Platform(ctx context.Context) (fault.Platform, error) {
	var p fault.Platform
	var errs [2]error // concurrently, as each is a round trip to the API server
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
					Type    string      `json:"type"`
					Status  string      `json:"status"`
					Reason  string      `json:"reason"`
					Message string      `json:"message"`
					Since   metav1.Time `json:"lastTransitionTime"`
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
			// The only condition in the status that is always current.
			if condition.Type != "Ready" || condition.Status != "False" {
				continue
			}
			switch condition.Reason {
			case "UnsupportedType":
				c.Unsupported = true
			case createFailed:
				c.Failure, c.FailedSince = cmp.Or(condition.Message, createFailed), condition.Since.Time
			}
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
	// The databases contain passwords: only their presence is read.
	var cluster struct {
		Spec struct {
			ImageHub *struct {
				Domain string `json:"domain"`
			} `json:"imageHub"`
			RegionDatabase    *struct{} `json:"regionDatabase"`
			UIDatabase        *struct{} `json:"uiDatabase"`
			NodesForGateway   pinned    `json:"nodesForGateway"`
			NodesForChaos     pinned    `json:"nodesForChaos"`
			GatewayIngressIPs []string  `json:"gatewayIngressIPs"`
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
	p.GatewayAddresses = cluster.Spec.GatewayIngressIPs
	names := func(nodes pinned) (all []string) {
		for _, n := range nodes {
			all = append(all, n.Name)
		}
		return all
	}
	p.GatewayNodes, p.ChaosNodes = names(cluster.Spec.NodesForGateway), names(cluster.Spec.NodesForChaos)
	return nil
}

// resource decodes a custom resource, or all of them when name is "", into the
// fields of into. A resource that does not exist or may not be read leaves into
// unchanged.
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

// FailedMounts returns the kubelets' last message about volumes that they cannot
// mount, by the pod's UID. It is empty when events may not be read.
func (k *Client) FailedMounts(ctx context.Context) (map[string]string, error) {
	return k.lastMessages(ctx, "FailedMount", time.Time{})
}

// FailedSandboxes returns the same about sandboxes, mostly about the network of a
// pod, up to the age fault.SandboxAge.
func (k *Client) FailedSandboxes(ctx context.Context) (map[string]string, error) {
	messages, err := k.lastMessages(ctx, "FailedCreatePodSandBox", time.Now().Add(-fault.SandboxAge))
	for uid, message := range messages {
		messages[uid] = sandboxID.ReplaceAllString(message, "$1")
	}
	return messages, err
}

// sandboxID matches the ID of a sandbox, which is a new one at each attempt.
var sandboxID = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)

// lastMessages returns the last message of the pods' events with that reason that
// were seen after a time, by the pod's UID.
func (k *Client) lastMessages(ctx context.Context, reason string, after time.Time) (map[string]string, error) {
	listed, err := k.api.events(k.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=Pod,reason=" + reason, Limit: maxEvents,
	})
	if err = k.optional("list events", "list on events in namespace "+k.namespace, err); err != nil {
		return nil, err
	}
	messages, at := map[string]string{}, map[string]time.Time{}
	for _, e := range listed.(*corev1.EventList).Items {
		uid, when := string(e.InvolvedObject.UID), lastSeen(e)
		if when.After(after) && (messages[uid] == "" || when.After(at[uid])) {
			messages[uid], at[uid] = e.Message, when
		}
	}
	return messages, nil
}

// lastSeen returns when an event last happened. Which of its times is set depends
// on the version of its author.
func lastSeen(e corev1.Event) time.Time {
	if e.Series != nil {
		return e.Series.LastObservedTime.Time
	}
	times := []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time}
	return cmp.Or(times...)
}

// optional returns err, except when the resource does not exist or may not be
// read. That is unknown, and logged once.
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
		k.log.Warn("cannot be read and is unknown", "resource", what, "reason", now)
	}
	return nil
}
