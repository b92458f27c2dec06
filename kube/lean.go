package kube

import (
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A leanNode is a Node of which only what we read is decoded. A Node of a
// large cluster is some 20 KiB, of which images, annotations of agents and the
// list of who manages which field are nearly all. From JSON, which a server
// sends that has no protobuf, the whole Node is decoded.
type leanNode struct{ corev1.Node }

// Unmarshal decodes protobuf.
func (n *leanNode) Unmarshal(message []byte) error {
	return n.Node.Unmarshal(only(message, nodeFields))
}

// leanOrNot is the Node in what a watch sends or a list holds.
func leanOrNot(o runtime.Object) *corev1.Node {
	if lean, ok := o.(*leanNode); ok {
		return &lean.Node
	}
	return o.(*corev1.Node)
}

// A nodeList is a page of a list of such nodes.
type nodeList struct{ corev1.NodeList }

// Unmarshal decodes protobuf.
func (l *nodeList) Unmarshal(message []byte) error {
	return l.NodeList.Unmarshal(only(message, fields{1: nil, 2: nodeFields}))
}

// fields are those wanted of a protobuf message, by number; nil stands for all
// of them.
type fields map[protowire.Number]fields

// nodeFields are the numbers of k8s.io/api/core/v1/generated.proto, which can
// never change.
var nodeFields = fields{
	1: { // metadata
		1:  nil, // name
		6:  nil, // resourceVersion
		8:  nil, // creationTimestamp
		11: nil, // labels
		12: nil, // annotations: one says that the objects there were have been sent
	},
	2: {4: nil},         // spec: unschedulable
	3: {4: nil, 5: nil}, // status: conditions, addresses
}

// only copies the wanted fields of a message. What is no protobuf comes back
// as it is, for a decoder to say so.
func only(message []byte, wanted fields) []byte {
	var kept []byte
	for rest := message; len(rest) > 0; {
		number, kind, tag := protowire.ConsumeTag(rest)
		if tag < 0 {
			return message
		}
		size := protowire.ConsumeFieldValue(number, kind, rest[tag:])
		if size < 0 {
			return message
		}
		field := rest[:tag+size]
		rest = rest[tag+size:]
		inner, ok := wanted[number]
		switch {
		case !ok:
		case inner == nil || kind != protowire.BytesType:
			kept = append(kept, field...)
		default:
			value, _ := protowire.ConsumeBytes(field[tag:])
			kept = append(kept, field[:tag]...)
			kept = protowire.AppendBytes(kept, only(value, inner))
		}
	}
	return kept
}
