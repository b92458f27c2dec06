{{- /* A text with the labels of identity instead of cluster: (dict "root" $ "text" TEXT "places" FILE). The files identity.json list the places of cluster. */ -}}
{{- define "rainbond-exporter.identify" -}}
{{- $text := .text -}}
{{- $labels := without .root.Values.identity "rainbond_region" -}}
{{- if ne (join "," $labels) "cluster" -}}
{{- range .root.Files.Get .places | fromJsonArray -}}
{{- $place := . -}}
{{- $each := list -}}
{{- range $labels }}{{ $each = append $each (replace "LABEL" (printf "<%s>" .) $place.each) }}{{ end -}}
{{- $text = regexReplaceAll .pattern $text (print (default "" .before) (join (default "" .between) $each) (default "" .after)) -}}
{{- end -}}
{{- range $labels }}{{ $text = replace (printf "<%s>" .) . $text }}{{ end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- /*
The parts of the rules that values change: each piece of text with a threshold, and the form in which % is the value. The flat rules
have a number of the piece without the last zero: flat.
With the default value, the text is unchanged. A missing piece fails the template: this table no longer matches the rules.
*/ -}}
{{- define "rainbond-exporter.replacements" -}}
- {path: rules.thresholds.diskUsedRatio, default: "0.8", piece: "_filesystem_used_ratio) > 0.80", flat: "_filesystem_used_ratio) > 0.8", form: "_filesystem_used_ratio) > %"}
- {path: rules.thresholds.diskEvictionRatio, default: "0.05", piece: "(0.05 + 0 * ", form: "(% + 0 * "}
- {path: rules.thresholds.diskEvictionRatio, default: "0.05", piece: " or 0.05 + 0 * ", form: " or % + 0 * "}
- {path: rules.thresholds.diskEvictionDistance, default: "0.03", piece: " + 0.03", form: " + %"}
- {path: rules.thresholds.inodesFreeRatio, default: "0.1", piece: ") < 0.10", flat: ") < 0.1", form: ") < %"}
- {path: rules.thresholds.apiSeconds, default: "1", piece: "(rainbond_api_probe_phase_seconds)) > 1", form: "(rainbond_api_probe_phase_seconds)) > %"}
- {path: rules.thresholds.errorBudgetRatio, default: "0.005", piece: " * 0.005", form: " * %"}
- {path: rules.thresholds.certificateCriticalDays, default: "14", piece: "14 * 86400", form: "% * 86400"}
- {path: rules.thresholds.certificateWarningDays, default: "28", piece: "28 * 86400", form: "% * 86400"}
- {path: rules.thresholds.monitorStaleSeconds, default: "300", piece: "rainbond_monitor_last_scrape_timestamp_seconds > 300", form: "rainbond_monitor_last_scrape_timestamp_seconds > %"}
- {path: rules.criticalComponents, default: "rbd-api|rbd-gateway|rbd-db|rbd-app-ui", piece: '~"rbd-api|rbd-gateway|rbd-db|rbd-app-ui"', form: "~\"%\""}
- {path: rules.job, default: ".*rainbond-exporter.*", piece: 'job=~".*rainbond-exporter.*"', form: "job=~\"%\""}
- {path: region.namespace, default: rbd-system, piece: "-n rbd-system", form: "-n %"}
- {path: region.namespace, default: rbd-system, piece: "/namespaces/rbd-system/", form: "/namespaces/%/"}
- {path: region.kubectl, default: kubectl, piece: "$ kubectl ", form: "$ % "}
- {path: region.kubectl, default: kubectl, piece: "&& kubectl ", form: "&& % "}
{{- end -}}

