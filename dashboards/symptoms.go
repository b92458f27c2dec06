package dashboards

import (
	"regexp"
	"strings"
)

// A symptom is a column of the overview: its cell says in a word why the
// region is not well.
type symptom struct {
	slug, title string
	leads       string // the dashboard that says more
	cases       []kase // from the worst; the first that holds is told; the last is "well"
}

// A kase is a way in which a region is ill, or well. The word may hold $1: the
// value of a label. It is told in English by the query and shown in the
// reader's language.
type kase struct {
	level       string // 0 well, 1 a warning, 10 broken
	expr, label string
	word, shown string
}

// Levels of illness. One that is broken stands before nine that are warned of.
const (
	well   = "0"
	warned = "1"
	broken = "10"
)

// labelled is the label that holds the word; no series bears it yet.
func (s symptom) labelled() string { return "why_" + strings.ReplaceAll(s.slug, "-", "_") }

// query returns one series for each region of which the symptom is known: its
// word as a label, its level as value.
func (s symptom) query() string {
	var all []string
	for _, k := range s.cases {
		label := "rainbond_region"
		if k.label != "" {
			label = k.label
		}
		word := `label_replace(` + k.expr + `, "` + s.labelled() + `", "` + k.word + `", "` + label + `", "(.+)")`
		all = append(all, constant(k.level, by("max", "rainbond_region, "+s.labelled(), "topk by (rainbond_region) (1, "+word+")")))
	}
	return "(" + strings.Join(all, " or on (rainbond_region) ") + ")"
}

// column shows the symptom in the table of regions.
func (s symptom) column() column {
	colors := map[string]string{well: green, warned: orange, broken: red}
	var words, patterns []name // "$1" alone matches every word: words first
	for _, k := range s.cases {
		if strings.Contains(k.word, "$1") {
			value := "/^" + strings.ReplaceAll(regexp.QuoteMeta(k.word), `\$1`, "(.+)") + "$/"
			patterns = append(patterns, name{value, k.shown, colors[k.level]})
		} else {
			words = append(words, name{k.word, k.shown, colors[k.level]})
		}
	}
	return column{title: s.title, label: s.labelled(), expr: s.query(), names: append(words, patterns...), leads: s.leads}
}

// illness is how ill each region is: the sum over its symptoms.
func illness(all []symptom) string {
	var queries []string
	for _, s := range all {
		queries = append(queries, s.query())
	}
	return by("sum", "rainbond_region", strings.Join(queries, " or "))
}

