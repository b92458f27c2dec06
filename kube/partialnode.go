package kube

import (
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A partialNode is a Node of which only the fields in nodeFields are decoded. A
// Node of a large cluster has about 20 KiB, most of it images, annotations of
// agents and managed fields. From JSON, which a server without protobuf sends,
// all fields are decoded.
type partialNode struct{ corev1.Node }

// Unmarshal decodes protobuf.
func (n *partialNode) Unmarshal(message []byte) error {
	return n.Node.Unmarshal(only(message, nodeFields))
}

// nodeOf returns the Node of an object of a watch or a list.
func nodeOf(o runtime.Object) *corev1.Node {
	if partial, ok := o.(*partialNode); ok {
		return &partial.Node
	}
	return o.(*corev1.Node)
}

// A nodeList is a page of a list of partial nodes.
type nodeList struct{ corev1.NodeList }

// Unmarshal decodes protobuf.
func (l *nodeList) Unmarshal(message []byte) error {
	return l.NodeList.Unmarshal(only(message, fields{1: nil, 2: nodeFields}))
}

// fields are fields of a protobuf message, by number; nil means all of them.
type fields map[protowire.Number]fields

// nodeFields are the field numbers of k8s.io/api/core/v1/generated.proto, which
// never change.
var nodeFields = fields{
	1: { // metadata
		1:  nil, // name
		6:  nil, // resourceVersion
		8:  nil, // creationTimestamp
		11: nil, // labels
		12: nil, // annotations: one marks the end of the existing objects in a watch
	},
	2: {4: nil},         // spec: unschedulable
	3: {4: nil, 5: nil}, // status: conditions, addresses
}

// only returns a copy of a message with the wanted fields. A message that is not
// protobuf is returned unchanged, so that the decoder reports it.
func only(message []byte, wanted fields) []byte {
	var selected []byte
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
			selected = append(selected, field...)
		default:
			value, _ := protowire.ConsumeBytes(field[tag:])
			selected = append(selected, field[:tag]...)
			selected = protowire.AppendBytes(selected, only(value, inner))
		}
	}
	return selected
}
