package rules

import (
	"bytes"
	"fmt"
	"strings"
)

// The defaults of the commands in rainbond.rules.yaml.
const (
	DefaultNamespace = "rbd-system"
	DefaultKubectl   = "kubectl"
)

// A Platform is where the commands of the alert texts run. Its zero value is
// that of rainbond.rules.yaml.
type Platform struct {
	Namespace string // of the platform
	Kubectl   string // how to run kubectl, such as "docker exec rainbond kubectl"
}

// Validate returns an error that names the flag, its value and what was
// expected.
func (p Platform) Validate() error {
	for flag, value := range map[string]string{"namespace": p.Namespace, "kubectl": p.Kubectl} {
		if strings.ContainsAny(value, "{}\"\\\n") || strings.TrimSpace(value) != value {
			return fmt.Errorf("--%s: %q; expected %s", flag, value,
				map[string]string{"namespace": "the namespace of the platform, such as rbd-system", "kubectl": "a command such as \"docker exec rainbond kubectl\""}[flag])
		}
	}
	return nil
}

// For returns the rules with the commands for the platform.
func (p Platform) For(text []byte) []byte {
	if p.Namespace != "" {
		text = bytes.ReplaceAll(text, []byte(DefaultNamespace), []byte(p.Namespace))
	}
	if p.Kubectl != "" {
		for _, before := range []string{"$ ", "&& "} {
			text = bytes.ReplaceAll(text, []byte(before+DefaultKubectl+" "), []byte(before+p.Kubectl+" "))
		}
	}
	return text
}
