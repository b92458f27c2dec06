{{- /* The pod of a role: (dict "root" $ "role" "cluster"). It passes Pod Security restricted, but for the node role's hostPath. */ -}}
{{- define "rainbond-exporter.pod" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $v := $root.Values -}}
{{- $own := index $v $role -}}
{{- $config := dig "config" "existingSecret" "" $own -}}
metadata:
  labels:
    {{- include "rainbond-exporter.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $role }}
    {{- with mergeOverwrite (deepCopy $v.commonLabels) $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := deepCopy $own.podAnnotations }}
  {{- if eq $v.scrape.by "annotations" }}
  {{- $annotations = merge $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" "10069" "prometheus.io/path" "/metrics" "prometheus.io/scheme" $v.scrape.scheme) }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq $role "cluster" }}
  serviceAccountName: {{ include "rainbond-exporter.serviceAccount" $root }}
  automountServiceAccountToken: true
  {{- else }}
  automountServiceAccountToken: false
  {{- end }}
  enableServiceLinks: false
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: rainbond-exporter
      image: {{ include "rainbond-exporter.image" $root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        - serve
        - --role={{ $role }}
        {{- if eq $role "cluster" }}
        - --collectors={{ join "," $own.collectors }}
        - --namespace={{ $v.region.namespace }}
        - --region.name={{ $v.region.name }}
        {{- with $v.region.directURL }}
        - --region.direct-url={{ . }}
        {{- end }}
        - --node-role.worker={{ join "," $v.nodeRole.worker }}
        - --node-role.control-plane={{ join "," $v.nodeRole.controlPlane }}
        {{- if $own.optional.kubeletConfigz }}
        - --kubelet.configz
        {{- end }}
        {{- else if eq $role "node" }}
        - --region.name={{ $v.region.name }}
        - --path.rootfs=/host
        - --path.procfs=/host/proc
        {{- end }}
        {{- if $config }}
        - --config.file=/etc/rainbond-exporter/config/rainbond-exporter.yaml
        {{- end }}
        {{- if $v.web.existingSecret }}
        - --web.config.file=/etc/rainbond-exporter/web/web-config.yml
        {{- end }}
        - --log.level={{ $v.log.level }}
        - --log.format={{ $v.log.format }}
      {{- if eq $role "node" }}
      env:
        - name: NODE_NAME
          valueFrom:
            fieldRef:
              fieldPath: spec.nodeName
      {{- end }}
      ports:
        - name: http
          containerPort: 10069
      {{- range $probe := list "liveness" "readiness" }}
      {{ $probe }}Probe:
        {{- if $v.web.existingSecret }}
        # The kubelet has no password, and nothing beside /metrics is open without one.
        tcpSocket:
          port: http
        {{- else }}
        httpGet:
          path: /-/{{ eq $probe "liveness" | ternary "healthy" "ready" }}
          port: http
        {{- end }}
      {{- end }}
      {{- with $own.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- with include "rainbond-exporter.mounts" . | trim }}
      volumeMounts:
        {{- . | nindent 8 }}
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
  {{- else if gt (int (dig "replicas" 1 $own)) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "rainbond-exporter.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $role }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
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
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .root.Values.web.existingSecret }}
- name: web
  secret:
    secretName: {{ . }}
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
