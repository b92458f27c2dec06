package kube

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fullNode is a node with something in every place that we read, and in some
// that we do not.
func fullNode() corev1.Node {
	n := *nodeNamed("n1", "node-role.kubernetes.io/worker", "kubernetes.io/hostname")
	n.ResourceVersion, n.CreationTimestamp = "7", metav1.NewTime(time.Unix(1700000000, 0))
	n.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	n.Spec = corev1.NodeSpec{Unschedulable: true, PodCIDR: "10.42.0.0/24"}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeHostName, Address: "n1"}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}, {Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}}
	n.Status.Images = []corev1.ContainerImage{{Names: []string{"image"}, SizeBytes: 1}}
	return n
}

func TestPartialNodeHasAllFieldsInUse(t *testing.T) {
	full := fullNode()
	message, err := full.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var lean partialNode
	if err := lean.Unmarshal(message); err != nil {
		t.Fatal(err)
	}
	got, _ := node(&lean.Node)
	if want, _ := node(&full); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(lean.Annotations, full.Annotations) || lean.ResourceVersion != "7" {
		t.Errorf("without what client-go reads: %+v", lean.ObjectMeta)
	}
	if lean.Status.Images != nil || lean.ManagedFields != nil || lean.Spec.PodCIDR != "" {
		t.Errorf("decoded what nobody reads: %+v", lean)
	}
}

func TestListOfPartialNodes(t *testing.T) {
	page := corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "8", Continue: "more"}, Items: []corev1.Node{fullNode(), *nodeNamed("n2")}}
	message, err := page.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var lean nodeList
	if err := lean.Unmarshal(message); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(lean.ListMeta, page.ListMeta) || len(lean.Items) != 2 || lean.Items[1].Name != "n2" || lean.Items[0].Status.Images != nil {
		t.Errorf("got %+v", lean)
	}
}

func TestInvalidProtobufIsRejected(t *testing.T) {
	full := fullNode()
	message, err := full.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"cut off": message[:len(message)-1], "text": []byte(strings.Repeat("no such node", 10))} {
		if err := new(partialNode).Unmarshal(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
