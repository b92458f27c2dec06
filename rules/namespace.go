package rules

import "bytes"

// DefaultNamespace is the namespace in the commands of rainbond.rules.yaml.
const DefaultNamespace = "rbd-system"

// InNamespace returns Rules with the commands for a platform in the namespace;
// "" is DefaultNamespace.
func InNamespace(namespace string) []byte {
	if namespace == "" {
		return Rules
	}
	return bytes.ReplaceAll(Rules, []byte(DefaultNamespace), []byte(namespace))
}
