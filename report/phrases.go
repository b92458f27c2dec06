// Package report says a diagnosis in two languages: the words that the
// terminal and the status page share, and what they leave out of long lists.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// phrases are the doctor's own words, in both languages. Of faults it has
// none: those words are in the rules.
var phrases = map[string]phrase{
	"critical": {"CRITICAL", "严重"},
	"info":     {"INFO", "提示"},
	"warning":  {"WARNING", "警告"},

	"comma":   {", ", "、"},
	"region":  {"region", "集群"},
	"regions": {"regions", "集群"},
	"many":    {"%d regions", "%d 个集群"},

	"healthy":        {"everything looked at is well", "检查的项目全部正常"},
	"fault":          {"1 fault", "1 个故障"},
	"faults":         {"%d faults", "%d 个故障"},
	"could_not_look": {"could not look at everything; no fault in what was seen", "部分项目无法检查；已检查的项目没有发现故障"},
	"saw_nothing":    {"could not look at anything", "所有项目都无法检查"},

	"run":            {"run", "执行"},
	"document":       {"document", "官方文档"},
	"guide":          {"guide", "排查手册"},
	"dashboard":      {"dashboard", "Grafana"},
	"open_dashboard": {"Grafana dashboard", "Grafana 仪表盘"},
	"seen_too":       {"Also seen, explained by this:", "由此引起的其他现象："},
	"more":           {"%d more of %s; the JSON output has all", "另有 %d 条 %s，完整列表见 JSON 输出"},
	"unable":         {"Could not look at: ", "无法检查："},
	"well":           {"Well: ", "正常："},
	"since":          {"seen since %s (%s)", "%s 起出现（已持续 %s）"},
	"new":            {"new", "出现"},
	"gone":           {"gone", "消失"},
	"after":          {", after %s", "，持续了 %s"},
	"blind":          {"unable", "无法检查"},
	"seeing":         {"able", "恢复检查"},
	"cut":            {"… %d more lines: make the window larger, or run check without --watch", "… 还有 %d 行：请放大窗口，或去掉 --watch 再执行"},
	"again":          {"Collected at %s, again every %s; Ctrl-C ends", "检查时间 %s，每 %s 重新检查，按 Ctrl-C 结束"},
	"looking":        {"looking: %d of %d regions", "正在检查：%d / %d 个集群"},
	"history":        {"Not judged here, for one look cannot tell; Prometheus can: ", "以下告警单次检查无法判断，由 Prometheus 负责："},

	collector.EvidenceError:       {"error", "报错"},
	collector.EvidenceAddress:     {"address", "地址"},
	collector.EvidenceDirect:      {"past the gateway", "绕过网关"},
	collector.EvidenceFingerprint: {"fingerprint", "指纹"},
	collector.EvidenceLogLine:     {"log line", "日志"},
	collector.EvidenceAnswer:      {"answer", "响应"},
	collector.EvidenceLatency:     {"latency", "耗时"},
	collector.EvidencePod:         {"pod", "Pod"},
	collector.EvidenceAlarm:       {"alarm", "告警"},
	collector.EvidenceNode:        {"node", "节点"},
	collector.EvidenceUsage:       {"figures", "用量"},

	"lang":            {"en", "zh"},
	"html_lang":       {"en", "zh-CN"},
	"other_lang":      {"zh", "en"},
	"other_html_lang": {"zh-CN", "en"},
	"other_language":  {"中文", "English"},

	"title":           {"Rainbond region status", "Rainbond 集群状态"},
	"guide_section":   {"How to repair it: our guide", "如何修复：排查手册"},
	"own_document":    {"Rainbond's own document", "Rainbond 官方文档"},
	"guide_title":     {"Troubleshooting guide", "排查手册"},
	"to_status":       {"Status", "状态"},
	"looked_at":       {"Collected at %s", "检查时间 %s"},
	"refreshes":       {"A new look every %d s", "每 %d 秒重新检查"},
	"paused":          {"Refresh is off", "已停止刷新"},
	"pause":           {"Pause", "停止刷新"},
	"resume":          {"Resume", "恢复刷新"},
	"overview":        {"Symptoms", "检查项目"},
	"same_advice":     {"What to do: as under ", "处理方法同："},
	"explained":       {"Explained by: ", "原因："},
	"copy":            {"Copy", "复制"},
	"copy_command":    {"Copy command %d", "复制第 %d 条命令"},
	"copied":          {"Copied", "已复制"},
	"not_copied":      {"Press Ctrl+C", "请按 Ctrl+C"},
	"theme_auto":      {"Theme: auto", "主题：自动"},
	"theme_light":     {"Theme: light", "主题：浅色"},
	"theme_dark":      {"Theme: dark", "主题：深色"},
	"stale":           {"The exporter has not answered since %s. What you see is old.", "exporter 自 %s 起没有响应，页面内容已经过时。"},
	"since_begin":     {"Seen since this exporter's first look, %s (%s)", "首次检查（%s）时已存在（至今 %s）"},
	"choose_region":   {"Regions", "集群"},
	"all_regions":     {"All", "全部"},
	"many_regions":    {"%d regions", "%d 个集群"},
	"other_region":    {"Another region, by name", "按名称查看其他集群"},
	"show":            {"Show", "查看"},
	"affected":        {"AFFECTED", "受影响"},
	"state_well":      {"OK", "正常"},
	"state_unable":    {"COULD NOT LOOK", "无法检查"},
	"state_absent":    {"NOT LOOKED AT", "未检查"},
	"not_here":        {"This exporter's role does not look at it.", "此 exporter 的角色不包含该项检查。"},
	"as_json":         {"This page as JSON", "JSON 格式"},
	"skip_to_content": {"Skip to the findings", "跳到检查结果"},
	"contents":        {"Contents", "目录"},
}