{{- /* The text of the rules: (dict "root" $ "flat" BOOL). The flat rules have no recording rules. */ -}}
{{- define "rainbond-exporter.rulesText" -}}
{{- $root := .root -}}
{{- $flat := .flat -}}
{{- $file := ternary "files/rainbond.flat.rules.yaml" "files/rainbond.rules.yaml" $flat -}}
{{- $text := $root.Files.Get $file -}}
{{- $changed := dict -}}
{{- range include "rainbond-exporter.replacements" . | fromYamlArray -}}
{{- $piece := ternary (default .piece .flat) .piece $flat -}}
{{- if not (contains $piece $text) -}}
{{- fail (printf "%s: %s does not contain %q" .path $file $piece) -}}
{{- end -}}
{{- $value := $root.Values -}}
{{- range splitList "." .path }}{{ $value = index $value . }}{{ end -}}
{{- if kindIs "slice" $value }}{{ $value = join "|" $value }}{{ end -}}
{{- if ne (toString $value) .default -}}
{{- $_ := set $changed .path (toString $value) -}}
{{- $text = replace $piece (replace "%" (printf "<%s>" .path) .form) $text -}}
{{- end -}}
{{- end -}}
{{- /* Replaced in a second step, because the value of one threshold can be the piece of another. */ -}}
{{- range $path, $value := $changed -}}
{{- $text = replace (printf "<%s>" $path) $value $text -}}
{{- end -}}
{{- $text = $text | replace "-n NAMESPACE" (printf "-n %s" $root.Release.Namespace) -}}
{{- /* Each window has as many scrapes as at 15 s (forInterval in rules/variant). */ -}}
{{- $interval := include "rainbond-exporter.seconds" $root.Values.scrape.interval | int -}}
{{- if gt $interval 15 -}}
{{- $two := add (mul 2 $interval) 15 | int -}}
{{- /* In the flat rules, the selector has matchers. */ -}}
{{- $text = regexReplaceAll `((?:sum|min)_over_time\(rainbond_api_probe_failed(?:\{[^}]*\})?\[)1m\]` $text (printf "${1}%s]" (include "rainbond-exporter.atLeast" (list (mul 4 $interval | int) "1m"))) -}}
{{- range list "(rainbond_certificate_mismatch" "(rainbond_api_up" "(rainbond_api_clock_skew_seconds" -}}
{{- $text = replace (print . "[1m])") (printf "%s[%s])" . (include "rainbond-exporter.atLeast" (list $two "1m"))) $text -}}
{{- end -}}
{{- $text = replace "reason=~\"server_.+\"}[1m]" (printf "reason=~\"server_.+\"}[%s]" (include "rainbond-exporter.atLeast" (list $two "1m"))) $text -}}
{{- $text = replace "(rainbond_collector_success[2m])" (printf "(rainbond_collector_success[%s])" (include "rainbond-exporter.atLeast" (list $two "2m"))) $text -}}
{{- $text = replace "[1m:15s]" (printf "[%s:15s]" (include "rainbond-exporter.atLeast" (list $two "1m"))) $text -}}
{{- end -}}
{{- include "rainbond-exporter.identify" (dict "root" $root "text" $text "places" "files/identity.json") -}}
{{- end -}}

{{- /* A duration such as 90s in seconds. */ -}}
{{- define "rainbond-exporter.seconds" -}}
{{- mulf (regexFind "[0-9]+" . | float64) (get (dict "ms" 0.001 "s" 1 "m" 60 "h" 3600) (regexFind "[a-z]+" .)) -}}
{{- end -}}

{{- /* The longer of two durations: (list SECONDS TEXT). Prometheus 2.20 does not know 1m30s. */ -}}
{{- define "rainbond-exporter.atLeast" -}}
{{- $seconds := index . 0 -}}
{{- $text := index . 1 -}}
{{- if ge (include "rainbond-exporter.seconds" $text | float64) (float64 $seconds) -}}
{{- $text -}}
{{- else if mod $seconds 60 -}}
{{- printf "%ds" $seconds -}}
{{- else -}}
{{- printf "%dm" (div $seconds 60) -}}
{{- end -}}
{{- end -}}

