package rules

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
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

// validNamespace matches the names that Kubernetes accepts.
var validNamespace = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Validate returns an error that names the flag, its value and what was
// expected.
func (p Platform) Validate() error {
	if p.Namespace != "" && !validNamespace.MatchString(p.Namespace) {
		return fmt.Errorf("--namespace: %q; expected the namespace of the platform, such as rbd-system", p.Namespace)
	}
	if strings.ContainsFunc(p.Kubectl, unicode.IsControl) || strings.ContainsAny(p.Kubectl, "{}\"\\") || strings.TrimSpace(p.Kubectl) != p.Kubectl || !utf8.ValidString(p.Kubectl) {
		return fmt.Errorf("--kubectl: %q; expected a command such as \"docker exec rainbond kubectl\"", p.Kubectl)
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
