package dashboards

import (
	"fmt"
	"strings"
)

// Grafana's words. Their types are held against @grafana/schema, and every
// panel is drawn from them, by make panels.

// An obj is an object of Grafana's JSON. `make panels` checks the types against
// @grafana/schema and renders every panel.
type obj = map[string]any

// schemaVersion is that of Grafana 11.0. Later versions migrate it, earlier ones
// do not know the fields of later schemas.
const schemaVersion = 39

// guidePage is the default of the variable guide, without language and
// extension. An exporter's /guide?lang=en has the same sections.
const guidePage = "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide."

// selectedSource is the data source that the user selects.
var selectedSource = obj{"type": "prometheus", "uid": "${datasource}"}

// palette colours lines by their order. Colours derived from names are often
// similar.
var palette = obj{"mode": "palette-classic"}

func (d dashboard) grafana(tr translation) obj {
	return obj{
		"uid": d.uid, "title": d.title, "description": d.description, "tags": []string{"rainbond"},
		"schemaVersion": schemaVersion, "version": 1, "editable": false, "liveNow": false,
		"fiscalYearStartMonth": 0, "weekStart": "", "timezone": "browser", "timepicker": obj{},
		"graphTooltip": 1, "refresh": "1m", "time": obj{"from": "now-6h", "to": "now"},
		"links": []obj{{
			"title": "Rainbond", "type": "dashboards", "icon": "external link", "tags": []string{"rainbond"},
			"tooltip": tr("Other Rainbond dashboards", "Rainbond 的其他仪表盘"), "url": "",
			"asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false,
		}},
		"annotations": obj{"list": []obj{
			{
				"builtIn": 1, "datasource": obj{"type": "grafana", "uid": "-- Grafana --"}, "enable": true, "hide": true,
				"iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
			},
			{
				"datasource": selectedSource, "enable": true, "iconColor": red, "name": tr("Rainbond alerts", "Rainbond 告警"),
				"expr":        by("max", "alertname, severity, cluster, rainbond_region, node, component", firing(`alertname!="RainbondWatchdog"`)),
				"step":        "60s",
				"titleFormat": "{{alertname}}", "textFormat": "", "tagKeys": "cluster,rainbond_region,node,component,severity", // a text format would show the names of missing labels
			},
		}},
		"templating": obj{"list": []obj{
			{
				"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "regex": "",
				"refresh": 1, "hide": 0, "multi": false, "includeAll": false, "skipUrlSync": false, "options": []obj{},
			},
			choice("cluster", "cluster", "label_values(rainbond_api_up, cluster)"),
			choice("region", tr("Region", "集群"), `label_values(rainbond_api_up{cluster=~"$cluster"}, rainbond_region)`),
			evictsAt(tr),
			{
				"type": "constant", "name": "guide", "label": tr("Guide", "手册"), "hide": 2, "skipUrlSync": true,
				"query": guidePage + tr("en", "zh") + ".md", "options": []obj{},
				"description": tr("Target of the panels' links: this page, or /guide?lang=en of an exporter.", "面板链接指向的手册：这个页面，或某个 exporter 自己的 /guide?lang=zh。"),
			},
		}},
		"panels": d.layout(),
	}
}

