package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A kubelet's configuration changes only with a restart, and a request for it
// goes through the API server to the node. So each node is read once an hour, a
// few nodes per collection, and a node that does not respond does not delay the
// others.
const (
	configzAge     = time.Hour
	configzRetry   = 5 * time.Minute // after a failure
	configzAtOnce  = 10
	configzTimeout = 3 * time.Second
)

// EvictionThresholds returns a function that returns the eviction thresholds of
// the kubelets that have been read so far. Without the permission to get
// nodes/proxy it fails. A node that does not answer has no thresholds, or its
// previous ones.
func (k *Client) EvictionThresholds() func(context.Context) ([]fault.EvictionThreshold, error) {
	return (&kubelets{nodes: k.Nodes, get: k.getFromKubelet, results: map[string]configz{}}).collect
}

// getFromKubelet reads a path of a node's kubelet.
func (k *Client) getFromKubelet(ctx context.Context, node, page string) ([]byte, error) {
	answer := k.api.core.Get().Resource("nodes").Name(node).SubResource("proxy").Suffix(page).Do(ctx)
	if err := answer.Error(); err != nil { // with the server's message, which Raw omits
		return nil, err
	}
	return answer.Raw()
}

type kubelets struct {
	nodes func(context.Context) ([]fault.Node, error)
	get   func(ctx context.Context, node, page string) ([]byte, error)

	mu      sync.Mutex
	results map[string]configz
}

// A configz is the result of one kubelet, and when to read it again.
type configz struct {
	thresholds []fault.EvictionThreshold
	next       time.Time
}

func (k *kubelets) collect(ctx context.Context) ([]fault.EvictionThreshold, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	nodes, err := k.nodes(ctx)
	if err != nil {
		return nil, err
	}
	err = k.update(ctx, nodes)
	results := make(map[string]configz, len(k.results)) // without deleted nodes
	var all []fault.EvictionThreshold
	for _, n := range nodes {
		if c, ok := k.results[n.Name]; ok {
			results[n.Name] = c
			all = append(all, c.thresholds...)
		}
	}
	k.results = results
	return all, err
}

// update reads the next few nodes that are due. Only a missing permission is an
// error: the state of a node is not evaluated here.
func (k *kubelets) update(ctx context.Context, nodes []fault.Node) error {
	ctx, cancel := context.WithTimeout(ctx, configzTimeout)
	defer cancel()
	now := time.Now()
	var due []string
	for _, n := range nodes {
		if n.Ready && now.After(k.results[n.Name].next) && len(due) < configzAtOnce {
			due = append(due, n.Name)
		}
	}
	answers, errs := make([][]fault.EvictionThreshold, len(due)), make([]error, len(due))
	var wait sync.WaitGroup
	for i, node := range due {
		wait.Go(func() {
			answers[i], errs[i] = thresholds(node, func(page string) ([]byte, error) { return k.get(ctx, node, page) })
		})
	}
	wait.Wait()
	for i, node := range due {
		switch {
		case errs[i] == nil:
			k.results[node] = configz{answers[i], now.Add(configzAge)}
		case apierrors.IsForbidden(errs[i]):
			return fmt.Errorf("get the eviction thresholds of the kubelet of %s: %w; --kubelet.configz needs get on nodes/proxy", node, errs[i])
		default:
			k.results[node] = configz{k.results[node].thresholds, now.Add(configzRetry)}
		}
	}
	return nil
}

// thresholds returns the eviction thresholds of a kubelet. A threshold that is a
// quantity, such as 10Gi, becomes a ratio of the file system's capacity in
// /stats/summary, which the kubelet's eviction manager also uses.
func thresholds(node string, get func(page string) ([]byte, error)) ([]fault.EvictionThreshold, error) {
	var response struct {
		Config *struct {
			EvictionHard map[string]string `json:"evictionHard"`
		} `json:"kubeletconfig"`
	}
	if err := read(get, "configz", &response); err != nil {
		return nil, err
	}
	if response.Config == nil {
		return nil, errors.New("no kubeletconfig in it")
	}
	capacities := sync.OnceValues(func() (map[string]float64, error) { return capacities(get) })
	var all []fault.EvictionThreshold
	for _, signal := range fault.EvictionSignals {
		text, set := response.Config.EvictionHard[signal]
		if !set {
			continue
		}
		ratio, ok := fault.EvictionRatio(text)
		if quantity, err := resource.ParseQuantity(text); err == nil && quantity.Sign() > 0 {
			capacity, err := capacities()
			if err != nil {
				return nil, err
			}
			ratio, ok = quantity.AsApproximateFloat64()/capacity[signal], capacity[signal] > 0
		}
		if ok {
			all = append(all, fault.EvictionThreshold{Node: node, Signal: signal, Ratio: ratio})
		}
	}
	return all, nil
}

// capacities returns the capacity of the file systems of a kubelet, by signal.
func capacities(get func(page string) ([]byte, error)) (map[string]float64, error) {
	type filesystem struct {
		Bytes  float64 `json:"capacityBytes"`
		Inodes float64 `json:"inodes"`
	}
	var response struct {
		Node struct {
			FS      filesystem `json:"fs"`
			Runtime struct {
				ImageFS filesystem `json:"imageFs"`
			} `json:"runtime"`
		} `json:"node"`
	}
	if err := read(get, "stats/summary", &response); err != nil {
		return nil, err
	}
	nodefs, imagefs := response.Node.FS, response.Node.Runtime.ImageFS
	return map[string]float64{
		"nodefs.available": nodefs.Bytes, "nodefs.inodesFree": nodefs.Inodes,
		"imagefs.available": imagefs.Bytes, "imagefs.inodesFree": imagefs.Inodes,
	}, nil
}

// read decodes a path that returns JSON.
func read(get func(page string) ([]byte, error), page string, into any) error {
	body, err := get(page)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
