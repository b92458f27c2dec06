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

// A kubelet's configuration changes with its restart only, and asking for it
// goes through the API server to the node. So a node is asked once in an hour,
// a few in each look, and one that is away does not delay the others.
const (
	configzAge     = time.Hour
	configzRetry   = 5 * time.Minute // after a failure
	configzAtOnce  = 10
	configzTimeout = 3 * time.Second
)

// EvictionThresholds returns a function that tells at what the kubelets of the nodes
// evict, as far as they have been asked. It needs the permission to get
// nodes/proxy, without which it fails. A node that does not answer has no
// thresholds, or keeps those it had.
func (k *Client) EvictionThresholds() func(context.Context) ([]fault.EvictionThreshold, error) {
	return (&kubelets{nodes: k.Nodes, get: k.fromKubelet, asked: map[string]configz{}}).look
}

// fromKubelet reads a page of a node's kubelet.
func (k *Client) fromKubelet(ctx context.Context, node, page string) ([]byte, error) {
	answer := k.api.core.Get().Resource("nodes").Name(node).SubResource("proxy").Suffix(page).Do(ctx)
	if err := answer.Error(); err != nil { // in the server's words, which Raw's has not
		return nil, err
	}
	return answer.Raw()
}

type kubelets struct {
	nodes func(context.Context) ([]fault.Node, error)
	get   func(ctx context.Context, node, page string) ([]byte, error)

	mu    sync.Mutex
	asked map[string]configz
}

// A configz is what a kubelet said, and when to ask it again.
type configz struct {
	thresholds []fault.EvictionThreshold
	again      time.Time
}

func (k *kubelets) look(ctx context.Context) ([]fault.EvictionThreshold, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	nodes, err := k.nodes(ctx)
	if err != nil {
		return nil, err
	}
	err = k.ask(ctx, nodes)
	asked := make(map[string]configz, len(k.asked)) // without nodes that are gone
	var all []fault.EvictionThreshold
	for _, n := range nodes {
		if c, ok := k.asked[n.Name]; ok {
			asked[n.Name] = c
			all = append(all, c.thresholds...)
		}
	}
	k.asked = asked
	return all, err
}

// ask asks the next few nodes whose turn it is. Only a missing permission is
// an error: whether a node is well, others say.
func (k *kubelets) ask(ctx context.Context, nodes []fault.Node) error {
	ctx, cancel := context.WithTimeout(ctx, configzTimeout)
	defer cancel()
	now := time.Now()
	var turn []string
	for _, n := range nodes {
		if n.Ready && now.After(k.asked[n.Name].again) && len(turn) < configzAtOnce {
			turn = append(turn, n.Name)
		}
	}
	answers, errs := make([][]fault.EvictionThreshold, len(turn)), make([]error, len(turn))
	var wait sync.WaitGroup
	for i, node := range turn {
		wait.Go(func() {
			answers[i], errs[i] = thresholds(node, func(page string) ([]byte, error) { return k.get(ctx, node, page) })
		})
	}
	wait.Wait()
	for i, node := range turn {
		switch {
		case errs[i] == nil:
			k.asked[node] = configz{answers[i], now.Add(configzAge)}
		case apierrors.IsForbidden(errs[i]):
			return fmt.Errorf("ask the kubelet of %s at what it evicts: %w; --kubelet.configz needs get on nodes/proxy", node, errs[i])
		default:
			k.asked[node] = configz{k.asked[node].thresholds, now.Add(configzRetry)}
		}
	}
	return nil
}

// thresholds reads at what a kubelet evicts. Where that is a quantity, such as
// 10Gi, the file system's capacity is what the kubelet compares with, too
// (/stats/summary; its eviction manager reads the same).
func thresholds(node string, get func(page string) ([]byte, error)) ([]fault.EvictionThreshold, error) {
	var said struct {
		Config *struct {
			EvictionHard map[string]string `json:"evictionHard"`
		} `json:"kubeletconfig"`
	}
	if err := read(get, "configz", &said); err != nil {
		return nil, err
	}
	if said.Config == nil {
		return nil, errors.New("no kubeletconfig in it")
	}
	capacities := sync.OnceValues(func() (map[string]float64, error) { return capacities(get) })
	var all []fault.EvictionThreshold
	for _, signal := range fault.EvictionSignals {
		text, set := said.Config.EvictionHard[signal]
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

// capacities is what the file systems of a kubelet hold, by signal.
func capacities(get func(page string) ([]byte, error)) (map[string]float64, error) {
	type filesystem struct {
		Bytes  float64 `json:"capacityBytes"`
		Inodes float64 `json:"inodes"`
	}
	var said struct {
		Node struct {
			FS      filesystem `json:"fs"`
			Runtime struct {
				ImageFS filesystem `json:"imageFs"`
			} `json:"runtime"`
		} `json:"node"`
	}
	if err := read(get, "stats/summary", &said); err != nil {
		return nil, err
	}
	nodefs, imagefs := said.Node.FS, said.Node.Runtime.ImageFS
	return map[string]float64{
		"nodefs.available": nodefs.Bytes, "nodefs.inodesFree": nodefs.Inodes,
		"imagefs.available": imagefs.Bytes, "imagefs.inodesFree": imagefs.Inodes,
	}, nil
}

// read reads a page of JSON.
func read(get func(page string) ([]byte, error), page string, into any) error {
	body, err := get(page)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
