//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A stackPod is the pod of the chart's alerting stack, as a kubelet would run it, but with folders instead of volumes, programs instead
// of images, and other addresses.
type stackPod struct {
	folder    string            // of the volumes
	addresses map[string]string // the address instead of a listen address or a target
	targets   map[string]string // the addresses of the exporters by their label cluster, instead of a DNS name

	spec    corev1.PodSpec
	objects map[string]map[string][]byte // the data of ConfigMaps and Secrets
}

// read reads a List of objects in JSON: the Deployment with the component "alerting", its ConfigMaps and Secrets.
func (p *stackPod) read(list []byte) error {
	var items struct{ Items []json.RawMessage }
	if err := json.Unmarshal(list, &items); err != nil {
		return err
	}
	p.objects = map[string]map[string][]byte{}
	found := false
	for _, item := range items.Items {
		var kind struct{ Kind string }
		if err := json.Unmarshal(item, &kind); err != nil {
			return err
		}
		switch kind.Kind {
		case "ConfigMap":
			var m corev1.ConfigMap
			if err := json.Unmarshal(item, &m); err != nil {
				return err
			}
			p.objects["ConfigMap "+m.Name] = map[string][]byte{}
			for key, text := range m.Data {
				p.objects["ConfigMap "+m.Name][key] = []byte(text)
			}
		case "Secret":
			var s corev1.Secret
			if err := json.Unmarshal(item, &s); err != nil {
				return err
			}
			p.objects["Secret "+s.Name] = s.Data
		case "Deployment":
			var d appsv1.Deployment
			if err := json.Unmarshal(item, &d); err != nil {
				return err
			}
			if d.Labels["app.kubernetes.io/component"] == "alerting" {
				p.spec, found = d.Spec.Template.Spec, true
			}
		}
	}
	if !found {
		return errors.New("no Deployment with the component alerting")
	}
	return p.project()
}

// project writes the files of the volumes. A folder that keeps data stays as it is.
func (p *stackPod) project() error {
	for _, v := range p.spec.Volumes {
		folder := filepath.Join(p.folder, v.Name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		var data map[string][]byte
		var items []corev1.KeyToPath
		switch {
		case v.ConfigMap != nil:
			data, items = p.objects["ConfigMap "+v.ConfigMap.Name], v.ConfigMap.Items
		case v.Secret != nil:
			data, items = p.objects["Secret "+v.Secret.SecretName], v.Secret.Items
		default:
			continue
		}
		if data == nil {
			return fmt.Errorf("volume %s: no such object", v.Name)
		}
		if items == nil {
			for key := range data {
				items = append(items, corev1.KeyToPath{Key: key, Path: key})
			}
		}
		for _, item := range items {
			text, ok := data[item.Key]
			if !ok {
				return fmt.Errorf("volume %s: the object has no key %s", v.Name, item.Key)
			}
			if v.ConfigMap != nil {
				text = []byte(p.replace(string(text)))
			}
			// As a kubelet does: a reader never sees half of a file.
			path := filepath.Join(folder, item.Path)
			if err := os.WriteFile(path+".new", text, 0o600); err != nil {
				return err
			}
			if err := os.Rename(path+".new", path); err != nil {
				return err
			}
		}
	}
	return nil
}

// commands returns the arguments of each container by its name.
func (p *stackPod) commands() map[string][]string {
	all := map[string][]string{}
	for _, c := range p.spec.Containers {
		for _, arg := range c.Args {
			all[c.Name] = append(all[c.Name], p.replace(arg))
		}
	}
	return all
}

// discovery is the part of Prometheus' configuration that needs the DNS of a cluster.
var discovery = regexp.MustCompile(`(?m)^(- | {2})dns_sd_configs:\n( {2}- .*\n( {4}.*\n)*)+`)

// replace puts folders, addresses and targets into an argument or a file.
func (p *stackPod) replace(text string) string {
	var targets []string
	for _, cluster := range slices.Sorted(maps.Keys(p.targets)) {
		targets = append(targets, fmt.Sprintf("{targets: [%q], labels: {cluster: %q}}", p.targets[cluster], cluster))
	}
	text = discovery.ReplaceAllString(text, "${1}static_configs: ["+strings.Join(targets, ", ")+"]\n")
	for from, to := range p.addresses {
		text = strings.ReplaceAll(text, from, to)
	}
	for _, c := range p.spec.Containers {
		for _, m := range c.VolumeMounts {
			mount := regexp.MustCompile(`(^|[=\s"'])` + regexp.QuoteMeta(m.MountPath) + `(/|"|'|\s|$)`)
			text = mount.ReplaceAllString(text, "${1}"+filepath.Join(p.folder, m.Name, m.SubPath)+"${2}")
		}
	}
	return text
}

// unused returns the addresses and the discovery that no file and no argument contains: the chart has changed and this package has not.
func (p *stackPod) unused() []string {
	var all bytes.Buffer
	for _, data := range p.objects {
		for _, text := range data {
			all.Write(text)
		}
	}
	for _, c := range p.spec.Containers {
		all.WriteString(strings.Join(c.Args, "\n"))
	}
	var missing []string
	for from := range p.addresses {
		if !bytes.Contains(all.Bytes(), []byte(from)) {
			missing = append(missing, from)
		}
	}
	if !discovery.Match(all.Bytes()) {
		missing = append(missing, "dns_sd_configs")
	}
	slices.Sort(missing)
	return missing
}
