{{- /* The receivers of values alerting as a list, sorted by name, with their defaults. */ -}}
{{- define "rainbond-exporter.receivers" -}}
{{- $root := . -}}
{{- range $name, $fields := .Values.alerting.receivers }}
{{- $r := $fields | default dict }}
- name: {{ $name | quote }}
  type: {{ $r.type | default $name | quote }}
  existingSecret: {{ $r.existingSecret | default "" | quote }}
  urlKey: {{ kindIs "invalid" $r.urlKey | ternary "url" $r.urlKey | quote }}
  secretKey: {{ $r.secretKey | default "" | quote }}
  keyword: {{ $r.keyword | default "" | quote }}
  lang: {{ $r.lang | default $root.Values.alerting.language | quote }}
{{- end }}
{{- end -}}

{{- /* The configuration of the relay. */ -}}
{{- define "rainbond-exporter.relayConfig" -}}
{{- $receivers := list -}}
{{- $root := . -}}
{{- range include "rainbond-exporter.receivers" . | fromYamlArray -}}
{{- $folder := printf "/etc/rainbond-exporter/receivers/%s" .name -}}
{{- $r := dict "name" .name "type" .type "url_file" (printf "%s/%s" $folder .urlKey) "lang" .lang -}}
{{- if .secretKey }}{{ $_ := set $r "secret_file" (printf "%s/%s" $folder .secretKey) }}{{ end -}}
{{- with .keyword }}{{ $_ := set $r "keyword" . }}{{ end -}}
{{- with $root.Values.externalURL.exporter }}{{ $_ := set $r "external_url" (trimSuffix "/" .) }}{{ end -}}
{{- $receivers = append $receivers $r -}}
{{- end -}}
{{- dict "receivers" $receivers | toYaml -}}
{{- end -}}

{{- /* The routes and inhibition rules of files/alertmanager.yaml, with the relay as the receiver of pages and of the channel. */ -}}
{{- define "rainbond-exporter.alertmanagerConfig" -}}
{{- $file := include "rainbond-exporter.identify" (dict "root" . "text" (.Files.Get "files/alertmanager.yaml") "places" "files/identity.json") | fromYaml -}}
{{- $relay := list -}}
{{- range include "rainbond-exporter.receivers" . | fromYamlArray -}}
{{- $relay = append $relay (dict "url" (printf "http://127.0.0.1:10070/alertmanager/%s" .name) "send_resolved" true) -}}
{{- end -}}
{{- $receivers := list -}}
{{- range list "page" "channel" }}{{ $receivers = append $receivers (dict "name" . "webhook_configs" $relay) }}{{ end -}}
{{- $receivers = append $receivers (dict "name" "null") -}}
{{- with .Values.alerting.deadman -}}
{{- if .existingSecret -}}
{{- $webhook := dict "url_file" (printf "/etc/alertmanager/deadman/%s" .urlKey) "send_resolved" false -}}
{{- $receivers = append $receivers (dict "name" "deadman" "webhook_configs" (list $webhook)) -}}
{{- else -}}
{{- range $file.route.routes }}{{ if eq .receiver "deadman" }}{{ $_ := set . "receiver" "null" }}{{ end }}{{ end -}}
{{- end -}}
{{- end -}}
{{- omit (mergeOverwrite $file (dict "receivers" $receivers)) "templates" | toYaml -}}
{{- end -}}

{{- /* The configuration of Prometheus. The names of pods come from a headless Service, so that it needs no permissions. */ -}}
{{- define "rainbond-exporter.prometheusConfig" -}}
{{- $p := .Values.alerting.prometheus -}}
{{- $s := .Values.scrape -}}
{{- $service := printf "%s-scrape.%s.svc" (include "rainbond-exporter.fullname" .) .Release.Namespace -}}
{{- $sd := list -}}
{{- range list "A" "AAAA" }}{{ $sd = append $sd (dict "names" (list $service) "type" . "port" 10069 "refresh_interval" "15s") }}{{ end -}}
{{- $exporter := mergeOverwrite (dict "job_name" "rainbond-exporter" "scrape_interval" $s.interval "scrape_timeout" $s.timeout "scheme" $s.scheme "honor_labels" $s.honorLabels "dns_sd_configs" $sd) $p.scrape -}}
{{- /* Deliveries only. */ -}}
{{- $relay := dict "job_name" "rainbond-relay" "static_configs" (list (dict "targets" (list "127.0.0.1:10070"))) -}}
{{- $global := dict "scrape_interval" $s.interval "scrape_timeout" $s.timeout "evaluation_interval" "15s" -}}
{{- with $p.externalLabels }}{{ $_ := set $global "external_labels" . }}{{ end -}}
{{- dict
  "global" $global
  "storage" (dict "tsdb" (dict "retention" (dict "size" $p.retentionSize)))
  "rule_files" (list "/etc/prometheus/rules/*.yml")
  "alerting" (dict "alertmanagers" (list (dict "static_configs" (list (dict "targets" (list "127.0.0.1:9093"))))))
  "scrape_configs" (concat (list $exporter $relay) $p.extraScrapeConfigs) | toYaml -}}
{{- end -}}

{{- /* Fields that the pods of alerting share: (dict "root" $ "component" NAME "securityContext" MAP). */ -}}
{{- define "rainbond-exporter.alertingPodMetadata" -}}
{{- $a := .root.Values.alerting -}}
labels:
  {{- mergeOverwrite (deepCopy .root.Values.commonLabels) $a.podLabels (include "rainbond-exporter.selector" (dict "root" .root "component" .component "alerting" true) | fromYaml) | toYaml | nindent 2 }}
annotations:
  {{- mergeOverwrite (deepCopy .root.Values.commonAnnotations) .annotations $a.podAnnotations | toYaml | nindent 2 }}
{{- end -}}

{{- define "rainbond-exporter.alertingPod" -}}
{{- $a := .root.Values.alerting -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "rainbond-exporter.imagePullSecrets" .root }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{- with .securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $a.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $a.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $a.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $a.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- /* Fields that their containers share: (dict "root" $ "image" MAP "resources" MAP). */ -}}
{{- define "rainbond-exporter.alertingContainer" -}}
image: {{ include "rainbond-exporter.image" . | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.alerting.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The probes of Prometheus and Alertmanager on the port with the given name. Prometheus first reads its write-ahead log, which can take minutes. */ -}}
{{- define "rainbond-exporter.alertingProbes" -}}
startupProbe:
  httpGet: {path: /-/ready, port: {{ . }}}
  periodSeconds: 5
  failureThreshold: 120
livenessProbe:
  httpGet: {path: /-/healthy, port: {{ . }}}
readinessProbe:
  httpGet: {path: /-/ready, port: {{ . }}}
{{- end -}}