// A symptom is how a slug is called, and what holds while it is well.
type symptom struct{ title, well phrase }

var symptoms = map[string]symptom{
	collector.SlugAPI: {
		phrase{"Region API", "集群端 API"},
		phrase{"The console reaches the region API in time.", "控制台能及时访问集群端 API。"},
	},
	collector.SlugTLS: {
		phrase{"TLS handshakes", "TLS 握手"},
		phrase{"No client fails at the door of the region API.", "没有客户端与集群端 API 握手失败。"},
	},
	collector.SlugCert: {
		phrase{"Certificates", "证书"},
		phrase{"All copies of the certificates belong together.", "各处保存的证书彼此匹配。"},
	},
	collector.SlugNodeRole: {
		phrase{"Node roles", "节点角色"},
		phrase{"Every node bears a role, and every role has a node.", "节点都有角色标签，各角色都有节点。"},
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
		phrase{"The watcher itself", "监控自身"},
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

// HealthyText is what holds while a symptom is well; "" for what is no symptom.
func HealthyText(slug, lang string) string { return symptoms[slug].well.in(lang) }

// Say returns the doctor's own words for a key, or the key for what it has no
// words for: a severity or a kind of evidence that somebody else chose.
func Say(lang, key string, args ...any) string {
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
		return Say(lang, "healthy")
	case doctor.Incomplete:
		if o.NothingCollected {
			return Say(lang, "saw_nothing")
		}
		return Say(lang, "could_not_look")
	}
	if o.Faults == 1 {
		return Say(lang, "fault")
	}
	return Say(lang, "faults", o.Faults)
}

// Progress says how far a look over many regions has come.
func Progress(lang string, done, all int) string { return Say(lang, "looking", done, all) }

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
		return Say(lang, "region") + " " + regions[0]
	}
	if len(regions) > maxNamed {
		return Say(lang, "many", len(regions))
	}
	return Say(lang, "regions") + " " + strings.Join(regions, Say(lang, "comma"))
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
	return ", " + strings.Join(parts, ", ")
}

// Span is a time that has passed, in whole seconds.
func Span(d time.Duration) string { return d.Round(time.Second).String() }
