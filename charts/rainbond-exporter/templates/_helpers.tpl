{{- define "rainbond-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* The name of every object; 50 characters, so that a role fits behind it. */ -}}
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

{{- /* What pods are selected by: never changes in the life of a release. */ -}}
{{- define "rainbond-exporter.selector" -}}
app.kubernetes.io/name: rainbond-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rainbond-exporter.labels" -}}
{{ include "rainbond-exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rainbond-exporter.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rainbond-exporter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: expected the name of an existing ServiceAccount, for serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "rainbond-exporter.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Which roles run, as a list. */ -}}
{{- define "rainbond-exporter.roles" -}}
{{- range $role := list "cluster" "node" "console" -}}
{{- if (index $.Values $role).enabled }}{{ $role }} {{ end -}}
{{- end -}}
{{- end -}}
