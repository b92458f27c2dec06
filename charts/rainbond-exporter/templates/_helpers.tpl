{{- /*
Restores what a null removed from the values. A section or a scalar gets its default again. A map or a list of Kubernetes fields becomes
empty, so that null leaves the field out. files/values.yaml is a copy of values.yaml, which templates cannot read.
*/ -}}
{{- define "rainbond-exporter.defaults" -}}
{{- include "rainbond-exporter.restore" (dict "values" .Values "defaults" (.Files.Get "files/values.yaml" | fromYaml)) -}}
{{- include "rainbond-exporter.validate" . -}}
{{- end -}}

{{- define "rainbond-exporter.restore" -}}
{{- $fields := list "podSecurityContext" "securityContext" "resources" "nodeSelector" "labels" "instanceSelector" -}}
{{- $required := list "collectors" "worker" "controlPlane" "languages" "criticalComponents" "identity" -}}
{{- range $key, $default := .defaults -}}
{{- if kindIs "invalid" (index $.values $key) -}}
{{- if has $key $fields -}}{{- $_ := set $.values $key dict -}}
{{- else if and (kindIs "slice" $default) (not (has $key $required)) -}}{{- $_ := set $.values $key list -}}
{{- else -}}{{- $_ := set $.values $key $default -}}
{{- end -}}
{{- else if and (kindIs "map" $default) (not (has $key $fields)) -}}
{{- include "rainbond-exporter.restore" (dict "values" (index $.values $key) "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rainbond-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* The base name of every object: at most 50 characters, so that a role can follow. */ -}}
{{- define "rainbond-exporter.fullname" -}}
{{- $name := include "rainbond-exporter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /*
The selector labels of all pods, or of one role: (dict "root" $ "component" ROLE). They never change during the life of a release.
With "alerting" true they are those of the pods of values alerting, which no monitor of the exporter selects.
*/ -}}
{{- define "rainbond-exporter.selector" -}}
{{- $labels := dict "app.kubernetes.io/name" (ternary "rainbond-exporter-alerting" "rainbond-exporter" (.alerting | default false)) "app.kubernetes.io/instance" .root.Release.Name -}}
{{- with .component }}{{ $_ := set $labels "app.kubernetes.io/component" . }}{{ end -}}
{{- toYaml $labels -}}
{{- end -}}

{{- /*
The metadata of an object: (dict "root" $ "name" NAME "component" ROLE "alerting" BOOL "namespace" NAMESPACE "labels" MAP "annotations" MAP).
Without a namespace it is that of the release; "clusterScoped" leaves it out. Maps are merged, so that no key occurs twice.
*/ -}}
{{- define "rainbond-exporter.metadata" -}}
{{- $root := .root -}}
{{- $labels := mergeOverwrite (deepCopy $root.Values.commonLabels) (.labels | default dict) -}}
{{- $labels = mergeOverwrite $labels (dict
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")) -}}
{{- $labels = mergeOverwrite $labels (include "rainbond-exporter.selector" (dict "root" $root "component" .component "alerting" .alerting) | fromYaml) -}}
{{- $annotations := mergeOverwrite (deepCopy $root.Values.commonAnnotations) (.annotations | default dict) -}}
{{- $metadata := dict "name" .name "labels" $labels -}}
{{- if not .clusterScoped }}{{ $_ := set $metadata "namespace" (.namespace | default $root.Release.Namespace) }}{{ end -}}
{{- with $annotations }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- dict "metadata" $metadata | toYaml -}}
{{- end -}}

{{- define "rainbond-exporter.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rainbond-exporter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: expected the name of an existing ServiceAccount, because serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* An image, (dict "root" $ "image" MAP). global.imageRegistry replaces the registry part of the repository. */ -}}
{{- define "rainbond-exporter.image" -}}
{{- $root := .root -}}
{{- $repository := .image.repository -}}
{{- with $root.Values.global.imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- $first := first $parts -}}
{{- if and (gt (len $parts) 1) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) }}{{ $parts = rest $parts }}{{ end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- with .image -}}
{{- if .digest -}}{{ $repository }}@{{ .digest }}{{- else -}}{{ $repository }}:{{ default $root.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rainbond-exporter.imagePullSecrets" -}}
{{- $all := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
{{- $secret := . -}}
{{- if kindIs "string" . }}{{ $secret = dict "name" . }}{{ end -}}
{{- if not (has $secret $all) }}{{ $all = append $all $secret }}{{ end -}}
{{- end -}}
{{- with $all }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* The enabled roles, separated by blanks. */ -}}
{{- define "rainbond-exporter.roles" -}}
{{- range $role := list "cluster" "node" "console" -}}
{{- if (index $.Values $role).enabled }}{{ $role }} {{ end -}}
{{- end -}}
{{- end -}}

{{- /* The URL of the guide, without a slash at its end; empty if it is not known. */ -}}
{{- define "rainbond-exporter.guideURL" -}}
{{- with .Values.externalURL -}}
{{- if .guide -}}{{ trimSuffix "/" .guide }}{{- else if .exporter -}}{{ trimSuffix "/" .exporter }}/guide{{- end -}}
{{- end -}}
{{- end -}}
