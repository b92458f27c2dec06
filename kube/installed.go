package kube

import (
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A NotInstalledError is returned by Installed if the namespace has no Rainbond.
type NotInstalledError struct {
	Namespace string
	// Others are the namespaces with an rbd-api; nil if none was found or
	// Deployments of other namespaces cannot be listed.
	Others []string
}

func (e *NotInstalledError) Error() string {
	text := "no Rainbond in namespace " + e.Namespace
	if len(e.Others) > 0 {
		text += "; Rainbond is in " + strings.Join(e.Others, ", ")
	}
	return text + ": expected --namespace=NAMESPACE"
}

// Installed returns a NotInstalledError if the namespace contains none of the
// platform's workloads, no ConfigMap region-config and neither Secret. It
// returns nil if any of them exists, and also if that is unknown.
func (k *Client) Installed(ctx context.Context) error {
	copies, err := k.copies(ctx)
	if err != nil {
		return nil //nolint:nilerr // unknown
	}
	return k.notInstalled(ctx, copies)
}

// notInstalled is Installed for the copies that were read.
func (k *Client) notInstalled(ctx context.Context, copies []fault.Copy) error {
	if slices.ContainsFunc(copies, func(c fault.Copy) bool { return c.Err == nil }) {
		return nil
	}
	if workloads, err := k.Workloads(ctx); err != nil || len(workloads) > 0 {
		return nil //nolint:nilerr // unknown
	}
	return &NotInstalledError{k.namespace, k.others(ctx)}
}

// others returns the namespaces that contain an rbd-api.
func (k *Client) others(ctx context.Context) []string {
	listed, err := k.api.deployments("").List(ctx, metav1.ListOptions{
		LabelSelector:   labelName + "=rbd-api",
		ResourceVersion: "0", // from the API server's cache: serve asks at each scrape
	})
	if err != nil {
		return nil // the permission is optional
	}
	var namespaces []string
	for _, d := range listed.(*appsv1.DeploymentList).Items {
		namespaces = append(namespaces, d.Namespace)
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}
