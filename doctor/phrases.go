package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// phrases are the doctor's own words, in both languages. Of faults it has
// none: those words are in the rules.
var phrases = map[string]Words{
	"critical": {"CRITICAL", "严重"},
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

	"run":      {"run", "执行"},
	"document": {"document", "官方文档"},
	"guide":    {"guide", "排查手册"},
	"seen_too": {"Also seen, explained by this:", "由此引起的其他现象："},
	"more":     {"%d more of %s; the JSON output has all", "另有 %d 条 %s，完整列表见 JSON 输出"},
	"unable":   {"Could not look at: ", "无法检查："},
	"well":     {"Well: ", "正常："},
	"since":    {"seen since %s (%s)", "%s 起出现（已持续 %s）"},
	"new":      {"new", "出现"},
	"gone":     {"gone", "消失"},
	"after":    {", after %s", "，持续了 %s"},
	"blind":    {"unable", "无法检查"},
	"seeing":   {"able", "恢复检查"},
	"cut":      {"… %d more lines: make the window larger, or run check without --watch", "… 还有 %d 行：请放大窗口，或去掉 --watch 再执行"},
	"again":    {"Looked at %s, again every %s; Ctrl-C ends", "检查时间 %s，每 %s 重新检查，按 Ctrl-C 结束"},
	"looking":  {"looking: %d of %d regions", "正在检查：%d / %d 个集群"},
	"history":  {"Not judged here, for one look cannot tell; Prometheus can: ", "以下告警单次检查无法判断，由 Prometheus 负责："},

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
	"looked_at":       {"Looked at %s", "检查时间 %s"},
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
type symptom struct{ title, well Words }

var symptoms = map[string]symptom{
	collector.SlugAPI: {
		Words{"Region API", "集群端 API"},
		Words{"The console reaches the region API in time.", "控制台能及时访问集群端 API。"},
	},
	collector.SlugTLS: {
		Words{"TLS handshakes", "TLS 握手"},
		Words{"No client fails at the door of the region API.", "没有客户端与集群端 API 握手失败。"},
	},
	collector.SlugCert: {
		Words{"Certificates", "证书"},
		Words{"All copies of the certificates belong together.", "各处保存的证书彼此匹配。"},
	},
	collector.SlugNodeRole: {
		Words{"Node roles", "节点角色"},
		Words{"Every node bears a role, and every role has a node.", "节点都有角色标签，各角色都有节点。"},
	},
	collector.SlugComponent: {
		Words{"Platform components", "平台组件"},
		Words{"Every component has the ready pods it should have.", "各平台组件的 Pod 均已就绪。"},
	},
	collector.SlugDisk: {
		Words{"Disk space", "磁盘空间"},
		Words{"No node is short of disk space.", "节点磁盘空间充足，没有驱逐。"},
	},
	collector.SlugExporter: {
		Words{"The watcher itself", "监控自身"},
		Words{},
	},
}

// titleOf names a slug; one that is not in the catalogue stands for itself.
func titleOf(slug, lang string) string {
	if s, ok := symptoms[slug]; ok {
		return s.title.In(lang)
	}
	return slug
}

// say returns the doctor's own words for a key, or the key for what it has no
// words for: a severity or a kind of evidence that somebody else chose.
func say(lang, key string, args ...any) string {
	words, ok := phrases[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return words.In(lang)
	}
	return fmt.Sprintf(words.In(lang), args...)
}

// headline is the diagnosis in one line, without the regions.
func headline(d Diagnosis, lang string) string {
	switch d.Verdict() {
	case Healthy:
		return say(lang, "healthy")
	case CouldNotLook:
		if len(d.Looked) == 0 {
			return say(lang, "saw_nothing")
		}
		return say(lang, "could_not_look")
	}
	n := 0
	for _, f := range d.Findings {
		if f.Slug != collector.SlugExporter {
			n++
		}
	}
	if n == 1 {
		return say(lang, "fault")
	}
	return say(lang, "faults", n)
}

// Looking says how far a look over many regions has come.
func Looking(lang string, done, all int) string { return say(lang, "looking", done, all) }

// regionHeadline is the diagnosis in one line.
func regionHeadline(d Diagnosis, lang string) string {
	s := headline(d, lang)
	if names := regionNames(d.Regions, lang); names != "" {
		colon := Words{": ", "："}
		s = names + colon.In(lang) + s
	}
	return capital(s)
}

// capital makes the first letter a capital.
func capital(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// maxNamed is how many regions are named; more are counted.
const maxNamed = 8

// regionNames names the regions in words: "region a", "regions a, b".
func regionNames(regions []string, lang string) string {
	switch len(regions) {
	case 0:
		return ""
	case 1:
		return say(lang, "region") + " " + regions[0]
	}
	if len(regions) > maxNamed {
		return say(lang, "many", len(regions))
	}
	return say(lang, "regions") + " " + strings.Join(regions, say(lang, "comma"))
}

// well lists the symptoms that were looked at and that no finding touches.
func (d Diagnosis) well() []string {
	return slices.DeleteFunc(slices.Clone(d.Looked), func(slug string) bool {
		return slices.ContainsFunc(d.Findings, func(f Finding) bool {
			return f.touches(slug) || slices.ContainsFunc(f.Symptoms, func(s Finding) bool { return s.touches(slug) })
		})
	})
}

// touches tells whether the finding belongs to a symptom, or rests on trouble
// seen there.
func (f Finding) touches(slug string) bool { return f.Slug == slug || slices.Contains(f.SeenBy, slug) }

// How many findings of one alert are told in full, and how many more in a
// line each. A thousand nodes with one fault are one thing to repair.
const (
	maxFull  = 5
	maxBrief = 10
)

// A few is what people are told of many findings.
type few struct {
	Full, Brief []Finding
	More        []remainder
}

// A remainder is how many findings of an alert are only counted.
type remainder struct {
	Alert string
	Count int
}

// fewOf picks the findings to tell, in their order.
func fewOf(all []Finding) few {
	var f few
	count := map[string]int{}
	for _, one := range all {
		count[one.Alert]++
		switch n := count[one.Alert]; {
		case n <= maxFull:
			f.Full = append(f.Full, one)
		case n <= maxFull+maxBrief:
			f.Brief = append(f.Brief, one)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if n := count[name] - maxFull - maxBrief; n > 0 {
			f.More = append(f.More, remainder{name, n})
		}
	}
	return f
}

// moreEvidence is the evidence of a symptom that its cause does not show.
func moreEvidence(cause, symptom Finding) []collector.Evidence {
	return slices.DeleteFunc(slices.Clone(symptom.Evidence), func(e collector.Evidence) bool {
		return slices.ContainsFunc(cause.Evidence, func(shown collector.Evidence) bool {
			return shown.What == e.What && shown.Text == e.Text
		})
	})
}

// watcherOf returns the finding that says of a collector that it cannot look,
// and false when no rule says so.
func (d Diagnosis) watcherOf(name string) (Finding, bool) {
	i := slices.IndexFunc(d.Findings, func(f Finding) bool {
		return f.Slug == collector.SlugExporter && f.Labels[labelCollector] == name
	})
	if i < 0 {
		return Finding{}, false
	}
	return d.Findings[i], true
}

// ofUnable tells whether a finding only says that a collector could not look,
// which Unable says as well, with the reason.
func (d Diagnosis) ofUnable(f Finding) bool {
	return f.Slug == collector.SlugExporter && len(f.Symptoms) == 0 &&
		slices.ContainsFunc(d.Unable, func(u Unable) bool { return u.Collector == f.Labels[labelCollector] })
}
