// Package report holds what the presentations of a diagnosis share: phrases in
// two languages, links, and the limits of long lists.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// A phrase is one text in both languages.
type phrase struct{ en, zh string }

func (p phrase) in(lang string) string {
	if lang == doctor.LangZH {
		return p.zh
	}
	return p.en
}

// phrases are the texts of the presentations. Texts about faults are in the rules.
var phrases = map[string]phrase{
	"critical": {"CRITICAL", "严重"},
	"info":     {"INFO", "提示"},
	"warning":  {"WARNING", "警告"},

	"about":   {", ", "，"},
	"comma":   {", ", "、"},
	"region":  {"region", "集群"},
	"regions": {"regions", "集群"},
	"many":    {"%d regions", "%d 个集群"},

	"healthy":         {"everything that was checked is healthy", "检查的项目全部正常"},
	"fault":           {"1 fault", "1 个故障"},
	"faults":          {"%d faults", "%d 个故障"},
	"pending":         {"no fault; just begun, may pass: %d", "没有故障；%d 项刚刚出现，可能自行恢复"},
	"just_begun":      {"just begun, may pass; the alert fires after %s", "刚刚出现，可能自行恢复；持续 %s 后告警"},
	"could_not_look":  {"some items are unknown; the others have no fault", "部分项目无法检查；已检查的项目没有发现故障"},
	"nothing_checked": {"nothing could be checked", "所有项目都无法检查"},

	"run":               {"run", "执行"},
	"document":          {"docs", "官方文档"},
	"guide":             {"guide", "排查手册"},
	"dashboard":         {"dashboard", "Grafana"},
	"open_dashboard":    {"Grafana dashboard", "Grafana 仪表盘"},
	"symptoms":          {"Symptoms of this fault:", "由此引起的其他现象："},
	"more":              {"%d more of %s; the JSON output has all", "另有 %d 条 %s，完整列表见 JSON 输出"},
	"unable":            {"Unknown: ", "无法检查："},
	"unaffected":        {"Healthy: ", "正常："},
	"since":             {"seen since %s (%s)", "%s 起出现（已持续 %s）"},
	"new":               {"new", "出现"},
	"gone":              {"resolved", "消失"},
	"after":             {", after %s", "，持续了 %s"},
	"blind":             {"unknown", "无法检查"},
	"seeing":            {"restored", "恢复检查"},
	"cut":               {"… %d more lines: make the window larger, or run check without --watch", "… 还有 %d 行：请放大窗口，或去掉 --watch 再执行"},
	"again":             {"Checked at %s, again every %s; Ctrl-C ends", "检查时间 %s，每 %s 重新检查，按 Ctrl-C 结束"},
	"progress":          {"checking: %d of %d regions", "正在检查：%d / %d 个集群"},
	"route_service":     {"Probed: %s, the Service of rbd-api, because the console runs in this namespace", "探测地址：%s，rbd-api 的 Service，因为控制台在这个命名空间内"},
	"route_api_address": {"Probed: %s, apiAddress of ConfigMap region-config, because no console is in this namespace or the Service cannot be reached from here", "探测地址：%s，ConfigMap region-config 的 apiAddress，因为这个命名空间内没有控制台，或者这里访问不到 Service"},
	"history":           {"Not evaluated, because one collection is not enough (Prometheus evaluates them): ", "以下告警单次检查无法判断，由 Prometheus 负责："},

	collector.EvidenceError:       {"error", "报错"},
	collector.EvidenceAddress:     {"address", "地址"},
	collector.EvidenceDirect:      {"direct", "绕过网关"},
	collector.EvidenceFingerprint: {"fingerprint", "指纹"},
	collector.EvidenceLogLine:     {"log line", "日志"},
	collector.EvidenceAnswer:      {"answer", "响应"},
	collector.EvidenceLatency:     {"latency", "耗时"},
	collector.EvidencePod:         {"pod", "Pod"},
	collector.EvidenceAlarm:       {"alarm", "告警"},
	collector.EvidenceNode:        {"node", "节点"},
	collector.EvidenceUsage:       {"usage", "用量"},

	"lang":            {"en", "zh"},
	"html_lang":       {"en", "zh-CN"},
	"other_lang":      {"zh", "en"},
	"other_html_lang": {"zh-CN", "en"},
	"other_language":  {"中文", "English"},

	"title":           {"Rainbond region status", "Rainbond 集群状态"},
	"guide_section":   {"How to fix it: guide", "如何修复：排查手册"},
	"own_document":    {"Rainbond documentation", "Rainbond 官方文档"},
	"guide_title":     {"Troubleshooting guide", "排查手册"},
	"to_status":       {"Status", "状态"},
	"checked_at":      {"Checked at %s", "检查时间 %s"},
	"refreshes":       {"Refreshes every %d s", "每 %d 秒重新检查"},
	"paused":          {"Refresh is off", "已停止刷新"},
	"pause":           {"Pause", "停止刷新"},
	"resume":          {"Resume", "恢复刷新"},
	"overview":        {"Symptoms", "检查项目"},
	"same_advice":     {"What to do: see ", "处理方法同："},
	"explained":       {"Cause: ", "原因："},
	"copy":            {"Copy", "复制"},
	"copy_command":    {"Copy command %d", "复制第 %d 条命令"},
	"copied":          {"Copied", "已复制"},
	"not_copied":      {"Press Ctrl+C", "请按 Ctrl+C"},
	"theme_auto":      {"Theme: auto", "主题：自动"},
	"theme_light":     {"Theme: light", "主题：浅色"},
	"theme_dark":      {"Theme: dark", "主题：深色"},
	"stale":           {"The exporter has not responded since %s. This page is out of date.", "exporter 自 %s 起没有响应，页面内容已经过时。"},
	"since_begin":     {"Seen since the first collection of this exporter, %s (%s)", "首次检查（%s）时已存在（至今 %s）"},
	"choose_region":   {"Regions", "集群"},
	"all_regions":     {"All", "全部"},
	"many_regions":    {"%d regions", "%d 个集群"},
	"other_region":    {"Another region, by name", "按名称查看其他集群"},
	"show":            {"Show", "查看"},
	"affected":        {"AFFECTED", "受影响"},
	"state_well":      {"OK", "正常"},
	"state_unable":    {"UNKNOWN", "无法检查"},
	"state_absent":    {"NOT CHECKED", "未检查"},
	"not_here":        {"The role of this exporter does not include this check.", "此 exporter 的角色不包含该项检查。"},
	"failed_probes":   {"Last failed probes", "最近失败的探测"},
	"as_json":         {"This page as JSON", "JSON 格式"},
	"skip_to_content": {"Skip to the findings", "跳到检查结果"},
	"contents":        {"Contents", "目录"},

	// A test alert.
	"step_rules":        {"Rules loaded and evaluated", "规则已加载并在执行"},
	"step_alertmanager": {"Alertmanager reachable", "Alertmanager 可达"},
	"step_route":        {"Route", "路由"},
	"step_relay":        {"Relay", "relay"},
	"step_vendor":       {"Robot", "机器人"},
	"test_complete":     {"The message has arrived. Alertmanager reports it as resolved within five minutes.", "消息已送达。五分钟内会收到它的恢复通知。"},
	"test_stopped":      {"The message stopped here.", "消息停在这一步。"},

	// The card about alerting.
	"alerting_title":    {"Alerting", "告警通道"},
	"alerting_healthy":  {"Rules are loaded, the Watchdog arrives at Alertmanager, and notifications succeed.", "规则已加载，Watchdog 到达 Alertmanager，通知发送成功。"},
	"alerting_rules":    {"rules loaded", "已加载的规则"},
	"alerting_targets":  {"targets up", "正常的抓取目标"},
	"alerting_of":       {"%d of %d", "%d / %d"},
	"alerting_last":     {"last notification", "最近一次通知"},
	"alerting_failed":   {"failed notifications", "失败的通知"},
	"alerting_watchdog": {"age of the Watchdog", "Watchdog 距今"},
	"alerting_unknown":  {"unknown", "未知"},

	"alerting_prometheus_down":    {"Prometheus cannot be read: %s. Without it, no alert fires. Check its pod or container and --alerting.prometheus-url.", "无法读取 Prometheus：%s。没有它就没有告警。检查它的 Pod 或容器，以及 --alerting.prometheus-url。"},
	"alerting_alertmanager_down":  {"Alertmanager cannot be read: %s. Without it, nobody is notified. Check its pod or container and --alerting.alertmanager-url.", "无法读取 Alertmanager：%s。没有它就没有通知。检查它的 Pod 或容器，以及 --alerting.alertmanager-url。"},
	"alerting_rules_missing":      {"Prometheus has not loaded the rules of rainbond-exporter. Check rule_files.", "Prometheus 没有加载 rainbond-exporter 的规则。检查 rule_files。"},
	"alerting_reload_failed":      {"Prometheus could not load its changed configuration or rules and uses the old ones. Its log names the file and the line.", "Prometheus 无法加载修改后的配置或规则，仍在使用旧的。它的日志指出文件和行号。"},
	"alerting_disk_full":          {"The disk of Prometheus is full: %s. Alerts are not evaluated reliably. Enlarge the volume or reduce the retention size.", "Prometheus 的磁盘已满：%s。告警不再可靠。扩大卷，或减小保留大小。"},
	"alerting_rule_failing":       {"A rule fails: %s", "规则执行失败：%s"},
	"alerting_no_alertmanager":    {"Prometheus sends alerts to no Alertmanager. Check the section alerting of its configuration.", "Prometheus 没有把告警发给任何 Alertmanager。检查它的配置里的 alerting 一节。"},
	"alerting_watchdog_missing":   {"The Watchdog has not arrived at Alertmanager: alerts do not get from Prometheus to Alertmanager. Just after a start, wait a minute.", "Watchdog 没有到达 Alertmanager：告警没有从 Prometheus 到达 Alertmanager。刚启动时请等一分钟。"},
	"alerting_watchdog_old":       {"The Watchdog is %s old, although Prometheus sends it every minute. Check the network from Prometheus to Alertmanager.", "Watchdog 是 %s 之前的，而 Prometheus 每分钟发送一次。检查 Prometheus 到 Alertmanager 的网络。"},
	"alerting_route_missing":      {"Alerts of severity %s have no receiver: the route in Alertmanager's configuration ends at one without an integration.", "severity 为 %s 的告警没有接收器：Alertmanager 的路由指向一个没有集成的接收器。"},
	"alerting_target_down":        {"A target cannot be scraped: %s", "抓取目标失败：%s"},
	"alerting_notifications_fail": {"Alertmanager could not send notifications (%s since its start). Its log has the reason.", "Alertmanager 无法发送通知（启动以来 %s 条）。原因见它的日志。"},
	"alerting_rejected":           {"The receiver %s rejected messages in the last 15 minutes. Check the URL, the signing secret or the keyword of the robot.", "接收器 %s 在最近 15 分钟内拒绝了消息。检查机器人的 URL、签名密钥或关键词。"},
	"alerting_unreachable":        {"The receiver %s did not respond in the last 15 minutes. Check the network from the relay to the chat.", "接收器 %s 在最近 15 分钟内没有响应。检查 relay 到聊天软件的网络。"},
}

