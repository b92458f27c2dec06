{{- /* Rejects combinations of values that cannot work. Each error names the path of the value and what was expected. */ -}}
{{- define "rainbond-exporter.validate" -}}
{{- $v := .Values -}}
{{- if not (include "rainbond-exporter.roles" .) -}}
{{- fail "cluster.enabled, node.enabled, console.enabled: all are false; expected at least one of them to be true" -}}
{{- end -}}
{{- if and $v.console.enabled (not $v.console.config.existingSecret) -}}
{{- fail "console.config.existingSecret: expected the name of a Secret with the key rainbond-exporter.yaml, because console.enabled is true" -}}
{{- end -}}
{{- if and $v.console.scrapeEachRegion (not $v.console.enabled) -}}
{{- fail "console.scrapeEachRegion: is true while console.enabled is false; only the console role lists regions" -}}
{{- end -}}
{{- if and $v.console.scrapeEachRegion (ne $v.scrape.by "scrapeConfig") -}}
{{- fail (printf "console.scrapeEachRegion: expected scrape.by=scrapeConfig, got %s" $v.scrape.by) -}}
{{- end -}}
{{- if and $v.web.existingSecret (eq $v.scrape.by "annotations") (eq $v.scrape.scheme "http") (or $v.scrape.basicAuth $v.scrape.tlsConfig) -}}
{{- fail "scrape.basicAuth, scrape.tlsConfig: annotations cannot contain them; expected scrape.by=serviceMonitor, podMonitor or scrapeConfig" -}}
{{- end -}}
{{- if and (eq $v.scrape.scheme "https") (not $v.web.existingSecret) -}}
{{- fail "scrape.scheme: is https while web.existingSecret is empty; the exporter serves plain HTTP without it" -}}
{{- end -}}
{{- if $v.podDisruptionBudget.enabled -}}
{{- range $role := list "cluster" "console" -}}
{{- $r := index $v $role -}}
{{- if and $r.enabled (lt (int $r.replicas) 2) -}}
{{- fail (printf "podDisruptionBudget.enabled: expected %s.replicas of at least 2, otherwise a drain never completes" $role) -}}
{{- end -}}
{{- end -}}
{{- if not (or $v.cluster.enabled $v.console.enabled) -}}
{{- fail "podDisruptionBudget.enabled: is true while neither cluster.enabled nor console.enabled is; drains skip DaemonSets" -}}
{{- end -}}
{{- end -}}
{{- if gt (include "rainbond-exporter.seconds" $v.scrape.interval | float64) 120.0 -}}
{{- fail (printf "scrape.interval: %s; expected at most 2m: Prometheus forgets a sample after 5m, and a fault must be scraped twice" $v.scrape.interval) -}}
{{- end -}}
{{- if not (has "rainbond_region" $v.identity) -}}
{{- fail (printf "identity: [%s] lacks rainbond_region; expected for example [cluster, rainbond_region]" (join ", " $v.identity)) -}}
{{- end -}}
{{- range list "alertname" "severity" "job" "instance" "node" "mountpoint" "component" "collector" "role" "place" "kind" "reference" "reason" "phase" "class" "cause" "pods" "measure" "between" "renamed" "shared" "datasource" "region" "evicts_at" "guide" -}}
{{- if has . $v.identity -}}
{{- fail (printf "identity: the rules or the dashboards use the name %s; expected labels that identify a platform, such as cluster" .) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $v.rules.thresholds.certificateCriticalDays) (int $v.rules.thresholds.certificateWarningDays) -}}
{{- fail "rules.thresholds.certificateCriticalDays: expected at most certificateWarningDays, so that the warning fires first" -}}
{{- end -}}
{{- if and $v.serviceAccount.create (not $v.cluster.enabled) $v.serviceAccount.name -}}
{{- fail "serviceAccount.name: is set while cluster.enabled is false; no other role has a ServiceAccount" -}}
{{- end -}}
{{- if $v.consolePlugin.enabled -}}
{{- if not $v.externalURL.exporter -}}
{{- fail "consolePlugin.enabled: is true while externalURL.exporter is empty; expected the URL of the status page for browsers" -}}
{{- end -}}
{{- if not $v.web.frameAncestor -}}
{{- fail "consolePlugin.enabled: is true while web.frameAncestor is empty; expected the origin of the console" -}}
{{- end -}}
{{- if not $v.cluster.enabled -}}
{{- fail "consolePlugin.enabled: is true while cluster.enabled is false; rbd-api fetches the plugin from the cluster role" -}}
{{- end -}}
{{- if $v.web.existingSecret -}}
{{- fail "consolePlugin.enabled: is true while web.existingSecret is set; rbd-api fetches the plugin without TLS and without a password" -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "ingress" "httpRoute" -}}
{{- $page := index $v $kind -}}
{{- if and $page.enabled (not (index $v $page.role).enabled) -}}
{{- fail (printf "%s.role: is %s while %s.enabled is false; expected an enabled role" $kind $page.role $page.role) -}}
{{- end -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: is empty; expected at least one Gateway" -}}
{{- end -}}
{{- if and $v.cluster.enabled (not $v.cluster.automountServiceAccountToken) (not $v.cluster.extraVolumes) -}}
{{- fail "cluster.automountServiceAccountToken: is false; the cluster role needs the token, or a kubeconfig in cluster.extraVolumes" -}}
{{- end -}}
{{- if $v.alertmanagerConfig.enabled -}}
{{- $names := list -}}
{{- range $v.alertmanagerConfig.receivers }}{{ $names = append $names .name }}{{ end -}}
{{- range list "page" "channel" "deadman" -}}
{{- if not (has . $names) -}}
{{- fail (printf "alertmanagerConfig.receivers: %s is missing; expected page, channel and deadman" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $v.alerting.enabled }}{{ include "rainbond-exporter.validateAlerting" . }}{{ end -}}
{{- end -}}

{{- define "rainbond-exporter.validateAlerting" -}}
{{- $a := .Values.alerting -}}
{{- if not $a.receivers -}}
{{- fail "alerting.receivers: is empty; expected at least one, for example alerting.receivers.dingtalk.existingSecret=NAME" -}}
{{- end -}}
{{- $robots := dict -}}
{{- range include "rainbond-exporter.receivers" . | fromYamlArray -}}
{{- $path := printf "alerting.receivers.%s" .name -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" .name) -}}
{{- fail (printf "%s: expected a name of at most 40 lower-case letters, digits and -" $path) -}}
{{- end -}}
{{- if not (has .type (list "dingtalk" "feishu" "wecom" "webhook")) -}}
{{- fail (printf "%s.type: expected dingtalk, feishu, wecom or webhook" $path) -}}
{{- end -}}
{{- if not .existingSecret -}}
{{- fail (printf "%s.existingSecret: expected the name of a Secret that contains the URL of the robot" $path) -}}
{{- end -}}
{{- if not .urlKey -}}
{{- fail (printf "%s.urlKey: expected the key of Secret %s that contains the URL of the robot" $path .existingSecret) -}}
{{- end -}}
{{- if and .secretKey (has .type (list "wecom" "webhook")) -}}
{{- fail (printf "%s.secretKey: a receiver of type %s has no signing secret" $path .type) -}}
{{- end -}}
{{- if and .keyword (has .type (list "wecom" "webhook")) -}}
{{- fail (printf "%s.keyword: a receiver of type %s has no keyword" $path .type) -}}
{{- end -}}
{{- $robot := printf "key %s of Secret %s" .urlKey .existingSecret -}}
{{- with get $robots $robot -}}
{{- fail (printf "%s: has the same URL as alerting.receivers.%s (%s); expected one receiver for each robot" $path . $robot) -}}
{{- end -}}
{{- $_ := set $robots $robot .name -}}
{{- end -}}
{{- if not (regexMatch (printf "^(?:%s)$" .Values.rules.job) "rainbond-exporter") -}}
{{- fail (printf "rules.job: %s does not match rainbond-exporter, the job of alerting.prometheus" .Values.rules.job) -}}
{{- end -}}
{{- if and $a.persistence.existingClaim (not $a.persistence.enabled) -}}
{{- fail "alerting.persistence.existingClaim: is set while alerting.persistence.enabled is false" -}}
{{- end -}}
{{- end -}}
