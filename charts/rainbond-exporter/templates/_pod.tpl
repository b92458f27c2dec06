{{- /* The pod template of a role: (dict "root" $ "role" "cluster"). It passes Pod Security restricted, except for the node role's hostPath. */ -}}
{{- define "rainbond-exporter.pod" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $v := $root.Values -}}
{{- $own := index $v $role -}}
{{- $labels := mergeOverwrite (deepCopy $v.commonLabels) $own.podLabels (include "rainbond-exporter.selector" (dict "root" $root "component" $role) | fromYaml) -}}
{{- $annotations := deepCopy $v.commonAnnotations -}}
{{- if eq $v.scrape.by "annotations" -}}
{{- $annotations = mergeOverwrite $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" "10069" "prometheus.io/path" "/metrics" "prometheus.io/scheme" $v.scrape.scheme) -}}
{{- end -}}
{{- $annotations = mergeOverwrite $annotations $own.podAnnotations -}}
metadata:
  labels:
    {{- toYaml $labels | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq $role "cluster" }}
  serviceAccountName: {{ include "rainbond-exporter.serviceAccount" $root | quote }}
  {{- end }}
  automountServiceAccountToken: {{ $own.automountServiceAccountToken }}
  enableServiceLinks: false
  {{- with include "rainbond-exporter.imagePullSecrets" $root }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $own.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $own.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with $own.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" $own.hostNetwork) }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with $own.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne (int $own.terminationGracePeriodSeconds) 30 }}
  terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds }}
  {{- end }}
  {{- with $own.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: rainbond-exporter
      image: {{ include "rainbond-exporter.image" (dict "root" $root "image" $v.image) | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- include "rainbond-exporter.args" . | nindent 8 }}
      {{- $env := $own.env }}
      {{- if eq $role "node" }}
      {{- $env = prepend $env (dict "name" "NODE_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "spec.nodeName"))) }}
      {{- end }}
      {{- with $env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 10069
      {{- range $probe := list "liveness" "readiness" }}
      {{ $probe }}Probe:
        {{- $fields := index $own (printf "%sProbe" $probe) }}
        {{- with $fields }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if not (or $fields.httpGet $fields.tcpSocket $fields.exec $fields.grpc) }}
        {{- if $v.web.existingSecret }}
        # The kubelet has no password, and only /metrics is accessible without one.
        tcpSocket:
          port: http
        {{- else }}
        httpGet:
          path: /-/{{ eq $probe "liveness" | ternary "healthy" "ready" }}
          port: http
        {{- end }}
        {{- end }}
      {{- end }}
      {{- with $own.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "rainbond-exporter.mounts" . | trim }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
    {{- with $own.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "rainbond-exporter.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $own.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml $own.topologySpreadConstraints | nindent 4 }}
  {{- else if gt (int ($own.replicas | default 1)) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "rainbond-exporter.selector" (dict "root" $root "component" $role) | nindent 10 }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
{{- end -}}

{{- define "rainbond-exporter.args" -}}
{{- $v := .root.Values -}}
{{- $own := index $v .role -}}
{{- $args := list "serve" (printf "--role=%s" .role) -}}
{{- if eq .role "cluster" -}}
{{- $args = concat $args (list (printf "--collectors=%s" (join "," $own.collectors)) (printf "--namespace=%s" $v.region.namespace) (printf "--region.name=%s" $v.region.name)) -}}
{{- if ne $v.region.kubectl "kubectl" }}{{ $args = append $args (printf "--kubectl=%s" $v.region.kubectl) }}{{ end -}}
{{- with $v.region.directURL }}{{ $args = append $args (printf "--region.direct-url=%s" .) }}{{ end -}}
{{- $args = concat $args (list (printf "--node-role.worker=%s" (join "," $v.nodeRole.worker)) (printf "--node-role.control-plane=%s" (join "," $v.nodeRole.controlPlane))) -}}
{{- if $own.optional.kubeletConfigz }}{{ $args = append $args "--kubelet.configz" }}{{ end -}}
{{- else if eq .role "node" -}}
{{- $args = concat $args (list (printf "--region.name=%s" $v.region.name) "--path.rootfs=/host" "--path.procfs=/host/proc") -}}
{{- range $own.dataPaths }}{{ $args = append $args (printf "--path.data=%s" .) }}{{ end -}}
{{- end -}}
{{- if dig "config" "existingSecret" "" $own }}{{ $args = append $args "--config.file=/etc/rainbond-exporter/config/rainbond-exporter.yaml" }}{{ end -}}
{{- if $v.web.existingSecret }}{{ $args = append $args "--web.config.file=/etc/rainbond-exporter/web/web-config.yml" }}{{ end -}}
{{- with $v.externalURL.exporter }}{{ $args = append $args (printf "--web.external-url=%s" .) }}{{ end -}}
{{- with $v.externalURL.grafana }}{{ $args = append $args (printf "--grafana.external-url=%s" .) }}{{ end -}}
{{- with $v.externalURL.guide }}{{ $args = append $args (printf "--guide.external-url=%s" .) }}{{ end -}}
{{- with $v.web.frameAncestor }}{{ $args = append $args (printf "--web.frame-ancestor=%s" .) }}{{ end -}}
{{- if and $v.alerting.enabled (ne .role "node") -}}
{{- $host := printf "http://%s-alerting.%s.svc" (include "rainbond-exporter.fullname" .root) .root.Release.Namespace -}}
{{- $args = concat $args (list (printf "--alerting.prometheus-url=%s:9090" $host) (printf "--alerting.alertmanager-url=%s:9093" $host)) -}}
{{- end -}}
{{- $args = concat $args (list (printf "--log.level=%s" $v.log.level) (printf "--log.format=%s" $v.log.format)) $own.extraArgs -}}
{{- toYaml $args -}}
{{- end -}}

{{- define "rainbond-exporter.mounts" -}}
{{- $own := index .root.Values .role -}}
{{- if dig "config" "existingSecret" "" $own }}
- name: config
  mountPath: /etc/rainbond-exporter/config
  readOnly: true
{{- end }}
{{- if .root.Values.web.existingSecret }}
- name: web
  mountPath: /etc/rainbond-exporter/web
  readOnly: true
{{- end }}
{{- if eq .role "node" }}
- name: host
  mountPath: /host
  readOnly: true
  mountPropagation: HostToContainer
{{- end }}
{{- with $own.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rainbond-exporter.volumes" -}}
{{- $own := index .root.Values .role -}}
{{- with dig "config" "existingSecret" "" $own }}
- name: config
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- with .root.Values.web.existingSecret }}
- name: web
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- if eq .role "node" }}
- name: host
  hostPath:
    path: /
    type: Directory
{{- end }}
{{- with $own.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