{{- /* The rule groups in the selected languages, without disabled alerts, with overrides, additional labels and complete links: (dict "root" $ "flat" BOOL). */ -}}
{{- define "rainbond-exporter.rules" -}}
{{- $root := .root -}}
{{- $interval := include "rainbond-exporter.seconds" $root.Values.scrape.interval | int -}}
{{- /* They fire after the second failed probe, which is late enough at a long interval; the others are causes. */ -}}
{{- $atOnce := list "RainbondRegionUnreachable" "RainbondRegionPortClosed" "RainbondRegionAPIDown" "RainbondRegionTLSFailing" "RainbondNodeDiskPressure" "RainbondNodeDown" -}}
{{- $r := $root.Values.rules -}}
{{- $file := include "rainbond-exporter.rulesText" . | fromYaml -}}
{{- $known := list -}}
{{- $groups := list -}}
{{- range $group := $file.groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if $rule.alert -}}
{{- $known = append $known $rule.alert -}}
{{- if and $rule.for (gt $interval 15) -}}
{{- $_ := set $rule "for" (and (has $rule.alert $atOnce) (eq $rule.for "15s") | ternary "0s" (include "rainbond-exporter.atLeast" (list $interval $rule.for))) -}}
{{- end -}}
{{- $a := $rule.annotations -}}
{{- if not (has "en" $r.languages) -}}
{{- $_ := set $a "summary" $a.summary_zh -}}
{{- $_ := set $a "description" $a.description_zh -}}
{{- end -}}
{{- if lt (len $r.languages) 2 -}}
{{- $a = omit $a "summary_zh" "description_zh" -}}
{{- end -}}
{{- with include "rainbond-exporter.guideURL" $root -}}
{{- $_ := set $a "guide_url" (printf "%s?lang=%s#%s" . (has "en" $r.languages | ternary "en" "zh") $a.section) -}}
{{- $_ := set $a "guide_url_zh" (printf "%s?lang=zh#%s" . $a.section) -}}
{{- end -}}
{{- with $root.Values.externalURL.grafana -}}
{{- if $a.dashboard }}{{ $_ := set $a "dashboard_url" (printf "%s%s" (trimSuffix "/" .) $a.dashboard) }}{{ end -}}
{{- end -}}
{{- $_ := set $rule "annotations" $a -}}
{{- $_ := set $rule "labels" (merge (deepCopy $rule.labels) $r.alertLabels) -}}
{{- $override := get $r.overrides $rule.alert -}}
{{- with $override -}}
{{- range $name := concat (list "alertname" "severity" "rainbond_region") $root.Values.identity -}}
{{- if hasKey ($override.labels | default dict) $name -}}
{{- fail (printf "rules.overrides.%s.labels: %s; expected other labels%s" $rule.alert $name (eq $name "severity" | ternary ", and the severity in rules.overrides.ALERT.severity" ", because it identifies the alert")) -}}
{{- end -}}
{{- end -}}
{{- with .for }}{{ $_ := set $rule "for" . }}{{ end -}}
{{- with .severity }}{{ $_ := set $rule.labels "severity" . }}{{ end -}}
{{- $_ := set $rule "labels" (mergeOverwrite $rule.labels (.labels | default dict)) -}}
{{- $_ := set $rule "annotations" (mergeOverwrite $rule.annotations (.annotations | default dict)) -}}
{{- end -}}
{{- end -}}
{{- if not (has (default "" $rule.alert) $r.disabled) }}{{ $rules = append $rules $rule }}{{ end -}}
{{- end -}}
{{- if $rules }}{{ $groups = append $groups (merge (dict "rules" $rules) $group) }}{{ end -}}
{{- end -}}
{{- range $path, $names := dict "rules.disabled" $r.disabled "rules.overrides" (keys $r.overrides | sortAlpha) -}}
{{- range $names -}}
{{- if not (has . $known) -}}
{{- fail (printf "%s: unknown alert %s; docs/alerts.md lists all alerts" $path .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "groups" $groups | toYaml -}}
{{- end -}}
