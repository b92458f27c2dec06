package dashboards

import (
	"regexp"
	"strings"
)

// A symptom is a column of the overview. Its cell contains the reason why the
// region is unhealthy.
type symptom struct {
	slug, title string
	link        string  // uid of the dashboard with details
	states      []state // by severity; the first that is true is shown; the last one is healthy
}

// A state is a possible state of a symptom. The word, a label value of the
// query, is English; text is shown to the reader and may be translated. Both
// may contain $1: the value of a label.
type state struct {
	level       string // healthy, warning or critical
	expr, label string
	word, text  string
}

// Severities. One critical symptom sorts before nine warnings.
const (
	healthy  = "0"
	warning  = "1"
	critical = "10"
)

// labelled returns the name of the label that contains the word. No other
// series has it.
func (s symptom) labelled() string { return "why_" + strings.ReplaceAll(s.slug, "-", "_") }

// query returns an expression with one series for each region in which the
// symptom is known: the word as a label, the severity as the value.
func (s symptom) query() string {
	var all []string
	for _, k := range s.states {
		label := "rainbond_region"
		if k.label != "" {
			label = k.label
		}
		word := `label_replace(` + k.expr + `, "` + s.labelled() + `", "` + k.word + `", "` + label + `", "(.+)")`
		all = append(all, constant(k.level, by("max", "cluster, rainbond_region, "+s.labelled(), "topk by (cluster, rainbond_region) (1, "+word+")")))
	}
	return "(" + strings.Join(all, " or on (cluster, rainbond_region) ") + ")"
}

// column returns the symptom's column in the table of regions.
func (s symptom) column() column {
	colors := map[string]string{healthy: green, warning: orange, critical: red}
	var words, patterns []name // "$1" alone matches every word: words first
	for _, k := range s.states {
		if strings.Contains(k.word, "$1") {
			value := "/^" + strings.ReplaceAll(regexp.QuoteMeta(k.word), `\$1`, "(.+)") + "$/"
			patterns = append(patterns, name{value, k.text, colors[k.level]})
		} else {
			words = append(words, name{k.word, k.text, colors[k.level]})
		}
	}
	return column{title: s.title, label: s.labelled(), expr: s.query(), names: append(words, patterns...), link: s.link}
}

// severity returns the sum of the severities of each region's symptoms.
func severity(all []symptom) string {
	var queries []string
	for _, s := range all {
		queries = append(queries, s.query())
	}
	return by("sum", "cluster, rainbond_region", strings.Join(queries, " or "))
}

// staleCA returns the mismatches of the CA that the console holds.
func staleCA() string {
	return of("rainbond_certificate_mismatch", `place="served"`, `reference="console"`) + " == 1"
}

// brokenNow returns the mismatches that lock the console out. A stale CA alone
// disturbs no console that does not verify: the probe succeeds.
func brokenNow() string {
	return of("rainbond_certificate_mismatch", `place="console"`, `reference="served"`) + " == 1 or " +
		staleCA() + " unless on (cluster, rainbond_region) " + of("rainbond_api_up") + " == 1"
}