// choice returns a variable with the values of a label. All also matches series
// without the label.
func choice(name, label, query string) obj {
	return obj{
		"type": "query", "name": name, "label": label, "datasource": selectedSource, "query": obj{"query": query, "refId": name}, "definition": query,
		"regex": "", "refresh": 2, "sort": 1, "hide": 0, "multi": true, "includeAll": true, "allValue": ".*", "skipUrlSync": false,
		"options": []obj{}, "current": obj{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
	}
}

// evictsAt returns the variable for the eviction threshold of nodes whose
// kubelet configuration is not read.
func evictsAt(tr translation) obj {
	var options []obj
	var query []string
	for i, percent := range []int{5, 10, 15} {
		text, value := fmt.Sprintf("%d%%", percent), fmt.Sprintf("%.2f", float64(percent)/100)
		options = append(options, obj{"selected": i == 0, "text": text, "value": value})
		query = append(query, text+" : "+value)
	}
	return obj{
		"type": "custom", "name": "evicts_at", "label": tr("Eviction threshold", "kubelet 驱逐阈值"), "hide": 0, "skipUrlSync": false,
		"multi": false, "includeAll": false, "query": strings.Join(query, ", "), "options": options, "current": options[0],
		"description": tr("Ratio of available space at which the kubelets evict, for nodes whose kubelet configuration is not read: 5% on K3s and RKE2, 10% on most others.",
			"文件系统剩余多少时 kubelet 驱逐，用于没有向 kubelet 查询阈值的节点：K3s、RKE2 为 5%，其他多为 10%。"),
	}
}

// layout places the panels from left to right and from top to bottom.
func (d dashboard) layout() []obj {
	var all []obj
	x, y, below := 0, 0, 0
	for _, p := range d.panels {
		if p.visualization == (heading{}) {
			p.width, p.height = 24, 1
		}
		if x+p.width > 24 {
			x, y = 0, below
		}
		o := p.grafana(p)
		o["id"], o["title"], o["gridPos"] = p.id, p.title, obj{"x": x, "y": y, "w": p.width, "h": p.height}
		all = append(all, o)
		x, below = x+p.width, max(below, y+p.height)
	}
	return all
}

func (heading) grafana(panel) obj { return obj{"type": "row", "collapsed": false, "panels": []obj{}} }

func (s stat) grafana(p panel) obj {
	o := p.withQueries("stat", target(0, s.expr, "", true, false))
	defaults(o)["color"] = obj{"mode": "thresholds"}
	if decimals, of := map[string]int{"short": 0, "d": 1}[p.unit]; of { // counts have none
		defaults(o)["decimals"] = decimals
	}
	o["options"] = obj{
		"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto", "orientation": "auto", "wideLayout": true,
		"showPercentChange": false, "reduceOptions": obj{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return o
}

func (g graph) grafana(p panel) obj {
	var targets []obj
	for i, l := range g.lines {
		targets = append(targets, target(i, l.expr, l.legend, false, false))
	}
	o := p.withQueries("timeseries", targets...)
	custom := obj{
		"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 10, "gradientMode": "none", "showPoints": "never",
		"spanNulls": false, "insertNulls": false, "axisPlacement": "auto", "axisLabel": "", "axisColorMode": "text", "scaleDistribution": obj{"type": "linear"},
		"axisSoftMin": 0, "barAlignment": 0, "pointSize": 5, "axisBorderShow": false, "axisCenteredZero": false,
		"hideFrom": obj{"legend": false, "tooltip": false, "viz": false}, "thresholdsStyle": obj{"mode": "off"},
		"stacking": obj{"group": "A", "mode": "none"},
	}
	if g.stacked {
		custom["stacking"], custom["fillOpacity"] = obj{"group": "A", "mode": "normal"}, 30
	}
	if len(p.steps) > 0 {
		custom["thresholdsStyle"] = obj{"mode": "dashed"}
	}
	defaults(o)["custom"], defaults(o)["color"] = custom, palette
	o["options"] = obj{
		"legend":  obj{"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []string{}},
		"tooltip": obj{"mode": "multi", "sort": "desc"},
	}
	return o
}

func (t table) grafana(p panel) obj {
	var asked, columns []column
	for _, c := range t.columns {
		if c.label == "rainbond_region" || c.label == "instance" {
			columns = append(columns, column{title: "cluster", label: "cluster", width: 120, platform: true})
		}
		columns = append(columns, c)
		if c.expr != "" {
			asked = append(asked, c)
		}
	}
	value := func(i int) string {
		if len(asked) == 1 {
			return "Value"
		}
		return "Value #" + letter(i)
	}
	exclude, index, rename := obj{"Time": true}, obj{}, obj{}
	var targets, overrides, sort []obj
	for at, c := range columns {
		field := c.label
		if c.expr != "" {
			if field != "" || c.hidden {
				exclude[value(len(targets))] = true
			}
			if field == "" {
				field = value(len(targets))
			}
			targets = append(targets, target(len(targets), c.expr, "", true, true))
		}
		if t.by == c.title && t.by != "" {
			sort = append(sort, obj{"field": field, "desc": !t.least})
		}
		if !c.hidden {
			index[field], rename[field] = at, c.title
			overrides = append(overrides, c.override())
		}
	}
	o := p.withQueries("table", targets...)
	defaults(o)["custom"] = obj{"align": "auto", "cellOptions": obj{"type": "auto"}, "inspect": false, "filterable": true}
	defaults(o)["color"] = obj{"mode": "thresholds"}
	o["fieldConfig"].(obj)["overrides"] = overrides
	var steps []obj
	if len(targets) > 1 {
		steps = append(steps, obj{"id": "merge", "options": obj{}})
	}
	if len(sort) > 0 {
		steps = append(steps, obj{"id": "sortBy", "options": obj{"fields": obj{}, "sort": sort}})
	}
	o["transformations"] = append(steps, obj{"id": "organize", "options": obj{"excludeByName": exclude, "includeByName": obj{}, "indexByName": index, "renameByName": rename}})
	o["options"] = obj{"showHeader": true, "cellHeight": "sm", "frameIndex": 0, "sortBy": []obj{}}
	return o
}

// override returns the field override of one column.
func (c column) override() obj {
	properties := []obj{}
	set := func(id string, value any) { properties = append(properties, obj{"id": id, "value": value}) }
	if c.unit != "" {
		set("unit", c.unit)
	}
	if c.unit == "d" {
		set("decimals", 1)
	}
	if c.label != "" {
		set("noValue", "–") // otherwise the cell shows the text of an empty panel
	}
	if c.width > 0 {
		set("custom.width", c.width)
	}
	if len(c.names) > 0 {
		set("mappings", mappings(c.names))
	}
	if len(c.steps) > 0 {
		set("thresholds", thresholds(c.steps))
	}
	if len(c.steps) > 0 || len(c.names) > 0 {
		set("custom.cellOptions", obj{"type": "color-text"})
	}
	if c.link != "" {
		// A field that no row has is empty, and an empty value of a variable is All.
		set("links", []obj{{"title": c.title, "url": "/d/" + c.link + "?${datasource:queryparam}&var-cluster=${__data.fields.cluster}&var-region=${__data.fields.rainbond_region}&${__url_time_range}"}})
	}
	matcher := obj{"id": "byName", "options": c.title}
	if c.platform {
		matcher = obj{"id": "byRegexp", "options": "/^(" + c.title + ")$/"}
	}
	return obj{"matcher": matcher, "properties": properties}
}

// withQueries returns the common part of all panels with queries.
func (p panel) withQueries(kind string, targets ...obj) obj {
	d := obj{"unit": p.unit, "mappings": []obj{}, "thresholds": thresholds(p.steps)}
	if p.empty != "" {
		d["noValue"] = p.empty
	}
	links := []obj{}
	link := func(title, section string) {
		links = append(links, obj{
			"type": "link", "title": title, "url": "${guide}#" + section, "icon": "doc", "tooltip": "", "tags": []string{},
			"targetBlank": true, "asDropdown": false, "includeVars": false, "keepTime": false,
		})
	}
	for _, a := range p.alerts {
		link(a.name, a.section)
	}
	if p.section != "" {
		link("#"+p.section, p.section)
	}
	return obj{
		"type": kind, "description": p.description, "datasource": selectedSource, "targets": targets, "links": links,
		"fieldConfig": obj{"defaults": d, "overrides": []obj{}},
	}
}

func defaults(o obj) obj { return o["fieldConfig"].(obj)["defaults"].(obj) }

func letter(i int) string { return string(rune('A' + i)) }

func target(i int, expr, legend string, instant, asTable bool) obj {
	o := obj{"refId": letter(i), "datasource": selectedSource, "editorMode": "code", "expr": expr, "format": "time_series", "instant": instant, "range": !instant}
	if asTable {
		o["format"] = "table"
	}
	if legend != "" {
		o["legendFormat"] = legend
	}
	return o
}

func thresholds(steps []step) obj {
	if len(steps) == 0 {
		steps = []step{{nil, quiet}}
	}
	all := []obj{}
	for _, s := range steps {
		all = append(all, obj{"value": s.from, "color": s.color})
	}
	return obj{"mode": "absolute", "steps": all}
}

func mappings(names []name) []obj {
	var all []obj
	for i, n := range names {
		result := obj{"index": i}
		if n.text != "" {
			result["text"] = n.text
		}
		if n.color != "" {
			result["color"] = n.color
		}
		if pattern, ok := strings.CutPrefix(n.value, "/"); ok {
			all = append(all, obj{"type": "regex", "options": obj{"pattern": strings.TrimSuffix(pattern, "/"), "result": result}})
		} else {
			all = append(all, obj{"type": "value", "options": obj{n.value: result}})
		}
	}
	return all
}
