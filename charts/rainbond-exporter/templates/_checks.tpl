{{- /* Pairs of values that cannot be together, each refused with a sentence that names the path. */ -}}
{{- define "rainbond-exporter.checks" -}}
{{- $v := .Values -}}
{{- if not (include "rainbond-exporter.roles" .) -}}
{{- fail "cluster.enabled, node.enabled, console.enabled: all are false; expected one of them true, or nothing would run" -}}
{{- end -}}
{{- if and $v.console.enabled (not $v.console.config.existingSecret) -}}
{{- fail "console.config.existingSecret: expected the name of a Secret with the key rainbond-exporter.yaml, for console.enabled is true" -}}
{{- end -}}
{{- if and $v.console.scrapeEachRegion (not $v.console.enabled) -}}
{{- fail "console.scrapeEachRegion: is true while console.enabled is false; only the console role lists regions" -}}
{{- end -}}
{{- if and $v.console.scrapeEachRegion (ne $v.scrape.by "scrapeConfig") -}}
{{- fail (printf "console.scrapeEachRegion: needs scrape.by=scrapeConfig, which is %s" $v.scrape.by) -}}
{{- end -}}
{{- if and $v.web.existingSecret (eq $v.scrape.by "annotations") (eq $v.scrape.scheme "http") (or $v.scrape.basicAuth $v.scrape.tlsConfig) -}}
{{- fail "scrape.basicAuth, scrape.tlsConfig: annotations cannot carry them; expected scrape.by=serviceMonitor, podMonitor or scrapeConfig" -}}
{{- end -}}
{{- if and (eq $v.scrape.scheme "https") (not $v.web.existingSecret) -}}
{{- fail "scrape.scheme: is https while web.existingSecret is empty; the exporter would answer in plain HTTP" -}}
{{- end -}}
{{- if $v.podDisruptionBudget.enabled -}}
{{- range $role := list "cluster" "console" -}}
{{- $r := index $v $role -}}
{{- if and $r.enabled (lt (int $r.replicas) 2) -}}
{{- fail (printf "podDisruptionBudget.enabled: needs %s.replicas of at least 2, or no node could be drained" $role) -}}
{{- end -}}
{{- end -}}
{{- if not (or $v.cluster.enabled $v.console.enabled) -}}
{{- fail "podDisruptionBudget.enabled: is true while neither cluster.enabled nor console.enabled is; a DaemonSet is not drained" -}}
{{- end -}}
{{- end -}}
{{- if gt (int $v.rules.thresholds.certificateCriticalDays) (int $v.rules.thresholds.certificateWarningDays) -}}
{{- fail "rules.thresholds.certificateCriticalDays: is above certificateWarningDays; expected the warning to come first" -}}
{{- end -}}
{{- if and $v.serviceAccount.create (not $v.cluster.enabled) $v.serviceAccount.name -}}
{{- fail "serviceAccount.name: is set while cluster.enabled is false; no other role has a ServiceAccount" -}}
{{- end -}}
{{- if $v.alertmanagerConfig.enabled -}}
{{- $names := list -}}
{{- range $v.alertmanagerConfig.receivers }}{{ $names = append $names .name }}{{ end -}}
{{- range list "page" "channel" "deadman" -}}
{{- if not (has . $names) -}}
{{- fail (printf "alertmanagerConfig.receivers: there is no %s; expected page, channel and deadman" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