// A symptom holds the title of a slug and the text that is shown while it is
// healthy.
type symptom struct{ title, healthy phrase }

var symptoms = map[string]symptom{
	collector.SlugAPI: {
		phrase{"Region API", "集群端 API"},
		phrase{"The console reaches the region API in time.", "控制台能及时访问集群端 API。"},
	},
	collector.SlugTLS: {
		phrase{"TLS handshakes", "TLS 握手"},
		phrase{"No client fails in the TLS handshake with the region API.", "没有客户端与集群端 API 握手失败。"},
	},
	collector.SlugCert: {
		phrase{"Certificates", "证书"},
		phrase{"The copies of the certificates match.", "各处保存的证书彼此匹配。"},
	},
	collector.SlugNodeRole: {
		phrase{"Node roles", "节点角色"},
		phrase{"Every node has a role, and every role has a node.", "节点都有角色标签，各角色都有节点。"},
	},
	collector.SlugComponent: {
		phrase{"Platform components", "平台组件"},
		phrase{"Every component has the ready pods it should have.", "各平台组件的 Pod 均已就绪。"},
	},
	collector.SlugDisk: {
		phrase{"Disk space", "磁盘空间"},
		phrase{"No node is short of disk space.", "节点磁盘空间充足，没有驱逐。"},
	},
	collector.SlugExporter: {
		phrase{"Monitoring itself", "监控自身"},
		phrase{},
	},
}