// symptoms are the document's, in its order.
func symptoms(say words) []symptom {
	short := of("rainbond_component_desired") + " > " + of("rainbond_component_ready")
	critical := of("rainbond_component_desired", `component=~"rbd-api|rbd-gateway|rbd-db|rbd-app-ui"`) + " > " + of("rainbond_component_ready")
	left := by("min", "rainbond_region", of("rainbond_certificate_not_after_timestamp_seconds")) + " - time()"
	return []symptom{
		{"api", say("API", "集群端 API"), "rainbond-path", []kase{
			{broken, `label_join(` + of("rainbond_api_probe_failed") + ` == 1, "why", "/", "phase", "reason")`, "why", "$1", ""},
			{warned, by("max", "rainbond_region", "sum without (phase) ("+of("rainbond_api_probe_phase_seconds")+")") + " > 1", "", "slow", say("slow", "响应慢")},
			{well, of("rainbond_api_up") + " == 1", "", "well", say("well", "正常")},
		}},
		{"tls", say("Handshakes", "握手"), "rainbond-path", []kase{
			{warned, "time() - " + of("rainbond_api_tls_handshake_error_last_timestamp_seconds", `class!="benign"`) + " < 300", "class", "$1", ""},
			{well, rate(of("rainbond_api_tls_handshake_errors_total")) + " >= 0", "", "well", say("well", "正常")},
		}},
		{"cert", say("Certificates", "证书"), "rainbond-certificates", []kase{
			{broken, of("rainbond_certificate_unreadable", `place=~"console|server-secret|served"`) + " == 1", "place", "unreadable: $1", say("unreadable: $1", "无法读取：$1")},
			{broken, of("rainbond_certificate_key_mismatch") + " == 1", "place", "key: $1", say("key: $1", "私钥不配对：$1")},
			{broken, of("rainbond_certificate_mismatch", `place=~"served|console"`, `reference=~"served|console"`) + " == 1", "", "console ≠ served", say("console ≠ served", "控制台与 rbd-api 不一致")},
			{broken, left + " < 14 * 86400", "", "14 days", say("14 days", "不足 14 天")},
			{warned, of("rainbond_certificate_mismatch", `place=~"served|region-config"`, `reference=~"served|server-secret|region-config"`) + " == 1", "", "not loaded", say("rotated, not loaded", "已轮换，未加载")},
			{warned, of("rainbond_certificate_mismatch") + " == 1", "", "copies differ", say("copies differ", "副本不一致")},
			{warned, of("rainbond_certificate_unreadable") + " == 1", "place", "unread: $1", say("unreadable: $1", "无法读取：$1")},
			{warned, left + " < 28 * 86400", "", "28 days", say("28 days", "不足 28 天")},
			{well, of("rainbond_certificate_info"), "", "well", say("well", "正常")},
		}},
		{"node-role", say("Node roles", "节点角色"), "rainbond-nodes", []kase{
			{broken, of("rainbond_node_role_malformed") + " == 1", "node", "bare key: $1", say("list fails: $1", "列表失败：$1")},
			{warned, of("rainbond_nodes", `role="worker"`) + " == 0", "", "no worker", say("no worker", "没有 worker")},
			{warned, of("rainbond_node_role_missing") + " == 1", "node", "no role: $1", say("no role: $1", "没有角色：$1")},
			{warned, of("rainbond_node_placement_unmatched") + " == 1", "node", "no node: $1", say("no such node: $1", "没有节点：$1")},
			{well, of("rainbond_nodes"), "", "well", say("well", "正常")},
		}},
		{"component", say("Components", "平台组件"), "rainbond-components", []kase{
			{broken, critical, "component", "critical: $1", say("$1", "$1")},
			{warned, short, "component", "$1", ""},
			{warned, of("rainbond_component_waiting", `reason="NoNode"`), "component", "no node: $1", say("no node: $1", "没有节点：$1")},
			{warned, of("rainbond_monitor_up") + " == 0", "", "monitor", say("rbd-monitor is silent", "rbd-monitor 无应答")},
			{warned, "time() - " + of("rainbond_monitor_last_scrape_timestamp_seconds") + " > 300", "", "stale", say("rbd-monitor lags", "rbd-monitor 数据过时")},
			{warned, of("rainbond_component_alarm_firing") + " == 1", "component", "shown: $1", say("shown: $1", "控制台显示：$1")},
			{well, of("rainbond_component_desired"), "", "well", say("well", "正常")},
		}},
		{"disk", say("Nodes and disks", "节点与磁盘"), "rainbond-nodes", []kase{
			{broken, of("rainbond_node_condition", `condition="DiskPressure"`) + " == 1", "node", "evicts: $1", say("evicts: $1", "正在驱逐：$1")},
			{broken, of("rainbond_node_condition", `condition="Ready"`) + " == 0", "node", "not ready: $1", say("not ready: $1", "未就绪：$1")},
			{broken, disks("read_only") + " == 1", "node", "read-only: $1", say("read-only: $1", "只读：$1")},
			{broken, distance() + " < 0.03", "node", "near: $1", say("near eviction: $1", "接近驱逐：$1")},
			{warned, of("rainbond_node_mount_stuck") + " == 1", "node", "stuck: $1", say("mount stuck: $1", "挂载卡住：$1")},
			{warned, disks("inodes_free") + " / " + disks("inodes") + " < 0.10", "node", "inodes: $1", say("inodes: $1", "inode 不足：$1")},
			{warned, disks("used_ratio") + " > 0.80", "node", "fills: $1", say("fills: $1", "快满：$1")},
			{well, disks("size_bytes"), "", "well", say("well", "正常")},
		}},
	}
}