// symptoms are those of Rainbond's documentation, in its order.
func symptoms(tr translation) []symptom {
	short := of("rainbond_component_desired") + " > " + of("rainbond_component_ready")
	essential := of("rainbond_component_desired", `component=~"rbd-api|rbd-gateway|rbd-db|rbd-app-ui"`) + " > " + of("rainbond_component_ready")
	left := by("min", "cluster, rainbond_region", of("rainbond_certificate_not_after_timestamp_seconds")) + " - time()"
	required := of("rainbond_node_role_required") + " == 1"
	return []symptom{
		{"api", tr("API", "集群端 API"), "rainbond-path", []state{
			{critical, `label_join(` + of("rainbond_api_probe_failed") + ` == 1, "why", "/", "phase", "reason")`, "why", "$1", ""},
			{warning, by("max", "cluster, rainbond_region", "sum without (phase) ("+of("rainbond_api_probe_phase_seconds")+")") + " > 1", "", "slow", tr("slow", "响应慢")},
			{healthy, of("rainbond_api_up") + " == 1", "", "healthy", tr("healthy", "正常")},
		}},
		{"tls", tr("TLS handshakes", "握手"), "rainbond-path", []state{
			{warning, "time() - " + of("rainbond_api_tls_handshake_error_last_timestamp_seconds", `class!="benign"`) + " < 160", "class", "$1", ""},
			{healthy, rate(of("rainbond_api_tls_handshake_errors_total")) + " >= 0", "", "healthy", tr("healthy", "正常")},
		}},
		{"cert", tr("Certificates", "证书"), "rainbond-certificates", []state{
			{critical, of("rainbond_certificate_unreadable", `place=~"console|server-secret|served"`) + " == 1", "place", "unreadable: $1", tr("unreadable: $1", "无法读取：$1")},
			{critical, of("rainbond_certificate_key_mismatch") + " == 1", "place", "key: $1", tr("key: $1", "私钥不配对：$1")},
			{critical, brokenNow(), "", "console ≠ served", tr("console ≠ served", "控制台与 rbd-api 不一致")},
			{critical, left + " < 14 * 86400", "", "14 days", tr("14 days", "不足 14 天")},
			{warning, staleCA(), "", "stale CA", tr("the console's CA is stale", "控制台的 CA 已过时")},
			{warning, of("rainbond_certificate_mismatch", `place=~"served|region-config"`, `reference=~"served|server-secret|region-config"`) + " == 1", "", "not loaded", tr("rotated, not loaded", "已轮换，未加载")},
			{warning, of("rainbond_certificate_mismatch") + " == 1", "", "copies differ", tr("copies differ", "副本不一致")},
			{warning, of("rainbond_certificate_rotation_pending") + " == 1", "", "rotation pending", tr("rotation pending", "有待执行的轮换")},
			{warning, of("rainbond_certificate_unreadable") + " == 1", "place", "unread: $1", tr("unreadable: $1", "无法读取：$1")},
			{warning, left + " < 28 * 86400", "", "28 days", tr("28 days", "不足 28 天")},
			{healthy, of("rainbond_certificate_info"), "", "healthy", tr("healthy", "正常")},
		}},
		{"node-role", tr("Node roles", "节点角色"), "rainbond-nodes", []state{
			{critical, of("rainbond_node_role_malformed") + " == 1", "node", "invalid label: $1", tr("node list fails: $1", "列表失败：$1")},
			{warning, of("rainbond_nodes", `role="worker"`) + " == 0 and on (cluster, rainbond_region) " + required, "", "no worker", tr("no worker", "没有 worker")},
			{warning, of("rainbond_node_role_missing") + " == 1 and on (cluster, rainbond_region) " + required, "node", "no role: $1", tr("no role: $1", "没有角色：$1")},
			{warning, of("rainbond_node_placement_unmatched") + " == 1", "node", "no node: $1", tr("no such node: $1", "没有节点：$1")},
			{healthy, of("rainbond_node_role_missing") + " == 1", "node", "info: no role: $1", tr("no role: $1", "没有角色：$1")},
			{healthy, of("rainbond_nodes"), "", "healthy", tr("healthy", "正常")},
		}},
		{"component", tr("Components", "平台组件"), "rainbond-components", []state{
			{critical, essential, "component", "critical: $1", tr("$1", "$1")},
			{warning, short, "component", "$1", ""},
			{warning, of("rainbond_component_waiting", `reason="NoNode"`), "component", "no node: $1", tr("no node: $1", "没有节点：$1")},
			{warning, of("rainbond_operator_component_failed") + " == 1", "component", "operator: $1", tr("operator fails: $1", "operator 失败：$1")},
			{warning, of("rainbond_monitor_up") + " == 0", "", "monitor", tr("rbd-monitor is unreachable", "rbd-monitor 无响应")},
			{warning, "time() - " + of("rainbond_monitor_last_scrape_timestamp_seconds") + " > 300", "", "stale", tr("rbd-monitor is stale", "rbd-monitor 数据过时")},
			{warning, of("rainbond_component_alarm_firing") + " == 1", "component", "reported: $1", tr("console reports: $1", "控制台显示：$1")},
			{healthy, of("rainbond_component_restart_pending") + " == 1", "component", "info: restart: $1", tr("restart pending: $1", "将会重启：$1")},
			{healthy, of("rainbond_component_desired"), "", "healthy", tr("healthy", "正常")},
		}},
		{"disk", tr("Nodes and disks", "节点与磁盘"), "rainbond-nodes", []state{
			{critical, of("rainbond_node_condition", `condition="DiskPressure"`) + " == 1", "node", "evicting: $1", tr("evicting: $1", "正在驱逐：$1")},
			{critical, of("rainbond_node_down_since_timestamp_seconds"), "node", "not ready: $1", tr("not ready: $1", "未就绪：$1")},
			{critical, disks("read_only") + " == 1", "node", "read-only: $1", tr("read-only: $1", "只读：$1")},
			{critical, distance() + " < 0.03", "node", "near: $1", tr("near eviction: $1", "接近驱逐：$1")},
			{warning, of("rainbond_node_mount_stuck") + " == 1", "node", "stuck: $1", tr("mount stuck: $1", "挂载卡住：$1")},
			{warning, disks("inodes_free") + " / " + disks("inodes") + " < 0.10", "node", "inodes: $1", tr("inodes: $1", "inode 不足：$1")},
			{warning, disks("used_ratio") + " > 0.80", "node", "filling: $1", tr("filling: $1", "快满：$1")},
			{healthy, disks("size_bytes"), "", "healthy", tr("healthy", "正常")},
		}},
	}
}