// Title names a slug; one that is not in the catalogue stands for itself.
func Title(slug, lang string) string {
	if s, ok := symptoms[slug]; ok {
		return s.title.in(lang)
	}
	return slug
}

// HealthyText returns the text for a healthy symptom; "" for an unknown slug.
func HealthyText(slug, lang string) string { return symptoms[slug].healthy.in(lang) }

// Phrase returns the phrase of a key, or the key if it has no phrase: a severity
// or a kind of evidence that someone else chose.
func Phrase(lang, key string, args ...any) string {
	words, ok := phrases[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return words.in(lang)
	}
	return fmt.Sprintf(words.in(lang), args...)
}

// Headline is the diagnosis in one line, without the regions.
func Headline(o doctor.Overview, lang string) string {
	switch o.Verdict {
	case doctor.Healthy:
		if o.Pending > 0 {
			return Phrase(lang, "pending", o.Pending)
		}
		return Phrase(lang, "healthy")
	case doctor.Incomplete:
		if o.NothingCollected {
			return Phrase(lang, "nothing_checked")
		}
		return Phrase(lang, "could_not_look")
	}
	if o.Faults == 1 {
		return Phrase(lang, "fault")
	}
	return Phrase(lang, "faults", o.Faults)
}

// Progress returns the progress of a collection of many regions.
func Progress(lang string, done, all int) string { return Phrase(lang, "progress", done, all) }

// RegionHeadline is the diagnosis in one line.
func RegionHeadline(o doctor.Overview, lang string) string {
	s := Headline(o, lang)
	if names := RegionNames(o.Regions, lang); names != "" {
		colon := phrase{": ", "："}
		s = names + colon.in(lang) + s
	}
	return Capital(s)
}

// Capital makes the first letter a capital.
func Capital(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// maxNamed is how many regions are named; more are counted.
const maxNamed = 8

// RegionNames names the regions in words: "region a", "regions a, b".
func RegionNames(regions []string, lang string) string {
	switch len(regions) {
	case 0:
		return ""
	case 1:
		return Phrase(lang, "region") + " " + regions[0]
	}
	if len(regions) > maxNamed {
		return Phrase(lang, "many", len(regions))
	}
	return Phrase(lang, "regions") + " " + strings.Join(regions, Phrase(lang, "comma"))
}

// About is what the alert is about: its region, and its other labels.
func About(f doctor.Finding, lang string) string {
	var parts []string
	if region := f.Labels[doctor.LabelRegion]; region != "" {
		parts = append(parts, RegionNames([]string{region}, lang))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		if name != doctor.LabelRegion {
			parts = append(parts, name+"="+f.Labels[name])
		}
	}
	if len(parts) == 0 {
		return ""
	}
	separator := Phrase(lang, "about")
	return separator + strings.Join(parts, separator)
}

// Duration returns a duration as rules write it, such as 2m.
func Duration(d time.Duration) string { return model.Duration(d).String() }

// Span is a time that has passed, in whole seconds.
func Span(d time.Duration) string { return d.Round(time.Second).String() }
